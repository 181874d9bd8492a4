/* daemon/sandbox-impl.h: what the files of the sandbox share.  Nobody else may include it. */
#ifndef DAEMON_SANDBOX_IMPL_H
#define DAEMON_SANDBOX_IMPL_H
#include "daemon/sandbox.h"

enum sandbox_words {
	WORD_INET = 1,
	WORD_QUEUE = 2,
	WORD_STORE = 4,
	WORD_STORE_READ = 8,
	WORD_SPAWN = 16,
	WORD_MEMORY = 64,
	WORD_EXEC = 32, /* runs itself: not in tables, follows from being alone */
};

/* Installs the list of calls for these words in every thread.  `log`: what is not on it is
 * logged by the kernel and let through.  0 or -errno. */
int sandbox_calls_install(unsigned words, bool log) MUSTCHECK;
#endif

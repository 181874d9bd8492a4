/* daemon/sandbox.h: what a process may do from the time it serves: the files that it can reach
 * (Landlock) and the calls of the kernel that it can make (seccomp).
 *
 * A program says it in one line of its table, in words as pledge(2) has them:
 *
 *	inet         sockets of IPv4 and IPv6, besides Unix sockets, which all may have
 *	queue        write below `queue`
 *	store        write below `store` and the other roots that the program adds
 *	store:read   read there
 *	spawn        start programs that shut themselves in: no files are kept from it, and only
 *	             calls that no program of ours has a use for
 *	memory       files that are memory and have no name (memfd_create), to be given to others
 *
 * Everybody reads the configuration, certificates and keys with the folders that they are in (a
 * reload reads them again), /etc, /usr, /lib and /proc, and nothing else.  A process without a
 * parent of its own also owns its files in rundir, and may run itself again, confined as it is,
 * to check a new configuration.  tiermail(7), SEPARATION, says what remains for a hijacked
 * process.
 *
 * Nothing here fails a start: what the kernel does not know is logged and left out. */
#ifndef DAEMON_SANDBOX_H
#define DAEMON_SANDBOX_H
#include "base/attr.h"
#include <stdbool.h>

enum sandbox_mode {
	SANDBOX_ENFORCE, /* a call that is not on the list ends the process, with a line in the log */
	SANDBOX_LOG,     /* such calls are logged by the kernel (audit), files are not confined */
	SANDBOX_OFF,
};

/* The words of the table; a word that is none is a bug.  `alone`: no parent looks after this
 * process. */
void sandbox_init(enum sandbox_mode mode, const char *words, bool alone);
/* Another path that may be read, or written: a folder with all that is in it, or one file.  What
 * does not exist is passed over.  Before sandbox_files. */
void sandbox_read(const char *path);
void sandbox_write(const char *path);
/* `path` and, when it is a link, what it leads to may be replaced by a file of any name in the
 * same folder, and be read: certificates that something renews. */
void sandbox_read_beside(const char *path);
/* One file that may be changed but neither made nor removed.  While it does not exist the rule
 * stands on the nearest folder above it that does. */
void sandbox_change(const char *path);
/* Confines this thread and those that it will start: before there are others. */
void sandbox_files(void);
/* Confines all threads; the last step before the loop runs. */
bool sandbox_watched(void); /* is this a sanitizer's build? */
void sandbox_calls(void);
/* Is `path` within what may be read?  For configuration that is read while the process runs, also
 * in the parent of confined processes. */
bool sandbox_reaches(const char *path);
/* Tries something that no confined process may do (`what` is one of its words), for tests:
 * returns the errno of the attempt, 0 when it worked, -1 when there is no such word.  What the
 * list of calls lacks does not return. */
int sandbox_probe(const char *what);
#endif

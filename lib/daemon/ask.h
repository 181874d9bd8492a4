/* daemon/ask.h: one question to a running daemon, and all of its answer: for tools, which may block.
 *
 * On this host by RUNDIR/NAME.ctl (daemon/program.h), on another one by TLS with tls.certificate
 * (daemon/remote.h).  What comes back is whole or an error, never a part. */
#ifndef DAEMON_ASK_H
#define DAEMON_ASK_H
#include "base/buf.h"

/* For what is answered at once: longer than a daemon waits for workers of its own that are stuck. */
#define DAEMON_ASK_MS 10000

/* Asks `daemon` ("imapd") of `host`, NULL = this one: `line` without its end; the answer is appended.
 * Blocks, for `ms` in all, or with 0 for 60 s without an octet at most: -ETIMEDOUT then.  0, or -errno: -ENOENT and
 * -ECONNREFUSED when it is not there, -ECONNRESET when its answer was cut off, -EMSGSIZE for more than 256 MiB of it;
 * -EPROTO with *why (heap) when TLS does not come about; -EHOSTDOWN, perhaps with *why, when there is no way to the host.
 * *why is NULL otherwise. */
int daemon_ask(const char *host, const char *daemon, struct slice line, int ms, struct buf *answer,
    char **why) MUSTCHECK;
#endif

/* tmctl/tmctl.h: what the files of tmctl share. */
#ifndef TMCTL_H
#define TMCTL_H
#include "base/buf.h"
#include "daemon/program.h"

/* `tmctl serve`, a daemon: serve.c. */
extern const struct program tmctl_serve_program;

#define TMCTL_ANSWER_S 60                  /* of silence */
#define TMCTL_ANSWER   (256 * 1024 * 1024) /* octets of one daemon */

/* Asks a daemon of another host: `line` with its end, the answer appended.  0, or -errno; -EPROTO with *why (heap)
 * when it is the TLS that does not come about. */
int tmctl_remote_ask(const char *host, const char *daemon, struct slice line, struct buf *answer,
    char **why);
#endif

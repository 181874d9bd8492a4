/* daemon/ctl.h: asking a daemon's control socket, for tools: blocking, plain.
 * The protocol is a line in (`status`, `metrics`, ...) and text out until end of file. */
#ifndef DAEMON_CTL_H
#define DAEMON_CTL_H
#include "base/buf.h"

/* 0 with the answer appended to out, or -errno. */
int ctl_ask(const char *path, struct slice line, int timeout_ms, struct buf *out) MUSTCHECK;
#endif

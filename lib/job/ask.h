/* job/ask.h: one question to jobctl and its one answer, from a daemon's loop (tool.h is for tools, which block).
 *
 * A connection of its own for each: it is for what people do by hand, not for what comes with each message
 * (feed.h). */
#ifndef JOB_ASK_H
#define JOB_ASK_H
#include "job/line.h"
#include "net/loop.h"
#include "net/op.h"

/* Asks the jobctl at the Unix socket `path` for `line` (without LF, at most JOB_LINE_MAX octets; copied).
 * done(arg, e, rest): 0 and what stands behind `ok`; -EREMOTEIO and what stands behind `error`; or -errno:
 * -ETIMEDOUT after `ms`, -EPROTO when it answers something else or breaks off, what connecting failed with.
 * `rest` is borrowed during the call. */
void job_ask_start(struct loop *l, const char *path, struct slice line, uint32_t ms, struct op *op,
    void (*done)(void *arg, int e, struct slice rest), void *arg);
#endif

/* base/logline.h: a line of the log read back, tiermail-log(5): what log.h writes, whoever has carried it here.
 *
 * Pure.  In front of the fields a syslog daemon or journalctl may have put its own words: when, where, who.
 * Values stay as they are written until logline_value, so that a reader of many lines pays for those that it
 * wants alone. */
#ifndef BASE_LOGLINE_H
#define BASE_LOGLINE_H
#include "base/buf.h"

struct logline {
	struct slice ts;    /* as written, "2026-11-22T08:20:01.123Z"; or the carrier's; or "" */
	struct slice host;  /* the carrier's, or "" */
	struct slice who;   /* the program, without its process id */
	struct slice level; /* or "" */
	struct slice event;
	struct slice fields; /* what follows, for logline_next */
};

/* All borrow from `line`, which excludes its end.  False: it is no line of a log of ours. */
bool logline_parse(struct slice line, struct logline *l) MUSTCHECK;
/* Takes the next field off *rest; the value is as written, with its quotes.  False at the end, or where no
 * field is. */
bool logline_next(struct slice *rest, struct slice *key, struct slice *value);
/* The value of `key` as it was before it was written, into `to`, which is cleared; false, and empty: there is no
 * such field. */
bool logline_get(const struct logline *l, const char *key, struct buf *to);
/* Appends what a written value stands for.  A part that no escape makes sense of stays as it is. */
void logline_value(struct buf *to, struct slice written);
#endif

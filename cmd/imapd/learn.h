/* imapd/learn.h: a mail filter is told what people make of its verdicts: the messages that they move to Junk, and away
 * from it.
 *
 * The filter is rspamd, by its controller (HTTP: /learnspam and /learnham).  One question is one message; it is safe to tell
 * it again, since a filter knows what it has learned. */
#ifndef IMAPD_LEARN_H
#define IMAPD_LEARN_H
#include "base/buf.h"
#include "mail/verdict.h"
#include "net/op.h"

enum learn_kind { LEARN_SPAM, LEARN_HAM };

/* Is there a filter that is to be told? */
bool learn_wanted(void);
/* May this person tell it more today (learn.per_day)?  Says once in the log who may not. */
bool learn_may(struct slice user);
/* The message in a file of `size` octets, which may be closed by then; of `user`, who has moved it.  OK: it has learned, or knew; PERM: it will not;
 * TEMP 4.3.5 and 4.4.1: nothing can be told to it at present, 4.5.0: not this. */
void learn_start(int fd, uint64_t size, enum learn_kind kind, struct slice user, struct op *op,
    void (*done)(void *arg, const struct verdict *v), void *arg);
void learn_init(void);
/* Are learn.* good?  Says what is not. */
bool learn_check(struct buf *why);
#endif

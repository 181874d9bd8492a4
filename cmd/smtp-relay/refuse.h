/* smtp-relay/refuse.h: messages that every recipient's Sieve script rejects are refused before they are ours, so
 * that nobody has to be told by mail (RFC 5429 2.1.1); for message.c.
 *
 * Nothing else that scripts do is done here: whoever has the mailbox runs them, as if nobody had asked before.  So
 * a message that is not refused is what it was, and nothing is done twice. */
#ifndef SMTP_RELAY_REFUSE_H
#define SMTP_RELAY_REFUSE_H
#include "relay.h"

struct refuse;
/* At DATA: may each recipient's scripts refuse it?  Then s->message->refuse is there, and wants the octets. */
void refuse_ask(struct session *s, void (*done)(struct session *s));
/* Of the message as it goes into the queue: its header in parts with what stands in front of the body, and the body.
 * Harmless for NULL. */
void refuse_head(struct refuse *r, struct slice above, struct slice received, struct slice fields,
    bool empty_line, struct slice front);
void refuse_add(struct refuse *r, struct slice bytes);
/* All of it is here: done(s, no), with NULL when one of them takes it, or nobody knows. */
void refuse_start(struct refuse *r, void (*done)(struct session *s, const struct verdict *no));
void refuse_stop(struct refuse **r); /* harmless for NULL */
#endif

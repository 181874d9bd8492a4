/* smtp-relay/rcpt-body.h: which of a message's bodies a recipient gets, and what the log hears; for rcpt.c. */
#ifndef SMTP_RELAY_RCPT_BODY_H
#define SMTP_RELAY_RCPT_BODY_H
#include "relay.h"

#define RCPT_BODIES_ALONE 16 /* that a list may make of a message */

/* The bodies of one RCPT's legs: what makes them, as its answer has it, and their numbers. */
struct rcpt_bodies {
	struct relay_body from[QUEUE_BODIES];
	unsigned body[QUEUE_BODIES];
	size_t n;
	const struct expand_edit *const *edits; /* the answer's */
};

/* Is the recipient expanded once more, by this channel? */
bool rcpt_expands(const char *channel);
/* What the lists on the way make of it here; where they come again, nothing. */
const struct expand_edit *rcpt_edit(const struct expand_leg *leg);
/* Which bodies the legs need: QUEUE_BODIES of them are too many. */
void
rcpt_bodies_look(const struct session *s, const struct expand_result *r, struct rcpt_bodies *seen);
/* Are they too many beside those that there are? */
bool rcpt_bodies_many(const struct session *s, const struct rcpt_bodies *seen);
/* The number of the leg's body.  One that only a channel makes is shared by all that go there. */
unsigned rcpt_body(struct session *s, const struct expand_edit *edit, const char *channel,
    struct rcpt_bodies *seen);
/* The bodies of the leg's further roads, as bits. */
uint32_t rcpt_roads(struct session *s, const struct expand_leg *leg, struct rcpt_bodies *seen);

/* rcpt-log.c: who gets it, and who does not. */
void rcpt_log(struct session *s, const struct expand_result *r, const char *as_given);
void rcpt_log_failed(const struct session *s, const struct expand_result *r);
#endif

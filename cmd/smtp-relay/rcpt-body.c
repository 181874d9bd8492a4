/* rcpt-body.c: see rcpt-body.h.  Cannot fail: what there is no room for is refused by rcpt.c before it asks for
 * numbers.  Must stay true: two recipients share a body only when lists and channels make the same of it. */
#include "rcpt-body.h"

#include <limits.h>

#include "base/must.h"

#define BODIES_TOGETHER 4 /* that lists and channels make of a message for several RCPTs */

/* Is the recipient expanded once more, by this channel? */
bool
rcpt_expands(const char *channel)
{
	const struct channel *c = channels_find(relay.channels, slice_str(channel));

	return c && channel_expands(c);
}

/* What the lists on the way make of it here; where they come again, nothing. */
const struct expand_edit *
rcpt_edit(const struct expand_leg *leg)
{
	return leg->later ? NULL : leg->edit;
}

/* Which of the bodies that were seen is the leg's; a new one, or seen->n where there is no room. */
static size_t
rcpt_body_seen(const struct session *s, const struct expand_edit *edit, const char *channel,
    struct rcpt_bodies *seen)
{
	bool whole = !edit && rcpt_expands(channel);
	struct relay_body want = { .edit = edit,
		.channel = whole ? EXPAND_LATER : addresses_channel(s, channel),
		.whole = whole };
	size_t at = 0;

	while (at < seen->n &&
	    (seen->from[at].edit != want.edit ||
		(seen->from[at].channel != want.channel &&
		    (!seen->from[at].channel || !want.channel ||
			strcmp(seen->from[at].channel, want.channel) != 0))))
		at++;
	if (at == seen->n && at < QUEUE_BODIES) {
		seen->from[seen->n] = want;
		seen->body[seen->n++] = want.edit || want.channel ? UINT_MAX : 0; /* not made yet */
	}
	return at;
}

/* Which bodies the legs need: QUEUE_BODIES of them are too many. */
void
rcpt_bodies_look(const struct session *s, const struct expand_result *r, struct rcpt_bodies *seen)
{
	seen->n = 0;
	for (size_t i = 0; i < r->nlegs && seen->n < QUEUE_BODIES; i++) {
		const struct expand_leg *leg = &r->legs[i];

		(void)rcpt_body_seen(s, rcpt_edit(leg), leg->channel, seen);
		for (unsigned k = 0; leg->others >> k; k++)
			if (leg->others >> k & 1)
				(void)rcpt_body_seen(s, r->edits[k], leg->channel, seen);
	}
}

/* What a channel alone makes of the message, when it is there already; else UINT_MAX. */
static unsigned
rcpt_body_made(const struct session *s, const struct relay_body *from)
{
	for (unsigned i = 0; i < s->nbodies && !from->edit; i++)
		if (!s->bodies[i].edit && !s->bodies[i].header.p &&
		    strcmp(s->bodies[i].channel, from->channel) == 0)
			return i + 1;
	return UINT_MAX;
}

/* Each body is written as a whole before the client has its answer.  One recipient may need many, a list of
 * lists; several may not together.  That of all who are expanded later is one, and always has a place. */
bool
rcpt_bodies_many(const struct session *s, const struct rcpt_bodies *seen)
{
	size_t new = 0;

	for (size_t i = 0; i < seen->n; i++)
		new += !seen->from[i].whole &&
		    seen->body[i] == UINT_MAX &&rcpt_body_made(s, &seen->from[i]) == UINT_MAX;
	return new && s->nbodies && s->nbodies + new > BODIES_TOGETHER;
}

/* The number of the leg's body.  One that only a channel makes is shared by all that go there. */
unsigned
rcpt_body(struct session *s, const struct expand_edit *edit, const char *channel,
    struct rcpt_bodies *seen)
{
	size_t at = rcpt_body_seen(s, edit, channel, seen);
	const struct relay_body *from = &seen->from[at];

	must(at < QUEUE_BODIES);
	if (seen->body[at] == UINT_MAX)
		seen->body[at] = rcpt_body_made(s, from);
	if (seen->body[at] == UINT_MAX) {
		must(s->nbodies < QUEUE_BODIES - 1);
		s->bodies[s->nbodies++] = (struct relay_body){ .edit = from->edit ?
			    expand_edit_copy(&s->smtp.arena, from->edit) :
			    NULL,
			.channel = from->channel ? arena_str(&s->smtp.arena, from->channel) : NULL,
			.whole = from->whole };
		seen->body[at] = (unsigned)s->nbodies;
	}
	return seen->body[at];
}

_Static_assert(RCPT_BODIES_ALONE + 2 <= QUEUE_BODIES,
    "the first, and the one that is expanded later");
_Static_assert(QUEUE_BODIES <= 32, "their numbers are bits of rcpt_more.roads");
/* The bodies of the leg's further roads, as bits. */
uint32_t
rcpt_roads(struct session *s, const struct expand_leg *leg, struct rcpt_bodies *seen)
{
	uint32_t bits = 0;

	for (unsigned k = 0; leg->others >> k; k++)
		if (leg->others >> k & 1)
			bits |= 1U << rcpt_body(s, seen->edits[k], leg->channel, seen);
	return bits;
}

/* milter/client-content.c: a message on its way to a filter; see client.h.
 *
 * All is sent ahead, up to AHEAD answers, as a filter reads one packet after the other anyway: a turn of the loop for each
 * field is most of what one costs that answers to all.  Pieces of a body alone wait for the one before, which may
 * have been enough (SKIP).  Called by client.c, which ends it; owns nothing. */
#include "base/must.h"
#include "milter/client-impl.h"

#define AHEAD 256 /* answers that may be due */

/* The next field that the filter is shown. */
static bool
field_send(struct milter_client *c)
{
	while (c->field && (!c->field->name.p || c->field->name.n == 0))
		c->field = c->field->next;
	if (!c->field || c->terms.steps & MILTER_NO_HEADER)
		return false;
	milter_field_write(stream_out(&c->link->io), c->field->name, c->field->value,
	    c->terms.steps & MILTER_LEADING_SPACE);
	c->field = c->field->next;
	c->due += !(c->terms.steps & MILTER_MUTE_HEADER);
	return true;
}

static void
milter_on_broken(struct later *t)
{
	milter_client_fail(CONTAINER(t, struct milter_client, later), "the body cannot be read");
}

static bool
piece_send(struct milter_client *c)
{
	struct buf piece = { 0 };
	size_t n;
	int r;

	if (c->skip || c->terms.steps & MILTER_NO_BODY)
		return false;
	r = c->calls->body(c->arg, c->body_at, MILTER_CHUNK, &piece);
	n = piece.n;
	if (r == 0 && n)
		milter_body_write(stream_out(&c->link->io), buf_get(&piece));
	buf_fini(&piece);
	if (r < 0) {
		c->broken = true;
		later_run(&c->later, c->loop, milter_on_broken);
		return true;
	}
	if (n == 0)
		return false;
	c->body_at += n;
	c->piece = !(c->terms.steps & MILTER_MUTE_BODY);
	c->due += c->piece;
	c->last = n < MILTER_CHUNK;
	return true;
}

/* One packet of the message; false: this phase has no more. */
static bool
phase_send(struct milter_client *c)
{
	switch (c->phase) {
	case PHASE_HEADER: return field_send(c);
	case PHASE_HEADER_END:
		if (c->terms.steps & MILTER_NO_HEADER_END)
			return false;
		milter_client_macros(c, MILTER_AT_HEADER_END);
		milter_strings_write(stream_out(&c->link->io), MILTER_CMD_HEADER_END, NULL, 0);
		c->due += !(c->terms.steps & MILTER_MUTE_HEADER_END);
		c->phase = PHASE_BODY;
		return true;
	case PHASE_BODY: return piece_send(c);
	case PHASE_END: break;
	}
	milter_client_macros(c, MILTER_AT_END);
	milter_strings_write(stream_out(&c->link->io), MILTER_CMD_BODY_END, NULL, 0);
	c->state = MILTER_ENDING;
	return true;
}

static bool
content_may_go_on(const struct milter_client *c)
{
	return c->state == MILTER_CONTENT && !c->broken && c->due < AHEAD &&
	    (!c->piece || c->last) && stream_backlog(&c->link->io) <= STREAM_LOW;
}

void
milter_content_go_on(struct milter_client *c)
{
	struct milter_link *l = c->link;

	while (content_may_go_on(c))
		if (!phase_send(c))
			c->phase++;
	stream_flush(&l->io);
	milter_client_wait(c, true);
}

bool
milter_content_due(struct milter_client *c, enum milter_answer answer)
{
	if (c->state != MILTER_CONTENT && !(c->state == MILTER_ENDING && c->due))
		return false;
	if (answer == MILTER_SKIP && c->due == 1 && c->piece && c->terms.steps & MILTER_MAY_SKIP) {
		c->skip = true;
	} else if (answer == MILTER_SKIP || (answer == MILTER_CONTINUE && !c->due)) {
		milter_client_fail(c, "it answers what it was not asked");
		return true;
	} else if (answer != MILTER_CONTINUE) {
		return false;
	}
	if (--c->due == 0)
		c->piece = false;
	milter_content_go_on(c);
	return true;
}

void
milter_client_message(struct milter_client *c, const struct milter_header *h)
{
	must(c->state == MILTER_IDLE || c->state == MILTER_CLOSED);
	buf_clear(&c->changes);
	c->changes_at = 0;
	c->nchanges = 0;
	c->at = MILTER_AT_END;
	c->phase = PHASE_HEADER;
	c->field = h->first;
	c->body_at = 0;
	c->due = 0;
	c->piece = c->last = c->skip = c->broken = false;
	if (c->link) {
		c->state = MILTER_CONTENT;
		milter_content_go_on(c);
	} else {
		c->state = MILTER_ASKING;
		later_run(&c->later, c->loop, milter_client_more);
	}
}

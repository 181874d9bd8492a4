/* milter/client.c: see client.h.
 *
 * Owns its connection (struct milter_link, which outlives it until libuv has closed the handle) and the
 * changes that the filter has asked for.  Fails by the filter alone: gone, late, not understood.  Must stay
 * true: each question has one `done`, from the loop; a connection on which an answer is outstanding is
 * never used for another question; what was not agreed is not taken.
 * Who ends a message in the middle leaves packets behind that nobody wants: his connection goes. */
#include "milter/client-impl.h"

#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/must.h"
#include "net/connect.h"

#define SLICE_US 5000 /* of answers read in one turn of the loop */

/* What a filter can leave out, and leave unanswered, by stage. */
static const struct {
	uint32_t unheard, mute;
	enum milter_command command;
} stages[MILTER_STAGES] = {
	[MILTER_AT_CONNECT] = { MILTER_NO_CONNECT, MILTER_MUTE_CONNECT, MILTER_CMD_CONNECT },
	[MILTER_AT_HELO] = { MILTER_NO_HELO, MILTER_MUTE_HELO, MILTER_CMD_HELO },
	[MILTER_AT_MAIL] = { MILTER_NO_MAIL, MILTER_MUTE_MAIL, MILTER_CMD_MAIL },
	[MILTER_AT_RCPT] = { MILTER_NO_RCPT, MILTER_MUTE_RCPT, MILTER_CMD_RCPT },
	[MILTER_AT_DATA] = { MILTER_NO_DATA, MILTER_MUTE_DATA, MILTER_CMD_DATA },
	[MILTER_AT_END] = { 0, 0, MILTER_CMD_BODY_END },
	[MILTER_AT_HEADER_END] = { MILTER_NO_HEADER_END, MILTER_MUTE_HEADER_END,
	    MILTER_CMD_HEADER_END },
	[MILTER_AT_UNKNOWN] = { MILTER_NO_UNKNOWN, MILTER_MUTE_UNKNOWN, MILTER_CMD_UNKNOWN },
};

/* ---- the connection ---------------------------------------------------------------------- */

static void
link_drop(struct milter_client *c, bool quit)
{
	struct milter_link *l = c->link;

	op_cancel(&c->op);
	deadline_clear(&c->late);
	later_cancel(&c->later);
	buf_fini(&c->first);
	c->link = NULL;
	c->state = MILTER_CLOSED;
	c->in_message = false;
	if (!l)
		return;
	l->client = NULL;
	if (quit) {
		milter_strings_write(stream_out(&l->io), MILTER_CMD_QUIT, NULL, 0);
		stream_finish(&l->io);
	} else {
		stream_close(&l->io);
	}
}

static void
milter_done(struct milter_client *c, const struct milter_outcome *o)
{
	deadline_clear(&c->late);
	c->calls->done(c->arg, o);
}

void
milter_client_fail(struct milter_client *c, const char *why)
{
	bool asked = c->state != MILTER_IDLE && c->state != MILTER_CLOSED;

	link_drop(c, false);
	if (asked)
		milter_done(c, &(struct milter_outcome){ .failed = true, .why = why });
}

static void
milter_on_late(struct deadline *d)
{
	milter_client_fail(CONTAINER(d, struct milter_client, late), "it does not answer in time");
}

/* What is waited for by now. */
static uint32_t
milter_patience(const struct milter_client *c)
{
	if (c->state == MILTER_OPENING)
		return c->p.connect_ms;
	return c->state == MILTER_ENDING && !c->due ? c->p.content_ms : c->p.command_ms;
}

void
milter_client_wait(struct milter_client *c, bool begin)
{
	uint64_t now = loop_now(c->loop);
	uint32_t ms = milter_patience(c);

	if (begin)
		c->patience = now + (uint64_t)ms * MILTER_PATIENCE;
	deadline_set(&c->late, c->loop,
	    now + ms < c->patience ? ms :
		now < c->patience  ? c->patience - now :
				     0,
	    milter_on_late);
}

/* ---- asking ------------------------------------------------------------------------------- */

void
milter_client_macros(struct milter_client *c, enum milter_stage at)
{
	struct slice names = c->terms.macros[at].p ? c->terms.macros[at] : milter_macros_of(at);

	milter_macros_write(stream_out(&c->link->io), stages[at].command, names, c->calls->macro,
	    c->arg);
}

/* True: there is nothing to wait for. */
static bool
stage_send(struct milter_client *c, enum milter_stage at, struct slice packet)
{
	c->at = at;
	c->state = MILTER_IDLE;
	if (at == MILTER_AT_MAIL)
		c->in_message = true;
	if (c->terms.steps & stages[at].unheard)
		return true;
	milter_client_macros(c, at);
	buf_slice(stream_out(&c->link->io), packet);
	if (c->terms.steps & stages[at].mute) {
		if (stream_backlog(&c->link->io) <= STREAM_LOW)
			return true;
		c->state = MILTER_TELLING; /* `drained` follows */
	} else {
		c->state = MILTER_ASKING;
	}
	stream_flush(&c->link->io);
	milter_client_wait(c, true);
	return false;
}

static void
milter_agreed(struct milter_client *c, const struct milter_terms *t)
{
	struct buf first = c->first;

	c->terms = *t;
	for (int i = 0; i < MILTER_STAGES; i++)
		if (t->macros[i].p)
			c->terms.macros[i] = arena_slice(&c->arena, t->macros[i]);
	c->first = (struct buf){ 0 };
	if (stage_send(c, MILTER_AT_CONNECT, buf_get(&first)))
		milter_done(c, &(struct milter_outcome){ .answer = MILTER_CONTINUE });
	buf_fini(&first);
}

/* ---- answers -------------------------------------------------------------------------------- */

/* False: it was too much, and the filter has failed. */
static bool
change_take(struct milter_client *c, const struct milter_reply *r, struct slice packet)
{
	uint32_t needs = milter_reply_needs(r->answer);

	if (c->state != MILTER_ENDING || c->due) {
		milter_client_fail(c, "it changes what it has not seen to the end");
	} else if ((c->terms.may & needs) != needs) {
		milter_client_fail(c, "it changes what it has not asked for");
	} else if (r->answer == MILTER_REPLACE_BODY) {
		if (c->calls->replace(c->arg, r->value) == 0)
			return true;
		milter_client_fail(c, "its body cannot be kept");
	} else if (++c->nchanges > MILTER_CHANGES || c->changes.n + packet.n > MILTER_CHANGED) {
		milter_client_fail(c, "it changes too much");
	} else {
		buf_slice(&c->changes, packet);
		return true;
	}
	return false;
}

/* May a stage end so? */
static bool
milter_final_good(const struct milter_client *c, enum milter_answer answer)
{
	if (answer == MILTER_DISCARD)
		return c->at != MILTER_AT_CONNECT && c->at != MILTER_AT_HELO;
	return answer == MILTER_CONTINUE || answer == MILTER_ACCEPT || answer == MILTER_REJECT ||
	    answer == MILTER_TEMPFAIL || answer == MILTER_REPLY_CODE || answer == MILTER_SHUTDOWN;
}

static void
final_take(struct milter_client *c, const struct milter_reply *r)
{
	struct milter_outcome o = { .answer = r->answer, .code = r->code, .text = r->value };

	if (milter_content_due(c, r->answer))
		return;
	if (!milter_final_good(c, r->answer)) {
		milter_client_fail(c,
		    r->answer == MILTER_CONN_FAIL ? "it gives up" :
						    "its answer does not belong here");
		return;
	}
	if (c->state != MILTER_ASKING)
		c->in_message = false;
	if (c->state == MILTER_ENDING ? c->due > 0 : c->state == MILTER_CONTENT && c->due > 1) {
		o.text = arena_slice(&c->arena, o.text);
		link_drop(c, true);
	} else {
		c->state = MILTER_IDLE;
	}
	milter_done(c, &o);
}

static void
reply_take(struct milter_client *c, const struct milter_reply *r, struct slice packet)
{
	if (c->state == MILTER_IDLE || c->state == MILTER_TELLING) {
		milter_client_fail(c, "it speaks unasked");
	} else if (c->state == MILTER_OPENING) {
		if (r->answer == MILTER_NEGOTIATE)
			milter_agreed(c, &r->terms);
		else
			milter_client_fail(c, "it agrees to no terms");
	} else if (r->answer == MILTER_PROGRESS) {
		milter_client_wait(c, false);
	} else if (milter_reply_needs(r->answer)) {
		if (change_take(c, r, packet))
			milter_client_wait(c, false);
	} else {
		final_take(c, r);
	}
}

/* Takes what has come.  An owner who is told may free the client: then its link has no client. */
static void
milter_read(struct milter_link *l)
{
	uint64_t until = clock_mono_us() + SLICE_US;
	const char *why = NULL;
	struct milter_reply r;

	while (l->client) {
		struct slice in = stream_peek(&l->io);
		int n = milter_reply_parse(in, &r, &why);

		if (n < 0) {
			milter_client_fail(l->client, why);
		} else if (n == 0) {
			if (stream_ended(&l->io))
				milter_client_fail(l->client, "it has closed the connection");
			return;
		} else if (clock_mono_us() > until) {
			later_run(&l->client->later, l->client->loop, milter_client_more);
			return;
		} else {
			reply_take(l->client, &r, slice_sub(in, 0, (size_t)n));
			if (l->client)
				stream_take(&l->io, (size_t)n);
		}
	}
}

void
milter_client_more(struct later *t)
{
	struct milter_client *c = CONTAINER(t, struct milter_client, later);

	if (c->link)
		milter_read(c->link);
	else
		milter_client_fail(c, "it has gone in the middle of a message");
}

static void
milter_on_input(struct stream *s)
{
	milter_read(CONTAINER(s, struct milter_link, io));
}

static void
milter_on_drained(struct stream *s)
{
	struct milter_client *c = CONTAINER(s, struct milter_link, io)->client;

	if (c && c->state == MILTER_CONTENT) {
		milter_content_go_on(c);
	} else if (c && c->state == MILTER_TELLING) {
		c->state = MILTER_IDLE;
		milter_done(c, &(struct milter_outcome){ .answer = MILTER_CONTINUE });
	}
}

static void
milter_on_closed(struct stream *s)
{
	struct milter_link *l = CONTAINER(s, struct milter_link, io);

	mem_release(l);
}

static const struct stream_events milter_events = { .input = milter_on_input,
	.drained = milter_on_drained,
	.closed = milter_on_closed };

static void
milter_connected(void *arg, int fd)
{
	struct milter_client *c = arg;
	struct milter_link *l;

	if (fd < 0) {
		milter_client_fail(c, strerror(-fd));
		return;
	}
	l = mem_new(sizeof(*l));
	stream_init(&l->io, c->loop, &milter_events, l);
	if (stream_open(&l->io, fd) < 0) {
		(void)close(fd);
		mem_release(l);
		milter_client_fail(c, "its connection cannot be used");
		return;
	}
	c->link = l;
	l->client = c;
	milter_offer_write(stream_out(&l->io));
	stream_start(&l->io);
	stream_flush(&l->io);
	milter_client_wait(c, true);
}

/* ---- for the owner ---------------------------------------------------------------------------- */

struct milter_client *
milter_client_new(struct loop *l, const struct milter_params *p, const struct milter_calls *calls,
    void *arg)
{
	struct milter_client *c = mem_new(sizeof(*c));

	c->loop = l;
	c->p = *p;
	c->calls = calls;
	c->arg = arg;
	deadline_init(&c->late);
	later_init(&c->later);
	return c;
}

void
milter_client_free(struct milter_client **cp)
{
	struct milter_client *c = *cp;

	*cp = NULL;
	if (!c)
		return;
	link_drop(c, c->state == MILTER_IDLE);
	buf_fini(&c->changes);
	arena_reset(&c->arena);
	mem_release(c);
}

bool
milter_client_open(const struct milter_client *c)
{
	return c->link && !stream_ended(&c->link->io);
}

bool
milter_client_ask(struct milter_client *c, enum milter_stage at, struct slice packet)
{
	if (at == MILTER_AT_CONNECT) {
		link_drop(c, c->state == MILTER_IDLE);
		arena_reset(&c->arena);
		buf_slice(&c->first, packet);
		c->at = at;
		c->state = MILTER_OPENING;
		connect_start(c->loop, &c->p.to, NULL, c->p.connect_ms, &c->op, milter_connected,
		    c);
		return false;
	}
	must(c->state == MILTER_IDLE || c->state == MILTER_CLOSED);
	if (c->state == MILTER_IDLE)
		return stage_send(c, at, packet);
	c->state = MILTER_ASKING;
	later_run(&c->later, c->loop, milter_client_more);
	return false;
}

bool
milter_client_change(struct milter_client *c, struct milter_reply *r)
{
	const char *why;
	int n = milter_reply_parse(slice_from(buf_get(&c->changes), c->changes_at), r, &why);

	c->changes_at += n > 0 ? (size_t)n : 0;
	return n > 0;
}

bool
milter_client_spaces(const struct milter_client *c)
{
	return c->terms.steps & MILTER_LEADING_SPACE;
}

bool
milter_client_hears_refused(const struct milter_client *c)
{
	return c->link && c->terms.steps & MILTER_REFUSED_RCPT;
}

void
milter_client_abort(struct milter_client *c)
{
	bool stuck = c->link && stream_backlog(&c->link->io) > STREAM_HIGH;

	if (stuck || (c->state != MILTER_IDLE && c->state != MILTER_CLOSED)) {
		link_drop(c, false);
	} else if (c->in_message && c->link) {
		milter_strings_write(stream_out(&c->link->io), MILTER_CMD_ABORT, NULL, 0);
		stream_flush(&c->link->io);
	}
	c->in_message = false;
}

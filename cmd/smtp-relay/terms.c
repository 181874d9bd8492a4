/* terms.c: what the keywords of channels (mta.cnf, tiermail-channels(5)) want of a message: of that which the session is
 * of, and of those that it goes by.
 *
 * Owns session.terms, set anew at each MAIL; an access table may set them otherwise ($S).  Called by session.c, rcpt.c and
 * message.c; nothing fails.  Must stay true: a channel without keywords costs one look. */
#include "stage.h"

static const struct verdict *
terms_no(struct session *s, struct verdict v)
{
	struct verdict *no = arena_new(&s->smtp.arena, sizeof(*no));

	*no = v;
	return no;
}

/* What SIZE declares, or what has come. */
static const struct verdict *
terms_size(struct session *s, uint64_t size)
{
	int64_t most = s->terms.blocks;

	if (s->terms.dest_blocks >= 0 && (most < 0 || s->terms.dest_blocks < most))
		most = s->terms.dest_blocks;
	return most >= 0 && size > (uint64_t)most * 1024 ?
	    terms_no(s, verdict(OUT_CHANNEL_SIZE, (long long)most)) :
	    NULL;
}

bool
terms_begin(struct session *s, const struct smtp_mail *mail)
{
	const struct mta_channel *c = relay_channel(s);
	const struct verdict *no;

	s->terms = (struct terms){ -1, -1, -1, -1, -1 };
	if (c) {
		s->terms.blocks = c->blocklimit;
		if (c->sourceblocklimit >= 0 &&
		    (s->terms.blocks < 0 || c->sourceblocklimit < s->terms.blocks))
			s->terms.blocks = c->sourceblocklimit;
		s->terms.lines = c->linelimit;
		s->terms.rcpts = c->recipientlimit;
		s->terms.cutoff = c->recipientcutoff;
	}
	no = terms_size(s, mail->size);
	if (no)
		smtp_server_answer(&s->smtp, no);
	return !no;
}

/* Those above are refused for now (RFC 5321 4.5.3.1.10). */
const struct verdict *
terms_rcpt(struct session *s)
{
	s->nrcpts_said++;
	return s->terms.rcpts >= 0 && s->nrcpts_asked >= (uint64_t)s->terms.rcpts ?
	    terms_no(s, verdict(OUT_RCPTS_MANY)) :
	    NULL;
}

const struct verdict *
terms_body(struct session *s)
{
	int64_t most = s->terms.cutoff;
	const struct verdict *no = terms_size(s, s->smtp.mail.size);

	if (!no && most >= 0 && s->nrcpts_said > (uint64_t)most)
		no = terms_no(s, verdict(OUT_CHANNEL_CUTOFF, (long long)most));
	return no;
}

const struct verdict *
terms_over(struct session *s)
{
	const struct verdict *no = terms_size(s, s->smtp.body.size);

	if (!no && s->terms.lines >= 0 && s->message->lines > (uint64_t)s->terms.lines)
		no = terms_no(s, verdict(OUT_CHANNEL_LINES, (long long)s->terms.lines));
	return no;
}

/* ---- the channels that it goes by -------------------------------------------------------- */

/* Neighbours mostly go by the same one. */
static const struct mta_channel *
terms_channel(const char *name, const struct mta_channel *before)
{
	return before && strcmp(before->name, name) == 0 ?
	    before :
	    mta_channel_named(relay.channels->rules, slice_str(name));
}

/* Whose size is declared is told at RCPT; else all of it is too large when it is here. */
const struct verdict *
terms_legs(struct session *s, const struct expand_result *r)
{
	const struct mta_channel *c = NULL;
	int64_t least = -1;

	if (relay.channels->made)
		return NULL;
	for (size_t i = 0; i < r->nlegs; i++) {
		c = terms_channel(r->legs[i].channel, c);
		if (c && c->blocklimit >= 0 && (least < 0 || c->blocklimit < least))
			least = c->blocklimit;
	}
	if (least < 0)
		return NULL;
	if (s->smtp.mail.size > (uint64_t)least * 1024)
		return terms_no(s, verdict(OUT_CHANNEL_SIZE, (long long)least));
	if (s->terms.dest_blocks < 0 || least < s->terms.dest_blocks)
		s->terms.dest_blocks = least;
	return NULL;
}

/* As far as it is known: all of it when filters have it, else what SIZE has declared. */
static uint64_t
terms_known_size(const struct session *s)
{
	return s->filters ? s->smtp.body.size : s->smtp.mail.size;
}

static void
terms_detour(struct session *s, struct qrcpt *q, const struct mta_channel *c)
{
	bool large =
	    c->alternate_blocks >= 0 && terms_known_size(s) > (uint64_t)c->alternate_blocks * 1024;
	bool many = c->alternate_recipients >= 0 && s->nrcpts > (size_t)c->alternate_recipients;

	if (c->alternatechannel && (large || many) &&
	    channels_find(relay.channels, slice_str(c->alternatechannel)))
		q->channel = arena_str(&s->smtp.arena, c->alternatechannel);
}

void
terms_envelope(struct session *s)
{
	const struct mta_channel *c = relay_channel(s);

	if (relay.channels->made)
		return;
	if (c && c->holdlimit >= 0 && s->nrcpts > (size_t)c->holdlimit && !s->asked_for.hold)
		s->asked_for.hold = "more recipients than holdlimit of the channel";
	c = NULL;
	for (size_t i = 0; i < s->nrcpts; i++) {
		struct qrcpt *q = &s->rcpts[i];

		c = terms_channel(q->channel, c);
		if (!c)
			continue;
		if (c->alternatechannel)
			terms_detour(s, q, c);
		if (c->single == 1)
			q->part = (unsigned)i + 1;
		else if (c->addrsperfile > 0)
			q->part = (unsigned)((int64_t)i / c->addrsperfile) + 1;
	}
}

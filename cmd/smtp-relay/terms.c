/* terms.c: what the keywords of the channel that a session is of (mta.cnf, tiermail-channels(5)) want of its messages.
 *
 * Owns session.terms, set anew at each MAIL; an access table may set them otherwise ($S).  Called by session.c, rcpt.c and
 * message.c; nothing fails.  Must stay true: a channel without keywords costs one look. */
#include "relay.h"

const struct mta_channel *
relay_channel(const struct session *s)
{
	const struct channels *c = relay.channels;

	return c->made ? NULL : mta_channel_named(c->rules, slice_str(relay_message_source(s)));
}

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

	return most >= 0 && size > (uint64_t)most * 1024 ?
	    terms_no(s, verdict(OUT_CHANNEL_SIZE, (long long)most)) :
	    NULL;
}

bool
terms_begin(struct session *s, const struct smtp_mail *mail)
{
	const struct mta_channel *c = relay_channel(s);
	const struct verdict *no;

	s->terms = (struct terms){ -1, -1, -1 };
	if (c) {
		s->terms.blocks = c->blocklimit;
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
	return terms_size(s, s->smtp.body.size);
}

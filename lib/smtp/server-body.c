/* smtp/server-body.c: DATA (RFC 5321 4.1.1.4) and BDAT (RFC 3030) of the server.
 *
 * Between the question whether a body may begin and the answer at its end; server.c calls it with
 * what arrives, body.c cleans it, the owner gets the bytes.  A fault of the body, a refusal and a
 * limit are answered at its end alone, and all octets are read until then: an answer in the middle
 * would make commands of what follows.  Must stay true: each body gets one answer, in LMTP one for
 * each accepted recipient; a chunk that nobody wants is read over, and nothing of it gets out. */
#include "smtp/server-impl.h"

/* Clean bytes on their way to the owner. */
static void
body_bytes(void *arg, struct slice bytes)
{
	struct smtp_server *s = arg;

	if (!s->failed)
		s->policy->bytes(s, bytes);
}

static void
body_prepare(struct smtp_server *s, bool bdat)
{
	const struct smtp_limits *lim = s->policy->limits;

	s->body = (struct smtp_body){ .bdat = bdat,
		.normalise = lim->normalise,
		.line_max = lim->line,
		.size_max = lim->size,
		.emit = body_bytes,
		.arg = s };
	smtp_body_begin(&s->body);
	s->body_at = loop_now(s->loop);
	s->body_got = 0;
}

static void
ask_body(struct smtp_server *s)
{
	struct verdict yes;

	smtp_server_put_question(s, ASK_BODY, 1);
	if (s->policy->body) {
		s->policy->body(s);
		return;
	}
	yes = verdict(OUT_OK);
	smtp_server_answer(s, &yes);
}

enum smtp_next
smtp_server_data(struct smtp_server *s, struct slice arg)
{
	struct verdict v;

	if (arg.n) {
		v = verdict(OUT_VERB_TAKES_NONE, "DATA");
		return smtp_server_say(s, &v);
	}
	body_prepare(s, false);
	ask_body(s);
	return smtp_server_asked(s);
}

/* Every BDAT that can be read is followed by its octets, whatever we think of it. */
enum smtp_next
smtp_server_bdat(struct smtp_server *s, struct slice arg)
{
	struct verdict v;
	const char *why;
	uint64_t size;
	bool last;

	if (smtp_bdat_parse(arg, &size, &last, &why) < 0) {
		/* How many octets follow?  Nobody knows. */
		v = verdict(OUT_ARGUMENT_BAD, why);
		return smtp_server_bye(s, "protocol", &v);
	}
	s->bdat_last = last;
	s->stray = 0;
	if (s->state == SMTP_IN_RCPT && !s->no_chunking) {
		body_prepare(s, true);
		s->body.chunk = size;
		s->state = SMTP_IN_BDAT;
		ask_body(s);
		return smtp_server_asked(s);
	}
	if (s->state != SMTP_IN_BDAT) {
		body_prepare(s, true);
		s->stray = 1;
	}
	s->body.chunk = size;
	s->body_at = loop_now(s->loop);
	s->body_got = 0;
	s->phase = PHASE_BODY;
	return SMTP_NEXT;
}

void
smtp_server_body_judged(struct smtp_server *s, const struct verdict *v)
{
	if (s->body.bdat) {
		if (v->kind != OK)
			smtp_server_fail(s, v);
		s->phase = PHASE_BODY;
	} else if (v->kind == OK) {
		smtp_reply_write(stream_out(&s->line.io), 354, NULL, S("end with CRLF.CRLF"));
		s->phase = PHASE_BODY;
	} else {
		smtp_server_put_reply(s, v);
	}
}

/* ---- the end -------------------------------------------------------------------------- */

void
smtp_server_end_judged(struct smtp_server *s, const struct verdict *v)
{
	smtp_server_put_reply(s, v);
	if (s->answers == 0)
		smtp_server_forget(s);
}

/* The whole body has arrived. */
static void
smtp_server_body_end(struct smtp_server *s)
{
	uint32_t n = s->policy->lmtp ? s->nrcpt : 1;
	struct verdict v;

	s->transactions++;
	if (!s->failed && s->body.fault == SMTP_FAULT_NONE) {
		smtp_server_put_question(s, ASK_END, n);
		s->policy->end(s);
		return;
	}
	v = s->failed ? *s->failed : smtp_fault_verdict(s->body.fault);
	for (uint32_t i = 0; i < n; i++)
		smtp_server_put_reply(s, &v);
	smtp_server_forget(s);
}

/* A chunk has arrived. */
static void
chunk_end(struct smtp_server *s)
{
	struct verdict v;

	if (s->stray) {
		v = s->state == SMTP_GREETED ? verdict(OUT_ORDER_FIRST, "EHLO") :
					       verdict(OUT_ORDER_NO_RCPT);
		s->stray = 0;
		smtp_server_put_reply(s, &v);
	} else if (s->bdat_last) {
		smtp_body_finish(&s->body);
		smtp_server_body_end(s);
	} else {
		if (s->failed)
			v = *s->failed;
		else if (s->body.fault)
			v = smtp_fault_verdict(s->body.fault);
		else
			v = verdict(OUT_CHUNK_TAKEN, (unsigned long long)s->body.size);
		smtp_server_put_reply(s, &v);
	}
}

/* ---- the way --------------------------------------------------------------------------- */

/* Too slow, or endless?  A body that we no longer keep must not go on for ever either. */
static bool
patience_lost(const struct smtp_server *s)
{
	const struct smtp_limits *lim = s->policy->limits;
	uint64_t ms = loop_now(s->loop) - s->body_at;

	if (lim->data_rate && ms > lim->data_ms && s->body_got / lim->data_rate < ms / 1000)
		return true;
	return lim->size && s->body_got / 2 > lim->size + (32u << 20);
}

enum line_next
smtp_server_body(struct smtp_server *s)
{
	struct slice in = stream_peek(&s->line.io);
	struct verdict v;
	bool end = s->body.bdat && s->body.chunk == 0;
	size_t n;

	if (in.n == 0 && !end)
		return LINE_DRY;
	s->progress = 1;
	if (!end) {
		/* A stray chunk is read over: nothing of it may come out. */
		if (s->stray) {
			n = in.n > s->body.chunk ? (size_t)s->body.chunk : in.n;
			s->body.chunk -= n;
			end = s->body.chunk == 0;
		} else {
			n = smtp_body_feed(&s->body, in, &end);
		}
		stream_take(&s->line.io, n);
		s->body_got += n;
	}
	if (end) {
		s->phase = PHASE_COMMAND;
		if (s->body.bdat)
			chunk_end(s);
		else
			smtp_server_body_end(s);
		return s->asking == ASK_NOTHING ? LINE_ON : LINE_WAIT;
	}
	if (patience_lost(s)) {
		v = verdict(OUT_CLIENT_SLOW, s->policy->hostname);
		smtp_server_bye(s, "slow", &v);
		return LINE_CLOSE;
	}
	return LINE_ON;
}

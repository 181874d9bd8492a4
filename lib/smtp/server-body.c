/* server-body.c: DATA (RFC 5321 4.1.1.4) and BDAT (RFC 3030) of the server. */
#include "smtp/server-impl.h"

/* Clean bytes on their way to the owner. */
static void
body_bytes(void *arg, struct slice bytes)
{
	struct smtp_server *s = arg;

	if (s->failed == NULL)
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

	server_ask(s, ASK_BODY, 1);
	if (s->policy->body) {
		s->policy->body(s);
		return;
	}
	yes = verdict(OK, 250, "2.0.0", "ok");
	smtp_server_answer(s, &yes);
}

enum smtp_next
server_data(struct smtp_server *s, struct slice arg)
{
	struct verdict v;

	if (arg.n) {
		v = verdict(PERM, 501, "5.5.4", "DATA takes no argument");
		return smtp_server_say(s, &v);
	}
	body_prepare(s, false);
	ask_body(s);
	return server_asked(s);
}

/* Every BDAT that can be read is followed by its octets, whatever we think of it. */
enum smtp_next
server_bdat(struct smtp_server *s, struct slice arg)
{
	struct verdict v;
	const char *why;
	uint64_t size;
	bool last;

	if (smtp_bdat_parse(arg, &size, &last, &why) < 0) {
		/* How many octets follow?  Nobody knows. */
		v = verdict(PERM, 501, "5.5.4", "%s", why);
		return server_bye(s, "protocol", &v);
	}
	s->bdat_last = last;
	s->stray = 0;
	if (s->state == SMTP_IN_RCPT) {
		body_prepare(s, true);
		s->body.chunk = size;
		s->state = SMTP_IN_BDAT;
		ask_body(s);
		return server_asked(s);
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
server_body_judged(struct smtp_server *s, const struct verdict *v)
{
	if (s->body.bdat) {
		if (v->kind != OK)
			smtp_server_fail(s, v);
		s->phase = PHASE_BODY;
	} else if (v->kind == OK) {
		smtp_reply_write(stream_out(&s->io), 354, NULL, S("end with CRLF.CRLF"));
		s->phase = PHASE_BODY;
	} else {
		server_say(s, v);
	}
}

/* ---- the end -------------------------------------------------------------------------- */

void
server_end_judged(struct smtp_server *s, const struct verdict *v)
{
	server_say(s, v);
	if (s->answers == 0)
		server_forget(s);
}

/* The whole body has arrived. */
static void
body_end(struct smtp_server *s)
{
	uint32_t n = s->policy->lmtp ? s->nrcpt : 1;
	struct verdict v;

	s->transactions++;
	if (s->failed == NULL && s->body.fault == SMTP_FAULT_NONE) {
		server_ask(s, ASK_END, n);
		s->policy->end(s);
		return;
	}
	v = s->failed ? *s->failed : smtp_fault_verdict(s->body.fault);
	for (uint32_t i = 0; i < n; i++)
		server_say(s, &v);
	server_forget(s);
}

/* A chunk has arrived. */
static void
chunk_end(struct smtp_server *s)
{
	struct verdict v;

	if (s->stray) {
		v = verdict(PERM, 503, "5.5.1", "%s",
		    s->state == SMTP_GREETED ? "EHLO first" : "no valid recipients");
		s->stray = 0;
		server_say(s, &v);
	} else if (s->bdat_last) {
		smtp_body_finish(&s->body);
		body_end(s);
	} else {
		if (s->failed)
			v = *s->failed;
		else if (s->body.fault)
			v = smtp_fault_verdict(s->body.fault);
		else
			v = verdict(OK, 250, "2.0.0", "chunk taken, %llu octets so far",
			    (unsigned long long)s->body.size);
		server_say(s, &v);
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

enum smtp_step
server_body(struct smtp_server *s)
{
	struct slice in = stream_peek(&s->io);
	struct verdict v;
	bool end = s->body.bdat && s->body.chunk == 0;
	size_t n;

	if (in.n == 0 && !end)
		return STEP_DRY;
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
		stream_take(&s->io, n);
		s->body_got += n;
	}
	if (end) {
		s->phase = PHASE_COMMAND;
		if (s->body.bdat)
			chunk_end(s);
		else
			body_end(s);
		return s->asking == ASK_NOTHING ? STEP_ON : STEP_WAIT;
	}
	if (patience_lost(s)) {
		v = verdict(TEMP, 421, "4.4.2", "%s too slow or too much, closing",
		    s->policy->hostname);
		server_bye(s, "slow", &v);
		return STEP_CLOSE;
	}
	return STEP_ON;
}

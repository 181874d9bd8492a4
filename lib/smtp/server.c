/* server.c: the session's life: opening, the loop, questions and answers, time, closing. */
#include <errno.h>
#include "base/mem.h"
#include "base/must.h"
#include "smtp/server-impl.h"

static void run(struct smtp_server *s);

/* ---- saying ------------------------------------------------------------------------- */

void
server_say(struct smtp_server *s, const struct verdict *v)
{
	smtp_reply_verdict(stream_out(&s->io), v);
	if (v->kind == OK)
		return;
	s->errors += v->kind == PERM;
	if (s->policy->refused)
		s->policy->refused(s, s->verb ? s->verb : "", v);
}

enum smtp_next
smtp_server_say(struct smtp_server *s, const struct verdict *v)
{
	server_say(s, v);
	return SMTP_NEXT;
}

enum smtp_next
server_bye(struct smtp_server *s, const char *why, const struct verdict *v)
{
	server_say(s, v);
	s->why = why;
	return SMTP_CLOSE;
}

enum smtp_next
smtp_server_ask(struct smtp_server *s, struct slice text,
    enum smtp_next (*fn)(struct smtp_server *, struct slice line))
{
	smtp_reply_write(stream_out(&s->io), 334, NULL, text);
	s->line_fn = fn;
	return SMTP_NEXT;
}

/* ---- questions ---------------------------------------------------------------------- */

void
server_ask(struct smtp_server *s, enum smtp_asking what, uint32_t n)
{
	must(s->asking == ASK_NOTHING);
	s->asking = (uint8_t)what;
	s->answers = n;
}

enum smtp_next
server_asked(const struct smtp_server *s)
{
	return s->asking == ASK_NOTHING ? SMTP_NEXT : SMTP_WAIT;
}

void
server_forget(struct smtp_server *s)
{
	if (s->open && s->policy->reset)
		s->policy->reset(s);
	s->open = 0;
	s->nrcpt = 0;
	s->failed = NULL;
	s->mail = (struct smtp_mail){ 0 };
	arena_reset(&s->arena);
	if (s->state != SMTP_GREETED)
		s->state = SMTP_READY;
}

static void
mail_judged(struct smtp_server *s, const struct verdict *v)
{
	server_say(s, v);
	if (v->kind == OK)
		s->state = SMTP_IN_MAIL;
	else
		server_forget(s);
}

static void
rcpt_judged(struct smtp_server *s, const struct verdict *v)
{
	server_say(s, v);
	if (v->kind == OK) {
		s->nrcpt++;
		s->state = SMTP_IN_RCPT;
	}
}

static void
helo_judged(struct smtp_server *s, const struct verdict *v)
{
	if (v->kind == OK)
		server_hello(s);
	else
		server_say(s, v);
}

void
smtp_server_answer(struct smtp_server *s, const struct verdict *v)
{
	enum smtp_asking what = (enum smtp_asking)s->asking;
	uint32_t errors = s->errors;

	must(s->answers > 0 && what != ASK_NOTHING && what != ASK_OWN);
	if (--s->answers == 0)
		s->asking = ASK_NOTHING;
	if (!s->closing) {
		switch (what) {
		case ASK_HELO:
			helo_judged(s, v);
			break;
		case ASK_MAIL:
			mail_judged(s, v);
			break;
		case ASK_RCPT:
			rcpt_judged(s, v);
			break;
		case ASK_BODY:
			server_body_judged(s, v);
			break;
		case ASK_END:
			server_end_judged(s, v);
			break;
		case ASK_VRFY:
		case ASK_NOTHING:
		case ASK_OWN:
		case ASK_TLS:
			server_say(s, v);
			break;
		}
	}
	/* A relay that delivers by LMTP cannot know what becomes of its recipients. */
	if (s->policy->lmtp && (what == ASK_RCPT || what == ASK_END))
		s->errors = errors;
	if (s->asking == ASK_NOTHING && s->waiting) {
		s->waiting = 0;
		run(s);
	}
}

void
smtp_server_resume(struct smtp_server *s, enum smtp_next next)
{
	must(s->asking == ASK_OWN && next != SMTP_WAIT);
	s->asking = ASK_NOTHING;
	if (next == SMTP_CLOSE)
		s->bye = 1;
	if (s->waiting) {
		s->waiting = 0;
		run(s);
	}
}

void
smtp_server_fail(struct smtp_server *s, const struct verdict *v)
{
	if (s->failed == NULL) {
		s->failed = arena_new(&s->arena, sizeof(*v));
		*s->failed = *v;
	}
}

/* ---- the loop ----------------------------------------------------------------------- */

static void
finish(struct smtp_server *s)
{
	if (s->closing)
		return;
	s->closing = 1;
	deadline_clear(&s->deadline);
	stream_finish(&s->io);
}

static void on_deadline(struct deadline *d);
static void cut(struct smtp_server *s, const char *why, const char *esc, const char *text);

/* Nothing more to do before input comes: all that PIPELINING asks of a server is to flush
 * here (RFC 2920 3.2). */
static void
wait_for_input(struct smtp_server *s)
{
	const struct smtp_limits *lim = s->policy->limits;

	if (stream_eof(&s->io)) {
		if (s->why == NULL)
			s->why = "eof";
		finish(s);
		return;
	}
	if (s->ending && !s->open) {
		cut(s, "shutdown", "4.3.2", s->ending);
		return;
	}
	stream_flush(&s->io);
	/* A command must be whole by its time, however its bytes drip; a body has a time for
	 * each piece and a rate for all. */
	if (s->progress) {
		deadline_set(&s->deadline, s->loop,
		    s->phase == PHASE_BODY ? lim->data_ms : lim->command_ms, on_deadline);
		s->progress = 0;
	}
	if (stream_backlog(&s->io) > STREAM_HIGH) {
		/* Who does not read our replies gets no more: see on_drained. */
		stream_stop(&s->io);
		s->stopped = 1;
	} else if (s->stopped) {
		s->stopped = 0;
		stream_start(&s->io);
	}
}

static void
too_many(struct smtp_server *s)
{
	struct verdict v = verdict(TEMP, 421, "4.7.0", "%s too many errors", s->policy->hostname);

	server_bye(s, "errors", &v);
	s->bye = 1;
}

static void
run(struct smtp_server *s)
{
	enum smtp_step step = STEP_ON;

	if (s->running || s->waiting || s->closing)
		return;
	s->running = 1;
	while (step == STEP_ON) {
		if (!s->bye && s->policy->limits->errors &&
		    s->errors >= s->policy->limits->errors)
			too_many(s);
		if (s->bye)
			step = STEP_CLOSE;
		else if (s->phase == PHASE_COMMAND)
			step = server_command(s);
		else if (s->phase == PHASE_BODY)
			step = server_body(s);
		else
			step = server_skip(s);
	}
	s->running = 0;
	if (step == STEP_CLOSE)
		finish(s);
	else if (step == STEP_WAIT)
		s->waiting = 1;
	else
		wait_for_input(s);
}

static void
on_input(struct stream *io)
{
	struct smtp_server *s = io->data;

	if (s->waiting || s->closing) {
		/* One command at a time: what comes meanwhile stays with the kernel. */
		if (!s->closing && !s->stopped) {
			s->stopped = 1;
			stream_stop(io);
		}
		return;
	}
	run(s);
}

static void
on_drained(struct stream *io)
{
	struct smtp_server *s = io->data;

	if (s->stopped && !s->waiting && !s->closing)
		run(s);
}

/* Cuts off at once what nobody waits for: `text` behind the code is for people. */
static void
cut(struct smtp_server *s, const char *why, const char *esc, const char *text)
{
	struct verdict v = verdict(TEMP, 421, esc, "%s %s", s->policy->hostname, text);

	if (s->asking == ASK_TLS) {
		s->why = why; /* no reply can be said in the middle of a handshake */
		s->closing = 1;
		deadline_clear(&s->deadline);
		stream_close(&s->io);
		return;
	}
	server_bye(s, why, &v);
	finish(s);
}

static void
on_deadline(struct deadline *d)
{
	struct smtp_server *s = CONTAINER(d, struct smtp_server, deadline);

	if (s->closing)
		return;
	if (s->waiting && s->asking != ASK_TLS)
		/* Ours, not the client's. */
		deadline_set(d, s->loop, s->policy->limits->command_ms, on_deadline);
	else
		cut(s, "timeout", "4.4.2", "timeout, closing");
}

void
smtp_server_shutdown(struct smtp_server *s, const char *text)
{
	if (s->closing || s->bye)
		return;
	s->ending = text; /* else wait_for_input says it */
	if (s->asking == ASK_TLS || (!s->waiting && !s->open))
		cut(s, "shutdown", "4.3.2", text);
}

/* ---- opening, TLS, closing ---------------------------------------------------------- */

static void
on_secured(struct stream *io, int error, const char *why)
{
	struct smtp_server *s = io->data;
	bool first = s->state == 0;

	must(s->asking == ASK_TLS);
	s->asking = ASK_NOTHING;
	if (error) {
		if (s->policy->secured)
			s->policy->secured(s, error, why);
		s->why = "tls";
		s->closing = 1;
		deadline_clear(&s->deadline);
		stream_close(io);
		return;
	}
	/* RFC 3207 4.2: everything said before the handshake is forgotten. */
	mem_free(&s->helo);
	s->state = SMTP_GREETED;
	server_forget(s);
	s->authed = 0;
	if (s->policy->secured)
		s->policy->secured(s, 0, NULL);
	if (first)
		server_greet(s);
	s->progress = 1;
	s->waiting = 0;
	run(s);
}

static void
on_closed(struct stream *io)
{
	struct smtp_server *s = io->data;

	deadline_clear(&s->deadline);
	s->state = SMTP_GREETED;
	s->closing = 1;
	server_forget(s);
	mem_free(&s->helo);
	s->policy->closed(s);
}

static const struct stream_events events = {
	.input = on_input,
	.drained = on_drained,
	.secured = on_secured,
	.closed = on_closed,
};

static int
open_stream(struct smtp_server *s, struct loop *l, int fd)
{
	must(s->policy != NULL);
	s->loop = l;
	deadline_init(&s->deadline);
	stream_init(&s->io, l, &events, s);
	return stream_open(&s->io, fd);
}

int
smtp_server_open(struct smtp_server *s, struct loop *l, int fd, bool implicit)
{
	int r = open_stream(s, l, fd);

	if (r < 0)
		return r;
	s->progress = 1;
	if (implicit) {
		must(s->tls_ctx != NULL);
		s->asking = ASK_TLS;
		s->waiting = 1;
		deadline_set(&s->deadline, l, s->policy->limits->command_ms, on_deadline);
		r = stream_tls_accept(&s->io, s->tls_ctx);
		if (r < 0) {
			s->why = "tls";
			s->closing = 1;
			stream_close(&s->io);
		} else {
			stream_start(&s->io);
		}
		return 0;
	}
	server_greet(s);
	stream_start(&s->io);
	run(s);
	return 0;
}

int
smtp_server_refuse(struct smtp_server *s, struct loop *l, int fd, const struct verdict *v)
{
	int r = open_stream(s, l, fd);

	if (r < 0)
		return r;
	s->verb = "connect";
	server_bye(s, "refused", v);
	finish(s);
	return 0;
}

/* smtp/server.c: questions and answers of a session, and what it is to net/line-session.
 *
 * Owns: the transaction and the question in flight.  Called by line-session (steps, time, ends) and by
 * the owner (answers).  Can fail: only opening.  Must stay true: each question has exactly the answers
 * that it asked for, and none is said once the session is CLOSED.  server-command.c has the commands,
 * server-body.c the way of the body: both are steps of the same loop. */
#include "smtp/server.h"

#include "base/mem.h"
#include "base/must.h"
#include "smtp/server-impl.h"

/* ---- saying ------------------------------------------------------------------------- */

void
smtp_server_put_reply(struct smtp_server *s, const struct verdict *v)
{
	struct slice words = s->words;

	if (s->line.state == LINE_CLOSED) /* the last words were said while this was asked */
		return;
	s->words = (struct slice){ 0 }; /* answers that follow are others */
	if (words.n)
		smtp_reply_words(stream_out(&s->line.io), v, words);
	else
		smtp_reply_verdict(stream_out(&s->line.io), v);
	if (v->kind == OK)
		return;
	if (v->kind == PERM)
		(void)line_session_fault(&s->line, 0);
	if (s->policy->refused)
		s->policy->refused(s, s->verb ? s->verb : "", v);
}

enum smtp_next
smtp_server_say(struct smtp_server *s, const struct verdict *v)
{
	smtp_server_put_reply(s, v);
	return SMTP_NEXT;
}

enum smtp_next
smtp_server_bye(struct smtp_server *s, const char *why, const struct verdict *v)
{
	smtp_server_put_reply(s, v);
	s->line.why = why;
	return SMTP_CLOSE;
}

enum smtp_next
smtp_server_ask(struct smtp_server *s, struct slice text,
    enum smtp_next (*fn)(struct smtp_server *, struct slice line))
{
	smtp_reply_write(stream_out(&s->line.io), 334, NULL, text);
	s->line_fn = fn;
	return SMTP_NEXT;
}

/* ---- questions ---------------------------------------------------------------------- */

void
smtp_server_put_question(struct smtp_server *s, enum smtp_asking what, uint32_t n)
{
	must(s->asking == ASK_NOTHING);
	s->asking = (uint8_t)what;
	s->asked_ms = loop_now(s->loop);
	s->answers = n;
}

enum smtp_next
smtp_server_asked(const struct smtp_server *s)
{
	return s->asking == ASK_NOTHING ? SMTP_NEXT : SMTP_WAIT;
}

void
smtp_server_forget(struct smtp_server *s)
{
	if ((s->open || s->told) && s->policy->reset)
		s->policy->reset(s);
	s->open = s->told = 0;
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
	smtp_server_put_reply(s, v);
	if (v->kind == OK)
		s->state = SMTP_IN_MAIL;
	else
		smtp_server_forget(s);
}

static void
rcpt_judged(struct smtp_server *s, const struct verdict *v)
{
	smtp_server_put_reply(s, v);
	if (v->kind == OK) {
		s->nrcpt++;
		s->state = SMTP_IN_RCPT;
	}
}

static void
helo_judged(struct smtp_server *s, const struct verdict *v)
{
	if (v->kind == OK)
		smtp_server_hello(s);
	else
		smtp_server_put_reply(s, v);
}

void
smtp_server_answer(struct smtp_server *s, const struct verdict *v)
{
	enum smtp_asking what = (enum smtp_asking)s->asking;
	uint32_t faults = s->line.faults;

	must(s->answers > 0 && what != ASK_NOTHING && what != ASK_OWN);
	if (--s->answers == 0)
		s->asking = ASK_NOTHING;
	if (s->line.state != LINE_CLOSED) {
		switch (what) {
		case ASK_HELO: helo_judged(s, v); break;
		case ASK_MAIL: mail_judged(s, v); break;
		case ASK_RCPT: rcpt_judged(s, v); break;
		case ASK_BODY: smtp_server_body_judged(s, v); break;
		case ASK_END: smtp_server_end_judged(s, v); break;
		case ASK_VRFY:
		case ASK_UNKNOWN:
		case ASK_NOTHING:
		case ASK_OWN: smtp_server_put_reply(s, v); break;
		}
	}
	if (s->asking == ASK_NOTHING && s->last && !s->bye) {
		struct verdict bye = verdict(OUT_CLOSING, s->policy->hostname, s->last);

		smtp_server_end(s, "errors", &bye);
	}
	/* A relay that delivers by LMTP cannot know what becomes of its recipients. */
	if (s->policy->lmtp && (what == ASK_RCPT || what == ASK_END))
		s->line.faults = faults;
	/* An answer from inside the question finds the step still running. */
	if (s->asking == ASK_NOTHING && s->line.state == LINE_WAITING)
		line_session_resume(&s->line, LINE_ON);
}

void
smtp_server_answer_words(struct smtp_server *s, const struct verdict *v, struct slice words)
{
	s->words = words;
	smtp_server_answer(s, v);
}

void
smtp_server_resume(struct smtp_server *s, enum smtp_next next)
{
	must(s->asking == ASK_OWN && next != SMTP_WAIT);
	s->asking = ASK_NOTHING;
	if (next == SMTP_CLOSE)
		s->bye = 1;
	if (s->line.state == LINE_WAITING)
		line_session_resume(&s->line, LINE_ON);
}

void
smtp_server_fail(struct smtp_server *s, const struct verdict *v)
{
	if (!s->failed) {
		s->failed = arena_new(&s->arena, sizeof(*v));
		*s->failed = *v;
	}
}

/* ---- what net/line-session asks ------------------------------------------------------ */

/* Takes one command, or one piece of a body. */
static enum line_next
smtp_server_step(struct line_session *l)
{
	struct smtp_server *s = CONTAINER(l, struct smtp_server, line);
	const struct smtp_limits *lim = s->policy->limits;
	enum line_next next;

	if (!s->bye && lim->errors && l->faults >= lim->errors) {
		struct verdict v = verdict(OUT_ERRORS_MANY, s->policy->hostname);

		smtp_server_bye(s, "errors", &v);
		s->bye = 1;
	}
	if (s->bye)
		return LINE_CLOSE;
	switch ((enum smtp_phase)s->phase) {
	case PHASE_COMMAND: next = smtp_server_command(s); break;
	case PHASE_BODY: next = smtp_server_body(s); break;
	case PHASE_SKIP:
	default: next = smtp_server_skip(s); break;
	}
	/* A command must be whole by its time, however its bytes drip; a body has a time for
	 * each piece and a rate for all. */
	if (next == LINE_DRY && s->progress) {
		line_session_time(l, s->phase == PHASE_BODY ? lim->data_ms : lim->command_ms, true);
		s->progress = 0;
	}
	return next;
}

static void
smtp_server_on_greet(struct line_session *l)
{
	struct smtp_server *s = CONTAINER(l, struct smtp_server, line);

	if (!s->bye) /* else `secured` has said the last words, behind implicit TLS */
		smtp_server_greet(s);
}

/* Between transactions; and while somebody whom we ask about anything but a whole message says nothing:
 * the client can ask the next server the same. */
static bool
smtp_server_between(struct line_session *l)
{
	struct smtp_server *s = CONTAINER(l, struct smtp_server, line);

	if (l->state == LINE_READING)
		return !s->open;
	return s->asking != ASK_NOTHING && s->asking != ASK_END &&
	    loop_now(s->loop) - s->asked_ms >= LINE_SILENT_MS;
}

static void
smtp_server_on_bye(struct line_session *l, enum line_bye why)
{
	struct smtp_server *s = CONTAINER(l, struct smtp_server, line);
	const char *host = s->policy->hostname;
	struct verdict v;

	v = why == LINE_TIMEOUT ? verdict(OUT_CLIENT_SILENT, host) :
				  verdict(OUT_CLOSING, host, s->ending);
	smtp_server_put_reply(s, &v);
}

static void
server_begin_again(struct smtp_server *s)
{
	mem_free(&s->helo);
	s->state = SMTP_GREETED;
	smtp_server_forget(s);
	s->authed = 0;
	s->progress = 1;
}

void
smtp_server_anew(struct smtp_server *s)
{
	server_begin_again(s);
	smtp_server_greet(s);
}

static void
smtp_server_on_secured(struct line_session *l, int error, const char *why)
{
	struct smtp_server *s = CONTAINER(l, struct smtp_server, line);

	if (!error) /* RFC 3207 4.2: everything said before the handshake is forgotten. */
		server_begin_again(s);
	if (s->policy->secured)
		s->policy->secured(s, error, why);
}

static void
smtp_server_on_closed(struct line_session *l)
{
	struct smtp_server *s = CONTAINER(l, struct smtp_server, line);

	s->state = SMTP_GREETED;
	smtp_server_forget(s);
	mem_free(&s->helo);
	s->policy->closed(s);
}

static void
smtp_server_on_release(struct line_session *l)
{
	struct smtp_server *s = CONTAINER(l, struct smtp_server, line);

	s->policy->release(s);
}

#define SMTP_SERVER_EVENTS                                                                         \
	.step = smtp_server_step, .greet = smtp_server_on_greet,                                   \
	.secured = smtp_server_on_secured, .between = smtp_server_between,                         \
	.bye = smtp_server_on_bye, .closed = smtp_server_on_closed

/* No `release`: a transaction that is being committed when the peer goes is committed. */
static const struct line_events smtp_server_events = { SMTP_SERVER_EVENTS };
static const struct line_events smtp_server_release_events = { SMTP_SERVER_EVENTS,
	.release = smtp_server_on_release };

/* ---- opening, closing ---------------------------------------------------------------- */

static int
smtp_server_init(struct smtp_server *s, struct loop *l, int fd)
{
	int r;

	must(s->policy);
	s->loop = l;
	s->progress = 1;
	r = line_session_init(&s->line, l, fd,
	    s->policy->release ? &smtp_server_release_events : &smtp_server_events, s->sid);
	if (r == 0)
		stream_trace(&s->line.io, s->policy->lmtp ? "lmtp" : "smtp", s->sid, false);
	return r;
}

int
smtp_server_open(struct smtp_server *s, struct loop *l, int fd, bool implicit)
{
	int r = smtp_server_init(s, l, fd);

	if (r < 0)
		return r;
	line_session_time(&s->line, s->policy->limits->command_ms, true);
	must(s->tls_ctx || !implicit);
	line_session_open(&s->line, implicit ? s->tls_ctx : NULL);
	return 0;
}

int
smtp_server_refuse(struct smtp_server *s, struct loop *l, int fd, const struct verdict *v)
{
	int r = smtp_server_init(s, l, fd);

	if (r < 0)
		return r;
	s->verb = "connect";
	smtp_server_put_reply(s, v);
	line_session_finish(&s->line, "refused");
	return 0;
}

void
smtp_server_leave(struct smtp_server *s, const struct stream_events *ev, void *data)
{
	must(s->asking == ASK_OWN);
	s->asking = ASK_NOTHING;
	s->state = SMTP_GREETED;
	smtp_server_forget(s);
	mem_free(&s->helo);
	line_session_leave(&s->line, ev, data);
}

bool
smtp_server_dawdles(const struct smtp_server *s, uint64_t ms)
{
	uint64_t took = loop_now(s->loop) - s->body_at, rate = s->policy->limits->data_rate;

	if (line_session_awaited(&s->line) > ms)
		return true;
	return s->phase == PHASE_BODY && took > ms && s->body_got < rate * (took / 1000);
}

void
smtp_server_expire(struct smtp_server *s)
{
	line_session_expire(&s->line);
}

void
smtp_server_end(struct smtp_server *s, const char *why, const struct verdict *v)
{
	(void)smtp_server_bye(s, why, v);
	s->bye = 1;
}

void
smtp_server_last(struct smtp_server *s, const char *text)
{
	s->last = text;
}

void
smtp_server_shutdown(struct smtp_server *s, const char *text)
{
	if (s->bye)
		return;
	s->ending = text;
	line_session_drain(&s->line);
}

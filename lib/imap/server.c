/* imap/server.c: the life of an IMAP session: begin, steps, answers, end.
 *
 * Owns: the command in flight with its memory, its cursor and its one operation.  Called by
 * net/line-session (steps and ends) and by the owner's handlers (answers).  Can fail: only opening.
 * Must stay true: every command ends in exactly one tagged answer (write_final), and memory of a
 * command never outlives it (imap_server_over).  server-line.c has the input, server-auth.c what
 * comes before the login: so each can be read alone. */
#include "imap/server.h"

#include <stdarg.h>
#include <string.h>

#include "base/mem.h"
#include "base/must.h"
#include "imap/server-impl.h"

/* ---- one command --------------------------------------------------------------------------- */

static void
imap_server_undo(struct imap_server *s)
{
	void (*undo)(struct imap_server *) = s->undo;

	s->undo = NULL;
	if (undo)
		undo(s);
}

static void
imap_server_over(struct imap_server *s)
{
	imap_server_undo(s);
	if (s->policy->over)
		s->policy->over(s);
	s->more = NULL;
	s->then = NULL;
	s->tail = NULL;
	s->data = NULL;
	s->final = NULL;
	s->cmd = NULL;
	s->skipped = 0;
	s->uid = false;
	s->tag = slice(NULL, 0);
	s->input = &imap_command_taker;
	mem_free(&s->kept_tag);
	/* A password may stand here and there. */
	if (s->state == IMAP_NOTAUTH || s->early) {
		arena_wipe(&s->arena);
		if (s->lex.text.p)
			explicit_bzero(s->lex.text.p, s->lex.text.n);
	} else {
		arena_reset(&s->arena);
	}
	if (s->state != IMAP_NOTAUTH)
		s->early = 0;
	imap_lex_reset(&s->lex);
	s->lex.cap =
	    s->state == IMAP_NOTAUTH ? s->policy->limits->early_line : s->policy->limits->line;
	if (s->policy->between)
		s->policy->between(s);
}

bool
imap_server_interject(struct imap_server *s, enum imap_next (*more)(struct imap_server *))
{
	if (s->line.state == LINE_CLOSED || s->more || s->cmd || s->input != &imap_command_taker)
		return false;
	s->more = more;
	line_session_wake(&s->line);
	return true;
}

void
imap_server_keep(struct imap_server *s)
{
	must(!s->kept_tag);
	s->kept_tag = mem_strn(s->tag.p, s->tag.n);
	s->tag = slice_str(s->kept_tag);
	s->data = NULL;
	arena_reset(&s->arena);
	imap_lex_reset(&s->lex);
}

/* ---- steps --------------------------------------------------------------------------------- */

static enum line_next
imap_server_after(struct imap_server *s, enum imap_next next)
{
	switch (next) {
	case IMAP_NEXT: imap_server_over(s); return LINE_ON;
	case IMAP_MORE: s->more = NULL; return LINE_ON;
	case IMAP_PULL: return LINE_ON;
	case IMAP_WAIT: return LINE_WAIT;
	case IMAP_FULL: return LINE_DRAIN;
	case IMAP_YIELD: return LINE_YIELD;
	case IMAP_CLOSE: break;
	}
	return LINE_CLOSE;
}

/* A cursor writes, or else the one taker reads. */
static enum line_next
imap_server_step(struct line_session *l)
{
	struct imap_server *s = CONTAINER(l, struct imap_server, line);
	struct slice in;

	if (s->more)
		return imap_server_after(s, s->more(s));
	in = stream_peek(&l->io);
	if (in.n == 0)
		return LINE_DRY;
	return imap_server_after(s, s->input->bytes(s, in));
}

void
imap_server_resume(struct imap_server *s, enum imap_next next)
{
	if (s->line.state != LINE_CLOSED)
		line_session_resume(&s->line, imap_server_after(s, next));
}

/* ---- answers ------------------------------------------------------------------------------- */

void
imap_server_untagged(struct imap_server *s, const char *fmt, ...)
{
	struct buf *b = imap_server_out(s);
	va_list ap;

	buf_lit(b, "* ");
	va_start(ap, fmt);
	buf_vprintf(b, fmt, ap);
	va_end(ap);
	buf_lit(b, "\r\n");
}

static enum imap_next
imap_server_write_final(struct imap_server *s)
{
	struct buf *b = imap_server_out(s);

	buf_slice(b, s->tag);
	buf_char(b, ' ');
	buf_str(b, s->final);
	buf_lit(b, "\r\n");
	s->final = NULL;
	return s->doomed ? IMAP_CLOSE : IMAP_NEXT;
}

static enum imap_next
imap_server_news(struct imap_server *s)
{
	enum imap_next next = s->policy->news(s);

	return next == IMAP_NEXT ? imap_server_write_final(s) : next;
}

static void
imap_server_set_final(struct imap_server *s, const char *status, struct slice text)
{
	size_t n = strlen(status);
	char *p = arena_array(&s->arena, n + 1 + text.n + 1, 1);

	memcpy(p, status, n);
	p[n] = ' ';
	memcpy(p + n + 1, text.p, text.n);
	s->final = p;
}

enum imap_next
imap_server_finish(struct imap_server *s, const char *status, const char *fmt, ...)
{
	va_list ap;

	if (strchr(fmt, '%')) {
		struct buf text = { 0 };

		va_start(ap, fmt);
		buf_vprintf(&text, fmt, ap);
		va_end(ap);
		imap_server_set_final(s, status, buf_get(&text));
		buf_fini(&text);
	} else { /* most say always the same */
		imap_server_set_final(s, status, slice_str(fmt));
	}
	s->line.faults = 0;
	/* The login's own answer has nothing in front of it. */
	if (s->state == IMAP_NOTAUTH || !s->cmd || s->cmd->states == IMAP_NOTAUTH ||
	    s->cmd->flags & IMAP_QUIET || !s->policy->news)
		return imap_server_write_final(s);
	imap_server_undo(s);
	return imap_server_pull(s, imap_server_news);
}

enum imap_next
imap_server_no(struct imap_server *s, const char *code, const char *text)
{
	return imap_server_refuse(s, &(struct imap_refusal){ IMAP_NO, code, text });
}

enum imap_next
imap_server_bad(struct imap_server *s, const char *why)
{
	bool flood = line_session_fault(&s->line, s->policy->limits->bad);

	imap_server_event(s, IMAP_EV_BAD);
	if (flood && s->state == IMAP_NOTAUTH) {
		imap_server_untagged(s, "BYE Too many bad commands");
		s->line.why = "errors";
		s->doomed = true;
	}
	s->final = arena_printf(&s->arena, "BAD %s", why);
	return imap_server_write_final(s);
}

enum imap_next
imap_server_syntax(struct imap_server *s, const struct imap_in *in)
{
	return imap_server_bad(s, in->why ? in->why : "Syntax error");
}

enum imap_next
imap_server_refuse(struct imap_server *s, const struct imap_refusal *r)
{
	if (r->kind == IMAP_BAD)
		return imap_server_bad(s,
		    r->code ? arena_printf(&s->arena, "[%s] %s", r->code, r->text) : r->text);
	if (!r->code)
		return imap_server_finish(s, "NO", "%s", r->text);
	return imap_server_finish(s, "NO", "[%s] %s", r->code, r->text);
}

static unsigned
imap_server_when(struct imap_server *s)
{
	unsigned now = s->policy->when(s);

	if (s->state != IMAP_NOTAUTH)
		return now | IMAP_AFTER;
	if (s->tls_ctx && !stream_secure(&s->line.io))
		now |= IMAP_BEGINS_TLS;
	return now | (now & IMAP_PASSWORDS ? IMAP_BEFORE : IMAP_BEFORE | IMAP_NO_PASSWORDS);
}

void
imap_server_capability(struct imap_server *s, struct buf *b)
{
	unsigned now = imap_server_when(s);

	buf_lit(b, "CAPABILITY");
	for (const struct imap_capability *c = s->policy->capabilities; c->word; c++) {
		if (!(c->when & now))
			continue;
		buf_char(b, ' ');
		buf_str(b, c->word);
		if (c->value)
			c->value(b);
	}
}

/* ---- begin and end ------------------------------------------------------------------------- */

static void
imap_server_greet(struct line_session *l)
{
	struct imap_server *s = CONTAINER(l, struct imap_server, line);
	struct buf *b = imap_server_out(s);

	buf_lit(b, "* OK [");
	imap_server_capability(s, b);
	buf_printf(b, "] %s ready\r\n", s->policy->hostname);
	stream_flush(&l->io);
}

static void
imap_server_secured(struct line_session *l, int error, const char *why)
{
	struct imap_server *s = CONTAINER(l, struct imap_server, line);

	if (s->policy->secured)
		s->policy->secured(s, error, why);
	if (error)
		return;
	imap_server_event(s, IMAP_EV_TLS);
	if (s->cmd) /* STARTTLS */
		imap_server_over(s);
}

static bool
imap_server_between(struct line_session *l)
{
	struct imap_server *s = CONTAINER(l, struct imap_server, line);

	/* Before the login nothing is begun that the next server could not begin again. */
	if (s->state == IMAP_NOTAUTH)
		return true;
	return l->state == LINE_READING && !s->input->busy && s->lex.text.n == 0;
}

static void
imap_server_say_bye(struct line_session *l, enum line_bye why)
{
	struct imap_server *s = CONTAINER(l, struct imap_server, line);

	imap_server_untagged(s, "BYE %s",
	    why == LINE_TIMEOUT ? "Autologout; idle for too long" : "Server is going down");
}

static void
imap_server_release(struct line_session *l)
{
	struct imap_server *s = CONTAINER(l, struct imap_server, line);

	op_cancel(&s->op);
	imap_server_over(s);
	s->policy->left(s);
}

static void
imap_server_closed(struct line_session *l)
{
	struct imap_server *s = CONTAINER(l, struct imap_server, line);

	s->policy->closed(s);
}

static const struct line_events imap_server_events = {
	.step = imap_server_step,
	.greet = imap_server_greet,
	.secured = imap_server_secured,
	.between = imap_server_between,
	.bye = imap_server_say_bye,
	.release = imap_server_release,
	.closed = imap_server_closed,
	.ahead = LOOP_READ_SIZE,
	.prompt = true,
};

static int
imap_server_init(struct imap_server *s, struct loop *l, int fd, const char *sid)
{
	int r = line_session_init(&s->line, l, fd, &imap_server_events, sid);

	if (r < 0)
		return r;
	stream_trace(&s->line.io, "imap", sid, false);
	s->state = IMAP_NOTAUTH;
	s->lex.unwaited = s->policy->limits->unwaited;
	imap_server_over(s);
	line_session_time(&s->line, s->policy->limits->login_ms, true);
	return 0;
}

int
imap_server_open(struct imap_server *s, struct loop *l, int fd, bool implicit, const char *sid)
{
	int r = imap_server_init(s, l, fd, sid);

	if (r == 0)
		line_session_open(&s->line, implicit ? s->tls_ctx : NULL);
	return r;
}

int
imap_server_reject(struct imap_server *s, struct loop *l, int fd, const char *text, const char *sid)
{
	int r = imap_server_init(s, l, fd, sid);

	if (r < 0)
		return r;
	if (text)
		imap_server_untagged(s, "BYE %s", text);
	line_session_finish(&s->line, "refused");
	return 0;
}

void
imap_server_logged_in(struct imap_server *s)
{
	s->state = IMAP_AUTH;
	line_session_time(&s->line, s->policy->limits->idle_ms, false);
}

void
imap_server_logged_out(struct imap_server *s)
{
	s->state = IMAP_NOTAUTH;
	s->readonly = s->utf8 = s->uidonly = false;
	line_session_time(&s->line, s->policy->limits->login_ms, true);
}

void
imap_server_bye(struct imap_server *s, const char *why, const char *text)
{
	if (s->line.state == LINE_CLOSED)
		return;
	imap_server_untagged(s, "BYE %s", text);
	line_session_finish(&s->line, why);
}

void
imap_server_leave(struct imap_server *s, const struct stream_events *ev, void *data)
{
	imap_server_over(s);
	line_session_leave(&s->line, ev, data);
}

void
imap_server_shutdown(struct imap_server *s)
{
	line_session_drain(&s->line);
}

/* pop3/server.c: the life of a POP3 session: begin, lines, answers, end.
 *
 * Owns: the command in flight with its memory, its cursor and its one operation.  Called by
 * net/line-session (steps and ends) and by the owner's handlers (answers).  Can fail: only opening.
 * Must stay true: every command has exactly one answer, and none is said to a client that was silent
 * for too long (RFC 1939 3); memory of a command never outlives it (pop3_server_over).
 * server-auth.c has what comes before the login, so each can be read alone. */
#include "pop3/server.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "pop3/server-impl.h"

/* Decoded responses may be long, and a client may be unable to say them otherwise: RFC 5034 4. */
#define POP3_SASL_LINE_MAX 12288
/* Octets of a line that are read over before the session ends. */
#define POP3_SKIP_MOST (64 * 1024)
/* Octets of a long answer that the peer must read within idle_ms. */
#define POP3_PACE (128 * 1024)

/* ---- one command --------------------------------------------------------------------------- */

static void
pop3_server_over(struct pop3_server *s)
{
	void (*undo)(struct pop3_server *) = s->undo;

	s->undo = NULL;
	if (undo)
		undo(s);
	if (s->policy->over)
		s->policy->over(s);
	s->more = NULL;
	s->data = NULL;
	s->cmd = NULL;
	s->exchange = false;
	/* A password may stand there. */
	if (s->state == POP3_AUTHORIZATION || s->early)
		arena_wipe(&s->arena);
	else
		arena_reset(&s->arena);
	if (s->state == POP3_TRANSACTION)
		s->early = 0;
	if (s->paced)
		line_session_time(&s->line, s->policy->limits->idle_ms, false);
	s->paced = false;
	s->unpaced = 0;
}

static const struct pop3_command *
pop3_command_in(const struct pop3_command *table, struct slice verb)
{
	for (; table->name; table++)
		if (slice_ieq(verb, slice_str(table->name)))
			return table;
	return NULL;
}

static enum pop3_next
pop3_command_run(struct pop3_server *s, struct slice line)
{
	const struct pop3_command *c;
	struct slice verb, arg;
	struct verdict v;

	pop3_line_parse(line, &verb, &arg);
	pop3_server_event(s, POP3_EV_COMMAND);
	if (log_wants(LOG_DEBUG))
		log_event(LOG_DEBUG, "command", "sid=%s verb=%s", s->line.sid, log_value(verb));
	if (s->state == POP3_AUTHORIZATION && ++s->early > s->policy->limits->early) {
		v = verdict(OUT_ERRORS_MANY, s->policy->hostname);
		s->line.why = "early";
		s->doomed = true;
		return pop3_server_err(s, POP3_PLAIN, &v);
	}
	c = pop3_command_in(pop3_server_commands, verb);
	if (!c)
		c = pop3_command_in(s->policy->commands, verb);
	if (!c) {
		v = verb.n == 0 ? verdict(OUT_LINE_EMPTY) : verdict(OUT_VERB_UNKNOWN);
		return pop3_server_bad(s, &v);
	}
	if (!(c->states & s->state)) {
		v = s->state == POP3_AUTHORIZATION ? verdict(OUT_AUTH_FIRST) :
						     verdict(OUT_AUTH_ALREADY);
		return pop3_server_bad(s, &v);
	}
	s->cmd = c;
	return c->run(s, arg);
}

/* ---- steps --------------------------------------------------------------------------------- */

static enum line_next
pop3_server_after(struct pop3_server *s, enum pop3_next next)
{
	switch (next) {
	case POP3_NEXT: pop3_server_over(s); return s->doomed ? LINE_CLOSE : LINE_ON;
	case POP3_MORE:
	case POP3_PULL: return LINE_ON;
	case POP3_WAIT: return LINE_WAIT;
	case POP3_CLOSE: break;
	}
	return LINE_CLOSE;
}

/* The rest of a line that is too long. */
static enum line_next
pop3_server_skip(struct pop3_server *s)
{
	struct slice in = stream_peek(&s->line.io);
	size_t n = slice_find(in, '\n');

	if (in.n == 0)
		return LINE_DRY;
	s->skipping = n == in.n;
	n += !s->skipping;
	s->skipped += (uint32_t)n;
	stream_take(&s->line.io, n);
	if (s->skipped <= POP3_SKIP_MOST)
		return LINE_ON;
	s->line.why = "flood";
	return LINE_CLOSE;
}

static enum line_next
pop3_server_too_long(struct pop3_server *s)
{
	struct verdict v = verdict(OUT_LINE_LONG);

	s->skipping = true;
	s->skipped = 0;
	return pop3_server_after(s, pop3_server_bad(s, &v));
}

/* A piece of a long answer. */
static enum line_next
pop3_server_pull_on(struct pop3_server *s)
{
	size_t before = pop3_server_out(s)->n;
	enum pop3_next next = s->more(s);

	if (next != POP3_PULL)
		return pop3_server_after(s, next);
	s->unpaced += (uint32_t)(pop3_server_out(s)->n - before);
	if (s->unpaced >= POP3_PACE) {
		s->unpaced = 0;
		s->paced = true;
		line_session_time(&s->line, s->policy->limits->idle_ms, true);
	}
	return LINE_ON;
}

/* A cursor writes, or else a line is read. */
static enum line_next
pop3_server_step(struct line_session *l)
{
	struct pop3_server *s = CONTAINER(l, struct pop3_server, line);
	struct slice line;
	int r;

	if (s->more)
		return pop3_server_pull_on(s);
	if (s->skipping)
		return pop3_server_skip(s);
	r = stream_line(&l->io, s->exchange ? POP3_SASL_LINE_MAX : POP3_LINE_MAX - 2, &line, NULL);
	if (r == 0)
		return LINE_DRY;
	if (r < 0)
		return pop3_server_too_long(s);
	return pop3_server_after(s,
	    s->exchange ? pop3_sasl_line(s, line) : pop3_command_run(s, line));
}

void
pop3_server_resume(struct pop3_server *s, enum pop3_next next)
{
	if (s->line.state != LINE_CLOSED)
		line_session_resume(&s->line, pop3_server_after(s, next));
}

/* ---- answers ------------------------------------------------------------------------------- */

static const char *
pop3_code_text(enum pop3_code code)
{
	static const char *const texts[] = {
		[POP3_PLAIN] = "",
		[POP3_AUTH] = "[AUTH] ",
		[POP3_IN_USE] = "[IN-USE] ",
		[POP3_LOGIN_DELAY] = "[LOGIN-DELAY] ",
		[POP3_SYS_TEMP] = "[SYS/TEMP] ",
		[POP3_SYS_PERM] = "[SYS/PERM] ",
		[POP3_UTF8] = "[UTF8] ",
	};

	return texts[code];
}

enum pop3_code
pop3_code_of(const struct verdict *v)
{
	return v->kind == TEMP ? POP3_SYS_TEMP : POP3_SYS_PERM;
}

static enum pop3_next
pop3_server_answered(struct pop3_server *s)
{
	s->more = NULL;
	return s->doomed ? POP3_CLOSE : POP3_NEXT;
}

enum pop3_next
pop3_server_ok(struct pop3_server *s, const char *fmt, ...)
{
	struct buf *b = pop3_server_out(s);
	va_list ap;

	s->line.faults = 0;
	buf_lit(b, "+OK ");
	va_start(ap, fmt);
	buf_vprintf(b, fmt, ap);
	va_end(ap);
	buf_lit(b, "\r\n");
	return pop3_server_answered(s);
}

static void
pop3_server_write_err(struct pop3_server *s, enum pop3_code code, const struct verdict *v)
{
	struct buf *b = pop3_server_out(s);

	buf_lit(b, "-ERR ");
	buf_str(b, pop3_code_text(code));
	buf_str(b, v->text);
	buf_lit(b, "\r\n");
}

enum pop3_next
pop3_server_err(struct pop3_server *s, enum pop3_code code, const struct verdict *v)
{
	s->line.faults = 0;
	pop3_server_write_err(s, code, v);
	return pop3_server_answered(s);
}

enum pop3_next
pop3_server_bad(struct pop3_server *s, const struct verdict *v)
{
	struct verdict many;

	pop3_server_event(s, POP3_EV_BAD);
	if (line_session_fault(&s->line, s->policy->limits->bad)) {
		many = verdict(OUT_ERRORS_MANY, s->policy->hostname);
		v = &many;
		s->line.why = "errors";
		s->doomed = true;
	}
	pop3_server_write_err(s, POP3_PLAIN, v);
	return pop3_server_answered(s);
}

enum pop3_next
pop3_server_bye(struct pop3_server *s, const char *words)
{
	s->line.why = "quit";
	s->doomed = true;
	return pop3_server_ok(s, "%s", words);
}

/* ---- begin and end ------------------------------------------------------------------------- */

static void
pop3_server_greet(struct line_session *l)
{
	struct pop3_server *s = CONTAINER(l, struct pop3_server, line);

	buf_printf(pop3_server_out(s), "+OK %s ready\r\n", s->policy->hostname);
	stream_flush(&l->io);
}

static void
pop3_server_secured(struct line_session *l, int error, const char *why)
{
	struct pop3_server *s = CONTAINER(l, struct pop3_server, line);

	if (s->policy->secured)
		s->policy->secured(s, error, why);
	if (error)
		return;
	pop3_server_event(s, POP3_EV_TLS);
	if (s->cmd) /* STLS */
		pop3_server_over(s);
}

static bool
pop3_server_between(struct line_session *l)
{
	struct pop3_server *s = CONTAINER(l, struct pop3_server, line);

	/* Before the login nothing is begun that the next server could not begin again. */
	if (s->state == POP3_AUTHORIZATION)
		return true;
	return l->state == LINE_READING && stream_peek(&l->io).n == 0;
}

/* RFC 1939 3: who was silent for too long is told nothing. */
static void
pop3_server_say_bye(struct line_session *l, enum line_bye why)
{
	struct pop3_server *s = CONTAINER(l, struct pop3_server, line);
	struct verdict v;

	if (why == LINE_TIMEOUT)
		return;
	v = verdict(OUT_CLOSING, s->policy->hostname, "is going down");
	pop3_server_write_err(s, POP3_SYS_TEMP, &v);
}

static void
pop3_server_release(struct line_session *l)
{
	struct pop3_server *s = CONTAINER(l, struct pop3_server, line);

	op_cancel(&s->op);
	pop3_server_over(s);
	mem_free(&s->name);
	s->policy->left(s);
}

static void
pop3_server_closed(struct line_session *l)
{
	struct pop3_server *s = CONTAINER(l, struct pop3_server, line);

	s->policy->closed(s);
}

static const struct line_events pop3_server_events = {
	.step = pop3_server_step,
	.greet = pop3_server_greet,
	.secured = pop3_server_secured,
	.between = pop3_server_between,
	.bye = pop3_server_say_bye,
	.release = pop3_server_release,
	.closed = pop3_server_closed,
	.ahead = LOOP_READ_SIZE,
	.prompt = true,
};

static int
pop3_server_init(struct pop3_server *s, struct loop *l, int fd, const char *sid)
{
	int r = line_session_init(&s->line, l, fd, &pop3_server_events, sid);

	if (r < 0)
		return r;
	stream_trace(&s->line.io, "pop3", sid, false);
	s->state = POP3_AUTHORIZATION;
	line_session_time(&s->line, s->policy->limits->login_ms, true);
	return 0;
}

int
pop3_server_open(struct pop3_server *s, struct loop *l, int fd, bool implicit, const char *sid)
{
	int r = pop3_server_init(s, l, fd, sid);

	if (r == 0)
		line_session_open(&s->line, implicit ? s->tls_ctx : NULL);
	return r;
}

int
pop3_server_reject(struct pop3_server *s, struct loop *l, int fd, const struct verdict *v,
    const char *sid)
{
	int r = pop3_server_init(s, l, fd, sid);

	if (r < 0)
		return r;
	if (v)
		pop3_server_write_err(s, pop3_code_of(v), v);
	line_session_finish(&s->line, "refused");
	return 0;
}

void
pop3_server_logged_in(struct pop3_server *s)
{
	s->state = POP3_TRANSACTION;
	mem_free(&s->name);
	line_session_time(&s->line, s->policy->limits->idle_ms, false);
}

void
pop3_server_end(struct pop3_server *s, const char *why, const struct verdict *v)
{
	if (s->line.state == LINE_CLOSED)
		return;
	pop3_server_write_err(s, POP3_SYS_TEMP, v);
	line_session_finish(&s->line, why);
}

void
pop3_server_leave(struct pop3_server *s, const struct stream_events *ev, void *data)
{
	pop3_server_over(s);
	mem_free(&s->name);
	line_session_leave(&s->line, ev, data);
}

void
pop3_server_shutdown(struct pop3_server *s)
{
	line_session_drain(&s->line);
}

/* imapd/session.c: the life of a connection: accept, TLS, the command loop, the pull cursor,
 * the end.  The table of commands is in commands.c. */
#include "session.h"

#include <errno.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/random.h"

/* A cursor may write this much before other sessions get their turn. */
#define TURN (4 * STREAM_HIGH)
/* Commands that a client may give before login: silence is limited by time, chatter by this. */
#define EARLY 100

static void session_run(struct session *s);
static void session_close(struct session *s);
static void release(struct session *s);
static void on_later(struct later *l);

/* ---- one command ----------------------------------------------------------------------- */

/* Forgets the command in flight and gives its memory back. */
static void
command_over(struct session *s)
{
	if (s->undo)
		s->undo(s);
	s->undo = NULL;
	s->more = NULL;
	s->data = NULL;
	s->sync = NULL;
	s->final = NULL;
	s->cmd = NULL;
	s->uid = false;
	s->tag = slice(NULL, 0);
	arena_reset(&s->arena);
	if (s->state == NOTAUTH || s->early) {
		/* A password may stand there. */
		if (s->lex.text.p)
			explicit_bzero(s->lex.text.p, s->lex.text.n);
		s->early = s->state == NOTAUTH ? s->early : 0;
	}
	imap_lex_reset(&s->lex);
	s->lex.cap = s->state == NOTAUTH ? 8192 : (size_t)conf.line;
}

static const struct command *
find_command(struct slice verb)
{
	for (size_t i = 0; i < ncommands; i++)
		if (slice_ieq(verb, slice_str(commands[i].verb)))
			return &commands[i];
	return NULL;
}

/* A whole command is in s->lex.text: "tag SP [UID SP] verb [SP arguments]". */
static enum next
command_run(struct session *s)
{
	struct imap_in in = { .s = buf_get(&s->lex.text), .arena = &s->arena };
	const struct command *c;
	struct slice verb;

	if (!imap_tag(&in, &s->tag)) {
		s->tag = S("*");
		return bad_text(s, "Tag expected");
	}
	s->tag = arena_slice(&s->arena, s->tag);
	if (!imap_space(&in) || !imap_atom(&in, &verb))
		return bad_text(s, "Command expected");
	if (slice_ieq(verb, S("UID"))) {
		s->uid = true;
		if (!imap_space(&in) || !imap_atom(&in, &verb))
			return bad_text(s, "Command expected behind UID");
	}
	c = find_command(verb);
	metric_add(M_COMMANDS, 1);
	if (log_wants(LOG_DEBUG))
		log_event(LOG_DEBUG, "command", "sid=%s verb=%s", s->sid, log_value(verb));
	if (!c || (s->uid && !(c->flags & UIDS)))
		return bad_text(s, "Unknown command");
	if (!(c->states & s->state) && !(c->states & AUTH && s->state == SELECTED))
		return bad_text(s, s->state == NOTAUTH ? "Log in first" :
			c->states & SELECTED		? "No mailbox is selected" :
							  "Not after login");
	if (s->state == NOTAUTH && ++s->early > EARLY) {
		untagged(s, "BYE Log in, or go");
		return CLOSE;
	}
	s->cmd = c;
	if (c->flags & WRITES && s->view->readonly)
		return finish(s, "NO", "[READ-ONLY] The mailbox was opened read-only");
	return c->run(s, &in);
}

/* ---- the loop ---------------------------------------------------------------------------- */

/* What the lexer said about the bytes it took. */
static enum next
lexed(struct session *s, enum imap_lexed what)
{
	switch (what) {
	case IMAP_LEX_DONE:
		if (s->idling)
			return idle_line(s, buf_get(&s->lex.text));
		if (s->cmd) /* AUTHENTICATE waits for a line */
			return authenticate_line(s, buf_get(&s->lex.text));
		if (s->lex.text.n == 0)
			return NEXT; /* empty lines between commands are ignored */
		return command_run(s);
	case IMAP_LEX_CONTINUE:
		buf_lit(out(s), "+ Ready for literal data\r\n");
		return WAIT;
	case IMAP_LEX_MESSAGE:
		if (!s->idling && !s->cmd)
			return append_begin(s);
		untagged(s, "BYE Something else was expected");
		return CLOSE;
	case IMAP_LEX_TOO_LONG: {
		struct imap_in in = { .s = buf_get(&s->lex.text), .arena = &s->arena };

		if (!s->cmd && !imap_tag(&in, &s->tag))
			s->tag = S("*");
		return bad_text(s, "Command too long");
	}
	case IMAP_LEX_FLOOD:
		untagged(s, "BYE Command too long");
		return CLOSE;
	case IMAP_LEX_MORE:
		break;
	}
	return WAIT;
}

/* Feeds the lexer until a command has run or the input is used up. */
static bool
feed(struct session *s)
{
	struct slice in = stream_peek(&s->io);
	enum imap_lexed what;
	size_t used;

	if (in.n == 0)
		return false;
	what = imap_lex_feed(&s->lex, in, &used);
	stream_take(&s->io, used);
	if (what == IMAP_LEX_MORE)
		return true;
	s->next = (uint8_t)lexed(s, what);
	if (what == IMAP_LEX_CONTINUE)
		s->next = NEXT; /* not a command yet: go on feeding */
	else if (s->next == NEXT)
		command_over(s);
	else if (s->next == LINES) {
		imap_lex_reset(&s->lex);
		s->next = NEXT;
	}
	return true;
}

static void
session_run(struct session *s)
{
	if (s->running || s->io.closing || s->io.finishing)
		return;
	s->running = true;
	/* Who does not read the answers is not asked for more commands: see on_drained. */
	while (s->next == NEXT && stream_backlog(&s->io) < STREAM_HIGH && feed(s))
		;
	s->running = false;
	stream_flush(&s->io); /* before every wait: nobody waits for a timer */
	if (s->next == CLOSE) {
		release(s);
		stream_finish(&s->io);
	} else if (s->next == NEXT && stream_eof(&s->io))
		session_close(s);
	else if (s->next == NEXT && daemon_draining() && s->lex.text.n == 0)
		session_bye(s, "Server is going down");
	else if ((s->next == WAIT && stream_peek(&s->io).n > LOOP_READ_SIZE) ||
	    (s->next == NEXT && stream_backlog(&s->io) >= STREAM_HIGH))
		stream_stop(&s->io); /* the client is far ahead: let TCP hold it */
}

void
session_resume(struct session *s, enum next next)
{
	log_context(s->sid);
	if (next == NEXT)
		command_over(s);
	else if (next == LINES)
		imap_lex_reset(&s->lex);
	s->next = (uint8_t)(next == LINES ? NEXT : next);
	if (!s->io.closing && !s->io.finishing)
		stream_start(&s->io);
	session_run(s);
}

enum next
session_pull(struct session *s)
{
	size_t written = 0;

	for (;;) {
		size_t before = out(s)->n;
		enum next next = s->more(s);

		if (next != FULL && next != YIELD)
			return next;
		written += out(s)->n > before ? out(s)->n - before : 0;
		stream_flush(&s->io);
		if (s->io.error)
			return CLOSE;
		if (stream_backlog(&s->io) >= STREAM_HIGH) {
			s->full = true;
			return WAIT;
		}
		if (next == YIELD || written >= TURN)
			break;
	}
	later_run(&s->later, s->io.loop, on_later);
	return WAIT;
}

static void
on_later(struct later *l)
{
	struct session *s = CONTAINER(l, struct session, later);

	if (s->next == WAIT && s->more && !s->full)
		session_resume(s, session_pull(s));
}

/* ---- events of the stream ------------------------------------------------------------------ */

static void
on_input(struct stream *io)
{
	struct session *s = CAST(io->data, struct session, SESSION_MAGIC);

	log_context(s->sid);
	if (s->next == WAIT && s->cmd && s->cmd->run == cmd_append) {
		enum next next = append_input(s);

		if (next != WAIT)
			session_resume(s, next);
		else
			stream_flush(io);
		return;
	}
	if (s->next == WAIT && io->error) {
		session_close(s);
		return;
	}
	session_run(s);
}

static void
on_drained(struct stream *io)
{
	struct session *s = CAST(io->data, struct session, SESSION_MAGIC);

	log_context(s->sid);
	if (s->idling)
		idle_update(s);
	if (s->full) {
		s->full = false;
		session_resume(s, session_pull(s));
	} else if (s->next == NEXT) {
		stream_start(io);
		session_run(s);
	}
}

static void
greet(struct session *s)
{
	struct buf *b = out(s);

	buf_lit(b, "* OK [");
	capability_write(s, b);
	buf_printf(b, "] %s ready\r\n", shared.hostname);
	stream_flush(&s->io);
}

static void
on_secured(struct stream *io, int error, const char *why)
{
	struct session *s = CAST(io->data, struct session, SESSION_MAGIC);
	bool again = s->secured;

	log_context(s->sid);
	if (error) {
		log_event(LOG_INFO, "tls_failed", "sid=%s error=%s", s->sid, log_str(why));
		session_close(s);
		return;
	}
	metric_add(M_TLS, 1);
	s->secured = true;
	log_event(LOG_DEBUG, "tls", "sid=%s version=%s cipher=%s", s->sid,
	    log_str(stream_tls_version(io)), log_str(stream_tls_cipher(io)));
	if (!again && s->listen->tls == TLS_IMPLICIT)
		greet(s);
	if (s->next == WAIT)
		session_resume(s, NEXT);
}

static void
on_timeout(struct stream *io)
{
	struct session *s = CAST(io->data, struct session, SESSION_MAGIC);

	log_context(s->sid);
	/* Waiting for stored or the directory is not the client's fault; not reading is. */
	if (s->next == WAIT && !s->idling && !s->full && op_pending(&s->op)) {
		if (s->state == NOTAUTH)
			stream_limit(io, (uint32_t)conf.login_time);
		else
			stream_idle(io, (uint32_t)conf.idle_time);
		return;
	}
	log_event(LOG_INFO, "timeout", "sid=%s", s->sid);
	session_bye(s, "Autologout; idle for too long");
}

static void
on_closed(struct stream *io)
{
	struct session *s = CAST(io->data, struct session, SESSION_MAGIC);

	log_context("");
	s->magic = 0;
	mem_release(s);
	if (imapd.nsessions == 0 && daemon_draining())
		daemon_drained();
}

static const struct stream_events events = {
	.input = on_input,
	.drained = on_drained,
	.secured = on_secured,
	.timeout = on_timeout,
	.closed = on_closed,
};

/* ---- begin and end --------------------------------------------------------------------------- */

bool
session_password_ok(struct session *s)
{
	struct addr peer;

	if (stream_secure(&s->io))
		return true;
	stream_peer(&s->io, &peer);
	return shared.insecure_loopback && addr_loopback(&peer);
}

static void
delay_closed(struct timer *t)
{
	mem_release(t);
}

/* Lets go of everything but the struct, which the stream's `closed` frees.  Safe twice. */
static void
release(struct session *s)
{
	if (s->delay)
		timer_close(s->delay, delay_closed);
	s->delay = NULL;
	op_cancel(&s->op);
	later_cancel(&s->later);
	idle_leave(s);
	command_over(s);
	mem_free(&s->idle_tag);
	view_free(&s->view);
	if (s->user)
		user_drop(&s->user);
	if (!list_empty(&s->link)) {
		list_remove(&s->link);
		imapd.nsessions--;
		metric_add(M_SESSIONS, -1);
		log_event(LOG_INFO, "disconnect", "sid=%s", s->sid);
	}
	s->full = false;
}

/* The one way out: writes nothing more. */
static void
session_close(struct session *s)
{
	s->next = CLOSE;
	release(s);
	stream_close(&s->io);
}

void
session_bye(struct session *s, const char *text)
{
	if (s->next == CLOSE)
		return;
	if (text)
		untagged(s, "BYE %s", text);
	s->next = CLOSE;
	release(s);
	stream_finish(&s->io);
}

void
session_new(struct daemon_listen *l, int fd)
{
	struct session *s = mem_new(sizeof(*s));
	char peer[ADDR_TEXT];
	struct addr a;
	int r;

	s->magic = SESSION_MAGIC;
	s->state = NOTAUTH;
	s->listen = l;
	random_id(s->sid);
	list_init(&s->idle_link);
	later_init(&s->later);
	stream_init(&s->io, imapd.loop, &events, s);
	r = stream_open(&s->io, fd);
	if (r < 0) {
		log_event(LOG_WARN, "accept_failed", "sid=%s error=%s", s->sid, strerror(-r));
		close(fd);
		mem_release(s);
		return;
	}
	log_context(s->sid);
	list_push(&imapd.sessions, &s->link);
	imapd.nsessions++;
	metric_add(M_CONNECTIONS, 1);
	metric_add(M_SESSIONS, 1);
	stream_peer(&s->io, &a);
	log_event(LOG_INFO, "connect", "sid=%s peer=%s", s->sid, addr_write(&a, peer));
	command_over(s);
	stream_limit(&s->io, (uint32_t)conf.login_time); /* however its bytes drip */
	if (imapd.nsessions > (size_t)conf.clients) {
		stream_start(&s->io);
		session_bye(s, l->tls == TLS_IMPLICIT ? NULL : "[LIMIT] Too many connections");
		return;
	}
	if (l->tls == TLS_IMPLICIT) {
		s->next = WAIT;
		r = stream_tls_accept(&s->io, l->tls_ctx);
		if (r < 0) {
			session_close(s);
			return;
		}
	} else {
		greet(s);
	}
	stream_start(&s->io);
}

void
session_drain_all(void)
{
	struct session *s;

	list_each(s, &imapd.sessions, struct session, link)
		if ((s->next == NEXT && s->lex.text.n == 0) || s->idling)
			session_bye(s, "Server is going down");
	if (imapd.nsessions == 0)
		daemon_drained();
}

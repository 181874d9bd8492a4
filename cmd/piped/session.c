/* piped/session.c: who may deliver, and to which program.
 *
 * LMTP on lib/smtp/server: RCPT has one private parameter, XRUN=USER%PROGRAM, offered at LHLO, without
 * which there is nothing to be done.  The address is the recipient's own, for the program to see.
 * Listeners are Unix sockets alone, so that the socket's mode has decided who may connect; whether the
 * user wants the program was smtp-relay's question to the directory.  Nothing waits here. */
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/random.h"
#include "piped.h"

static void piped_ask_mail(struct smtp_server *, const struct smtp_mail *);
static void piped_ask_rcpt(struct smtp_server *, const struct smtp_rcpt *);
static void piped_keywords(struct smtp_server *, struct buf *);
static void piped_on_refused(struct smtp_server *, const char *, const struct verdict *);
static void piped_on_closed(struct smtp_server *);

static struct smtp_limits limits;
static struct smtp_policy policy = {
	.limits = &limits,
	.lmtp = true,
	.runs = true,
	.keywords = piped_keywords,
	.mail = piped_ask_mail,
	.rcpt = piped_ask_rcpt,
	.body = piped_body_begin,
	.bytes = piped_body_bytes,
	.end = piped_body_end,
	.reset = piped_body_reset,
	.refused = piped_on_refused,
	.closed = piped_on_closed,
};

struct psession *
piped_session_of(struct smtp_server *srv)
{
	return CAST(srv->data, struct psession, PSESSION_MAGIC);
}

void
piped_session_limits(void)
{
	policy.hostname = shared.hostname;
	limits = (struct smtp_limits){
		.command_ms = (uint32_t)pconf.t_command,
		.data_ms = (uint32_t)pconf.t_data,
		.errors = 100,
		.unknown = 10,
		.rcpts = (uint32_t)pconf.recipients_max,
		.size = (uint64_t)pconf.size_max,
		.normalise = true, /* accepted once by a relay: not ours to refuse */
	};
}

/* ---- coming and going ----------------------------------------------------------------- */

static void
psession_free(struct psession *s)
{
	list_remove(&s->link);
	piped.nsessions--;
	metric_set(M_SESSIONS, (int64_t)piped.nsessions);
	mem_free(&s->rcpts);
	s->magic = 0;
	mem_free(&s);
	piped_idle();
}

void
piped_accept(struct daemon_listen *l UNUSED, int fd)
{
	struct psession *s = mem_new(sizeof(*s));
	struct verdict v;
	int r;

	s->magic = PSESSION_MAGIC;
	s->srv.policy = &policy;
	s->srv.data = s;
	s->srv.sid = s->sid;
	s->fd = -1;
	(void)random_id(s->sid);
	list_push(&piped.sessions, &s->link);
	piped.nsessions++;
	metric_add(M_CONNECTIONS, 1);
	metric_set(M_SESSIONS, (int64_t)piped.nsessions);
	if (piped.nsessions > (size_t)pconf.clients) {
		v = verdict(OUT_CLIENTS_FULL, shared.hostname);
		r = smtp_server_refuse(&s->srv, piped.loop, fd, &v);
	} else {
		r = smtp_server_open(&s->srv, piped.loop, fd, false);
		log_event(LOG_DEBUG, "connect", "sid=%s", s->sid);
	}
	if (r < 0) {
		log_event(LOG_WARN, "connect", "sid=%s error=%s", s->sid, log_str(strerror(-r)));
		(void)close(fd);
		psession_free(s);
	}
}

static void
piped_on_refused(struct smtp_server *srv, const char *verb, const struct verdict *v)
{
	log_event(LOG_INFO, "refused", "sid=%s verb=%s reply=%d verdict=%d.%u.%u text=%s", srv->sid,
	    log_str(verb), verdict_reply(v), (int)v->kind, v->subject, v->detail, log_str(v->text));
}

static void
piped_on_closed(struct smtp_server *srv)
{
	log_event(LOG_DEBUG, "disconnect", "sid=%s why=%s messages=%u", srv->sid,
	    srv->line.why ? srv->line.why : "closed", srv->transactions);
	psession_free(piped_session_of(srv));
}

void
piped_session_shutdown_all(void)
{
	struct psession *s;

	list_each(s, &piped.sessions, struct psession, link)
	    smtp_server_shutdown(&s->srv, "shutting down");
}

static void
piped_keywords(struct smtp_server *srv UNUSED, struct buf *b)
{
	buf_lit(b, "XTIERMAIL\nXRUN\n");
}

/* ---- MAIL and RCPT ---------------------------------------------------------------------- */

static void
piped_ask_mail(struct smtp_server *srv, const struct smtp_mail *m UNUSED)
{
	struct psession *s = piped_session_of(srv);
	struct verdict v = verdict(OUT_MAIL_OK);

	s->began_ms = loop_now(srv->loop);
	smtp_server_answer(srv, &v);
}

/* "user%program", or "%program" of an alias; and then, of each argument, "%" and its octets. */
static struct verdict
rcpt_judge(const struct smtp_rcpt *r, struct order *o)
{
	size_t cut = slice_find(r->run, '%');
	const struct piped_program *program;
	char name[65];

	if (cut == r->run.n)
		return verdict(OUT_PIPE_XRUN);
	o->user = slice_sub(r->run, 0, cut);
	o->program = slice_from(r->run, cut + 1);
	o->args = slice_from(o->program, slice_find(o->program, '%'));
	o->program.n -= o->args.n;
	if ((o->user.n && !order_name_ok(o->user)) || !order_name_ok(o->program))
		return verdict(OUT_PIPE_XRUN);
	program = piped_program_find(o->program);
	if (!program) {
		slice_cstr(o->program, name, sizeof(name));
		return verdict(OUT_PIPE_NONE, name);
	}
	if (o->args.n && !program->arguments)
		return verdict(OUT_PIPE_XRUN);
	return verdict(OUT_RCPT_OK);
}

/* What the program will be told.  Strings live in the transaction's arena. */
static void
rcpt_order(struct psession *s, const struct smtp_rcpt *r, struct order *o)
{
	struct arena *a = &s->srv.arena;
	size_t plus = slice_find(r->to.local, '+');
	struct buf b = { 0 };

	address_write(&b, &r->to);
	o->recipient = arena_slice(a, buf_get(&b));
	buf_clear(&b);
	address_write(&b, &s->srv.mail.from);
	o->sender = arena_slice(a, buf_get(&b));
	buf_fini(&b);
	o->local = r->to.local;
	o->domain = r->to.domain;
	o->extension = slice_from(r->to.local, plus + 1);
	o->qid = s->srv.mail.xqid.p ? s->srv.mail.xqid : slice_str(s->sid);
}

static void
piped_ask_rcpt(struct smtp_server *srv, const struct smtp_rcpt *r)
{
	struct psession *s = piped_session_of(srv);
	struct order o = { 0 };
	struct verdict v = rcpt_judge(r, &o);
	struct buf packet = { 0 };

	if (v.kind == OK) {
		rcpt_order(s, r, &o);
		if (!order_write(&packet, &o))
			v = verdict(OUT_PIPE_WORDS);
		buf_fini(&packet);
	}
	if (v.kind == OK) {
		if (s->nrcpt == s->room) {
			s->room = s->room ? s->room * 2 : 4;
			s->rcpts = mem_grow(s->rcpts, s->room, sizeof(*s->rcpts));
		}
		s->rcpts[s->nrcpt++] = (struct prcpt){ .order = o };
	} else {
		metric_add(v.kind == TEMP ? M_DEFERRED : M_FAILED, 1);
	}
	smtp_server_answer(srv, &v);
}

/* lmtpd/session.c: who may deliver, and to whom.
 *
 * RFC 2033 (LMTP) on lib/smtp/server: the grammar, the order of commands and the body's way
 * are there; here is what this server says to MAIL and RCPT.  MAIL takes one private
 * parameter, XQID=<id>, offered as XTIERMAIL: the sender's name for the message, so that a
 * delivery that is repeated is recognised (lmtpd(8)). */
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/random.h"
#include "daemon/role.h"
#include "filter.h"
#include "spam.h"

static void ask_mail(struct smtp_server *, const struct smtp_mail *);
static void ask_rcpt(struct smtp_server *, const struct smtp_rcpt *);
static void rcpt_found(void *arg, const struct dir_answer *);
static void add_keywords(struct smtp_server *, struct buf *);
static void lmtpd_session_on_refused(struct smtp_server *, const char *, const struct verdict *);
static void lmtpd_session_on_secured(struct smtp_server *, int, const char *);
static void lmtpd_session_on_closed(struct smtp_server *);

static struct smtp_limits limits;
static struct smtp_policy policy = {
	.limits = &limits,
	.lmtp = true,
	.bare = true,
	.keywords = add_keywords,
	.mail = ask_mail,
	.rcpt = ask_rcpt,
	.body = deliver_body,
	.bytes = deliver_bytes,
	.end = deliver_end,
	.reset = deliver_reset,
	.refused = lmtpd_session_on_refused,
	.secured = lmtpd_session_on_secured,
	.closed = lmtpd_session_on_closed,
};

struct lsession *
lmtpd_session_of(struct smtp_server *srv)
{
	return CAST(srv->data, struct lsession, LSESSION_MAGIC);
}

void
lmtpd_session_limits(void)
{
	policy.hostname = shared.hostname;
	limits = (struct smtp_limits){
		.command_ms = (uint32_t)lconf.t_command,
		.data_ms = (uint32_t)lconf.t_data,
		.errors = 100,
		.unknown = 10,
		.rcpts = (uint32_t)lconf.recipients_max,
		.size = (uint64_t)lconf.size_max,
		.normalise = true, /* accepted once by a relay: not ours to refuse */
	};
}

/* ---- coming and going ----------------------------------------------------------------- */

static bool
is_trusted(const struct addr *peer)
{
	if (peer->sa.sa_family == AF_UNIX)
		return true; /* the socket's mode has decided */
	for (char **t = lconf.trusted; t && *t; t++)
		if (addr_in(peer, slice_str(*t)) > 0)
			return true;
	return false;
}

static struct lsession *
lmtpd_session_new(struct daemon_listen *l)
{
	struct lsession *s = mem_new(sizeof(*s));

	s->magic = LSESSION_MAGIC;
	s->srv.policy = &policy;
	s->srv.data = s;
	s->srv.sid = s->sid;
	s->body.fd = -1;
	if (l->tls != TLS_OFF)
		s->srv.tls_ctx = tls_ref(l->tls_ctx); /* a reload replaces the listener's */
	(void)random_id(s->sid);
	list_push(&lmtpd.sessions, &s->link);
	lmtpd.nsessions++;
	metric_add(M_CONNECTIONS, 1);
	metric_set(M_SESSIONS, (int64_t)lmtpd.nsessions);
	return s;
}

static void
lmtpd_session_free(struct lsession *s)
{
	list_remove(&s->link);
	lmtpd.nsessions--;
	admit_leave(&s->admit);
	metric_set(M_SESSIONS, (int64_t)lmtpd.nsessions);
	tls_unref(&s->srv.tls_ctx);
	mem_free(&s->rcpts);
	buf_fini(&s->bytes);
	s->magic = 0;
	mem_free(&s);
	if (lmtpd.nsessions == 0 && daemon_draining())
		daemon_drained();
}

/* How sessions are counted: a crowd by network leaves the socket and trusted hosts their shares. */
enum { CLASS_LOCAL, CLASS_TRUSTED, CLASS_NETWORK };
static const struct admit_class classes[] = {
	[CLASS_LOCAL] = { "local", 25, false },
	[CLASS_TRUSTED] = { "trusted", 25, false },
	[CLASS_NETWORK] = { "network", 0, true },
};
const struct admit_service lmtpd_admit = { "lmtpd", classes, NELEM(classes), &lconf.clients,
	&lconf.per_client, NULL };

static unsigned
lmtpd_session_class(const struct lsession *s, const struct addr *peer)
{
	if (peer->sa.sa_family == AF_UNIX)
		return CLASS_LOCAL;
	return s->trusted ? CLASS_TRUSTED : CLASS_NETWORK;
}

void
lmtpd_session_accept(struct daemon_listen *l, int fd)
{
	struct lsession *s = lmtpd_session_new(l);
	char host[ADDR_TEXT];
	struct verdict v;
	struct addr peer;
	int r;

	(void)daemon_peer(fd, &peer);
	addr_write(&peer, s->peer);
	if (peer.sa.sa_family != AF_UNIX)
		slice_cstr(slice_str(addr_host(&peer, host)), s->host, sizeof(s->host));
	s->trusted = is_trusted(&peer) && !daemon_peer_nobody();
	s->srv.may_event = s->trusted && peer.sa.sa_family == AF_UNIX;
	if (admit_enter(&s->admit, lmtpd_session_class(s, &peer), &peer) != ADMIT_OK) {
		v = verdict(OUT_CLIENTS_FULL, shared.hostname);
		r = smtp_server_refuse(&s->srv, lmtpd.loop, fd, &v);
	} else if (!s->trusted && l->tls == TLS_OFF) {
		v = verdict(OUT_LMTP_HOST);
		r = smtp_server_refuse(&s->srv, lmtpd.loop, fd, &v);
	} else {
		s->srv.need_tls = !s->trusted;
		r = smtp_server_open(&s->srv, lmtpd.loop, fd, l->tls == TLS_IMPLICIT);
		log_event(LOG_DEBUG, "connect", "sid=%s peer=%s", s->sid, log_str(s->peer));
	}
	if (r < 0) {
		log_event(LOG_WARN, "connect", "sid=%s peer=%s error=%s", s->sid, log_str(s->peer),
		    log_str(strerror(-r)));
		(void)close(fd);
		lmtpd_session_free(s);
	}
}

static void
lmtpd_session_on_secured(struct smtp_server *srv, int error, const char *why)
{
	struct lsession *s = lmtpd_session_of(srv);

	if (error) {
		log_event(LOG_INFO, "tls", "sid=%s peer=%s error=%s", s->sid, log_str(s->peer),
		    log_str(why));
		return;
	}
	log_event(LOG_DEBUG, "tls", "sid=%s version=%s cipher=%s", s->sid,
	    stream_tls_version(&srv->line.io), stream_tls_cipher(&srv->line.io));
	/* Between tiers a verified certificate counts, and its role: the authority that signs for
	 * relays signs for others, too. */
	if (!s->trusted)
		s->trusted =
		    daemon_peer_is(&srv->line.io, TLS_ROLE_RELAY, lconf.trusted_names, s->sid);
}

static void
lmtpd_session_on_refused(struct smtp_server *srv, const char *verb, const struct verdict *v)
{
	struct lsession *s = lmtpd_session_of(srv);

	log_event(LOG_INFO, "refused", "sid=%s peer=%s verb=%s reply=%d verdict=%d.%u.%u text=%s",
	    s->sid, log_str(s->peer), log_str(verb), verdict_reply(v), (int)v->kind, v->subject,
	    v->detail, log_str(v->text));
}

static void
lmtpd_session_on_closed(struct smtp_server *srv)
{
	struct lsession *s = lmtpd_session_of(srv);

	op_cancel(&s->op);
	log_event(LOG_DEBUG, "disconnect", "sid=%s why=%s messages=%u", s->sid,
	    srv->line.why ? srv->line.why : "closed", srv->transactions);
	lmtpd_session_free(s);
}

void
lmtpd_session_shutdown_all(void)
{
	struct lsession *s;

	list_each(s, &lmtpd.sessions, struct lsession, link)
	    smtp_server_shutdown(&s->srv, "shutting down");
}

static void
add_keywords(struct smtp_server *srv, struct buf *b)
{
	buf_lit(b, "XTIERMAIL\nIGNOREQUOTA\nXSENT\n");
	if (srv->may_event)
		buf_lit(b, "XEVENT\n");
}

/* ---- MAIL ----------------------------------------------------------------------------- */

static void
ask_mail(struct smtp_server *srv, const struct smtp_mail *m)
{
	struct lsession *s = lmtpd_session_of(srv);
	struct verdict v = verdict(OUT_MAIL_OK);

	(void)m;
	s->began_ms = loop_now(srv->loop);
	if (!s->trusted)
		v = stream_tls_peer_cert(&srv->line.io) ? verdict(OUT_CERT_NAME) :
							  verdict(OUT_LMTP_CERT);
	smtp_server_answer(srv, &v);
}

/* ---- RCPT ----------------------------------------------------------------------------- */

static void
lmtpd_rcpt_ask(struct lsession *s)
{
	struct slice domain = s->asked.to.domain;

	if (s->asked.event.p) { /* an account, not an address */
		dir_login_start(lmtpd.dir,
		    slice_str(arena_printf(&s->srv.arena, SFMT "@" SFMT, SARG(s->asked.to.local),
			SARG(domain))),
		    &s->op, rcpt_found, s);
		return;
	}
	if (domain.n == 0) /* <postmaster>, RFC 5321 4.5.1; programs on this host: <user> */
		domain = slice_str(shared.default_domain);
	dir_rcpt_start(lmtpd.dir, s->asked.to.local, domain, &s->op, rcpt_found, s);
}

static void
ask_rcpt(struct smtp_server *srv, const struct smtp_rcpt *r)
{
	struct lsession *s = lmtpd_session_of(srv);

	s->asked = *r;
	lmtpd_rcpt_ask(s);
}

/* His scripts have been changed since this worker was told of him, and act from this delivery on. */
static void
lmtpd_rcpt_ask_anew(struct lsession *s, struct slice account)
{
	dir_forget(lmtpd.dir, account);
	lmtpd_rcpt_ask(s);
}

/* May this user get mail here and now? */
static struct verdict
judge(const struct dir_user *u, const struct smtp_mail *m, bool ignore_quota)
{
	enum login_rule rule = login_rule(u->status, LOGIN_DELIVER);

	if (rule != LOGIN_RULE_YES && !(rule == LOGIN_RULE_FULL && ignore_quota))
		return login_rule_verdict(rule, lconf.over_quota == OVER_QUOTA_PERM);
	/* The relay's view is old, or ours: neither loses mail. */
	if (!login_is_here(u->mailhost, lconf.hosts, lconf.any_host))
		return verdict(OUT_USER_ELSEWHERE);
	if (!(u->delivery & DIR_MAILBOX))
		return verdict(OUT_USER_NO_MAILBOX);
	if (u->account.n > STORE_ACCOUNT_MAX)
		return verdict(OUT_USER_NAME_LONG);
	if (u->max_message > 0 && m->size > (uint64_t)u->max_message)
		return verdict(OUT_USER_SIZE);
	return verdict(OUT_RCPT_OK);
}

/* user+folder@domain: the folder, unless the whole is an address of the user's own. */
static struct slice
subfolder(const struct dir_user *u, const struct address *to)
{
	size_t plus = slice_find(to->local, '+');

	if (!lconf.subaddress || plus == to->local.n)
		return (struct slice){ 0 };
	for (size_t i = 0; i < u->naddresses; i++) {
		size_t at = slice_rfind(u->addresses[i], '@');

		if (slice_ieq(slice_sub(u->addresses[i], 0, at), to->local))
			return (struct slice){ 0 };
	}
	return slice_sub(slice_from(to->local, plus + 1), 0, STORE_NAME_MAX);
}

/* One event is one message of one account. */
static struct verdict
judge_event(const struct lsession *s, struct rules_event *e)
{
	if (!rules_event_parse(s->asked.event, e))
		return verdict(OUT_EVENT_BAD);
	return s->nrcpt ? verdict(OUT_RCPTS_MANY) : verdict(OUT_RCPT_OK);
}

static void
add_rcpt(struct lsession *s, const struct dir_answer *answer)
{
	const struct dir_user *u = answer->user;
	struct arena *a = &s->srv.arena;
	struct lrcpt *r;

	if (s->nrcpt == s->room) {
		s->room = s->room ? s->room * 2 : 4;
		s->rcpts = mem_grow(s->rcpts, s->room, sizeof(*s->rcpts));
	}
	r = &s->rcpts[s->nrcpt];
	*r = (struct lrcpt){
		.account = arena_slice(a, u->account),
		.partition = arena_slice(a, u->partition),
		.folder = s->asked.event.p ? S("") : arena_slice(a, subfolder(u, &s->asked.to)),
		.limits = login_limits(u, answer->domain),
		.max_message = u->max_message,
		.sent = s->asked.sent,
		.files_spam = spam_wanted(u, answer->domain),
		.event = s->asked.event.p,
	};
	if (s->asked.ignore_quota)
		r->limits = STORE_UNASKED;
	r->address = slice_str(
	    arena_printf(a, SFMT "@" SFMT, SARG(s->asked.to.local), SARG(s->asked.to.domain)));
	/* Two addresses of one user: one copy, two answers. */
	for (size_t i = 0; i < s->nrcpt; i++) {
		if (!s->rcpts[i].again && s->rcpts[i].sent == r->sent &&
		    slice_eq(s->rcpts[i].account, r->account) &&
		    slice_eq(s->rcpts[i].folder, r->folder)) {
			r->again = true;
			r->target = i;
			if (s->asked.ignore_quota) /* the copy is in for both */
				s->rcpts[i].limits = r->limits;
			break;
		}
	}
	s->nrcpt++;
}

static void
rcpt_found(void *arg, const struct dir_answer *a)
{
	struct lsession *s = CAST(arg, struct lsession, LSESSION_MAGIC);
	struct verdict v = a->v;
	struct rules_event e;

	if (v.kind == OK && a->user && lconf.sieve &&
	    rules_news_heard(lmtpd.news, a->user->account)) {
		lmtpd_rcpt_ask_anew(s, a->user->account);
		return;
	}
	if (v.kind == OK && a->user) {
		v = judge(a->user, &s->srv.mail, s->asked.ignore_quota);
		if (v.kind == OK && s->asked.event.p)
			v = judge_event(s, &e);
		if (v.kind == OK && s->nrcpt && s->rcpts[0].event) /* it stays alone */
			v = verdict(OUT_RCPTS_MANY);
		if (v.kind == OK) {
			add_rcpt(s, a);
			if (s->asked.event.p)
				filter_event(s, &s->asked, a, &e);
			else if (!s->asked.sent) /* what he has sent he need not be told of */
				filter_rcpt(s, &s->asked, a);
		}
	} else if (v.kind != TEMP) {
		v = login_rule_verdict(LOGIN_RULE_GONE, false);
	}
	if (v.kind != OK)
		metric_add(v.kind == TEMP ? M_DEFERRED : M_FAILED, 1);
	smtp_server_answer(&s->srv, &v);
}

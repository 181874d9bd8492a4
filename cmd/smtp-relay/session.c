/* session.c: one client of smtp-relay.  The order of commands, replies and time are
 * lib/smtp/server's; here is what is taken from whom:
 *
 *	mx          anybody, for recipients of our domains (and relay.domains); relay.networks and stores, by
 *	            certificate, for all; with peer_certificate = demand nobody but those
 *	submission  authenticated users, sender one of their addresses
 *	local       programs on this host over a Unix socket: sendmail(1)
 *
 * RFC 5321, 6409 (submission), 3461 (DSN), 6531 (SMTPUTF8), 4954 (AUTH). */
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/log.h"
#include "base/random.h"
#include "daemon/role.h"
#include "access.h"
#include "filters.h"
#include "guard.h"

struct session *
relay_session_of(struct smtp_server *s)
{
	return CAST(s->data, struct session, SESSION_MAGIC);
}

void
relay_session_answer(struct session *s, enum verdict_kind kind, int code, const char *esc,
    const char *fmt, ...)
{
	struct verdict v;
	va_list ap;

	va_start(ap, fmt);
	v = verdict_va(kind, code, esc, fmt, ap);
	va_end(ap);
	smtp_server_answer(&s->smtp, &v);
}

/* ---- EHLO -------------------------------------------------------------------------------- */

static void
on_keywords(struct smtp_server *smtp, struct buf *text)
{
	struct session *s = relay_session_of(smtp);
	const struct mta_channel *c;

	if (smtp->may_aside)
		buf_lit(text, "XASIDE\nXSENT\n");
	if (relay_auth_offered(s))
		buf_printf(text, "AUTH %s\n", login_mechanisms());
	if (s->proxy)
		buf_lit(text, "XCLIENT ADDR PORT LOGIN SESSION APP\n");
	if (s->xclient)
		buf_lit(text, "XCLIENT NAME REVERSE_NAME ADDR PORT PROTO HELO DESTADDR DESTPORT\n");
	xforward_keywords(s, text);
	release_keywords(s, text);
	priority_keywords(s, text);
	deliver_by_keywords(s, text);
	tls_wish_keywords(s, text);
	c = relay_channel(s);
	if (!c || c->notary != 0)
		buf_lit(text, "DSN\n");
	buf_lit(text, "HELP\n");
}

static void
helo_filtered(struct session *s, const struct verdict *no)
{
	if (no)
		smtp_server_answer(&s->smtp, no);
	else
		relay_session_answer(s, OUT_OK);
}

static void
helo_named(struct session *s)
{
	filters_ask(s, MILTER_AT_HELO, helo_filtered);
}

static void
on_helo(struct smtp_server *smtp, struct slice name)
{
	struct session *s = relay_session_of(smtp);

	log_event(LOG_DEBUG, "helo", "sid=%s name=%s esmtp=%d", s->sid, log_value(name),
	    smtp->esmtp);
	names_wait(s, helo_named);
}

/* A store by its certificate sends its users' mail on (lmtpd(8)).  Who is merely asked may be a relay of ours as
 * well, which is no news; who has to be one is told that he is not. */
static bool
relay_session_store(const struct session *s)
{
	const struct stream *io = &s->smtp.line.io;

	if (s->role != ROLE_MX)
		return false;
	return s->demand ? daemon_peer_is(io, TLS_ROLE_STORE, NULL, s->sid) :
			   daemon_peer_roles(io) & TLS_ROLE_BIT(TLS_ROLE_STORE);
}

static void
relay_session_on_secured(struct smtp_server *smtp, int error, const char *why)
{
	struct session *s = relay_session_of(smtp);
	const struct mta_channel *c;
	struct verdict v;

	if (error) {
		log_event(LOG_INFO, "tls", "sid=%s error=%s", s->sid, log_str(why));
		return;
	}
	metric_add(M_TLS, 1);
	login_watch_leave(&s->watch);
	mem_free(&s->account);
	mem_free(&s->language);
	/* A certificate that is shown behind XCLIENT may be the proxy's. */
	s->ours = s->ours || (!s->forwarded && relay_session_store(s));
	s->trusted = s->trusted || s->ours;
	smtp->may_release = smtp->may_release || s->ours;
	s->proxy =
	    s->role == ROLE_SUBMISSION && login_is_proxy(&smtp->line.io, config.proxies, s->sid);
	log_event(LOG_INFO, "tls", "sid=%s version=%s cipher=%s", s->sid,
	    log_str(stream_tls_version(&smtp->line.io)),
	    log_str(stream_tls_cipher(&smtp->line.io)));
	c = relay_channel(s);
	channel_switch(s, c ? c->tlsswitch : NULL);
	/* Its own address is nobody's that a limit is meant for; the limit of all holds. */
	if (s->proxy &&
	    relay_session_forwarded(s, &(struct addr){ .sa.sa_family = AF_UNIX }) != ADMIT_OK) {
		v = verdict(OUT_CLIENTS_FULL, shared.hostname);
		metric_add(M_REFUSED_CONNECTIONS, 1);
		smtp_server_end(smtp, "refused", &v);
	}
}

/* ---- MAIL -------------------------------------------------------------------------------- */

static void
mail_filtered(struct session *s, const struct verdict *no)
{
	if (no)
		smtp_server_answer(&s->smtp, no);
	else
		relay_session_answer(s, OUT_SENDER_OK);
}

static void
mail_tables_judged(struct session *s, const struct verdict *no)
{
	if (no)
		smtp_server_answer(&s->smtp, no);
	else
		filters_ask(s, MILTER_AT_MAIL, mail_filtered);
}

/* The sender is one that may be used; the rules may make another address of it. */
static void
mail_accept(struct session *s)
{
	struct address by_rules;
	struct buf b = { 0 };

	if (route_sender(relay.channels, &s->from, relay_message_source(s), &s->smtp.arena,
		&by_rules))
		s->from = by_rules;
	if (log_wants(LOG_DEBUG)) {
		address_write(&b, &s->from);
		log_event(LOG_DEBUG, "mail", "sid=%s qid=%s from=%s size=%llu", s->sid, s->qid,
		    log_value(buf_get(&b)), (unsigned long long)s->smtp.mail.size);
		buf_fini(&b);
	}
	access_mail(s, mail_tables_judged);
}

static void
mail_sender_judged(struct session *s, const struct verdict *no)
{
	if (no)
		smtp_server_answer(&s->smtp, no);
	else
		mail_accept(s);
}

/* Whose address is it that the user wants to send with? */
static void
sender_found(void *arg, const struct dir_answer *a)
{
	struct session *s = CAST(arg, struct session, SESSION_MAGIC);

	if (a->v.kind == TEMP)
		smtp_server_answer(&s->smtp, &a->v);
	else if (a->user && slice_eq(a->user->account, slice_str(s->account)))
		mail_accept(s);
	else
		relay_session_answer(s, OUT_SENDER_FOREIGN);
}

static bool
any_sender(const struct session *s)
{
	for (char **a = config.any_sender; a && *a; a++)
		if (strcmp(*a, "*") == 0 || slice_ieq(slice_str(*a), slice_str(s->account)))
			return true;
	return false;
}

static void
on_mail(struct smtp_server *smtp, const struct smtp_mail *mail)
{
	struct session *s = relay_session_of(smtp);

	random_id(s->qid);
	if (mail->aside.p)
		slice_cstr(mail->aside, s->qid, sizeof(s->qid));
	s->from = mail->from;
	if (s->demand && !s->trusted) {
		relay_session_answer(s, OUT_CERT_NAME);
		return;
	}
	if (!space_memory(s)) {
		relay_session_answer(s, OUT_MEMORY_SHORT);
		return;
	}
	if (!space_left(s, mail->size)) {
		relay_session_answer(s, OUT_QUEUE_FULL);
		return;
	}
	if (!terms_begin(s, mail) || !release_judge(s, mail))
		return;
	priority_judge(s, mail);
	if (!deliver_by_judge(s, mail))
		return;
	if (!brake_lets(s, NULL)) {
		relay_session_answer(s, OUT_HOUR_MESSAGES);
		return;
	}
	if (s->role != ROLE_SUBMISSION || (mail->from.flags & ADDRESS_NULL) || any_sender(s))
		sender_judge(s, mail_sender_judged);
	else
		dir_rcpt_start(relay.dir, mail->from.local, mail->from.domain, &s->op, sender_found,
		    s);
}

/* ---- what nobody knows ------------------------------------------------------------------------ */

static void
unknown_filtered(struct session *s, const struct verdict *no)
{
	if (no)
		smtp_server_answer(&s->smtp, no);
	else
		relay_session_answer(s, OUT_VERB_UNKNOWN);
}

static void
on_unknown(struct smtp_server *smtp, struct slice verb)
{
	filters_unknown(relay_session_of(smtp), verb, unknown_filtered);
}

/* ---- events  ----------------------------------------------------------------------------- */

static void
on_reset(struct smtp_server *smtp)
{
	struct session *s = relay_session_of(smtp);

	op_cancel(&s->op);
	deadline_clear(&s->late);
	later_cancel(&s->turn);
	sender_forget(s);
	relay_message_forget(s);
	filters_forget(s);
	xforward_forget(s);
	s->access = NULL;
	s->rcpts = NULL;
	s->more = NULL;
	relay.nrcpts -= s->nrcpts;
	s->nrcpts = s->rcpts_room = s->nrcpts_asked = s->nrcpts_said = s->nbodies = 0;
	s->max_list = s->release_at = 0;
	s->forwards = false;
	s->sent = NULL;
	s->sent_wait = NULL;
	s->written = NULL;
	s->asked = NULL;
	s->nasked = s->asked_room = 0;
	s->approved_goes = false;
	memset(&s->asked_for, 0, sizeof(s->asked_for));
	map_fini(&s->rcpts_known);
	s->rcpt = NULL;
	s->qid[0] = '\0';
}

static void
relay_session_on_refused(struct smtp_server *smtp, const char *verb, const struct verdict *v)
{
	struct session *s = relay_session_of(smtp);
	struct buf to = { 0 };

	metric_add(v->kind == PERM ? M_REJECTED : M_DEFERRED, 1);
	rcpt_write(s, &to);
	if (!s->rcpt && strcmp(verb, "RCPT") == 0)
		s->nrcpts_said++; /* nobody has asked us about him */
	if (s->rcpt && v->kind == PERM)
		brake_refused(s);
	s->rcpt = NULL;
	log_event(LOG_INFO, "reject",
	    "sid=%s qid=%s verb=%s to=%s reply=%d verdict=%d.%d.%d text=%s", s->sid, s->qid, verb,
	    log_value(buf_get(&to)), verdict_reply(v), v->kind, v->subject, v->detail,
	    log_str(v->text));
	buf_fini(&to);
}

static void
relay_session_on_closed(struct smtp_server *smtp)
{
	struct session *s = relay_session_of(smtp);

	op_cancel(&s->op);
	deadline_clear(&s->late);
	later_cancel(&s->turn);
	if (smtp->line.why &&
	    (strcmp(smtp->line.why, "errors") == 0 || strcmp(smtp->line.why, "unknown") == 0))
		guard_erred(s);
	login_free(&s->login);
	login_watch_leave(&s->watch);
	filters_end(s);
	names_end(s);
	channel_end(s);
	admit_leave(&s->admit);
	metric_add(M_SESSIONS, -1);
	log_event(LOG_INFO, "disconnect", "sid=%s why=%s messages=%u ms=%llu", s->sid,
	    log_str(smtp->line.why), s->messages,
	    (unsigned long long)(clock_mono_ms() - s->since_ms));
	list_remove(&s->link);
	relay.nsessions--;
	tls_unref(&smtp->tls_ctx);
	mem_free(&s->account);
	mem_free(&s->language);
	xforward_forget(s);
	relay.nrcpts -= s->nrcpts;
	map_fini(&s->rcpts_known);
	mem_free(&s);
	relay_idle();
}

/* ---- the beginning ------------------------------------------------------------------------ */

#define XCANCEL                                                                                    \
	{                                                                                          \
		"XCANCEL", relay_cmd_xcancel, SMTP_READY, SMTP_QUIET, "smtp-relay(8)"              \
	}

static const struct smtp_verb submission_verbs[] = {
	{ "XCLIENT", relay_cmd_xclient, SMTP_READY, SMTP_PRE_AUTH | SMTP_LAST,
	    "postfix.org/XCLIENT_README.html" },
	{ "AUTH", relay_cmd_auth, SMTP_READY, SMTP_PRE_AUTH | SMTP_LAST | SMTP_LONG, "RFC 4954 4" },
	XCANCEL,
	{ NULL, NULL, 0, 0, NULL },
};
static const struct smtp_verb other_verbs[] = {
	{ "XCLIENT", relay_cmd_xclient, SMTP_GREETED | SMTP_READY,
	    SMTP_PRE_TLS | SMTP_LAST | SMTP_QUIET, "postfix.org/XCLIENT_README.html" },
	{ "XFORWARD", relay_cmd_xforward, SMTP_READY, SMTP_QUIET,
	    "postfix.org/XFORWARD_README.html" },
	XCANCEL,
	{ NULL, NULL, 0, 0, NULL },
};

#define CALLS                                                                                      \
	.keywords = on_keywords, .helo = on_helo, .mail = on_mail, .rcpt = rcpt_ask,               \
	.body = relay_message_begin, .bytes = relay_message_bytes, .end = relay_message_end,       \
	.unknown = on_unknown, .reset = on_reset, .refused = relay_session_on_refused,             \
	.secured = relay_session_on_secured, .closed = relay_session_on_closed,                    \
	.vrfy = channel_vrfy

static struct smtp_policy policies[] = {
	[ROLE_MX] = { CALLS, .limits = &relay.limits, .verbs = other_verbs },
	[ROLE_SUBMISSION] = { CALLS, .limits = &relay.limits, .verbs = submission_verbs },
	[ROLE_LOCAL] = { CALLS, .bare = true, .limits = &relay.local_limits, .verbs = other_verbs,
	    .batch = true },
};

const struct smtp_policy *
relay_session_policy(const struct session *s)
{
	return &policies[s->role];
}

/* How sessions are counted: a flood at one listener leaves the others their shares. */
enum { CLASS_TRUSTED = ROLE_LOCAL + 1 };
static const struct admit_class classes[] = {
	[ROLE_MX] = { "mx", 20, true },
	[ROLE_SUBMISSION] = { "submission", 20, true },
	[ROLE_LOCAL] = { "local", 10, false },
	[CLASS_TRUSTED] = { "trusted", 10, true },
};
const struct admit_service relay_admit = { "smtp-relay", classes, NELEM(classes), &config.clients,
	&config.per_client, &config.per_user };

/* Who is it? */
static void
relay_session_know(struct session *s, int fd, const struct relay_peer *who)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	char text[ADDR_TEXT];

	s->peer = who->addr;
	addr_host(&s->peer, s->client);
	addr_write(&s->peer, text);
	if (s->role == ROLE_LOCAL && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0) {
		s->uid = cred.uid;
		/* Programs of the suite share its user or its group; others must not name messages. */
		s->ours = cred.uid == geteuid() || cred.gid == getegid();
		s->smtp.may_aside = s->ours;
	}
	log_event(LOG_INFO, "connect", "sid=%s peer=%s listen=%s uid=%ld", s->sid, log_str(text),
	    log_str(s->listen->name), s->role == ROLE_LOCAL ? (long)s->uid : -1L);
	s->loopback = addr_loopback(&s->peer) && !who->announced;
	s->trusted = who->trusted;
	s->nobody = who->nobody;
	s->xclient = xclient_may(s);
}

/* May it come in?  Who is of guard.allow finds room with those who are trusted when strangers have taken the rest. */
static enum admit_answer
relay_session_admit(struct session *s)
{
	bool mx = s->role == ROLE_MX, trusted = mx && s->trusted;
	/* A proxy is nobody that the limit of a client is meant for. */
	struct addr peer = s->xclient ? (struct addr){ .sa.sa_family = AF_UNIX } : s->peer;
	enum admit_answer in;

	if (mx && !trusted)
		stress_come();
	in = admit_enter(&s->admit, trusted ? CLASS_TRUSTED : (unsigned)s->role, &peer);
	if (in == ADMIT_FULL && mx && !trusted && guard_allows(&s->peer))
		in = admit_enter(&s->admit, CLASS_TRUSTED, &s->peer);
	return in;
}

static bool
relay_session_trusts(const struct addr *peer)
{
	for (char **n = config.relay_networks; n && *n && peer->sa.sa_family != AF_UNIX; n++)
		if (addr_in(peer, slice_str(*n)) > 0)
			return true;
	return false;
}

enum admit_answer
relay_session_forwarded(struct session *s, const struct addr *peer)
{
	if (peer->sa.sa_family != AF_UNIX) {
		s->peer = *peer;
		addr_host(peer, s->client);
		s->loopback = false;
	}
	if (s->role == ROLE_MX) { /* what was believed of the proxy is not for its client */
		s->trusted = relay_session_trusts(peer);
		s->ours = s->loopback = false;
		s->forwarded = true;
		s->smtp.may_release = 0;
	}
	filters_end(s); /* they have not heard of this one */
	filters_begin(s);
	channel_begin(s);
	names_end(s);
	names_begin(s);
	admit_leave(&s->admit);
	return s->role == ROLE_MX ? relay_session_admit(s) :
				    admit_enter(&s->admit, ROLE_SUBMISSION, peer);
}

static void
relay_session_refuse(struct session *s, int fd, enum admit_answer why)
{
	struct verdict v;

	metric_add(M_REFUSED_CONNECTIONS, 1);
	v = why == ADMIT_CLIENT_FULL ? verdict(OUT_CLIENT_FULL, shared.hostname) :
				       verdict(OUT_CLIENTS_FULL, shared.hostname);
	if (smtp_server_refuse(&s->smtp, daemon_loop(), fd, &v) < 0) {
		(void)close(fd);
		relay_session_on_closed(&s->smtp);
	}
}

void
relay_session_accept(struct daemon_listen *l, int fd)
{
	struct relay_peer who = { 0 };

	who.announced = daemon_peer(fd, &who.addr);
	who.nobody = daemon_peer_nobody();
	who.trusted = !who.nobody && relay_session_trusts(&who.addr);
	metric_add(M_CONNECTIONS, 1);
	if (!guard_takes(l, fd, &who))
		relay_session_begin(l, fd, &who);
}

void
relay_session_begin(struct daemon_listen *l, int fd, const struct relay_peer *who)
{
	struct session *s = mem_new(sizeof(*s));
	enum admit_answer in;

	s->magic = SESSION_MAGIC;
	s->listen = l;
	s->role = (enum role)l->role;
	s->since_ms = clock_mono_ms();
	deadline_init(&s->late);
	later_init(&s->turn);
	deadline_init(&s->name_late);
	s->smtp.data = s;
	s->smtp.sid = s->sid;
	policies[s->role].hostname = shared.hostname;
	s->smtp.policy = &policies[s->role];
	random_id(s->sid);
	list_push(&relay.sessions, &s->link);
	relay.nsessions++;
	metric_add(M_SESSIONS, 1);
	relay_session_know(s, fd, who);
	in = relay_session_admit(s);
	if (in != ADMIT_OK) {
		relay_session_refuse(s, fd, in);
		return;
	}
	if (l->tls != TLS_OFF)
		s->smtp.tls_ctx = tls_ref(l->tls_ctx);
	s->smtp.need_auth = s->role == ROLE_SUBMISSION;
	s->smtp.may_release = s->role == ROLE_SUBMISSION || s->ours;
	s->demand = s->role == ROLE_MX && l->peer_cert == PEER_CERT_DEMAND;
	channel_begin(s);
	filters_begin(s);
	names_begin(s);
	if (smtp_server_open(&s->smtp, daemon_loop(), fd, l->tls == TLS_IMPLICIT) < 0) {
		(void)close(fd);
		relay_session_on_closed(&s->smtp);
	}
}

size_t
relay_session_end_user(struct slice account)
{
	struct session *s;
	size_t n = 0;

	list_each(s, &relay.sessions, struct session, link)
	{
		if (!s->account || !slice_ieq(slice_str(s->account), account))
			continue;
		smtp_server_shutdown(&s->smtp, "log in again");
		n++;
	}
	return n;
}

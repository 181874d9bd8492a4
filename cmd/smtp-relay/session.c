/* session.c: one client of smtp-relay.  The order of commands, replies and time are
 * lib/smtp/server's; here is what is taken from whom:
 *
 *	mx          anybody, for recipients of our domains (and relay.networks, relay.domains)
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
#include "relay.h"

struct session *
session_of(struct smtp_server *s)
{
	return CAST(s->data, struct session, SESSION_MAGIC);
}

void
session_answer(
    struct session *s, enum verdict_kind kind, int code, const char *esc, const char *text)
{
	struct verdict v = verdict(kind, code, esc, "%s", text);

	smtp_server_answer(&s->smtp, &v);
}

/* ---- EHLO -------------------------------------------------------------------------------- */

static void
on_keywords(struct smtp_server *smtp, struct buf *text)
{
	struct session *s = session_of(smtp);

	if (auth_offered(s))
		buf_printf(text, "AUTH %s\n", sasl_names());
	buf_lit(text, "DSN\nHELP\n");
}

static void
on_helo(struct smtp_server *smtp, struct slice name)
{
	struct session *s = session_of(smtp);

	log_event(
	    LOG_DEBUG, "helo", "sid=%s name=%s esmtp=%d", s->sid, log_value(name), smtp->esmtp);
	session_answer(s, OK, 250, "2.0.0", "ok");
}

static void
on_secured(struct smtp_server *smtp, int error, const char *why)
{
	struct session *s = session_of(smtp);

	if (error) {
		log_event(LOG_INFO, "tls", "sid=%s error=%s", s->sid, log_str(why));
		return;
	}
	metric_add(M_TLS, 1);
	mem_free(&s->account);
	log_event(LOG_INFO, "tls", "sid=%s version=%s cipher=%s", s->sid,
	    log_str(stream_tls_version(&smtp->io)), log_str(stream_tls_cipher(&smtp->io)));
}

/* ---- MAIL -------------------------------------------------------------------------------- */

static void
mail_accept(struct session *s)
{
	struct buf b = { 0 };

	if (log_wants(LOG_DEBUG)) {
		address_write(&b, &s->from);
		log_event(LOG_DEBUG, "mail", "sid=%s qid=%s from=%s size=%llu", s->sid, s->qid,
		    log_value(buf_get(&b)), (unsigned long long)s->smtp.mail.size);
		buf_fini(&b);
	}
	session_answer(s, OK, 250, "2.1.0", "sender ok");
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
		session_answer(s, PERM, 553, "5.7.1", "this sender address is not yours");
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
	struct session *s = session_of(smtp);

	random_id(s->qid);
	s->from = mail->from;
	if (s->account && !clients_user(slice_str(s->account), 1, 0, config.user_messages, 0)) {
		session_answer(s, TEMP, 450, "4.7.1", "too many messages this hour");
		return;
	}
	if (s->role != ROLE_SUBMISSION || (mail->from.flags & ADDRESS_NULL) || any_sender(s))
		mail_accept(s);
	else
		dir_rcpt_start(
		    relay.dir, mail->from.local, mail->from.domain, &s->op, sender_found, s);
}

/* ---- tidings ----------------------------------------------------------------------------- */

static void
on_reset(struct smtp_server *smtp)
{
	struct session *s = session_of(smtp);

	op_cancel(&s->op);
	message_forget(s);
	s->rcpts = NULL;
	s->nrcpts = s->rcpts_room = 0;
	s->rcpt = NULL;
	s->qid[0] = '\0';
}

static void
on_refused(struct smtp_server *smtp, const char *verb, const struct verdict *v)
{
	struct session *s = session_of(smtp);
	struct buf to = { 0 };

	metric_add(v->kind == PERM ? M_REJECTED : M_DEFERRED, 1);
	rcpt_write(s, &to);
	s->rcpt = NULL;
	log_event(LOG_INFO, "reject",
	    "sid=%s qid=%s verb=%s to=%s reply=%d verdict=%d.%d.%d text=%s", s->sid, s->qid,
	    verb, log_value(buf_get(&to)), verdict_reply(v), v->kind, v->subject, v->detail,
	    log_str(v->text));
	buf_fini(&to);
}

static void
on_closed(struct smtp_server *smtp)
{
	struct session *s = session_of(smtp);

	op_cancel(&s->op);
	deadline_clear(&s->delay);
	clients_leave(s->slot, daemon_worker());
	metric_add(M_SESSIONS, -1);
	log_event(LOG_INFO, "disconnect", "sid=%s why=%s messages=%u ms=%llu", s->sid,
	    log_str(smtp->why), s->messages, (unsigned long long)(clock_mono_ms() - s->since_ms));
	list_remove(&s->link);
	relay.nsessions--;
	tls_unref(&smtp->tls_ctx);
	mem_free(&s->account);
	mem_free(&s);
	relay_idle();
}

/* ---- the beginning ------------------------------------------------------------------------ */

static const struct smtp_verb submission_verbs[] = {
	{ "AUTH", cmd_auth, SMTP_READY, SMTP_PRE_AUTH | SMTP_LAST | SMTP_LONG, "RFC 4954 4" },
	{ NULL, NULL, 0, 0, NULL },
};

#define CALLS                                                                             \
	.keywords = on_keywords, .helo = on_helo, .mail = on_mail, .rcpt = rcpt_ask,          \
	.body = message_begin, .bytes = message_bytes, .end = message_end,                   \
	.reset = on_reset, .refused = on_refused, .secured = on_secured, .closed = on_closed

static struct smtp_policy policies[] = {
	[ROLE_MX] = { CALLS, .limits = &relay.limits },
	[ROLE_SUBMISSION] = { CALLS, .limits = &relay.limits, .verbs = submission_verbs },
	[ROLE_LOCAL] = { CALLS, .limits = &relay.local_limits, .batch = true },
};

/* Who is it, and may it come in? */
static enum clients_answer
admit(struct session *s, int fd)
{
	struct ucred cred;
	struct addr peer = { .len = sizeof(peer.ss) };
	socklen_t len = sizeof(cred);
	char text[ADDR_TEXT];
	uint8_t key[16];

	s->slot = -1;
	if (getpeername(fd, &peer.sa, &peer.len) < 0)
		peer = (struct addr){ .len = sizeof(peer.sa), .sa.sa_family = AF_UNIX };
	addr_host(&peer, s->client);
	addr_write(&peer, text);
	if (s->role == ROLE_LOCAL && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0)
		s->uid = cred.uid;
	log_event(LOG_INFO, "connect", "sid=%s peer=%s listen=%s uid=%ld", s->sid, log_str(text),
	    log_str(s->listen->name), s->role == ROLE_LOCAL ? (long)s->uid : -1L);
	s->loopback = addr_loopback(&peer);
	for (char **n = config.relay_networks; n && *n && peer.sa.sa_family != AF_UNIX; n++)
		s->trusted |= addr_in(&peer, slice_str(*n)) > 0;
	if (s->role == ROLE_LOCAL)
		return CLIENT_OK; /* this host's own programs are not limited by address */
	addr_client_key(&peer, key);
	return clients_enter(key, daemon_worker(), config.clients, config.per_client, &s->slot);
}

static void
refuse(struct session *s, int fd, enum clients_answer why)
{
	struct verdict v;

	metric_add(M_REFUSED_CONNECTIONS, 1);
	v = why == CLIENT_FULL
	    ? verdict(TEMP, 421, "4.7.0", "%s too many connections from you", shared.hostname)
	    : verdict(TEMP, 421, "4.3.2", "%s too many connections", shared.hostname);
	if (smtp_server_refuse(&s->smtp, daemon_loop(), fd, &v) < 0) {
		(void)close(fd);
		on_closed(&s->smtp);
	}
}

void
session_accept(struct daemon_listen *l, int fd)
{
	struct session *s = mem_new(sizeof(*s));
	enum clients_answer in;

	s->magic = SESSION_MAGIC;
	s->listen = l;
	s->role = (enum role)l->role;
	s->since_ms = clock_mono_ms();
	s->smtp.data = s;
	policies[s->role].hostname = shared.hostname;
	s->smtp.policy = &policies[s->role];
	deadline_init(&s->delay);
	random_id(s->sid);
	list_push(&relay.sessions, &s->link);
	relay.nsessions++;
	metric_add(M_CONNECTIONS, 1);
	metric_add(M_SESSIONS, 1);
	in = admit(s, fd);
	if (in != CLIENT_OK) {
		refuse(s, fd, in);
		return;
	}
	if (l->tls != TLS_OFF)
		s->smtp.tls_ctx = tls_ref(l->tls_ctx);
	s->smtp.need_auth = s->role == ROLE_SUBMISSION;
	if (smtp_server_open(&s->smtp, daemon_loop(), fd, l->tls == TLS_IMPLICIT) < 0) {
		(void)close(fd);
		on_closed(&s->smtp);
	}
}

/* smtp-relay/auth.c: AUTH (RFC 4954) on submission listeners: base64 and reply codes around lib/login.
 *
 * Owns the session's login while it lasts and its count of failures; session.c calls for the verb.
 * Can fail: whatever login_answer has a line for.  Must stay true: no password without TLS, no
 * copy of one left behind; too many failures end the session.  All judgement is lib/login's. */
#include "base/base64.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/secret.h"
#include "relay.h"
#include "sasl/sasl.h"

#define LANGUAGE_MAX 256 /* octets of a list of languages; a longer one is nobody's */

static enum smtp_next relay_auth_line(struct smtp_server *smtp, struct slice line);

/* Passwords only over TLS; tests on loopback may be configured otherwise. */
bool
relay_auth_offered(const struct session *s)
{
	if (s->role != ROLE_SUBMISSION)
		return false;
	return stream_secure(&s->smtp.line.io) || (shared.insecure_loopback && s->loopback);
}

/* Ends the exchange with a row of mail/outcome.h. */
PRINTF(5, 6)
static enum smtp_next
relay_auth_say(struct session *s, enum verdict_kind kind, int code, const char *esc,
    const char *fmt, ...)
{
	struct verdict v;
	va_list ap;

	va_start(ap, fmt);
	v = verdict_va(kind, code, esc, fmt, ap);
	va_end(ap);
	login_free(&s->login);
	arena_reset(&s->smtp.arena);
	return smtp_server_say(&s->smtp, &v);
}

/* The password was changed, or the account closed, since: what is under way is brought to its end. */
static void
relay_auth_revoked(struct login_watch *w)
{
	struct session *s = CONTAINER(w, struct session, watch);

	log_context(s->sid);
	smtp_server_shutdown(&s->smtp, "log in again");
	log_context("");
}

/* An account's share is full: it is not let in, though the password was right. */
bool
relay_auth_enter(struct session *s, const struct login_user *u)
{
	const struct mta_channel *c;
	struct slice account = u->account;

	if (admit_user(&s->admit, account) != ADMIT_OK) {
		log_event(LOG_INFO, "login_limit", "sid=%s peer=%s user=%s", s->sid, s->client,
		    log_value(account));
		return false;
	}
	mem_free(&s->account);
	s->account = mem_strn(account.p, account.n);
	mem_free(&s->language);
	if (u->language.n && u->language.n <= LANGUAGE_MAX)
		s->language = mem_strn(u->language.p, u->language.n);
	s->smtp.authed = 1;
	c = relay_channel(s);
	channel_switch(s, c ? c->saslswitch : NULL);
	login_watch_enter(relay.door, &s->watch, u, LOGIN_SUBMIT, relay_auth_revoked);
	return true;
}

static void
relay_auth_done(void *arg, const struct login_result *r)
{
	struct session *s = CAST(arg, struct session, SESSION_MAGIC);
	const struct login_answer *a = login_answer(r->outcome);
	bool in = r->outcome == LOGIN_OK, over;
	struct verdict v = verdict(a->kind, a->reply, a->esc, "%s", a->text);

	log_event(LOG_INFO, "auth", "sid=%s service=smtp peer=%s login=%s user=%s mech=%s %s=%s",
	    s->sid, s->client, log_value(r->name), log_value(r->user.account), r->mechanism,
	    in ? "result" : "reason", a->log);
	if (in && !relay_auth_enter(s, &r->user))
		v = verdict(OUT_LOGIN_FULL);
	metric_add(in ? M_AUTH_OK : M_AUTH_FAILED, in || a->counts);
	s->auth_failed += a->counts;
	over = a->counts && config.auth_failures && s->auth_failed >= config.auth_failures;
	login_free(&s->login);
	arena_reset(&s->smtp.arena);
	if (over) {
		v = verdict(OUT_AUTH_MANY, shared.hostname);
		s->smtp.line.why = "auth";
	}
	smtp_server_say(&s->smtp, &v);
	smtp_server_resume(&s->smtp, over ? SMTP_CLOSE : SMTP_NEXT);
}

static enum smtp_next
relay_auth_ask(struct session *s, struct slice text)
{
	struct buf b = { 0 };
	enum smtp_next next;

	base64_write(&b, text);
	next = smtp_server_ask(&s->smtp, buf_get(&b), relay_auth_line);
	buf_fini(&b);
	return next;
}

/* The mechanism has asked the directory, or an authorization server, and has more to say. */
static void
relay_auth_challenge(void *arg, struct slice text)
{
	struct session *s = CAST(arg, struct session, SESSION_MAGIC);

	log_context(s->sid);
	smtp_server_resume(&s->smtp, relay_auth_ask(s, text));
}

/* One response, decoded; NULL when there was no initial one. */
static enum smtp_next
relay_auth_step(struct session *s, const struct slice *response)
{
	struct slice text;

	switch (login_step(s->login, response, &text)) {
	case LOGIN_CHALLENGE: return relay_auth_ask(s, text);
	case LOGIN_WAIT: return SMTP_WAIT;
	case LOGIN_MALFORMED: break;
	}
	return relay_auth_say(s, OUT_AUTH_MALFORMED, SARG(text));
}

static enum smtp_next
relay_auth_decode(struct session *s, struct slice text)
{
	struct buf b = { 0 };
	enum smtp_next next;
	struct slice bytes;

	if (!sasl_decode(&b, text)) {
		next = relay_auth_say(s, OUT_AUTH_BASE64);
	} else {
		bytes = buf_get(&b);
		next = relay_auth_step(s, &bytes);
	}
	secret_clear(b.p, b.n);
	buf_fini(&b);
	return next;
}

static enum smtp_next
relay_auth_line(struct smtp_server *smtp, struct slice line)
{
	struct session *s = relay_session_of(smtp);

	smtp->verb = "AUTH";
	line = slice_trim(line);
	if (slice_eq(line, S("*")))
		return relay_auth_say(s, OUT_AUTH_GIVEN_UP);
	return relay_auth_decode(s, line);
}

/* AUTH mechanism [initial-response]				RFC 4954 4 */
enum smtp_next
relay_cmd_auth(struct smtp_server *smtp, struct slice arg)
{
	struct session *s = relay_session_of(smtp);
	struct login_request r = { .service = "smtp",
		.purpose = LOGIN_SUBMIT,
		.peer = s->peer,
		.tls = stream_secure(&smtp->line.io),
		.challenge = relay_auth_challenge };
	struct slice mech;

	if (s->smtp.authed)
		return relay_auth_say(s, OUT_AUTH_ALREADY);
	if (!relay_auth_offered(s))
		return relay_auth_say(s, OUT_AUTH_TLS_FIRST);
	if (!slice_word(&arg, &mech))
		return relay_auth_say(s, OUT_VERB_NEEDS, "AUTH", "a mechanism");
	s->login = login_start(relay.door, &r, &s->op, relay_auth_done, s);
	if (!login_mechanism(s->login, mech))
		return relay_auth_say(s, OUT_AUTH_MECHANISM);
	slice_cstr(mech, s->mechanism, sizeof(s->mechanism));
	arg = slice_trim(arg);
	return arg.n ? relay_auth_decode(s, arg) : relay_auth_step(s, NULL);
}

/* sieved/auth.c: who logs in, and that he is nobody again: RFC 5804 2.1, 2.14, RFC 4422.
 *
 * Owns the session's login while it lasts.  lib/login judges; nothing but the directory is needed for what is done
 * then.  Must stay true: what is over leaves no password behind; who could not be served now is told TRYLATER, never
 * that his password is wrong; and who came by a proxy stays who he is, for the connection that he sees is another
 * one. */
#include <string.h>

#include "base/base64.h"
#include "base/log.h"
#include "base/mem.h"
#include "sasl/sasl.h"
#include "sieved.h"

/* ---- after the password ------------------------------------------------------------------------- */

static enum line_next
sieved_auth_accepted(struct sieved_session *s, const struct login_result *r)
{
	if (s->full || admit_user(&s->admit, r->user.account) != ADMIT_OK) {
		log_event(LOG_INFO, "login_limit", "sid=%s peer=%s user=%s", s->sid, s->peer,
		    log_value(r->user.account));
		return sieved_no(s, "TRYLATER",
		    s->full ? S("Too many connections from there") :
			      S("Too many connections of this user"));
	}
	s->account = mem_strn(r->user.account.p, r->user.account.n);
	s->dn = mem_strn(r->user.dn.p, r->user.dn.n);
	s->brought = s->proxy;
	s->proxy = false; /* what comes now comes from the client */
	s->early = 0;
	login_watch_enter(sieved.door, &s->watch, &r->user, LOGIN_READ, sieved_session_revoked);
	sieved_session_time(s);
	metric_add(M_LOGINS, 1);
	log_event(LOG_INFO, "login", "sid=%s peer=%s user=%s mech=%s tls=%s", s->sid, s->peer,
	    log_str(s->account), r->mechanism, stream_secure(&s->line.io) ? "yes" : "no");
	return sieved_ok(s, "Logged in");
}

static enum line_next
sieved_auth_refused(struct sieved_session *s, const struct login_result *r)
{
	const struct login_answer *a = login_answer(r->outcome);
	struct buf code = { 0 };
	enum line_next next;

	log_event(LOG_INFO, "login_failed",
	    "sid=%s service=sieve peer=%s login=%s user=%s mech=%s%s%s reason=%s", s->sid, s->peer,
	    log_value(r->name), log_value(r->user.account), r->mechanism,
	    r->outcome == LOGIN_ELSEWHERE ? " mailhost=" : "",
	    r->outcome == LOGIN_ELSEWHERE ? log_value(r->user.mailhost) : "", a->log);
	metric_add(M_LOGIN_FAILED, a->counts);
	s->failures += a->counts;
	if (a->counts && config.failures && s->failures >= config.failures) {
		s->line.why = "failures";
		return sieved_bye(s, NULL, S("Too many failed logins"));
	}
	/* A proxy goes there itself. */
	if (r->outcome == LOGIN_ELSEWHERE && s->proxy)
		buf_printf(&code, "REFERRAL \"sieve://" SFMT "\"", SARG(r->user.mailhost));
	else if (r->outcome == LOGIN_AWAY)
		buf_lit(&code, "TRYLATER");
	next = sieved_no(s, code.n ? buf_cstr(&code) : NULL, slice_str(a->text));
	buf_fini(&code);
	return next;
}

static void
sieved_auth_done(void *arg, const struct login_result *r)
{
	struct sieved_session *s = arg;
	struct login *l = s->login;

	log_context(s->sid);
	s->login = NULL; /* what follows may end the session; the result lives as long as l */
	line_session_resume(&s->line,
	    r->outcome == LOGIN_OK ? sieved_auth_accepted(s, r) : sieved_auth_refused(s, r));
	login_free(&l);
}

/* ---- the exchange ------------------------------------------------------------------------------- */

static enum line_next
sieved_auth_ask(struct sieved_session *s, struct slice text)
{
	struct buf *b = sieved_out(s);

	s->exchange = true;
	buf_char(b, '"');
	base64_write(b, text);
	buf_lit(b, "\"\r\n");
	sieved_command_over(s);
	return LINE_ON;
}

/* The mechanism has asked the directory, or an authorization server, and has more to say. */
static void
sieved_auth_challenge(void *arg, struct slice text)
{
	struct sieved_session *s = arg;

	log_context(s->sid);
	line_session_resume(&s->line, sieved_auth_ask(s, text));
}

static enum line_next
sieved_auth_step(struct sieved_session *s, const struct slice *response)
{
	struct slice text;

	s->exchange = false;
	switch (login_step(s->login, response, &text)) {
	case LOGIN_CHALLENGE: return sieved_auth_ask(s, text);
	case LOGIN_WAIT: return LINE_WAIT;
	case LOGIN_MALFORMED: break;
	}
	login_free(&s->login);
	return sieved_bad(s, text);
}

static enum line_next
sieved_auth_decode(struct sieved_session *s, struct slice text)
{
	struct buf b = { 0 };
	enum line_next next;
	struct slice bytes;

	if (sasl_decode(&b, text)) {
		bytes = buf_get(&b);
		next = sieved_auth_step(s, &bytes);
	} else {
		login_free(&s->login);
		next = sieved_bad(s, S("Not base64"));
	}
	secret_clear(b.p, b.n);
	buf_fini(&b);
	return next;
}

/* The client's answer to a challenge: a string; "*" gives up. */
enum line_next
sieved_auth_response(struct sieved_session *s)
{
	s->exchange = false;
	if (s->in.n == 1 && s->in.string[0] && !slice_eq(sieved_arg(s, 0), S("*")))
		return sieved_auth_decode(s, sieved_arg(s, 0));
	login_free(&s->login);
	return sieved_bad(s, S("Authentication was given up"));
}

enum line_next
sieved_cmd_authenticate(struct sieved_session *s)
{
	struct slice mechanism = sieved_arg(s, 1);
	struct login_request r = { .service = "sieve",
		.purpose = LOGIN_READ,
		.tls = stream_secure(&s->line.io),
		.proxy = s->proxy,
		.challenge = sieved_auth_challenge,
		.hosts = config.hosts,
		.any_host = config.any_host };

	if (!sieved_session_password_ok(s))
		return sieved_no(s, "ENCRYPT-NEEDED", S("STARTTLS first"));
	memcpy(r.by_app, s->app, sizeof(r.by_app));
	stream_peer(&s->line.io, &r.peer);
	login_free(&s->login);
	s->login = login_start(sieved.door, &r, &s->op, sieved_auth_done, s);
	if (!login_mechanism(s->login, mechanism)) {
		login_free(&s->login);
		return sieved_no(s, NULL, S("There is no such mechanism"));
	}
	return s->in.n == 3 ? sieved_auth_decode(s, sieved_arg(s, 2)) : sieved_auth_step(s, NULL);
}

/* ---- the end, and whom a proxy speaks for ---------------------------------------------------------- */

/* RFC 5804 2.14 */
enum line_next
sieved_cmd_unauthenticate(struct sieved_session *s)
{
	if (s->brought)
		return sieved_no(s, NULL, S("A proxy has logged you in; open a new connection"));
	log_event(LOG_INFO, "logout", "sid=%s user=%s", s->sid, log_str(s->account));
	admit_user_leave(&s->admit);
	login_watch_leave(&s->watch);
	mem_free(&s->account);
	mem_free(&s->dn);
	sieved_session_time(s);
	return sieved_ok(s, "Nobody now");
}

/* XCLIENT [FIELD=value ...]: of whom a proxy speaks; Postfix' XCLIENT, as Dovecot has it in ManageSieve. */
enum line_next
sieved_cmd_xclient(struct sieved_session *s)
{
	struct login_forward forward = { 0 };
	struct slice word, field;

	if (!s->proxy)
		return sieved_bad(s, S("There is no such command"));
	for (size_t i = 1; i < s->in.n; i++) {
		word = sieved_arg(s, i);
		if (slice_cut(&word, '=', &field))
			login_forward_take(&forward, field, word);
	}
	sieved_session_forwarded(s, &forward);
	return sieved_ok(s, "Noted");
}

/* smtp-relay/xclient.c: XCLIENT (Postfix's, of which ADDR, PORT and LOGIN are known; SESSION and APP as POP3's) from a
 * proxy of the access tier, which has checked the password itself.
 *
 * Owns nothing that outlives the command but the session's login while it lasts; session.c calls for the verb.
 * Can fail: what the directory says of the user, and the limits of whom the proxy speaks for.  Must stay
 * true: only who has shown a certificate with a name of auth.proxies is listened to, once: what comes
 * behind it comes from the client. */
#include <string.h>

#include "base/log.h"
#include "base/must.h"
#include "relay.h"
#include "smtp/params.h"

static enum smtp_next
relay_xclient_bad(struct session *s, const char *why)
{
	struct verdict v = verdict(OUT_ARGUMENT_BAD, why);

	return smtp_server_say(&s->smtp, &v);
}

static void
relay_xclient_done(void *arg, const struct login_result *r)
{
	struct session *s = CAST(arg, struct session, SESSION_MAGIC);
	const struct login_answer *a = login_answer(r->outcome);
	struct verdict v = verdict(a->kind, a->reply, a->esc, "%s", a->text);
	bool in = r->outcome == LOGIN_OK;

	log_event(LOG_INFO, "auth",
	    "sid=%s service=smtp peer=%s login=%s user=%s mech=XCLIENT %s=%s", s->sid, s->client,
	    log_value(r->name), log_value(r->user.account), in ? "result" : "reason", a->log);
	if (in && !relay_auth_enter(s, &r->user)) {
		v = verdict(OUT_LOGIN_FULL);
		in = false;
	}
	if (in)
		v = verdict(OUT_XCLIENT);
	metric_add(M_AUTH_OK, in);
	login_free(&s->login);
	smtp_server_say(&s->smtp, &v);
	smtp_server_resume(&s->smtp, SMTP_NEXT);
}

static enum smtp_next
relay_xclient_login(struct session *s, struct slice account, const struct login_forward *f)
{
	struct login_request r = { .service = "smtp",
		.purpose = LOGIN_SUBMIT,
		.peer = s->peer,
		.tls = true,
		.proxy = true };
	struct slice text;

	memcpy(r.by_app, f->app, sizeof(r.by_app));
	s->login = login_start(relay.door, &r, &s->op, relay_xclient_done, s);
	if (login_mechanism(s->login, S("EXTERNAL")) &&
	    login_step(s->login, &account, &text) == LOGIN_WAIT)
		return SMTP_WAIT;
	login_free(&s->login);
	return relay_xclient_bad(s, "LOGIN");
}

/* One NAME=value; false: it is malformed. */
static bool
relay_xclient_take(struct login_forward *f, struct buf *account, struct slice name,
    struct slice value)
{
	if (slice_ieq(name, S("LOGIN")))
		return account->n == 0 && value.n > 0 && smtp_xtext_parse(account, value) == 0;
	if (slice_ieq(name, S("ADDR")) && slice_istarts(value, S("IPV6:")))
		value = slice_from(value, strlen("IPV6:"));
	login_forward_take(f, name, value);
	return true;
}

enum smtp_next
relay_cmd_xclient(struct smtp_server *smtp, struct slice arg)
{
	struct session *s = relay_session_of(smtp);
	struct verdict v = verdict(OUT_VERB_NOT_OFFERED, "XCLIENT");
	struct login_forward forward = { 0 };
	struct buf account = { 0 };
	struct slice word, name;
	enum smtp_next next;
	bool good = true;
	struct addr peer;

	if (!s->proxy)
		return smtp_server_say(smtp, &v);
	while (slice_word(&arg, &word) && slice_cut(&word, '=', &name))
		good = good && relay_xclient_take(&forward, &account, name, word);
	if (!good || account.n == 0) {
		buf_fini(&account);
		return relay_xclient_bad(s, "XCLIENT without a good LOGIN");
	}
	s->proxy = false;
	if (login_forward_apply(&forward, &smtp->line.io, s->sid, &peer) &&
	    relay_session_forwarded(s, &peer) != ADMIT_OK) {
		buf_fini(&account);
		v = verdict(OUT_CLIENT_FULL, shared.hostname);
		smtp_server_say(smtp, &v);
		return SMTP_CLOSE;
	}
	next = relay_xclient_login(s, buf_get(&account), &forward);
	buf_fini(&account);
	return next;
}

/* smtp-relay/xclient.c: XCLIENT (Postfix's): a proxy says whose session this is.
 *
 *	submission  a proxy of the access tier, by its certificate, which has checked the password itself: ADDR, PORT and
 *	            LOGIN; SESSION and APP as POP3's
 *	mx          a host of relay.xclient, by its address: NAME, REVERSE_NAME, ADDR, PORT; of PROTO, HELO, DESTADDR and
 *	            DESTPORT nothing is made, as the client says EHLO again
 *
 * Owns nothing that outlives the command but the session's login while it lasts; session.c calls for the verb.
 * Can fail: what the directory says of the user, and the limits and the guard of whom the proxy speaks for.  Must stay
 * true: it is listened to once: what comes behind it comes from the client; and of what was believed of the proxy
 * nothing is left for the client. */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "guard.h"
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

/* ---- mx ------------------------------------------------------------------------------------ */

struct xclient_told {
	struct login_forward forward;
	char *name, *reverse;
	bool named, reversed; /* said, be it that there is none */
};

bool
xclient_may(const struct session *s)
{
	if (s->role != ROLE_MX || s->nobody || s->peer.sa.sa_family == AF_UNIX)
		return false;
	for (char **n = config.xclient; n && *n; n++)
		if (addr_in(&s->peer, slice_str(*n)) > 0)
			return true;
	return false;
}

static bool
xclient_none(struct slice value)
{
	return slice_ieq(value, S("[UNAVAILABLE]")) || slice_ieq(value, S("[TEMPUNAVAIL]"));
}

static bool
xclient_name(char **name, bool *said, struct slice value)
{
	*said = true;
	mem_free(name);
	if (xclient_none(value))
		return true;
	if (!domain_valid(value, 0))
		return false;
	*name = mem_strn(value.p, value.n);
	return true;
}

/* False: it is none of those that are offered, or malformed. */
static bool
xclient_mx_take(struct xclient_told *t, struct slice name, struct slice value)
{
	static const char *const passed[] = { "PROTO", "HELO", "DESTADDR", "DESTPORT" };
	uint64_t port;

	if (slice_ieq(name, S("NAME")))
		return xclient_name(&t->name, &t->named, value);
	if (slice_ieq(name, S("REVERSE_NAME")))
		return xclient_name(&t->reverse, &t->reversed, value);
	if (slice_ieq(name, S("PORT"))) {
		login_forward_take(&t->forward, name, value);
		return xclient_none(value) || slice_u64(value, 65535, &port) == 0;
	}
	if (slice_ieq(name, S("ADDR"))) {
		if (slice_istarts(value, S("IPV6:")))
			value = slice_from(value, strlen("IPV6:"));
		login_forward_take(&t->forward, name, value);
		return xclient_none(value) || t->forward.peer.len > 0;
	}
	for (size_t i = 0; i < NELEM(passed); i++)
		if (slice_ieq(name, slice_str(passed[i])))
			return value.n > 0;
	return false;
}

static bool
xclient_mx_read(struct xclient_told *t, struct slice arg)
{
	struct slice word, name;
	struct buf value = { 0 };
	bool good = true;
	size_t n = 0;

	for (; good && slice_word(&arg, &word); n++) {
		buf_clear(&value);
		good = slice_cut(&word, '=', &name) && smtp_xtext_parse(&value, word) == 0 &&
		    xclient_mx_take(t, name, buf_get(&value));
	}
	buf_fini(&value);
	return good && n > 0;
}

static enum smtp_next
xclient_mx_over(struct session *s, const struct verdict *no)
{
	if (no) {
		smtp_server_say(&s->smtp, no);
		return SMTP_CLOSE;
	}
	smtp_server_anew(&s->smtp);
	return SMTP_NEXT;
}

static void
xclient_mx_judged(struct session *s, const struct verdict *no)
{
	smtp_server_resume(&s->smtp, xclient_mx_over(s, no));
}

/* Becomes the client's session. */
static enum smtp_next
xclient_mx_begin(struct session *s, struct xclient_told *t)
{
	struct addr peer = { .sa.sa_family = AF_UNIX };
	struct verdict v = { 0 };
	enum guard_told now;

	s->xclient = false;
	(void)login_forward_apply(&t->forward, &s->smtp.line.io, s->sid, &peer);
	if (relay_session_forwarded(s, &peer) != ADMIT_OK) {
		v = verdict(OUT_CLIENT_FULL, shared.hostname);
		metric_add(M_REFUSED_CONNECTIONS, 1);
		return xclient_mx_over(s, &v);
	}
	if (t->named || t->reversed)
		names_told(s, t->name ? t->name : t->reverse, t->name);
	now = t->forward.peer.len ? guard_told(s, &v, xclient_mx_judged) : GUARD_TOLD_YES;
	return now == GUARD_TOLD_WAIT ? SMTP_WAIT :
					xclient_mx_over(s, now == GUARD_TOLD_NO ? &v : NULL);
}

static enum smtp_next
xclient_mx(struct session *s, struct slice arg)
{
	struct verdict v = verdict(OUT_VERB_NOT_OFFERED, "XCLIENT");
	struct xclient_told t = { 0 };
	enum smtp_next next;

	if (!s->xclient)
		return smtp_server_say(&s->smtp, &v);
	next = xclient_mx_read(&t, arg) ? xclient_mx_begin(s, &t) : relay_xclient_bad(s, "XCLIENT");
	mem_free(&t.name);
	mem_free(&t.reverse);
	return next;
}

/* ---- submission ------------------------------------------------------------------------------ */

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

	if (s->role == ROLE_MX)
		return xclient_mx(s, arg);
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

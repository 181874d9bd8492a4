/* memd/login.c: POST /login, POST /logout, GET /session.
 *
 * Owns nothing between two calls: body.c has the text of a login, lib/login judges it, with the delays that it has
 * for IMAP and POP3 too; then the store hears of a session (record.c), which is sealed into a cookie.  Can fail: the directory, which is never the
 * password's fault.  Must stay true: these answer pages of ours alone, so that no other site can log anybody in
 * or out. */
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "memd.h"

/* ---- POST /login ----------------------------------------------------------------------------------- */

/* For the client's words. */
static void
login_put_language(struct buf *b, const struct memd_session *s)
{
	if (s->language && *s->language)
		json_put_cstr(b, "language", s->language);
}

/* The store knows the session. */
static enum http_next
login_begun(struct memd_session *s, unsigned status, struct slice body UNUSED)
{
	struct buf b = { 0 };
	struct web_session_rules rules = memd_auth_rules();
	int64_t now = clock_now();
	enum http_next next;

	if (status != 204)
		return memd_record_away(s);
	metric_add(M_LOGINS, 1);
	log_event(LOG_INFO, "login", "sid=%s peer=%s user=%s tls=%s session=%s store=%s", s->sid,
	    s->peer, log_str(s->account), memd_secure(s) ? "yes" : "no", s->web.id,
	    log_str(s->mailhost));
	http_server_answer(&s->http, 200);
	memd_auth_cookie(s, false);
	buf_char(&b, '{');
	json_put_cstr(&b, "user", s->account);
	json_put_utc(&b, "expires", now + web_session_left(&s->web, &rules, now));
	login_put_language(&b, s);
	buf_lit(&b, "}\n");
	next = memd_json(s, 200, buf_get(&b));
	buf_fini(&b);
	return next;
}

static enum http_next
login_in(struct memd_session *s, const struct login_user *user)
{
	enum http_next next;

	if (!memd_record_new(s, user, false))
		return memd_problem(s, 500, "account",
		    "The name of this account cannot be used here.");
	return memd_auth_is(s, user, &next) ? memd_record_begin(s, false, login_begun) : next;
}

static void
login_judged(void *arg, const struct login_result *r)
{
	struct memd_session *s = arg;
	struct login *l = s->login;
	enum http_next next;

	log_context(s->sid);
	s->login = NULL; /* what follows may end the session; the result lives as long as l */
	if (r->outcome == LOGIN_OK) {
		next = login_in(s, &r->user);
	} else {
		memd_auth_log(s, r);
		next = memd_auth_no(s, r);
	}
	login_free(&l);
	http_server_resume(&s->http, next);
}

static enum http_next
login_asked(struct memd_session *s, const struct json_t *v)
{
	struct login_request r = memd_auth_request(s);
	struct slice user, password, code;

	r.factor = LOGIN_FACTOR_ASKS;
	r.app = LOGIN_APP_NONE;
	/* The one of before a change begins no session, which would outlast that: its time is a later one. */
	r.age_ms = 1;
	if (!json_get_str(json_find(v, S("user")), &user) ||
	    !json_get_str(json_find(v, S("password")), &password))
		return memd_problem(s, 400, "malformed", "There is no user and password.");
	s->login = login_start(memd.door, &r, &s->http.op, login_judged, s);
	if (json_get_str(json_find(v, S("code")), &code))
		login_code(s->login, code);
	login_password(s->login, user, password);
	return HTTP_WAIT;
}

/* What all that changes something begins with. */
static bool
login_guarded(struct memd_session *s, enum http_next *next)
{
	const struct http_head *h = http_server_head(&s->http);

	if (h->verb != HTTP_VERB_POST)
		*next = http_server_refuse_verb(&s->http, HTTP_VERB_POST);
	else if (!memd_auth_secure(s))
		*next = memd_problem(s, 403, "tls", "Only over TLS.");
	else if (!web_guard_json(h))
		*next = memd_problem(s, 415, "type", "The content must be application/json.");
	else if (!web_guard_own(h, false))
		*next = memd_problem(s, 403, "foreign", "This request comes from another site.");
	else
		return false;
	return true;
}

enum http_next
memd_login(struct memd_session *s)
{
	enum http_next next;

	if (login_guarded(s, &next))
		return next;
	if (memd_signon_wanted() && !config.signon.form)
		return memd_problem(s, 403, "signon", "People log in at the provider here.");
	return memd_body(s, login_asked);
}

/* ---- POST /logout ----------------------------------------------------------------------------------- */

static enum http_next
logout_next(struct memd_session *s, struct slice url)
{
	struct buf b = { 0 };
	enum http_next next;

	/* The page's beginning would lead to the provider at once. */
	if (!url.n && memd_signon_wanted() && config.signon.redirect)
		url = S("/signon/out");
	buf_char(&b, '{');
	if (url.n)
		json_put_str(&b, "next", url);
	buf_lit(&b, "}\n");
	next = memd_json(s, 200, buf_get(&b));
	buf_fini(&b);
	return next;
}

/* Nobody is logged in here; `partly`: what somebody has copied of the cookie may be.  `url`: where it ends too. */
static enum http_next
logout_said(struct memd_session *s, bool partly, struct slice url)
{
	log_event(LOG_INFO, "logout", "sid=%s peer=%s user=%s session=%s partly=%s", s->sid,
	    s->peer, log_str(s->account ? s->account : ""), s->web.id, partly ? "yes" : "no");
	http_server_answer(&s->http, partly ? 503 : 200);
	memd_auth_cookie(s, true);
	memd_signon_drop(s);
	/* What a shared computer still has of the person: pages, and what they have stored. */
	http_server_field(&s->http, "Clear-Site-Data", S("\"cache\", \"storage\""));
	if (partly)
		return memd_problem(s, 503, "partly",
		    "You are logged out of this browser; the store could not be told.");
	return logout_next(s, url);
}

static enum http_next
logout_there(struct memd_session *s, struct slice url)
{
	return logout_said(s, false, url);
}

static enum http_next
logout_answer(struct memd_session *s, bool partly)
{
	if (s->web.signed_on && !partly)
		return memd_signon_end(s, logout_there);
	return logout_said(s, partly, S(""));
}

static enum http_next
logout_told(struct memd_session *s, unsigned status, struct slice body UNUSED)
{
	return logout_answer(s, status != 204);
}

static void
logout_known(void *arg, const struct login_result *r)
{
	struct memd_session *s = arg;
	struct login *l = s->login;
	enum http_next next;

	log_context(s->sid);
	s->login = NULL; /* what follows may end the session; the result lives as long as l */
	if (r->outcome != LOGIN_OK) /* an account that may not log in has no session either */
		next = logout_answer(s, r->outcome == LOGIN_AWAY);
	else if (memd_auth_is(s, &r->user, &next))
		next = memd_record_end(s, s->web.id, logout_told);
	login_free(&l);
	http_server_resume(&s->http, next);
}

enum http_next
memd_logout(struct memd_session *s)
{
	enum http_next next;

	if (login_guarded(s, &next))
		return next;
	if (memd_auth_opens(s) && memd_auth_again(s, slice_str(s->web.account), logout_known, s))
		return HTTP_WAIT;
	return logout_answer(s, false);
}

/* ---- GET /session ------------------------------------------------------------------------------------- */

static enum http_next
login_who(struct memd_session *s, const struct login_user *user)
{
	struct buf b = { 0 };
	struct web_session_rules rules = memd_auth_rules();
	int64_t now = clock_now();
	enum http_next next;

	http_server_answer(&s->http, 200);
	if (s->due)
		memd_auth_cookie(s, false);
	buf_char(&b, '{');
	json_put_str(&b, "user", user->account);
	if (s->cookie)
		json_put_utc(&b, "expires", now + web_session_left(&s->web, &rules, now));
	login_put_language(&b, s);
	buf_lit(&b, "}\n");
	next = memd_json(s, 200, buf_get(&b));
	buf_fini(&b);
	return next;
}

enum http_next
memd_whoami(struct memd_session *s)
{
	if (!(http_server_head(&s->http)->verb & (HTTP_VERB_GET | HTTP_VERB_HEAD)))
		return http_server_refuse_verb(&s->http, HTTP_VERB_GET | HTTP_VERB_HEAD);
	return memd_auth_look(s, login_who);
}

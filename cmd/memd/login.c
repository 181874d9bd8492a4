/* memd/login.c: POST /login, POST /logout, GET /session.
 *
 * Owns the text of a login while it comes (in the request's arena, which is wiped).  lib/login judges, with the
 * delays that it has for IMAP and POP3 too; then a session is sealed into a cookie.  Can fail: the directory,
 * which is never the password's fault.  Must stay true: these answer pages of ours alone, so that no other site
 * can log anybody in or out; a password is nowhere once it was judged. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "json/json.h"
#include "memd.h"

#define LOGIN_MOST 4096 /* octets of a login's text */

static const struct json_bounds login_bounds = { .octets = LOGIN_MOST, .depth = 2, .values = 32 };

struct login_text {
	char bytes[LOGIN_MOST];
	size_t n;
};

/* ---- POST /login ----------------------------------------------------------------------------------- */

static enum http_next
login_in(struct memd_session *s, const struct login_user *user)
{
	struct buf b = { 0 };
	struct web_session_rules rules = memd_auth_rules();
	int64_t now = clock_now();
	enum http_next next;

	if (!web_session_begin(&s->web, user->account, now))
		return memd_problem(s, 500, "account", "The name of this account is too long.");
	s->account = mem_strn(user->account.p, user->account.n);
	metric_add(M_LOGINS, 1);
	log_event(LOG_INFO, "login", "sid=%s peer=%s user=%s tls=%s session=%s store=%s", s->sid,
	    s->peer, log_str(s->account), stream_secure(&s->http.line.io) ? "yes" : "no", s->web.id,
	    log_value(user->mailhost));
	http_server_answer(&s->http, 200);
	memd_auth_cookie(s, false);
	buf_char(&b, '{');
	json_put_str(&b, "user", user->account);
	json_put_utc(&b, "expires", now + web_session_left(&s->web, &rules, now));
	buf_lit(&b, "}\n");
	next = memd_json(s, 200, buf_get(&b));
	buf_fini(&b);
	return next;
}

static void
login_judged(void *arg, const struct login_result *r)
{
	struct memd_session *s = arg;
	struct login *l = s->login;
	const struct login_answer *a = login_answer(r->outcome);
	enum http_next next;

	log_context(s->sid);
	s->login = NULL; /* what follows may end the session; the result lives as long as l */
	if (r->outcome == LOGIN_OK) {
		next = login_in(s, &r->user);
	} else {
		log_event(LOG_INFO, "login_failed",
		    "sid=%s service=http peer=%s login=%s user=%s mech=%s reason=%s", s->sid,
		    s->peer, log_value(r->name), log_value(r->user.account), r->mechanism, a->log);
		metric_add(M_LOGIN_FAILED, a->counts);
		next = memd_auth_no(s, r);
	}
	login_free(&l);
	http_server_resume(&s->http, next);
}

/* Not left behind in the parser's memory. */
static void
login_erase(struct slice secret)
{
	secret_clear((char *)(uintptr_t)secret.p, secret.n);
}

static enum http_next
login_ended(struct http_server *http)
{
	struct memd_session *s = memd_of(http);
	struct login_text *text = http->data;
	struct login_request r = memd_auth_request(s);
	struct slice user = { 0 }, password = { 0 };
	struct json_t *v = NULL;
	const char *why = "no user and password";

	if (json_read(slice(text->bytes, text->n), &login_bounds, &v, &why) == 0 &&
	    json_get_str(json_find(v, S("user")), &user) &&
	    json_get_str(json_find(v, S("password")), &password)) {
		s->login = login_start(memd.door, &r, &http->op, login_judged, s);
		login_password(s->login, user, password);
	}
	if (password.n)
		login_erase(password);
	json_free(&v);
	secret_clear(text->bytes, text->n);
	return s->login ? HTTP_WAIT : memd_problem(s, 400, "malformed", why);
}

static enum http_next
login_bytes(struct http_server *http, struct slice bytes)
{
	struct login_text *text = http->data;

	must(bytes.n <= sizeof(text->bytes) - text->n); /* http_server_take has said so */
	memcpy(text->bytes + text->n, bytes.p, bytes.n);
	text->n += bytes.n;
	return HTTP_NEXT;
}

static const struct http_taker login_taker = { .name = "login",
	.bytes = login_bytes,
	.end = login_ended };

/* What all that changes something begins with. */
static bool
login_guarded(struct memd_session *s, enum http_next *next)
{
	const struct http_head *h = http_server_head(&s->http);

	if (h->verb != HTTP_VERB_POST)
		*next = http_server_refuse_verb(&s->http, HTTP_VERB_POST);
	else if (!memd_auth_secure(s))
		*next = memd_problem(s, 403, "tls", "Only over TLS.");
	else if (!memd_guard_json(h))
		*next = memd_problem(s, 415, "type", "The content must be application/json.");
	else if (!memd_guard_own(h, false))
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
	s->http.data = arena_new(&s->http.arena, sizeof(struct login_text));
	return http_server_take(&s->http, &login_taker, LOGIN_MOST);
}

/* ---- POST /logout ----------------------------------------------------------------------------------- */

enum http_next
memd_logout(struct memd_session *s)
{
	enum http_next next;

	if (login_guarded(s, &next))
		return next;
	log_event(LOG_INFO, "logout", "sid=%s peer=%s", s->sid, s->peer);
	http_server_answer(&s->http, 200);
	memd_auth_cookie(s, true);
	/* What a shared computer still has of the person: pages, and what they have stored. */
	http_server_field(&s->http, "Clear-Site-Data", S("\"cache\", \"storage\""));
	return memd_json(s, 200, S("{}\n"));
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
	return memd_auth_start(s, login_who);
}

/* admind/front.c: the console: its files, and who is logged in there: POST /login, POST /logout, GET /session,
 * POST /password.
 *
 * A browser has no password to send with each request; it has a cookie, sealed after one was right (web/session.h).
 * Owns the keys and the files as last read.  Called by session.c for all that is not the API, and by auth.c for a
 * request of the API that has no credentials of its own.  Can fail: the directory, which logs nobody out; without
 * keys nobody gets in by a cookie, and the API goes on.  Must stay true: a cookie counts for requests of our own
 * pages alone; it is sealed a second time under a name of its own, so that the web client's cookie, which may have the
 * same keys, never is one of ours. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "web/cookie.h"
#include "web/files.h"
#include "web/guard.h"
#include "web/seal.h"
#include "admind.h"

#define FRONT_COOKIE "__Host-tiermail-admin"
#define FRONT_LABEL  "admind"
#define FRONT_CODED  "admind code" /* of who has given a code of the second factor */
#define FRONT_BODY   4096
#define FRONT_JUDGED_MS                                                                            \
	5000 /* a cookie counts by what the directory has said so long ago at most */

static struct web_keys *front_keys;
static struct web_files *front_files;

/* ---- what is read ---------------------------------------------------------------------------------- */

/* What cannot be read leaves what there was. */
void
admind_front_read(void)
{
	char *why = NULL;
	struct web_keys *k = web_keys_read(admin_conf.keys, &why);
	struct web_files *f;

	if (k) {
		web_keys_free(&front_keys);
		front_keys = k;
	} else {
		log_event(LOG_ERROR, "admin_console", "what=session.keys error=%s", log_str(why));
	}
	free(why);
	why = NULL;
	f = web_files_read(admin_conf.www, &why);
	if (f) {
		web_files_unref(&front_files);
		front_files = f;
		log_event(LOG_INFO, "web_files", "folder=%s files=%zu", log_str(admin_conf.www),
		    web_files_count(f));
	} else {
		log_event(LOG_ERROR, "admin_console", "what=www error=%s", log_str(why));
	}
	free(why);
}

void
admind_front_status(struct buf *b)
{
	buf_printf(b, "files=%zu keys=%zu\n", front_files ? web_files_count(front_files) : 0,
	    front_keys ? web_keys_count(front_keys) : 0);
}

bool
admind_front_check(struct buf *why)
{
	char *text = NULL;
	struct web_keys *k = web_keys_read(admin_conf.keys, &text);
	bool good = k || (access(admin_conf.keys, F_OK) < 0 && errno == ENOENT);

	if (!k)
		buf_printf(why, "%s%s: session.keys: %s%s\n", good ? "warning: " : "",
		    conf_where(&admin_conf.keys), text,
		    good ? ": openssl rand -hex 32 makes one" : "");
	web_keys_free(&k);
	free(text);
	return good;
}

/* ---- the cookie ------------------------------------------------------------------------------------- */

static struct web_session_rules
front_rules(void)
{
	return (struct web_session_rules){ .idle_s = admin_conf.session_idle / 1000,
		.life_s = admin_conf.session_life / 1000 };
}

static void
front_cookie(struct admind_session *s, bool gone)
{
	struct buf inner = { 0 }, token = { 0 }, b = { 0 };
	struct web_session_rules rules = front_rules();

	if (!gone) {
		web_session_seal(front_keys, &s->web, &inner);
		web_seal(front_keys, s->web_coded ? FRONT_CODED : FRONT_LABEL, buf_get(&inner),
		    &token);
	}
	web_cookie_write(&b, S(FRONT_COOKIE), buf_get(&token),
	    gone ? 0 : web_session_left(&s->web, &rules, clock_now()));
	http_server_field(&s->http, "Set-Cookie", buf_get(&b));
	buf_fini(&inner);
	buf_fini(&token);
	buf_fini(&b);
}

static bool
front_open(struct admind_session *s)
{
	struct slice token = web_cookie_find(http_server_head(&s->http), S(FRONT_COOKIE));
	struct web_session_rules rules = front_rules();
	struct buf inner = { 0 };
	bool old = false, good = front_keys && token.p;

	s->web_coded = good && web_open(front_keys, FRONT_CODED, token, &inner, &old);
	good = good && (s->web_coded || web_open(front_keys, FRONT_LABEL, token, &inner, &old)) &&
	    web_session_open(front_keys, &rules, buf_get(&inner), clock_now(), &s->web, &s->due);
	buf_fini(&inner);
	s->due = s->due || old;
	return good;
}

/* Its time goes on with each request that is let in; http_server_answer was called. */
void
admind_front_renew(struct admind_session *s)
{
	/* What has just ended all other sessions, a new password or a second factor, goes on with this one. */
	if (s->proved)
		s->web.began = clock_now();
	if (s->confirms)
		s->web_coded = true;
	if (s->cookie && (s->due || s->proved || s->confirms))
		front_cookie(s, false);
	s->due = false;
}

/* As a proxy says whom it has let in: all rules but the password. */
enum http_next
admind_front_auth(struct admind_session *s)
{
	const struct http_head *h = http_server_head(&s->http);
	struct login_request r = admind_auth_request(s);
	struct slice account, text = { 0 };

	if (!front_open(s))
		return admind_auth_ask(s, "over", "Nobody is logged in.");
	if (!web_guard_own(h, h->verb == HTTP_VERB_GET || h->verb == HTTP_VERB_HEAD)) {
		log_event(LOG_WARN, "http_foreign", "sid=%s peer=%s user=%s path=%s origin=%s",
		    s->sid, s->peer, log_str(s->web.account), log_value(h->path),
		    log_value(http_head_value(h, S("Origin"))));
		return admind_problem(s, 403, "foreign", "This request comes from another site.");
	}
	s->cookie = true;
	if (slice_eq(h->path,
		S("/session"))) /* a page that looks whether it is over does not go on */
		s->due = false;
	if (s->due)
		s->web.seen = clock_now();
	account = slice_str(s->web.account);
	r.proxy = true;
	r.age_ms = FRONT_JUDGED_MS;
	r.factor = LOGIN_FACTOR_KNOWN;
	s->login = login_start(admind.door, &r, &s->http.op, admind_auth_checked, s);
	if (login_mechanism(s->login, S("EXTERNAL")) &&
	    login_step(s->login, &account, &text) == LOGIN_WAIT)
		return HTTP_WAIT;
	login_free(&s->login);
	return admind_auth_ask(s, "over", "Nobody is logged in.");
}

/* ---- GET /session ------------------------------------------------------------------------------------ */

static enum http_next
front_tell(struct admind_session *s, struct slice user)
{
	struct web_session_rules rules = front_rules();
	struct buf b = { 0 };
	enum http_next next;
	int64_t now = clock_now();

	buf_char(&b, '{');
	json_put_str(&b, "user", user);
	json_put_utc(&b, "expires", now + web_session_left(&s->web, &rules, now));
	buf_lit(&b, "}\n");
	next = admind_json(s, 200, buf_get(&b));
	buf_fini(&b);
	return next;
}

/* admind_route comes here when it is known who asks. */
enum http_next
admind_front_session(struct admind_session *s)
{
	return front_tell(s, slice_str(s->account));
}

/* ---- POST /login --------------------------------------------------------------------------------------- */

static enum http_next
front_in(struct admind_session *s, const struct login_user *user)
{
	if (!front_keys)
		return admind_problem(s, 503, "keys",
		    "This host has no keys for sessions; its administrator can make one.");
	if (user->by_app) /* a session would be as good as the password itself */
		return admind_problem(s, 403, "app",
		    "An application password does not open the console.");
	s->web_coded = user->by_code;
	if (!web_session_begin(&s->web, user->account, clock_now()))
		return admind_problem(s, 500, "account",
		    "The name of this account cannot be used here.");
	s->account = mem_strn(user->account.p, user->account.n);
	metric_add(M_LOGINS, 1);
	log_event(LOG_INFO, "login", "sid=%s peer=%s user=%s tls=%s session=%s", s->sid, s->peer,
	    log_str(s->account), stream_secure(&s->http.line.io) ? "yes" : "no", s->web.id);
	http_server_answer(&s->http, 200);
	front_cookie(s, false);
	return front_tell(s, user->account);
}

static void
front_judged(void *arg, const struct login_result *r)
{
	struct admind_session *s = arg;
	struct login *l = s->login;
	enum http_next next;

	log_context(s->sid);
	s->login = NULL; /* what follows may end the session; the result lives as long as l */
	next = r->outcome == LOGIN_OK ? front_in(s, &r->user) : admind_auth_refuse(s, r);
	login_free(&l);
	http_server_resume(&s->http, next);
}

static enum http_next
front_asked(struct admind_session *s, const struct json_t *v)
{
	struct login_request r = admind_auth_request(s);
	struct slice user, password, code;

	if (!json_get_str(json_find(v, S("user")), &user) ||
	    !json_get_str(json_find(v, S("password")), &password))
		return admind_problem(s, 400, "malformed", "There is no user and password.");
	if (!json_get_str(json_find(v, S("code")), &code))
		code = S("");
	/* The one of before a change begins no session, which would outlast that: its time is a later one. */
	r.age_ms = 1;
	s->login = login_start(admind.door, &r, &s->http.op, front_judged, s);
	login_code(s->login, slice_trim(code));
	login_password(s->login, user, password);
	return HTTP_WAIT;
}

/* A password is in it: nothing of it is left when this returns, in the tree or in the octets. */
static enum http_next
front_read(struct admind_session *s,
    enum http_next (*then)(struct admind_session *, const struct json_t *))
{
	static const struct json_bounds bounds = { .octets = FRONT_BODY, .depth = 2, .values = 32 };
	struct json_walk walk = { 0 };
	struct json_t *v = NULL;
	const char *why = NULL;
	enum http_next next;

	next = json_read(buf_get(&s->body), &bounds, &v, &why) == 0 ?
	    then(s, v) :
	    admind_problem(s, 400, "malformed", why);
	while (json_next(v, &walk)) {
		struct slice text = json_text(walk.value);

		if (text.n)
			secret_clear((char *)(uintptr_t)text.p, text.n);
	}
	json_free(&v);
	if (s->body.p)
		secret_clear(s->body.p, s->body.n);
	return next;
}

static enum http_next
front_body(struct http_server *http, struct slice bytes)
{
	struct admind_session *s = admind_of(http);

	buf_grow(&s->body, FRONT_BODY); /* once: a text that moves would leave itself behind */
	buf_slice(&s->body, bytes);
	return HTTP_NEXT;
}

static enum http_next
front_login_end(struct http_server *http)
{
	return front_read(admind_of(http), front_asked);
}

static const struct http_taker front_login_taker = { "login", front_body, front_login_end, NULL };

/* What changes something comes from a page of ours. */
static bool
front_guarded(struct admind_session *s, enum http_next *next)
{
	const struct http_head *h = http_server_head(&s->http);

	if (h->verb != HTTP_VERB_POST)
		*next = http_server_refuse_verb(&s->http, HTTP_VERB_POST);
	else if (!admind_auth_by_tls(s))
		*next = admind_problem(s, 403, "tls", "Only over TLS.");
	else if (!web_guard_json(h))
		*next = admind_problem(s, 415, "type", "The content must be application/json.");
	else if (!web_guard_own(h, false))
		*next = admind_problem(s, 403, "foreign", "This request comes from another site.");
	else
		return false;
	return true;
}

static enum http_next
front_login(struct admind_session *s)
{
	enum http_next next;

	return front_guarded(s, &next) ? next :
					 http_server_take(&s->http, &front_login_taker, FRONT_BODY);
}

static enum http_next
front_logout(struct admind_session *s)
{
	enum http_next next;

	if (front_guarded(s, &next))
		return next;
	log_event(LOG_INFO, "logout", "sid=%s peer=%s", s->sid, s->peer);
	http_server_answer(&s->http, 200);
	front_cookie(s, true);
	http_server_field(&s->http, "Clear-Site-Data", S("\"cache\", \"storage\""));
	return admind_json(s, 200, S("{}\n"));
}

/* ---- POST /password ------------------------------------------------------------------------------------ */

/* The old one is right: the verb that gives somebody a password gives it to oneself. */
static enum http_next
front_change(struct admind_session *s, const struct login_user *user)
{
	struct admind_ask ask = { .verb = admin_verb_find(S("user"), S("password")),
		.proved = true };
	enum http_next next;

	s->proved = true;
	ask.texts = s->fresh;
	s->fresh = (struct buf){ 0 };
	secret_set(&ask.secret, buf_get(&ask.texts));
	secret_clear(ask.texts.p, ask.texts.n);
	buf_clear(&ask.texts);
	buf_grow(&ask.texts, user->account.n);
	buf_slice(&ask.texts, user->account);
	ask.names[ask.nnames++] = buf_get(&ask.texts);
	next = admind_work_start(s, &ask);
	admind_ask_fini(&ask);
	return next;
}

static void
front_old_judged(void *arg, const struct login_result *r)
{
	struct admind_session *s = arg;
	struct login *l = s->login;
	enum http_next next;

	log_context(s->sid);
	s->login = NULL;
	if (r->outcome == LOGIN_OK && !r->user.by_app)
		next = front_change(s, &r->user);
	else if (r->outcome == LOGIN_OK ||
	    r->outcome == LOGIN_WRONG) /* 401 would say that the session is over */
		next = admind_problem(s, 403, "wrong", "The old password is wrong.");
	else
		next = admind_auth_refuse(s, r);
	login_free(&l);
	http_server_resume(&s->http, next);
}

static enum http_next
front_new(struct admind_session *s, const struct json_t *v)
{
	struct login_request r = admind_auth_request(s);
	struct slice old, new;

	if (!json_get_str(json_find(v, S("old")), &old) ||
	    !json_get_str(json_find(v, S("new")), &new))
		return admind_problem(s, 400, "malformed", "There is no old and new password.");
	if (new.n == 0 || new.n > 256 || slice_find(new, '\0') < new.n)
		return admind_problem(s, 422, "weak", "A password has 1 to 256 octets.");
	buf_grow(&s->fresh, new.n);
	buf_slice(&s->fresh, new);
	r.factor = LOGIN_FACTOR_KNOWN; /* by who has come in */
	s->login = login_start(admind.door, &r, &s->http.op, front_old_judged, s);
	login_password(s->login, slice_str(s->account), old);
	return HTTP_WAIT;
}

static enum http_next
front_password_end(struct http_server *http)
{
	return front_read(admind_of(http), front_new);
}

static const struct http_taker front_password_taker = { "password", front_body, front_password_end,
	NULL };

/* admind_route comes here when it is known who asks. */
enum http_next
admind_front_password(struct admind_session *s)
{
	enum http_next next;

	if (front_guarded(s, &next))
		return next;
	if (s->by_app) /* it may be all that somebody else has got, beside the password, of a second factor */
		return admind_problem(s, 403, "app",
		    "This is not changed by who comes by an application password.");
	return http_server_take(&s->http, &front_password_taker, FRONT_BODY);
}

/* ---- files ----------------------------------------------------------------------------------------------- */

static void
front_page(struct http_server *http, struct slice path UNUSED)
{
	http_server_field(http, "X-Content-Type-Options", S("nosniff"));
	http_server_field(http, "Referrer-Policy", S("no-referrer"));
	http_server_field(http, "Content-Security-Policy",
	    S("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
	      "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
	      "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"));
	http_server_field(http, "X-Frame-Options", S("DENY"));
	http_server_field(http, "Cross-Origin-Resource-Policy", S("same-origin"));
	http_server_field(http, "Cross-Origin-Opener-Policy", S("same-origin"));
	http_server_field(http, "Permissions-Policy",
	    S("camera=(), geolocation=(), microphone=(), payment=(), usb=()"));
	if (stream_secure(&http->line.io))
		http_server_field(http, "Strict-Transport-Security", S("max-age=31536000"));
}

/* An address of the console's own, like /users/example.org: the page, to whom navigates there. */
static bool
front_of_console(const struct http_head *h)
{
	struct slice mode = http_head_value(h, S("Sec-Fetch-Mode"));
	struct slice first = slice_from(h->path, 1);

	first = slice_sub(first, 0, slice_find(first, '/'));
	return slice_find(first, '.') == first.n && !slice_starts(first, S("a-")) &&
	    (!mode.p || slice_eq(mode, S("navigate")));
}

static enum http_next
front_file(struct admind_session *s)
{
	const struct http_head *h = http_server_head(&s->http);
	struct slice path = h->path;

	if (!(h->verb & (HTTP_VERB_GET | HTTP_VERB_HEAD)))
		return http_server_refuse_verb(&s->http, HTTP_VERB_GET | HTTP_VERB_HEAD);
	if (front_files && !web_files_have(front_files, path) && front_of_console(h))
		path = S("/index.html");
	if (front_files && web_files_have(front_files, path))
		return web_files_answer(front_files, &s->http, path, front_page);
	return admind_problem(s, 404, "path", "There is nothing of this name.");
}

enum http_next
admind_front(struct admind_session *s)
{
	struct slice path = http_server_head(&s->http)->path;

	if (slice_eq(path, S("/login")))
		return front_login(s);
	if (slice_eq(path, S("/logout")))
		return front_logout(s);
	if (slice_eq(path, S("/session")) || slice_eq(path, S("/password")) ||
	    slice_starts(path, S("/api/")) || slice_starts(path, S("/scim/")))
		return admind_auth_start(s);
	return front_file(s);
}

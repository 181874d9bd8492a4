/* memd/auth.c: whose request it is.
 *
 * By the cookie, which was sealed after a password was right, or by Basic (RFC 7617) or Bearer (RFC 6750), for clients
 * that are no browsers' pages.  The directory is asked each time (its cache mostly answers): status, service and mailHost are
 * those of now, so an account that is closed or moved is so for sessions that began before.  Can fail: the
 * directory, which logs nobody out.  Must stay true: a cookie counts for requests of our own pages alone. */
#include "base/base64.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "memd.h"
#include "web/cookie.h"

struct web_session_rules
memd_auth_rules(void)
{
	return (struct web_session_rules){ .idle_s = config.session_idle / 1000,
		.life_s = config.session_life / 1000 };
}

bool
memd_auth_secure(const struct memd_session *s)
{
	return memd_secure(s) || (shared.insecure_loopback && s->loopback);
}

struct login_request
memd_auth_request(struct memd_session *s)
{
	struct login_request r = { .service = "http",
		.purpose = LOGIN_READ,
		.tls = memd_secure(s),
		.any_host = true };

	stream_peer(&s->http.line.io, &r.peer);
	return r;
}

void
memd_auth_cookie(struct memd_session *s, bool gone)
{
	struct buf token = { 0 }, b = { 0 };
	struct web_session_rules rules = memd_auth_rules();

	if (!gone)
		web_session_seal(memd.keys, &s->web, &token);
	web_cookie_write(&b, S(MEMD_COOKIE), buf_get(&token),
	    gone ? 0 : web_session_left(&s->web, &rules, clock_now()));
	http_server_field(&s->http, "Set-Cookie", buf_get(&b));
	buf_fini(&token);
	buf_fini(&b);
}

/* ---- not let in ------------------------------------------------------------------------------------ */

/* A browser would ask for the password itself, over our page, and keep it. */
static enum http_next
auth_unknown(struct memd_session *s, const char *code, const char *detail)
{
	if (s->http.output == HTTP_SILENT)
		http_server_answer(&s->http, 401);
	if (!web_guard_browser(http_server_head(&s->http))) {
		http_server_field(&s->http, "WWW-Authenticate",
		    S("Basic realm=\"mail\", charset=\"UTF-8\""));
		if (login_offers_oauth())
			http_server_field(&s->http, "WWW-Authenticate", S("Bearer realm=\"mail\""));
	}
	return memd_problem(s, 401, code, detail);
}

/* RFC 6750 3 */
static enum http_next
auth_token(struct memd_session *s, unsigned status, const char *error, const char *detail)
{
	char *value = mem_printf("Bearer realm=\"mail\", error=\"%s\"", error);

	http_server_answer(&s->http, status);
	http_server_field(&s->http, "WWW-Authenticate", slice_str(value));
	mem_free(&value);
	return memd_problem(s, status, error, detail);
}

void
memd_auth_log(struct memd_session *s, const struct login_result *r)
{
	const struct login_answer *a = login_answer(r->outcome);

	log_event(LOG_INFO, "login_failed",
	    "sid=%s service=http peer=%s login=%s user=%s mech=%s reason=%s", s->sid, s->peer,
	    log_value(r->name), log_value(r->user.account), r->mechanism, a->log);
	metric_add(M_LOGIN_FAILED, a->counts);
}

enum http_next
memd_auth_over(struct memd_session *s)
{
	http_server_answer(&s->http, 401);
	memd_auth_cookie(s, true);
	return auth_unknown(s, "over", "Nobody is logged in.");
}

enum http_next
memd_auth_no(struct memd_session *s, const struct login_result *r)
{
	switch (r->outcome) {
	case LOGIN_AWAY:
		http_server_answer(&s->http, 503);
		http_server_field(&s->http, "Retry-After", S("5"));
		return memd_problem(s, 503, "away",
		    "The directory does not answer; try again soon.");
	case LOGIN_INACTIVE: return memd_problem(s, 403, "inactive", "This account is not active.");
	case LOGIN_FORBIDDEN:
		return memd_problem(s, 403, "forbidden",
		    "This account may not read mail here from there.");
	case LOGIN_APP:
		return auth_unknown(s, "app",
		    "This account has a second factor: an application password is needed.");
	case LOGIN_CODE:
		return auth_unknown(s, "second-factor", "A code of the second factor is needed.");
	case LOGIN_CODE_WRONG:
		return auth_unknown(s, "code",
		    "The code is wrong, was used, or follows too many wrong ones.");
	case LOGIN_TOKEN: return auth_token(s, 401, "invalid_token", "The token is not valid.");
	case LOGIN_SCOPE:
		return auth_token(s, 403, "insufficient_scope",
		    "The token is not for this service.");
	case LOGIN_WRONG:
	case LOGIN_NOT_YOURS: break;
	case LOGIN_OK:
	case LOGIN_ELSEWHERE:
	case LOGIN_OUTCOMES: must(false); break;
	}
	return auth_unknown(s, "wrong", "The name or the password is wrong.");
}

/* ---- the directory has answered --------------------------------------------------------------------- */

bool
memd_auth_is(struct memd_session *s, const struct login_user *user, enum http_next *next)
{
	struct slice host = user->mailhost.n ? user->mailhost : slice_str(config.dflt);

	mem_free(&s->account);
	mem_free(&s->mailhost);
	mem_free(&s->language);
	s->language = mem_strn(user->language.p ? user->language.p : "", user->language.n);
	s->account = mem_strn(user->account.p, user->account.n);
	s->mailhost = mem_strn(host.p, host.n);
	if (host.n)
		return true;
	log_event(LOG_WARN, "store_none", "sid=%s user=%s", s->sid, log_str(s->account));
	*next = memd_problem(s, 503, "nowhere", "This account has no mailbox yet.");
	return false;
}

static enum http_next
auth_accept(struct memd_session *s, const struct login_user *user)
{
	enum http_next next;

	if (admit_user(&s->admit, user->account) != ADMIT_OK) {
		log_event(LOG_INFO, "login_limit", "sid=%s peer=%s user=%s", s->sid, s->peer,
		    log_value(user->account));
		return memd_problem(s, 429, "limit", "Too many requests of this user at once.");
	}
	if (!web_session_account(user->account))
		return memd_problem(s, 500, "account",
		    "The name of this account cannot be used here.");
	if (!memd_auth_is(s, user, &next))
		return next;
	return s->cookie ? memd_record_judge(s, user) : s->then(s, user);
}

static void
auth_done(void *arg, const struct login_result *r)
{
	struct memd_session *s = arg;
	struct login *l = s->login;
	enum http_next next;

	log_context(s->sid);
	s->login = NULL; /* what follows may end the session; the result lives as long as l */
	if (r->outcome != LOGIN_OK)
		memd_auth_log(s, r);
	next = r->outcome == LOGIN_OK ? auth_accept(s, &r->user) : memd_auth_no(s, r);
	login_free(&l);
	http_server_resume(&s->http, next);
}

/* ---- by what ----------------------------------------------------------------------------------------- */

/* RFC 7617: name ":" password, in UTF-8; a colon in the name there cannot be. */
static enum http_next
auth_basic(struct memd_session *s, struct slice credentials)
{
	struct login_request r = memd_auth_request(s);
	struct buf text = { 0 };
	struct slice name, all;
	bool good = base64_parse(&text, slice_trim(credentials)) == 0;

	all = buf_get(&text);
	good = good && slice_find(all, ':') < all.n;
	if (good) {
		(void)slice_cut(&all, ':', &name);
		s->login = login_start(memd.door, &r, &s->http.op, auth_done, s);
		login_password(s->login, name, all);
	}
	if (text.p)
		secret_clear(text.p, text.n);
	buf_fini(&text);
	return good ? HTTP_WAIT : memd_problem(s, 400, "malformed", "Authorization is malformed.");
}

/* RFC 6750 2.1 */
static enum http_next
auth_bearer(struct memd_session *s, struct slice token)
{
	struct login_request r = memd_auth_request(s);

	s->login = login_start(memd.door, &r, &s->http.op, auth_done, s);
	login_token(s->login, slice_trim(token));
	return HTTP_WAIT;
}

/* As a proxy says whom it has let in: all rules but the password. */
bool
memd_auth_again(struct memd_session *s, struct slice account, login_done done, void *arg)
{
	struct login_request r = memd_auth_request(s);
	struct slice text = { 0 };

	r.proxy = true;
	r.age_ms = MEMD_JUDGED_MS;
	s->login = login_start(memd.door, &r, &s->http.op, done, arg);
	if (login_mechanism(s->login, S("EXTERNAL")) &&
	    login_step(s->login, &account, &text) == LOGIN_WAIT)
		return true;
	login_free(&s->login);
	return false;
}

bool
memd_auth_opens(struct memd_session *s)
{
	struct slice token = web_cookie_find(http_server_head(&s->http), S(MEMD_COOKIE));
	struct web_session_rules rules = memd_auth_rules();

	return token.p && web_session_open(memd.keys, &rules, token, clock_now(), &s->web, &s->due);
}

static enum http_next
auth_session(struct memd_session *s)
{
	const struct http_head *h = http_server_head(&s->http);

	if (!memd_auth_opens(s))
		return auth_unknown(s, "over", "Nobody is logged in.");
	if (!web_guard_own(h, h->verb == HTTP_VERB_GET || h->verb == HTTP_VERB_HEAD)) {
		metric_add(M_FOREIGN, 1);
		log_event(LOG_WARN, "http_foreign", "sid=%s peer=%s user=%s path=%s origin=%s",
		    s->sid, s->peer, log_str(s->web.account), log_value(h->path),
		    log_value(http_head_value(h, S("Origin"))));
		return memd_problem(s, 403, "foreign", "This request comes from another site.");
	}
	s->cookie = true;
	if (s->due)
		s->web.seen = clock_now();
	if (memd_auth_again(s, slice_str(s->web.account), auth_done, s))
		return HTTP_WAIT;
	return auth_unknown(s, "over", "Nobody is logged in.");
}

enum http_next
memd_auth_start(struct memd_session *s, memd_then then)
{
	struct slice value = http_head_value(http_server_head(&s->http), S("Authorization"));
	struct slice scheme = S("");

	s->then = then;
	if (!memd_auth_secure(s))
		return memd_problem(s, 403, "tls", "Only over TLS.");
	if (!value.p)
		return auth_session(s);
	if (slice_word(&value, &scheme) && slice_ieq(scheme, S("Basic")))
		return auth_basic(s, value);
	if (slice_ieq(scheme, S("Bearer")) && login_offers_oauth())
		return auth_bearer(s, value);
	return auth_unknown(s, "scheme",
	    login_offers_oauth() ? "Basic and Bearer are what is understood here." :
				   "Basic is what is understood here.");
}

enum http_next
memd_auth_look(struct memd_session *s, memd_then then)
{
	s->looks = true;
	return memd_auth_start(s, then);
}

/* admind/auth.c: whose request it is: by Basic (RFC 7617), over TLS; or by a cookie, which front.c has sealed.
 *
 * Called for each request; lib/login asks the directory, whose answer is remembered for ldap.auth_age.  Owns
 * the login while it runs.  Can fail: the directory, which is said to be away and not to refuse.  Must stay
 * true: no credentials are taken from a browser's memory: requests that a page of another site makes are
 * refused before (Sec-Fetch-Site, Origin), and so are those without TLS. */
#include "base/base64.h"
#include "base/log.h"
#include "base/mem.h"
#include "web/guard.h"
#include "admind.h"

bool
admind_auth_by_tls(const struct admind_session *s)
{
	return stream_secure(&s->http.line.io) || (shared.insecure_loopback && s->loopback);
}

/* Browsers say where a request comes from, and no page can say otherwise; other programs say nothing. */
static bool
auth_foreign(const struct http_head *h)
{
	struct slice site = http_head_value(h, S("Sec-Fetch-Site"));
	struct slice origin = http_head_value(h, S("Origin"));

	return (site.p && !slice_eq(site, S("same-origin")) && !slice_eq(site, S("none"))) ||
	    (origin.p &&
		!(slice_starts(origin, S("https://")) &&
		    slice_ieq(slice_from(origin, 8), h->host)));
}

enum http_next
admind_auth_ask(struct admind_session *s, const char *code, const char *detail)
{
	http_server_answer(&s->http, 401);
	/* A browser would ask for the password itself, over our page, and keep it. */
	if (!web_guard_browser(http_server_head(&s->http)))
		http_server_field(&s->http, "WWW-Authenticate",
		    S("Basic realm=\"administration\", charset=\"UTF-8\""));
	return admind_problem(s, 401, code, detail);
}

enum http_next
admind_auth_refuse(struct admind_session *s, const struct login_result *r)
{
	const struct login_answer *a = login_answer(r->outcome);

	log_event(LOG_INFO, "login_failed",
	    "sid=%s service=http peer=%s login=%s user=%s mech=%s reason=%s", s->sid, s->peer,
	    log_value(r->name), log_value(r->user.account), r->mechanism, a->log);
	metric_add(M_LOGIN_FAILED, a->counts);
	switch (r->outcome) {
	case LOGIN_AWAY:
		http_server_answer(&s->http, 503);
		http_server_field(&s->http, "Retry-After", S("5"));
		return admind_problem(s, 503, "away",
		    "The directory does not answer; try again soon.");
	case LOGIN_INACTIVE:
		return admind_problem(s, 403, "inactive", "This account is not active.");
	case LOGIN_FORBIDDEN:
		return admind_problem(s, 403, "forbidden",
		    "This account may not come in from there.");
	case LOGIN_APP:
	case LOGIN_CODE:
		return admind_auth_ask(s, "second-factor",
		    "A code of the second factor is needed.");
	case LOGIN_CODE_WRONG:
		return admind_auth_ask(s, "code",
		    "The code is wrong, was used, or follows too many wrong ones.");
	case LOGIN_TOKEN: /* no token is asked for here */
	case LOGIN_SCOPE:
	case LOGIN_WRONG:
	case LOGIN_NOT_YOURS:
	case LOGIN_OK:
	case LOGIN_ELSEWHERE:
	case LOGIN_OUTCOMES: break;
	}
	return admind_auth_ask(s, "wrong", "The name or the password is wrong.");
}

static enum http_next
auth_let_in(struct admind_session *s, const struct login_user *user)
{
	if (s->cookie &&
	    (user->password_at > s->web.began || (user->has_factor && !s->web_coded))) {
		bool changed = user->password_at > s->web.began;

		log_event(LOG_INFO, "session_over", "sid=%s peer=%s user=%s session=%s why=%s",
		    s->sid, s->peer, log_value(user->account), s->web.id,
		    changed ? "password" : "factor");
		s->cookie = false; /* it is not sealed anew */
		return admind_auth_ask(s, "over",
		    changed ? "The password was changed since this session began." :
			      "A code is needed since this session began.");
	}
	if (admit_user(&s->admit, user->account) != ADMIT_OK) {
		log_event(LOG_INFO, "login_limit", "sid=%s peer=%s user=%s", s->sid, s->peer,
		    log_value(user->account));
		return admind_problem(s, 429, "limit", "Too many requests of this person at once.");
	}
	s->account = mem_strn(user->account.p, user->account.n);
	s->dn = mem_strn(user->dn.p, user->dn.n);
	s->by_app = user->by_app;
	s->by_code = user->by_code || (s->cookie && s->web_coded);
	return admind_route(s);
}

void
admind_auth_checked(void *arg, const struct login_result *r)
{
	struct admind_session *s = arg;
	struct login *l = s->login;
	enum http_next next;

	log_context(s->sid);
	s->login = NULL; /* what follows may end the session; the result lives as long as l */
	next = r->outcome == LOGIN_OK ? auth_let_in(s, &r->user) : admind_auth_refuse(s, r);
	login_free(&l);
	http_server_resume(&s->http, next);
}

struct login_request
admind_auth_request(struct admind_session *s)
{
	struct login_request r = { .service = "http",
		.app = LOGIN_APP_ADMIN,
		.factor = LOGIN_FACTOR_ASKS,
		.purpose = LOGIN_READ,
		.tls = stream_secure(&s->http.line.io),
		.any_host = true };

	stream_peer(&s->http.line.io, &r.peer);
	return r;
}

enum http_next
admind_auth_start(struct admind_session *s)
{
	const struct http_head *h = http_server_head(&s->http);
	struct slice value = http_head_value(h, S("Authorization")), scheme = { 0 }, all, name;
	struct slice code = http_head_value(h, S("Second-Factor"));
	struct login_request r = admind_auth_request(s);
	struct buf text = { 0 };
	bool good;

	if (!admind_auth_by_tls(s))
		return admind_problem(s, 403, "tls", "Only over TLS.");
	if (auth_foreign(h))
		return admind_problem(s, 403, "foreign", "This request comes from another site.");
	if (!value.p)
		return admind_front_auth(s);
	/* A token is the same in another coat: what is told with an application password (RFC 6750). */
	if (!slice_word(&value, &scheme) ||
	    (!slice_ieq(scheme, S("Basic")) && !slice_ieq(scheme, S("Bearer"))))
		return admind_auth_ask(s, "login", "A name and a password are needed.");
	good = base64_parse(&text, slice_trim(value)) == 0;
	all = buf_get(&text);
	good = good && slice_find(all, ':') < all.n;
	if (good) {
		(void)slice_cut(&all, ':', &name);
		s->login = login_start(admind.door, &r, &s->http.op, admind_auth_checked, s);
		login_code(s->login, slice_trim(code));
		login_password(s->login, name, all);
	}
	if (text.p)
		secret_clear(text.p, text.n);
	buf_fini(&text);
	if (!good && slice_ieq(scheme, S("Bearer")))
		return admind_auth_ask(s, "login", "This is no token of ours.");
	return good ? HTTP_WAIT :
		      admind_problem(s, 400, "malformed", "Authorization is malformed.");
}

/* memd/signon-end.c: a session that began at the provider ends there too (OpenID Connect RP-Initiated Logout 1.0).
 *
 *	logged out here -> where does one log out there? -> the page goes there -> and comes back to /signon/out
 *
 * Owns nothing between two calls: the ID token, by which the provider knows whose end that is, is in a sealed cookie
 * that comes with /logout alone.  Can fail: the provider, and then the session is over here alone.  Must stay true: that
 * cookie says nothing of who is logged in here, one of another account is not looked at, and a logout takes it away. */
#include "base/log.h"
#include "base/mem.h"
#include "memd.h"
#include "web/cookie.h"

#define END_COOKIE "__Secure-tiermail-signon-end"
#define END_LABEL  "tiermail signon end"
#define END_PATH   "/logout"
#define END_MOST   3700 /* octets of a cookie's value, which browsers keep */

struct signon_end {
	struct memd_session *s;
	enum http_next (*then)(struct memd_session *s, struct slice url);
};

static void
end_cookie(struct memd_session *s, struct slice value)
{
	struct web_session_rules rules = memd_auth_rules();
	struct buf b = { 0 };
	struct web_cookie c = { .name = S(END_COOKIE),
		.value = value,
		.path = END_PATH,
		.age_s = value.n ? rules.life_s : 0 };

	web_cookie_put(&b, &c);
	http_server_field(&s->http, "Set-Cookie", buf_get(&b));
	buf_fini(&b);
}

void
memd_signon_keep(struct memd_session *s, struct slice id_token)
{
	struct buf text = { 0 }, token = { 0 };

	buf_printf(&text, "%s\n" SFMT, s->web.account, SARG(id_token));
	web_seal(memd.keys, END_LABEL, buf_get(&text), &token);
	end_cookie(s, token.n <= END_MOST ? buf_get(&token) : S(""));
	secret_clear(text.p, text.n);
	buf_fini(&text);
	buf_fini(&token);
}

void
memd_signon_drop(struct memd_session *s)
{
	if (web_cookie_find(http_server_head(&s->http), S(END_COOKIE)).p)
		end_cookie(s, S(""));
}

/* Appends the ID token of this account. */
static void
end_hint(struct memd_session *s, struct buf *b)
{
	struct slice token = web_cookie_find(http_server_head(&s->http), S(END_COOKIE)), rest,
		     account;
	struct buf text = { 0 };
	bool old;

	if (token.p && web_open(memd.keys, END_LABEL, token, &text, &old)) {
		rest = buf_get(&text);
		if (slice_cut(&rest, '\n', &account) &&
		    slice_eq(account, slice_str(s->web.account)))
			buf_slice(b, rest);
		secret_clear(text.p, text.n);
	}
	buf_fini(&text);
}

static void
end_known(void *arg, bool known)
{
	struct signon_end *e = arg;
	struct memd_session *s = e->s;
	struct buf hint = { 0 }, url = { 0 };
	char *back = memd_signon_here(s, "/signon/out");
	enum http_next next;

	log_context(s->sid);
	end_hint(s, &hint);
	if (!known || !oauth_signin_end_url(memd.signin, buf_get(&hint), slice_str(back), &url))
		log_event(LOG_INFO, "signon_end", "sid=%s user=%s", s->sid, log_str(s->account));
	next = e->then(s, buf_get(&url));
	if (hint.p)
		secret_clear(hint.p, hint.n);
	buf_fini(&hint);
	buf_fini(&url);
	mem_free(&back);
	http_server_resume(&s->http, next);
}

enum http_next
memd_signon_end(struct memd_session *s,
    enum http_next (*then)(struct memd_session *s, struct slice url))
{
	struct signon_end *e;

	if (!memd_signon_wanted())
		return then(s, S(""));
	e = arena_new(&s->http.arena, sizeof(*e));
	e->s = s;
	e->then = then;
	oauth_signin_know_start(memd.signin, &s->http.op, end_known, e);
	return HTTP_WAIT;
}

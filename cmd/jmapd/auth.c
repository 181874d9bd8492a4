/* jmapd/auth.c: who asks: Basic or Bearer over TLS (RFC 7617, RFC 6750), or a proxy that names the account.
 *
 * Owns the session's login while it lasts; session.c calls for each request.  lib/login judges; then
 * stored makes the account ready, when no open partition knows it, and is waited for while it starts.
 * Clients say their password with every request: the directory is asked again only when it is another, or
 * after KNOWN_MS, so that a password that is changed or an account that is closed ends soon.
 * Must stay true: what is remembered of a password is a keyed hash, and whoever is refused by a count was
 * not let in. */
#include "base/base64.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "session.h"

#define KNOWN_MS (60 * 1000)

/* What is kept of the login's outcome while stored makes the account ready; in the arena. */
struct welcome {
	struct slice account;
	struct store_limits limits;
	const char *mechanism;
	struct store_home *home; /* his, */
	uint64_t id;             /* ... and his account there */
};

/* `error` of RFC 6750 3.1, or NULL: it was no token. */
static enum http_next
jmapd_auth_unauthorized(struct session *s, unsigned status, const char *error, const char *why)
{
	char *bearer = error ? mem_printf("Bearer realm=\"tiermail\", error=\"%s\"", error) :
			       mem_str("Bearer realm=\"tiermail\"");

	http_server_answer(&s->http, status);
	/* A proxy's clients log in there, and a browser must not ask for a password of its own. */
	if (!s->proxy && !error)
		http_server_field(&s->http, "WWW-Authenticate",
		    S("Basic realm=\"tiermail\", charset=\"UTF-8\""));
	if (!s->proxy && login_offers_oauth())
		http_server_field(&s->http, "WWW-Authenticate", slice_str(bearer));
	mem_free(&bearer);
	return http_server_content(&s->http, "text/plain; charset=utf-8", slice_str(why));
}

/* ---- after the password ---------------------------------------------------------------------- */

static enum http_next
jmapd_auth_welcome(struct session *s, struct jmapd_user *u)
{
	const struct welcome *w = s->http.data;

	if (s->full || admit_user(&s->admit, slice_str(u->account)) != ADMIT_OK) {
		jmapd_user_drop(&u);
		log_event(LOG_INFO, "login_limit", "sid=%s peer=%s user=%s", s->sid, s->peer,
		    log_value(w->account));
		return route_problem(s, 429, "about:blank",
		    s->full ? "Too many connections from there" :
			      "Too many connections of this user");
	}
	s->user = u;
	s->checked_ms = clock_mono_ms();
	store_home_login(&jmapd.homes, u->home, slice_str(u->account), STORE_LOGIN_WEB);
	metric_add(M_LOGINS, 1);
	log_event(LOG_INFO, "login", "sid=%s peer=%s user=%s mech=%s tls=%s", s->sid, s->peer,
	    log_str(u->account), w->mechanism, stream_secure(&s->http.line.io) ? "yes" : "no");
	return route_request(s);
}

static void
jmapd_auth_grouped(void *arg)
{
	struct session *s = arg;
	const struct welcome *w = s->http.data;

	log_context(s->sid);
	http_server_resume(&s->http,
	    jmapd_auth_welcome(s, jmapd_user_new(w->account, w->id, w->home, w->limits)));
}

/* His home is known: his groups are looked for, where one matters. */
static void
jmapd_auth_group(struct session *s, struct store_home *home, uint64_t account)
{
	struct welcome *w = s->http.data;

	w->home = home;
	w->id = account;
	jmapd_groups();
	if (!login_groups_start(jmapd.door, w->account, &s->http.op, jmapd_auth_grouped, s))
		jmapd_auth_grouped(s);
}

static void
jmapd_auth_home(void *arg, const struct verdict *v, struct store_home *home, uint64_t account)
{
	struct session *s = arg;

	log_context(s->sid);
	if (home)
		jmapd_auth_group(s, home, account);
	else
		http_server_resume(&s->http, route_problem(s, 503, "about:blank", v->text));
}

static void
jmapd_auth_accepted(struct session *s, const struct login_result *r)
{
	struct arena *a = &s->http.arena;
	struct welcome *w = arena_new(a, sizeof(*w));
	struct store_home *home;
	uint64_t account;

	s->http.data = w;
	w->account = arena_slice(a, r->user.account);
	w->limits = r->user.limits;
	w->mechanism = r->mechanism;
	s->token_until = r->user.token_until;
	home = store_home_find(&jmapd.homes, w->account, r->user.partition, &account);
	if (home)
		jmapd_auth_group(s, home, account);
	else
		store_home_start(&jmapd.homes, w->account, r->user.partition, &s->http.op,
		    jmapd_auth_home, s);
}

static enum http_next
jmapd_auth_refused(struct session *s, const struct login_result *r)
{
	const struct login_answer *a = login_answer(r->outcome);

	log_event(LOG_INFO, "login_failed",
	    "sid=%s service=http peer=%s login=%s user=%s mech=%s%s%s reason=%s", s->sid, s->peer,
	    log_value(r->name), log_value(r->user.account), r->mechanism,
	    r->outcome == LOGIN_ELSEWHERE ? " mailhost=" : "",
	    r->outcome == LOGIN_ELSEWHERE ? log_value(r->user.mailhost) : "", a->log);
	metric_add(M_LOGIN_FAILED, a->counts);
	s->credentials = 0;
	s->failures += a->counts;
	if (a->counts && config.failures && s->failures >= config.failures)
		s->http.reader.head.keep = false;
	if (r->outcome == LOGIN_AWAY)
		return route_problem(s, 503, "about:blank", a->text);
	if (r->outcome == LOGIN_FORBIDDEN || (r->outcome == LOGIN_INACTIVE && !s->proxy))
		return route_problem(s, 403, "about:blank", a->text);
	if (r->outcome == LOGIN_SCOPE)
		return jmapd_auth_unauthorized(s, 403, "insufficient_scope", a->text);
	if (r->outcome != LOGIN_ELSEWHERE)
		return jmapd_auth_unauthorized(s, 401,
		    r->outcome == LOGIN_TOKEN ? "invalid_token" : NULL, a->text);
	/* A proxy goes there itself. */
	http_server_answer(&s->http, 421);
	if (s->proxy)
		http_server_field(&s->http, "Tiermail-Mailhost", r->user.mailhost);
	return http_server_content(&s->http, "text/plain; charset=utf-8", slice_str(a->text));
}

static void
jmapd_auth_done(void *arg, const struct login_result *r)
{
	struct session *s = arg;
	struct login *l = s->login;

	log_context(s->sid);
	s->login = NULL; /* what follows may end the session; the result lives as long as l */
	if (r->outcome == LOGIN_OK)
		jmapd_auth_accepted(s, r);
	else
		http_server_resume(&s->http, jmapd_auth_refused(s, r));
	login_free(&l);
}

/* ---- what is shown ---------------------------------------------------------------------------------- */

static void
jmapd_auth_start(struct session *s)
{
	struct login_request r = { .service = "http",
		.purpose = LOGIN_READ,
		.tls = stream_secure(&s->http.line.io),
		.proxy = s->proxy,
		.hosts = config.hosts,
		.any_host = config.any_host };

	stream_peer(&s->http.line.io, &r.peer);
	s->login = login_start(jmapd.door, &r, &s->http.op, jmapd_auth_done, s);
}

/* The proxy has checked the password itself, and says for whom it asks. */
static enum http_next
jmapd_auth_asserted(struct session *s, struct slice account)
{
	struct slice text;
	bool good;

	jmapd_auth_start(s);
	good = login_mechanism(s->login, S("EXTERNAL")) &&
	    login_step(s->login, &account, &text) == LOGIN_WAIT;
	if (good)
		return HTTP_WAIT;
	login_free(&s->login);
	return http_server_error(&s->http, 400, "Tiermail-Account");
}

/* user-id and password, the first colon between them (RFC 7617 2). */
static enum http_next
jmapd_auth_basic(struct session *s, struct slice token)
{
	struct buf plain = { 0 };
	struct slice name, password;
	size_t colon;

	if (!stream_secure(&s->http.line.io) && !(shared.insecure_loopback && s->loopback))
		return http_server_error(&s->http, 403, "passwords are taken over TLS only");
	if (base64_parse(&plain, slice_trim(token)) < 0 ||
	    (colon = slice_find(buf_get(&plain), ':')) == plain.n) {
		buf_fini(&plain);
		return http_server_error(&s->http, 400, "Authorization");
	}
	name = slice(plain.p, colon);
	password = slice_from(buf_get(&plain), colon + 1);
	jmapd_auth_start(s);
	login_password(s->login, name, password);
	secret_clear(plain.p, plain.room);
	buf_fini(&plain);
	return HTTP_WAIT;
}

/* RFC 6750 2.1 */
static enum http_next
jmapd_auth_bearer(struct session *s, struct slice token)
{
	if (!stream_secure(&s->http.line.io) && !(shared.insecure_loopback && s->loopback))
		return http_server_error(&s->http, 403, "tokens are taken over TLS only");
	jmapd_auth_start(s);
	login_token(s->login, slice_trim(token));
	return HTTP_WAIT;
}

static void
jmapd_auth_forget(struct session *s)
{
	admit_user_leave(&s->admit);
	jmapd_user_drop(&s->user);
	s->credentials = 0;
}

/* For whom the proxy speaks, for logs and limits. */
static void
jmapd_auth_forwarded(struct session *s)
{
	const struct http_head *h = http_server_head(&s->http);
	struct slice client = http_head_value(h, S("Tiermail-Client"));
	struct slice sid = http_head_value(h, S("Tiermail-Session"));
	struct login_forward f = { 0 };
	struct addr peer;

	if (client.p)
		login_forward_take(&f, S("x-originating-ip"), client);
	if (sid.p)
		login_forward_take(&f, S("x-session-id"), sid);
	if (login_forward_apply(&f, &s->http.line.io, s->sid, &peer))
		addr_host(&peer, s->peer);
}

enum http_next
jmapd_auth_request(struct session *s)
{
	const struct http_head *h = http_server_head(&s->http);
	struct slice account = http_head_value(h, S("Tiermail-Account"));
	struct slice shown = http_head_value(h, S("Authorization"));
	bool asserted = s->proxy && account.p;
	uint64_t hash;

	if (asserted)
		shown = account;
	if (!shown.p) {
		jmapd_auth_forget(s);
		return jmapd_auth_unauthorized(s, 401, NULL, "Who are you?\n");
	}
	hash = siphash(&jmapd.key, shown) | 1;
	if (s->user && s->credentials == hash && clock_mono_ms() - s->checked_ms < KNOWN_MS &&
	    (!s->token_until || clock_now() < s->token_until))
		return route_request(s);
	jmapd_auth_forget(s);
	s->credentials = hash;
	if (asserted) {
		jmapd_auth_forwarded(s);
		return jmapd_auth_asserted(s, account);
	}
	if (slice_istarts(shown, S("Basic ")))
		return jmapd_auth_basic(s, slice_from(shown, 6));
	if (slice_istarts(shown, S("Bearer ")) && login_offers_oauth())
		return jmapd_auth_bearer(s, slice_from(shown, 7));
	return jmapd_auth_unauthorized(s, 401, NULL,
	    login_offers_oauth() ? "Only Basic and Bearer are known here\n" :
				   "Only Basic is known here\n");
}

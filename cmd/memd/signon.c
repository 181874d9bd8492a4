/* memd/signon.c: people log in at the site's provider (lib/oauth/signin.h), in the place of the form:
 *
 *	GET /signon?to=PATH	to the provider, with a sealed cookie of the trip
 *	GET /signon/back	from there: the code, the person, the directory's rules, the store's record, the session
 *	GET /signon/failed	the client's page with a status: why not
 *	GET /signon/about	for the client: is there a provider?
 *
 * Owns a struct signon for each login whose browser has come back, until it is answered.  Who is on the way stands in
 * the cookie alone (signon-trip.c).  Can fail: the provider, the directory, the store, and each is
 * told in words on a page.  Must stay true: a browser comes back with a state that its own cookie has made, or with nothing;
 * it is sent on to a path of ours, never elsewhere; what strangers make us ask the provider is bounded, for all of them
 * and for each address. */
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "memd.h"

#define SIGNON_TO      400 /* octets of a path */
#define SIGNON_AT_ONCE 64  /* codes that the provider is asked about, of a worker */
#define SIGNON_OF_ONE                                                                              \
	8 /* ... from one address, until they are answered, which is late when they are wrong */

/* A browser that has come back. */
struct signon {
	struct list link; /* memd.signons */
	struct memd_session *s;
	uint8_t client[16];
	bool asking; /* the provider */
	const char *why;
	char *to;
	struct oauth_trip trip;
	struct secret id_token;
	struct deadline late;
};

/* ---- settings ----------------------------------------------------------------------------------------- */

bool
memd_signon_wanted(void)
{
	return *config.signon.issuer;
}

void
memd_signon_settings(struct oauth_signin_settings *s)
{
	*s = (struct oauth_signin_settings){
		.provider = { .issuer = config.signon.issuer,
		    .metadata = config.signon.metadata,
		    .keys = "",
		    .ca = config.signon.ca },
		.client = config.signon.client,
		.secret = config.signon.secret,
		.scope = config.signon.scope,
		.naming = { .claim = config.signon.claim, .domains = config.signon.domains },
		.skew_s = config.signon.skew / 1000,
	};
}

static bool
signon_scope_good(void)
{
	struct slice rest = slice_str(config.signon.scope), word;

	while (slice_word(&rest, &word))
		if (slice_eq(word, S("openid")))
			return true;
	return false;
}

static const char *
signon_lack(void)
{
	struct oauth_url u;

	if (!oauth_url_parse(slice_str(config.signon.issuer), &u))
		return "signon.issuer: is no https:// URL";
	if (*config.signon.metadata && !oauth_source_good(slice_str(config.signon.metadata)))
		return "signon.metadata: neither https://HOST/... nor the whole path of a file";
	if (!*config.signon.client)
		return "signon.client: is needed";
	if (!*config.signon.claim)
		return "signon.claim: is needed";
	if (!signon_scope_good())
		return "signon.scope: has no openid";
	return NULL;
}

bool
memd_signon_check(struct buf *why)
{
	const char *lack = memd_signon_wanted() ? signon_lack() : NULL;

	if (lack)
		buf_printf(why, "%s: %s\n", conf_where(&config.signon.issuer), lack);
	return !lack;
}

/* ---- texts of a request -------------------------------------------------------------------------------- */

/* A parameter of the query, decoded; p NULL: it is not there, or is there twice, or is malformed. */
static struct slice
signon_query(struct memd_session *s, struct slice name)
{
	struct slice query = http_server_head(&s->http)->query, pair, key, found = { 0 };
	unsigned times = 0;
	char *out;
	size_t n = 0;

	while (slice_cut(&query, '&', &pair))
		if (slice_cut(&pair, '=', &key) && slice_eq(key, name)) {
			found = pair;
			times++;
		}
	if (times != 1)
		return slice(NULL, 0);
	out = arena_new(&s->http.arena, found.n + 1);
	for (size_t i = 0; i < found.n; i++) {
		int high = i + 2 < found.n ? ascii_hex(found.p[i + 1]) : -1,
		    low = i + 2 < found.n ? ascii_hex(found.p[i + 2]) : -1;

		if (found.p[i] != '%') {
			out[n++] = found.p[i] == '+' ? ' ' : found.p[i];
			continue;
		}
		if (high < 0 || low < 0 || (high | low) == 0)
			return slice(NULL, 0);
		out[n++] = (char)(high << 4 | low);
		i += 2;
	}
	return slice(out, n);
}

/* A path of this host; a browser takes "//x" and "/\x" for another one. */
static bool
signon_path_good(struct slice to)
{
	if (to.n == 0 || to.n > SIGNON_TO || to.p[0] != '/' || (to.n > 1 && to.p[1] == '/') ||
	    slice_starts(to, S("/signon")))
		return false;
	for (size_t i = 0; i < to.n; i++)
		if (to.p[i] <= ' ' || to.p[i] >= 0x7f || to.p[i] == '\\')
			return false;
	return true;
}

char *
memd_signon_here(const struct memd_session *s, const char *path)
{
	return mem_printf("https://" SFMT "%s", SARG(http_server_head(&s->http)->host), path);
}

static bool
signon_guarded(struct memd_session *s, enum http_next *next)
{
	const struct http_head *h = http_server_head(&s->http);

	if (!memd_signon_wanted())
		*next = memd_problem(s, 404, "path", "There is nothing here.");
	else if (!(h->verb & HTTP_VERB_GET))
		*next = http_server_refuse_verb(&s->http, HTTP_VERB_GET);
	else if (!memd_auth_secure(s))
		*next = memd_problem(s, 403, "tls", "Only over TLS.");
	else
		return false;
	return true;
}

static enum http_next
signon_go(struct memd_session *s, struct slice to)
{
	if (s->http.output == HTTP_SILENT)
		http_server_answer(&s->http, 303);
	http_server_field(&s->http, "Location", to);
	http_server_field(&s->http, "Cache-Control", S("no-store"));
	memd_guard_fields(s);
	return http_server_empty(&s->http);
}

/* ---- why not ------------------------------------------------------------------------------------------ */

/* Codes that the client has words for, and what the page's status is. */
static const struct {
	const char *code;
	unsigned status;
} failures[] = {
	{ "away", 503 },  /* the provider does not answer */
	{ "store", 503 }, /* ... the directory or the store */
	{ "busy", 503 },  /* too many come back at once */
	{ "wrong", 502 }, /* the provider has said what must not be: the log has it */
	{ "stale", 403 }, /* it took too long, or has begun elsewhere */
	{ "denied",
	    403 }, /* the provider says that the person is not let in, or does not want it */
	{ "nobody", 403 }, /* who came has no account here */
	{ "inactive", 403 }, { "forbidden", 403 }, { "nowhere", 503 }, /* no mailbox yet */
};

static enum http_next
signon_no(struct memd_session *s, const char *code)
{
	char to[48];

	metric_add(M_SIGNON_FAILED, 1);
	if (s->http.output == HTTP_SILENT)
		http_server_answer(&s->http, 303);
	(void)snprintf(to, sizeof(to), "/signon/failed?why=%s", code);
	return signon_go(s, slice_str(to));
}

static void
signon_log(struct memd_session *s, const char *code, struct slice user, struct slice error)
{
	log_event(LOG_INFO, "signon_failed", "sid=%s peer=%s user=%s why=%s error=%s", s->sid,
	    s->peer, log_value(user), code, log_value(error));
}

enum http_next
memd_signon_failed(struct memd_session *s)
{
	struct slice why = signon_query(s, S("why"));
	unsigned status = 403;
	enum http_next next;

	if (signon_guarded(s, &next))
		return next;
	for (size_t i = 0; i < NELEM(failures); i++)
		if (slice_eq(why, slice_str(failures[i].code)))
			status = failures[i].status;
	return web_files_answer_failed(memd.files, &s->http, status, S("/index.html"),
	    memd_guard_page);
}

/* ---- GET /signon/about ---------------------------------------------------------------------------------- */

enum http_next
memd_signon_about(struct memd_session *s)
{
	struct buf b = { 0 };
	enum http_next next;

	if (!(http_server_head(&s->http)->verb & (HTTP_VERB_GET | HTTP_VERB_HEAD)))
		return http_server_refuse_verb(&s->http, HTTP_VERB_GET | HTTP_VERB_HEAD);
	buf_char(&b, '{');
	if (memd_signon_wanted()) {
		json_put_cstr(&b, "name", config.signon.name);
		json_put_bool(&b, "form", config.signon.form);
		json_put_bool(&b, "redirect", config.signon.redirect);
	}
	buf_lit(&b, "}\n");
	next = memd_json(s, 200, buf_get(&b));
	buf_fini(&b);
	return next;
}

/* ---- GET /signon --------------------------------------------------------------------------------------- */

static void
signon_known(void *arg, bool known)
{
	struct memd_session *s = arg;
	struct slice to = signon_query(s, S("to"));
	struct oauth_trip trip;
	struct buf url = { 0 }, line = { 0 };
	char *back = memd_signon_here(s, "/signon/back");
	enum http_next next;

	log_context(s->sid);
	oauth_trip_new(&trip);
	if (known && oauth_signin_url(memd.signin, &trip, slice_str(back), &url)) {
		buf_printf(&line, "%lld %s " SFMT "\n", (long long)clock_now(), trip.seed,
		    SARG(signon_path_good(to) ? to : S("/")));
		http_server_answer(&s->http, 303);
		memd_signon_trips(s, buf_get(&line), S(""));
		next = signon_go(s, buf_get(&url));
	} else {
		signon_log(s, "away", S(""), S("its metadata are not known"));
		next = signon_no(s, "away");
	}
	secret_clear(&trip, sizeof(trip));
	mem_free(&back);
	buf_fini(&url);
	buf_fini(&line);
	http_server_resume(&s->http, next);
}

enum http_next
memd_signon(struct memd_session *s)
{
	enum http_next next;

	if (signon_guarded(s, &next))
		return next;
	if (!web_guard_own(http_server_head(&s->http), true))
		return memd_problem(s, 403, "foreign", "This request comes from another site.");
	oauth_signin_know_start(memd.signin, &s->http.op, signon_known, s);
	return HTTP_WAIT;
}

/* ---- GET /signon/back: the end ---------------------------------------------------------------------------- */

static void
signon_undo(struct http_server *http)
{
	struct signon *o = http->data;

	list_remove(&o->link);
	deadline_clear(&o->late);
	secret_wipe(&o->id_token);
	secret_clear(&o->trip, sizeof(o->trip));
	mem_free(&o->to);
	mem_free(&o);
}

static enum http_next
signon_refuse(struct signon *o, const char *code)
{
	struct memd_session *s = o->s;

	http_server_answer(&s->http, 303);
	memd_signon_trips(s, S(""), slice_str(o->trip.seed));
	return signon_no(s, code);
}

static void
signon_late(struct deadline *d)
{
	struct signon *o = CONTAINER(d, struct signon, late);
	struct memd_session *s = o->s;

	log_context(s->sid);
	http_server_resume(&s->http, signon_refuse(o, o->why));
}

/* As late as a wrong password is. */
static void
signon_refuse_late(struct signon *o, const char *code)
{
	o->why = code;
	if (config.auth_delay == 0)
		http_server_resume(&o->s->http, signon_refuse(o, code));
	else
		deadline_set(&o->late, memd.loop, (uint64_t)config.auth_delay, signon_late);
}

static enum http_next
signon_begun(struct memd_session *s, unsigned status, struct slice body UNUSED)
{
	struct signon *o = s->http.data;

	if (status != 204)
		return signon_refuse(o, "store");
	metric_add(M_SIGNONS, 1);
	log_event(LOG_INFO, "signon", "sid=%s peer=%s user=%s session=%s store=%s", s->sid, s->peer,
	    log_str(s->account), s->web.id, log_str(s->mailhost));
	http_server_answer(&s->http, 303);
	memd_auth_cookie(s, false);
	memd_signon_keep(s, secret_get(&o->id_token));
	memd_signon_trips(s, S(""), slice_str(o->trip.seed));
	return signon_go(s, slice_str(o->to));
}

/* ---- ... the directory's rules -------------------------------------------------------------------------------- */

static const char *
signon_outcome(enum login_outcome outcome)
{
	switch ((int)outcome) {
	case LOGIN_AWAY: return "store";
	case LOGIN_INACTIVE: return "inactive";
	case LOGIN_FORBIDDEN: return "forbidden";
	default: return "nobody";
	}
}

static enum http_next
signon_in(struct signon *o, const struct login_user *user)
{
	struct memd_session *s = o->s;
	struct slice host = user->mailhost.n ? user->mailhost : slice_str(config.dflt);
	enum http_next next;

	if (!memd_record_new(s, user, true))
		return signon_refuse(o, "nobody");
	if (host.n == 0) {
		log_event(LOG_WARN, "store_none", "sid=%s user=%s", s->sid,
		    log_value(user->account));
		return signon_refuse(o, "nowhere");
	}
	return memd_auth_is(s, user, &next) ? memd_record_begin(s, false, signon_begun) : next;
}

static void
signon_judged(void *arg, const struct login_result *r)
{
	struct signon *o = arg;
	struct memd_session *s = o->s;
	struct login *l = s->login;
	enum http_next next;

	log_context(s->sid);
	s->login = NULL; /* what follows may end the session; the result lives as long as l */
	if (r->outcome == LOGIN_OK) {
		next = signon_in(o, &r->user);
	} else {
		memd_auth_log(s, r);
		signon_log(s, signon_outcome(r->outcome), r->name, S(""));
		next = signon_refuse(o, signon_outcome(r->outcome));
	}
	login_free(&l);
	http_server_resume(&s->http, next);
}

/* ---- ... the provider's answer ---------------------------------------------------------------------------------- */

static void
signon_redeemed(void *arg, const struct oauth_person *p)
{
	static const char *const codes[] = { [OAUTH_STALE] = "stale",
		[OAUTH_NOBODY] = "nobody",
		[OAUTH_GONE] = "away",
		[OAUTH_WRONG] = "wrong" };
	struct signon *o = arg;
	struct memd_session *s = o->s;

	log_context(s->sid);
	o->asking = false;
	if (p->how == OAUTH_REDEEMED) {
		secret_set(&o->id_token, p->id_token);
		if (memd_auth_again(s, slice_str(p->user), signon_judged, o))
			return;
		signon_log(s, "nobody", slice_str(p->user), S("that is no login name"));
		signon_refuse_late(o, "nobody");
		return;
	}
	signon_log(s, codes[p->how], S(""), slice_str(p->why ? p->why : ""));
	signon_refuse_late(o, codes[p->how]);
}

/* Is there room for one more of this client? */
static bool
signon_room(const uint8_t client[16])
{
	size_t asking = 0, of_one = 0;
	struct signon *o;

	list_each(o, &memd.signons, struct signon, link)
	{
		asking += o->asking;
		of_one += memcmp(o->client, client, sizeof(o->client)) == 0;
	}
	return asking < SIGNON_AT_ONCE && of_one < SIGNON_OF_ONE;
}

/* RFC 6749 4.1.2.1, Core 3.1.2.6 */
static const char *
signon_error(struct slice error)
{
	static const char *const away[] = { "server_error", "temporarily_unavailable" };
	static const char *const denied[] = { "access_denied", "login_required", "consent_required",
		"interaction_required", "account_selection_required" };

	for (size_t i = 0; i < NELEM(away); i++)
		if (slice_eq(error, slice_str(away[i])))
			return "away";
	for (size_t i = 0; i < NELEM(denied); i++)
		if (slice_eq(error, slice_str(denied[i])))
			return "denied";
	return "wrong";
}

static enum http_next
signon_ask(struct signon *o)
{
	struct memd_session *s = o->s;
	char *back = memd_signon_here(s, "/signon/back");
	struct slice error = signon_query(s, S("error"));
	struct oauth_coming c = { .code = signon_query(s, S("code")),
		.issuer = signon_query(s, S("iss")),
		.redirect = slice_str(back),
		.trip = &o->trip };
	enum http_next next = HTTP_WAIT;

	if (error.p || !c.code.n) {
		signon_log(s, signon_error(error), S(""), error.p ? error : S("no code"));
		next = signon_refuse(o, signon_error(error));
	} else if (!signon_room(o->client)) {
		signon_log(s, "busy", S(""), S(""));
		next = signon_refuse(o, "busy");
	} else {
		o->asking = true;
		list_push(&memd.signons, &o->link);
		oauth_redeem_start(memd.signin, &c, &s->http.op, signon_redeemed, o);
	}
	mem_free(&back);
	return next;
}

enum http_next
memd_signon_back(struct memd_session *s)
{
	struct oauth_trip trip;
	char *to = NULL;
	struct signon *o;
	struct addr peer;
	enum http_next next;

	if (signon_guarded(s, &next))
		return next;
	if (!memd_signon_trip(s, signon_query(s, S("state")), &trip, &to)) {
		signon_log(s, "stale", S(""), S("it has not begun in this browser, or is over"));
		return signon_no(s, "stale");
	}
	o = mem_new(sizeof(*o));
	list_init(&o->link);
	deadline_init(&o->late);
	o->s = s;
	o->to = to;
	o->trip = trip;
	secret_clear(&trip, sizeof(trip));
	stream_peer(&s->http.line.io, &peer);
	addr_client_key(&peer, o->client);
	s->http.data = o;
	s->http.undo = signon_undo;
	return signon_ask(o);
}

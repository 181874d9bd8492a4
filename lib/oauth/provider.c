/* oauth/provider.c: see provider.h.
 *
 *	wanted: metadata? -> fetch -> parse -> keys? -> fetch -> parse -> all who wait
 *
 * Owns one provider of a worker, and who waits for it.  Can fail: the server or the files, which leaves what was there.
 * Must stay true: metadata of another issuer are nobody's (OpenID Connect Discovery 1.0 4.3, RFC 8414 3.3); every endpoint is
 * HTTPS; keys come from where the site or those metadata say, never from where a token says. */
#include "oauth/provider.h"

#include "base/log.h"
#include "base/mem.h"

#define PROVIDER_DEPTH  16
#define PROVIDER_VALUES 4096

struct provider_waiter {
	struct list link;
	struct op *op;
	void (*done)(void *arg);
	void *arg;
};

struct oauth_provider {
	struct oauth_web *web;
	struct loop *loop;
	char *issuer, *metadata, *keys_from, *ca;
	char *endpoints[OAUTH_ENDPOINTS];
	unsigned traits; /* bits of enum oauth_trait */
	struct jwt_keys *keys;
	uint64_t metadata_ms, keys_ms; /* loop_now + 1 of when they came; 0: they have not */
	uint64_t tried_ms; /* ... of the last fetch: of its beginning, and then of its end */
	bool busy, failed;
	unsigned wanted; /* of the fetch under way */
	char *source;    /* ... of which this is */
	char *why;
	struct op op;
	struct list waiters;
};

static uint64_t
provider_now(const struct oauth_provider *p)
{
	return loop_now(p->loop) + 1;
}

/* ---- who waits ---------------------------------------------------------------------------------------------- */

static void
provider_over(struct oauth_provider *p)
{
	struct provider_waiter *w;
	struct list ready;

	p->busy = false;
	p->tried_ms = provider_now(p); /* a server that hangs takes the whole pause to fail */
	list_init(&ready);
	while ((w = list_first(&p->waiters, struct provider_waiter, link))) {
		list_remove(&w->link);
		list_push(&ready, &w->link);
	}
	while ((w = list_first(&ready, struct provider_waiter, link))) {
		void (*done)(void *arg) = w->done;
		void *arg = w->arg;

		list_remove(&w->link);
		op_done(w->op);
		mem_free(&w);
		done(arg);
	}
}

static void
provider_failed(struct oauth_provider *p, const char *why)
{
	p->failed = true;
	mem_free(&p->why);
	p->why = mem_str(why ? why : "");
	log_event(LOG_WARN, "oauth_away", "issuer=%s source=%s error=%s", log_str(p->issuer),
	    log_str(p->source), log_str(p->why));
	provider_over(p);
}

static void
provider_cancel(struct op *op)
{
	struct provider_waiter *w = op->impl;

	op->impl = NULL;
	list_remove(&w->link);
	mem_free(&w);
}

/* ---- keys ----------------------------------------------------------------------------------------------------- */

static void
provider_keys_came(void *arg, const struct oauth_reply *r)
{
	struct oauth_provider *p = arg;
	const char *why = r->why;
	struct jwt_keys *k = NULL;
	char *status = NULL;

	if (r->status == 200)
		k = jwt_keys_parse(r->body, &why);
	else if (r->status)
		why = status = mem_printf("status %u", r->status);
	if (!k) {
		provider_failed(p, why);
		mem_free(&status);
		return;
	}
	log_event(LOG_INFO, "oauth_keys", "issuer=%s source=%s keys=%zu", log_str(p->issuer),
	    log_str(p->source), jwt_keys_count(k));
	jwt_keys_free(&p->keys);
	p->keys = k;
	p->keys_ms = provider_now(p);
	p->failed = false;
	provider_over(p);
}

static void
provider_fetch(struct oauth_provider *p, const char *source,
    void (*done)(void *arg, const struct oauth_reply *r))
{
	struct oauth_question q = { .source = source, .ca = p->ca };

	mem_free(&p->source);
	p->source = mem_str(source);
	oauth_fetch_start(p->web, &q, &p->op, done, p);
}

static void
provider_want_keys(struct oauth_provider *p)
{
	const char *from = *p->keys_from ? p->keys_from : p->endpoints[OAUTH_JWKS];

	if (!(p->wanted & OAUTH_KEYS)) {
		p->failed = false;
		provider_over(p);
	} else if (!from) {
		provider_failed(p, "it names no jwks_uri");
	} else {
		provider_fetch(p, from, provider_keys_came);
	}
}

/* ---- metadata ---------------------------------------------------------------------------------------------------- */

static bool
provider_lists(const struct json_t *list, struct slice word)
{
	for (size_t i = 0; json_is(list, JSON_KIND_ARRAY) && i < json_count(list); i++)
		if (slice_eq(json_text(json_at(list, i)), word))
			return true;
	return false;
}

static unsigned
provider_traits(const struct json_t *v)
{
	const struct json_t *says =
	    json_find(v, S("authorization_response_iss_parameter_supported"));
	const struct json_t *how = json_find(v, S("token_endpoint_auth_methods_supported"));
	unsigned traits = 0;
	bool yes;

	if (json_get_bool(says, &yes) && yes)
		traits |= OAUTH_SAYS_ISSUER;
	if (!provider_lists(how, S("client_secret_basic")) &&
	    provider_lists(how, S("client_secret_post")))
		traits |= OAUTH_SECRET_POST;
	return traits;
}

static const char *
provider_take(struct oauth_provider *p, const struct json_t *v)
{
	static const char *const names[OAUTH_ENDPOINTS] = {
		[OAUTH_INTROSPECTION] = "introspection_endpoint",
		[OAUTH_JWKS] = "jwks_uri",
		[OAUTH_AUTHORIZATION] = "authorization_endpoint",
		[OAUTH_TOKEN] = "token_endpoint",
		[OAUTH_USERINFO] = "userinfo_endpoint",
		[OAUTH_END_SESSION] = "end_session_endpoint",
	};
	struct oauth_url u;

	if (!slice_eq(json_text(json_find(v, S("issuer"))), slice_str(p->issuer)))
		return "these are the metadata of another issuer";
	for (size_t i = 0; i < OAUTH_AUTHORIZATION; i++) {
		struct slice url = json_text(json_find(v, slice_str(names[i])));

		if (url.p && !oauth_url_parse(url, &u))
			return "an endpoint is no URL of HTTPS";
	}
	for (size_t i = 0; i < OAUTH_ENDPOINTS; i++) {
		struct slice url = json_text(json_find(v, slice_str(names[i])));

		mem_free(&p->endpoints[i]);
		if (url.p && oauth_url_parse(url, &u))
			p->endpoints[i] = mem_strn(url.p, url.n);
	}
	p->traits = provider_traits(v);
	return NULL;
}

static void
provider_metadata_came(void *arg, const struct oauth_reply *r)
{
	static const struct json_bounds bounds = { OAUTH_FETCH_MOST, PROVIDER_DEPTH,
		PROVIDER_VALUES };
	struct oauth_provider *p = arg;
	const char *why = r->why;
	struct json_t *v = NULL;
	char *status = NULL;

	if (r->status == 200 && json_read(r->body, &bounds, &v, &why) == 0)
		why = provider_take(p, v);
	else if (r->status && r->status != 200)
		why = status = mem_printf("status %u", r->status);
	json_free(&v);
	if (why) {
		provider_failed(p, why);
		mem_free(&status);
		return;
	}
	p->metadata_ms = provider_now(p);
	provider_want_keys(p);
}

static void
provider_begin(struct oauth_provider *p, unsigned need)
{
	struct slice issuer = slice_str(p->issuer);
	char *source;

	if (p->busy)
		return;
	p->busy = true;
	p->wanted = need;
	p->tried_ms = provider_now(p);
	if (need & OAUTH_KEYS && !*p->keys_from)
		p->wanted |= OAUTH_METADATA;
	if (!(p->wanted & OAUTH_METADATA)) {
		provider_want_keys(p);
		return;
	}
	if (slice_ends(issuer, S("/")))
		issuer.n--;
	source = *p->metadata ? mem_str(p->metadata) :
				mem_printf(SFMT "/.well-known/openid-configuration", SARG(issuer));
	provider_fetch(p, source, provider_metadata_came);
	mem_free(&source);
}

/* ---- what others call ------------------------------------------------------------------------------------------------ */

struct oauth_provider *
oauth_provider_new(struct oauth_web *w)
{
	struct oauth_provider *p = mem_new(sizeof(*p));

	p->web = w;
	p->loop = oauth_web_loop(w);
	p->issuer = mem_str("");
	p->metadata = mem_str("");
	p->keys_from = mem_str("");
	p->ca = mem_str("");
	list_init(&p->waiters);
	return p;
}

static bool
provider_change(char **field, const char *to)
{
	if (strcmp(*field, to) == 0)
		return false;
	mem_free(field);
	*field = mem_str(to);
	return true;
}

void
oauth_provider_set(struct oauth_provider *p, const struct oauth_settings *s)
{
	bool other = provider_change(&p->issuer, s->issuer);

	other |= provider_change(&p->metadata, s->metadata);
	other |= provider_change(&p->keys_from, s->keys);
	other |= provider_change(&p->ca, s->ca);
	if (!other)
		return;
	for (size_t i = 0; i < OAUTH_ENDPOINTS; i++)
		mem_free(&p->endpoints[i]);
	jwt_keys_free(&p->keys);
	p->traits = 0;
	p->metadata_ms = p->keys_ms = p->tried_ms = 0;
	p->failed = false;
	if (!p->busy)
		return;
	op_cancel(&p->op); /* by the settings of before: again, for those who wait */
	p->busy = false;
	provider_begin(p, p->wanted);
}

static bool
provider_older(const struct oauth_provider *p, uint64_t since, uint64_t ms)
{
	return since == 0 || provider_now(p) - since >= ms;
}

enum oauth_known
oauth_provider_knows(struct oauth_provider *p, unsigned need)
{
	uint64_t oldest = need & OAUTH_KEYS ? p->keys_ms : p->metadata_ms;
	bool rested = provider_older(p, p->tried_ms, OAUTH_PAUSE_MS);

	if (need & OAUTH_METADATA && p->metadata_ms < oldest)
		oldest = p->metadata_ms;
	if (provider_older(p, oldest, OAUTH_KEPT_MS))
		return p->busy || rested || !p->failed ? OAUTH_WANTED : OAUTH_FAILED;
	if (rested && provider_older(p, oldest, OAUTH_FRESH_MS))
		provider_begin(p, need);
	return OAUTH_KNOWN;
}

enum oauth_known
oauth_provider_missed(const struct oauth_provider *p)
{
	if (p->busy || provider_older(p, p->tried_ms, OAUTH_PAUSE_MS))
		return OAUTH_WANTED;
	return p->failed ? OAUTH_FAILED : OAUTH_KNOWN;
}

void
oauth_provider_start(struct oauth_provider *p, unsigned need, struct op *op,
    void (*done)(void *arg), void *arg)
{
	struct provider_waiter *w = mem_new(sizeof(*w));

	w->op = op;
	w->done = done;
	w->arg = arg;
	op->cancel = provider_cancel;
	op->impl = w;
	list_push(&p->waiters, &w->link);
	provider_begin(p, need);
}

const struct jwt_keys *
oauth_provider_keys(const struct oauth_provider *p)
{
	return p->keys;
}

const char *
oauth_provider_endpoint(const struct oauth_provider *p, enum oauth_endpoint which)
{
	return p->endpoints[which];
}

bool
oauth_provider_is(const struct oauth_provider *p, enum oauth_trait which)
{
	return p->traits & (unsigned)which;
}

const char *
oauth_provider_why(const struct oauth_provider *p)
{
	return p->why ? p->why : "";
}

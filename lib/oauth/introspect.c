/* oauth/introspect.c: the authorization server is asked about a token (RFC 7662), once however many show it.
 *
 * Owns, of a worker, what it was told, by the SHA-256 of each token, the last asked first, and who waits for an answer.
 * Can fail: the server, which is OAUTH_AWAY and not kept.  Must stay true: the token itself is nowhere but on its way;
 * an answer is believed no longer than the token lives, nor than OAUTH_GOOD_MS; what strangers can make to be kept is
 * OAUTH_CACHE entries. */
#include <openssl/evp.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/secret.h"
#include "conf/shared.h"
#include "oauth/oauth-impl.h"

#define SEEN_HASH   32
#define SEEN_DEPTH  8
#define SEEN_VALUES 512

struct oauth_cache {
	struct oauth *o;
	struct map map;
	struct list seen; /* that are known, the oldest first */
	size_t n;
};

/* A token. */
struct oauth_seen {
	uint8_t hash[SEEN_HASH];
	struct oauth_cache *cache;
	struct list link;    /* cache->seen when known; none while it is asked about */
	struct list waiters; /* who wants to know */
	struct op op;
	bool known;
	uint64_t until_ms;
	struct oauth_grant grant;
};

struct seen_waiter {
	struct list link;
	struct op *op;
	struct later soon; /* it was known already */
	struct oauth_grant grant;
	void (*done)(void *arg, const struct oauth_grant *g);
	void *arg;
};

static void
seen_free(struct oauth_seen *t)
{
	struct oauth_cache *c = t->cache;

	op_cancel(&t->op);
	map_take(&c->map, slice((const char *)t->hash, SEEN_HASH));
	list_remove(&t->link);
	c->n -= t->known;
	oauth_grant_fini(&t->grant);
	mem_free(&t);
}

/* ---- who waits ------------------------------------------------------------------------------------------------ */

static void
waiter_free(struct seen_waiter *w)
{
	list_remove(&w->link);
	later_cancel(&w->soon);
	oauth_grant_fini(&w->grant);
	mem_free(&w);
}

static void
waiter_cancel(struct op *op)
{
	waiter_free(op->impl); /* the question goes on: its answer is kept */
}

static void
waiter_tell(struct seen_waiter *w, const struct oauth_grant *g)
{
	op_done(w->op);
	w->done(w->arg, g);
	waiter_free(w);
}

static void
waiter_soon(struct later *l)
{
	struct seen_waiter *w = CONTAINER(l, struct seen_waiter, soon);

	waiter_tell(w, &w->grant);
}

/* ---- the answer ------------------------------------------------------------------------------------------------- */

/* It is told to all, and kept unless nobody knows. */
static void
seen_over(struct oauth_seen *t)
{
	struct oauth_cache *c = t->cache;
	struct oauth_grant g;
	struct seen_waiter *w;
	struct list ready;

	list_init(&ready);
	while ((w = list_first(&t->waiters, struct seen_waiter, link))) {
		list_remove(&w->link);
		list_push(&ready, &w->link);
	}
	oauth_grant_copy(&g, &t->grant);
	if (g.outcome == OAUTH_AWAY) {
		seen_free(t);
	} else {
		t->known = true;
		list_push(&c->seen, &t->link);
		if (++c->n > OAUTH_CACHE)
			seen_free(list_first(&c->seen, struct oauth_seen, link));
	}
	while ((w = list_first(&ready, struct seen_waiter, link)))
		waiter_tell(w, &g);
	oauth_grant_fini(&g);
}

static uint64_t
seen_lasts(const struct oauth_grant *g)
{
	int64_t left = g->expires ? (g->expires - clock_now()) * 1000 : OAUTH_GOOD_MS;

	if (g->outcome != OAUTH_GOOD)
		return OAUTH_BAD_MS;
	return left < 0 ? 0 : left < OAUTH_GOOD_MS ? (uint64_t)left : OAUTH_GOOD_MS;
}

static void
seen_answered(void *arg, const struct oauth_reply *r)
{
	static const struct json_bounds bounds = { OAUTH_FETCH_MOST, SEEN_DEPTH, SEEN_VALUES };
	struct oauth_seen *t = arg;
	const char *why = r->why;
	struct json_t *v = NULL;
	bool active = false;
	char *status = NULL;

	t->grant = (struct oauth_grant){ .outcome = OAUTH_AWAY,
		.why = "the authorization server does not answer" };
	if (r->status && r->status != 200)
		why = status = mem_printf("status %u", r->status);
	else if (r->status == 200 && json_read(r->body, &bounds, &v, &why) == 0)
		why = json_get_bool(json_find(v, S("active")), &active) ?
		    NULL :
		    "it does not say `active`";
	if (why)
		log_event(LOG_WARN, "oauth_away", "issuer=%s source=introspection error=%s",
		    log_str(shared.login_oauth_issuer), log_str(why));
	else if (active)
		oauth_grant_make(&t->grant, v, false);
	else
		t->grant = (struct oauth_grant){ .outcome = OAUTH_BAD,
			.why = "the authorization server says that it is not active" };
	json_free(&v);
	mem_free(&status);
	t->until_ms = loop_now(t->cache->o->loop) + seen_lasts(&t->grant);
	seen_over(t);
}

/* ---- the question ------------------------------------------------------------------------------------------------- */

static void
seen_ask(struct oauth_seen *t, struct slice token)
{
	struct oauth *o = t->cache->o;
	const char *endpoint = oauth_provider_endpoint(o->provider, OAUTH_INTROSPECTION);
	struct buf form = { 0 };
	struct oauth_question q = { .ca = shared.login_oauth_ca,
		.post = true,
		.client = shared.login_oauth_client,
		.secret = shared.login_oauth_secret };

	q.source = *shared.login_oauth_introspection ? shared.login_oauth_introspection :
	    endpoint                                 ? endpoint :
						       "";
	oauth_form(&form, "token", token);
	oauth_form(&form, "token_type_hint", S("access_token"));
	q.form = buf_get(&form);
	oauth_fetch_start(o->web, &q, &t->op, seen_answered, t);
	secret_clear(form.p, form.n);
	buf_fini(&form);
}

static struct oauth_cache *
seen_cache(struct oauth *o)
{
	if (o->cache)
		return o->cache;
	o->cache = mem_new(sizeof(*o->cache));
	o->cache->o = o;
	list_init(&o->cache->seen);
	return o->cache;
}

/* By other settings another answer would be another thing. */
static void
seen_hash(struct slice token, uint8_t hash[SEEN_HASH])
{
	const char *const settings[] = { shared.login_oauth_issuer,
		shared.login_oauth_introspection, shared.login_oauth_client,
		shared.login_oauth_claim };
	char *const *const lists[] = { shared.login_oauth_audience, shared.login_oauth_domains };
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	unsigned n = 0;

	must(c && EVP_DigestInit_ex(c, EVP_sha256(), NULL) == 1);
	for (size_t i = 0; i < NELEM(settings); i++)
		must(EVP_DigestUpdate(c, settings[i], strlen(settings[i]) + 1) == 1);
	for (size_t i = 0; i < NELEM(lists); i++) {
		for (char *const *w = lists[i]; w && *w; w++)
			must(EVP_DigestUpdate(c, *w, strlen(*w) + 1) == 1);
		must(EVP_DigestUpdate(c, "", 1) == 1);
	}
	must(EVP_DigestUpdate(c, token.p, token.n) == 1);
	must(EVP_DigestFinal_ex(c, hash, &n) == 1 && n == SEEN_HASH);
	EVP_MD_CTX_free(c);
}

void
oauth_introspect_start(struct oauth *o, struct slice token, struct op *op,
    void (*done)(void *arg, const struct oauth_grant *g), void *arg)
{
	struct oauth_cache *c = seen_cache(o);
	struct seen_waiter *w = mem_new(sizeof(*w));
	uint8_t hash[SEEN_HASH];
	struct oauth_seen *t;

	w->op = op;
	w->done = done;
	w->arg = arg;
	list_init(&w->link);
	later_init(&w->soon);
	op->cancel = waiter_cancel;
	op->impl = w;
	seen_hash(token, hash);
	t = map_get(&c->map, slice((const char *)hash, SEEN_HASH));
	if (t && t->known && t->until_ms <= loop_now(o->loop)) {
		seen_free(t);
		t = NULL;
	}
	if (t && t->known) {
		oauth_grant_copy(&w->grant, &t->grant);
		later_run(&w->soon, o->loop, waiter_soon);
		return;
	}
	if (!t) {
		t = mem_new(sizeof(*t));
		memcpy(t->hash, hash, SEEN_HASH);
		t->cache = c;
		list_init(&t->link);
		list_init(&t->waiters);
		map_put(&c->map, slice((const char *)t->hash, SEEN_HASH), t);
		seen_ask(t, token);
	}
	list_push(&t->waiters, &w->link);
}

/* oauth/redeem.c: from the code that a browser came back with to who that is (signin.h).
 *
 *	metadata and keys known? -> code for tokens -> ID token: signature -> (no key: once more with new ones) -> claims
 *	-> (it names nobody: UserInfo) -> person
 *
 * Owns a struct oauth_redeem until it is told or cancelled.  Can fail: the provider, at each step.  Must stay true: tokens
 * come from the provider's own endpoint over TLS and are checked all the same; they and the code are wiped; a redemption
 * waits for OAUTH_FETCH_MS at each step and no step is done twice but the look for keys. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/secret.h"
#include "oauth/signin-impl.h"

#define REDEEM_MAGIC  0x4f524544u
#define REDEEM_DEPTH  16
#define REDEEM_VALUES 4096

static const struct json_bounds redeem_bounds = { OAUTH_FETCH_MOST, REDEEM_DEPTH, REDEEM_VALUES };

struct oauth_redeem {
	uint32_t magic;
	struct oauth_signin *si;
	struct op *op, wait;
	struct later soon;
	struct oauth_trip trip;
	struct secret code, id_token, access;
	char *redirect, *issuer; /* issuer NULL: the browser brought none */
	char *subject;
	bool waited; /* for metadata and keys */
	bool again;  /* new keys were looked for */
	void (*done)(void *arg, const struct oauth_person *p);
	void *arg;
};

static void
redeem_free(struct oauth_redeem *r)
{
	op_cancel(&r->wait);
	later_cancel(&r->soon);
	secret_wipe(&r->code);
	secret_wipe(&r->id_token);
	secret_wipe(&r->access);
	secret_clear(&r->trip, sizeof(r->trip));
	mem_free(&r->redirect);
	mem_free(&r->issuer);
	mem_free(&r->subject);
	r->magic = 0;
	mem_free(&r);
}

static void
redeem_cancel(struct op *op)
{
	redeem_free(CAST(op->impl, struct oauth_redeem, REDEEM_MAGIC));
}

static void
redeem_over(struct oauth_redeem *r, enum oauth_redeemed how, const char *user, const char *why)
{
	struct oauth_person p = { how, user, why, secret_get(&r->id_token) };

	op_done(r->op);
	r->done(r->arg, &p);
	redeem_free(r);
}

/* ---- who ------------------------------------------------------------------------------------------------------------ */

/* The answer is about the same person as the ID token.					Core 5.3.2 */
static void
redeem_told(void *arg, const struct oauth_reply *reply)
{
	struct oauth_redeem *r = CAST(arg, struct oauth_redeem, REDEEM_MAGIC);
	struct oauth_signin_settings s = oauth_signin_now(r->si);
	const char *why = "its UserInfo is about somebody else";
	struct json_t *v = NULL;
	char *user = NULL;
	bool read = reply->status == 200 && json_read(reply->body, &redeem_bounds, &v, &why) == 0;

	if (read && slice_eq(json_text(json_find(v, S("sub"))), slice_str(r->subject)))
		user = oauth_user_name(v, &s.naming, &why);
	else if (read)
		read = false;
	else if (reply->status != 200)
		why = reply->status ? "its UserInfo refuses our token" : reply->why;
	json_free(&v);
	redeem_over(r,
	    user                   ? OAUTH_REDEEMED :
		read               ? OAUTH_NOBODY :
		reply->status == 0 ? OAUTH_GONE :
				     OAUTH_WRONG,
	    user, why);
	mem_free(&user);
}

/* Claims that a scope asks for may be told there alone.				Core 5.4 */
static bool
redeem_ask(struct oauth_redeem *r, const struct json_t *claims, const char *claim)
{
	const char *endpoint = oauth_provider_endpoint(r->si->provider, OAUTH_USERINFO);
	struct oauth_signin_settings s = oauth_signin_now(r->si);
	struct oauth_question q = { .source = endpoint,
		.ca = s.provider.ca,
		.bearer = secret_get(&r->access) };

	if (!endpoint || !q.bearer.n || json_find(claims, slice_str(claim)))
		return false;
	oauth_fetch_start(r->si->web, &q, &r->wait, redeem_told, r);
	return true;
}

static bool
redeem_names(const struct json_t *v, const char *client)
{
	return slice_eq(json_text(v), slice_str(client));
}

/* Core 3.1.3.7.  NULL, or why not. */
static const char *
redeem_judge(const struct oauth_redeem *r, const struct jwt *t,
    const struct oauth_signin_settings *s)
{
	char *const audiences[] = { (char *)(uintptr_t)s->client, NULL };
	const struct json_t *aud = json_find(t->claims, S("aud")),
			    *azp = json_find(t->claims, S("azp"));
	struct jwt_rules rules = { .issuer = slice_str(s->provider.issuer),
		.audiences = audiences,
		.now = clock_now(),
		.skew_s = s->skew_s,
		.expires = true };
	int64_t expires;
	const char *why;

	if (jwt_type(t, S("at+jwt"), false))
		return "it is an access token";
	why = jwt_judge(t->claims, &rules, &expires);
	if (why)
		return why;
	if (azp ? !redeem_names(azp, s->client) :
		  json_is(aud, JSON_KIND_ARRAY) && json_count(aud) > 1)
		return "it was made for another client";
	if (!redeem_names(json_find(t->claims, S("nonce")), r->trip.nonce))
		return "its nonce is another's";
	if (!json_find(t->claims, S("iat")) || !json_text(json_find(t->claims, S("sub"))).n)
		return "it has no sub or no iat";
	return NULL;
}

static void redeem_open(struct oauth_redeem *r);

static void
redeem_open_again(void *arg)
{
	redeem_open(CAST(arg, struct oauth_redeem, REDEEM_MAGIC));
}

/* A key that is missing may be a new one. */
static void
redeem_missed(struct oauth_redeem *r, const char *why)
{
	enum oauth_known known = oauth_provider_missed(r->si->provider);

	if (known == OAUTH_WANTED && !r->again) {
		r->again = true;
		oauth_provider_start(r->si->provider, OAUTH_KEYS, &r->wait, redeem_open_again, r);
	} else if (known == OAUTH_FAILED) {
		redeem_over(r, OAUTH_GONE, NULL, oauth_provider_why(r->si->provider));
	} else {
		redeem_over(r, OAUTH_WRONG, NULL, why);
	}
}

static void
redeem_open(struct oauth_redeem *r)
{
	struct oauth_signin_settings s = oauth_signin_now(r->si);
	const struct jwt_keys *keys = oauth_provider_keys(r->si->provider);
	const char *why = "its keys are not known";
	enum jwt_result opened = JWT_NO_KEY;
	char *user = NULL;
	struct jwt t;

	if (keys)
		opened = jwt_open(keys, secret_get(&r->id_token), &t, &why);
	if (opened == JWT_NO_KEY) {
		redeem_missed(r, why);
		return;
	}
	if (opened != JWT_OK || (why = redeem_judge(r, &t, &s))) {
		if (opened == JWT_OK)
			jwt_free(&t);
		redeem_over(r, OAUTH_WRONG, NULL, why);
		return;
	}
	mem_free(&r->subject);
	r->subject = mem_strn(json_text(json_find(t.claims, S("sub"))).p,
	    json_text(json_find(t.claims, S("sub"))).n);
	user = oauth_user_name(t.claims, &s.naming, &why);
	if (user || !redeem_ask(r, t.claims, s.naming.claim))
		redeem_over(r, user ? OAUTH_REDEEMED : OAUTH_NOBODY, user, why);
	jwt_free(&t);
	mem_free(&user);
}

/* ---- tokens ----------------------------------------------------------------------------------------------------------- */

/* RFC 6749 5.2 */
static void
redeem_refused(struct oauth_redeem *r, const struct oauth_reply *reply)
{
	struct json_t *v = NULL;
	const char *why = NULL;
	struct slice error = S("");
	char *words;

	if (json_read(reply->body, &redeem_bounds, &v, &why) == 0)
		error = json_text(json_find(v, S("error")));
	words = mem_printf("status %u: " SFMT, reply->status, SARG(error));
	redeem_over(r,
	    slice_eq(error, S("invalid_grant")) ? OAUTH_STALE :
		reply->status >= 500            ? OAUTH_GONE :
						  OAUTH_WRONG,
	    NULL, words);
	json_free(&v);
	mem_free(&words);
}

static void
redeem_came(void *arg, const struct oauth_reply *reply)
{
	struct oauth_redeem *r = CAST(arg, struct oauth_redeem, REDEEM_MAGIC);
	struct json_t *v = NULL;
	const char *why = NULL;
	struct slice token;

	if (reply->status == 0) {
		redeem_over(r, OAUTH_GONE, NULL, reply->why);
		return;
	}
	if (reply->status != 200) {
		redeem_refused(r, reply);
		return;
	}
	if (json_read(reply->body, &redeem_bounds, &v, &why) < 0) {
		redeem_over(r, OAUTH_WRONG, NULL, why);
		return;
	}
	token = json_text(json_find(v, S("id_token")));
	secret_set(&r->id_token, token.p ? token : S(""));
	token = json_text(json_find(v, S("access_token")));
	secret_set(&r->access, token.p ? token : S(""));
	json_free(&v);
	redeem_open(r);
}

/* RFC 6749 4.1.3, RFC 7636 4.5 */
static void
redeem_code(struct oauth_redeem *r)
{
	struct oauth_signin_settings s = oauth_signin_now(r->si);
	const char *endpoint = oauth_provider_endpoint(r->si->provider, OAUTH_TOKEN);
	bool post = oauth_provider_is(r->si->provider, OAUTH_SECRET_POST);
	struct buf form = { 0 };
	struct oauth_question q = { .source = endpoint, .ca = s.provider.ca, .post = true };

	if (!endpoint) {
		redeem_over(r, OAUTH_WRONG, NULL, "it has no token_endpoint over HTTPS");
		return;
	}
	oauth_form(&form, "grant_type", S("authorization_code"));
	oauth_form(&form, "code", secret_get(&r->code));
	oauth_form(&form, "redirect_uri", slice_str(r->redirect));
	oauth_form(&form, "code_verifier", slice_str(r->trip.verifier));
	if (*s.secret && !post) {
		q.client = s.client;
		q.secret = s.secret;
	} else {
		oauth_form(&form, "client_id", slice_str(s.client));
		if (*s.secret)
			oauth_form(&form, "client_secret", slice_str(s.secret));
	}
	q.form = buf_get(&form);
	oauth_fetch_start(r->si->web, &q, &r->wait, redeem_came, r);
	secret_clear(form.p, form.n);
	buf_fini(&form);
}

/* ---- the way ------------------------------------------------------------------------------------------------------------ */

/* Whom the browser says that it comes from: a code of another provider is not shown to ours.	RFC 9207 2.4 */
static bool
redeem_of_issuer(const struct oauth_redeem *r, const char *issuer)
{
	if (!r->issuer)
		return !oauth_provider_is(r->si->provider, OAUTH_SAYS_ISSUER);
	return strcmp(r->issuer, issuer) == 0;
}

static void
redeem_go(void *arg)
{
	struct oauth_redeem *r = CAST(arg, struct oauth_redeem, REDEEM_MAGIC);
	struct oauth_signin_settings s = oauth_signin_now(r->si);
	unsigned need = OAUTH_METADATA | OAUTH_KEYS;
	enum oauth_known known = oauth_provider_knows(r->si->provider, need);

	if (known == OAUTH_WANTED && !r->waited) {
		r->waited = true;
		oauth_provider_start(r->si->provider, need, &r->wait, redeem_go, r);
	} else if (known != OAUTH_KNOWN) {
		redeem_over(r, OAUTH_GONE, NULL, oauth_provider_why(r->si->provider));
	} else if (!redeem_of_issuer(r, s.provider.issuer)) {
		redeem_over(r, OAUTH_WRONG, NULL, "the answer is not of this issuer");
	} else {
		redeem_code(r);
	}
}

static void
redeem_soon(struct later *l)
{
	redeem_go(CONTAINER(l, struct oauth_redeem, soon));
}

void
oauth_redeem_start(struct oauth_signin *si, const struct oauth_coming *c, struct op *op,
    void (*done)(void *arg, const struct oauth_person *p), void *arg)
{
	struct oauth_redeem *r = mem_new(sizeof(*r));

	r->magic = REDEEM_MAGIC;
	r->si = si;
	r->op = op;
	r->done = done;
	r->arg = arg;
	r->trip = *c->trip;
	secret_set(&r->code, c->code);
	r->redirect = mem_strn(c->redirect.p, c->redirect.n);
	if (c->issuer.p)
		r->issuer = mem_strn(c->issuer.p, c->issuer.n);
	op->cancel = redeem_cancel;
	op->impl = r;
	later_init(&r->soon);
	later_run(&r->soon, si->loop, redeem_soon);
}

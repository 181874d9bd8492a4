/* oauth/signin.c: see signin.h: the provider as sign-on sees it, and the addresses that a browser is sent to.
 *
 * Owns the provider of one face of a worker; redeem.c has the way back.  Can fail: the provider, which is told as not known.
 * Must stay true: what a seed makes differs by its use, so that no text that travels openly gives away another. */
#include <openssl/evp.h>

#include "base/base64.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/random.h"
#include "base/secret.h"
#include "oauth/signin-impl.h"

struct signin_wait {
	struct oauth_signin *si;
	struct op *op, wait;
	struct later soon;
	bool tried;
	void (*done)(void *arg, bool known);
	void *arg;
};

/* ---- what a seed makes ------------------------------------------------------------------------------------------- */

static void
trip_text(const char *what, struct slice seed, char text[OAUTH_TRIP + 1])
{
	struct buf b = { 0 };
	unsigned char sum[32];
	unsigned n = 0;

	buf_printf(&b, "%s " SFMT, what, SARG(seed));
	must(EVP_Digest(b.p, b.n, sum, &n, EVP_sha256(), NULL) == 1 && n == sizeof(sum));
	secret_clear(b.p, b.n);
	buf_clear(&b);
	base64_url_write(&b, slice((const char *)sum, sizeof(sum)));
	slice_cstr(buf_get(&b), text, OAUTH_TRIP + 1);
	secret_clear(b.p, b.n);
	buf_fini(&b);
}

bool
oauth_trip_make(struct oauth_trip *t, struct slice seed)
{
	if (seed.n != OAUTH_TRIP)
		return false;
	slice_cstr(seed, t->seed, sizeof(t->seed));
	trip_text("state", seed, t->state);
	trip_text("nonce", seed, t->nonce);
	trip_text("verifier", seed, t->verifier);
	return true;
}

void
oauth_trip_new(struct oauth_trip *t)
{
	struct buf b = { 0 };
	char raw[32];

	random_bytes(raw, sizeof(raw));
	base64_url_write(&b, slice(raw, sizeof(raw)));
	must(oauth_trip_make(t, buf_get(&b)));
	secret_clear(raw, sizeof(raw));
	secret_clear(b.p, b.n);
	buf_fini(&b);
}

/* ---- addresses ------------------------------------------------------------------------------------------------------ */

/* An endpoint may have a query of its own.					RFC 6749 3.1 */
static void
signin_address(struct buf *b, const char *endpoint, const struct buf *form)
{
	buf_str(b, endpoint);
	buf_char(b, strchr(endpoint, '?') ? '&' : '?');
	buf_slice(b, buf_get(form));
}

/* RFC 7636 4.2 */
static void
signin_challenge(const char *verifier, struct buf *b)
{
	unsigned char sum[32];
	unsigned n = 0;

	must(EVP_Digest(verifier, strlen(verifier), sum, &n, EVP_sha256(), NULL) == 1);
	base64_url_write(b, slice((const char *)sum, sizeof(sum)));
}

bool
oauth_signin_url(struct oauth_signin *si, const struct oauth_trip *t, struct slice redirect,
    struct buf *b)
{
	struct oauth_signin_settings s = oauth_signin_now(si);
	const char *endpoint = oauth_provider_endpoint(si->provider, OAUTH_AUTHORIZATION);
	struct buf form = { 0 }, challenge = { 0 };

	if (!endpoint)
		return false;
	signin_challenge(t->verifier, &challenge);
	oauth_form(&form, "response_type", S("code"));
	oauth_form(&form, "client_id", slice_str(s.client));
	oauth_form(&form, "redirect_uri", redirect);
	oauth_form(&form, "scope", slice_str(s.scope));
	oauth_form(&form, "state", slice_str(t->state));
	oauth_form(&form, "nonce", slice_str(t->nonce));
	oauth_form(&form, "code_challenge", buf_get(&challenge));
	oauth_form(&form, "code_challenge_method", S("S256"));
	signin_address(b, endpoint, &form);
	buf_fini(&challenge);
	buf_fini(&form);
	return true;
}

bool
oauth_signin_end_url(struct oauth_signin *si, struct slice hint, struct slice redirect,
    struct buf *b)
{
	struct oauth_signin_settings s = oauth_signin_now(si);
	const char *endpoint = oauth_provider_endpoint(si->provider, OAUTH_END_SESSION);
	struct buf form = { 0 };

	if (!endpoint)
		return false;
	if (hint.n)
		oauth_form(&form, "id_token_hint", hint);
	oauth_form(&form, "client_id", slice_str(s.client));
	oauth_form(&form, "post_logout_redirect_uri", redirect);
	signin_address(b, endpoint, &form);
	buf_fini(&form);
	return true;
}

/* ---- the provider ----------------------------------------------------------------------------------------------------- */

struct oauth_signin_settings
oauth_signin_now(struct oauth_signin *si)
{
	struct oauth_signin_settings s = { .client = "" };

	si->settings(&s);
	oauth_provider_set(si->provider, &s.provider);
	return s;
}

struct oauth_signin *
oauth_signin_new(struct loop *l, void (*settings)(struct oauth_signin_settings *s))
{
	struct oauth_signin *si = mem_new(sizeof(*si));

	si->loop = l;
	si->settings = settings;
	si->web = oauth_web_new(l);
	si->provider = oauth_provider_new(si->web);
	return si;
}

static void
wait_free(struct signin_wait *w)
{
	op_cancel(&w->wait);
	later_cancel(&w->soon);
	mem_free(&w);
}

static void
wait_cancel(struct op *op)
{
	wait_free(op->impl);
}

static void
wait_look(void *arg)
{
	struct signin_wait *w = arg;

	(void)oauth_signin_now(w->si);
	if (!w->tried && oauth_provider_knows(w->si->provider, OAUTH_METADATA) == OAUTH_WANTED) {
		w->tried = true;
		oauth_provider_start(w->si->provider, OAUTH_METADATA, &w->wait, wait_look, w);
		return;
	}
	op_done(w->op);
	w->done(w->arg, oauth_provider_endpoint(w->si->provider, OAUTH_AUTHORIZATION));
	wait_free(w);
}

static void
wait_soon(struct later *l)
{
	wait_look(CONTAINER(l, struct signin_wait, soon));
}

void
oauth_signin_know_start(struct oauth_signin *si, struct op *op, void (*done)(void *arg, bool known),
    void *arg)
{
	struct signin_wait *w = mem_new(sizeof(*w));

	w->si = si;
	w->op = op;
	w->done = done;
	w->arg = arg;
	op->cancel = wait_cancel;
	op->impl = w;
	later_init(&w->soon);
	later_run(&w->soon, si->loop, wait_soon);
}

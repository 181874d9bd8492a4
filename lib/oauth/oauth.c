/* oauth/oauth.c: see oauth.h: one check from its token to its grant.
 *
 *	jwt:		keys known? -> signature -> (no key: once more with new ones) -> claims -> grant
 *	introspect:	endpoint known? -> introspect.c
 *
 * Owns a struct oauth_check until it is told or cancelled.  Can fail: the server, which is OAUTH_AWAY.  Must stay true:
 * `done` comes from the loop; a key that is missing is looked for once a check, and never more often than provider.h
 * lets anybody. */
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/secret.h"
#include "conf/shared.h"
#include "oauth/oauth-impl.h"

#define CHECK_MAGIC 0x4f434845u

struct oauth_check {
	uint32_t magic;
	struct oauth *o;
	struct op *op, wait;
	struct later soon;
	struct secret token;
	bool again; /* new keys were looked for */
	void (*done)(void *arg, const struct oauth_grant *g);
	void *arg;
};

static void
bearer_free(struct oauth_check *c)
{
	op_cancel(&c->wait);
	later_cancel(&c->soon);
	secret_wipe(&c->token);
	c->magic = 0;
	mem_free(&c);
}

static void
bearer_cancel(struct op *op)
{
	bearer_free(CAST(op->impl, struct oauth_check, CHECK_MAGIC));
}

static void
bearer_told(void *arg, const struct oauth_grant *g)
{
	struct oauth_check *c = CAST(arg, struct oauth_check, CHECK_MAGIC);

	op_done(c->op);
	c->done(c->arg, g);
	bearer_free(c);
}

static void
bearer_over(struct oauth_check *c, enum oauth_outcome outcome, const char *why)
{
	struct oauth_grant g = { .outcome = outcome, .why = why };

	bearer_told(c, &g);
}

static void bearer_go(struct oauth_check *c);

static void
bearer_waited(void *arg)
{
	bearer_go(CAST(arg, struct oauth_check, CHECK_MAGIC));
}

/* ---- a token that says all itself ------------------------------------------------------------------------------- */

static void
bearer_missed(struct oauth_check *c, const char *why)
{
	switch (oauth_provider_missed(c->o->provider)) {
	case OAUTH_WANTED:
		if (!c->again) {
			c->again = true;
			oauth_provider_start(c->o->provider, OAUTH_KEYS, &c->wait, bearer_waited,
			    c);
			return;
		}
		break;
	case OAUTH_FAILED: bearer_over(c, OAUTH_AWAY, oauth_provider_why(c->o->provider)); return;
	case OAUTH_KNOWN: break;
	}
	bearer_over(c, OAUTH_BAD, why);
}

static void
bearer_jwt(struct oauth_check *c)
{
	struct oauth_grant g = { .outcome = OAUTH_BAD };
	struct jwt t;
	enum jwt_result r =
	    jwt_open(oauth_provider_keys(c->o->provider), secret_get(&c->token), &t, &g.why);

	if (r == JWT_NO_KEY) {
		bearer_missed(c, g.why);
		return;
	}
	if (r == JWT_OK && !jwt_type(&t, S("at+jwt"), true))
		g.why = "it is no access token by its type";
	else if (r == JWT_OK)
		oauth_grant_make(&g, t.claims, true);
	jwt_free(&t);
	bearer_told(c, &g);
	oauth_grant_fini(&g);
}

/* ---- the way ----------------------------------------------------------------------------------------------------- */

static unsigned
bearer_need(void)
{
	if (shared.login_oauth == CONF_OAUTH_JWT)
		return OAUTH_KEYS;
	return *shared.login_oauth_introspection ? 0 : OAUTH_METADATA;
}

static void
bearer_go(struct oauth_check *c)
{
	struct oauth_provider *p = c->o->provider;
	unsigned need = bearer_need();

	if (!oauth_wanted()) {
		bearer_over(c, OAUTH_BAD, "no tokens are taken any more");
		return;
	}
	switch (need ? oauth_provider_knows(p, need) : OAUTH_KNOWN) {
	case OAUTH_WANTED: oauth_provider_start(p, need, &c->wait, bearer_waited, c); return;
	case OAUTH_FAILED: bearer_over(c, OAUTH_AWAY, oauth_provider_why(p)); return;
	case OAUTH_KNOWN: break;
	}
	if (shared.login_oauth == CONF_OAUTH_JWT)
		bearer_jwt(c);
	else
		oauth_introspect_start(c->o, secret_get(&c->token), &c->wait, bearer_told, c);
}

static void
bearer_soon(struct later *l)
{
	struct oauth_check *c = CONTAINER(l, struct oauth_check, soon);

	oauth_settings_use(c->o);
	bearer_go(c);
}

void
oauth_check_start(struct oauth *o, struct slice token, struct op *op,
    void (*done)(void *arg, const struct oauth_grant *g), void *arg)
{
	struct oauth_check *c = mem_new(sizeof(*c));

	c->magic = CHECK_MAGIC;
	c->o = o;
	c->op = op;
	c->done = done;
	c->arg = arg;
	secret_set(&c->token, token);
	op->cancel = bearer_cancel;
	op->impl = c;
	later_init(&c->soon);
	later_run(&c->soon, o->loop, bearer_soon);
}

struct oauth *
oauth_new(struct loop *l)
{
	struct oauth *o = mem_new(sizeof(*o));

	o->loop = l;
	o->web = oauth_web_new(l);
	o->provider = oauth_provider_new(o->web);
	return o;
}

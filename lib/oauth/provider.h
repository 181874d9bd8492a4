/* oauth/provider.h: an authorization server: what it says of itself (OpenID Connect Discovery 1.0 4, RFC 8414) and the
 * keys that it signs with (RFC 7517), fetched beside the loop and kept.
 *
 * Both are fetched again every OAUTH_FRESH_MS while somebody asks, and at once when a key is missing, but not more often
 * than OAUTH_PAUSE_MS whoever brings tokens.  What was fetched stays in use while the server is away, for OAUTH_KEPT_MS at most;
 * then nobody can be told whether his token is good.  One fetch is under way, however many wait for it. */
#ifndef OAUTH_PROVIDER_H
#define OAUTH_PROVIDER_H
#include "jwt/jwt.h"
#include "oauth/fetch.h"

#define OAUTH_FRESH_MS 600000
#define OAUTH_PAUSE_MS 10000
#define OAUTH_KEPT_MS  86400000

/* Borrowed; compared with those of before, and what was fetched by others is forgotten. */
struct oauth_settings {
	const char *issuer;
	const char *metadata; /* URL or path; "": issuer "/.well-known/openid-configuration" */
	const char *keys;     /* URL or path; "": jwks_uri of the metadata */
	const char *ca;
};
struct oauth_provider;
struct oauth_provider *oauth_provider_new(struct oauth_web *w);
void oauth_provider_set(struct oauth_provider *p, const struct oauth_settings *s);

enum oauth_need { OAUTH_METADATA = 1, OAUTH_KEYS = 2 };
enum oauth_known {
	OAUTH_KNOWN,
	OAUTH_WANTED, /* oauth_provider_start may get it */
	OAUTH_FAILED  /* it was tried just now */
};
/* Begins a fetch of what is not fresh any more. */
enum oauth_known oauth_provider_knows(struct oauth_provider *p, unsigned need);
/* A key was missing: may it be a new one?  OAUTH_KNOWN: no, they were fetched just now. */
enum oauth_known oauth_provider_missed(const struct oauth_provider *p);
/* done(arg): the fetch is over, however it went. */
void oauth_provider_start(struct oauth_provider *p, unsigned need, struct op *op,
    void (*done)(void *arg), void *arg);

/* NULL or empty: not known, or it says none.  Valid until the loop goes on. */
const struct jwt_keys *oauth_provider_keys(const struct oauth_provider *p);
/* From OAUTH_AUTHORIZATION on they are those of people's logins: one that is no URL of HTTPS is not there. */
enum oauth_endpoint {
	OAUTH_INTROSPECTION,
	OAUTH_JWKS,
	OAUTH_AUTHORIZATION,
	OAUTH_TOKEN,
	OAUTH_USERINFO,
	OAUTH_END_SESSION,
	OAUTH_ENDPOINTS
};
const char *oauth_provider_endpoint(const struct oauth_provider *p, enum oauth_endpoint which);
enum oauth_trait {
	OAUTH_SAYS_ISSUER = 1, /* in what it sends a browser back with (RFC 9207 3) */
	OAUTH_SECRET_POST = 2  /* it takes a client's secret in the form alone (Discovery 1.0 3) */
};
bool oauth_provider_is(const struct oauth_provider *p, enum oauth_trait which);
const char *oauth_provider_why(const struct oauth_provider *p); /* of the last failure */
#endif

/* oauth/oauth.h: is this bearer token good (RFC 6750), whose is it, and what for?
 *
 *	login.oauth = jwt		its signature and claims (RFC 7519, RFC 9068), by keys that provider.h keeps
 *	login.oauth = introspect	the authorization server is asked (RFC 7662); what it says is kept by the token's
 *					hash until `exp`, for OAUTH_GOOD_MS at most
 *
 * A server that does not answer is OAUTH_AWAY, which is nobody's fault.  What a token is good for beyond that is
 * lib/login's to judge: the account, its status, where it may be used. */
#ifndef OAUTH_OAUTH_H
#define OAUTH_OAUTH_H
#include "jwt/jwt.h"
#include "oauth/provider.h"

#define OAUTH_GOOD_MS 60000 /* how long an introspected token is believed without asking again */
#define OAUTH_BAD_MS  10000 /* ... and one that is not good is not asked about */
#define OAUTH_CACHE   10000 /* tokens that are kept, of a worker */

enum oauth_outcome { OAUTH_GOOD, OAUTH_BAD, OAUTH_AWAY };
struct oauth_grant {
	enum oauth_outcome outcome;
	char
	    *user; /* the login name, with a domain where the settings give one; NULL unless good */
	char *scope;     /* words with blanks */
	int64_t expires; /* unix seconds, 0: it does not say */
	const char *why; /* not good: for the log; static */
};
void oauth_grant_fini(struct oauth_grant *g);

/* How claims name a user of ours: the claim, and the domains that it may name. */
struct oauth_naming {
	const char *claim;
	char *const
	    *domains; /* NULL or none: any; else those, and the first completes names without one */
};
/* The login name that these claims say; NULL with *why (static).  Heap. */
char *oauth_user_name(const struct json_t *claims, const struct oauth_naming *n, const char **why);

struct oauth;
struct oauth *oauth_new(struct loop *l);
/* Is login.oauth set? */
bool oauth_wanted(void);
/* done(arg, grant): borrowed until it returns; from the loop.  The token is copied, and wiped. */
void oauth_check_start(struct oauth *o, struct slice token, struct op *op,
    void (*done)(void *arg, const struct oauth_grant *g), void *arg);
/* Has it every scope that login.oauth_scope wants for this service?  *missing: the first that it has not, static until
 * a reload. */
bool oauth_scope_has(const struct oauth_grant *g, const char *service, struct slice *missing);
/* The scopes of a service, with blanks, for a client that asks which (RFC 7628 3.2.2). */
void oauth_scope_write(const char *service, struct buf *b);
/* What is wrong with login.oauth*, a line each; false when something is. */
bool oauth_settings_check(struct buf *out);
#endif

/* oauth/oauth-impl.h: what oauth.c, claims.c and introspect.c share.  Not for anybody else. */
#ifndef OAUTH_IMPL_H
#define OAUTH_IMPL_H
#include "oauth/oauth.h"

struct oauth_cache;
struct oauth {
	struct loop *loop;
	struct oauth_web *web;
	struct oauth_provider *provider;
	struct oauth_cache *cache; /* introspect.c */
};

/* The settings of now, to the provider. */
void oauth_settings_use(struct oauth *o);
/* claims.c: what these claims grant now: OAUTH_GOOD or OAUTH_BAD.  `strict`: as a token that we have read ourselves. */
void oauth_grant_make(struct oauth_grant *g, const struct json_t *claims, bool strict);
void oauth_grant_copy(struct oauth_grant *to, const struct oauth_grant *from);

/* introspect.c: a token by what the server says; its endpoint is known.  Like oauth_check_start. */
void oauth_introspect_start(struct oauth *o, struct slice token, struct op *op,
    void (*done)(void *arg, const struct oauth_grant *g), void *arg);
#endif

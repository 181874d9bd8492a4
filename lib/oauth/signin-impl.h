/* oauth/signin-impl.h: what signin.c and redeem.c share.  Not for anybody else. */
#ifndef OAUTH_SIGNIN_IMPL_H
#define OAUTH_SIGNIN_IMPL_H
#include "oauth/signin.h"

struct oauth_signin {
	struct loop *loop;
	struct oauth_web *web;
	struct oauth_provider *provider;
	void (*settings)(struct oauth_signin_settings *s);
};
/* The settings of now, which the provider has been told; valid until the loop goes on. */
struct oauth_signin_settings oauth_signin_now(struct oauth_signin *si);
#endif

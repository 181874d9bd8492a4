/* oauth/signin.h: people who log in at the site's provider, for a face of the web: OpenID Connect Core 1.0 3.1, the
 * authorization code flow, with PKCE (RFC 7636), and logout there (RP-Initiated Logout 1.0).
 *
 *	oauth_signin_know_start --> oauth_signin_url --> (the browser goes there, and comes back) --> oauth_redeem_start
 *
 * Nothing is kept of who is on the way: a seed, which the browser brings back sealed, makes all that must fit
 * (oauth_trip_make).  What comes back is worth something only with the seed that it began with, so nobody is let in as
 * somebody else by an address.  An ID token is judged by OpenID Connect Core 1.0 3.1.3.7; where it does not say the
 * claim that names the user, the provider's UserInfo is asked (5.3).  That a name is one of ours is login's to say. */
#ifndef OAUTH_SIGNIN_H
#define OAUTH_SIGNIN_H
#include "oauth/oauth.h"

#define OAUTH_TRIP 43 /* characters of a seed, and of each text of it: 32 octets in base64url */

/* Borrowed: asked for at each use. */
struct oauth_signin_settings {
	struct oauth_settings provider;
	const char *client, *secret; /* secret "": a public client */
	const char *scope;           /* words with blanks, "openid" among them */
	struct oauth_naming naming;
	int64_t skew_s;
};
struct oauth_signin;
struct oauth_signin *
oauth_signin_new(struct loop *l, void (*settings)(struct oauth_signin_settings *s));

/* done(arg, known): is it known where people log in?  False: the provider does not answer, or says nothing of that. */
void oauth_signin_know_start(struct oauth_signin *si, struct op *op,
    void (*done)(void *arg, bool known), void *arg);

struct oauth_trip {
	char seed[OAUTH_TRIP + 1], state[OAUTH_TRIP + 1], nonce[OAUTH_TRIP + 1],
	    verifier[OAUTH_TRIP + 1];
};
void oauth_trip_new(struct oauth_trip *t);
/* Of a seed that oauth_trip_new made.  False: it is none. */
bool oauth_trip_make(struct oauth_trip *t, struct slice seed) MUSTCHECK;

/* Appends where the browser is sent, if it is known: false.  `redirect` is where it comes back to. */
bool oauth_signin_url(struct oauth_signin *si, const struct oauth_trip *t, struct slice redirect,
    struct buf *b) MUSTCHECK;
/* Likewise at the end: `hint` is the ID token or empty, `redirect` where the browser is to come back to. */
bool oauth_signin_end_url(struct oauth_signin *si, struct slice hint, struct slice redirect,
    struct buf *b) MUSTCHECK;

enum oauth_redeemed {
	OAUTH_REDEEMED,
	OAUTH_STALE,  /* the code is over, or was another's */
	OAUTH_NOBODY, /* it is a person, but none that these settings name */
	OAUTH_GONE,   /* the provider does not answer */
	OAUTH_WRONG /* it says what must not be, or does not take us for its client: the administrator's */
};
struct oauth_coming {
	struct slice code, issuer; /* as the browser brought them; issuer.p NULL: none */
	struct slice redirect;     /* as oauth_signin_url was told */
	const struct oauth_trip *trip;
};
struct oauth_person {
	enum oauth_redeemed how;
	const char *user, *why; /* the login name, or why not, in English for the log */
	struct slice id_token;
};
/* All of `c` is copied; done(arg, person): borrowed until it returns; from the loop. */
void oauth_redeem_start(struct oauth_signin *si, const struct oauth_coming *c, struct op *op,
    void (*done)(void *arg, const struct oauth_person *p), void *arg);
#endif

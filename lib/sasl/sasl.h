/* sasl/sasl.h: the server side of SASL mechanisms (RFC 4422).  Pure: strings in, strings out;
 * SMTP and IMAP carry the base64.  PLAIN (RFC 4616), LOGIN (draft-murchison-sasl-login), SCRAM-SHA-256 (RFC 5802, 7677),
 * OAUTHBEARER (RFC 7628), XOAUTH2 (as Google describes it)
 * and EXTERNAL (RFC 4422 appendix A), which is for peers alone that have proved who they are.
 *
 * Who brings a token that is not good is told why, in a challenge, and must answer that before he is refused (RFC 7628
 * 3.2.3): SASL_TOKEN, then sasl_token_refused(), then SASL_REFUSED.
 *
 * SCRAM's server knows no password but what verifier.h keeps of one, and answers in three steps:
 *
 *	client-first   SASL_NAME    look authcid up, then sasl_scram_first()
 *	client-final   SASL_PROOF   look him up again, then sasl_scram_check()
 *	(empty)        SASL_PROVED  he is who he says, and has seen that we know his verifier
 *
 * Channels are not bound (RFC 5802 6): libtls tells neither what binds to them, and no client is told of a mechanism
 * that ends in -PLUS. */
#ifndef SASL_SASL_H
#define SASL_SASL_H
#include "base/arena.h"
#include "base/buf.h"
#include "sasl/verifier.h"

struct sasl {
	const struct sasl_mech *mech;
	int step;
	struct slice authzid, authcid,
	    password; /* in the arena, when finished; a token is a password */
	struct {      /* in the arena, too */
		struct slice binding, client_first, server_first, nonce, without_proof, proof;
	} scram;
};
enum sasl_result {
	SASL_CHALLENGE, /* send *challenge (decoded bytes), wait for the next response */
	SASL_CHECK,     /* the identities and password are there: ask the directory */
	SASL_TRUST,     /* EXTERNAL: authzid is there, and nothing that proves it */
	SASL_NAME,      /* SCRAM: see above */
	SASL_PROOF,
	SASL_PROVED,
	SASL_TOKEN,   /* OAUTHBEARER, XOAUTH2: authzid, or empty, and a token in `password` */
	SASL_REFUSED, /* he has heard that it is not good */
	SASL_BAD,     /* malformed response: 501 / BAD, *why says it */
};
/* Finds the mechanism; false when unknown.  Some are known only to who asks for them: bits. */
#define SASL_EXTERNAL 1
#define SASL_SCRAM    2
#define SASL_OAUTH    4
bool sasl_start(struct sasl *s, struct slice mech, unsigned which);
const char *sasl_mechanism(const struct sasl *s); /* its name, once it has started */
/* The names of all but EXTERNAL, space separated. */
const char *sasl_names(unsigned which);
/* One response as SMTP carries it (RFC 4954 4): base64, and "=" for an empty one.  False: it is neither.
 * Appends to *b, which is the caller's to wipe: it may be a password. */
bool sasl_decode(struct buf *b, struct slice text);
/* One response, already base64-decoded; `response` NULL when there is no initial response. */
enum sasl_result sasl_step(struct sasl *s, struct arena *a, const struct slice *response,
    struct slice *challenge, const char **why);
/* After SASL_TOKEN: *challenge says what was wrong (RFC 7628 3.2.2): `status` of RFC 6750 3.1, and the scopes that are
 * wanted, or nothing. */
void sasl_token_refused(struct sasl *s, struct arena *a, const char *status, struct slice scope,
    struct slice *challenge);
/* After SASL_NAME: the challenge with the salt of *v. */
void sasl_scram_first(struct sasl *s, struct arena *a, const struct sasl_verifier *v,
    struct slice *challenge);
/* After SASL_PROOF: does the proof fit?  Then *challenge is the server's own. False as well when *v is not what the
 * first challenge was made of. */
bool sasl_scram_check(struct sasl *s, struct arena *a, const struct sasl_verifier *v,
    struct slice *challenge) MUSTCHECK;
#endif

/* sasl/verifier.h: what a server keeps of a password so that SCRAM-SHA-256 can be checked against it (RFC 5803,
 * RFC 7677).  Whoever has one can act as the server, and guess the password at the price of its rounds; he cannot log
 * in with it.  Pure. */
#ifndef SASL_VERIFIER_H
#define SASL_VERIFIER_H
#include "base/buf.h"

#define SASL_SHA        32   /* octets of SHA-256 */
#define SASL_SALT       16   /* octets of those that are made here */
#define SASL_SALT_MAX   64   /* of those that are taken */
#define SASL_ROUNDS_MIN 4096 /* RFC 7677 4 */
#define SASL_ROUNDS_MAX 1000000

struct sasl_verifier {
	uint32_t rounds;
	size_t nsalt;
	uint8_t salt[SASL_SALT_MAX];
	uint8_t stored[SASL_SHA], server[SASL_SHA];
};

/* Of a password, with the salt and the rounds that are in *v; the time goes with the rounds (about 0.4 us each).
 * -EBADMSG: no client can say this password (RFC 4013). */
int sasl_verifier_make(struct sasl_verifier *v, struct slice password) MUSTCHECK;
/* "SCRAM-SHA-256$rounds:salt$stored:server", the last three in base64. */
void sasl_verifier_write(struct buf *b, const struct sasl_verifier *v);
int sasl_verifier_parse(struct slice text, struct sasl_verifier *v) MUSTCHECK;
/* The salt of a name, the same wherever the key is: of `rounds`, and a verifier that no proof fits. */
void
sasl_verifier_salt(struct sasl_verifier *v, struct slice key, struct slice name, uint32_t rounds);
#endif

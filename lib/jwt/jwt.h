/* jwt/jwt.h: JSON Web Tokens in their compact form (RFC 7519, RFC 7515 7.1), signed with a public key, read as
 * RFC 8725 wants it, and the sets of keys that their signers publish (RFC 7517).  Pure: octets in, claims out; nothing
 * is fetched here.  libcrypto checks the signatures.
 *
 *	jwt_keys_parse --> jwt_open (the signature) --> jwt_judge (who, for whom, until when) --> jwt_free
 *
 * What a token says of its algorithm is only compared: each key knows the one that it is for (RFC 8725 3.1), RS256
 * (2048 to 8192 bits), ES256 and EdDSA with Ed25519 (RFC 7518 3.3, 3.4, RFC 8037 3.1).  `none`, and those with shared
 * secrets, are names that no key has. */
#ifndef JWT_JWT_H
#define JWT_JWT_H
#include "json/json.h"

#define JWT_MOST      8192   /* octets of a token */
#define JWT_KEYS_MOST 32     /* keys of a set that are taken */
#define JWT_KEYS_TEXT 131072 /* octets of a set */

struct jwt_keys;
/* A set: {"keys":[...]}.  Keys of other kinds, for other uses and malformed ones are passed over (RFC 7517 5).
 * NULL with *why (static): it is no set, or has no key for us. */
struct jwt_keys *jwt_keys_parse(struct slice text, const char **why) MUSTCHECK;
void jwt_keys_free(struct jwt_keys **k);
size_t jwt_keys_count(const struct jwt_keys *k);

struct jwt {
	struct json_t *header, *claims; /* objects */
};
enum jwt_result {
	JWT_OK,
	JWT_MALFORMED, /* it is no token that we read */
	JWT_NO_KEY,    /* no key of the set fits, or it names none: it may be a new one */
	JWT_FORGED     /* a key of that name is there, and has not signed it */
};
/* *t is to be freed after JWT_OK, and is empty after all else; *why is English and static. */
enum jwt_result
jwt_open(const struct jwt_keys *k, struct slice token, struct jwt *t, const char **why) MUSTCHECK;
void jwt_free(struct jwt *t);

/* Is it said to be of this type ("at+jwt", with or without "application/"; RFC 8725 3.11)?  `silent`: also when it says
 * none, or "JWT". */
bool jwt_type(const struct jwt *t, struct slice type, bool silent);

struct jwt_rules {
	struct slice issuer; /* `iss` must be this, octet by octet; empty: not looked at */
	char *const
	    *audiences; /* `aud` must have one of these, NULL-terminated; none: not looked at */
	int64_t now, skew_s; /* unix seconds; clocks may differ by so much */
	bool expires;        /* `exp` must be there */
};
/* NULL, or why these claims are not good here and now: English, static (RFC 7519 4.1).  *expires: their `exp`, 0: none. */
const char *jwt_judge(const struct json_t *claims, const struct jwt_rules *rules, int64_t *expires);
#endif

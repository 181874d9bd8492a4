/* jwt/jwt-impl.h: what jwt.c and keys.c share.  Not for anybody else. */
#ifndef JWT_IMPL_H
#define JWT_IMPL_H
#include "jwt/jwt.h"

enum jwt_alg { JWT_RS256, JWT_ES256, JWT_EDDSA, JWT_ALGS };

struct evp_pkey_st;
struct jwt_key {
	enum jwt_alg alg;
	struct evp_pkey_st *pkey;
	struct buf kid; /* empty: it has none */
};
struct jwt_keys {
	struct jwt_key key[JWT_KEYS_MOST];
	size_t n;
};

/* "RS256" */
struct slice jwt_alg_name(enum jwt_alg alg);
/* base64url of a member of an object; false: it is none, or has not from `least` to `most` octets. */
bool jwt_octets(const struct json_t *object, struct slice name, size_t least, size_t most,
    struct buf *b);
#endif

/* jwt/keys.c: keys of a set as libcrypto has them (RFC 7517, RFC 7518 6, RFC 8037 2).
 *
 * Owns the keys of a set.  Called by jwt.c and by who keeps sets.  Can fail: what strangers have written.  Must stay
 * true: a key is for the one algorithm that its kind has, whatever else is said; one that says another is not taken. */
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include "base/base64.h"
#include "base/mem.h"
#include "jwt/jwt-impl.h"

#define KEY_DEPTH  8
#define KEY_VALUES 4096
#define KEY_RSA    1024 /* octets of the modulus, at most; 256 at least */
#define KEY_P256   32   /* octets of a coordinate */
#define KEY_25519  32

static const struct json_bounds bounds = { JWT_KEYS_TEXT, KEY_DEPTH, KEY_VALUES };

struct slice
jwt_alg_name(enum jwt_alg alg)
{
	static const char *const names[JWT_ALGS] = { "RS256", "ES256", "EdDSA" };

	return slice_str(names[alg]);
}

bool
jwt_octets(const struct json_t *object, struct slice name, size_t least, size_t most, struct buf *b)
{
	struct slice text;

	buf_clear(b);
	return json_get_str(json_find(object, name), &text) && text.n <= most * 2 &&
	    base64_url_parse(b, text) == 0 && b->n >= least && b->n <= most;
}

/* ---- three kinds ---------------------------------------------------------------------------------- */

static EVP_PKEY *
key_of_params(const char *type, OSSL_PARAM_BLD *bld)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *pkey = NULL;

	if (!params || !c || EVP_PKEY_fromdata_init(c) != 1 ||
	    EVP_PKEY_fromdata(c, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
		pkey = NULL;
	EVP_PKEY_CTX_free(c);
	OSSL_PARAM_free(params);
	return pkey;
}

static EVP_PKEY *
key_rsa(const struct json_t *v)
{
	struct buf n = { 0 }, e = { 0 };
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	BIGNUM *bn = NULL, *be = NULL;
	EVP_PKEY *pkey = NULL;

	if (bld && jwt_octets(v, S("n"), 1, KEY_RSA, &n) && jwt_octets(v, S("e"), 1, 8, &e)) {
		bn = BN_bin2bn((const unsigned char *)n.p, (int)n.n, NULL);
		be = BN_bin2bn((const unsigned char *)e.p, (int)e.n, NULL);
		if (bn && be && BN_num_bits(bn) >= 2048 && BN_is_odd(be) && !BN_is_one(be) &&
		    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, bn) == 1 &&
		    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, be) == 1)
			pkey = key_of_params("RSA", bld);
	}
	BN_free(bn);
	BN_free(be);
	OSSL_PARAM_BLD_free(bld);
	buf_fini(&n);
	buf_fini(&e);
	return pkey;
}

static bool
key_on_curve(EVP_PKEY *pkey)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
	bool good = c && EVP_PKEY_public_check(c) == 1;

	EVP_PKEY_CTX_free(c);
	return good;
}

static EVP_PKEY *
key_p256(const struct json_t *v)
{
	unsigned char point[1 + 2 * KEY_P256] = { POINT_CONVERSION_UNCOMPRESSED };
	struct buf x = { 0 }, y = { 0 };
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	EVP_PKEY *pkey = NULL;

	if (bld && slice_eq(json_text(json_find(v, S("crv"))), S("P-256")) &&
	    jwt_octets(v, S("x"), KEY_P256, KEY_P256, &x) &&
	    jwt_octets(v, S("y"), KEY_P256, KEY_P256, &y)) {
		memcpy(point + 1, x.p, KEY_P256);
		memcpy(point + 1 + KEY_P256, y.p, KEY_P256);
		if (OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1",
			0) == 1 &&
		    OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point,
			sizeof(point)) == 1)
			pkey = key_of_params("EC", bld);
		if (pkey && !key_on_curve(pkey)) {
			EVP_PKEY_free(pkey);
			pkey = NULL;
		}
	}
	OSSL_PARAM_BLD_free(bld);
	buf_fini(&x);
	buf_fini(&y);
	return pkey;
}

static EVP_PKEY *
key_25519(const struct json_t *v)
{
	struct buf x = { 0 };
	EVP_PKEY *pkey = NULL;

	if (slice_eq(json_text(json_find(v, S("crv"))), S("Ed25519")) &&
	    jwt_octets(v, S("x"), KEY_25519, KEY_25519, &x))
		pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL,
		    (const unsigned char *)x.p, x.n);
	buf_fini(&x);
	return pkey;
}

static const struct {
	const char *kty;
	enum jwt_alg alg;
	EVP_PKEY *(*make)(const struct json_t *v);
} kinds[] = {
	{ "RSA", JWT_RS256, key_rsa },   /* RFC 7518 6.3 */
	{ "EC", JWT_ES256, key_p256 },   /* RFC 7518 6.2 */
	{ "OKP", JWT_EDDSA, key_25519 }, /* RFC 8037 2 */
};

/* ---- a set ---------------------------------------------------------------------------------------- */

/* May it be used to check signatures?							RFC 7517 4.2, 4.3 */
static bool
key_verifies(const struct json_t *v)
{
	const struct json_t *ops = json_find(v, S("key_ops")), *use = json_find(v, S("use"));

	if (use && !slice_eq(json_text(use), S("sig")))
		return false;
	for (size_t i = 0; i < json_count(ops); i++)
		if (slice_eq(json_text(json_at(ops, i)), S("verify")))
			return true;
	return !ops;
}

static void
key_take(struct jwt_keys *k, const struct json_t *v)
{
	const struct json_t *alg = json_find(v, S("alg")), *kid = json_find(v, S("kid"));
	struct slice kty = json_text(json_find(v, S("kty")));
	struct jwt_key *key = &k->key[k->n];

	if (!key_verifies(v) || (kid && !json_is(kid, JSON_KIND_STR)))
		return;
	for (size_t i = 0; i < NELEM(kinds) && !key->pkey; i++) {
		if (!slice_eq(kty, slice_str(kinds[i].kty)) ||
		    (alg && !slice_eq(json_text(alg), jwt_alg_name(kinds[i].alg))))
			continue;
		key->alg = kinds[i].alg;
		key->pkey = kinds[i].make(v);
	}
	if (!key->pkey)
		return;
	if (kid)
		buf_slice(&key->kid, json_text(kid));
	k->n++;
}

struct jwt_keys *
jwt_keys_parse(struct slice text, const char **why)
{
	struct jwt_keys *k = mem_new(sizeof(*k));
	struct json_t *v = NULL;
	const struct json_t *list;

	if (json_read(text, &bounds, &v, why) == 0) {
		list = json_find(v, S("keys"));
		*why = json_is(list, JSON_KIND_ARRAY) ? "no key for RS256, ES256 or EdDSA" :
							"no set of keys";
		for (size_t i = 0; i < json_count(list) && k->n < JWT_KEYS_MOST; i++)
			key_take(k, json_at(list, i));
	}
	json_free(&v);
	if (k->n == 0)
		jwt_keys_free(&k);
	return k;
}

void
jwt_keys_free(struct jwt_keys **k)
{
	if (!*k)
		return;
	for (size_t i = 0; i < (*k)->n; i++) {
		EVP_PKEY_free((*k)->key[i].pkey);
		buf_fini(&(*k)->key[i].kid);
	}
	mem_free(k);
}

size_t
jwt_keys_count(const struct jwt_keys *k)
{
	return k ? k->n : 0;
}

/* jwt/jwt.c: a token from its octets to claims that its signer has made (RFC 7515, RFC 7519, RFC 8725).
 *
 *	base64url(header) "." base64url(claims) "." base64url(signature)
 *
 * Owns nothing but what it gives.  Can fail: what strangers have written.  Must stay true: the claims are not even
 * parsed before the signature is right; an extension that must be understood (`crit`) is not, so the token is none for
 * us; a key is tried only with its own algorithm. */
#include <errno.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>

#include "base/base64.h"
#include "base/mem.h"
#include "jwt/jwt-impl.h"

#define JWT_DEPTH  8
#define JWT_VALUES 1024
#define ES256_SIDE 32 /* octets of r, and of s */

static const struct json_bounds bounds = { JWT_MOST, JWT_DEPTH, JWT_VALUES };

/* ---- signatures ------------------------------------------------------------------------------------ */

/* R || S, as libcrypto wants it.							RFC 7518 3.4 */
static int
jwt_es256_der(struct slice raw, unsigned char **der)
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	const unsigned char *p = (const unsigned char *)raw.p;
	BIGNUM *r, *s;
	int n = -1;

	if (sig && raw.n == (size_t)2 * ES256_SIDE) {
		r = BN_bin2bn(p, ES256_SIDE, NULL);
		s = BN_bin2bn(p + ES256_SIDE, ES256_SIDE, NULL);
		if (r && s && ECDSA_SIG_set0(sig, r, s) == 1) {
			n = i2d_ECDSA_SIG(sig, der);
		} else {
			BN_free(r);
			BN_free(s);
		}
	}
	ECDSA_SIG_free(sig);
	return n;
}

static bool
jwt_signed(const struct jwt_key *key, struct slice text, struct slice sig)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	const unsigned char *p = (const unsigned char *)sig.p;
	unsigned char *der = NULL;
	int n = (int)sig.n;
	bool good;

	if (key->alg == JWT_ES256) {
		n = jwt_es256_der(sig, &der);
		p = der;
	}
	good = c && n > 0 &&
	    EVP_DigestVerifyInit(c, NULL, key->alg == JWT_EDDSA ? NULL : EVP_sha256(), NULL,
		key->pkey) == 1 &&
	    EVP_DigestVerify(c, p, (size_t)n, (const unsigned char *)text.p, text.n) == 1;
	OPENSSL_free(der);
	EVP_MD_CTX_free(c);
	return good;
}

/* The key of the token's name; of a token without a name, all of its algorithm. */
static enum jwt_result
jwt_check(const struct jwt_keys *k, const struct json_t *header, struct slice text,
    struct slice sig, const char **why)
{
	struct slice alg = json_text(json_find(header, S("alg"))),
		     kid = json_text(json_find(header, S("kid")));
	bool found = false;

	for (size_t i = 0; k && i < k->n; i++) {
		const struct jwt_key *key = &k->key[i];

		if (!slice_eq(alg, jwt_alg_name(key->alg)) ||
		    (kid.p && !slice_eq(kid, buf_get(&key->kid))))
			continue;
		found = true;
		if (jwt_signed(key, text, sig))
			return JWT_OK;
	}
	*why = found ? "the signature is wrong" :
		       "no key of the issuer's is of its name and algorithm";
	/* Without a name, one that nobody has signed may be of a key that has come since. */
	return found && kid.p ? JWT_FORGED : JWT_NO_KEY;
}

/* ---- the token ---------------------------------------------------------------------------------------- */

static bool
jwt_object(struct slice part, struct json_t **v, const char **why)
{
	struct buf b = { 0 };
	bool good = base64_url_parse(&b, part) == 0;

	*why = "a part is not base64url";
	if (good)
		good = json_read(buf_get(&b), &bounds, v, why) == 0;
	buf_fini(&b);
	if (!good || json_is(*v, JSON_KIND_OBJECT))
		return good;
	*why = "a part is no object";
	json_free(v);
	return false;
}

static bool
jwt_header_good(const struct json_t *header, const char **why)
{
	static const char *const texts[] = { "kid", "typ", "cty" };

	*why = "it names no algorithm";
	if (!json_is(json_find(header, S("alg")), JSON_KIND_STR))
		return false;
	*why = "it has an extension that is not understood"; /* RFC 7515 4.1.11; RFC 7797 */
	if (json_find(header, S("crit")) || json_find(header, S("b64")) ||
	    json_find(header, S("zip")))
		return false;
	*why = "a member of its header is no text";
	for (size_t i = 0; i < NELEM(texts); i++) {
		const struct json_t *v = json_find(header, slice_str(texts[i]));

		if (v && !json_is(v, JSON_KIND_STR))
			return false;
	}
	return true;
}

enum jwt_result
jwt_open(const struct jwt_keys *k, struct slice token, struct jwt *t, const char **why)
{
	size_t one = slice_find(token, '.'), two = slice_rfind(token, '.');
	struct slice signed_text = slice_sub(token, 0, two);
	struct slice claims = slice_from(signed_text, one + 1);
	enum jwt_result r = JWT_MALFORMED;
	struct buf sig = { 0 };

	*t = (struct jwt){ 0 };
	*why = "it has not three parts";
	if (token.n > JWT_MOST || one == token.n || one == two ||
	    slice_find(claims, '.') < claims.n)
		return r;
	if (jwt_object(slice_sub(token, 0, one), &t->header, why) &&
	    jwt_header_good(t->header, why)) {
		*why = "its signature is not base64url";
		if (base64_url_parse(&sig, slice_from(token, two + 1)) == 0)
			r = jwt_check(k, t->header, signed_text, buf_get(&sig), why);
		if (r == JWT_OK && !jwt_object(claims, &t->claims, why))
			r = JWT_MALFORMED;
	}
	buf_fini(&sig);
	if (r != JWT_OK)
		jwt_free(t);
	return r;
}

void
jwt_free(struct jwt *t)
{
	json_free(&t->header);
	json_free(&t->claims);
}

bool
jwt_type(const struct jwt *t, struct slice type, bool silent)
{
	struct slice typ = json_text(json_find(t->header, S("typ"))), prefix = S("application/");

	if (!typ.p || slice_ieq(typ, S("JWT")))
		return silent;
	return slice_ieq(slice_istarts(typ, prefix) ? slice_from(typ, prefix.n) : typ, type);
}

/* ---- claims -------------------------------------------------------------------------------------------- */

/* NumericDate: seconds, perhaps with a fraction.					RFC 7519 2 */
static bool
jwt_time(const struct json_t *v, int64_t *at)
{
	struct buf b = { 0 };
	struct slice whole, text;
	uint64_t n = 0;
	bool good;

	if (json_get_int(v, 0, JSON_INT_MOST, at))
		return true;
	if (!json_is(v, JSON_KIND_REAL))
		return false;
	json_write(&b, v);
	text = buf_get(&b);
	good = slice_cut(&text, '.', &whole) &&
	    slice_u64(whole, (uint64_t)JSON_INT_MOST, &n) == 0 && slice_find(text, 'e') == text.n &&
	    slice_find(text, 'E') == text.n;
	*at = (int64_t)n;
	buf_fini(&b);
	return good;
}

static bool
jwt_for(const struct json_t *aud, char *const *audiences)
{
	if (!audiences || !*audiences)
		return true;
	for (; *audiences; audiences++) {
		if (slice_eq(json_text(aud), slice_str(*audiences)))
			return true;
		for (size_t i = 0; json_is(aud, JSON_KIND_ARRAY) && i < json_count(aud); i++)
			if (slice_eq(json_text(json_at(aud, i)), slice_str(*audiences)))
				return true;
	}
	return false;
}

const char *
jwt_judge(const struct json_t *claims, const struct jwt_rules *rules, int64_t *expires)
{
	const struct json_t *exp = json_find(claims, S("exp")), *nbf = json_find(claims, S("nbf")),
			    *iat = json_find(claims, S("iat"));
	int64_t at = 0;

	*expires = 0;
	if (rules->issuer.n && !slice_eq(json_text(json_find(claims, S("iss"))), rules->issuer))
		return "it is of another issuer";
	if (!jwt_for(json_find(claims, S("aud")), rules->audiences))
		return "it is for another audience";
	if (exp ? !jwt_time(exp, &at) : rules->expires)
		return "it does not say when it expires";
	*expires = at;
	if (exp && at + rules->skew_s <= rules->now)
		return "it has expired";
	if (nbf && (!jwt_time(nbf, &at) || at - rules->skew_s > rules->now))
		return "it is not good yet";
	if (iat && (!jwt_time(iat, &at) || at - rules->skew_s > rules->now))
		return "it was issued in the future";
	return NULL;
}

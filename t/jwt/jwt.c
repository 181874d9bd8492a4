/* Tokens that another implementation has made (t/fixtures/jwt), and the rules of RFC 8725 that each breaks. */
#include <stdio.h>

#include "base/mem.h"
#include "jwt/jwt.h"
#include "../tap.h"

static struct jwt_keys *keys;

static char *
fixture(const char *name)
{
	char path[256];
	struct buf b = { 0 };
	char piece[4096];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "t/fixtures/jwt/%s", name);
	f = fopen(path, "re");
	while (f && (n = fread(piece, 1, sizeof(piece), f)) > 0)
		buf_add(&b, piece, n);
	if (f)
		fclose(f);
	return buf_take(&b);
}

static enum jwt_result
opened(const char *name, struct jwt *t)
{
	char *text = fixture(name);
	const char *why;
	enum jwt_result r = jwt_open(keys, slice_str(text), t, &why);

	free(text);
	return r;
}

static void
test_keys(void)
{
	static const char *const none[] = { "", "{}", "[]", "{\"keys\":[]}", "{\"keys\":{}}",
		"{\"keys\":[{\"kty\":\"RSA\"}]}", "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}" };
	char *text = fixture("keys.json");
	const char *why;
	struct jwt_keys *k;

	keys = jwt_keys_parse(slice_str(text), &why);
	eq(jwt_keys_count(keys), 3, "of a set, the keys that are for us");
	free(text);
	for (size_t i = 0; i < NELEM(none); i++) {
		k = jwt_keys_parse(slice_str(none[i]), &why);
		ok(!k && why, "no set: %s: %s", none[i], why ? why : "");
		jwt_keys_free(&k);
	}
}

static void
test_good(void)
{
	static const char *const good[] = { "rs256", "es256", "eddsa", "nokid" };
	struct jwt t;

	for (size_t i = 0; i < NELEM(good); i++) {
		eq(opened(good[i], &t), JWT_OK, "%s", good[i]);
		ok(slice_eq(json_text(json_find(t.claims, S("email"))), S("u1@op.test")),
		    "its claims");
		eq(jwt_type(&t, S("at+jwt"), false), i == 0, "its type");
		ok(jwt_type(&t, S("at+jwt"), true), "which may be silent");
		jwt_free(&t);
	}
}

/* A server that names no keys changes them, too. */
static void
test_nameless(void)
{
	char *text = fixture("nokid"), *sig = strrchr(text, '.') + 5;
	const char *why;
	struct jwt t;

	*sig = *sig == 'A' ? 'B' : 'A';
	eq(jwt_open(keys, slice_str(text), &t, &why), JWT_NO_KEY,
	    "of no name, what no key has signed may be of a new one");
	free(text);
}

static void
test_bad(void)
{
	static const struct {
		const char *name;
		enum jwt_result r;
		const char *what;
	} bad[] = {
		{ "rotated", JWT_NO_KEY, "a key that is not there (yet)" },
		{ "forged", JWT_FORGED, "another has signed it in its name" },
		{ "small", JWT_NO_KEY, "RSA with 1024 bits" },
		{ "enc", JWT_NO_KEY, "a key that is for encryption" },
		{ "p384", JWT_NO_KEY, "another curve" },
		{ "ps256", JWT_NO_KEY, "an algorithm that is not taken" },
		{ "rs256-of-ps256", JWT_NO_KEY, "a key that says another algorithm" },
		{ "none", JWT_NO_KEY, "alg none" },
		{ "crit", JWT_MALFORMED, "an extension" },
		{ "hs256", JWT_NO_KEY, "HS256 by the public key" },
		{ "hs256-oct", JWT_NO_KEY, "HS256 by a shared key of the set" },
		{ "es256-zero", JWT_FORGED, "r and s are 0" },
		{ "twice", JWT_MALFORMED, "a claim twice" },
		{ "no-object", JWT_MALFORMED, "claims that are no object" },
	};
	struct jwt t;

	for (size_t i = 0; i < NELEM(bad); i++) {
		eq(opened(bad[i].name, &t), bad[i].r, "%s", bad[i].what);
		ok(!t.claims && !t.header, "of which nothing is left");
	}
}

/* No octet of it can be another. */
static void
test_bent(void)
{
	char *text = fixture("es256");
	size_t n = strlen(text), bent = 0;
	const char *why;
	struct jwt t;

	for (size_t i = 0; i < n; i++) {
		char was = text[i];

		for (const char *c = "Ab0_.= "; *c; c++) {
			if (*c == was)
				continue;
			text[i] = *c;
			bent += jwt_open(keys, slice(text, n), &t, &why) == JWT_OK;
			jwt_free(&t);
		}
		text[i] = was;
	}
	eq(bent, 0, "not one octet may be another");
	for (size_t i = 0; i < n; i++) {
		bent += jwt_open(keys, slice(text, i), &t, &why) == JWT_OK;
		jwt_free(&t);
	}
	eq(bent, 0, "nor may it be cut");
	free(text);
}

static const char *
judged(const char *claims, const struct jwt_rules *rules)
{
	static const struct json_bounds bounds = { 4096, 8, 100 };
	struct json_t *v = NULL;
	const char *why;
	int64_t expires;

	if (json_read(slice_str(claims), &bounds, &v, &why) < 0)
		return "no JSON";
	why = jwt_judge(v, rules, &expires);
	json_free(&v);
	return why ? why : "good";
}

static void
test_claims(void)
{
	char *audiences[] = { (char[]){ "mail" }, (char[]){ "smtp" }, NULL };
	struct jwt_rules r = { .issuer = S("https://op"),
		.audiences = audiences,
		.now = 1000,
		.skew_s = 60,
		.expires = true };
	struct jwt t;
	int64_t expires;

#define CLAIMS(more) "{\"iss\":\"https://op\",\"aud\":\"mail\"" more "}"
	is(judged(CLAIMS(",\"exp\":2000,\"nbf\":900,\"iat\":900"), &r), "good", "claims");
	is(judged(CLAIMS(",\"exp\":941"), &r), "good", "within the skew");
	is(judged(CLAIMS(",\"exp\":940"), &r), "it has expired", "and not within it");
	is(judged(CLAIMS(""), &r), "it does not say when it expires", "for ever is too long");
	is(judged(CLAIMS(",\"exp\":\"2000\""), &r), "it does not say when it expires", "a text");
	is(judged(CLAIMS(",\"exp\":-1"), &r), "it does not say when it expires", "before 1970");
	is(judged(CLAIMS(",\"exp\":1e300"), &r), "it does not say when it expires", "beyond time");
	is(judged(CLAIMS(",\"exp\":2000,\"nbf\":1061"), &r), "it is not good yet", "nbf");
	is(judged(CLAIMS(",\"exp\":2000,\"nbf\":1060"), &r), "good", "nbf within the skew");
	is(judged(CLAIMS(",\"exp\":2000,\"iat\":1061"), &r), "it was issued in the future", "iat");
	is(judged("{\"iss\":\"https://op/\",\"aud\":\"mail\",\"exp\":2000}", &r),
	    "it is of another issuer", "an issuer is compared to the letter");
	is(judged("{\"aud\":\"mail\",\"exp\":2000}", &r), "it is of another issuer", "none");
	is(judged("{\"iss\":\"https://op\",\"aud\":[\"x\",\"smtp\"],\"exp\":2000}", &r), "good",
	    "one of several audiences");
	is(judged("{\"iss\":\"https://op\",\"aud\":[\"x\",[\"mail\"]],\"exp\":2000}", &r),
	    "it is for another audience", "none of these");
	is(judged("{\"iss\":\"https://op\",\"aud\":\"mail smtp\",\"exp\":2000}", &r),
	    "it is for another audience", "it is no list");
	is(judged("{\"iss\":\"https://op\",\"exp\":2000}", &r), "it is for another audience",
	    "for nobody");
	eq(opened("real", &t), JWT_OK, "a fraction of a second");
	ok(!jwt_judge(t.claims, &(struct jwt_rules){ .now = 1000, .skew_s = 0 }, &expires),
	    "is a time");
	eq(expires, 4102444800, "without it");
	jwt_free(&t);
}

int
main(void)
{
	test_keys();
	test_good();
	test_nameless();
	test_bad();
	test_bent();
	test_claims();
	jwt_keys_free(&keys);
	return done();
}

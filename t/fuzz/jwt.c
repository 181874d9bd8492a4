/* Fuzz: a token, and a set of keys: nothing that was made up is signed by a key that nobody has, what is
 * refused leaves nothing, and reading either never fails in another way. */
#include "base/must.h"
#include "jwt/jwt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Of a key whose other half is nowhere. */
static const char set[] = "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":"
			  "\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"},"
			  "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"ec\",\"x\":"
			  "\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
			  "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}";

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct jwt_keys *known;
	struct slice in = { (const char *)data, n };
	struct jwt_keys *k;
	const char *why = NULL;
	struct jwt t;

	if (!known)
		known = jwt_keys_parse(slice(set, sizeof(set) - 1), &why);
	must(jwt_keys_count(known) == 2);
	must(jwt_open(known, in, &t, &why) != JWT_OK && why && !t.claims && !t.header);
	k = jwt_keys_parse(in, &why);
	must(k ? jwt_keys_count(k) > 0 && jwt_keys_count(k) <= JWT_KEYS_MOST : !!why);
	jwt_keys_free(&k);
	return 0;
}

/* sasl/verifier.c: see verifier.h.
 *
 * Owns nothing.  libcrypto does the hashing; it fails for want of memory alone.  Must stay true: SaltedPassword, which
 * is as good as the password, is wiped; and no octet of a text that is not wholly a verifier is used. */
#include "sasl/verifier.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/base64.h"
#include "base/must.h"
#include "base/random.h"
#include "base/saslprep.h"
#include "base/secret.h"

#define SCHEME "SCRAM-SHA-256$"

static void
verifier_hmac(const uint8_t *key, size_t nkey, struct slice text, uint8_t out[SASL_SHA])
{
	unsigned n = 0;

	must(HMAC(EVP_sha256(), key, (int)nkey, (const unsigned char *)text.p, text.n, out, &n) &&
	    n == SASL_SHA);
}

/* RFC 5802 3: SaltedPassword, then ClientKey, of which StoredKey is the hash, and ServerKey. */
int
sasl_verifier_make(struct sasl_verifier *v, struct slice password)
{
	uint8_t salted[SASL_SHA], client[SASL_SHA];
	struct buf b = { 0 };
	unsigned n = 0;
	int rc;

	rc = saslprep(&b, password);
	if (rc == 0) {
		must(PKCS5_PBKDF2_HMAC(b.p, (int)b.n, v->salt, (int)v->nsalt, (int)v->rounds,
			 EVP_sha256(), SASL_SHA, salted) == 1);
		verifier_hmac(salted, sizeof(salted), S("Client Key"), client);
		verifier_hmac(salted, sizeof(salted), S("Server Key"), v->server);
		must(EVP_Digest(client, sizeof(client), v->stored, &n, EVP_sha256(), NULL) == 1);
		secret_clear(salted, sizeof(salted));
		secret_clear(client, sizeof(client));
	}
	secret_clear(b.p, b.n);
	buf_fini(&b);
	return rc;
}

void
sasl_verifier_write(struct buf *b, const struct sasl_verifier *v)
{
	buf_printf(b, SCHEME "%u:", v->rounds);
	base64_write(b, slice((const char *)v->salt, v->nsalt));
	buf_char(b, '$');
	base64_write(b, slice((const char *)v->stored, SASL_SHA));
	buf_char(b, ':');
	base64_write(b, slice((const char *)v->server, SASL_SHA));
}

/* Base64 of `least` to `most` octets. */
static bool
verifier_octets(struct slice text, uint8_t *to, size_t least, size_t most, size_t *n)
{
	struct buf b = { 0 };
	bool good =
	    text.n <= most * 2 && base64_parse(&b, text) == 0 && b.n >= least && b.n <= most;

	if (good) {
		memcpy(to, b.p, b.n);
		*n = b.n;
	}
	secret_clear(b.p, b.n);
	buf_fini(&b);
	return good;
}

int
sasl_verifier_parse(struct slice text, struct sasl_verifier *v)
{
	struct slice rounds, salt, stored;
	uint64_t number;
	size_t n;

	if (!slice_istarts(text, S(SCHEME)))
		return -EBADMSG;
	text = slice_from(text, strlen(SCHEME));
	if (!slice_cut(&text, ':', &rounds) || !slice_cut(&text, '$', &salt) ||
	    !slice_cut(&text, ':', &stored) || slice_u64(rounds, SASL_ROUNDS_MAX, &number) < 0 ||
	    number < SASL_ROUNDS_MIN)
		return -EBADMSG;
	v->rounds = (uint32_t)number;
	if (!verifier_octets(salt, v->salt, 1, SASL_SALT_MAX, &v->nsalt) ||
	    !verifier_octets(stored, v->stored, SASL_SHA, SASL_SHA, &n) ||
	    !verifier_octets(text, v->server, SASL_SHA, SASL_SHA, &n))
		return -EBADMSG;
	return 0;
}

void
sasl_verifier_salt(struct sasl_verifier *v, struct slice key, struct slice name, uint32_t rounds)
{
	struct buf b = { 0 };
	uint8_t out[SASL_SHA];

	buf_lit(&b, "tiermail salt:");
	for (size_t i = 0; i < name.n; i++)
		buf_char(&b, ascii_lower(name.p[i]));
	verifier_hmac((const uint8_t *)key.p, key.n, buf_get(&b), out);
	buf_fini(&b);
	*v = (struct sasl_verifier){ .rounds = rounds, .nsalt = SASL_SALT };
	memcpy(v->salt, out, SASL_SALT);
	random_bytes(v->stored, sizeof(v->stored));
	random_bytes(v->server, sizeof(v->server));
}

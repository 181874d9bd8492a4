/* sasl/scram.c: SCRAM-SHA-256 (RFC 5802, RFC 7677), the server's side; sasl.h has the steps.
 *
 *	C: n,,n=user,r=CNONCE			binding "n,,", client-first-message-bare
 *	S: r=CNONCE SNONCE,s=SALT,i=ROUNDS	server-first-message
 *	C: c=biws,r=CNONCE SNONCE,p=PROOF	client-final-message
 *	S: v=SIGNATURE				server-final-message
 *	C:					(empty: no protocol of ours sends data with its OK)
 *
 * Owns nothing: what is kept between the steps lies in the caller's arena.  Can fail: what a client sends; each is
 * malformed, and no guess.  Must stay true: what is hashed is what was sent, octet by octet; a nonce is taken once,
 * for each exchange has one of ours; nothing of a verifier but its salt and rounds is said before the proof is right,
 * and the comparison takes as long wherever it differs. */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/base64.h"
#include "base/must.h"
#include "base/random.h"
#include "base/secret.h"
#include "base/utf8.h"
#include "sasl/sasl-impl.h"

#define SCRAM_NONCE_MAX 256  /* octets of the client's */
#define SCRAM_NONCE     18   /* random octets of ours: 24 in base64 */
#define SCRAM_TEXT_MAX  2048 /* octets of a message */

enum { SCRAM_NOTHING, SCRAM_FIRST, SCRAM_FINAL, SCRAM_OVER }; /* sasl.step: what has come */

/* "x=value" off the front of *s; false: it is another attribute. */
static bool
scram_attribute(struct slice *s, char name, struct slice *value)
{
	if (s->n < 2 || s->p[0] != name || s->p[1] != '=' || !slice_cut(s, ',', value))
		return false;
	*value = slice_from(*value, 2);
	return true;
}

bool
sasl_scram_name(struct arena *a, struct slice text, struct slice *name)
{
	char *to = arena_new(a, text.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] != '=') {
			to[n++] = text.p[i];
			continue;
		}
		if (slice_eq(slice_sub(text, i, 3), S("=2C")))
			to[n++] = ',';
		else if (slice_eq(slice_sub(text, i, 3), S("=3D")))
			to[n++] = '=';
		else
			return false;
		i += 2;
	}
	*name = slice(to, n);
	return n > 0 && n <= SASL_NAME_MAX && utf8_valid(*name) && !memchr(to, '\0', n);
}

static bool
scram_printable(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 0x21 || s.p[i] > 0x7e)
			return false;
	return s.n > 0;
}

/* gs2-header client-first-message-bare */
static enum sasl_result
scram_client_first(struct sasl *s, struct arena *a, struct slice in, const char **why)
{
	struct slice text = arena_slice(a, in), rest = text, part, name, nonce;

	*why = "channels cannot be bound here";
	if (slice_starts(rest, S("p=")))
		return SASL_BAD;
	*why = "expected n,,n=user,r=nonce";
	if (text.n > SCRAM_TEXT_MAX || !slice_cut(&rest, ',', &part) ||
	    (!slice_eq(part, S("n")) && !slice_eq(part, S("y"))))
		return SASL_BAD;
	if (scram_attribute(&rest, 'a', &part)) {
		if (!sasl_scram_name(a, part, &s->authzid))
			return SASL_BAD;
	} else if (!slice_cut(&rest, ',', &part) || part.n > 0) {
		return SASL_BAD;
	}
	s->scram.binding = slice_sub(text, 0, text.n - rest.n);
	s->scram.client_first = rest;
	/* RFC 5802 5.1: "m=" in front is an extension that must not be passed over. */
	if (!scram_attribute(&rest, 'n', &name) || !sasl_scram_name(a, name, &s->authcid) ||
	    !scram_attribute(&rest, 'r', &nonce) || !scram_printable(nonce) ||
	    nonce.n > SCRAM_NONCE_MAX)
		return SASL_BAD;
	s->scram.nonce = nonce;
	s->step = SCRAM_FIRST;
	return SASL_NAME;
}

void
sasl_scram_first(struct sasl *s, struct arena *a, const struct sasl_verifier *v,
    struct slice *challenge)
{
	uint8_t nonce[SCRAM_NONCE];
	struct buf b = { 0 };

	must(s->step == SCRAM_FIRST);
	random_bytes(nonce, sizeof(nonce));
	buf_printf(&b, "r=" SFMT, SARG(s->scram.nonce));
	base64_write(&b, slice((const char *)nonce, sizeof(nonce)));
	s->scram.nonce = arena_slice(a, slice_from(buf_get(&b), 2));
	buf_lit(&b, ",s=");
	base64_write(&b, slice((const char *)v->salt, v->nsalt));
	buf_printf(&b, ",i=%u", v->rounds);
	s->scram.server_first = *challenge = arena_slice(a, buf_get(&b));
	buf_fini(&b);
}

/* client-final-message: the proof is the last attribute. */
static enum sasl_result
scram_client_final(struct sasl *s, struct arena *a, struct slice in, const char **why)
{
	struct slice text = arena_slice(a, in), rest = text, binding, nonce, part = S("");
	struct buf b = { 0 };
	size_t proof;
	bool good;

	*why = "expected c=binding,r=nonce,p=proof";
	if (text.n > SCRAM_TEXT_MAX || !scram_attribute(&rest, 'c', &binding) ||
	    !scram_attribute(&rest, 'r', &nonce))
		return SASL_BAD;
	while (!scram_attribute(&rest, 'p', &part))
		if (!slice_cut(&rest, ',', &part))
			return SASL_BAD;
	proof = text.n - part.n - strlen(",p=");
	if (rest.n > 0 || part.p + part.n != text.p + text.n)
		return SASL_BAD;
	*why = "that is the nonce of another exchange";
	if (!slice_eq(nonce, s->scram.nonce))
		return SASL_BAD;
	*why = "the binding is not what the exchange began with";
	good = base64_parse(&b, binding) == 0 && slice_eq(buf_get(&b), s->scram.binding);
	buf_clear(&b);
	if (good) {
		*why = "the proof is not 32 octets in base64";
		good = base64_parse(&b, part) == 0 && b.n == SASL_SHA;
	}
	if (good) {
		s->scram.without_proof = slice_sub(text, 0, proof);
		s->scram.proof = arena_slice(a, buf_get(&b));
		s->step = SCRAM_FINAL;
	}
	secret_clear(b.p, b.n);
	buf_fini(&b);
	return good ? SASL_PROOF : SASL_BAD;
}

static void
scram_sign(const uint8_t key[SASL_SHA], struct slice text, uint8_t out[SASL_SHA])
{
	unsigned n = 0;

	must(HMAC(EVP_sha256(), key, SASL_SHA, (const unsigned char *)text.p, text.n, out, &n) &&
	    n == SASL_SHA);
}

bool
sasl_scram_check(struct sasl *s, struct arena *a, const struct sasl_verifier *v,
    struct slice *challenge)
{
	uint8_t key[SASL_SHA], hash[SASL_SHA];
	struct buf b = { 0 };
	struct slice text;
	unsigned n = 0;
	bool good;

	must(s->step == SCRAM_FINAL && s->scram.proof.n == SASL_SHA);
	/* The salt that he was told: of another verifier the proof would be wrong, and of no guess. */
	buf_printf(&b, "r=" SFMT ",s=", SARG(s->scram.nonce));
	base64_write(&b, slice((const char *)v->salt, v->nsalt));
	buf_printf(&b, ",i=%u", v->rounds);
	good = slice_eq(buf_get(&b), s->scram.server_first);
	buf_clear(&b);
	/* AuthMessage: ClientKey = proof XOR HMAC(StoredKey, AuthMessage).		RFC 5802 3 */
	buf_slice(&b, s->scram.client_first);
	buf_char(&b, ',');
	buf_slice(&b, s->scram.server_first);
	buf_char(&b, ',');
	buf_slice(&b, s->scram.without_proof);
	text = arena_slice(a, buf_get(&b));
	scram_sign(v->stored, text, key);
	for (size_t i = 0; i < SASL_SHA; i++)
		key[i] ^= (uint8_t)s->scram.proof.p[i];
	must(EVP_Digest(key, sizeof(key), hash, &n, EVP_sha256(), NULL) == 1);
	good &= CRYPTO_memcmp(hash, v->stored, SASL_SHA) == 0;
	secret_clear(key, sizeof(key));
	if (good) {
		scram_sign(v->server, text, hash);
		buf_clear(&b);
		buf_lit(&b, "v=");
		base64_write(&b, slice((const char *)hash, sizeof(hash)));
		*challenge = arena_slice(a, buf_get(&b));
		s->step = SCRAM_OVER;
	}
	buf_fini(&b);
	return good;
}

enum sasl_result
sasl_scram_step(struct sasl *s, struct arena *a, const struct slice *response,
    struct slice *challenge, const char **why)
{
	*challenge = S("");
	switch (s->step) {
	case SCRAM_NOTHING:
		return response ? scram_client_first(s, a, *response, why) : SASL_CHALLENGE;
	case SCRAM_FIRST: return response ? scram_client_final(s, a, *response, why) : SASL_BAD;
	case SCRAM_OVER: return response && response->n == 0 ? SASL_PROVED : SASL_BAD;
	default: return SASL_BAD;
	}
}

/* login/code.c: one-time codes, application passwords, recovery codes; see code.h.
 *
 * Owns nothing; called by factor.c for what somebody gives, and by lib/admin for what is made.  Can fail: what
 * was given is none of these.  Must stay true: secrets on this stack are wiped, and what is compared is compared
 * to its end.  Apart from factor.c, which asks the directory, so that the numbers of the RFCs can be tested. */
#include "login/code.h"

#include <errno.h>
#include <stdio.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/must.h"
#include "base/random.h"
#include "base/secret.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"; /* RFC 4648 6 */

/* ---- base32 -------------------------------------------------------------------------------- */

void
login_base32_write(struct buf *b, const uint8_t *p, size_t n)
{
	unsigned bits = 0, have = 0;

	for (size_t i = 0; i < n; i++) {
		bits = bits << 8 | p[i];
		for (have += 8; have >= 5; have -= 5)
			buf_char(b, alphabet[bits >> (have - 5) & 31]);
	}
	if (have)
		buf_char(b, alphabet[bits << (5 - have) & 31]);
}

static int
base32_value(char c)
{
	const char *at = c ? strchr(alphabet, ascii_upper(c)) : NULL;

	return at ? (int)(at - alphabet) : -1;
}

int
login_base32_parse(struct slice text, uint8_t *out, size_t room)
{
	unsigned bits = 0, have = 0;
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		int v = base32_value(text.p[i]);

		if (text.p[i] == ' ')
			continue;
		if (v < 0)
			return -EBADMSG;
		bits = bits << 5 | (unsigned)v;
		have += 5;
		if (have < 8)
			continue;
		if (n == room)
			return -EBADMSG;
		have -= 8;
		out[n++] = (uint8_t)(bits >> have);
	}
	return (int)n;
}

/* ---- codes by time ---------------------------------------------------------------------------- */

void
login_totp_make(char text[LOGIN_TOTP_TEXT + 1])
{
	uint8_t secret[LOGIN_TOTP_SECRET];
	struct buf b = { 0 };

	random_bytes(secret, sizeof(secret));
	buf_grow(&b, LOGIN_TOTP_TEXT + 1);
	login_base32_write(&b, secret, sizeof(secret));
	slice_cstr(buf_get(&b), text, LOGIN_TOTP_TEXT + 1);
	secret_clear(b.p, b.n);
	secret_clear(secret, sizeof(secret));
	buf_fini(&b);
}

/* RFC 4226 5.3; SHA-1, which is what authenticators know. */
void
login_totp_code(const uint8_t *secret, size_t n, uint64_t step, char code[LOGIN_TOTP_DIGITS + 1])
{
	unsigned char counter[8], mac[EVP_MAX_MD_SIZE];
	unsigned len = 0, at;
	uint32_t v;

	for (size_t i = 0; i < sizeof(counter); i++)
		counter[i] = (unsigned char)(step >> (8 * (7 - i)));
	must(HMAC(EVP_sha1(), secret, (int)n, counter, sizeof(counter), mac, &len) && len == 20);
	at = mac[19] & 15;
	v = ((uint32_t)mac[at] << 24 | (uint32_t)mac[at + 1] << 16 | (uint32_t)mac[at + 2] << 8 |
		mac[at + 3]) &
	    0x7fffffff;
	for (int i = LOGIN_TOTP_DIGITS; i-- > 0; v /= 10)
		code[i] = (char)('0' + v % 10);
	code[LOGIN_TOTP_DIGITS] = '\0';
}

/* The characters but for blanks and hyphens; false: another number of them than n. */
static bool
code_bare(struct slice text, char *out, size_t n)
{
	size_t have = 0;

	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == ' ' || text.p[i] == '-')
			continue;
		if (have == n)
			return false;
		out[have++] = ascii_lower(text.p[i]);
	}
	out[have] = '\0';
	return have == n;
}

bool
login_totp_check(struct slice secret, struct slice code, int64_t now, uint64_t after,
    uint64_t *step)
{
	uint8_t key[64];
	char given[LOGIN_TOTP_DIGITS + 1], right[LOGIN_TOTP_DIGITS + 1];
	uint64_t middle = now < 0 ? 0 : (uint64_t)now / LOGIN_TOTP_SECONDS;
	int n = login_base32_parse(secret, key, sizeof(key));
	bool found = false;

	/* An empty key, which anybody has, is none. */
	if (n >= 10 && middle > 0 && code_bare(code, given, LOGIN_TOTP_DIGITS)) {
		for (uint64_t s = middle - 1; s <= middle + 1; s++) {
			login_totp_code(key, (size_t)n, s, right);
			if (CRYPTO_memcmp(given, right, LOGIN_TOTP_DIGITS) != 0 || s <= after ||
			    found)
				continue;
			found = true;
			*step = s;
		}
	}
	secret_clear(key, sizeof(key));
	secret_clear(right, sizeof(right));
	return found;
}

/* ---- words ---------------------------------------------------------------------------------------- */

static const struct {
	const char
	    *name; /* in front of what is hashed: no digest of one kind is one of the other */
	size_t n;  /* characters */
	size_t id; /* of these */
} words[] = {
	[LOGIN_WORD_APP] = { "tiermail app password", LOGIN_WORD_MOST, LOGIN_WORD_ID },
	[LOGIN_WORD_RECOVERY] = { "tiermail recovery code", 16, 0 },
};

bool
login_word_parse(enum login_word_kind kind, struct slice text, struct login_word *w)
{
	char bare[LOGIN_WORD_MOST + 1], hashed[64];
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	int n;

	if (!code_bare(text, bare, words[kind].n))
		return false;
	for (size_t i = 0; i < words[kind].n; i++)
		if (base32_value(bare[i]) < 0)
			return false;
	memcpy(w->id, bare, words[kind].id);
	w->id[words[kind].id] = '\0';
	n = snprintf(hashed, sizeof(hashed), "%s:%s", words[kind].name, bare);
	must(n > 0 && (size_t)n < sizeof(hashed) &&
	    EVP_Digest(hashed, (size_t)n, sum, &len, EVP_sha256(), NULL) &&
	    len * 2 == LOGIN_DIGEST);
	for (unsigned i = 0; i < len; i++)
		snprintf(w->digest + i * 2, 3, "%02x", sum[i]);
	secret_clear(bare, sizeof(bare));
	secret_clear(hashed, sizeof(hashed));
	return true;
}

void
login_word_make(enum login_word_kind kind, char text[LOGIN_WORD_TEXT], struct login_word *w)
{
	uint8_t bytes[LOGIN_WORD_MOST];
	size_t at = 0;

	random_bytes(bytes, sizeof(bytes));
	for (size_t i = 0; i < words[kind].n; i++) {
		if (i && i % 4 == 0)
			text[at++] = '-';
		text[at++] = ascii_lower(alphabet[bytes[i] & 31]);
	}
	text[at] = '\0';
	secret_clear(bytes, sizeof(bytes));
	must(login_word_parse(kind, slice(text, at), w));
}

bool
login_digest_same(struct slice digest, const struct login_word *w)
{
	return digest.n == LOGIN_DIGEST && CRYPTO_memcmp(digest.p, w->digest, LOGIN_DIGEST) == 0;
}

/* web/seal.c: see seal.h.
 *
 * Owns the keys in memory.  Called for each request with a cookie, so nothing is made that is not needed: one
 * context of libcrypto a call.  Reading can fail by the file, opening by what strangers send; sealing cannot.
 * Must stay true: a nonce is random and never used twice, and nothing of a text is given out before its tag was
 * found right. */
#include "web/seal.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>

#include "base/base64.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/random.h"
#include "base/secret.h"

#define SEAL_VERSION 1
#define SEAL_KEY     32
#define SEAL_ID      4
#define SEAL_NONCE   12
#define SEAL_TAG     16
#define SEAL_HEAD    (1 + SEAL_ID + SEAL_NONCE)

struct seal_key {
	unsigned char key[SEAL_KEY], id[SEAL_ID];
};
struct web_keys {
	struct seal_key keys[WEB_SEAL_KEYS];
	size_t n;
};

/* ---- digests ----------------------------------------------------------------------------------- */

static void
seal_sha256(struct slice s, unsigned char sum[32])
{
	unsigned int n = 0;

	must(EVP_Digest(s.p, s.n, sum, &n, EVP_sha256(), NULL) == 1 && n == 32);
}

void
web_digest(struct slice s, size_t n, struct buf *b)
{
	unsigned char sum[32];

	seal_sha256(s, sum);
	buf_hex(b, sum, n < sizeof(sum) ? n : sizeof(sum));
}

/* ---- keys ------------------------------------------------------------------------------------------ */

static bool
seal_hex(struct slice line, unsigned char key[SEAL_KEY])
{
	if (line.n != (size_t)2 * SEAL_KEY)
		return false;
	for (size_t i = 0; i < SEAL_KEY; i++) {
		int hi = ascii_hex(line.p[2 * i]), lo = ascii_hex(line.p[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		key[i] = (unsigned char)(hi << 4 | lo);
	}
	return true;
}

/* NULL, or what is wrong with the line. */
static const char *
seal_take(struct web_keys *k, struct slice line)
{
	struct seal_key *key = &k->keys[k->n];
	unsigned char sum[32];

	if (line.n == 0 || line.p[0] == '#')
		return NULL;
	if (k->n == WEB_SEAL_KEYS)
		return "too many keys: take the oldest away";
	if (!seal_hex(line, key->key))
		return "not 64 hexadecimal digits";
	seal_sha256(slice((const char *)key->key, SEAL_KEY), sum);
	memcpy(key->id, sum, SEAL_ID);
	k->n++;
	return NULL;
}

static char *
seal_read(struct web_keys *k, const char *path, FILE *f)
{
	char line[256];
	unsigned at = 0;
	char *why = NULL;

	while (!why && fgets(line, sizeof(line), f)) {
		const char *bad = seal_take(k, slice_trim(slice_str(line)));

		at++;
		if (bad)
			why = mem_printf("%s:%u: %s", path, at, bad);
	}
	if (!why && ferror(f))
		why = mem_printf("%s: %s", path, strerror(errno));
	if (!why && k->n == 0)
		why = mem_printf("%s: has no key; openssl rand -hex 32 makes one", path);
	secret_clear(line, sizeof(line));
	return why;
}

struct web_keys *
web_keys_read(const char *path, char **why)
{
	struct web_keys *k;
	FILE *f = fopen(path, "re");

	if (!f) {
		*why = mem_printf("%s: %s", path, strerror(errno));
		return NULL;
	}
	(void)setvbuf(f, NULL, _IONBF, 0); /* nothing is left in stdio's memory */
	k = mem_new(sizeof(*k));
	*why = seal_read(k, path, f);
	(void)fclose(f);
	if (*why)
		web_keys_free(&k);
	return k;
}

void
web_keys_free(struct web_keys **k)
{
	if (*k)
		secret_clear(*k, sizeof(**k));
	mem_free(k);
}

size_t
web_keys_count(const struct web_keys *k)
{
	return k->n;
}

/* ---- sealing ----------------------------------------------------------------------------------------- */

void
web_seal(const struct web_keys *k, const char *label, struct slice text, struct buf *b)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	size_t n = SEAL_HEAD + text.n + SEAL_TAG;
	unsigned char *raw = mem_new(n);
	int got = 0;

	raw[0] = SEAL_VERSION;
	memcpy(raw + 1, k->keys[0].id, SEAL_ID);
	random_bytes(raw + 1 + SEAL_ID, SEAL_NONCE);
	must(c &&
	    EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, k->keys[0].key, raw + 1 + SEAL_ID) == 1);
	must(EVP_EncryptUpdate(c, NULL, &got, raw, 1 + SEAL_ID) == 1 &&
	    EVP_EncryptUpdate(c, NULL, &got, (const unsigned char *)label, (int)strlen(label)) ==
		1);
	must(EVP_EncryptUpdate(c, raw + SEAL_HEAD, &got, (const unsigned char *)text.p,
		 (int)text.n) == 1);
	must(EVP_EncryptFinal_ex(c, raw + SEAL_HEAD + got, &got) == 1);
	must(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, SEAL_TAG, raw + SEAL_HEAD + text.n) == 1);
	EVP_CIPHER_CTX_free(c);
	base64_url_write(b, slice((const char *)raw, n));
	mem_free(&raw);
}

/* To `out`, of as many octets as the text has. */
static bool
seal_open(const struct seal_key *key, const char *label, struct slice raw, unsigned char *out)
{
	const unsigned char *p = (const unsigned char *)raw.p;
	int n = (int)(raw.n - SEAL_HEAD - SEAL_TAG), got = 0;
	unsigned char tag[SEAL_TAG];
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	bool good;

	memcpy(tag, p + raw.n - SEAL_TAG, SEAL_TAG);
	must(c && EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, key->key, p + 1 + SEAL_ID) == 1);
	must(EVP_DecryptUpdate(c, NULL, &got, p, 1 + SEAL_ID) == 1 &&
	    EVP_DecryptUpdate(c, NULL, &got, (const unsigned char *)label, (int)strlen(label)) ==
		1);
	must(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, SEAL_TAG, tag) == 1);
	good = EVP_DecryptUpdate(c, out, &got, p + SEAL_HEAD, n) == 1 &&
	    EVP_DecryptFinal_ex(c, out + got, &got) == 1;
	EVP_CIPHER_CTX_free(c);
	return good;
}

static bool
seal_unpack(const struct web_keys *k, const char *label, struct slice raw, struct buf *b, bool *old)
{
	size_t n = raw.n - SEAL_HEAD - SEAL_TAG;
	unsigned char *text = mem_new(n + 1);
	bool good = false;

	for (size_t i = 0; i < k->n && !good; i++) {
		if (memcmp(k->keys[i].id, raw.p + 1, SEAL_ID) != 0)
			continue;
		good = seal_open(&k->keys[i], label, raw, text);
		*old = i > 0;
	}
	if (good)
		buf_add(b, text, n);
	secret_clear(text, n);
	mem_free(&text);
	return good;
}

bool
web_open(const struct web_keys *k, const char *label, struct slice token, struct buf *b, bool *old)
{
	struct buf raw = { 0 };
	bool good = false;

	if (token.n > 0 && token.n <= WEB_SEAL_MOST && base64_url_parse(&raw, token) == 0 &&
	    raw.n >= SEAL_HEAD + SEAL_TAG && raw.p[0] == SEAL_VERSION)
		good = seal_unpack(k, label, buf_get(&raw), b, old);
	buf_fini(&raw);
	return good;
}

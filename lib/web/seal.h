/* web/seal.h: small texts that come back from strangers unread and unchanged: sealed by AES-256-GCM (NIST SP
 * 800-38D), with keys that all hosts of a service share.
 *
 * The file of keys has one a line, 64 hexadecimal digits, the newest first: that one seals, all open.  So a key
 * is changed without anybody being logged out: put a new line in front on every host, and when all hosts have
 * read it and what the old one sealed is over, take the old line away.  A key seals some 2^32 texts at most
 * before a nonce might repeat: at a hundred a second that is a year.
 *
 *	token = base64url( version 1 | first 4 octets of SHA-256(key) | nonce 12 | text, encrypted | tag 16 )
 *
 * What the text is for (`label`) is authenticated too, so that no token can be used in another's place.  A
 * reader that does not know the version says that it cannot open it. */
#ifndef WEB_SEAL_H
#define WEB_SEAL_H
#include "base/buf.h"

#define WEB_SEAL_KEYS 8    /* of a file, at most */
#define WEB_SEAL_MOST 4096 /* octets of a token that is looked at */

struct web_keys;
/* NULL with *why (heap). */
struct web_keys *web_keys_read(const char *path, char **why) MUSTCHECK;
void web_keys_free(struct web_keys **k); /* wiped */
size_t web_keys_count(const struct web_keys *k);

/* Appends the token. */
void web_seal(const struct web_keys *k, const char *label, struct slice text, struct buf *b);
/* Appends the text; false when no key opens it.  *old: it was not the newest one, seal it anew. */
bool web_open(const struct web_keys *k, const char *label, struct slice token, struct buf *b,
    bool *old) MUSTCHECK;

/* SHA-256 of `s`, the first `n` octets of it, as hexadecimal digits: for tags of entities. */
void web_digest(struct slice s, size_t n, struct buf *b);
#endif

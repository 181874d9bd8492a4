/* base/kv.h: records of one line, `word key=value key=value ...`, as the queue files and the
 * job protocol use them.
 *
 * Words are separated by single spaces.  In values every byte that is not printable ASCII,
 * and space, `%` and `=`, is written as %HH (two upper-case hexadecimal digits); an empty
 * value is `key=`.  Parsing borrows from the line and leaves values escaped, so that the many
 * which need no decoding cost nothing. */
#ifndef BASE_KV_H
#define BASE_KV_H
#include "base/buf.h"

/* Takes the next `key=value` (or a bare word, then value->p is NULL) off the front of *rest.
 * False at the end. */
bool kv_next(struct slice *rest, struct slice *key, struct slice *value);
/* The (still escaped) value of `key` in `rest`; .p is NULL when it is absent. */
struct slice kv_find(struct slice rest, const char *key);

/* Append ` key=value`. */
void kv_put(struct buf *b, const char *key, struct slice value); /* escapes */
void kv_put_raw(struct buf *b, const char *key, struct slice escaped);
void kv_put_u64(struct buf *b, const char *key, uint64_t v);
void kv_put_i64(struct buf *b, const char *key, int64_t v);

/* Appends the decoded value.  0, or -EBADMSG when a % is not followed by two digits. */
int kv_decode(struct buf *b, struct slice value) MUSTCHECK;
/* Decodes into dst (size cap) with a NUL.  0, -EBADMSG (also for a NUL inside), or -ERANGE when
 * it does not fit. */
int kv_cstr(struct slice value, char *dst, size_t cap) MUSTCHECK;
bool kv_is_plain(struct slice value); /* nothing to decode */
#endif

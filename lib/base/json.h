/* base/json.h: writing JSON (RFC 8259), for the tools' --json.  Only what a flat writer needs:
 * the caller puts brackets and commas. */
#ifndef BASE_JSON_H
#define BASE_JSON_H
#include "base/buf.h"

/* Appends "..." with escapes; bytes that are no UTF-8 become U+FFFD. */
void json_str(struct buf *b, struct slice s);
/* Appends `"key":`, after a comma unless an opening bracket stands before it. */
void json_key(struct buf *b, const char *key);
void json_put_str(struct buf *b, const char *key, struct slice value);
void json_put_cstr(struct buf *b, const char *key, const char *value); /* NULL: nothing */
void json_put_i64(struct buf *b, const char *key, int64_t value);
#endif

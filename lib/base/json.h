/* base/json.h: writing JSON (RFC 8259): text that is appended to and never looked at again.  Brackets are
 * the caller's; commas are put where the text before says that one is missing.  Reading: json/json.h. */
#ifndef BASE_JSON_H
#define BASE_JSON_H
#include "base/buf.h"

/* Appends "..." with escapes; bytes that are no UTF-8 become U+FFFD. */
void json_str(struct buf *b, struct slice s);
/* The same without the quotes, for a string that is written in pieces, each of whole characters. */
void json_chars(struct buf *b, struct slice s);
/* Appends `"key":`, after a comma unless an opening bracket stands before it. */
void json_key(struct buf *b, const char *key);
void json_put_str(struct buf *b, const char *key, struct slice value);
void json_put_cstr(struct buf *b, const char *key, const char *value); /* NULL: nothing */
void json_put_i64(struct buf *b, const char *key, int64_t value);
void json_put_bool(struct buf *b, const char *key, bool value);
void json_put_null(struct buf *b, const char *key);
/* `"key":{` and `"key":[`: the caller closes it. */
void json_put_object(struct buf *b, const char *key);
void json_put_array(struct buf *b, const char *key);
/* "2026-11-30T18:30:27Z": a UTCDate (RFC 8620 1.4). */
void json_put_utc(struct buf *b, const char *key, int64_t at);
/* The same for a name that is not ours. */
void json_member(struct buf *b, struct slice key);
/* Before an element of an array: a comma, unless an opening bracket or a colon stands before it. */
void json_element(struct buf *b);
/* Appends the date alone, in quotes. */
void json_utc(struct buf *b, int64_t at);
#endif

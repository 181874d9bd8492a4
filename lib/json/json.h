/* json/json.h: JSON that others have written (RFC 8259), as I-JSON wants it (RFC 7493), and the way to it
 * by pointers (RFC 6901).
 *
 * jansson parses, and lives here only; what it would take and a reader must not is refused before: nesting
 * and values are counted in the octets, so that a text of a few megabytes cannot become a tree of some
 * hundred.  A name that comes twice in an object, octets that are no UTF-8, escapes of half a character and
 * whole numbers that no int64_t holds are errors.  Texts may have NULs in them: they are slices.
 *
 * A value belongs to the tree that json_read made, lives until json_free, and is not changed.  Everything
 * that asks takes NULL for "there is none".  Writing is base/json.h's; json_write puts a value that was
 * read into such a text.  Pure: for languages, services and programs. */
#ifndef JSON_JSON_H
#define JSON_JSON_H
#include "base/json.h"

/* jansson's; nobody looks into it. */
struct json_t;

/* The whole numbers that every reader of JSON knows apart (RFC 7493 2.2). */
#define JSON_INT_MOST ((int64_t)9007199254740991)

struct json_bounds {
	size_t octets;  /* of a text */
	uint32_t depth; /* arrays and objects in each other */
	uint32_t
	    values; /* of all kinds, together with names: a tree takes some 200 octets for each */
};

enum json_kind {
	JSON_KIND_NONE, /* there is no value */
	JSON_KIND_NULL,
	JSON_KIND_BOOL,
	JSON_KIND_INT, /* written without a fraction and an exponent */
	JSON_KIND_REAL,
	JSON_KIND_STR,
	JSON_KIND_ARRAY,
	JSON_KIND_OBJECT
};

/* Any value, also one that is no array or object.  0; -EBADMSG, or -E2BIG over a bound, with *why in English,
 * static until the next call of this thread. */
int json_read(struct slice text, const struct json_bounds *bounds, struct json_t **v,
    const char **why) MUSTCHECK;
/* Frees a tree and forgets it; one that json_read gave, whole. */
void json_free(struct json_t **v);

enum json_kind json_kind(const struct json_t *v);
/* "a number", "an object", ... */
const char *json_kind_name(const struct json_t *v);
static inline bool
json_is(const struct json_t *v, enum json_kind kind)
{
	return json_kind(v) == kind;
}
/* Is there nothing, or null? */
bool json_none(const struct json_t *v);

/* The value when it is of this kind: true and *out; else *out stays. */
bool json_get_bool(const struct json_t *v, bool *out);
/* A whole number from least to most. */
bool json_get_int(const struct json_t *v, int64_t least, int64_t most, int64_t *out);
bool json_get_str(const struct json_t *v, struct slice *out);
/* The text; p NULL when the value is none. */
struct slice json_text(const struct json_t *v);

/* Elements of an array or members of an object; 0 for others. */
size_t json_count(const struct json_t *v);
/* Of an array; NULL beyond its end and for others. */
const struct json_t *json_at(const struct json_t *v, size_t i);
/* Of an object; NULL when it has none of this name. */
const struct json_t *json_find(const struct json_t *v, struct slice name);

/* Members in the order of the text:
 *	struct json_walk w = { 0 };
 *	while (json_next(object, &w)) ... w.name, w.value ... */
struct json_walk {
	struct slice name;
	const struct json_t *value;
	void *place;
	bool began;
};
bool json_next(const struct json_t *v, struct json_walk *w);

/* The same kind and the same content, objects in any order of members. */
bool json_same(const struct json_t *a, const struct json_t *b);

/* Appends the value as a text without blanks. */
void json_write(struct buf *b, const struct json_t *v);

/* Where "/list/0/id" leads (RFC 6901), NULL when nowhere.  "" is the value itself. */
const struct json_t *json_point(const struct json_t *v, struct slice pointer);
/* Takes the next token of a pointer, unescaped, off its front; `token` has room for `pointer->n` octets.
 * 1, 0 at the end, -EBADMSG: it does not begin with a slash, or a tilde is followed by anything but 0 and 1. */
int json_pointer_next(struct slice *pointer, char *token, size_t *n) MUSTCHECK;
/* The token as an array's index: digits, no leading zero, below 2^31. */
bool json_pointer_index(struct slice token, size_t *i);
#endif

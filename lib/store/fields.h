/* store/fields.h: structs as bytes, field by field, by a table: tiermail-store(7).
 *
 * A field is {tag u16, length u32, value}, little-endian, in any order.  A field that is zero or
 * empty is not written; what is not there is zero.  The top bit of the tag says that the field
 * must be understood: a reader that does not know such a field refuses the whole, any other
 * unknown field it skips.  Two versions of our programs can thus meet.  Nothing here does I/O. */
#ifndef STORE_FIELDS_H
#define STORE_FIELDS_H
#include "base/arena.h"
#include "base/buf.h"

#define STORE_CRITICAL 0x8000u /* bit of a tag */

enum store_kind {
	STORE_K_U8,
	STORE_K_U16,
	STORE_K_U32,
	STORE_K_U64, /* signed ones too */
	STORE_K_BOOL,
	STORE_K_TEXT,    /* struct slice */
	STORE_K_KEY,     /* uint8_t[16] */
	STORE_K_RANGES,  /* const struct store_range *, ascending */
	STORE_K_SPANS,   /* the same, in any order */
	STORE_K_IDS,     /* const uint64_t * */
	STORE_K_LIST,    /* an array of structs: the field comes once for each */
	STORE_K_VERDICT, /* struct verdict with its enum store_code */
};

struct store_fields;
struct store_field {
	const char *name;              /* for tiermail-store(7) and refusals */
	uint8_t tag;                   /* 1..63, never given to anything else again */
	uint8_t kind;                  /* enum store_kind */
	bool optional;                 /* may be skipped by who does not know it */
	uint16_t at;                   /* offset of the value, or of the pointer to the array */
	uint16_t more_at;              /* of the array's size_t count; of the verdict's code */
	uint16_t most;                 /* elements of a list */
	const struct store_fields *of; /* of an element of a list */
};
struct store_fields {
	const struct store_field *list;
	size_t n;
	size_t size; /* sizeof the struct */
};
#define STORE_BIT(tag) (1ull << (tag))

/* Appends those fields of the struct `from` whose bits are in `which`; numbers and texts in
 * `needs` also when they are zero. */
void store_fields_write(struct buf *b, const struct store_fields *t, uint64_t which, uint64_t needs,
    const void *from);
/* Into the struct `to`, which must be zeroed.  Fields that are not in `which` count as unknown.
 * Arrays are made in `a`, slices borrow from `body`; *had gets the bits that were there.
 * 0; -EBADMSG: not fields, a length, count or order is wrong, or one comes twice;
 * -EOPNOTSUPP: *unknown is the tag that must be understood. */
int store_fields_parse(struct slice body, const struct store_fields *t, uint64_t which,
    struct arena *a, void *to, uint64_t *had, uint16_t *unknown) MUSTCHECK;
/* The field with this tag, or NULL. */
const struct store_field *store_field_find(const struct store_fields *t, unsigned tag);
#endif

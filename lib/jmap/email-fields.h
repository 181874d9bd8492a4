/* jmap/email-fields.h: one header, and the properties that are its fields (RFC 8621 4.1.2, 4.1.3).
 *
 * For email-write.h, of a message's header and of each part's.  Pure.  Costs the header's length, and for each
 * field a look at some names; what is wanted and what is there are never multiplied. */
#ifndef JMAP_EMAIL_FIELDS_H
#define JMAP_EMAIL_FIELDS_H
#include "jmap/email-want.h"

struct jmap_found;
struct jmap_found_fields {
	const struct jmap_fields *fields;
	struct jmap_found *values;
	uint32_t n, room;
	uint32_t *first, *last; /* of each name: 1 + its place in values */
	size_t at;              /* the property that is written */
	uint32_t value;         /* of an array's next value, 1 + its place */
	bool open;              /* the array has begun */
};

/* Looks for the fields; slices borrow from `header`, the rest lies in `a`. */
void jmap_found_start(struct jmap_found_fields *f, const struct jmap_fields *fields,
    struct slice header, struct arena *a);
/* Appends the next property, or of an array the next value; `first` says whether a comma comes before it.
 * False, and nothing is appended: that was all. */
bool
jmap_found_next(struct jmap_found_fields *f, struct buf *out, bool *first, struct arena *scratch);

/* Takes a field off *header and appends it as an EmailHeader.  False: there is none. */
bool jmap_header_list_next(struct slice *header, struct buf *out, bool *first);

/* A comma, unless what follows is the first. */
void jmap_comma(struct buf *out, bool *first);
/* The same, and the name of a member. */
void jmap_member(struct buf *out, bool *first, struct slice key);
#endif

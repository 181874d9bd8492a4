/* scim/resource.h: a user or a group as SCIM has it: read from JSON, patched, written.  Pure.
 *
 * A value is a struct whatever it is: what is no list has one, a boolean is "true" or "false".  Everything is in
 * the resource's arena, which is its caller's.  Reading costs the text; a patch costs for each
 * operation what it brings and what is there, SCIM_VALUES_MOST at most. */
#ifndef SCIM_RESOURCE_H
#define SCIM_RESOURCE_H
#include "json/json.h"
#include "scim/schema.h"

#define SCIM_VALUES_MOST 20000 /* elements of a list */
#define SCIM_FEW         8     /* so many are looked for without an index */

struct scim_value {
	struct slice value, type, display, ref;
	bool primary;
};
struct scim_list {
	struct scim_value *v;
	size_t n, room;
	bool given; /* the client has said something of it */
};
struct scim_resource {
	const struct scim_schema *schema;
	struct arena *memory;
	struct scim_list rows[SCIM_ROWS];
	struct slice created, modified, version, location; /* meta: dates as SCIM has them */
};

/* Why a request is not done: HTTP's status, and RFC 7644 table 9's word or NULL. */
struct scim_error {
	unsigned status;
	const char *type;
	char text[512];
};
/* Fills it in; returns false. */
bool scim_fail(struct scim_error *e, unsigned status, const char *type, const char *fmt, ...)
    PRINTF(4, 5);
/* Appends the error's message (RFC 7644 3.12). */
void scim_error_write(struct buf *b, const struct scim_error *e);

void scim_resource_init(struct scim_resource *r, const struct scim_schema *s, struct arena *a);
/* The value of what is no list; empty when it has none. */
struct slice scim_get(const struct scim_resource *r, size_t row);
/* Sets it; an empty value: none.  Copies. */
void scim_put(struct scim_resource *r, size_t row, struct slice value);
/* Another element, zeroed: false when there are too many. */
struct scim_value *scim_add(struct scim_resource *r, size_t row);
void scim_copy(struct scim_resource *to, const struct scim_resource *from);
/* Elements by their values, ASCII case ignored: 20,000 are to be found in 20,000.  In the arena. */
struct scim_index {
	uint32_t *slots; /* element + 1 */
	size_t mask;
};
void scim_index_make(struct scim_index *x, const struct scim_list *l, size_t more, struct arena *a);
void scim_index_add(struct scim_index *x, const struct scim_list *l, size_t i);
/* The element of the value, or NULL. */
struct scim_value *
scim_index_find(const struct scim_index *x, const struct scim_list *l, struct slice value);

/* Of POST and PUT.  What is read-only is passed over (RFC 7644 3.3, 3.5.1); false with *e. */
bool scim_read(struct scim_resource *r, const struct json_t *v, struct scim_error *e) MUSTCHECK;
/* The operations of a PATCH, all or none: false with *e, and then *r is to be thrown away. */
bool scim_patch(struct scim_resource *r, const struct json_t *v, struct scim_error *e) MUSTCHECK;
/* One attribute from JSON, added or in the place of what is there; for patch.c. */
bool scim_read_row(struct scim_resource *r, size_t row, const struct json_t *v, bool add,
    struct scim_error *e);

/* What is to be shown: attributes or excludedAttributes (RFC 7644 3.9). */
struct scim_choice {
	uint32_t asked;           /* rows that are named by attributes */
	bool only;                /* and no others, but for what is always shown */
	unsigned subs[SCIM_ROWS]; /* of lists */
	uint32_t without;
	bool no_meta;
};
bool scim_choose(struct scim_choice *c, const struct scim_schema *s, struct slice attributes,
    struct slice excluded, struct scim_error *e) MUSTCHECK;
bool scim_shown(const struct scim_choice *c, const struct scim_schema *s, size_t row);
void scim_write(struct buf *b, const struct scim_resource *r, const struct scim_choice *c);
/* Does an element fit the filter of a value path?  False with *e: it asks for what elements have not. */
bool scim_match(const struct scim_attribute *row, const struct scim_filter *f,
    const struct scim_value *v, bool *fits, struct scim_error *e) MUSTCHECK;
#endif

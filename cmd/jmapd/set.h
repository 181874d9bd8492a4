/* jmapd/set.h: the answer of a /set (RFC 8620 5.3): what was done, and why the rest was not. */
#ifndef JMAPD_SET_H
#define JMAPD_SET_H
#include "call.h"

/* Each is the inside of an object or array. */
struct set_answer {
	struct buf created, updated, destroyed, not_created, not_updated, not_destroyed;
	uint64_t old_state;
};
void set_answer_fini(struct set_answer *a);
/* The whole answer, with the state as it is now. */
enum call_next set_answer_write(struct call *c, const struct set_answer *a, uint64_t new_state);
/* The end of it, behind the states: for those whose state is no counter. */
enum call_next set_answer_lists(struct call *c, const struct set_answer *a);
/* "id":{"type":...} to one of the lists; `property` and `why` may be NULL. */
void set_refuse(struct buf *list, struct slice id, const char *type, const char *property,
    const char *why);
/* What stored says, as the type of an error. */
const char *set_error_of(enum store_code code);
/* The arguments create, update and destroy: objects and an array, or null; not more of them than
 * maxObjectsInSet.  False: *next is the answer. */
struct set_args {
	const struct json_t *create, *update, *destroy;
};
bool set_args_read(struct call *c, struct set_args *a, enum call_next *next);
/* Is the id among those to be destroyed? */
bool set_destroys(const struct set_args *a, struct slice id);
#endif

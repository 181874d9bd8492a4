/* base/map.h: a hash table from bytes to pointers.  Open addressing, keys are borrowed: they
 * must live inside the value (or as long as it).  A zeroed struct is a valid empty map. */
#ifndef BASE_MAP_H
#define BASE_MAP_H
#include "base/slice.h"

struct map_slot;
struct map {
	struct map_slot *slots;
	size_t n, room, dead;
};

void *map_get(const struct map *m, struct slice key); /* borrowed, or NULL */
/* Sets key to value (not NULL); returns what was there before, or NULL. */
void *map_put(struct map *m, struct slice key, void *value);
void *map_take(struct map *m, struct slice key); /* removes; the old value or NULL */
/* Walks: start with *at = 0; NULL at the end.  Only map_take of the current key may
 * change the map during a walk. */
void *map_next(const struct map *m, size_t *at);
void map_fini(struct map *m); /* the table only, not the values */
#endif

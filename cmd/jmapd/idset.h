/* jmapd/idset.h: a set of ids, for threads and emails that were met.  Open addressing; ids are not 0, and
 * come from stored, which nobody can make collide: they are spread by a multiplication. */
#ifndef JMAPD_IDSET_H
#define JMAPD_IDSET_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct idset {
	uint64_t *slots; /* heap */
	size_t n, room;
};
/* True: it was not there. */
bool idset_add(struct idset *s, uint64_t id);
bool idset_has(const struct idset *s, uint64_t id);
void idset_fini(struct idset *s);
#endif

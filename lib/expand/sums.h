/* expand/sums.h: who has been seen, of a list of any length: a set of sums of names.
 *
 * Sixteen octets for each name, and a third more for the table, so half a million members cost 12 MB,
 * however long their addresses are.  The sum is a cut of SHA-256: nobody finds two names with one, and it
 * is the same in every process, so that it can be written down (tiermail-queue(5)). */
#ifndef EXPAND_SUMS_H
#define EXPAND_SUMS_H
#include "base/slice.h"

#define EXPAND_SUM 16

struct expand_sums {
	unsigned char (*slot)[EXPAND_SUM]; /* zeros: free */
	size_t n, room;
};

/* Of a name and the letter of its kind. */
void expand_sum(unsigned char sum[EXPAND_SUM], char kind, struct slice name);
bool expand_sums_have(const struct expand_sums *s, const unsigned char sum[EXPAND_SUM]);
bool expand_sums_add(struct expand_sums *s, const unsigned char sum[EXPAND_SUM]); /* it is new */
/* Several, one behind the other; octets that make no whole sum are passed over. */
void expand_sums_add_all(struct expand_sums *s, struct slice sums);
void expand_sums_fini(struct expand_sums *s); /* and it is empty */
#endif

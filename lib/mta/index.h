/* mta/index.h: which entries of a table can match a text at all, in their order.
 *
 * Each entry is filed under what all texts that it matches have in common: the whole text, a head, a
 * tail, or a network; a look-up asks one hash table once for each kind and length that occurs, so that
 * ten thousand domains or networks cost as much as ten.  Entries without such a thing, and those of kinds
 * beyond MTA_INDEX_CLASSES, are offered always.  Read-only once it is built. */
#ifndef MTA_INDEX_H
#define MTA_INDEX_H
#include "mta/glob.h"

#define MTA_INDEX_CLASSES 64 /* kinds and lengths, the first being "always" */
#define MTA_INDEX_END     UINT32_MAX

struct mta_index_class {
	int kind;
	unsigned len; /* octets of a head or tail, bits of a network */
};
struct mta_index_bucket {
	struct slice key;
	uint32_t first, last; /* entries, a chain by `next` */
	uint8_t class;
	bool used;
};
struct mta_index {
	struct mta_index_class classes[MTA_INDEX_CLASSES];
	size_t nclasses;
	struct mta_index_bucket *buckets; /* open addressing, a power of two */
	size_t room;
	uint32_t *next; /* of each entry in its chain */
};
struct mta_index_cursor {
	uint32_t at[MTA_INDEX_CLASSES]; /* next candidate of each class */
};

/* Files entry i under keys[i]; keys and index live in the arena. */
void
mta_index_build(struct mta_index *ix, struct arena *a, const struct mta_glob_key *keys, uint32_t n);
void mta_index_begin(const struct mta_index *ix, struct slice text, struct mta_index_cursor *c);
/* The first entry not before `from` that may match, or MTA_INDEX_END; `from` never goes back. */
uint32_t mta_index_next(const struct mta_index *ix, struct mta_index_cursor *c, uint32_t from);
#endif

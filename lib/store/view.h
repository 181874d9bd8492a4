/* store/view.h: a mailbox as a reader has seen it, and what is different now.
 *
 * A reader that shows a mailbox (a session of imapd, one of jmapd) keeps the UIDs that it has told as
 * runs and the modification number up to which it knows flags.  Here is what it asks when the mailbox
 * has moved on.  Nothing here knows sequence numbers or a protocol. */
#ifndef STORE_VIEW_H
#define STORE_VIEW_H
#include "store/read.h"

/* Splits the runs that were seen into those that are still there and those that are gone, appended as
 * struct store_range, ascending.  Runs are ascending and do not touch.  Costs nseen + nnow. */
void store_uids_split(const struct store_range *seen, size_t nseen, const struct store_range *now,
    size_t nnow, struct buf *gone, struct buf *left);

/* ---- what changed, found once for all who watch ----------------------------------------------- */

/* A flag changed in a large mailbox costs a walk over its records; a hundred watchers of it shall
 * not cost a hundred walks.  The walk is made by whoever asks first, in pieces, and its result serves
 * all that ask for the same state.  One struct for all mailboxes of a partition. */
#define STORE_CHANGES_SLOTS 8 /* mailboxes that change at the same time */
#define STORE_CHANGES_MOST                                                                         \
	16384 /* changed messages that are kept; with more each walks for itself */

struct store_changed {
	uint32_t uid;
	uint64_t modseq; /* when it was met: not below that which made it changed */
};
struct store_changes {
	uint64_t mailbox;      /* 0: a free slot */
	uint64_t reader;       /* for whom: an id of the caller's; 0: for all who see it alike */
	uint64_t since, until; /* modification numbers: since < changed */
	uint32_t at;           /* the walk goes on here */
	bool over;             /* the walk is complete */
	bool many;             /* more than are kept: the list is of no use */
	struct store_changed *list; /* ascending by UID; heap */
	size_t n, room;
	uint64_t used; /* for the choice of a slot */
};
struct store_change_cache {
	struct store_changes slots[STORE_CHANGES_SLOTS];
	uint64_t clock;
};

/* Changes of the mailbox between two states; `until` is its highestmodseq as of this snapshot or an
 * earlier one.  `reader` is whose snapshots they are made in.  May be incomplete: store_changes_walk until ->over.  Borrowed until the next call. */
struct store_changes *store_changes_get(struct store_change_cache *cache, uint64_t mailbox,
    uint64_t reader, uint64_t since, uint64_t until);
/* Goes over some records more (about 0.1 ms). */
void store_changes_walk(struct store_changes *c, struct store_view *v);
/* Index of the first entry whose UID is not below `uid` (c->n: none). */
size_t store_changes_find(const struct store_changes *c, uint32_t uid);
void store_changes_fini(struct store_change_cache *cache);
#endif

/* store/since-impl.h: between the parts of store/since.h alone: what the log of changes says (since-log.c), and
 * what that means for emails, threads and mailboxes (since.c). */
#ifndef STORE_SINCE_IMPL_H
#define STORE_SINCE_IMPL_H
#include "store/since.h"

#define LOOK 64 /* of what is quick, between two looks at the clock */

struct since_range { /* of UIDs of a mailbox */
	uint64_t mailbox, modseq;
	uint32_t first, last;
};
struct since_box {
	uint64_t mailbox, objectid, modseq;
	enum { BOX_COUNTS, BOX_CHANGED, BOX_MADE, BOX_DELETED } what;
};
/* An email that the log is about. */
struct since_met {
	uint64_t emailid, threadid; /* threadid 0: its record has gone */
	uint64_t first, last;       /* modseqs: when it came, of its last change */
	bool came, lost;            /* into a mailbox; a place that it had before */
	bool hidden;                /* something of it is marked as deleted */
	bool was, is;               /* there, before and now */
};

#define ITEMS(buf, type) ((type *)(void *)(buf).p)
#define COUNT(buf, type) ((buf).n / sizeof(type))

/* Reads it, in slices: what came and changed, then what went: that needs all of the other.  True: it is over. */
bool store_since_read(struct store_since *s, struct store_view *v, uint64_t until);
bool store_since_read_gone(struct store_since *s, struct store_view *v, uint64_t until);
/* What came and which mailboxes were made behind s->modseq, as of this snapshot. */
void store_since_later(struct store_since *s, struct store_view *v);
/* When the place came, or 0: before. */
uint64_t store_since_came(const struct store_since *s, uint64_t mailbox, uint32_t uid);
/* The thread of an email whose record has gone. */
uint64_t store_since_gone_thread(const struct store_since *s, uint64_t emailid);

/* One more; at the end one of each email, by their ids. */
void store_since_meet(struct store_since *s, const struct since_met *m);
void store_since_tidy_met(struct store_since *s);
void store_since_tidy_boxes(struct store_since *s);
#endif

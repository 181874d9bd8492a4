/* store/tally.h: how many emails and threads a mailbox has, kept by who reads it and brought up to date by what has
 * changed: for jmapd, whose clients ask whenever anything has (RFC 8621 2).
 *
 * The first time it is a walk over the mailbox, later the account's change log is looked at: what costs is what has
 * changed.  Counted are messages without \Deleted; an email that is twice in the mailbox is one, and as its first message
 * is; unread is what is neither \Seen nor \Draft; a thread is unread when an email of it here is.  Takes 56 to
 * 112 bytes for a message.  One struct belongs to one thread at a time; nothing in it is the map's, so it outlives snapshots. */
#ifndef STORE_TALLY_H
#define STORE_TALLY_H
#include "store/read.h"

struct store_tally_counts {
	uint32_t emails, unread, threads, unread_threads;
};
struct store_tally_slot {
	uint64_t id; /* 0 = free */
	uint32_t all, unread;
};
struct store_tally_map {
	struct store_tally_slot *slots; /* heap */
	size_t n, mask;
};
struct store_tally_entry { /* a message */
	uint64_t emailid, threadid;
	uint32_t uid;
	uint8_t state;
};
struct store_tally {
	uint64_t mailbox;
	struct store_tally_counts counts; /* when store_tally_go() has said 1 */
	uint64_t walks;                   /* over the whole mailbox that have begun */
	/* Its own. */
	uint32_t uidvalidity;
	uint64_t seen, since; /* modseq of the mailbox, of the account: it is right as of then */
	struct store_tally_entry *list; /* by UID; heap */
	size_t n, room, gone;
	struct store_tally_map threads, emails;
	uint32_t at; /* the walk goes on here */
	bool built;
};

void store_tally_init(struct store_tally *t, uint64_t mailbox);
void store_tally_fini(struct store_tally *t);
size_t store_tally_bytes(const struct store_tally *t); /* of memory */
/* Inside a snapshot: 1: the counts are as of it; 0: clock_mono_us() is `until`, to be called again, in another snapshot
 * if need be; or -errno of who looks for a mailbox and its account. */
int store_tally_go(struct store_tally *t, struct store_view *v, uint64_t until) MUSTCHECK;
#endif

/* store/since.h: what has changed in an account since a state, by id: for Email/changes, Mailbox/changes and
 * Thread/changes of RFC 8621 (RFC 8620 5.2).  A state is the account's modseq.
 *
 * The log reaches back 30 days and 500,000 modseqs (tiermail-store(5), change); further back it is -ENOENT, and the
 * client begins anew.  A cursor, for a log of that length takes a while: each slice in a snapshot of its own.
 *	store_since_begin(&s, v, &boxes, since)
 *	while (!store_since_go(&s, v, until)) ... yield, store_begin ...
 * What comes meanwhile is for the next time.  Takes about 2 us for a row of the log, 4 for a message that came, moved or
 * went, and one for each email of a thread that may be new or gone.  However often things have changed, until the
 * end it has no more than 24 bytes for a range of UIDs, 32 for a mailbox and 48 for an email, twice.
 *
 * What is marked as deleted is not there (RFC 8621 4.1.1): an email of which all is so is told as destroyed, or not
 * at all.  One that has been unmarked is told as updated, for the log does not know its former flags. */
#ifndef STORE_SINCE_H
#define STORE_SINCE_H
#include "store/read-thread.h"

enum store_since_what { STORE_SINCE_CREATED, STORE_SINCE_UPDATED, STORE_SINCE_DESTROYED };
/* Who answers with a part of them takes them up to a modseq, all of that or none, and says that as the new state: what
 * is left, and what has changed again, comes from there on. */
struct store_since_change {
	uint64_t id;      /* email, thread; of a mailbox its objectid */
	uint64_t mailbox; /* of a mailbox that is there */
	uint64_t modseq;  /* when it was made; else of its last change */
	uint8_t what;     /* enum store_since_what */
	bool counts;      /* of a mailbox: only how many and which messages there are */
};

/* Of which there is one for each of what it is about: others are joined with it when it has grown. */
struct store_since_list {
	struct buf b;
	size_t tidied; /* bytes when that was done */
};

struct store_since {
	const struct store_boxes
	    *boxes;             /* the caller's, as of its beginning; it stays until the end */
	uint64_t since, modseq; /* of the account when it began: the new state when all is told */
	/* When it is over: struct store_since_change, by modseq. */
	struct buf emails, threads, mailboxes;
	bool
	    unknown; /* a mailbox was deleted by an older writer, which did not say its objectid: of Mailbox/changes
	                 nothing is known */
	/* Its own. */
	enum {
		SINCE_READS,
		SINCE_GONE,
		SINCE_CAME,
		SINCE_CHANGED,
		SINCE_EMAILS,
		SINCE_THREADS,
		SINCE_OVER
	} stage;
	uint64_t at;   /* the log has been read up to here */
	uint64_t seen; /* and what came behind `modseq` up to here */
	struct buf came, later;
	struct store_since_list changed, gone_threads, boxed, met;
	struct store_boxes own; /* when a mailbox was made meanwhile */
	struct store_place place;
	size_t next;
	uint32_t uid;
};
/* 0; -ENOENT: the log does not reach back so far; -EINVAL: the account has not had that state; another -errno: of who
 * looks for an account. */
int store_since_begin(struct store_since *s, struct store_view *v, struct slice account,
    const struct store_boxes *boxes, uint64_t since) MUSTCHECK;
/* Goes on until clock_mono_us() is `until`.  True: it is over. */
bool store_since_go(struct store_since *s, struct store_view *v, uint64_t until);
void store_since_fini(struct store_since *s);
#endif

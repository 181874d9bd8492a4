/* store/read-impl.h: what read.c and read-msg.c share; nobody else includes it. */
#ifndef STORE_READ_IMPL_H
#define STORE_READ_IMPL_H
#include <lmdb.h>
#include "base/list.h"
#include "store/block.h"
#include "store/read.h"
#include "store/seen.h"

/* LMDB takes keys without const though it does not write them. */
#define UNCONST(p) ((void *)(uintptr_t)(p))

/* The inodes of an index's files; 0: there is none. */
struct store_index_files {
	uint64_t data, lock, steady;
};

struct store_reader {
	struct list link;
	MDB_env *env;
	MDB_dbi dbi[STORE_TABLES];
	struct store_format format; /* its tables are those that are open */
	char *path;
	int dirfd;                      /* of the partition */
	struct store_index_files files; /* those that are mapped */
	const void *steady;             /* of stored's points; NULL = there are none */
	bool suspect;                   /* what they say has been logged */
	int refs;
	int begun; /* snapshots now open, atomic */
};

/* A block of messages that has been read. */
struct store_block_room {
	uint64_t mailbox;
	uint32_t block;
	enum store_parts parts;
	size_t n; /* 0: there is none here */
	struct store_record rec[STORE_BLOCK];
};

struct store_view {
	struct store_reader *r;
	MDB_txn *txn;
	MDB_cursor *cursors[STORE_TABLES];
	uint32_t bound; /* bit per cursor: usable in this snapshot */
	bool begun;
	const struct store_blocks *blocks; /* the walk that the cursors stand in */
	/* Of the walks and of store_get_record, which may be called beside one. */
	struct store_block_room walk, last;
	/* The newest messages of a mailbox, which its record has. */
	struct {
		uint64_t mailbox;
		bool known; /* in this snapshot */
		size_t n;
		struct store_record rec[STORE_BLOCK];
	} arrivals;
	/* For whom it reads, until the snapshot ends: read-seen.c. */
	struct {
		char login[STORE_ACCOUNT_MAX];
		size_t n; /* 0: for nobody */
		/* Of the mailbox that was looked at last, in this snapshot: */
		uint64_t mailbox, floor; /* no message has a smaller modseq for him */
		bool known, own;
		uint32_t chunk; /* and of its rows the last one */
		struct store_seen row;
	} as;
	uint64_t cache_at;
	bool cache_near; /* the last step to the neighbour was right */
};

/* Is the table there, and of a version that we read? */
static inline bool
store_has(const struct store_view *v, enum store_table t)
{
	return v->r->format.tables & 1u << t;
}
/* Only of a table that is there. */
MDB_cursor *store_cursor(struct store_view *v, enum store_table t);
struct slice store_fetch(struct store_view *v, enum store_table t, const void *key, size_t n);

/* ---- read-seen.c: for who reads a mailbox of somebody else --------------------------------------- */
/* Records that have been read, as they are for him; nothing for others.  Not with STORE_RECORDS. */
void store_seen_lay(struct store_view *v, uint64_t mailbox, struct store_record *rec, size_t n);
/* May messages of the block be newer for him than `since`, whatever the mailbox's rows say? */
bool store_seen_newer(struct store_view *v, uint64_t mailbox, uint32_t block, uint64_t since);
/* The mailbox's counter, for him. */
void store_seen_mailbox(struct store_view *v, struct store_mailbox *m);
/* The first message that he has not seen, where that is apart; 0 = none. */
uint32_t store_seen_first_not(struct store_view *v, const struct store_mailbox *m);

/* A place that is none any more, one of `stale` in a row: when these are many, *p goes on to before the next message of
 * its mailbox.  A client that moves its messages to and fro leaves a row each time, until the purge. */
void store_place_leap(struct store_view *v, struct store_place *p, unsigned stale);
#endif

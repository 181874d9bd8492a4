/* store/read_private.h: what read.c and read_msg.c share; nobody else includes it. */
#ifndef STORE_READ_PRIVATE_H
#define STORE_READ_PRIVATE_H
#include <lmdb.h>
#include "base/list.h"
#include "store/read.h"

/* LMDB takes keys without const though it does not write them. */
#define UNCONST(p) ((void *)(uintptr_t)(p))

struct store_reader {
	struct list link;
	MDB_env *env;
	MDB_dbi dbi[STORE_TABLES];
	char *path;
	int dirfd;             /* of the partition */
	int refs;
	int begun;             /* snapshots now open, atomic */
};

struct store_view {
	struct store_reader *r;
	MDB_txn *txn;
	MDB_cursor *cursors[STORE_TABLES];
	uint32_t bound;        /* bit per cursor: usable in this snapshot */
	bool begun;
	const struct store_blocks *blocks; /* the walk that the index cursor stands in */
	/* The block that store_get_record looked at last, and where the cache cursor stands. */
	uint64_t last_mailbox;
	uint32_t last_block;
	const struct store_record *last;
	size_t last_n;
	uint64_t cache_at;
	bool cache_near;       /* the last step to the neighbour was right */
};

int store_errno(int lmdb_rc) MUSTCHECK;
MDB_cursor *store_cursor(struct store_view *v, enum store_table t);
struct slice store_fetch(struct store_view *v, enum store_table t, const void *key, size_t n);
#endif

/* store/replay.h: the operation log, done again: what batches have changed behind a state of the index.
 *
 * For stored's start, which takes an index up to what the log says, and for storectl recover, which
 * makes one from a snapshot.  The caller owns the environment and begins the transaction. */
#ifndef STORE_REPLAY_H
#define STORE_REPLAY_H
#include <lmdb.h>
#include "store/oplog.h"
#include "store/steady.h"

/* The end of the log, as it was found. */
struct store_log_end {
	uint32_t segment;    /* the last one; 0 = there is none */
	uint64_t at;         /* behind its last good frame */
	bool damaged;        /* something before that is no frame */
	uint64_t batch;      /* of the last good frame of all; 0 = none */
	uint64_t epoch;      /* of that */
	uint32_t in;         /* its segment */
	uint64_t from, size; /* where it begins there, its bytes */
	bool is_void;        /* it was never answered and cannot be done again: cut it off */
};

struct store_replay {
	int dirfd, logfd; /* the partition, its log; -1: none */
	MDB_env *env;
	MDB_txn *txn; /* begun; committed and begun again on the way */
	MDB_dbi dbi[STORE_TABLES];
	unsigned major;  /* format of the index; 0 = as the log says, tables are then made */
	uint64_t epoch;  /* of the index; 0 = whatever the log has */
	uint64_t batch;  /* the last one that the index has, and then the last one done */
	uint64_t synced; /* up to this one all have happened, whatever has become of their files */
	bool
	    here; /* it was written under this kernel: what a file has of it, it has as it was written */
	bool doubt; /* a sync has failed under it: files are made again however they look */
	bool force; /* go on behind a hole, and leave out what follows in another format */
	void (*tell)(void *arg, const char *line);
	void *arg;
	char **why; /* heap; the first reason */
	/* What was done. */
	uint64_t batches;
	int64_t at; /* time of the last one, 0 = none */
	size_t holes;
	bool left; /* the log goes on in another format: that was left out */
	struct store_log_end end;
	size_t restored;          /* message files made again from the journal of bodies */
	struct buf epochs, block; /* its own; what follows too */
	struct buf bodies;        /* struct replay_body: may have to be */
	int bodiesfd;             /* 1 + its descriptor; 0 = not open */
	size_t pending;
};
/* Does every good frame behind r->batch.  0, or -errno with *why: -EUCLEAN is a hole in the log, or
 * that index and log are not of each other.  r->txn then has the last of it, uncommitted; NULL when a
 * commit failed.  Message files, those of the last frames and those that were made again, may not be on disk:
 * the caller syncs them before he lets the log go or says that he has been here. */
int store_replay(struct store_replay *r) MUSTCHECK;
/* The last batch that a log has: 0 with *batch (0: it has no whole frame), -ENOENT: it has no segment,
 * -errno. */
int store_replay_last(int logfd, uint64_t *batch) MUSTCHECK;
/* A log that leads on from the point is not in PATH/log: it was moved away, or an older one is there; or,
 * when the point is not `logged`, it had not begun. */
bool store_replay_is_lost(const char *path, const struct store_steady *s);
void store_replay_fini(struct store_replay *r); /* what is its own; aborts the transaction */
#endif

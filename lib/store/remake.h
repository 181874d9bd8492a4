/* store/remake.h: an index is made again beside the old one, in index.new, and takes its place: what
 * recovery and upgrade do alike.  Blocking, for tools, while stored is away: its lock is taken.
 * Nobody outside of lib/store includes it. */
#ifndef STORE_REMAKE_H
#define STORE_REMAKE_H
#include <lmdb.h>
#include "store/format.h"

struct store_remake {
	const char *path;      /* of the partition */
	const char *snapshots; /* the directory of its snapshots */
	void (*tell)(void *arg, const char *line);
	void *arg;
	char **why; /* the first reason of a failure, heap */

	int dirfd;    /* of the partition, with its lock; -1 = none */
	bool made;    /* index.new is ours */
	MDB_env *env; /* of index.new, without syncs */
	MDB_txn *txn; /* may be another one when it is finished */
};

/* The rest is cleared.  0, -EBUSY (stored is at work), -errno. */
int store_remake_begin(struct store_remake *m) MUSTCHECK;
/* An empty index.new in place of whatever has that name. */
int store_remake_dir(struct store_remake *m) MUSTCHECK;
/* Opens it with a transaction; the file may be there already. */
int store_remake_open(struct store_remake *m, uint64_t map_size) MUSTCHECK;
/* Commits, syncs and closes it, gives it to the partition's owner, and makes a snapshot of it. */
int store_remake_finish(struct store_remake *m) MUSTCHECK;
/* The old index, if there is one, is called `aside` then, and the new one index; synced. */
int store_remake_install(struct store_remake *m, const char *aside) MUSTCHECK;
/* Closes all.  An index.new that is ours and not in place goes. */
void store_remake_end(struct store_remake *m);

void store_remake_remove(int at, const char *index); /* its directory and what LMDB keeps there */
bool store_remake_there(const struct store_remake *m, const char *name);
void store_remake_tell(const struct store_remake *m, const char *fmt, ...) PRINTF(2, 3);
/* `rc` is of LMDB or errno.  -errno; the first reason is kept. */
int store_remake_fail(struct store_remake *m, int rc, const char *what);
#endif

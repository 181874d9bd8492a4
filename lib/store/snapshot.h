/* store/snapshot.h: copies of a partition's index, made while it is in use (tiermail-store(5)).
 * A directory for each partition has TIME-BATCH.mdb, an LMDB file with all tables as they were
 * after that batch. */
#ifndef STORE_SNAPSHOT_H
#define STORE_SNAPSHOT_H
#include <lmdb.h>
#include "store/format.h"

#define SNAPSHOTS_KEPT 3

struct snapshot {
	char *name; /* of the file */
	uint64_t batch;
	int64_t at; /* unix seconds */
};
/* Ascending by batch; heap, for store_snapshot_list_free.  NULL when there is none. */
struct snapshot *store_snapshot_list(const char *dir, size_t *n) MUSTCHECK;
void store_snapshot_list_free(struct snapshot **list, size_t n);
uint64_t store_snapshot_newest(const char *dir); /* its batch, 0 = none */

/* Copies the environment into `dir` (made when missing), syncs it, opens the copy to see that
 * it is good, and gives it its name.  0 with *path (heap) and *batch, or -errno with *why. */
int store_snapshot_make(MDB_env *env, const char *dir, char **path, uint64_t *batch,
    char **why) MUSTCHECK;
/* The batch that a copy holds: 0, or an LMDB code when it is no good. */
int store_snapshot_look(const char *path, uint64_t *batch) MUSTCHECK;
/* Removes all but the last few, and what was never finished.  Returns the batch of the oldest
 * that stays, 0 = none. */
uint64_t store_snapshot_prune(const char *dir);
#endif

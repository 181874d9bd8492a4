/* store/stats.h: how large a partition's index is, who reads it, and how much of it is in memory: for storectl. */
#ifndef STORE_STATS_H
#define STORE_STATS_H
#include "base/buf.h"

struct store_stats {
	uint64_t page;     /* bytes of one */
	uint64_t used;     /* bytes of the index, freed pages among them */
	uint64_t most;     /* what it can grow to: map_size */
	uint64_t free;     /* of used: pages that are free to be written */
	uint64_t batches;  /* its newest snapshot */
	uint64_t accounts; /* rows */
	uint64_t mailboxes;
	uint32_t readers, readers_most; /* places for snapshots: taken and there */
	uint64_t
	    oldest; /* batches that the oldest snapshot is behind the newest; 0 = nobody has an older one */
	uint64_t resident; /* of used, in memory; with `cache` */
};
/* Of the partition in `path`.  `cache` asks the kernel for every page: some ms for each GiB, and for nothing but what the
 * caller could read.  Linux tells who may write the file alone; others hear that all is there.  0, or -errno and *why
 * (heap, caller frees). */
int store_stats(const char *path, bool cache, struct store_stats *s, char **why) MUSTCHECK;
#endif

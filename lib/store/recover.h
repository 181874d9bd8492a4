/* store/recover.h: an index is made again from the newest good snapshot and the operation log.
 * stored must not be at work in the partition; its lock is taken. */
#ifndef STORE_RECOVER_H
#define STORE_RECOVER_H
#include "store/digests.h"

struct store_recover {
	const char *path;      /* of the partition */
	const char *snapshots; /* the directory of its snapshots */
	uint64_t map_size;
	bool
	    force; /* go on behind a hole in the log, stop where it goes on in another format, do without
		     * what only the index has, and without a log that is gone */
	void (*tell)(void *arg, const char *line);
	void *arg;
	store_digest_fn *digest; /* makes those that are missing, as the log has none; or NULL */
	/* What was done. */
	uint64_t from;    /* batch of the snapshot; 0 = from nothing */
	uint64_t batch;   /* the last one replayed, or from */
	uint64_t batches; /* replayed */
	uint64_t digests; /* made again */
	int64_t at;       /* time of the last one, 0 = none */
	size_t holes;
};
/* 0: the new index is in place, the old one is SNAPSHOTS/bad.  -errno with *why (heap): the
 * partition is as it was; -EUCLEAN is a hole in the log, -EPROTO a log that
 * goes on in another format, -EEXIST an index that has more, or a log that is gone. */
int store_recover(struct store_recover *r, char **why) MUSTCHECK;
#endif

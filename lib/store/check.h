/* store/check.h: looks through a partition for anything that does not agree, without changing
 * it.  Works beside a running stored: what looks wrong is looked at again before it is told. */
#ifndef STORE_CHECK_H
#define STORE_CHECK_H
#include "store/read.h"

struct store_check {
	void (*found)(void *arg, const char *finding); /* one line each */
	void *arg;
	bool bodies;   /* read the files too */
	uint64_t rate; /* so many bytes of them a second; 0 = no limit */
	/* What was seen. */
	uint64_t accounts, mailboxes, messages, bytes, files, waiting, findings;
	uint64_t read;    /* files, with `bodies`; one that has several names counts once */
	uint64_t unknown; /* of these: the index has no checksum */
};

/* Checks records, counts, usage, blocks, runs, names; then the files.  With `account` not
 * empty only that account.  With `bodies`, the content of each file is
 * compared with its checksum.  0, or -errno with *why when the partition cannot be read. */
int store_check_partition(const char *path, struct slice account, struct store_check *c,
    char **why) MUSTCHECK;
/* Appends the contents (uint64_t) whose cache record belongs to no message and to no file that waits
 * for the purge.  Walks all of the partition's index in one snapshot, which it begins and ends.
 * 0 or -errno. */
int store_check_orphans(struct store_view *v, struct buf *emails) MUSTCHECK;
#endif

/* store/check.h: looks through a partition for anything that does not agree, without changing
 * it.  Works beside a running stored: what looks wrong is looked at again before it is told. */
#ifndef STORE_CHECK_H
#define STORE_CHECK_H
#include "store/read.h"

struct store_check {
	void (*found)(void *arg, const char *finding); /* one line each */
	void *arg;
	/* What was seen. */
	uint64_t accounts, mailboxes, messages, bytes, files, waiting, findings;
};

/* Checks records, counts, usage, blocks, runs, names; then the files.  With `account` not
 * empty only that account.  0, or -errno with *why when the partition cannot be read. */
int store_check_partition(const char *path, struct slice account, struct store_check *c, char **why)
    MUSTCHECK;
#endif

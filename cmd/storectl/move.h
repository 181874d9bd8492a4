/* move.h: what a run of storectl move has in hand. */
#ifndef STORECTL_MOVE_H
#define STORECTL_MOVE_H
#include "account.h"
#include "backup.h"

#define MOVE_PORT 4889 /* where storectl-serve(8) listens */

struct move_totals {
	uint64_t messages, bytes;
};
struct move {
	const char *account, *host, *address, *partition; /* the last two: there */
	const char *dn;                                   /* who may change mailHost */
	char *password;
	int port;
	bool json, quiet, back;
	/* Here. */
	struct asking ask;
	struct store_reader *reader;
	struct store_view *view;
	uint64_t id;
	char here[PARTITION_ROOM];
	struct move_totals totals; /* as of the last FREEZE */
	uint64_t frozen_at;        /* clock_mono_ms; 0 = it was not */
	/* move-copy.c */
	struct idmap seen;  /* how far the last pass has come */
	struct buf folders; /* struct move_folder: as the last pass found them */
	struct move_totals there;
	uint64_t changes; /* of the last pass */
	unsigned passes;
};

/* All are exit codes, after saying why.
 * move.c: the account is frozen, marked, or neither. */
int move_freeze(struct move *m, enum store_freeze how);
/* move-copy.c: the account is at the other host, frozen here; else it is neither there nor frozen. */
int move_copy(struct move *m);
/* What has come to the other host goes. */
int move_drop(struct move *m);
/* Is all that the account has there?  It is not changed here. */
int move_whole(struct move *m, const struct store_account *a, bool *whole);
int move_ask(struct move *m, const char *verb);
void move_copy_fini(struct move *m);
#endif

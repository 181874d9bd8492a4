/* store/pending.h: copies whose files are still to be made.
 *
 * A COPY of many messages is answered when its rows are committed; the links follow.  Until then a
 * row of `pending` says of which messages they are copies: whoever does not find a file looks
 * there.  A source that it names has a file of its own, which stays as long as the row does; so one
 * step is always enough.  Any process may read; only stored's writer changes the table. */
#ifndef STORE_PENDING_H
#define STORE_PENDING_H
#include <lmdb.h>
#include "store/format.h"

#define STORE_PENDING_MOST 1000 /* messages of a row */
#define STORE_PENDING_RUNS 118  /* runs of a row: it stays below half a page */

/* A row.  Its runs point into the value. */
struct store_pending {
	uint64_t mailbox; /* where the copies are: */
	uint32_t first;   /* their UIDs, from this on ... */
	uint32_t messages;
	bool shown;        /* they are in the index; else a COPY that goes on, or was cut off */
	uint64_t source;   /* the mailbox of the sources, */
	struct slice runs; /* struct store_gone: and their UIDs, in step */
};
/* 0 or -EBADMSG. */
int store_pending_parse(struct slice key, struct slice value, struct store_pending *p) MUSTCHECK;
/* One of the runs, i < store_pending_runs: UIDs of sources, and the content of the first. */
size_t store_pending_runs(const struct store_pending *p);
struct store_gone store_pending_run(const struct store_pending *p, size_t i);
void store_pending_key(uint8_t key[12], uint64_t mailbox, uint32_t uid);
/* Is the message a copy without a file?  Then *source is the UID, and *mailbox the mailbox, of one with the
 * same content that has a file.  The cursor is on `pending`. */
bool store_pending_find(MDB_cursor *c, uint64_t mailbox, uint32_t uid, uint64_t *source_mailbox,
    uint32_t *source_uid);
#endif

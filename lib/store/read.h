/* store/read.h: reading a partition from any process, without asking stored.
 *
 * A reader maps the index read-only.  Everything is read inside a snapshot: store_begin
 * ... store_end.  What the functions return points into the map and dies at store_end: copy
 * what must live longer, and never keep a snapshot across a wait for the network or a file
 * (it pins every page freed since).  store_begin costs well under a microsecond.
 *
 * One struct store_view belongs to one thread at a time; a process has one struct
 * store_reader for a partition (LMDB forbids a second) and as many views as it likes.  Open
 * readers after fork. */
#ifndef STORE_READ_H
#define STORE_READ_H
#include "store/format.h"

struct store_reader;
struct store_view;

/* `path` is the partition's directory, as store_account_start tells it.  A partition that is
 * open already is shared (counted).  On failure -errno and *why (heap, caller frees). */
int store_reader_open(const char *path, struct store_reader **r, char **why) MUSTCHECK;
void store_reader_close(struct store_reader **r);
struct store_view *store_view_new(struct store_reader *r) MUSTCHECK;
void store_view_free(struct store_view **v);

/* Begins a snapshot of the newest state (0 or -errno, logged: reader table full, ...); ending
 * is idempotent.  store_refresh ends and begins. */
int store_begin(struct store_view *v) MUSTCHECK;
void store_end(struct store_view *v);
int store_refresh(struct store_view *v) MUSTCHECK;
bool store_begun(const struct store_view *v);

/* ---- accounts and folders; inside a snapshot ------------------------------------------ */

struct store_account {
	uint64_t id;
	uint64_t modseq;
	uint64_t bytes, messages; /* usage for quota */
	uint32_t mailboxes;
	int64_t created_at;
};
/* 0, -ENOENT (never used yet: see store_account_start), -EBADMSG (damaged). */
int store_find_account(struct store_view *v, struct slice name, struct store_account *a) MUSTCHECK;
/* All accounts in the order of their names; starts behind *name (empty = at the first). */
bool store_next_account(struct store_view *v, struct slice *name, struct store_account *a);
/* By canonical name; 0 or -ENOENT. */
int store_find_mailbox(struct store_view *v, uint64_t account, struct slice name, uint64_t *id)
    MUSTCHECK;
/* 0, -ENOENT, -EBADMSG. */
int store_get_mailbox(struct store_view *v, uint64_t id, struct store_mailbox *m) MUSTCHECK;

/* The folders of an account in the order of their names' bytes:
 *	struct store_folder f = { .account = id };
 *	while (store_next_folder(v, &f)) ...
 * It starts behind f.name (empty = at the first), so a walk can be taken up in a later
 * snapshot if the caller kept the name. */
struct store_folder {
	uint64_t account;
	struct slice name;
	uint64_t mailbox;
	uint8_t attrs, special;
	bool children;          /* has folders below it */
};
bool store_next_folder(struct store_view *v, struct store_folder *f);
/* The subscribed names, the same way (only .account and .name are used).  They need not exist. */
bool store_next_subscription(struct store_view *v, struct store_folder *f);
bool store_subscribed(struct store_view *v, uint64_t account, struct slice name);

/* ---- messages; inside a snapshot -------------------------------------------------------- */

/* Walks index blocks over a UID range.  Each call gives the records of one block that are in
 * the range, straight from the map, ascending.
 *	struct store_blocks b;
 *	store_blocks_init(&b, v, mailbox, 1, UINT32_MAX);
 *	while ((rec = store_blocks_next(&b, &n)))
 *		for (size_t i = 0; i < n; i++) ... rec[i] ... */
struct store_blocks {
	struct store_view *v;
	uint64_t mailbox;
	uint32_t from, to;
	bool started, over;
};
void store_blocks_init(struct store_blocks *b, struct store_view *v, uint64_t mailbox,
    uint32_t from, uint32_t to);
const struct store_record *store_blocks_next(struct store_blocks *b, size_t *n);
/* One record, or NULL. */
const struct store_record *store_get_record(struct store_view *v, uint64_t mailbox, uint32_t uid);
/* Appends the mailbox's UIDs as struct store_range, ascending, not touching: from the
 * mailbox record when it knows, else by a scan (about 1 ms for 100,000 messages).  Returns the
 * number of messages, or -errno. */
int64_t store_uid_runs(struct store_view *v, uint64_t mailbox, struct buf *ranges) MUSTCHECK;
/* The first unseen uid, 0 = none. */
uint32_t store_first_unseen(struct store_view *v, const struct store_mailbox *m);
/* The cache bytes of a message, {NULL, 0} when there are none: then parse the file.  Going
 * through ascending emailids costs one cursor step each. */
struct slice store_get_cache(struct store_view *v, uint64_t emailid);
/* Appends the UID runs that were expunged after `since` (struct store_range, may overlap).
 * Returns 0, or -ENOENT when tombstones that old are gone. */
int store_vanished(struct store_view *v, uint64_t mailbox, uint64_t since, struct buf *ranges)
    MUSTCHECK;

/* ---- files: outside or inside a snapshot; any snapshot is ended ------------------------- */

/* Opens a message's file for reading.  Finds it after a rename of its folder, and while it is
 * expunged but not purged.  fd or -errno (-ENOENT: gone).  Blocks on the disk: big bodies
 * belong on the work pool, with a view of their own. */
int store_open_message(struct store_view *v, uint64_t mailbox, uint32_t uid) MUSTCHECK;
#endif

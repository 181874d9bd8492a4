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
#include "store/acl.h"
#include "store/annot.h"

struct store_reader;
struct store_view;

/* `path` is the partition's directory, as store_account_start tells it.  A partition that is
 * open already is shared (counted).  On failure -errno and *why (heap, caller frees). */
int store_reader_open(const char *path, struct store_reader **r, char **why) MUSTCHECK;
/* Are the files that it has mapped still those of the index?  Not after a recovery or an upgrade, nor
 * when the lock file has been removed: then stored does not see this reader, and may change what it
 * reads.  To be asked when stored has been away (STORE_EV_RESYNC); costs two calls. */
bool store_reader_current(const struct store_reader *r);
void store_reader_close(struct store_reader **r);
struct store_view *store_view_new(struct store_reader *r) MUSTCHECK;
void store_view_free(struct store_view **v);

/* Begins a snapshot of the newest state (0 or -errno, logged: reader table full, ...); ending
 * is idempotent.  store_refresh ends and begins. */
int store_begin(struct store_view *v) MUSTCHECK;
void store_end(struct store_view *v);
/* The same for what a login reads: of mailboxes of others \Seen, modseqs, highestmodseq, changes and what is unseen are
 * those that it has there (store/seen.h), by whatever is called until store_end or store_refresh. */
int store_begin_as(struct store_view *v, struct slice login) MUSTCHECK;
int store_refresh(struct store_view *v) MUSTCHECK;

/* ---- accounts and folders; inside a snapshot ------------------------------------------ */

struct store_account {
	uint64_t id;
	uint64_t modseq;
	uint64_t bytes, messages; /* usage for quota */
	uint32_t mailboxes;
	int64_t created_at;
	uint32_t logins[STORE_LOGINS]; /* unix seconds, within an hour; 0 = none is known */
	uint32_t orphan_since; /* unix seconds: as the directory was seen; 0 = it has an entry */
	uint32_t moved_at;     /* unix seconds: it is on another host; 0 = it is not */
	uint32_t coming_at;    /* the same: it comes from one, and is nobody's yet */
	uint32_t
	    threads_at; /* all of its messages are in threads (store/thread.h); 0 = not those of before */
	bool warned, refused;        /* that little room is left; mail, for want of room */
	uint64_t changes_from;       /* the change log is complete behind this modseq */
	uint64_t vanished_from;      /* and its tombstones are behind this one */
	struct store_news_list news; /* the newest entries of the log; borrows from the snapshot */
};
/* 0, -ENOENT (never used yet: see store_account_start), -EBADMSG (there, but damaged), or another
 * -errno: the index cannot be read. */
int store_find_account(struct store_view *v, struct slice name, struct store_account *a) MUSTCHECK;
/* All accounts in the order of their names; starts behind *name (empty = at the first). */
bool store_next_account(struct store_view *v, struct slice *name, struct store_account *a);
/* By canonical name; the same. */
int store_find_mailbox(struct store_view *v, uint64_t account, struct slice name,
    uint64_t *id) MUSTCHECK;
/* The same.  The checksum is not looked at. */
int store_get_mailbox(struct store_view *v, uint64_t id, struct store_mailbox *m) MUSTCHECK;

/* The folders of an account in the order of their names' bytes:
 *	struct store_folder f = { .account = id };
 *	while (store_next_folder(v, &f)) ...
 * It starts behind f.name (empty = at the first), so a walk can be taken up in a later
 * snapshot if the caller kept the name. */
struct store_folder {
	uint64_t account;
	struct slice name;
	uint64_t mailbox; /* 0 = the name is damaged */
	uint8_t attrs, special;
	bool children; /* has folders below it */
};
bool store_next_folder(struct store_view *v, struct store_folder *f);
/* The subscribed names, the same way (only .account and .name are used).  They need not exist. */
bool store_next_subscription(struct store_view *v, struct store_folder *f);
bool store_subscribed(struct store_view *v, uint64_t account, struct slice name);

/* The marks of an account (store/client.h, enum store_know), also those that have ended:
 *	struct store_mark_walk m = { .account = id };
 *	while (store_mark_next(v, &m)) ... */
struct store_mark_walk {
	uint64_t account;
	uint32_t until; /* unix seconds */
	uint8_t key[16];
	bool began;
};
bool store_mark_next(struct store_view *v, struct store_mark_walk *m);

/* What waits for scripts (store/format.h, enum store_cause), in the order in which it happened: the first one behind
 * `after`.  False: there is none.  It borrows until the snapshot ends. */
struct store_happened {
	uint64_t number;
	enum store_cause cause;
	uint16_t flags;
	uint64_t keywords, account, mailbox, from;
	uint32_t at;         /* unix seconds */
	struct slice ranges; /* struct store_range, unaligned */
	struct slice login;
};
bool store_happened_next(struct store_view *v, uint64_t after, struct store_happened *e);
/* The name of the script of a mailbox (RFC 6785 2.3.1); false: nobody wants one to run. */
#define STORE_ANNOT_SCRIPT "/imapsieve/script"
bool
store_script_name(struct store_view *v, uint64_t account, uint64_t mailbox, struct slice *name);

/* ---- messages; inside a snapshot -------------------------------------------------------- */

/* Walks the messages of a UID range block by block.  Each call gives those of one block that are in
 * the range, ascending, in the view's room: they are good until the next call for this view.
 *	struct store_blocks b;
 *	store_blocks_init(&b, v, mailbox, 1, UINT32_MAX);
 *	while ((rec = store_blocks_next(&b, &n)))
 *		for (size_t i = 0; i < n; i++) ... rec[i] ... */
enum store_parts { /* of a record; what is not asked for means nothing, but uid */
	STORE_WHOLE,
	STORE_STATES, /* flags, keywords and modseq: that reads a tenth */
	STORE_RECORDS /* the others */
};
struct store_blocks {
	struct store_view *v;
	uint64_t mailbox;
	uint32_t from, to;
	uint64_t since; /* blocks without a modseq above it are passed over; 0 = none is.  Not with
			   STORE_RECORDS */
	enum store_parts parts;
	bool started; /* the cursors have been where it is */
	bool behind;  /* all rows: what is left are arrivals */
	bool over;
};
void store_blocks_init(struct store_blocks *b, struct store_view *v, uint64_t mailbox,
    uint32_t from, uint32_t to);
const struct store_record *store_blocks_next(struct store_blocks *b, size_t *n);
/* One record, good until the next call for this view, or NULL. */
const struct store_record *store_get_record(struct store_view *v, uint64_t mailbox, uint32_t uid);
/* Appends the mailbox's UIDs as struct store_range, ascending, not touching: from the
 * mailbox's row when it knows, else by a scan (about 1 ms for 100,000 messages). */
void store_uid_runs(struct store_view *v, const struct store_mailbox *m, struct buf *ranges);
/* How many are unseen: m->unseen for nearly all; else a look at each run of UIDs. */
uint32_t store_unseen(struct store_view *v, const struct store_mailbox *m);
/* Has the login for which the snapshot was begun a \Seen of its own in the mailbox? */
bool store_seen_apart(struct store_view *v, uint64_t mailbox);
/* The first unseen uid, 0 = none. */
uint32_t store_first_unseen(struct store_view *v, const struct store_mailbox *m);
/* The cache bytes of a message, {NULL, 0} when there are none: then parse the file.  Behind the digest
 * there may be places, which its readers pass over.  Going through ascending emailids costs one
 * cursor step each. */
struct slice store_get_cache(struct store_view *v, uint64_t emailid);
/* The same of up to STORE_BLOCK messages at once, in any order: out[i] is that of ids[i].  One walk
 * through the table in the order of its keys; of what it finds the first `ahead` bytes are on their
 * way from memory when it returns, so that who reads them does not wait for one after the other. */
void store_get_caches(struct store_view *v, const uint64_t *ids, size_t n, size_t ahead,
    struct slice *out);

/* The login behind *login (empty: the first) that has marked messages of somebody else's mailbox for itself; it borrows
 * from the snapshot.  Costs a look-up. */
bool store_reader_login(struct store_view *v, uint64_t mailbox, struct slice *login);
/* Who has marked messages of somebody else's mailbox for himself, in the order of the logins:
 *	struct store_read_by by = { .login = S("") };
 *	while (store_reader_next(v, &m, &by)) ...
 * It starts behind by.login, which borrows from the snapshot.  Costs for each what store_unseen() does. */
struct store_read_by {
	struct slice login;
	uint64_t modseq; /* of his last mark; 0 = not known */
	uint32_t seen;   /* messages that are there and that he has seen */
	uint32_t from,
	    at; /* unix seconds: when he marked for the first time, for the last; 0 = not known */
};
bool
store_reader_next(struct store_view *v, const struct store_mailbox *m, struct store_read_by *by);
/* Appends the UIDs that this login has seen of it, also of messages that are no more: struct store_range, ascending. */
void
store_reader_seen(struct store_view *v, uint64_t mailbox, struct slice login, struct buf *ranges);

/* ---- changes; inside a snapshot ----------------------------------------------------------- */

/* Appends the UID runs that were expunged after `since` (struct store_range, may overlap).
 * Returns 0, or -ENOENT when tombstones that old are gone. */
int store_vanished(struct store_view *v, uint64_t mailbox, uint64_t since,
    struct buf *ranges) MUSTCHECK;
/* Appends the runs of UIDs up to `last` whose flags may have changed after `since`, ascending and
 * apart: from the account's change log when it reaches back and is short, which costs what has
 * changed, else whole blocks, by the modseq in their heads (100 ns for 32 messages).  Some of them may
 * be gone or unchanged: ask their records.  0, -ENOENT (no mailbox), -EBADMSG. */
int store_changed_uids(struct store_view *v, uint64_t mailbox, uint64_t since, uint32_t last,
    struct buf *ranges) MUSTCHECK;
/* The same by the log alone: -ENODATA when it does not reach back or has too many rows. */
int store_changed_logged(struct store_view *v, uint64_t mailbox, uint64_t since, uint32_t last,
    struct buf *ranges) MUSTCHECK;

/* The change log of an account, oldest first:
 *	struct store_change_walk c = { .account = id, .since = modseq };
 *	while (store_change_next(v, &c)) ...
 * Complete when `since` is not below changes_from of the account (tombstones: vanished_from).  A
 * modseq may have several rows, so take a walk up again behind the modseq of its last row. */
struct store_change_walk {
	uint64_t account, since;
	uint64_t modseq, mailbox;
	enum store_change_kind kind;
	uint32_t at;          /* unix seconds */
	struct slice entries; /* count of the kind's struct, unaligned */
	size_t count;
	/* Its own: the row where it is, entries that are still to come, and whether those of the
	 * account's record are among them.  Who has that record may set them beforehand. */
	uint64_t row;
	uint32_t number;
	struct store_news_list news, newest;
	bool started, has_newest, ends;
	/* Set by who looks for tombstones alone: news stay rows, and the walk may go on in another
	 * snapshot.  Any other walk, and the entries of any, end with the snapshot. */
	bool tombstones;
};
bool store_change_next(struct store_view *v, struct store_change_walk *c);
struct store_range store_change_range(const struct store_change_walk *c, size_t i);
struct store_gone store_change_gone(const struct store_change_walk *c, size_t i);
/* Of a folder that was made (STORE_CHANGE_FOLDER) or deleted; 0 = not said: then it is one that has changed. */
uint64_t store_change_objectid(const struct store_change_walk *c);

/* Where a content is now, in the order of mailboxes and UIDs, deleted mailboxes left out:
 *	struct store_place p = { .emailid = id };
 *	while (store_email_next(v, &p)) ... p.mailbox, p.uid ... */
struct store_place {
	uint64_t emailid, mailbox;
	uint32_t uid;
};
bool store_email_next(struct store_view *v, struct store_place *p);
/* Rights that the mailbox gives to an identifier, as bits of STORE_RIGHTS.  0 or -ENOENT. */
int store_acl_find(struct store_view *v, uint64_t mailbox, struct slice identifier,
    uint32_t *rights) MUSTCHECK;
/* All of them, by identifier (not that of mailbox 0, see store/acl.h); starts behind *identifier (empty = at the first). */
bool
store_acl_next(struct store_view *v, uint64_t mailbox, struct slice *identifier, uint32_t *rights);

/* What this person may do with the mailbox (store/acl.h), which is in this snapshot. */
uint32_t store_rights(struct store_view *v, const struct store_mailbox *m, struct store_person who);
/* The accounts of others in this partition that let this person look up a mailbox, in the order of their ids
 * behind *account (0 = the first): by an index, so that nobody else's costs anything.  *owner is the
 * account's name; what it lets see may have been taken away again by a negative identifier, or be less than to look. */
bool store_next_sharer(struct store_view *v, struct store_person who, uint64_t *account,
    struct slice *owner);
/* Does any mailbox of the partition give something to a group, or take it? */
bool store_names_groups(struct store_view *v);

/* The annotation of a mailbox (0: of the server) that this login has, or ("") that all share; *a borrows from
 * the snapshot, name and login from the caller.  0, -ENOENT, -EBADMSG: damaged. */
int store_annot_find(struct store_view *v, uint64_t account, uint64_t mailbox, struct slice login,
    struct slice name, struct store_annot *a) MUSTCHECK;
/* Rows in the order of their keys, also those that are gone, damaged ones left out:
 *	struct store_annot_walk w;
 *	store_annot_walk_login(&w, account, mailbox, login, S(""));
 *	while (store_annot_next(v, &w, &a)) ...
 * The walk keeps its place over snapshots; what it has given dies with each.  With `heads`, to be set by who wants
 * to know which there are, no value is read or given: a row costs the same whatever its length. */
struct store_annot_walk {
	size_t nprefix, n;
	bool began, heads;
	uint8_t key[STORE_ANNOT_KEY];
};
/* All of a mailbox; those of a login from an entry on; all of an account from a mailbox on. */
void store_annot_walk(struct store_annot_walk *w, uint64_t account, uint64_t mailbox);
void store_annot_walk_login(struct store_annot_walk *w, uint64_t account, uint64_t mailbox,
    struct slice login, struct slice name);
void store_annot_walk_account(struct store_annot_walk *w, uint64_t account, uint64_t from);
bool store_annot_next(struct store_view *v, struct store_annot_walk *w, struct store_annot *a);

/* ---- files: outside or inside a snapshot; any snapshot is ended ------------------------- */

/* Opens a message's file for reading.  Finds it after a rename of its folder, and while it is
 * expunged but not purged.  fd or -errno (-ENOENT: gone;
 * -EBADMSG, -ELOOP: its file is damaged, logged).  Blocks on the disk: big bodies
 * belong on the work pool, with a view of their own. */
int store_open_message(struct store_view *v, uint64_t mailbox, uint32_t uid) MUSTCHECK;
#endif

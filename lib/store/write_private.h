/* store/write_private.h: the inside of the writer, shared by write_*.c. */
#ifndef STORE_WRITE_PRIVATE_H
#define STORE_WRITE_PRIVATE_H
#include <lmdb.h>
#include <pthread.h>
#include "base/map.h"
#include "store/oplog.h"
#include "store/write.h"

#define UNCONST(p) ((void *)(uintptr_t)(p))
#define SYNC_FEW   3     /* so many files are synced one by one, more by one syncfs */
#define BOXES_MOST 50000 /* mailboxes remembered between batches */

/* An account in the writer's memory. */
struct wacct {
	struct store_disk_account d;
	char *name;
	struct wbox *inbox;     /* once it has been asked for */
	bool dirty;
	struct wacct *next_dirty;
	uint8_t key[8];         /* id, for the map */
};

/* The block at a mailbox's end, kept while a batch appends to it. */
struct wtail {
	struct store_block_head head;
	struct store_record rec[STORE_BLOCK];
	struct wtail *next;     /* of the free ones */
	uint32_t block;
	uint8_t logged;         /* so many records were there before */
};

/* A mailbox in the writer's memory: the record taken apart. */
struct wbox {
	uint64_t id;
	uint8_t key[8];
	struct wacct *acct;
	struct store_disk_mailbox d; /* without crc, lengths, nkeywords */
	char *name;
	char *dir;              /* its directory, relative to the partition */
	struct store_range *runs;
	uint16_t nruns, runs_room; /* or nruns = STORE_RUNS_UNKNOWN */
	char **keywords;
	uint8_t nkeywords;
	uint32_t hh[8];         /* bit: the directory of messages is known to exist */
	struct wtail *tail;
	bool dirty, gone;
	uint64_t noted;         /* number of the batch that is noted to link files here */
	struct wbox *next_dirty;
};

struct wlink {                  /* a link made by this batch, to be undone if it fails */
	struct wbox *box;
	uint32_t uid;
};

/* A COPY or MOVE whose links are made in slices: write_slow.c. */
struct slow {
	struct store_job *job;  /* NULL = none */
	struct wacct acct;      /* stand-ins that hold no more than names */
	struct wbox from, to;
	uint64_t account;
	struct buf records;     /* the sources */
	size_t n, at;
	uint32_t first;         /* uid of the first copy */
	int rc;
	bool finishing;         /* its rows are in the running batch */
};

/* The end of the operation log. */
struct wlog {
	struct buf b;           /* the frame of the batch that runs */
	int dirfd, fd;          /* log/ and the last segment; -1 = none */
	uint32_t segment;       /* its number */
	uint64_t at, before;    /* its length; what it was before the last frame */
	bool changed;           /* the batch changes something */
	bool numbered;          /* and has been given its number */
	bool lost;              /* the last frame could not be written */
};

struct dup_set;
struct note;

struct store_part {
	struct store_part_config c;
	char *name, *path, *snapshots;
	int dirfd, syncfd;
	MDB_env *env;
	MDB_dbi dbi[STORE_TABLES];

	/* The writer thread's own. */
	MDB_txn *txn;

	int error;              /* of this batch: LMDB code, sticky */
	int64_t now;
	struct store_disk_ids ids;
	bool ids_dirty;
	struct map accounts;    /* name -> wacct */
	struct map accounts_by_id;
	struct map boxes;       /* id -> wbox */
	struct wbox *dirty_boxes;
	struct wacct *dirty_accounts;
	struct wtail *free_tails;
	struct wlink *links;
	size_t nlinks, links_room;
	int sync_fds[SYNC_FEW]; /* bodies linked in this batch, as long as they are few */
	size_t nsync;
	uint64_t batch;         /* number of the one that runs */
	struct buf gone;        /* struct wbox *: deleted in this batch */
	bool dirs_made, bulk;   /* something besides those bodies needs a sync */
	bool full;
	uint64_t next_purge, next_dupe, next_intent;
	struct buf scratch;
	struct buf events, new_accounts;
	struct buf done_intents; /* uint64_t: rows to drop in the next batch */
	struct dup_set *dups;
	struct note *note;
	struct slow slow;
	struct wlog log;
	bool fresh;             /* the index has just been made */

	/* Shared. */
	pthread_t writer, purger, snapper;
	bool started;
	pthread_mutex_t lock;
	pthread_cond_t work;    /* jobs or stop */
	pthread_cond_t purge_wake, snap_wake;
	struct list snap_jobs;  /* who waits for a snapshot */
	bool snap_due;          /* one is wanted now: the log has a hole */
	struct list jobs;       /* waiting */
	size_t njobs;
	struct store_finished out;
	bool stop, stop_purge, stop_snap;
	uint64_t purge_told, purge_heard; /* jobs of the purge: handed over, finished */
	bool purge_failed;      /* the last one was not committed */
	pthread_mutex_t names;  /* held while directories move, and by the purge */
	struct store_part_stats shown; /* as of the last batch */

	struct store_part_stats stats; /* the writer's own */
};

/* ---- write_env.c: the environment and rows ------------------------------------------------ */
int env_open(struct store_part *p, char **why) MUSTCHECK;
void env_close(struct store_part *p);
/* Rows within the batch; errors stick in p->error. */
void row_put(struct store_part *p, enum store_table t, const void *key, size_t nkey,
    const void *value, size_t n, unsigned flags);
struct slice row_get(struct store_part *p, enum store_table t, const void *key, size_t nkey);
void row_del(struct store_part *p, enum store_table t, const void *key, size_t nkey);
void row_del_here(struct store_part *p, enum store_table t, MDB_cursor *c, const MDB_val *k);
/* A row whose change has been logged in shorter form: see log_op. */
void row_put_logged(struct store_part *p, enum store_table t, const void *key, size_t nkey,
    const void *value, size_t n);
#define NEW_ID(p, kind) new_id((p), offsetof(struct store_disk_ids, kind))
uint64_t new_id(struct store_part *p, size_t counter_at);

/* ---- write_box.c: accounts and mailboxes in memory ------------------------------------------ */
struct wacct *acct_find(struct store_part *p, struct slice name);
struct wacct *acct_by_id(struct store_part *p, uint64_t id);
struct wacct *acct_new(struct store_part *p, struct slice name);
struct wbox *box_find(struct store_part *p, uint64_t id);       /* NULL = no such mailbox */
struct wbox *box_named(struct store_part *p, struct wacct *a, struct slice name);
struct wbox *box_inbox(struct store_part *p, struct wacct *a);
struct wbox *box_new(struct store_part *p, struct wacct *a, const char *name, enum store_special use);
void box_set_name(struct store_part *p, struct wbox *b, const char *name); /* and the dir */
void box_forget(struct store_part *p, struct wbox *b);          /* its record is deleted */
void box_dirty(struct store_part *p, struct wbox *b);
void acct_dirty(struct store_part *p, struct wacct *a);
uint64_t box_touch(struct store_part *p, struct wbox *b);       /* the next modseq, set */
uint32_t next_uidvalidity(struct store_part *p, struct wacct *a);
void name_put(struct store_part *p, struct wbox *b);
void name_del(struct store_part *p, struct wacct *a, const char *name);
size_t name_key(uint8_t key[8 + STORE_NAME_MAX + 1], uint64_t account, struct slice name);
/* Bits of keyword names; new ones are made when `make`, those for which the mailbox has no room
 * are left out. */
uint64_t box_keywords(struct store_part *p, struct wbox *b, struct slice names, bool make);
/* Would all of them fit? */
bool box_keywords_fit(const struct wbox *b, struct slice names);
void flush_dirty(struct store_part *p);      /* all rows of what is dirty */
void forget_gone(struct store_part *p);      /* mailboxes that a committed batch deleted */
void forget_all(struct store_part *p);       /* after a failed batch, or when memory is full */
void event_add(struct store_part *p, enum store_event_kind kind, uint64_t account, uint64_t mailbox,
    uint64_t modseq);

/* ---- write_block.c: index blocks ------------------------------------------------------------- */
void box_append(struct store_part *p, struct wbox *b, const struct store_record *rec); /* counts too */
void box_insert(struct store_part *p, struct wbox *b, const struct store_record *rec); /* uid < uidnext */
void box_flush_tail(struct store_part *p, struct wbox *b);
enum edit { EDIT_KEEP, EDIT_CHANGED, EDIT_DROP };
typedef enum edit edit_fn(void *arg, struct store_record *rec);
/* Walks the records in `ranges` (n = 0: all), ascending, letting fn change or drop them. */
void box_walk(struct store_part *p, struct wbox *b, const struct store_range *ranges, size_t n,
    edit_fn *fn, void *arg);
void box_runs_remove(struct store_part *p, struct wbox *b, const struct store_range *gone, size_t n);
void box_find_unseen(struct store_part *p, struct wbox *b); /* moves first_unseen on */
void range_add(struct buf *b, uint32_t uid);  /* extends the last struct store_range or adds one */

/* ---- write_file.c: links and directories ------------------------------------------------------ */
int link_body(struct store_part *p, struct wbox *b, uint32_t uid, int fd) MUSTCHECK;
/* Copies' links; from and to are in step. */
int link_messages(struct store_part *p, struct wbox *from, const struct store_record *rec, size_t n,
    struct wbox *to, uint32_t first_uid) MUSTCHECK;
void links_undo(struct store_part *p, size_t keep); /* removes those from the keep-th on */
int make_box_dir(struct store_part *p, struct wbox *b) MUSTCHECK;
int clone_body(struct store_part *p, int fd) MUSTCHECK; /* a copy in this partition: fd or -errno */
int sync_files(struct store_part *p) MUSTCHECK;
int move_dir(struct store_part *p, enum store_intent kind, const char *from, const char *to) MUSTCHECK;
void remove_tree(int dirfd, const char *path);
int note_open(struct store_part *p) MUSTCHECK;
void note_add(struct store_part *p, struct wbox *b);
void note_clear(struct store_part *p);
void note_close(struct store_part *p);
void note_mend(struct store_part *p); /* at start: removes files of a batch that never was */

/* ---- write_dup.c ---------------------------------------------------------------------------------- */
struct dup_set *dup_new(void);
void dup_free(struct dup_set **s);
bool dup_has(const struct dup_set *s, const uint8_t key[16]);
void dup_add(struct dup_set *s, const uint8_t key[16], uint32_t at);
size_t dup_count(const struct dup_set *s);
void dup_expire(struct dup_set *s, uint32_t before);
void dup_load(struct store_part *p);    /* at start, in a transaction */
void dup_flush(struct store_part *p);   /* writes this batch's keys, drops old rows */
void dup_settled(struct store_part *p, bool committed);

/* ---- the requests ------------------------------------------------------------------------------------- */
void run_deliver(struct store_part *p, struct store_job *j);
void run_append(struct store_part *p, struct store_job *j);
void run_adopt(struct store_part *p, struct store_job *j);
void run_account(struct store_part *p, struct store_job *j);
void run_create(struct store_part *p, struct store_job *j);
void run_delete(struct store_part *p, struct store_job *j);
void run_rename(struct store_part *p, struct store_job *j);
void run_subscribe(struct store_part *p, struct store_job *j);
void run_flags(struct store_part *p, struct store_job *j);
void run_expunge(struct store_part *p, struct store_job *j);
void run_copy(struct store_part *p, struct store_job *j);
void run_move(struct store_part *p, struct store_job *j);
void run_claim(struct store_part *p, struct store_job *j);
void run_recount(struct store_part *p, struct store_job *j);
void run_purged(struct store_part *p, struct store_job *j);
/* Jobs that move directories after the commit run alone. */
bool job_alone(const struct store_job *j);

struct wacct *acct_prepare(struct store_part *p, struct slice name); /* with the default folders */
/* Moves messages between mailboxes: the common part of COPY, MOVE and RENAME INBOX. */
void expunge_records(struct store_part *p, struct wbox *b, const struct store_range *ranges, size_t n,
    bool any, struct buf *gone);
bool copy_records(struct store_part *p, struct store_job *j, struct wbox *from,
    const struct store_range *ranges, size_t n, struct wbox *to, const struct store_limits *limits,
    struct buf *uids, uint32_t *first);
void append_copies(struct store_part *p, struct wbox *from, struct wbox *to,
    const struct store_record *rec, size_t n, struct buf *uids);
void reply_copied(struct store_job *j, struct wbox *to, const struct buf *uids, uint32_t first);
void intent_add(struct store_part *p, enum store_intent kind, const char *from, const char *to);
/* The moves that this batch has promised; after its commit. */
void intents_run(struct store_part *p);
void intents_drop(struct store_part *p);

bool over_quota(struct store_part *p, const struct wacct *a, const struct store_limits *l, uint64_t bytes,
    uint64_t messages, struct verdict *v);
void reply_ok(struct store_job *j);
void reply_fail(struct store_job *j, enum store_code code, struct verdict v);
void reply_no_mailbox(struct store_job *j);
bool reply_if_full(struct store_part *p, struct store_job *j);
const struct store_range *ranges_keep(struct arena *a, const struct buf *b, size_t *n);

/* ---- write_slow.c ---------------------------------------------------------------------------------------- */
/* Takes the job out of the batch when it is long; false: run it now. */
bool slow_start(struct store_part *p, struct store_job *j, struct wbox *from, struct wbox *to,
    const struct store_limits *limits) MUSTCHECK;
bool slow_conflict(const struct store_part *p, const struct store_job *j); /* must wait for it */
bool slow_step(struct store_part *p) MUSTCHECK; /* the next slice; true = ready for its batch */
void slow_finish(struct store_part *p, struct store_job *j);
void slow_settled(struct store_part *p, bool committed);
void slow_note(struct store_part *p);           /* after the note has been cleared */

/* ---- write_purge.c -------------------------------------------------------------------------------------- */
void purge_add(struct store_part *p, uint64_t mailbox, const struct store_purge_item *items, size_t n);
void *purge_main(void *arg);

/* ---- write_log.c: the operation log ------------------------------------------------------------------------- */
int log_open(struct store_part *p, char **why) MUSTCHECK; /* after env_open */
void log_close(struct store_part *p);
void log_begin(struct store_part *p);          /* a batch */
void log_op(struct store_part *p, enum oplog_kind kind, enum store_table t, struct slice key,
    struct slice value);
void log_append(struct store_part *p);         /* the batch's frame, before its sync */
void log_undo(struct store_part *p);           /* the batch has failed */
void log_trim(struct store_part *p, uint64_t batch); /* segments up to this batch may go; any thread */

/* ---- write_snapshot.c ----------------------------------------------------------------------------------- */
void *snapshot_main(void *arg);
void snapshot_want(struct store_part *p);      /* soon; any thread */

/* ---- write_batch.c -------------------------------------------------------------------------------------- */
void *writer_main(void *arg);
#endif

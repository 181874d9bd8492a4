/* store/writer/writer-impl.h: the inside of the writer: what one thread alone knows of a partition.
 *
 * struct writer and all that hangs from it is touched by the writer's thread, and by the opening
 * before there is one; the other threads and what is shared with them are in threads-impl.h. */
#ifndef STORE_WRITER_IMPL_H
#define STORE_WRITER_IMPL_H
#include "mail/outcome.h"
#include "store/block.h"
#include "store/read.h"
#include "store/writer/domain-impl.h"
#include "store/writer/event-impl.h"
#include "store/writer/quota-impl.h"
#include "store/writer/runs-impl.h"
#include "store/writer/seen-impl.h"
#include "store/writer/threads-impl.h"

#define BOXES_MOST 50000 /* mailboxes remembered between batches */

/* The rows of an account's annotations: annot.c. */
struct wannots {
	bool counted;  /* the others are known, and kept */
	uint32_t rows; /* also those that say that one is gone, which are so many: */
	uint32_t gone;
	uint32_t guests; /* of others than the owner */
	uint64_t bytes, guest_bytes;
};

/* An account in the writer's memory. */
struct wacct {
	struct store_disk_account d;
	char *name;
	struct wbox *inbox;          /* once it has been asked for */
	struct store_domain *domain; /* the same: domain.c */
	bool dirty;
	struct wacct *next_dirty;
	uint64_t trimmed; /* modseq at which old rows of its change log were looked for last */
	uint64_t threads_trimmed, ref_at[2], member_at[2]; /* the same of its threads: thread.c */
	struct store_news news[STORE_NEWS];                /* of its record */
	uint8_t nnews;
	bool acl_counted; /* acl_rows is known, and kept: acl.c */
	uint32_t acl_rows;
	struct wannots annots;
	struct wquota quota;              /* its own, in place of the directory's */
	bool uses_known;                  /* uses[] is right: know.c */
	uint64_t uses[STORE_USE_MAX + 1]; /* mailbox */
	bool gone;                        /* it is in writer.gone_accounts */
	uint8_t key[8];                   /* id, for the map */
};

/* The block at a mailbox's end, kept while a batch appends to it, and for the next one. */
struct wtail {
	struct store_block index;
	struct store_states states;
	struct list link;   /* of writer.kept_tails, when its rows are as it is */
	struct wtail *next; /* of the free ones */
	struct wbox *box;
	uint32_t block;
	uint32_t logged; /* these UIDs were there before */
};

/* A mailbox in the writer's memory: the record taken apart. */
struct wbox {
	uint64_t id;
	uint8_t key[8];
	struct wacct *acct;
	struct store_disk_mailbox d; /* without crc, lengths, nkeywords */
	char *name;
	char *dir; /* its directory, relative to the partition */
	struct store_range *runs;
	uint16_t nruns, runs_room; /* or nruns = STORE_RUNS_UNKNOWN */
	char **keywords;
	uint8_t nkeywords;
	bool may_keywords;  /* what the job at hand may set of flags, as of */
	uint16_t may_flags; /* writer_box_selectable: all, for most; */
	bool seen_apart;    /* and its \Seen is that of the one who asks alone */
	uint32_t hh[8];     /* bit: the directory of messages is known to exist */
	struct wtail *tail;
	bool dirty, gone;
	struct wquota quota;
	struct store_record
	    *arrivals; /* the newest messages, in no block; room for STORE_ARRIVALS */
	uint8_t narrivals;
	uint64_t inflight_batch; /* the batch whose links here are in `inflight`, */
	uint32_t inflight_at;    /* there; UINT32_MAX = there was no room */
	struct wbox *next_dirty;
};

/* A job that is done in slices: long.c. */
struct writer;
struct wlong;
/* Does a slice, from l->uid on until writer_long_over.  True: it was the last, the reply is set. */
typedef bool long_fn(struct writer *w, struct wlong *l);
/* What a long COPY or MOVE has in hand: copy.c. */
struct wcopy {
	enum copy_stage { COPY_COLLECTS, COPY_CLEARS, COPY_CHECKS, COPY_FILLS, COPY_SHOWS } stage;
	struct buf records; /* struct store_record: the sources */
	size_t n, at;
	uint64_t bytes;
	struct buf to;  /* struct store_range: UIDs of the copies */
	uint32_t first; /* of them */
	bool holds;     /* nothing else may come into the mailbox */
};

/* What a RECOUNT or MEND has in hand: recount.c, damaged.c. */
struct wcount {
	bool begun, mended,
	    counted;         /* it is at a mailbox; whose blocks agree; whose messages are in d */
	uint32_t block, uid; /* where the next slice mends, counts */
	struct store_disk_mailbox d; /* what has been counted */
	struct buf runs;             /* struct store_range; so many that they are not known: */
	bool runs_many;
	uint8_t change[20]; /* MEND, RELINK: the change log has been read up to this key */
	/* RECOUNT: */
	uint64_t mailbox; /* 0 = the one behind `name` is next */
	struct buf name;
	uint64_t bytes, messages;
	uint32_t mailboxes;
};

struct wlong {
	struct list link; /* of writer.longs: in the order of their turns */
	struct store_job *job;
	long_fn *slice;
	uint64_t account, mailbox, mailbox2; /* of the latter it has one or two */
	uint64_t account2; /* COPY and MOVE: the source's, which may be another; else 0 */
	const struct store_range *ranges; /* of the request; once it is long, what there was then */
	size_t nranges;
	uint32_t uid;     /* where the next slice begins */
	uint64_t row;     /* empty.c: and the row of `intent` */
	bool aside;       /* nobody waits for it */
	uint32_t changes; /* modseqs that it has taken */
	struct buf uids;  /* struct store_range: what the answer names */
	bool in_batch;    /* a slice is in the running batch */
	bool alone;       /* nothing else of the account is done meanwhile */
	bool moves;       /* its slices move directories */
	struct wcopy copy;
	struct wcount count;
};

/* The end of the operation log. */
struct wlog {
	struct buf b;        /* the frame of the batch that runs */
	int dirfd, fd;       /* log/ and the last segment; -1 = none */
	uint32_t segment;    /* its number */
	uint64_t at, before; /* where its frames end; where they did before the last one */
	uint64_t written;    /* bytes of the last one may be up to here */
	uint64_t size;       /* of the file: zeros behind the frames */
	uint64_t stable;     /* so much of it has its place on the disk */
	uint64_t unlogged;   /* when it was opened it had no frame up to this batch */
	bool here;           /* what it has behind the index was written under this kernel */
	bool doubt;          /* a sync of that has failed */
	bool changed;        /* the batch changes something */
	bool numbered;       /* and has been given its number */
	bool lost;           /* the last frame could not be written */
	bool unmarked;       /* its next frame says of which versions the rows are */
};

struct dup_set;

/* An id as the key of a map. */
static inline void
map_key_set(uint8_t key[8], uint64_t id)
{
	memcpy(key, &id, 8);
}
static inline struct slice
map_key(const uint8_t key[8])
{
	return slice((const char *)key, 8);
}

/* The writer's own; nobody else looks. */
struct writer {
	const struct store_part_config *config;
	struct part_env *env;
	struct part_files *files;
	struct store_queue *queue;

	/* The running batch. */
	MDB_txn *txn;
	int error;   /* LMDB code, sticky */
	int64_t now; /* unix seconds */
	bool ids_dirty;
	struct buf gone;           /* struct wbox *: deleted in this batch */
	struct buf events;         /* struct store_event */
	struct buf domain_changes; /* what the batch has added to sums of domains: domain.c */
	struct buf warning_fds;    /* int: bodies of warnings, until the batch is over */
	struct buf gone_accounts;  /* struct wacct *: erased in this batch */
	struct buf
	    new_accounts; /* struct store_known; names borrow from accounts, also gone ones */
	struct buf scratch;
	MDB_cursor *places; /* on `email`, ends with txn; NULL = not yet needed */

	/* What it knows of the partition. */
	struct store_disk_ids ids;
	struct map accounts; /* name -> wacct */
	struct map accounts_by_id;
	struct map boxes;   /* id -> wbox */
	struct map damaged; /* table and key -> struct damage: noted */
	struct wbox *dirty_boxes;
	struct wacct *dirty_accounts;
	struct list kept_tails; /* of mailboxes that no batch appends to now; the oldest first */
	size_t nkept;
	struct wtail *free_tails;
	uint64_t next_purge, next_dupe, next_intent;
	struct buf done_intents; /* uint64_t: rows to drop in the next batch */
	uint64_t moves_at;       /* ms: when moves were made last */
	uint64_t moves_told;     /* the failure of intents below this one has been told */
	struct buf pending;      /* struct known_row: copies without files, pending.c */
	size_t pending_kept;     /* bytes of that which are committed */
	struct buf linked;       /* keys of rows that this batch drops */
	struct dup_set *dups;
	struct list longs; /* struct wlong */
	bool empty_due;    /* deleted mailboxes are still to be emptied */
	uint64_t slice_at; /* us: since when the running job or slice is at work */
	uint64_t cpu_at;   /* us of the thread's CPU time when the last batch ended */
	struct wlog oplog;
	bool full;                      /* of disk: nothing is taken in */
	uint64_t space_at;              /* us: when the disk must be asked again */
	bool index_near;                /* nine tenths of the map are used */
	struct buf held;                /* struct held: accounts that are being moved away */
	int failing;                    /* what the last batch failed for, 0 = it did not */
	uint64_t failures;              /* batches in a row */
	bool fresh;                     /* the index has just been made */
	bool older;                     /* it was opened with tables of older versions */
	uint64_t found_batch;           /* its last batch, when the log had been done again */
	struct verdict delivered, done; /* made once: each delivery is answered by them */
	struct store_part_stats stats;
};

struct store_part {
	struct store_part_config config; /* strings are its own; never changes */
	char *name, *path, *snapshots;   /* those strings */
	struct part_env env;
	struct part_files files;
	struct store_queue queue;
	struct writer writer;
	struct purger purger;
	struct linker linker;
	struct snapper snapper;
	struct steadier steadier;
	pthread_t writer_thread, purger_thread, snapper_thread, linker_thread, steadier_thread;
	bool started;
};

/* ---- env.c: the environment and rows; the writer's thread ------------------------------------ */
int writer_env_open(struct writer *w, char **why) MUSTCHECK;
int writer_env_ready(struct writer *w, char **why) MUSTCHECK; /* tables: the first commit */
/* Gives the batch its number, a row of it, and puts what the log is to say of the format. */
void writer_batch_number(struct writer *w);
/* What the writer keeps in memory of it, after the log has been done again; marks an index that is older.  0 or
 * -errno; *why (heap, caller frees) may be set. */
int writer_env_load(struct writer *w, char **why) MUSTCHECK;
void writer_env_close(struct part_env *env);
/* Rows within the batch; errors stick in w->error. */
void writer_row_put(struct writer *w, enum store_table t, const void *key, size_t nkey,
    const void *value, size_t n, unsigned flags);
struct slice writer_row_get(struct writer *w, enum store_table t, const void *key, size_t nkey);
void writer_row_del(struct writer *w, enum store_table t, const void *key, size_t nkey);
void writer_row_del_here(struct writer *w, enum store_table t, MDB_cursor *c, const MDB_val *k);
/* A row whose change has been logged in shorter form (see writer_oplog_op), or is not. */
void writer_row_put_unlogged(struct writer *w, enum store_table t, const void *key, size_t nkey,
    const void *value, size_t n, unsigned flags);
/* One with room behind its value, `room` bytes with it, which are 0: the log has the value alone. */
void writer_row_put_roomy(struct writer *w, enum store_table t, struct slice key,
    struct slice value, size_t room);

/* ---- acl.c: rights; the writer's thread -------------------------------------------------------- */
/* What the login for which it is asked may do with the mailbox. */
uint32_t writer_box_rights(struct writer *w, const struct store_job *j, const struct wbox *b);
/* Refuses: with rights 0 in the words for what is not there. */
void writer_reply_forbid(struct store_job *j, const struct wacct *a, uint32_t rights);
/* May the login for which it is asked not do this to the mailbox?  Then the reply is set. */
bool writer_reply_unless_may(struct writer *w, struct store_job *j, struct wbox *b);
/* The same for one who has `needs` from the folder of this name or, `above`, from the nearest above it. */
bool writer_reply_unless_named(struct writer *w, struct store_job *j, struct wacct *a,
    const char *name, bool above, uint32_t needs);
/* Asked for a login that is not the account's?  Then the reply is set. */
bool writer_reply_unless_owner(struct store_job *j, const struct wacct *a);
/* Would the folders that are made for this name, itself or only those above it, give rights that the account
 * has no more room for?  Then the reply is set. */
bool writer_reply_if_acl_many(struct writer *w, struct store_job *j, struct wacct *a,
    const char *name, bool itself);
void writer_acl_inherit(struct writer *w, struct wbox *b); /* a new one, from the one above it */
void writer_acl_forget(struct writer *w, const struct wbox *b); /* what it gives goes */
/* What it gives to a login, or takes, goes over to another, or ("") goes.  False: it names it not. */
bool writer_acl_leave(struct writer *w, struct wbox *b, struct slice from, struct slice to);
void writer_annot_leave(struct writer *w, struct wbox *b, struct slice from, struct slice to);

/* ---- annot.c: annotations; the writer's thread -------------------------------------------------- */
/* know.c: what deliveries ask, and let the account remember. */
/* The folder of the account with this use, or 0. */
uint64_t writer_use_find(struct writer *w, struct wacct *a, enum store_special use);
/* The mailbox of an objectid that mail can go into, or 0. */
uint64_t writer_object_find(struct writer *w, struct wacct *a, uint64_t objectid);
/* folder.c: makes a folder for mail that comes, with those above it.  0 and *b; -ENOENT: it cannot be made (its name,
 * how many there are, what is still to be moved); -errno of a damaged record. */
int writer_folder_for_mail(struct writer *w, struct store_job *j, struct wacct *a, const char *name,
    enum store_special use, struct wbox **b);
void writer_annot_forget(struct writer *w, const struct wbox *b); /* those of a mailbox go */
/* Those of its owner, whose login changes, in all of its mailboxes. */
void writer_annot_rename(struct writer *w, struct wacct *a, struct slice from, struct slice to);

/* ---- ids.c: numbers that are never used again; the writer's thread --------------------------- */
int writer_ids_load(struct writer *w) MUSTCHECK; /* at start, in a transaction: 0 or an LMDB code */
void writer_ids_put(struct writer *w);           /* their row */
#define NEW_ID(w, kind) writer_new_id((w), offsetof(struct store_disk_ids, kind))
uint64_t writer_new_id(struct writer *w, size_t counter_at);

/* ---- account.c: accounts in memory, quota; the writer's thread ------------------------------- */
/* 0; -ENOENT; -EBADMSG: there, but damaged, which has been noted; -EIO: the batch has failed.  So do
 * all that find an account or a mailbox. */
int writer_account_find(struct writer *w, struct slice name, struct wacct **a) MUSTCHECK;
int writer_account_by_id(struct writer *w, uint64_t id, struct wacct **a) MUSTCHECK;
struct wacct *
writer_account_remember(struct writer *w, struct slice name, const struct store_disk_account *d);
void writer_account_put(struct writer *w, const struct wacct *a); /* its row */
struct wacct *writer_account_new(struct writer *w, struct slice name);
void writer_account_dirty(struct writer *w, struct wacct *a);
uint32_t writer_next_uidvalidity(struct writer *w, struct wacct *a);
void writer_accounts_settled(struct writer *w); /* the batch is over: those that are gone */

/* ---- freeze.c: accounts that nobody changes; the writer's thread ------------------------------ */
bool writer_is_frozen(const struct writer *w, const struct wacct *a);
struct verdict writer_verdict_frozen(const struct wacct *a);
/* Would the request change such an account?  Then the reply is set.  Of mail each target is looked at. */
bool writer_reply_if_frozen(struct writer *w, struct store_job *j);

/* ---- recount.c: counts; the writer's thread ---------------------------------------------------- */
/* Mends the mailbox's blocks and counts its messages, dropping the bits of keywords that are not
 * `named`, in slices: false, and *c is where to go on.  Nobody else may change the mailbox until it is
 * true and the count has been taken; asked again before that, it counts nothing twice. */
bool writer_count(struct writer *w, struct wcount *c, struct wbox *b, uint64_t named);
void writer_count_begin(struct wcount *c, const struct wbox *b);
void writer_count_take(struct writer *w, struct wcount *c, struct wbox *b); /* into the record */
void writer_count_fini(struct wcount *c);

/* ---- box.c: mailboxes in memory; the writer's thread ----------------------------------------- */
int writer_box_find(struct writer *w, uint64_t id, struct wbox **b) MUSTCHECK;
/* One that can have messages; NULL: the reply is set. */
struct wbox *writer_box_selectable(struct writer *w, struct store_job *j, uint64_t id);
int
writer_box_named(struct writer *w, struct wacct *a, struct slice name, struct wbox **b) MUSTCHECK;
/* Never -ENOENT: every account has one. */
int writer_box_inbox(struct writer *w, struct wacct *a, struct wbox **b) MUSTCHECK;
struct wbox *writer_box_remember(struct writer *w, struct wacct *a, uint64_t id, const char *name);
/* With its name row and its account's count.  The name must have been checked. */
struct wbox *
writer_box_new(struct writer *w, struct wacct *a, const char *name, enum store_special use);
void writer_box_set_name(struct wbox *b, const char *name); /* and the directory */
void writer_box_forget(struct writer *w, struct wbox *b);   /* its record is deleted */
void writer_box_dirty(struct writer *w, struct wbox *b);
uint64_t writer_box_touch(struct writer *w, struct wbox *b); /* the next modseq, set */
void writer_name_put(struct writer *w, struct wbox *b);
void writer_name_del(struct writer *w, struct wacct *a, const char *name);
size_t writer_name_key(uint8_t key[8 + STORE_NAME_MAX + 1], uint64_t account, struct slice name);
void writer_flush_dirty(struct writer *w); /* all rows of what is dirty */
void writer_forget_gone(struct writer *w); /* mailboxes that a committed batch deleted */
void writer_forget_all(struct writer *w);  /* after a failed batch, or when memory is full */
void writer_event_add(struct writer *w, enum store_event_kind kind, uint64_t account,
    uint64_t mailbox, uint64_t modseq);

/* ---- damaged.c: records that are there and no good; the writer's thread ----------------------- */
/* Logged and counted, once until it has been mended or stored starts anew.  Returns -EBADMSG. */
int writer_damage_note(struct writer *w, enum store_table t, const void *key, size_t n,
    const char *why);
void writer_damage_fini(struct writer *w);

/* ---- keyword.c: a mailbox's keywords; the writer's thread ------------------------------------- */
/* Bits of keyword names; new ones are made when `make`, those for which the mailbox has no room
 * are left out: ask first. */
uint64_t writer_box_keywords(struct writer *w, struct wbox *b, struct slice names, bool make);
/* Is there room for all of these lists together?  Gives back what no message has, so no bits may be
 * held over it. */
bool writer_box_keywords_fit(struct writer *w, struct wbox *b, const struct slice *names,
    size_t n) MUSTCHECK;
/* And for the keywords of `from` that these records have? */
bool writer_box_keywords_fit_copies(struct writer *w, struct wbox *from, struct wbox *to,
    const struct store_record *rec, size_t n) MUSTCHECK;
bool writer_reply_if_keywords(struct store_job *j, bool fit) MUSTCHECK; /* refused: true */

/* ---- change.c: the change log, places of contents; the writer's thread ------------------------ */
/* One row, or as many as `entries` need. */
void writer_change_put(struct writer *w, uint64_t account, uint64_t modseq,
    enum store_change_kind kind, uint64_t mailbox, struct slice entries);
/* What a reader, or all of them (""), has marked for himself: struct store_range. */
void writer_change_seen(struct writer *w, const struct wbox *b, uint64_t modseq,
    struct slice ranges, struct slice login);
/* A message came, at the mailbox's highestmodseq: news of the account, soon in a row. */
void writer_change_new(struct writer *w, struct wbox *b, uint32_t uid);
/* Where a content is: a row, or one of those that its row in `cache` will have. */
void writer_place_put(struct writer *w, uint64_t emailid, uint64_t mailbox, uint32_t uid);
void writer_place_first(struct writer *w, uint64_t emailid, uint64_t mailbox, uint32_t uid);
void writer_place_del(struct writer *w, uint64_t emailid, uint64_t mailbox, uint32_t uid);
/* Adds what `threads` is to say of a message that goes: struct store_gone_thread. */
void writer_change_thread(struct buf *threads, const struct store_record *rec);
void writer_change_gone(struct writer *w, struct wbox *b, const struct store_purge_item *items,
    size_t n, struct slice threads);
/* Appends the tombstones of the mailbox that have UIDs of `within`: struct store_range, in no order.
 * From *key on, zeroed at first, until the slice is over: false. */
bool writer_change_tombstones(struct writer *w, const struct wbox *b, struct store_range within,
    uint8_t key[20], struct buf *ranges);
/* Raises *last to the largest UID that the log says came into the mailbox or went; as above. */
bool writer_change_last(struct writer *w, const struct wbox *b, uint8_t key[20], uint32_t *last);
void writer_change_trim(struct writer *w, struct wacct *a); /* old rows go, a few at a time */
/* The purger has unlinked files: the places of a row of `purge` are no more. */
void writer_places_drop(struct writer *w, struct slice purge_row);

/* ---- thread.c: threads; the writer's thread ---------------------------------------------------- */
/* The thread of a new content, with this digest, that comes into the account: its rows are put. */
uint64_t
writer_thread_join(struct writer *w, struct wacct *a, uint64_t emailid, struct slice cache);
/* The same of one that another account has. */
uint64_t writer_thread_of(struct writer *w, struct wacct *a, const struct store_record *rec);
void writer_thread_trim(struct writer *w, struct wacct *a); /* old rows go, a few at a time */

/* ---- block.c: blocks of messages; the writer's thread ----------------------------------------- */
void writer_box_append(struct writer *w, struct wbox *b, const struct store_record *rec);
/* The same for one of many, which goes into its block at once. */
void writer_box_append_settled(struct writer *w, struct wbox *b, const struct store_record *rec);
/* Room for one more in the mailbox's arrivals, of which there are fewer than STORE_ARRIVALS. */
struct store_record *writer_box_arrival_new(struct wbox *b);
/* The same for a message whose place has been written. */
void writer_box_append_placed(struct writer *w, struct wbox *b, const struct store_record *rec);
/* The arrivals that are good in a record that is damaged, into the mailbox that takes its place. */
void writer_box_salvage(struct wbox *b, struct slice old);
/* The same for a uid below uidnext. */
void writer_box_insert(struct writer *w, struct wbox *b, const struct store_record *rec);
void writer_box_flush_tail(struct writer *w, struct wbox *b);  /* all messages into blocks */
void writer_box_keep_tail(struct writer *w, struct wbox *b);   /* the same; it stays in memory */
void writer_box_forget_tail(struct writer *w, struct wbox *b); /* its rows as they are */
void writer_block_key(uint8_t key[12], uint64_t mailbox, uint32_t block);
void writer_block_complain(const struct wbox *b, uint32_t block, const char *what);
/* Has the mailbox this message?  What belongs to its tail is not looked at, its arrivals are. */
bool writer_block_has(struct writer *w, uint64_t mailbox, uint32_t uid);
/* Makes the rows of a block agree again: a message without a state gets one, a state without a message
 * goes, and a row that is damaged is as good as none. */
void writer_block_mend(struct writer *w, struct wbox *b, uint32_t block);
/* All of them, from block *from on until the slice is over: false, with *from where to go on. */
bool writer_box_mend(struct writer *w, struct wbox *b, uint32_t *from);

/* ---- runs.c: a mailbox's runs of UIDs; the writer's thread ------------------------------------- */
void writer_box_runs_append(struct wbox *b, uint32_t uid);
void
writer_box_runs_remove(struct writer *w, struct wbox *b, const struct store_range *gone, size_t n);
/* Extends the last struct store_range in b, or adds one. */
void writer_range_add(struct buf *b, uint32_t uid);

/* ---- walk.c: editing the messages of a mailbox; the writer's thread ---------------------------- */
enum edit { EDIT_KEEP, EDIT_CHANGED, EDIT_DROP };
typedef enum edit edit_fn(void *arg, struct store_record *rec);
/* Walks the messages in `ranges` (n = 0: all), ascending, letting fn change their flags, keywords and
 * modseq, or drop them.  fn writes no rows. */
void writer_box_walk(struct writer *w, struct wbox *b, const struct store_range *ranges, size_t n,
    edit_fn *fn, void *arg);
/* The same from *uid on until the slice is over: false, with *uid where to go on.  uid may be NULL. */
bool writer_box_walk_from(struct writer *w, struct wbox *b, uint32_t *uid,
    const struct store_range *ranges, size_t n, edit_fn *fn, void *arg);
/* The same for who asks for no more than uid, flags, keywords and modseq, and drops nothing. */
bool writer_box_walk_states(struct writer *w, struct wbox *b, uint32_t *uid,
    const struct store_range *ranges, size_t n, edit_fn *fn, void *arg);
void writer_box_find_unseen(struct writer *w, struct wbox *b); /* moves first_unseen on */

/* ---- dup.c: deliveries that have happened; the writer's thread ------------------------------- */
struct dup_set *writer_dup_new(void);
void writer_dup_free(struct dup_set **s);
bool writer_dup_has(const struct dup_set *s, const uint8_t key[16]);
void writer_dup_add(struct dup_set *s, const uint8_t key[16], uint32_t at);
void writer_dup_load(struct writer *w);  /* at start, in a transaction */
void writer_dup_flush(struct writer *w); /* writes this batch's keys, drops old rows */
void writer_dup_settled(struct writer *w, bool committed);

/* ---- the requests, of which runs-impl.h has one each; the writer's thread --------------------- */
/* Jobs that move directories after the commit run alone. */
bool writer_job_alone(const struct store_job *j);

/* deliver.c: where a target leads: 0, or -errno as of who looks for a mailbox. */
int writer_target_box(struct writer *w, struct wacct *a, const struct store_target *t,
    struct wbox **b) MUSTCHECK;
/* deliver.c: a new content with this cache record and a message with it. */
uint64_t writer_cache_put(struct writer *w, struct slice bytes);
struct store_record writer_record_of(struct writer *w, const struct store_message *m, uint32_t uid);
/* deliver.c: the request's messages, whose bytes the account has room for, at the mailbox's end.  False:
 * nothing has changed and the reply is set.  Of the reply only what was given them is set. */
bool writer_append_all(struct writer *w, struct store_job *j, struct wbox *b) MUSTCHECK;
uint64_t writer_append_bytes(const struct store_request *r);
/* folder.c: an account by name, made with the default folders when there is none: 0, -EBADMSG, -EIO. */
int writer_account_prepare(struct writer *w, struct slice name, struct wacct **a) MUSTCHECK;
/* folder.c: a folder goes; with keep_name, a bare name stays in its place. */
void writer_box_delete(struct writer *w, struct wbox *b, bool keep_name);
/* expunge.c, copy.c: the common part of EXPUNGE, COPY, MOVE and RENAME INBOX. */
void writer_expunge_records(struct writer *w, struct wbox *b, const struct store_range *ranges,
    size_t n, bool any, struct buf *gone);
/* From *uid on, see writer_box_walk_from. */
bool writer_expunge_from(struct writer *w, struct wbox *b, uint32_t *uid,
    const struct store_range *ranges, size_t n, bool any, struct buf *gone);
/* The messages that the request names move, all when it names none. */
void writer_move_all(struct writer *w, struct store_job *j, struct wbox *from, struct wbox *to);
/* Adds what long COPYs will take of the account's quota. */
void
writer_copy_reserved(const struct writer *w, uint64_t account, uint64_t *bytes, uint64_t *messages);

/* ---- intent.c: moves of directories; the writer's thread ---------------------------------------- */
/* One that is due after the commit. */
void
writer_intent_add(struct writer *w, enum store_intent_kind kind, const char *from, const char *to);
/* At start, in a transaction: an LMDB code or errno, with *why when the store is a newer one's. */
int writer_intents_look(struct writer *w, char **why) MUSTCHECK;
/* After a commit, or at start, outside of a transaction: all that are there. */
void writer_intents_run(struct writer *w);
/* In so many ms it is time to try again; UINT64_MAX: there is nothing to try. */
uint64_t writer_intents_due(const struct writer *w);
void writer_intents_drop(struct writer *w); /* in the next batch */
/* Are there some that have not been made?  Then files are not where the index says. */
bool writer_intents_wait(struct writer *w);

/* ---- job.c: answers; the writer's thread, reply_* any ---------------------------------------- */
void writer_reply_ok(struct store_job *j);
void writer_reply_fail(struct store_job *j, enum store_code code, struct verdict v);
struct verdict writer_verdict_damaged(void);
void writer_reply_no_box(struct store_job *j, int rc); /* of who looked for one */
bool writer_reply_if_full(struct writer *w, struct store_job *j);
const struct store_range *writer_ranges_keep(struct arena *a, const struct buf *b, size_t *n);

/* ---- long.c: jobs in slices; the writer's thread ---------------------------------------------- */
/* Runs a job in slices, the first one now.  Until it is over, other changes of the mailboxes wait, and
 * when fn has set l->alone all that concerns l->account. */
void writer_long_run(struct writer *w, struct store_job *j, long_fn *fn, uint64_t mailbox,
    uint64_t mailbox2);
/* A job begins.  False: the batch, which began at batch_at (us), has run long enough. */
bool writer_long_begin(struct writer *w, uint64_t batch_at) MUSTCHECK;
bool writer_long_over(const struct writer *w); /* is the slice over? */
/* The same for nobody: the first slice comes when it is its turn. */
void writer_long_aside(struct writer *w, long_fn *fn);
/* The next slice of whose turn it is; what has ended joins `jobs`. */
void writer_long_step(struct writer *w, struct list *jobs);
/* After the batch: what cannot go on joins `jobs`, to be told so. */
void writer_long_settled(struct writer *w, bool committed, struct list *jobs);
bool writer_long_conflict(const struct writer *w, const struct store_job *j); /* must wait */
/* The same within a batch, where it can be seen where mail goes; what it finds stays with the job. */
bool writer_long_delays(struct writer *w, struct store_job *j);
bool writer_long_holds(const struct writer *w); /* has one of them given out UIDs in advance? */
bool writer_long_moves(const struct writer *w); /* may its next slice move directories? */
bool writer_long_owed(const struct writer *w);  /* does anybody wait for one? */
void writer_long_fini(struct writer *w);

/* ---- empty.c: what deleted mailboxes leave; the writer's thread -------------------------------- */
/* The mailbox, about to be forgotten, is large: its messages go later, its usage now.  False: not so. */
bool writer_empty_later(struct writer *w, struct wbox *b) MUSTCHECK;
void writer_empty_load(struct writer *w);  /* at start, in a transaction */
void writer_empty_begin(struct writer *w); /* what is due goes on */

/* ---- pending.c: rows of copies without files; the writer's thread ------------------------------ */
struct pending_row {         /* being put together; begins zeroed but for `to` and `shown` */
	uint64_t to, source; /* mailboxes */
	uint32_t first, messages;
	bool shown;
	struct buf runs;
};
/* The copy `uid` of a message that has a file; neighbours share a row. */
void writer_pending_add(struct writer *w, struct pending_row *r, uint32_t uid,
    const struct store_place *source);
void writer_pending_put(struct writer *w, struct pending_row *r); /* the row, if there is one */
bool writer_pending_is_target(const struct writer *w, uint64_t mailbox);
bool writer_pending_has(struct writer *w, uint64_t mailbox, uint32_t uid);
/* A place whose file is still to be made becomes that of its source.  *c is NULL at first, and the
 * caller's to close. */
void writer_pending_follow(struct writer *w, MDB_cursor **c, struct store_place *p);
/* Hidden rows of the mailbox go, until the slice is over: false. */
bool writer_pending_clear(struct writer *w, struct wbox *to);
void writer_pending_show(struct writer *w, uint64_t to, uint32_t first, uint32_t last);
void writer_pending_done(struct writer *w, struct slice keys); /* the linker's */
void writer_pending_settled(struct writer *w, bool committed);
/* At start, in a transaction; `clear`: hidden rows go. */
void writer_pending_load(struct writer *w, bool clear);

/* ---- space.c; the writer's thread ------------------------------------------------------------------ */
void writer_space_look(struct writer *w); /* at the beginning of a batch */

/* ---- purge.c: the writer's thread; the purger's is in threads-impl.h -------------------------- */
void writer_purge_add(struct writer *w, uint64_t mailbox, const struct store_purge_item *items,
    size_t n);
void writer_purge_done(struct writer *w, const struct store_work *work);

/* ---- oplog-write.c: the operation log; the writer's thread ----------------------------------- */
int writer_oplog_open(struct writer *w, char **why) MUSTCHECK; /* after writer_env_open */
void writer_oplog_close(struct writer *w);
void writer_oplog_begin(struct writer *w); /* a batch */
void writer_oplog_op(struct writer *w, enum oplog_kind kind, enum store_table t, struct slice key,
    struct slice value);
int writer_oplog_append(struct writer *w) MUSTCHECK; /* the batch's frame, before its sync */
void writer_oplog_undo(struct writer *w);            /* the batch has failed */
/* Segments up to this batch may go.  The snapper's thread. */
void writer_oplog_trim(int log_dirfd, const char *partition, uint64_t batch);

/* ---- batch.c: the writer's thread; arg is its struct writer ---------------------------------- */
void *writer_main(void *arg);
#endif

/* store/writer/threads-impl.h: the threads of a partition, cut by who may touch what.
 *
 *	struct store_queue   every thread, under its lock: jobs in, results out, wake-ups
 *	struct writer        the writer's thread: the transaction, mailboxes, accounts, ids, the log
 *	struct part_files    the writer's thread: links of the running batch, syncs; its
 *	                     descriptors are set by the opening and may be used by all
 *	struct purger        the purger's thread: unlinks expunged files
 *	struct linker        the linker's thread: makes the files of copies, after the answer
 *	struct snapper       the snapper's thread: copies the index
 *	struct steadier      the steadier's thread: syncs the index from time to time, and files that the
 *	                     journal of bodies stands for
 *	struct part_env      LMDB and its tables: set by the opening, then only read
 *
 * Each is a member of struct store_part, which only part.c knows as a whole.  The writer itself is in
 * writer-impl.h.  A section below says which thread its functions belong to; the opening runs them
 * all before there are threads. */
#ifndef STORE_THREADS_IMPL_H
#define STORE_THREADS_IMPL_H
#include <lmdb.h>
#include <pthread.h>
#include "base/map.h"
#include "store/oplog.h"
#include "store/steady.h"
#include "store/writer/turns-impl.h"

struct wbox;
struct wlog;
struct writer;

#define UNCONST(p) ((void *)(uintptr_t)(p))
#define SYNC_FEW   3 /* so many files are synced one by one, more by one syncfs */

struct wlink { /* a link made by this batch, to be undone if it fails */
	struct wbox *box;
	uint32_t uid;
	struct oplog_file file; /* for the log */
	uint32_t body;          /* 1 + its place in part_files.bodies.list; 0 = a copy's */
};

struct part_env {
	MDB_env *lmdb;
	MDB_dbi dbi[STORE_TABLES];
};

struct inflight;

/* A body that the running batch gives names to. */
struct wbody {
	int fd;
	uint32_t size;
	int64_t date;
	/* Once it is in the journal: */
	uint32_t crc;
	uint64_t at;
};

/* The journal of bodies, log/bodies: two areas, each used again when a steady point has all its batches. */
struct part_bodies {
	int fd;        /* -1 = there is none: each file is synced */
	uint32_t most; /* bytes of a body that goes there */
	struct {
		uint64_t used;  /* bytes */
		uint64_t batch; /* the last one that is in it */
	} areas[2];
	unsigned in;           /* the area that is written to */
	uint64_t size, stable; /* of the file: blocks of its own, whose place is on disk */
	struct buf list;       /* struct wbody: of the running batch */
	struct buf bytes;      /* theirs */
	bool large;            /* one is, or its size is not known */
	bool written;          /* all are there, from `at` on: their files need no sync */
	uint64_t at;
	bool
	    unsynced; /* atomic: there may be files whose names and bytes no sync has brought to disk */
	int syncfd; /* of the partition, for points: the kernel tells each open file of a failure once */
};

/* Message files: links of the running batch, and what it must sync before its commit. */
struct part_files {
	bool sync; /* false: tests only */
	int dirfd, syncfd;
	int64_t now;     /* of the running batch, unix seconds */
	uint64_t batch;  /* its number since the start */
	uint64_t number; /* and the one that it will have for good */
	struct wlink *links;
	size_t nlinks, links_room;
	struct part_bodies bodies;
	bool hh_made;              /* a directory for messages: goes with the first of them */
	int started;               /* -errno: a body of the running batch could not set out */
	bool dirs_made, sync_more; /* something besides bodies needs a sync */
	bool in_place;             /* this file system overwrites: see writer_sync_batch */
	int seen_of;               /* 1 + the body that was looked at last; 0 = none */
	struct oplog_file seen;    /* its size and checksum */
	int64_t seen_date;         /* and its time of change, unix seconds */
	unsigned nbodies;          /* that came with a checksum */
	bool doubt;                /* one was wrong */
	struct inflight *inflight;
	struct buf
	    unmoved; /* struct unmoved: what intent.c could not move; changes under `names` */
	bool moves_unknown;       /* nor look what there is */
	struct buf scratch, from; /* paths of a link */
	bool link_by_name;        /* the kernel links no open file by its descriptor */
	/* Held while directories move, and by the purger and the linker while they look: by
	 * writer_names_lock alone. */
	pthread_mutex_t names, names_turn;
	struct {
		int fd; /* the last body that was cloned in this batch; 0 = none */
		ino_t of;
	} clone;
};

/* What the purger and the linker have the writer do: it is no request, nobody waits for an answer outside. */
struct store_work {
	struct list link;
	/* Each thread hears of its own: of one that is waited for the thread frees it. */
	enum { WORK_UNHEARD, WORK_WAITS, WORK_DONE, WORK_FAILED } state;
	struct buf keys;   /* of rows in `purge` whose files are gone, 16 bytes each */
	struct buf emails; /* uint64_t: contents that lose their last name */
	struct buf linked; /* of rows in `pending` whose links are on disk, 12 bytes each */
	uint32_t gone;     /* files unlinked */
};

/* What the threads share.  Everything here is read and written under `lock`. */
struct store_queue {
	pthread_mutex_t lock;
	pthread_cond_t wake;      /* for the writer: jobs, work, or stop */
	pthread_cond_t work_wake; /* for who waits for its work */
	pthread_cond_t purge_wake, snap_wake, link_wake, steady_wake;
	struct turns turns;    /* jobs that wait for the writer */
	struct list work;      /* struct store_work; the same */
	struct list snap_jobs; /* who waits for a snapshot */
	struct store_finished out;
	struct store_part_stats shown; /* as of the last batch */
	bool snap_due;                 /* a snapshot is wanted now: the log has a hole */
	bool steady_due;               /* the index has changed since its last steady point */
	bool steady_now;               /* and must be synced at once */
	uint64_t steady_bytes;         /* of the log since then */
	uint64_t steady_used;          /* bytes of the index then */
	uint64_t steady_points;        /* taken */
	uint64_t steady_batch;         /* the last one in that point; UINT64_MAX = no points */
	int unsteady;                  /* errno: the index could not be synced */
	bool link_due;                 /* there are new rows for the linker */
	bool stop, stop_purge, stop_snap, stop_link, stop_steady;
	void (*notify)(void *arg); /* set by the opening: there are results */
	void *arg;
};

struct purger {
	const struct store_part_config *config;
	const struct part_env *env;
	struct part_files *files; /* its descriptors and `names` only */
	struct store_queue *queue;
	struct buf keys, emails;
	struct buf files_seen; /* struct purge_name */
	bool row_waits;        /* copies of what it names have no files yet */
	bool pass_waits;       /* or of a row of this pass */
	bool row_failed;       /* something of the row could not be removed */
	bool pass_failed;      /* or of a row of this pass */
	bool failing;          /* which has been told */
	uint32_t gone;         /* files unlinked */
};

struct linker {
	const struct part_env *env;
	struct part_files *shared; /* the lock of names only */
	struct part_files files;   /* its own; dirfd is the partition's */
	struct store_queue *queue;
	struct buf value; /* of the row in hand */
	struct buf done;  /* keys of rows whose links are made, 12 bytes each */
};

/* The last state of the index that is known to be on disk: steady.c. */
struct steadier {
	const struct store_part_config *config;
	const struct part_env *env;
	struct store_queue *queue;
	struct part_files *files; /* its bodies.syncfd and bodies.unsynced only */
	bool on;                  /* else each commit syncs the index by itself */
	bool ready;               /* the tables are open */
	int fd;                   /* index/steady; -1 = none */
	MDB_txn *pin;             /* its transaction: keeps every page of it */
	MDB_txn *spare;           /* at rest: a place in the table of readers for the next one */
	bool log_known;           /* the log has been opened, */
	uint64_t unlogged;        /* and has no frame of this batch and those before it */
	struct store_steady last;
};

struct snapper {
	const struct store_part_config *config;
	const struct part_env *env;
	struct store_queue *queue;
	int log_dirfd;     /* -1 = there is no log */
	uint32_t interval; /* seconds; 0 = only when asked */
	bool fresh;        /* the index had just been made when it was opened */
};

/* ---- queue.c: any thread, where nothing else is said ----------------------------------------- */
void writer_queue_init(struct store_queue *q, void (*notify)(void *arg), void *arg);
void writer_queue_fini(struct store_queue *q); /* no thread is left */
/* False: too much of its account waits, and the job is still the caller's. */
bool writer_queue_submit(struct store_queue *q, struct store_job *j) MUSTCHECK;
/* What has been finished since the last call; the lists of f begin empty. */
void writer_queue_results(struct store_queue *q, struct store_finished *f);
void
writer_queue_stats(struct store_queue *q, struct store_part_stats *s); /* as of the last batch */
/* The writer: waits for jobs, work or the end, but at most for ms (UINT64_MAX = for ever), then takes all
 * work and moves the jobs that `judge` lets through to the end of `jobs`.  Returns false when there is
 * neither. */
bool writer_queue_wait(struct store_queue *q, uint64_t ms, struct list *jobs, size_t *n,
    struct list *work, judge_fn *judge, const void *arg);
/* The writer: these have not run, and have the next turns. */
void writer_queue_return(struct store_queue *q, struct list *jobs);
void writer_queue_unpark(struct store_queue *q); /* the writer: a long job is over */
/* The writer: a batch is over.  Its work is no longer the caller's. */
void writer_queue_finish(struct store_queue *q, struct list *jobs, struct list *work, bool good,
    const struct writer *w);
/* The purger, the linker: hands work over; with `wait`, returns when it has been committed (true) or not.
 * It is the queue's from then on. */
bool writer_queue_work(struct store_queue *q, struct store_work *work, bool wait);
/* The purger: waits for ms or the end.  True: go on. */
bool writer_queue_purge_pause(struct store_queue *q, uint64_t ms);
/* The linker: waits until there are new rows, or for ms, if not 0.  False: stop. */
bool writer_queue_link_wait(struct store_queue *q, uint64_t ms);
bool writer_queue_link_on(struct store_queue *q);   /* the linker: go on? */
void writer_queue_link_want(struct store_queue *q); /* the writer: there are new rows */
/* The snapper: waits until `due` (unix seconds, 0 = never) or for somebody who asks, but for
 * itself not before `not_before`; who asks moves to `jobs`.  False: stop. */
bool writer_queue_snap_wait(struct store_queue *q, int64_t due, int64_t not_before, bool by_itself,
    struct list *jobs);
/* The snapper: answered. */
void writer_queue_snap_done(struct store_queue *q, struct list *jobs);
void writer_queue_snap_want(struct store_queue *q); /* a snapshot is needed soon */
/* The steadier: waits until the index has changed and `ms` have passed since the last call, or it
 * cannot wait.  False: stop. */
bool writer_queue_steady_wait(struct store_queue *q, uint64_t ms);
/* A point has been taken, with this batch in it; or, with an errno, the index could not be synced:
 * from then on batches fail. */
void writer_queue_steady_done(struct store_queue *q, uint64_t batch, int error);
void writer_queue_steady_again(struct store_queue *q); /* it could not be taken: wait anew */
/* Points behind the last batch are told too: nobody may change anything for a long time. */
void writer_queue_steady_tell(struct store_queue *q);
int writer_queue_unsteady(struct store_queue *q); /* that errno, 0 = none */
uint64_t writer_queue_steady_batch(struct store_queue *q);
/* Ends the purger and the snapper, or the writer when it has done all that waits. */
void writer_queue_stop_helpers(struct store_queue *q);
void writer_queue_stop_steadier(struct store_queue *q);
void writer_queue_stop_writer(struct store_queue *q);
bool writer_queue_stopping(struct store_queue *q); /* the writer */

/* ---- files.c: links and directories; the writer's thread, where nothing else is said --------- */
void writer_files_begin(struct part_files *f, int64_t now); /* a batch */
int writer_link_body(struct part_files *f, struct wbox *b, uint32_t uid, int fd) MUSTCHECK;
/* Copies' links; from and to are in step. */
int writer_link_messages(struct part_files *f, struct wbox *from, const uint32_t *uids, size_t n,
    struct wbox *to, uint32_t first_uid) MUSTCHECK;
void writer_file_message_path(struct buf *path, const struct wbox *b, uint32_t uid);
void writer_links_undo(struct part_files *f, size_t keep); /* removes those from the keep-th on */
int writer_make_box_dir(struct part_files *f, struct wbox *b) MUSTCHECK;
/* Moves what stands at a message's path to =aside, logged: 0 or -errno. */
int writer_file_set_aside(struct part_files *f, const struct wbox *b, uint32_t uid,
    const char *path) MUSTCHECK;
void writer_unlink(struct part_files *f, const struct wbox *b, uint32_t uid);
void writer_names_lock(struct part_files *f); /* directories stay where they are; any thread */
void writer_names_unlock(struct part_files *f);
/* The one sync of a batch: its files and its frame. */
int writer_sync_batch(struct part_files *f, struct wlog *l) MUSTCHECK;
void writer_remove_tree(int dirfd, const char *path); /* any thread */
void writer_files_close(struct part_files *f);

/* ---- body.c: bodies; the writer's thread, where nothing else is said -------------------------- */
int writer_body_new(const struct part_files *f) MUSTCHECK; /* an unnamed file, any thread; -errno */
int writer_clone_body(struct part_files *f, int fd) MUSTCHECK; /* a copy here: fd, -errno */
/* Makes f->seen what the log says of it: 0 or -errno. */
int writer_body_look(struct part_files *f, int fd) MUSTCHECK;
/* The descriptor of the job's i-th message, fit to be linked here: a copy when it is in another
 * partition.  -errno; -EBADMSG: it is not what the request says. */
int writer_body_fd(struct part_files *f, struct store_job *j, size_t i) MUSTCHECK;

/* ---- bodies.c: the journal of bodies; the writer's thread, where nothing else is said ---------- */
/* Opens or makes it in the log's directory; what is there has been done again.  0 or -errno. */
int writer_bodies_open(struct part_files *f, int log_dirfd, uint32_t most) MUSTCHECK;
/* The running batch links this body, which stays open until it is over: its number there, from 1 on. */
uint32_t writer_bodies_add(struct part_files *f, int fd);
/* Writes those of the running batch, whose frame comes next, if they can all be there; `steady` is the batch of
 * the last steady point. */
void writer_bodies_write(struct part_files *f, uint64_t steady);
/* What that has written, while the frame of `l` is on its way too: 0 or -errno. */
int writer_bodies_sync(struct part_files *f, const struct wlog *l) MUSTCHECK;
void writer_bodies_settled(struct part_files *f, uint64_t batch, bool good);
/* Files may be linked that are not on disk: the next point syncs them. */
void writer_bodies_doubt(struct part_files *f);
/* The steadier: everything that was linked before is on disk now: 0 or -errno. */
int writer_bodies_steady(struct part_files *f) MUSTCHECK;
void writer_bodies_close(struct part_files *f);

/* ---- inflight.c: the files that the running batch links; the writer's thread ------------------ */
int writer_inflight_open(struct part_files *f) MUSTCHECK;
void writer_inflight_add(struct part_files *f, struct wbox *b, uint32_t uid); /* before its link */
void writer_inflight_clear(struct part_files *f);
void writer_inflight_close(struct part_files *f);
void writer_inflight_mend(struct writer *w,
    struct part_files *f); /* at start: removes files of a batch that never was */

/* ---- intent.c: moves of directories; the writer's thread, where nothing else is said --------- */
/* Waits the directory, or one above it, for a move?  Then nothing may be made or removed there.  Others
 * hold the lock of names. */
/* The same of anything in an account's directory, at either end. */
bool writer_account_unmoved(const struct part_files *f, const char *dir);
bool writer_path_unmoved(const struct part_files *f, const char *path);
bool writer_moves_many(const struct part_files *f); /* so many wait that no more may */
void writer_unmoved_fini(struct part_files *f);

/* ---- linker.c: the linker's thread; arg is its struct linker ----------------------------------- */
int writer_linker_open(struct linker *g, struct part_files *of) MUSTCHECK;
void writer_linker_close(struct linker *g);
void *writer_linker_main(void *arg);

/* ---- purge.c: the purger's thread; arg is its struct purger --------------------------------------- */
void *writer_purge_main(void *arg);

/* ---- snapshot.c: the snapper's thread; arg is its struct snapper ----------------------------- */
void *writer_snapshot_main(void *arg);

/* ---- steady.c: points at which the index is on disk; the opening, then the steadier's thread --- */
/* Before the index is opened: puts it back to its last point when that is needed.  *here: it was in use under
 * this kernel last; *doubt: a sync of it, or of files, has failed then.  0 or -errno with *why. */
int writer_steady_prepare(const struct store_part_config *c, bool *here, bool *doubt,
    char **why) MUSTCHECK;
/* Right after the opening, before the first commit, which may write over pages of the point that the
 * file has: a newer one takes its place.  0 or -errno. */
int writer_steady_open(struct steadier *s) MUSTCHECK;
/* From the next commit on the index is not synced with each, if *s is `on`.  0 or -errno. */
int writer_steady_begin(struct steadier *s) MUSTCHECK;
/* Each commit syncs the index again, and there is no point any more.  0 or -errno. */
int writer_steady_end(struct steadier *s) MUSTCHECK;
int
writer_steady_point(struct steadier *s) MUSTCHECK; /* 0 or -errno; -EUSERS: no place for readers */
/* Gives the file, which has a point, a new inode with the same one: readers then open the index anew.  0 or
 * -errno. */
int writer_steady_renew(struct steadier *s) MUSTCHECK;
/* The log is open: batches behind `unlogged` have a frame in it. */
void writer_steady_log(struct steadier *s, uint64_t unlogged);
char *
writer_steady_full(const struct steadier *s); /* words for -EUSERS: who has the places; heap */
/* `clean`: nothing follows, and the next opening need do nothing. */
void writer_steady_close(struct steadier *s, bool clean);
void *writer_steady_main(void *arg); /* arg is its struct steadier */
#endif

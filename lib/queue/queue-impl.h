/* queue/queue-impl.h: what the files of lib/queue share; nobody else includes it. */
#ifndef QUEUE_IMPL_H
#define QUEUE_IMPL_H
#include <pthread.h>
#include "queue/queue.h"

/* First line of a header; fixed width.  The CRC covers the rest of the header and then the
 * line up to " crc=". */
struct qfirst {
	uint32_t head, sum, crc;
	uint64_t body;
};
/* Completes a header that qenv_write made: body length and CRC, then the header's own CRC. */
void qenv_seal(char *head, size_t n, uint64_t body_len, uint32_t body_crc);

/* Something for the committer: `prepare` does the writing (returns 0 or -errno), `undo` takes
 * it back after a failed sync, both on the committer's thread; `answer` runs on the loop. */
struct qjob {
	struct list link;
	int (*prepare)(struct qjob *);
	int (*sync)(struct qjob *);    /* for small batches: makes this job alone durable */
	void (*settle)(struct qjob *); /* after the sync, j->error says how it went; still there */
	void (*answer)(struct qjob *); /* on the loop: calls done (if j->done), frees */
	size_t weight;                 /* files that it touches */
	bool elsewhere;                /* mail of strangers: our own goes first */
	struct queue *q;
	struct op *op; /* NULL once cancelled */
	void (*done)(void *arg, const struct verdict *v);
	void *arg;
	int error;
};
void queue_commit_start(struct qjob *j, struct op *op,
    void (*done)(void *arg, const struct verdict *v), void *arg);
struct verdict queue_commit_verdict(int error);

#define POOL_CLASSES 2 /* of sizes: pool.c */

struct queue {
	char *path;
	int root, tmp, pool;
	char run[QUEUE_ID_LEN + 1]; /* makes names in tmp/ unique */

	pthread_t thread;
	pthread_mutex_t lock; /* todo, answered, quit */
	pthread_cond_t more;
	struct list todo, elsewhere, answered; /* todo: what is not of strangers */
	bool started, quit;
	struct loop *loop;
	struct wakeup wake;
	void (*announce)(void *arg, const struct qfile *f);
	void *announce_arg;

	pthread_mutex_t pool_lock; /* the rings */
	struct pool_ring {
		uint32_t base, size; /* its slots: `size` of them from `base` on, of its class */
		uint32_t at;         /* the next one */
		uint32_t good;       /* taken since one was met in use */
		uint32_t rest;       /* takes for which the pool counts as full */
	} rings[POOL_CLASSES];
	_Atomic bool atime; /* files belong to others: O_NOATIME is refused */

	bool dir_made, use_syncfs; /* committer: of this batch: a directory was made; what syncs */
	_Atomic uint32_t seq;
	struct queue_atomic {
		_Atomic uint64_t commits, batches, syncfs, fdatasync, errors;
		_Atomic uint64_t created, recycled;
	} st;
};

/* pool.c.  A locked file for `size` bytes (UINT64_MAX: nobody knows): fd or -errno; its name below
 * QUEUE goes to `name` and the length of what it holds from an earlier life to *old_size (0 for a
 * fresh one).  It is ours until the descriptor is closed; then it is in its place, or dropped. */
#define TMP_NAME_LEN 32
void queue_pool_init(struct queue *q);
int queue_new_open(struct queue *q, uint64_t size, char name[TMP_NAME_LEN],
    uint64_t *old_size) MUSTCHECK;
void queue_new_drop(struct queue *q, const char *name);
bool
queue_new_stays(const char *name); /* a slot of the pool: it is there, its lock goes with its fd */
/* Gives the file QUEUE/`from` its place, making directories when they are not there. */
int queue_place(struct queue *q, const char *from, const char *path);
/* Takes QUEUE/`path`, open as the locked fd and `size` bytes long, out of the queue; if the file
 * lives on in the pool it is cut to `keep`.  0 or -errno. */
int queue_unplace(struct queue *q, const char *path, int fd, uint64_t size, uint64_t keep);

/* pool.c.  A file that nobody wants after all: its descriptor and name. */
void queue_new_forget(struct queue *q, int fd, const char tmp[TMP_NAME_LEN]);

/* name.c.  An id made of a text. */
#define COPIES_MAX (36 * 36) /* what two digits of the copy number can tell apart */
void queue_id_of(char id[QUEUE_ID_LEN + 1], const char *text);

/* queue.c */
unsigned queue_spread(const char *id);
void queue_make_dirs(struct queue *q, const char *path); /* the folders of a file */
/* A line of its journal that says why it is held, or, without a reason, that it is not; no sync.  0 or
 * -errno. */
int queue_journal_held(struct queue *q, const char *path, struct slice why) MUSTCHECK;

#endif

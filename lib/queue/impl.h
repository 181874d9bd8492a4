/* queue/impl.h: what the files of lib/queue share; nobody else includes it. */
#ifndef QUEUE_IMPL_H
#define QUEUE_IMPL_H
#include <pthread.h>
#include "queue/queue.h"

#define POOL_SLOTS    256
#define POOL_FILE_MAX (256 * 1024)

/* First line of a header; fixed width.  The CRC covers the rest of the header and then the
 * line up to " crc=". */
struct qfirst {
	uint32_t head, sum, crc;
	uint64_t body;
};
void qfirst_write(char dst[QENV_FIRST], const struct qfirst *f);
bool qfirst_parse(struct slice line, struct qfirst *f);
/* Completes a header that qenv_write made: body length and CRC, then the header's own CRC. */
void qenv_seal(char *head, size_t n, uint64_t body_len, uint32_t body_crc);

/* Something for the committer: `prepare` does the writing (returns 0 or -errno), `undo` takes
 * it back after a failed sync, both on the committer's thread; `answer` runs on the loop. */
struct qjob {
	struct list link;
	int (*prepare)(struct qjob *);
	int (*sync)(struct qjob *);   /* for small batches: makes this job alone durable */
	void (*settle)(struct qjob *); /* after the sync, j->error says how it went; still there */
	void (*answer)(struct qjob *); /* on the loop: calls done (if j->done), frees */
	size_t weight;                 /* files that it touches */
	struct queue *q;
	struct op *op;                 /* NULL once cancelled */
	void (*done)(void *arg, const struct verdict *v);
	void *arg;
	int error;
};
void commit_start(struct qjob *j, struct op *op,
    void (*done)(void *arg, const struct verdict *v), void *arg);
/* Runs one job on the calling thread; the caller calls j->answer or looks at j->error. */
void commit_now(struct qjob *j);
struct verdict commit_verdict(int error);

struct queue {
	char *path;
	int root, tmp, pool;
	char run[QUEUE_ID_LEN + 1]; /* makes names in tmp/ unique */

	pthread_t thread;
	pthread_mutex_t lock;       /* todo, answered, quit */
	pthread_cond_t more;
	struct list todo, answered;
	bool started, quit;
	struct loop *loop;
	struct wakeup wake;
	size_t busy;                /* loop only */
	void (*announce)(void *arg, const struct qfile *f);
	void *announce_arg;

	pthread_mutex_t pool_lock;  /* the fields below */
	uint8_t slots[POOL_SLOTS];  /* slots seen full by the last look into pool/ */
	size_t nslots;
	uint64_t takes, next_look;  /* an empty pool is not looked into at every take */
	uint32_t give;              /* where to try next */

	bool dir_made, use_syncfs;  /* committer: of this batch: a directory was made; what syncs */
	_Atomic uint32_t seq;
	struct queue_atomic {
		_Atomic uint64_t commits, batches, syncfs, fdatasync, errors;
		_Atomic uint64_t created, recycled_in, recycled_out, unlinked;
	} st;
};

/* pool.c.  A new file in tmp/ for writing: fd or -errno; its name goes to `name` and what it
 * holds from an earlier life to *old_size (0 for a fresh one). */
#define TMP_NAME_LEN 32
int tmp_open(struct queue *q, char name[TMP_NAME_LEN], uint64_t *old_size) MUSTCHECK;
/* Takes QUEUE/`path` out of the queue: into the pool or, when that is full, by unlink. */
int pool_give(struct queue *q, const char *path, uint64_t size); /* 0 or -errno */

/* queue.c */
unsigned queue_spread(const char *id);
/* Renames tmp/`from` to its place, making directories when they are not there. */
int queue_place(struct queue *q, const char *from, const char *path);
int write_all(int fd, const void *p, size_t n, uint64_t at);

#endif

/* store/write.h: the writer of a partition.  Only cmd/stored may include it.
 *
 * One thread writes; the others hand it jobs.  Everything that is waiting when a batch begins
 * goes into that batch: one LMDB transaction, one sync of the new files, one commit, then all
 * the answers (group commit, no timers).  A job cannot fail a batch: it is checked before the
 * first write, and only an I/O error (logged) fails the whole batch with TEMP.
 *
 * A second thread purges: it unlinks expunged files later, and not too fast. */
#ifndef STORE_WRITE_H
#define STORE_WRITE_H
#include "base/list.h"
#include "store/request.h"
#include "store/watch.h"

struct store_part;

struct store_part_config {
	const char *name;       /* of the partition */
	const char *path;
	uint64_t map_size;      /* most bytes that the index can grow to; sparse */
	uint64_t min_free;      /* below so many free bytes nothing is taken in */
	uint32_t cleanup_age;   /* seconds that an expunged file stays */
	uint32_t purge_rate;    /* files a second */
	uint32_t dup_age;       /* seconds that deliveries are remembered */
	uint32_t max_readers;
	bool quota_temp;        /* over quota is TEMP 452 4.2.2, else PERM 552 5.2.2 */
	bool sync;              /* false: tests only */
	bool log;               /* keep the operation log */
	uint64_t log_segment;   /* bytes of one of its files */
	const char *snapshots;  /* the directory of the index's copies; NULL = none */
	uint32_t snapshot_interval; /* seconds; 0 = only when asked */
	/* Called from the writer's thread when there is something to take. */
	void (*notify)(void *arg);
	void *arg;
};

/* A request on its way through the writer. */
struct store_job {
	struct list link;
	struct arena arena;         /* of what the request and the reply point to */
	struct store_request req;
	struct store_reply reply;
	int *fds;                   /* one for each message, the job's to close; NULL = none */
	bool foreign;               /* the fds are of another partition: copy, not link */
	void *owner, *owner2;       /* the submitter's */
	size_t weight;              /* too: bytes of the request */
};
/* Zeroed. */
struct store_job *store_job_new(void) MUSTCHECK;
void store_job_free(struct store_job **j); /* closes the fds */

/* An account as stored remembers all of them. */
struct store_known {
	uint64_t id, inbox;
	struct slice name;
};

/* Opens (makes, when new) a partition, mends what a crash left, starts nothing yet.  0 or
 * -errno with *why (heap, caller frees). */
int store_part_open(const struct store_part_config *c, struct store_part **p, char **why) MUSTCHECK;
/* Tells every account; between open and start. */
void store_part_accounts(struct store_part *p, void (*fn)(void *arg, const struct store_known *k),
    void *arg);
void store_part_start(struct store_part *p);
/* Finishes what is queued, stops the threads, closes. */
void store_part_close(struct store_part **p);

void store_part_submit(struct store_part *p, struct store_job *j); /* any thread */

/* What the writer has finished since the last call.  Jobs move to the end of `jobs`; events and
 * new accounts are appended (names are heap strings, the caller frees). */
struct store_finished {
	struct list jobs;
	struct buf events;     /* struct store_event */
	struct buf accounts;   /* struct store_known */
};
void store_part_take(struct store_part *p, struct store_finished *f);

/* A body: an unnamed file for a client.  fd or -errno.  Any thread. */
int store_part_body(struct store_part *p) MUSTCHECK;
/* Frees the slots of readers that died. */
void store_part_reader_check(struct store_part *p);
const char *store_part_name(const struct store_part *p);
const char *store_part_path(const struct store_part *p);
uint64_t store_part_tag(const struct store_part *p); /* top 16 bits of its ids */

struct store_part_stats {
	uint64_t batches, jobs, delivered, appended, copied, expunged, purged, bytes, duplicates;
	uint64_t failed_batches, syncfs_us, commit_us, batch_us;
	uint64_t queued, largest_batch, accounts_cached, mailboxes_cached;
	bool full;
};
void store_part_stats(struct store_part *p, struct store_part_stats *s);
#endif

/* store/writer/writer.h: the writer of a partition.  Only cmd/stored and tests may include it.
 *
 * One thread writes; the others hand it jobs.  Everything that is waiting when a batch begins
 * goes into that batch: one LMDB transaction, one sync of the new files, one commit, then all
 * the answers (group commit, no timers).  A job cannot fail a batch: it is checked before the
 * first write, and only an I/O error (logged) fails the whole batch with TEMP.
 *
 * A second thread purges: it unlinks expunged files later, and not too fast.  A third makes
 * snapshots of the index.
 *
 * store_part_open, _accounts, _start and _close are for one thread, stored's loop; the others say
 * when they are for any. */
#ifndef STORE_WRITER_H
#define STORE_WRITER_H
#include "base/arena.h"
#include "base/list.h"
#include "store/request.h"
#include "store/watch.h"

struct store_part;

/* What the accounts of each domain use together, in all partitions that are opened with it; while one is open it
 * stays.  A partition without counts nothing, and no domain has a limit there. */
struct store_domains;
struct store_domains *store_domains_new(void);
void store_domains_free(struct store_domains **d);
/* Of the domain of this name, in lower case: 0 of one that has no account here.  Any thread. */
void
store_domains_use(struct store_domains *d, struct slice name, uint64_t *bytes, uint64_t *messages);

struct store_part_config {
	const char *name; /* of the partition */
	const char *path;
	uint64_t map_size;    /* most bytes that the index can grow to, sparse; 0 = by the disk */
	uint64_t min_free;    /* below so many free bytes nothing is taken in */
	uint32_t cleanup_age; /* seconds that an expunged file stays */
	uint32_t purge_rate;  /* files a second */
	uint32_t slice_us;    /* of a long job, before others have their turn; 0 = one block */
	uint32_t dup_age;     /* seconds that deliveries are remembered */
	uint32_t max_readers;
	bool quota_temp;            /* over quota is TEMP 452 4.2.2, else PERM 552 5.2.2 */
	bool quota_unenforced;      /* over quota is only counted, and warned of */
	bool quota_overdraft;       /* the message that crosses the line is taken */
	uint32_t quota_grace;       /* seconds of TEMP, for mail, until it is PERM; 0 = for ever */
	uint32_t quota_warn;        /* percent at which the user is warned; 0 = never */
	const char *quota_text;     /* of the warning: fields, an empty line, text; NULL = ours */
	const char *hostname;       /* in its Message-ID */
	bool no_anyone;             /* a person gives nothing to everybody */
	bool seen_shared;           /* who reads another's mailbox marks as \Seen for all */
	uint8_t events;             /* enum store_events */
	bool sync;                  /* false: tests only */
	bool log;                   /* keep the operation log */
	uint64_t log_segment;       /* bytes of one of its files */
	uint32_t log_bodies;        /* bytes of a message that goes there too; 0 = none does */
	const char *snapshots;      /* the directory of the index's copies; NULL = none */
	uint32_t snapshot_interval; /* seconds; 0 = only when asked */
	uint32_t steady_interval;   /* milliseconds from one sync of the index to the next */
	/* Called from the writer's thread when there is something to take. */
	void (*notify)(void *arg);
	void *arg;
	struct store_domains *domains; /* borrowed, or NULL */
};

/* A request on its way through the writer. */
struct store_job {
	struct list link;
	struct arena arena; /* of what the request and the reply point to */
	struct store_request req;
	struct store_reply reply;
	int *fds;               /* one for each message, the job's to close; NULL = none */
	bool foreign;           /* the fds are of another partition: copy, not link */
	bool ends;              /* FREEZE: its client has gone, */
	uint64_t holder;        /* which was this connection */
	void *owner, *owner2;   /* the submitter's: who asks, when no login is named; anything */
	size_t weight;          /* too: bytes of the request */
	uint64_t waits_for;     /* long.c: mail for this mailbox waits for a COPY into it, */
	uint64_t waits_account; /* and all for this account, which is counted */
	uint64_t seq;           /* turns.c: its place among its account's, */
	uint32_t cost;          /* and what it is taken for, in us */
};
/* Zeroed. */
struct store_job *store_job_new(void) MUSTCHECK;
void store_job_free(struct store_job **j); /* closes the fds */

/* An account as stored remembers all of them. */
struct store_known {
	uint64_t id, inbox;
	bool gone;         /* it has been erased */
	struct slice name; /* borrowed */
};

/* Opens (makes, when new) a partition, mends what a crash left, starts nothing yet.  0 or
 * -errno with *why (heap, caller frees). */
int store_part_open(const struct store_part_config *c, struct store_part **p, char **why) MUSTCHECK;
/* Tells every account, and counts it in its domain; between open and start, once. */
int store_part_accounts(struct store_part *p, void (*fn)(void *arg, const struct store_known *k),
    void *arg) MUSTCHECK;
void store_part_start(struct store_part *p);
/* Finishes what is queued, stops the threads, closes. */
void store_part_close(struct store_part **p);

/* False: so much of its account waits already that the job stays the caller's.  Any thread. */
bool store_part_submit(struct store_part *p, struct store_job *j) MUSTCHECK;

/* What the writer has finished since the last call; `f` begins zeroed but for the list.  Any thread. */
struct store_finished {
	struct list jobs;
	struct buf events;   /* struct store_event */
	struct buf accounts; /* struct store_known; their names are in the arena */
	struct arena names;
};
void store_part_take(struct store_part *p, struct store_finished *f);
void store_finished_fini(struct store_finished *f); /* but for the jobs */

/* A body: an unnamed file for a client.  fd or -errno.  Any thread. */
int store_part_body(struct store_part *p) MUSTCHECK;
/* Frees the slots of readers that died.  Any thread. */
void store_part_reader_check(struct store_part *p);
const char *store_part_name(const struct store_part *p);
const char *store_part_path(const struct store_part *p);
uint64_t store_part_tag(const struct store_part *p); /* top 16 bits of its ids */

struct store_part_stats {
	uint64_t batches, jobs, delivered, appended, seen, copied, expunged, purged, bytes,
	    duplicates;
	uint64_t joined;        /* messages that came into a thread that was there */
	uint64_t batch;         /* the last one that was committed */
	uint64_t redone;        /* batches of the log, at the start */
	uint64_t steady_points; /* syncs of the index */
	uint64_t journaled;     /* messages that came in without a sync of their files */
	uint64_t restored;      /* files of those that the start made again */
	uint64_t failed_batches, syncfs_us, commit_us, batch_us;
	uint64_t longest_us, longest_cpu_us; /* of a batch since the start; in CPU time */
	uint64_t index_used, index_size;     /* bytes, of the map */
	uint64_t unmoved;                    /* directories */
	uint64_t unlinked;                   /* rows of `pending`: up to 1,000 copies each */
	uint64_t queued, largest_batch, accounts_cached, mailboxes_cached;
	uint64_t over_quota;          /* times that something was over a limit, refused or not */
	uint64_t over_domain;         /* of these: over its domain's */
	uint64_t over_folder;         /* of these: over the folder's own */
	uint64_t warned;              /* users that were told */
	uint64_t erased, renamed;     /* accounts */
	uint64_t events, events_lost; /* rows of `event`; those for which there was no room */
	uint64_t damaged; /* records of accounts, names and mailboxes, met and not mended */
	bool full;
};
/* As they were after the last batch.  Any thread. */
void store_part_stats(struct store_part *p, struct store_part_stats *s);
#endif

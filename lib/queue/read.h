/* queue/read.h: working on a queued message: what channel-master does with a lease.
 *
 *	qread_open(q, channel, name, QREAD_LOCK | ..., &r, &why)
 *	  -ENOENT   it is finished already: report `done`
 *	  -EBUSY    another process works on it: report `drop` with after=5
 *	  -EBADMSG  damaged: queue_set_aside(q, channel, name, why) and report `held`
 *	... send r->env, the bytes [r->body_at, + env.body_len) of r->fd (or r->body) ...
 *	qread_result(r, i, state, &verdict, mta)      for each recipient that got an answer
 *	then one of
 *	  qread_finish(&r)                  nobody is pending: recycles the file, report `done`
 *	  qread_defer_start(&r, ...)        some are pending: journal, sync, rename; report `retry`
 *	  qread_close(&r)                   nothing happened: report `drop`
 * A recipient is reported as failed (QSTATE_FAILED) only after its notice is committed. */
#ifndef QUEUE_READ_H
#define QUEUE_READ_H
#include "queue/queue.h"

struct qread {
	struct queue *q;
	struct qenv env;  /* strings live as long as the qread */
	int fd;           /* of the file, for pread and sendfile */
	uint64_t body_at; /* offset of the message in it; env.body_len bytes */
	const char *body; /* a small message, read already when it is locked; or NULL */
	char channel[64];
	char name[QUEUE_NAME_LEN + 4];
	char id[QUEUE_FILE_ID_LEN + 1];
	uint64_t journal_at; /* where the next journal line goes */
	struct arena arena;
	bool locked;
};

enum {
	QREAD_LOOK = 0,  /* read-only, no lock: for tools and scans */
	QREAD_LOCK = 1,  /* to work on it */
	QREAD_CHECK = 2, /* verify the body's CRC (job_work.check) */
};
int qread_open(struct queue *q, const char *channel, const char *name, int flags, struct qread **r,
    const char **why) MUSTCHECK;
/* An open file by its descriptor (owned from then on); for scans.  *bad says what is wrong
 * when -EBADMSG is returned. */
int qread_open_fd(int fd, const char *name, int flags, struct qread **r, enum qbad *bad,
    const char **why) MUSTCHECK;

/* The verdict on recipient i, in memory.  state PENDING with a TEMP verdict = deferred. */
void qread_result(struct qread *r, size_t i, enum qstate state, const struct verdict *v,
    const char *mta);
bool qread_done(const struct qread *r); /* no recipient is pending */

/* All recipients are final: the file leaves the queue.  No sync: after a power cut it may be
 * delivered again, which LMTP's idempotence and RFC 5321 6.1 allow. */
void qread_finish(struct qread **r);
/* Writes the results to the journal and, when `attempt`, counts the attempt: next_at goes into
 * the journal and the file gets the next name.  done(arg, v) when it is on disk (or TEMP: then the
 * results are lost, which costs a duplicate at worst).  Takes the qread. */
void qread_defer_start(struct qread **r, bool attempt, int64_t next_at, struct op *op,
    void (*done)(void *arg, const struct verdict *v), void *arg);
/* Only the results so far, keeping the file open: before a long wait. */
void qread_mark_start(struct qread *r, struct op *op,
    void (*done)(void *arg, const struct verdict *v), void *arg);
/* The delay warning number `n` (job_work.notice) was committed; goes out with the next
 * qread_defer_start or qread_mark_start. */
void qread_noticed(struct qread *r, uint32_t n);
/* These members of a list are in the queue; he was told of members that cannot be reached.  Goes out
 * likewise. */
void qread_members(struct qread *r, struct slice sums);
void qread_told(struct qread *r, const char *to);
/* The report `id` is in this state (queue/aside.h); QREPORT_NONE: it is shown.  Goes out likewise. */
void qread_report(struct qread *r, enum qreport state, const char *id);
void qread_close(struct qread **r);

/* Renames a damaged file to .HELD and logs why.  0 or -errno. */
int
queue_set_aside(struct queue *q, const char *channel, const char *name, const char *why) MUSTCHECK;
#endif

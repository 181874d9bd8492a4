/* The writer's thread: batches.
 *
 * Order within a batch: links (and the note of them), LMDB rows, the frame of the log, sync of
 * files and directories, LMDB commit, answers and events.  A failed sync or commit undoes the links and
 * answers TEMP to everybody in the batch. */
#include <errno.h>
#include <stdlib.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "store/write_private.h"

#define BATCH_MOST 2048 /* jobs */

bool
job_alone(const struct store_job *j)
{
	return j->req.verb == STORE_V_RENAME || j->req.verb == STORE_V_DELETE;
}

static void
job_run(struct store_part *p, struct store_job *j)
{
	switch (j->req.verb) {
	case STORE_V_DELIVER: run_deliver(p, j); break;
	case STORE_V_APPEND: run_append(p, j); break;
	case STORE_V_ADOPT: run_adopt(p, j); break;
	case STORE_V_ACCOUNT: run_account(p, j); break;
	case STORE_V_CREATE: run_create(p, j); break;
	case STORE_V_DELETE: run_delete(p, j); break;
	case STORE_V_RENAME: run_rename(p, j); break;
	case STORE_V_SUBSCRIBE: run_subscribe(p, j); break;
	case STORE_V_FLAGS: run_flags(p, j); break;
	case STORE_V_EXPUNGE: run_expunge(p, j); break;
	case STORE_V_COPY: run_copy(p, j); break;
	case STORE_V_MOVE: run_move(p, j); break;
	case STORE_V_CLAIM: run_claim(p, j); break;
	case STORE_V_RECOUNT: run_recount(p, j); break;
	case STORE_V_PURGED: run_purged(p, j); break;
	case STORE_V_PING:
	case STORE_V_HELLO:
	case STORE_V_BODIES:
	case STORE_V_RELEASE:
	case STORE_V_WATCH:
	case STORE_V_SNAPSHOT:
	case STORE_V_REPLY:
	case STORE_V_EVENT:
	default:
		reply_fail(j, STORE_REFUSED, verdict(PERM, 554, "5.5.1", "not a request for the writer"));
	}
}

/* Is the partition too full to take more?  Deleting goes on, and so this ends by itself. */
static void
look_at_space(struct store_part *p)
{
	struct statvfs st;
	bool full;

	if (fstatvfs(p->dirfd, &st) < 0)
		return;
	full = (uint64_t)st.f_bavail * st.f_frsize < p->c.min_free;
	if (full != p->full)
		log_event(LOG_WARN, full ? "store_full" : "store_space", "partition=%s free=%llu",
		    log_str(p->name), (unsigned long long)st.f_bavail * st.f_frsize);
	p->full = full;
	p->stats.full = full;
}

static int
batch_begin(struct store_part *p)
{
	p->error = 0;
	p->now = clock_now();
	p->batch++;
	p->nlinks = p->nsync = 0;
	p->bulk = p->dirs_made = p->ids_dirty = false;
	buf_clear(&p->events);
	log_begin(p);
	look_at_space(p);
	return mdb_txn_begin(p->env, NULL, 0, &p->txn);
}

/* Returns 0 or an LMDB code or errno. */
static int
batch_commit(struct store_part *p)
{
	uint64_t t0, t1;
	int rc;

	intents_drop(p);
	flush_dirty(p);
	if (p->error) {
		mdb_txn_abort(p->txn);
		return p->error;
	}
	t0 = clock_mono_us();
	log_append(p);
	rc = sync_files(p);
	t1 = clock_mono_us();
	if (rc < 0) {
		mdb_txn_abort(p->txn);
		return -rc;
	}
	rc = mdb_txn_commit(p->txn);
	p->stats.syncfs_us += t1 - t0;
	p->stats.commit_us += clock_mono_us() - t1;
	return rc;
}

static void
batch_failed(struct store_part *p, struct list *jobs, int rc)
{
	struct store_job *j;

	log_event(LOG_ERROR, "store_batch", "partition=%s error=%s", log_str(p->name),
	    log_str(mdb_strerror(rc)));
	links_undo(p, 0);
	log_undo(p);
	buf_clear(&p->events);
	for (size_t at = 0; at < p->new_accounts.n; at += sizeof(struct store_known)) {
		struct store_known k;

		memcpy(&k, p->new_accounts.p + at, sizeof(k));
		free((void *)(uintptr_t)k.name.p);
	}
	buf_clear(&p->new_accounts);
	list_each(j, jobs, struct store_job, link)
		reply_fail(j, rc == ENOSPC || rc == MDB_MAP_FULL ? STORE_FULL : STORE_FAILED,
		    verdict(TEMP, 451, "4.3.0", "the message store has a problem"));
	forget_all(p);
	p->stats.failed_batches++;
}

static void
batch_finish(struct store_part *p, struct list *jobs, size_t n)
{
	struct store_job *j;

	p->stats.batches++;
	p->stats.jobs += n;
	if (n > p->stats.largest_batch)
		p->stats.largest_batch = n;
	p->stats.accounts_cached = p->accounts.n;
	p->stats.mailboxes_cached = p->boxes.n;
	pthread_mutex_lock(&p->lock);
	p->shown = p->stats;
	list_each(j, jobs, struct store_job, link)
		if (j->req.verb == STORE_V_PURGED) {
			p->purge_heard++;
			p->purge_failed = j->reply.verdict.kind != OK;
			pthread_cond_signal(&p->purge_wake);
		}
	list_splice(&p->out.jobs, jobs);
	buf_slice(&p->out.events, buf_get(&p->events));
	buf_slice(&p->out.accounts, buf_get(&p->new_accounts));
	pthread_mutex_unlock(&p->lock);
	buf_clear(&p->new_accounts);
	p->c.notify(p->c.arg);
}

/* Runs the jobs.  One of them may become a slow one; those behind it that must wait for it go
 * back to the head of the queue. */
static void
run_all(struct store_part *p, struct list *jobs)
{
	struct store_job *j;
	struct list back;
	size_t n = 0;

	list_init(&back);
	list_each(j, jobs, struct store_job, link) {
		if (p->error)
			break;
		if (p->slow.job && j != p->slow.job && slow_conflict(p, j)) {
			list_remove(&j->link);
			list_push(&back, &j->link);
			n++;
		} else
			job_run(p, j);
	}
	if (n == 0)
		return;
	pthread_mutex_lock(&p->lock);
	list_splice(&back, &p->jobs);
	list_splice(&p->jobs, &back);
	p->njobs += n;
	pthread_mutex_unlock(&p->lock);
}

static void
batch_run(struct store_part *p, struct list *jobs, size_t n)
{
	uint64_t t0 = clock_mono_us();
	bool alone = job_alone(list_first(jobs, struct store_job, link));
	int rc = batch_begin(p);

	if (rc == 0) {
		run_all(p, jobs);
		/* Between the commit and the move of the directories the purge must not look. */
		if (alone)
			pthread_mutex_lock(&p->names);
		rc = batch_commit(p);
		if (rc == 0 && alone) {
			buf_clear(&p->done_intents);
			intents_run(p);
		} else if (rc == 0)
			buf_clear(&p->done_intents);
		if (alone)
			pthread_mutex_unlock(&p->names);
	}
	/* The environment is beyond use: a restart opens it anew, as it was committed last. */
	must(rc != MDB_PANIC);
	dup_settled(p, rc == 0);
	slow_settled(p, rc == 0);
	if (rc)
		batch_failed(p, jobs, rc);
	else
		forget_gone(p);
	note_clear(p);
	slow_note(p);
	p->stats.batch_us += clock_mono_us() - t0;
	batch_finish(p, jobs, n);
	if (p->boxes.n > BOXES_MOST)
		forget_all(p);
}

/* Takes what may run together off the queue: everything up to a job that must be alone. */
static size_t
batch_take(struct store_part *p, struct list *jobs)
{
	struct store_job *j;
	size_t n = 0;

	list_each(j, &p->jobs, struct store_job, link) {
		if (slow_conflict(p, j))
			continue;
		if (n == BATCH_MOST || (n && job_alone(j)))
			break;
		list_remove(&j->link);
		list_push(jobs, &j->link);
		p->njobs--;
		n++;
		if (job_alone(j))
			break;
	}
	return n;
}

void *
writer_main(void *arg)
{
	struct store_part *p = arg;
	struct list jobs;
	size_t n;

	list_init(&jobs);
	for (;;) {
		pthread_mutex_lock(&p->lock);
		while (list_empty(&p->jobs) && !p->stop && !p->slow.job)
			pthread_cond_wait(&p->work, &p->lock);
		n = batch_take(p, &jobs);
		pthread_mutex_unlock(&p->lock);
		if (n)
			batch_run(p, &jobs, n);
		else if (!p->slow.job)
			return NULL;
		if (p->slow.job && slow_step(p)) {
			list_push(&jobs, &p->slow.job->link);
			batch_run(p, &jobs, 1);
		}
	}
}

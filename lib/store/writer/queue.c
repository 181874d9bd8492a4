/* What the threads of a partition share: jobs, results, wake-ups.
 *
 * Owns struct store_queue: nothing else in this folder is touched by two threads (but the descriptors
 * of part_files, which never change, and its lock `names`).  Called by stored's loop, the
 * writer, the purger, the snapper and the steadier.  Nothing here can fail; no lock is held while anybody works
 * or waits for a disk.  It is a file of its own so that a race can only be here. */
#include <errno.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/writer/writer-impl.h"

#define STEADY_BYTES  (8u * 1024 * 1024)  /* of log and bodies: then the index is synced at once, */
#define STEADY_GROWTH 32                  /* or when it has grown by this part of its map */
#define STEADY_MOST   (16u * 1024 * 1024) /* or by so many bytes */

void
writer_queue_init(struct store_queue *q, void (*notify)(void *arg), void *arg)
{
	pthread_condattr_t attr;

	writer_turns_init(&q->turns);
	list_init(&q->work);
	list_init(&q->snap_jobs);
	list_init(&q->out.jobs);
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->wake, NULL);
	pthread_cond_init(&q->work_wake, NULL);
	pthread_cond_init(&q->purge_wake, NULL);
	pthread_cond_init(&q->link_wake, NULL);
	pthread_cond_init(&q->snap_wake, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&q->steady_wake, &attr);
	pthread_condattr_destroy(&attr);
	q->steady_batch = UINT64_MAX;
	q->notify = notify;
	q->arg = arg;
}

static void
queue_work_free(struct store_work *work)
{
	list_remove(&work->link);
	buf_fini(&work->keys);
	buf_fini(&work->emails);
	buf_fini(&work->linked);
	mem_free(&work);
}

void
writer_queue_fini(struct store_queue *q)
{
	struct store_job *j;
	struct store_work *work;

	while ((work = list_first(&q->work, struct store_work, link)))
		queue_work_free(work);
	list_each(j, &q->out.jobs, struct store_job, link)
	{
		list_remove(&j->link);
		store_job_free(&j);
	}
	store_finished_fini(&q->out);
	writer_turns_fini(&q->turns);
	pthread_mutex_destroy(&q->lock);
	pthread_cond_destroy(&q->wake);
	pthread_cond_destroy(&q->work_wake);
	pthread_cond_destroy(&q->purge_wake);
	pthread_cond_destroy(&q->link_wake);
	pthread_cond_destroy(&q->snap_wake);
	pthread_cond_destroy(&q->steady_wake);
}

void
store_finished_fini(struct store_finished *f)
{
	buf_fini(&f->events);
	buf_fini(&f->accounts);
	arena_reset(&f->names);
}

bool
writer_queue_submit(struct store_queue *q, struct store_job *j)
{
	bool aside = store_verb_find(j->req.verb)->flags & STORE_VF_ASIDE, room = true, first;

	pthread_mutex_lock(&q->lock);
	if (aside)
		list_push(&q->snap_jobs, &j->link);
	else
		room = writer_turns_put(&q->turns, j);
	first = room && !aside && q->turns.ready == 1;
	pthread_mutex_unlock(&q->lock);
	/* Outside, or who is woken would first wait for the lock. */
	if (aside)
		pthread_cond_signal(&q->snap_wake);
	else if (first)
		pthread_cond_signal(&q->wake);
	return room;
}

static struct timespec
queue_in(uint64_t ms)
{
	struct timespec at;

	clock_gettime(CLOCK_REALTIME, &at);
	at.tv_sec += (time_t)(ms / 1000);
	at.tv_nsec += (long)(ms % 1000) * 1000000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_sec++;
		at.tv_nsec -= 1000000000;
	}
	return at;
}

/* ---- the writer ------------------------------------------------------------------------------- */

bool
writer_queue_wait(struct store_queue *q, uint64_t ms, struct list *jobs, size_t *n,
    struct list *work, judge_fn *judge, const void *arg)
{
	struct timespec at = queue_in(ms < UINT64_MAX ? ms : 0);
	int rc = 0;

	pthread_mutex_lock(&q->lock);
	while (q->turns.ready == 0 && list_empty(&q->work) && !q->stop && ms && rc == 0)
		rc = ms == UINT64_MAX ? pthread_cond_wait(&q->wake, &q->lock) :
					pthread_cond_timedwait(&q->wake, &q->lock, &at);
	list_splice(work, &q->work);
	*n = writer_turns_take(&q->turns, jobs, judge, arg);
	pthread_mutex_unlock(&q->lock);
	return *n || !list_empty(work);
}

void
writer_queue_return(struct store_queue *q, struct list *jobs)
{
	pthread_mutex_lock(&q->lock);
	writer_turns_return(&q->turns, jobs);
	pthread_mutex_unlock(&q->lock);
}

void
writer_queue_unpark(struct store_queue *q)
{
	pthread_mutex_lock(&q->lock);
	writer_turns_unpark(&q->turns);
	pthread_mutex_unlock(&q->lock);
}

/* Names of accounts move from the writer's memory into the arena of the results. */
static void
queue_add_accounts(struct store_queue *q, struct slice known)
{
	for (; known.n >= sizeof(struct store_known);
	     known = slice_from(known, sizeof(struct store_known))) {
		struct store_known k;

		memcpy(&k, known.p, sizeof(k));
		k.name = arena_slice(&q->out.names, k.name);
		buf_add(&q->out.accounts, &k, sizeof(k));
	}
}

/* When the index must be synced: soon after a change, and now when much has been written, when pages that
 * a point keeps from being used again are missed, in the map or on a full disk, or when a batch has failed behind
 * changes that wait for a point: a sync of files that were theirs may have failed with it. */
static void
queue_count_steady(struct store_queue *q, bool good, const struct writer *w)
{
	const struct store_part_stats *s = &w->stats;
	uint64_t most = s->index_size / STEADY_GROWTH;

	if (most > STEADY_MOST)
		most = STEADY_MOST;
	if (good && w->oplog.numbered)
		q->steady_bytes += w->oplog.at - w->oplog.before +
		    (w->files->bodies.written ? w->files->bodies.bytes.n : 0);
	else if (!q->steady_due && w->failing != MDB_MAP_FULL && w->failing != ENOSPC &&
	    w->failing != EDQUOT)
		return;
	q->steady_now |= q->steady_bytes >= STEADY_BYTES || w->index_near || w->failing ||
	    s->index_used > q->steady_used + most;
	if (!q->steady_due || q->steady_now)
		pthread_cond_signal(&q->steady_wake);
	q->steady_due = true;
}

void
writer_queue_finish(struct store_queue *q, struct list *jobs, struct list *work, bool good,
    const struct writer *w)
{
	struct store_work *done;

	pthread_mutex_lock(&q->lock);
	q->shown = w->stats;
	q->shown.batch = w->ids.batch;
	queue_count_steady(q, good, w);
	while ((done = list_first(work, struct store_work, link))) {
		list_remove(&done->link);
		if (done->state == WORK_UNHEARD)
			queue_work_free(done);
		else
			done->state = good ? WORK_DONE : WORK_FAILED;
	}
	pthread_cond_broadcast(&q->work_wake);
	list_splice(&q->out.jobs, jobs);
	buf_slice(&q->out.events, buf_get(&w->events));
	queue_add_accounts(q, buf_get(&w->new_accounts));
	pthread_mutex_unlock(&q->lock);
	q->notify(q->arg);
}

void
writer_queue_results(struct store_queue *q, struct store_finished *f)
{
	pthread_mutex_lock(&q->lock);
	list_splice(&f->jobs, &q->out.jobs);
	f->events = q->out.events;
	f->accounts = q->out.accounts;
	f->names = q->out.names;
	q->out.events = q->out.accounts = (struct buf){ 0 };
	q->out.names = (struct arena){ 0 };
	pthread_mutex_unlock(&q->lock);
}

void
writer_queue_stats(struct store_queue *q, struct store_part_stats *s)
{
	pthread_mutex_lock(&q->lock);
	*s = q->shown;
	s->queued = q->turns.n;
	s->steady_points = q->steady_points;
	pthread_mutex_unlock(&q->lock);
}

/* ---- the purger and the linker --------------------------------------------------------------------------------- */

bool
writer_queue_work(struct store_queue *q, struct store_work *work, bool wait)
{
	bool good = true;

	pthread_mutex_lock(&q->lock);
	work->state = wait ? WORK_WAITS : WORK_UNHEARD;
	list_push(&q->work, &work->link);
	pthread_cond_signal(&q->wake);
	while (wait && work->state == WORK_WAITS)
		pthread_cond_wait(&q->work_wake, &q->lock);
	if (wait) {
		good = work->state == WORK_DONE;
		queue_work_free(work);
	}
	pthread_mutex_unlock(&q->lock);
	return good;
}

bool
writer_queue_purge_pause(struct store_queue *q, uint64_t ms)
{
	struct timespec at = queue_in(ms);
	bool on;

	pthread_mutex_lock(&q->lock);
	if (!q->stop_purge && ms)
		pthread_cond_timedwait(&q->purge_wake, &q->lock, &at);
	on = !q->stop_purge;
	pthread_mutex_unlock(&q->lock);
	return on;
}

/* ---- the linker --------------------------------------------------------------------------------- */

void
writer_queue_link_want(struct store_queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->link_due = true;
	pthread_cond_signal(&q->link_wake);
	pthread_mutex_unlock(&q->lock);
}

bool
writer_queue_link_wait(struct store_queue *q, uint64_t ms)
{
	struct timespec at = queue_in(ms);
	bool on;
	int rc = 0;

	pthread_mutex_lock(&q->lock);
	while (!q->stop_link && !q->link_due && rc == 0)
		rc = ms ? pthread_cond_timedwait(&q->link_wake, &q->lock, &at) :
			  pthread_cond_wait(&q->link_wake, &q->lock);
	q->link_due = false;
	on = !q->stop_link;
	pthread_mutex_unlock(&q->lock);
	return on;
}

bool
writer_queue_link_on(struct store_queue *q)
{
	bool on;

	pthread_mutex_lock(&q->lock);
	on = !q->stop_link;
	pthread_mutex_unlock(&q->lock);
	return on;
}

/* ---- the snapper ---------------------------------------------------------------------------------- */

void
writer_queue_snap_want(struct store_queue *q)
{
	pthread_mutex_lock(&q->lock);
	if (!q->snap_due) {
		q->snap_due = true;
		pthread_cond_signal(&q->snap_wake);
	}
	pthread_mutex_unlock(&q->lock);
}

bool
writer_queue_snap_wait(struct store_queue *q, int64_t due, int64_t not_before, bool by_itself,
    struct list *jobs)
{
	bool go = false;

	pthread_mutex_lock(&q->lock);
	while (!go && !q->stop_snap) {
		int64_t now = clock_now(), when = due;

		if (q->snap_due && by_itself)
			when = now;
		if (when && when < not_before)
			when = not_before;
		go = !list_empty(&q->snap_jobs) || (when && when <= now);
		if (go)
			break;
		if (when) {
			struct timespec ts = { .tv_sec = when };

			pthread_cond_timedwait(&q->snap_wake, &q->lock, &ts);
		} else
			pthread_cond_wait(&q->snap_wake, &q->lock);
	}
	list_splice(jobs, &q->snap_jobs);
	q->snap_due &= !go;
	pthread_mutex_unlock(&q->lock);
	return go;
}

void
writer_queue_snap_done(struct store_queue *q, struct list *jobs)
{
	pthread_mutex_lock(&q->lock);
	list_splice(&q->out.jobs, jobs);
	pthread_mutex_unlock(&q->lock);
	q->notify(q->arg);
}

/* ---- the steadier --------------------------------------------------------------------------------- */

bool
writer_queue_steady_wait(struct store_queue *q, uint64_t ms)
{
	struct timespec at;
	bool on;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += (time_t)(ms / 1000);
	at.tv_nsec += (long)(ms % 1000) * 1000000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_sec++;
		at.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&q->lock);
	while (!q->stop_steady && !q->steady_due)
		pthread_cond_wait(&q->steady_wake, &q->lock);
	while (!q->stop_steady && !q->steady_now &&
	    pthread_cond_timedwait(&q->steady_wake, &q->lock, &at) == 0)
		;
	on = !q->stop_steady;
	q->steady_due = q->steady_now = false;
	q->steady_bytes = 0;
	q->steady_used = q->shown.index_used;
	pthread_mutex_unlock(&q->lock);
	return on;
}

void
writer_queue_steady_done(struct store_queue *q, uint64_t batch, int error)
{
	pthread_mutex_lock(&q->lock);
	if (error)
		q->unsteady = error;
	else {
		q->steady_batch = batch;
		q->steady_points++;
	}
	pthread_mutex_unlock(&q->lock);
}

void
writer_queue_steady_again(struct store_queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->steady_due = true;
	pthread_mutex_unlock(&q->lock);
}

void
writer_queue_steady_tell(struct store_queue *q)
{
	q->notify(q->arg);
}

int
writer_queue_unsteady(struct store_queue *q)
{
	int error;

	pthread_mutex_lock(&q->lock);
	error = q->unsteady;
	pthread_mutex_unlock(&q->lock);
	return error;
}

uint64_t
writer_queue_steady_batch(struct store_queue *q)
{
	uint64_t batch;

	pthread_mutex_lock(&q->lock);
	batch = q->steady_batch;
	pthread_mutex_unlock(&q->lock);
	return batch;
}

void
writer_queue_stop_steadier(struct store_queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->stop_steady = true;
	pthread_cond_broadcast(&q->steady_wake);
	pthread_mutex_unlock(&q->lock);
}

/* ---- the end ---------------------------------------------------------------------------------------- */

void
writer_queue_stop_helpers(struct store_queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->stop_purge = true;
	q->stop_snap = true;
	q->stop_link = true;
	pthread_cond_broadcast(&q->link_wake);
	pthread_cond_broadcast(&q->purge_wake);
	pthread_cond_broadcast(&q->snap_wake);
	pthread_mutex_unlock(&q->lock);
}

void
writer_queue_stop_writer(struct store_queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->stop = true;
	pthread_cond_broadcast(&q->wake);
	pthread_mutex_unlock(&q->lock);
}

bool
writer_queue_stopping(struct store_queue *q)
{
	bool stop;

	pthread_mutex_lock(&q->lock);
	stop = q->stop;
	pthread_mutex_unlock(&q->lock);
	return stop;
}

/* The thread that copies the index: from time to time, when somebody asks, and when the log has
 * a hole.  LMDB copies from a snapshot of its own: nobody waits, but pages that are freed
 * meanwhile are not used again until the copy is ready. */
#include <errno.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/snapshot.h"
#include "store/write_private.h"

#define AGAIN 60 /* seconds after a failure */

void
snapshot_want(struct store_part *p)
{
	pthread_mutex_lock(&p->lock);
	if (!p->snap_due) {
		p->snap_due = true;
		pthread_cond_signal(&p->snap_wake);
	}
	pthread_mutex_unlock(&p->lock);
}

static bool
make(struct store_part *p, char **path, char **why)
{
	uint64_t t0 = clock_mono_ms(), batch = 0;

	if (snapshot_make(p->env, p->c.snapshots, path, &batch, why) < 0) {
		log_event(LOG_ERROR, "store_copy", "partition=%s error=%s", log_str(p->name), log_str(*why));
		return false;
	}
	log_event(LOG_INFO, "store_copy", "partition=%s path=%s batch=%llu ms=%llu", log_str(p->name),
	    log_str(*path), (unsigned long long)batch, (unsigned long long)(clock_mono_ms() - t0));
	log_trim(p, snapshot_prune(p->c.snapshots));
	return true;
}

/* Everybody who waits gets the same answer. */
static void
answer(struct store_part *p, struct list *jobs, const char *path, const char *why)
{
	struct store_job *j;

	if (list_empty(jobs))
		return;
	list_each(j, jobs, struct store_job, link) {
		if (!path) {
			reply_fail(j, STORE_FAILED, verdict(TEMP, 451, "4.3.0", "%s", why));
			continue;
		}
		reply_ok(j);
		j->reply.path = arena_slice(&j->arena, slice_str(path));
	}
	pthread_mutex_lock(&p->lock);
	list_splice(&p->out.jobs, jobs);
	pthread_mutex_unlock(&p->lock);
	p->c.notify(p->c.arg);
}

/* When the next one is due, in unix seconds; 0 = not by itself. */
static int64_t
next_due(const struct store_part *p)
{
	struct snapshot *list;
	int64_t at;
	size_t n;

	if (!p->c.snapshot_interval)
		return 0;
	list = snapshot_list(p->c.snapshots, &n);
	at = n ? list[n - 1].at : p->fresh ? clock_now() : 0;
	snapshot_list_free(&list, n);
	return at + p->c.snapshot_interval;
}

/* Waits for a reason to make one.  False: stop. */
static bool
wait_for_reason(struct store_part *p, int64_t due, int64_t not_before, struct list *jobs)
{
	bool go = false;

	pthread_mutex_lock(&p->lock);
	while (!go && !p->stop_snap) {
		int64_t now = clock_now(), when = due;

		if (p->snap_due && p->c.snapshot_interval)
			when = now;
		if (when && when < not_before)
			when = not_before;
		go = !list_empty(&p->snap_jobs) || (when && when <= now);
		if (go)
			break;
		if (when) {
			struct timespec ts = { .tv_sec = when };

			pthread_cond_timedwait(&p->snap_wake, &p->lock, &ts);
		} else
			pthread_cond_wait(&p->snap_wake, &p->lock);
	}
	list_splice(jobs, &p->snap_jobs);
	p->snap_due &= !go;
	pthread_mutex_unlock(&p->lock);
	return go;
}

void *
snapshot_main(void *arg)
{
	struct store_part *p = arg;
	struct list jobs;
	int64_t not_before = 0;

	list_init(&jobs);
	if (!p->c.snapshots)
		p->c.snapshot_interval = 0;
	while (wait_for_reason(p, next_due(p), not_before, &jobs)) {
		char *path = NULL, *why = NULL;
		bool good = p->c.snapshots && make(p, &path, &why);

		answer(p, &jobs, path, why ? why : "there is no place for snapshots");
		if (!good)
			snapshot_want(p);
		not_before = good ? 0 : clock_now() + AGAIN;
		mem_free(&path);
		mem_free(&why);
	}
	answer(p, &jobs, NULL, "the message store is stopping");
	return NULL;
}

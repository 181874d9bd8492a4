/* The thread that copies the index: from time to time, when somebody asks, and when the log has
 * a hole.  LMDB copies from a snapshot of its own: nobody waits, but pages that are freed
 * meanwhile are not used again until the copy is ready. */
#include <errno.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/snapshot.h"
#include "store/writer/writer-impl.h"

#define AGAIN 60 /* seconds after a failure */

static bool
make(struct snapper *s, char **path, char **why)
{
	uint64_t t0 = clock_mono_ms(), batch = 0, oldest, steady;

	if (store_snapshot_make(s->env->lmdb, s->config->snapshots, path, &batch, why) < 0) {
		log_event(LOG_ERROR, "store_copy", "partition=%s error=%s",
		    log_str(s->config->name), log_str(*why));
		return false;
	}
	log_event(LOG_INFO, "store_copy", "partition=%s path=%s batch=%llu ms=%llu",
	    log_str(s->config->name), log_str(*path), (unsigned long long)batch,
	    (unsigned long long)(clock_mono_ms() - t0));
	/* What leads on from the oldest copy stays, and what leads on from the last steady point. */
	oldest = store_snapshot_prune(s->config->snapshots);
	steady = writer_queue_steady_batch(s->queue);
	writer_oplog_trim(s->log_dirfd, s->config->name, steady < oldest ? steady : oldest);
	return true;
}

/* Everybody who waits gets the same answer. */
static void
writer_snapshot_answer(struct snapper *s, struct list *jobs, const char *path, const char *why)
{
	struct store_job *j;

	if (list_empty(jobs))
		return;
	list_each(j, jobs, struct store_job, link)
	{
		if (!path) {
			writer_reply_fail(j, STORE_FAILED, verdict(OUT_STORE_FAILED, why));
			continue;
		}
		writer_reply_ok(j);
		j->reply.path = arena_slice(&j->arena, slice_str(path));
	}
	writer_queue_snap_done(s->queue, jobs);
}

/* When the next one is due, in unix seconds; 0 = not by itself. */
static int64_t
next_due(const struct snapper *s)
{
	struct snapshot *list;
	int64_t at;
	size_t n;

	if (!s->interval)
		return 0;
	list = store_snapshot_list(s->config->snapshots, &n);
	at = n ? list[n - 1].at : s->fresh ? clock_now() : 0;
	store_snapshot_list_free(&list, n);
	return at + s->interval;
}

/* A copy of this very batch is there already. */
static bool
is_copied(const struct snapper *s)
{
	struct store_part_stats now;
	size_t n;
	struct snapshot *list = store_snapshot_list(s->config->snapshots, &n);
	bool same;

	writer_queue_stats(s->queue, &now);
	same = n && list[n - 1].batch == now.batch;
	store_snapshot_list_free(&list, n);
	return same;
}

void *
writer_snapshot_main(void *arg)
{
	struct snapper *s = arg;
	struct list jobs;
	int64_t not_before = 0;

	list_init(&jobs);
	while (writer_queue_snap_wait(s->queue, next_due(s), not_before, s->interval, &jobs)) {
		char *path = NULL, *why = NULL;
		bool good;

		if (list_empty(&jobs) && is_copied(s)) { /* nothing to copy yet */
			not_before = clock_now() + AGAIN;
			continue;
		}
		good = s->config->snapshots && make(s, &path, &why);
		writer_snapshot_answer(s, &jobs, path,
		    why ? why : "there is no place for snapshots");
		if (!good)
			writer_queue_snap_want(s->queue);
		not_before = good ? 0 : clock_now() + AGAIN;
		mem_free(&path);
		mem_free(&why);
	}
	writer_snapshot_answer(s, &jobs, NULL, "the message store is stopping");
	return NULL;
}

/* The writer's thread: batches.
 *
 * Order within a batch: links (and the journal of those in flight), LMDB rows, the frame of the log, one
 * sync of frame, files and directories, or, for small files, of the journal of bodies in their place: with
 * that the batch has happened.  Then LMDB commit, which
 * readers see, and which is synced later (steady.c); answers and events.  A failed frame, sync or
 * commit undoes frame and links and answers TEMP to everybody in the batch. */
#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "store/writer/writer-impl.h"

/* The writer's column of the table of verbs (store/verbs.c).  It is here because only stored links
 * the writer. */
typedef void writer_run_fn(struct writer *w, struct store_job *j);
static writer_run_fn *const runs[STORE_V_LAST + 1] = {
	[STORE_V_DELIVER] = writer_run_deliver,
	[STORE_V_APPEND] = writer_run_append,
	[STORE_V_ACCOUNT] = writer_run_account,
	[STORE_V_CREATE] = writer_run_create,
	[STORE_V_DELETE] = writer_run_delete,
	[STORE_V_RENAME] = writer_run_rename,
	[STORE_V_SUBSCRIBE] = writer_run_subscribe,
	[STORE_V_FLAGS] = writer_run_flags,
	[STORE_V_EXPUNGE] = writer_run_expunge,
	[STORE_V_COPY] = writer_run_copy,
	[STORE_V_MOVE] = writer_run_move,
	[STORE_V_RESERVE] = writer_run_reserve,
	[STORE_V_RELINK] = writer_run_relink,
	[STORE_V_RECOUNT] = writer_run_recount,
	[STORE_V_SETTLE] = writer_run_settle,
	[STORE_V_FORGET] = writer_run_forget,
	[STORE_V_MEND] = writer_run_mend,
	[STORE_V_REPLACE] = writer_run_replace,
	[STORE_V_ACL] = writer_run_acl,
	[STORE_V_ANNOTATE] = writer_run_annotate,
	[STORE_V_KNOW] = writer_run_know,
	[STORE_V_HANDLED] = writer_run_handled,
	[STORE_V_LEAVE] = writer_run_leave,
	[STORE_V_RETHREAD] = writer_run_rethread,
	[STORE_V_RESTORE] = writer_run_restore,
	[STORE_V_ERASE] = writer_run_erase,
	[STORE_V_FREEZE] = writer_run_freeze,
	[STORE_V_WARN] = writer_run_warn,
	[STORE_V_LOGIN] = writer_run_login,
	[STORE_V_ORPHAN] = writer_run_orphan,
	[STORE_V_RENAME_ACCOUNT] = writer_run_rename_account,
};

bool
writer_job_alone(const struct store_job *j)
{
	return store_verb_find(j->req.verb)->flags & STORE_VF_ALONE;
}

static void
job_run(struct writer *w, struct store_job *j)
{
	const struct store_verb_info *v = store_verb_find(j->req.verb);
	writer_run_fn *run = v ? runs[v->verb] : NULL;

	if (!run)
		writer_reply_fail(j, STORE_REFUSED, verdict(OUT_STORE_MISLED));
	else if (!(v->flags & STORE_VF_SPACE && writer_reply_if_full(w, j)) &&
	    !(v->flags & STORE_VF_CHANGE && writer_reply_if_frozen(w, j)))
		run(w, j);
}

static int
batch_open(struct writer *w)
{
	w->error = 0;
	w->now = clock_now();
	writer_files_begin(w->files, w->now);
	w->files->number = w->ids.batch + 1;
	w->ids_dirty = false;
	w->places = NULL;
	buf_clear(&w->events);
	writer_oplog_begin(w);
	writer_space_look(w);
	return mdb_txn_begin(w->env->lmdb, NULL, 0, &w->txn);
}

/* Returns 0 or an LMDB code or errno. */
static int
batch_commit(struct writer *w)
{
	uint64_t t0, t1;
	int rc;

	writer_intents_drop(w);
	writer_flush_dirty(w);
	if (w->error) {
		mdb_txn_abort(w->txn);
		return w->error;
	}
	t0 = clock_mono_us();
	rc = -writer_queue_unsteady(w->queue);
	if (rc == 0 && w->oplog.numbered)
		writer_bodies_write(w->files, writer_queue_steady_batch(w->queue));
	if (rc == 0)
		rc = writer_oplog_append(w);
	if (rc == 0)
		rc = writer_sync_batch(w->files, &w->oplog);
	t1 = clock_mono_us();
	if (rc < 0) {
		mdb_txn_abort(w->txn);
		return -rc;
	}
	rc = mdb_txn_commit(w->txn);
	if (rc == 0 && w->oplog.numbered)
		w->oplog.unmarked = false;
	if (rc == 0 && w->files->bodies.written)
		w->stats.journaled += w->files->bodies.list.n / sizeof(struct wbody);
	w->stats.syncfs_us += t1 - t0;
	w->stats.commit_us += clock_mono_us() - t1;
	return rc;
}

/* Once for a row of batches that fail for the same reason. */
static void
batch_complain(struct writer *w, int rc)
{
	if (rc != w->failing && rc)
		log_event(LOG_ERROR, "store_batch", "partition=%s error=%s",
		    log_str(w->config->name), log_str(mdb_strerror(rc)));
	else if (rc != w->failing)
		log_event(LOG_INFO, "store_batch", "partition=%s over=%llu",
		    log_str(w->config->name), (unsigned long long)w->failures);
	w->failures = rc ? w->failures + 1 : 0;
	w->failing = rc;
}

static void
batch_failed(struct writer *w, struct list *jobs, int rc)
{
	bool full = rc == ENOSPC || rc == EDQUOT || rc == MDB_MAP_FULL;
	struct verdict v = full ? verdict(OUT_STORE_FULL) : verdict(OUT_STORE_TROUBLE);
	struct store_job *j;

	batch_complain(w, rc);
	writer_links_undo(w->files, 0);
	writer_oplog_undo(w);
	buf_clear(&w->events);
	buf_clear(&w->new_accounts);
	list_each(j, jobs, struct store_job, link)
	    writer_reply_fail(j, full ? STORE_FULL : STORE_FAILED, v);
	writer_forget_all(w);
	w->empty_due =
	    true; /* a slice may have been in it: whoever looks and finds none ends at once */
	w->stats.failed_batches++;
}

static void
batch_finish(struct writer *w, struct list *jobs, size_t n, struct list *work, bool good)
{
	w->stats.batches++;
	w->stats.jobs += n;
	if (n > w->stats.largest_batch)
		w->stats.largest_batch = n;
	w->stats.accounts_cached = w->accounts.n;
	w->stats.mailboxes_cached = w->boxes.n;
	writer_queue_finish(w->queue, jobs, work, good, w);
	buf_clear(&w->new_accounts);
}

/* Runs the jobs.  One of them may become a long one; those behind it that must wait for it go
 * back, and so do those for which there is no time. */
static void
run_all(struct writer *w, struct list *jobs)
{
	uint64_t began = clock_mono_us();
	struct store_job *j;
	struct list back;
	size_t ran = 0;

	list_init(&back);
	list_each(j, jobs, struct store_job, link)
	{
		if (w->error)
			break;
		if (writer_long_delays(w, j) || (!writer_long_begin(w, began) && ran)) {
			list_remove(&j->link);
			list_push(&back, &j->link);
		} else {
			job_run(w, j);
			ran++;
		}
	}
	if (!list_empty(&back))
		writer_queue_return(w->queue, &back);
}

static void
batch_count_time(struct writer *w, uint64_t t0)
{
	uint64_t us = clock_mono_us() - t0, cpu_at = clock_thread_us(), cpu_us = cpu_at - w->cpu_at;

	w->stats.batch_us += us;
	w->cpu_at = cpu_at; /* this clock is a system call; between two batches it hardly moves */
	if (us > w->stats.longest_us)
		w->stats.longest_us = us;
	if (cpu_us > w->stats.longest_cpu_us)
		w->stats.longest_cpu_us = cpu_us;
}

static void
batch_run(struct writer *w, struct list *jobs, size_t n, struct list *work)
{
	uint64_t t0 = clock_mono_us();
	const struct store_job *first = list_first(jobs, struct store_job, link);
	bool alone = first && writer_job_alone(first),
	     moves = alone || writer_intents_due(w) == 0 || writer_long_moves(w);
	int rc;

	/* Between the commit and the move of the directories the purge must not look.  The lock comes
	 * before LMDB's own of its writer, here as in writer_intents_run. */
	if (moves)
		writer_names_lock(w->files);
	rc = batch_open(w);
	if (rc == 0) {
		struct store_work *done;

		/* What the journal of bodies has is made again where it was linked. */
		w->files->sync_more |= moves;

		list_each(done, work, struct store_work, link)
		{
			/* The files must be gone before the rows that remember them. */
			w->files->sync_more = true;
			writer_purge_done(w, done);
			writer_pending_done(w, buf_get(&done->linked));
		}
		run_all(w, jobs);
		if (!alone)
			writer_long_step(w, jobs);
		rc = batch_commit(w);
		if (rc == 0)
			buf_clear(&w->done_intents);
		if (rc == 0 && moves)
			writer_intents_run(w);
	}
	if (moves)
		writer_names_unlock(w->files);
	/* The environment is beyond use: a restart opens it anew, as it was committed last. */
	must(rc != MDB_PANIC);
	writer_bodies_settled(w->files, w->ids.batch, rc == 0);
	writer_dup_settled(w, rc == 0);
	writer_pending_settled(w, rc == 0);
	writer_quota_settled(w);
	writer_domains_settled(w, rc == 0);
	writer_long_settled(w, rc == 0, jobs);
	if (rc)
		batch_failed(w, jobs, rc);
	else {
		batch_complain(w, 0);
		writer_forget_gone(w);
		if (n) /* of whom somebody waits for */
			writer_empty_begin(w);
	}
	writer_inflight_clear(w->files);
	batch_count_time(w, t0);
	batch_finish(w, jobs, n, work, rc == 0);
	writer_accounts_settled(w);
	if (w->boxes.n > BOXES_MOST)
		writer_forget_all(w);
}

static enum judgement
batch_judge(const void *arg, const struct store_job *j)
{
	return writer_long_conflict(arg, j) ? JUDGE_PARK : JUDGE_TAKE;
}

void *
writer_main(void *arg)
{
	struct writer *w = arg;
	struct list jobs, work;
	size_t n;

	list_init(&jobs);
	list_init(&work);
	writer_empty_begin(w);
	for (;;) {
		uint64_t ms = list_empty(&w->longs) ? writer_intents_due(w) : 0;

		if (!writer_queue_wait(w->queue, ms, &jobs, &n, &work, batch_judge, w) &&
		    !writer_long_owed(w) && writer_queue_stopping(w->queue))
			return NULL;
		batch_run(w, &jobs, n, &work);
	}
}

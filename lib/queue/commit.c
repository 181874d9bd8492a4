/* commit.c: the committer: one thread per process that makes things durable in groups.
 *
 * It takes everything that is waiting, does the writing, syncs once and answers all.  While it
 * syncs the next group collects, so groups grow with the load and nothing waits for a timer
 * (tiermail(7)).  Mail of our own does not wait behind that of strangers, of whom a flood may have any number: it is in the
 * next group, and theirs has a share of each.  From SYNCFS_FROM files on one syncfs of the spool's file system is cheaper
 * than two flushes for each (measured with spoolbench on ext4); its descriptor stays open because
 * the kernel reports write-back errors to descriptors that were open when they happened. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "mail/outcome.h"
#include "queue/queue-impl.h"

#define SYNCFS_FROM 2
#define BATCH_MAX   512
#define BATCH_SHARE 128 /* of it: of strangers' at least, and at most when there is our own */

struct verdict
queue_commit_verdict(int error)
{
	if (error == 0)
		return verdict(OUT_QUEUE_COMMITTED);
	if (error == -ENOSPC || error == -EDQUOT)
		return verdict(OUT_QUEUE_FULL);
	return verdict(OUT_QUEUE_BROKEN);
}

static void
queue_commit_lock(struct queue *q)
{
	must(pthread_mutex_lock(&q->lock) == 0);
}

static void
queue_commit_unlock(struct queue *q)
{
	must(pthread_mutex_unlock(&q->lock) == 0);
}

/* ---- on the committer's thread ---------------------------------------------------------- */

static void
sync_all(struct queue *q, struct list *batch)
{
	struct qjob *j;
	int e;

	q->st.syncfs++;
	if (LIKELY(syncfs(q->root) == 0))
		return;
	e = -errno;
	log_event(LOG_ERROR, "queue_sync", "how=syncfs error=%s", log_str(strerror(-e)));
	list_each(j, batch, struct qjob, link) if (j->error == 0) j->error = e;
}

static void
sync_each(struct queue *q, struct list *batch)
{
	struct qjob *j;

	list_each(j, batch, struct qjob, link)
	{
		if (j->error)
			continue;
		q->st.fdatasync++;
		if ((j->error = j->sync(j)) < 0)
			log_event(LOG_ERROR, "queue_sync", "how=fsync error=%s",
			    log_str(strerror(-j->error)));
	}
}

/* A new directory's own name is only covered by syncfs. */
static void
commit_batch(struct queue *q, struct list *batch, size_t n)
{
	struct qjob *j;
	size_t files = 0;

	list_each(j, batch, struct qjob, link) files += j->weight;
	q->use_syncfs = files >= SYNCFS_FROM;
	q->dir_made = false;
	list_each(j, batch, struct qjob, link) j->error = j->prepare(j);
	if (q->use_syncfs || q->dir_made)
		sync_all(q, batch);
	else
		sync_each(q, batch);
	list_each(j, batch, struct qjob, link)
	{
		if (j->error) {
			q->st.errors++;
			log_event(LOG_ERROR, "queue_commit", "error=%s",
			    log_str(strerror(-j->error)));
		}
		j->settle(j);
	}
	q->st.batches++;
	q->st.commits += n;
}

static size_t
queue_batch_take(struct list *batch, struct list *from, size_t most)
{
	struct qjob *j;
	size_t n = 0;

	for (; n < most && (j = list_first(from, struct qjob, link)); n++) {
		list_remove(&j->link);
		list_push(batch, &j->link);
	}
	return n;
}

/* The next group; how many. */
static size_t
queue_batch_begin(struct queue *q, struct list *batch)
{
	size_t own = queue_batch_take(batch, &q->todo,
	    list_empty(&q->elsewhere) ? BATCH_MAX : BATCH_MAX - BATCH_SHARE);

	return own + queue_batch_take(batch, &q->elsewhere, own ? BATCH_SHARE : BATCH_MAX);
}

static void *
committer(void *arg)
{
	struct queue *q = arg;
	struct list batch;
	size_t n;

	list_init(&batch);
	for (;;) {
		queue_commit_lock(q);
		while (list_empty(&q->todo) && list_empty(&q->elsewhere) && !q->quit)
			must(pthread_cond_wait(&q->more, &q->lock) == 0);
		n = queue_batch_begin(q, &batch);
		queue_commit_unlock(q);
		if (n == 0)
			return NULL;
		commit_batch(q, &batch, n);
		queue_commit_lock(q);
		list_splice(&q->answered, &batch);
		queue_commit_unlock(q);
		wakeup_send(&q->wake);
	}
}

/* ---- on the loop ------------------------------------------------------------------------- */

static void
queue_commit_answer_all(struct wakeup *w)
{
	struct queue *q = CONTAINER(w, struct queue, wake);
	struct list done;
	struct qjob *j;

	list_init(&done);
	queue_commit_lock(q);
	list_splice(&done, &q->answered);
	queue_commit_unlock(q);
	while ((j = list_first(&done, struct qjob, link))) {
		list_remove(&j->link);
		if (j->op)
			op_done(j->op);
		j->answer(j);
	}
}

static void
commit_cancel(struct op *op)
{
	struct qjob *j = op->impl;

	j->op = NULL;
	j->done = NULL;
}

void
queue_commit_start(struct qjob *j, struct op *op, void (*done)(void *arg, const struct verdict *v),
    void *arg)
{
	struct queue *q = j->q;

	must(q->started);
	j->op = op;
	j->done = done;
	j->arg = arg;
	if (op) {
		must(!op_pending(op));
		op->impl = j;
		op->cancel = commit_cancel;
	}
	queue_commit_lock(q);
	list_push(j->elsewhere ? &q->elsewhere : &q->todo, &j->link);
	must(pthread_cond_signal(&q->more) == 0);
	queue_commit_unlock(q);
}

/* ---- life ---------------------------------------------------------------------------------- */

void
queue_start(struct queue *q, struct loop *l)
{
	sigset_t all, old;

	must(!q->started);
	q->loop = l;
	q->started = true;
	wakeup_init(&q->wake, l, queue_commit_answer_all);
	/* Signals are the loop's. */
	(void)sigfillset(&all);
	must(pthread_sigmask(SIG_SETMASK, &all, &old) == 0);
	must(pthread_create(&q->thread, NULL, committer, q) == 0);
	must(pthread_sigmask(SIG_SETMASK, &old, NULL) == 0);
}

static void
queue_free(struct queue *q)
{
	if (q->pool >= 0)
		(void)close(q->pool);
	if (q->tmp >= 0)
		(void)close(q->tmp);
	if (q->root >= 0)
		(void)close(q->root);
	(void)pthread_mutex_destroy(&q->lock);
	(void)pthread_mutex_destroy(&q->pool_lock);
	(void)pthread_cond_destroy(&q->more);
	mem_free(&q->path);
	mem_free(&q);
}

static void
wake_closed(struct wakeup *w)
{
	queue_free(CONTAINER(w, struct queue, wake));
}

void
queue_close(struct queue **qp)
{
	struct queue *q = *qp;
	struct qjob *j;

	*qp = NULL;
	if (!q)
		return;
	if (!q->started) {
		queue_free(q);
		return;
	}
	queue_commit_lock(q);
	q->quit = true;
	must(pthread_cond_signal(&q->more) == 0);
	queue_commit_unlock(q);
	must(pthread_join(q->thread, NULL) == 0);
	while ((j = list_first(&q->answered, struct qjob, link))) {
		list_remove(&j->link);
		if (j->op)
			op_done(j->op);
		j->done = NULL;
		j->answer(j);
	}
	wakeup_close(&q->wake, wake_closed);
}

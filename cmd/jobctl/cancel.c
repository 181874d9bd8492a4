/* cancel.c: the verb `cancel`: the sender of a message that is kept for later (RFC 4865) wants it no more.
 *
 * Called by verbs.c.  smtp-relay asks for its user, jmapd through it: who may is said in the queue file, which
 * names the account that has submitted the message.  All recipients or none: it is refused when one of its files
 * has gone, is with a master or has begun.  The files go on a work thread, since the answer waits for the disk
 * (queue/queue.h); meanwhile the schedule has them as held, so that nobody gets them, and what could not be
 * removed goes back to where it was.  A client that goes does not stop it. */
#include <errno.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "jobctl.h"
#include "net/work.h"
#include "queue/read.h"

/* Behind a start: feeders look for us again within five seconds (job/feed.h), and what they have written meanwhile no scan
 * may have seen. */
#define NEWS_MS 6000

struct cancel {
	struct op op;
	struct conn *conn; /* who has asked; NULL: he has gone */
	struct queue_cancel *files;
	bool *was_held; /* of each: it is no longer to go by itself */
	size_t n;
	int error;
	char qid[QUEUE_ID_LEN + 1];
};

static void
cancel_free(struct cancel *k)
{
	mem_free(&k->files);
	mem_free(&k->was_held);
	mem_free(&k);
}

static void
cancel_run(void *arg)
{
	struct cancel *k = arg;

	k->error = queue_cancel(jobctl.queue, k->files, k->n);
}

static void
cancel_answer(struct cancel *k)
{
	struct conn *c = k->conn;

	if (!c)
		return;
	c->cancel = NULL;
	if (k->error)
		walk_answer(c, "later");
	else
		buf_printf(stream_out(&c->io), "ok n=%zu\n", k->n);
	stream_flush(&c->io);
	stream_start(&c->io);
}

static void
cancel_done(void *arg)
{
	struct cancel *k = arg;

	log_event(k->error ? LOG_WARN : LOG_INFO, "cancel", "qid=%s files=%zu error=%s", k->qid,
	    k->n, k->error ? log_str(strerror(-k->error)) : "-");
	for (size_t i = 0; i < k->n; i++) {
		struct sched_entry *e = sched_find(jobctl.sched, k->files[i].id);

		if (!e || e->state != SCHED_HELD)
			continue;
		if (!k->error)
			sched_remove(jobctl.sched, e);
		else if (!k->was_held[i] && !k->files->held)
			sched_release(jobctl.sched, e, clock_now());
	}
	metric_add(M_CANCELLED, !k->error);
	cancel_answer(k);
	cancel_free(k);
	table_changed();
	table_due();
}

/* Are all of them there, and does none do more than wait?  Fills in the files. */
static bool
cancel_collect(struct cancel *k, size_t n, bool again)
{
	k->files = mem_array(n, sizeof(*k->files));
	k->was_held = mem_array(n, sizeof(*k->was_held));
	for (size_t i = 0; i < n; i++) {
		struct queue_cancel *f = &k->files[k->n];
		struct sched_entry *e;

		queue_copy_id(f->id, k->n ? k->files[k->n - 1].id : k->qid, i);
		e = sched_find(jobctl.sched, f->id);
		if (!e && again) /* gone, when somebody was killed who had begun */
			return true;
		if (!e || !sched_is_kept(e, clock_now()))
			return false;
		f->channel = sched_of(e)->name;
		f->held = k->was_held[k->n++] = e->state == SCHED_HELD;
	}
	return true;
}

/* There is no such message, or not all of it; or nobody has told of it yet. */
static const char *
cancel_none(void)
{
	return loop_now(jobctl.loop) < jobctl.began + NEWS_MS ? "later" : "none";
}

/* The first file says whose it is and of how many; NULL, or why not. */
static const char *
cancel_look(struct cancel *k, struct slice by)
{
	char id[QUEUE_FILE_ID_LEN + 1], name[QUEUE_NAME_LEN + 4];
	struct sched_entry *e;
	struct qread *r = NULL;
	const char *why;
	bool mine, all;

	queue_copy_id(id, k->qid, 0);
	e = sched_find(jobctl.sched, id);
	if (!e && rescan_running())
		return "later"; /* it may not have been found yet */
	if (!e)
		return cancel_none();
	if (!sched_is_kept(e, clock_now()) ||
	    qread_open(jobctl.queue, sched_of(e)->name,
		queue_name(name, id, 0, e->state == SCHED_HELD), QREAD_LOOK, &r, &why) < 0)
		return "none";
	mine = r->env.auth && slice_ieq(slice_str(r->env.auth), by) && r->env.files;
	all = mine &&
	    cancel_collect(k, r->env.files,
		e->state == SCHED_HELD && r->env.held && strcmp(r->env.held, QUEUE_CANCELLED) == 0);
	qread_close(&r);
	return all ? NULL : mine ? cancel_none() : "none";
}

void
cancel_start(struct conn *c, struct slice rest)
{
	struct slice qid = kv_find(rest, "qid"), by = kv_find(rest, "by");
	struct cancel *k = mem_new(sizeof(*k));
	struct buf account = { 0 };
	const char *why = "qid and by are needed";

	slice_cstr(qid, k->qid, sizeof(k->qid));
	if (qid.n == QUEUE_ID_LEN && by.n && kv_decode(&account, by) == 0)
		why = cancel_look(k, buf_get(&account));
	buf_fini(&account);
	if (why) {
		walk_answer(c, why);
		cancel_free(k);
		return;
	}
	for (size_t i = 0; i < k->n; i++)
		if (!k->was_held[i])
			sched_hold(jobctl.sched, sched_find(jobctl.sched, k->files[i].id));
	k->conn = c;
	c->cancel = k;
	work_start(jobctl.loop, &k->op, cancel_run, cancel_done, cancel_done, k);
}

void
cancel_forget(struct conn *c)
{
	if (c->cancel)
		c->cancel->conn = NULL;
	c->cancel = NULL;
}

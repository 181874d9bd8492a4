/* Long jobs, in slices: nobody waits for a STORE, EXPUNGE, COPY or MOVE of a whole mailbox.
 *
 * Owns struct wlong.  Called by the writer's thread within its batches.  A job says itself, by the
 * clock, that its slice is over; then it leaves its batch, and each batch from there on begins with
 * what has come meanwhile and ends with one slice.  Each slice is committed with its batch and has a
 * modseq of its own; the answer comes with the last.  So a kill between two slices leaves some of the
 * messages done, which IMAP allows; COPY, for which it does not, is seen with its last slice alone
 * (copy.c).  A batch that fails ends the job whose slice was in it.  Between slices a mailbox may get
 * mail and keywords, so no slice believes what an earlier one has seen; other changes of it wait.  Into a
 * mailbox that a COPY has given out UIDs of nothing comes meanwhile, mail for it waits; mail for the
 * account's other mailboxes does not.  While an account is counted (recount.c) all of it waits. */
#include "base/clock.h"
#include "base/mem.h"
#include "store/writer/writer-impl.h"

#define BATCH_US 15000 /* a batch that has run so long begins no other job */

/* ---- time ---------------------------------------------------------------------------------- */

bool
writer_long_over(const struct writer *w)
{
	return clock_mono_us() - w->slice_at >= w->config->slice_us;
}

bool
writer_long_begin(struct writer *w, uint64_t batch_at)
{
	w->slice_at = clock_mono_us();
	return w->slice_at - batch_at < BATCH_US;
}

/* ---- life ---------------------------------------------------------------------------------- */

static void
long_free(struct wlong *l)
{
	list_remove(&l->link);
	buf_fini(&l->uids);
	buf_fini(&l->copy.records);
	buf_fini(&l->copy.to);
	writer_count_fini(&l->count);
	mem_free(&l);
}

/* It will be answered, and what had to wait for it may have its turn. */
static void
long_end(struct writer *w, struct wlong *l, struct list *jobs)
{
	list_push(jobs, &l->job->link);
	long_free(l);
	writer_queue_unpark(w->queue);
}

/* What arrives while the job goes on is not among its messages. */
static void
long_clip(struct writer *w, struct wlong *l)
{
	struct wbox *b;
	uint32_t end = writer_box_find(w, l->mailbox, &b) < 0 ? 1 : b->d.uidnext;
	struct store_range *r;
	size_t n = 0;

	r = arena_array(&l->job->arena, l->nranges + 1, sizeof(*r));
	for (; n < l->nranges && l->ranges[n].first < end; n++) {
		r[n] = l->ranges[n];
		if (r[n].last >= end)
			r[n].last = end - 1;
	}
	if (l->nranges == 0)
		r[n++] = (struct store_range){ 1, end - 1 };
	else if (n == 0) /* of a list that is empty now not all are meant */
		r[n++] = (struct store_range){ 1, 0 };
	l->ranges = r;
	l->nranges = n;
}

void
writer_long_run(struct writer *w, struct store_job *j, long_fn *fn, uint64_t mailbox,
    uint64_t mailbox2)
{
	struct wlong *l = mem_new(sizeof(*l));

	*l = (struct wlong){ .job = j,
		.slice = fn,
		.mailbox = mailbox,
		.mailbox2 = mailbox2,
		.ranges = j->req.ranges,
		.nranges = j->req.nranges };
	list_init(&l->link);
	if (fn(w, l)) {
		long_free(l);
		return;
	}
	long_clip(w, l);
	l->in_batch = true;
	list_remove(&j->link);
	list_push(&w->longs, &l->link);
}

void
writer_long_aside(struct writer *w, long_fn *fn)
{
	struct wlong *l = mem_new(sizeof(*l));

	*l = (struct wlong){ .job = store_job_new(), .slice = fn, .aside = true };
	l->job->req.verb = STORE_V_EXPUNGE;
	list_init(&l->link);
	list_push(&w->longs, &l->link);
}

/* Those of one account take turns as one, so that nobody gets more for asking more. */
static void
long_requeue(struct writer *w, uint64_t account)
{
	struct list same;
	struct wlong *l;

	list_init(&same);
	list_each(l, &w->longs, struct wlong, link)
	{
		if (l->account == account) {
			list_remove(&l->link);
			list_push(&same, &l->link);
		}
	}
	list_splice(&w->longs, &same);
}

void
writer_long_step(struct writer *w, struct list *jobs)
{
	struct wlong *l = list_first(&w->longs, struct wlong, link);

	if (!l || w->error || l->in_batch) /* it has had its slice */
		return;
	w->slice_at = clock_mono_us();
	if (l->slice(w, l))
		long_end(w, l, jobs);
	else {
		l->in_batch = true;
		long_requeue(w, l->account);
	}
}

void
writer_long_settled(struct writer *w, bool committed, struct list *jobs)
{
	struct wlong *l = list_first(&w->longs, struct wlong, link);

	/* A batch that could not even begin ends the one whose turn it was: nothing turns for ever. */
	if (l && !committed)
		l->in_batch = true;
	list_each(l, &w->longs, struct wlong, link)
	{
		if (l->in_batch && !committed)
			long_end(w, l, jobs);
		else
			l->in_batch = false;
	}
}

/* ---- others ---------------------------------------------------------------------------------- */

/* Would the job bring mail into the mailbox whose next UIDs are given out?  Of a delivery that is known
 * when a batch has looked. */
static bool
long_brings(const struct wlong *l, const struct store_job *j)
{
	return l->copy.holds &&
	    (j->waits_for == l->mailbox2 ||
		(j->req.verb == STORE_V_APPEND && j->req.mailbox == l->mailbox2));
}

/* Those that have an account to themselves: nothing that is under way for the account may go on beside them. */
static bool
job_is_whole(const struct store_job *j)
{
	return j->req.verb == STORE_V_RECOUNT || j->req.verb == STORE_V_MEND ||
	    j->req.verb == STORE_V_ERASE || j->req.verb == STORE_V_RENAME_ACCOUNT ||
	    j->req.verb == STORE_V_FREEZE;
}

bool
writer_long_conflict(const struct writer *w, const struct store_job *j)
{
	const struct store_request *r = &j->req;
	uint64_t account = r->account ? r->account : j->waits_account;
	/* Mail comes in beside it, and its UIDs are not among those of the job. */
	bool mail = r->verb == STORE_V_APPEND || r->verb == STORE_V_RESERVE;
	const struct wlong *l;

	list_each(l, &w->longs, struct wlong, link)
	{
		if (long_brings(l, j) ||
		    (account && (account == l->account || account == l->account2) &&
			(l->alone || job_is_whole(j))))
			return true;
		if (mail)
			continue;
		if ((r->mailbox && (r->mailbox == l->mailbox || r->mailbox == l->mailbox2)) ||
		    (r->mailbox2 && (r->mailbox2 == l->mailbox || r->mailbox2 == l->mailbox2)) ||
		    ((r->account == l->account || (r->account && r->account == l->account2)) &&
			writer_job_alone(j)))
			return true;
	}
	return false;
}

/* The mailbox of one of the targets, if mail for it must wait; else 0. */
static uint64_t
long_target(struct writer *w, const struct store_request *r)
{
	const struct wlong *l;
	struct wacct *a;
	struct wbox *b;

	for (size_t i = 0; i < r->ntargets; i++) {
		if (writer_account_find(w, r->targets[i].account, &a) < 0 ||
		    writer_target_box(w, a, &r->targets[i], &b) < 0)
			continue;
		list_each(l, &w->longs, struct wlong,
		    link) if (l->copy.holds && l->mailbox2 == b->id) return b->id;
	}
	return 0;
}

static bool
long_is_alone(const struct writer *w, const struct wacct *a)
{
	const struct wlong *l;

	list_each(l, &w->longs, struct wlong,
	    link) if (l->alone && l->account == a->d.id) return true;
	return false;
}

/* The account that the job concerns, of several one that is kept alone; 0: not known. */
static uint64_t
long_account(struct writer *w, const struct store_request *r)
{
	struct wacct *a;
	struct wbox *b;

	if (r->mailbox2 && writer_box_find(w, r->mailbox2, &b) == 0 && long_is_alone(w, b->acct))
		return b->acct->d.id;
	if (r->mailbox && r->verb != STORE_V_MEND)
		return writer_box_find(w, r->mailbox, &b) == 0 ? b->acct->d.id : 0;
	if (r->verb == STORE_V_MEND)
		return writer_account_find(w, r->name, &a) == 0 ? a->d.id : 0;
	for (size_t i = 0; i < r->ntargets; i++) {
		if (writer_account_find(w, r->targets[i].account, &a) < 0)
			continue;
		if (long_is_alone(w, a))
			return a->d.id;
	}
	return 0;
}

bool
writer_long_delays(struct writer *w, struct store_job *j)
{
	if (!list_empty(&w->longs))
		j->waits_account = long_account(w, &j->req);
	if (j->req.verb == STORE_V_DELIVER)
		j->waits_for = writer_long_holds(w) ? long_target(w, &j->req) : 0;
	return writer_long_conflict(w, j);
}

bool
writer_long_holds(const struct writer *w)
{
	const struct wlong *l;

	list_each(l, &w->longs, struct wlong, link) if (l->copy.holds) return true;
	return false;
}

bool
writer_long_moves(const struct writer *w)
{
	const struct wlong *l = list_first(&w->longs, struct wlong, link);

	return l && l->moves;
}

bool
writer_long_owed(const struct writer *w)
{
	const struct wlong *l;

	list_each(l, &w->longs, struct wlong, link) if (!l->aside) return true;
	return false;
}

void
writer_long_fini(struct writer *w)
{
	struct wlong *l;

	while ((l = list_first(&w->longs, struct wlong, link))) {
		store_job_free(&l->job);
		long_free(l);
	}
}

/* channel-master/job.c: one lease, from jobctl's word to its end.
 *
 *	open -> (session -> batch of recipients)* -> report -> journal or finish -> result
 *
 * The order is what keeps mail safe: the report about a failed recipient is in the queue before
 * the recipient is marked; the journal is on disk before jobctl hears of it.  Killed anywhere
 * in between, the file still says what was true before, and the work is done again. */
#include <errno.h>
#include <stdio.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "access.h"
#include "cut.h"

/* ---- the end -------------------------------------------------------------------------- */

void
job_end(struct job *j, enum job_end end)
{
	j->result.end = end;
	if (j->cut)
		cut_end(j);
	else if (master.job)
		job_master_end(master.job, &j->result);
	if (j->work)
		master.agent->end(j);
	qread_close(&j->r);
	mem_free(&j->outcomes);
	list_remove(&j->link);
	master.njobs--;
	j->magic = 0;
	mem_free(&j);
	master_job_over();
}

void
job_drop(struct job *j, uint32_t after_s)
{
	j->result.after = after_s;
	j->result.site = JOB_SITE_NONE;
	job_end(j, JOB_DROP);
}

bool
job_begun(const struct job *j)
{
	for (size_t i = 0; i < j->r->env.nrcpt; i++)
		if (j->outcomes[i].tried)
			return true;
	return false;
}

void
job_outcome_rest(struct job *j, const struct verdict *v)
{
	for (size_t i = 0; i < j->r->env.nrcpt; i++) {
		struct outcome *o = &j->outcomes[i];

		if (j->r->env.rcpts[i].state != QSTATE_PENDING || o->tried)
			continue;
		o->v = *v;
		o->tried = true;
	}
}

void
job_log_outcome(const struct job *j, size_t i)
{
	const struct qenv *e = &j->r->env;
	const struct outcome *o = &j->outcomes[i];
	const char *word = o->v.kind == TEMP ? "deferred" :
	    o->v.kind == PERM                ? "failed" :
	    j->moved                         ? "requeued" :
					       master.agent->word;

	count_outcome(&o->v);

	log_event(LOG_INFO, "deliver",
	    "qid=%s channel=%s to=%s state=%s verdict=%d.%u.%u reply=%d peer=%s attempt=%u ms=%llu "
	    "delay=%lld tls=%s policy=%s text=%s",
	    e->qid, master.channel->name, log_str(e->rcpts[i].addr), word, (int)o->v.kind,
	    o->v.subject, o->v.detail, verdict_reply(&o->v), log_str(o->mta), j->attempt + 1,
	    (unsigned long long)(loop_now(master.loop) - j->began_ms),
	    (long long)(clock_now() - e->arrival_ms / 1000), o->tls ? o->tls : "none",
	    o->policy ? o->policy : "none", log_str(o->v.text));
}

static void
deferred(void *arg, const struct verdict *v)
{
	struct job *j = CAST(arg, struct job, JOB_MAGIC);

	if (v->kind == OK) {
		job_end(j, JOB_RETRY);
		return;
	}
	log_event(LOG_ERROR, "journal", "channel=%s text=%s", master.channel->name,
	    log_str(v->text));
	job_drop(j, j->backoff); /* the file says what it said before */
}

/* Everything is decided: into r. */
void
job_decide(void *arg)
{
	struct job *j = CAST(arg, struct job, JOB_MAGIC);
	struct qread *r = j->r;

	j->decided = true;

	if (j->moved) /* says nothing about the destination */
		j->result.site = JOB_SITE_NONE;
	for (size_t i = 0; i < r->env.nrcpt; i++) {
		const struct outcome *o = &j->outcomes[i];
		enum qstate state = QSTATE_PENDING;

		if (!o->tried || o->recorded)
			continue;
		job_log_outcome(j, i);
		if (o->v.kind == OK)
			state = QSTATE_DELIVERED;
		else if (o->v.kind == PERM)
			state = *r->env.sender || *mconf.double_bounce ? QSTATE_FAILED :
									 QSTATE_DISCARDED;
		qread_result(r, i, state, &o->v, o->remote ? o->mta : NULL);
	}
}

/* And into the file. */
static void
record(struct job *j)
{
	struct qread *r = j->r;

	if (!j->decided)
		job_decide(j);
	if (qread_done(r)) {
		qread_finish(&j->r);
		job_end(j, JOB_DONE);
		return;
	}
	j->result.next = clock_now() + j->backoff;
	qread_defer_start(&j->r, true, j->result.next, &j->op, deferred, j);
}

static void
reported(void *arg, const struct verdict *v)
{
	struct job *j = CAST(arg, struct job, JOB_MAGIC);

	j->bounce = NULL;
	if (j->r->env.report == QREPORT_QUEUED) {
		job_drop(j, 60); /* the file says so, and the next attempt shows it */
		return;
	}
	j->decided = j->decided && v->kind == OK;
	for (size_t i = 0; v->kind != OK && i < j->r->env.nrcpt; i++) {
		struct outcome *o = &j->outcomes[i];

		/* Not reported, so not over. */
		if (o->tried && o->v.kind == PERM)
			o->v = verdict(OUT_REPORT_DEFERRED, o->v.text, v->text);
	}
	record(j);
}

/* What servers have said may ask for more than that this message waits; not our own relay, by which it goes anew. */
static void
job_take_rules(struct job *j)
{
	for (size_t i = 0; !j->moved && i < j->r->env.nrcpt; i++) {
		const struct outcome *o = &j->outcomes[i];
		const struct channel_reply *rule;

		if (!o->tried || o->v.kind == OK || o->v.said == 0)
			continue;
		rule = channels_reply(master.channels, master.channel->name, o->v.said,
		    slice_str(o->v.text));
		if (!rule || rule->suspend / 1000 <= j->result.suspend)
			continue;
		j->result.suspend = (uint32_t)(rule->suspend / 1000);
		j->result.rule = slice_str(rule->name);
	}
}

void
job_settle(struct job *j)
{
	if (j->cut) { /* the rest is the relay's to queue */
		job_end(j, JOB_DONE);
		return;
	}
	job_take_rules(j);
	j->bounce = bounce_start(j->r, j->outcomes, BOUNCE_RESULT, job_decide, reported, j);
	if (!j->bounce)
		record(j);
}

/* ---- warnings and expiry -------------------------------------------------------------- */

/* What the journal remembers of the last attempt. */
static void
recall(struct job *j, size_t i, struct outcome *o)
{
	const struct qrcpt *q = &j->r->env.rcpts[i];

	if (q->last && q->deferred) {
		o->v = *q->last;
		o->remote = q->mta;
		o->mta = q->mta;
	} else {
		o->v = verdict(OUT_NEVER_TRIED);
	}
}

static void
noted(void *arg, const struct verdict *v)
{
	struct job *j = CAST(arg, struct job, JOB_MAGIC);

	if (v->kind == OK)
		job_end(j, JOB_NOTED);
	else
		job_drop(j, 300);
}

static void
job_notice(void *arg)
{
	struct job *j = CAST(arg, struct job, JOB_MAGIC);

	j->decided = true;
	qread_noticed(j->r, j->notice);
}

static void
warned(void *arg, const struct verdict *v)
{
	struct job *j = CAST(arg, struct job, JOB_MAGIC);

	j->bounce = NULL;
	if (v->kind != OK) {
		job_drop(j, j->r->env.report == QREPORT_QUEUED ? 60 : 300);
		return;
	}
	if (j->decided) { /* and written, with the report's mark */
		job_end(j, JOB_NOTED);
		return;
	}
	job_notice(j);
	qread_mark_start(j->r, &j->op, noted, j);
}

static void
warn(struct job *j)
{
	static const struct verdict nothing = { .kind = OK };

	if (j->r->env.notices >= j->notice) { /* a master that has died has sent it */
		job_end(j, JOB_NOTED);
		return;
	}
	for (size_t i = 0; i < j->r->env.nrcpt; i++)
		recall(j, i, &j->outcomes[i]);
	j->bounce = bounce_start(j->r, j->outcomes, BOUNCE_DELAY, job_notice, warned, j);
	if (!j->bounce)
		warned(j, &nothing);
}

/* Too old, or an operator wants it back. */
static void
expire(struct job *j)
{
	for (size_t i = 0; i < j->r->env.nrcpt; i++) {
		struct outcome *o = &j->outcomes[i];

		if (j->r->env.rcpts[i].state != QSTATE_PENDING)
			continue;
		recall(j, i, o);
		o->v = j->action == JOB_RETURN ? verdict(OUT_RETURNED, o->v.text) :
						 verdict(OUT_EXPIRED, o->v.text);
		o->remote = false;
		o->tried = true;
	}
	job_settle(j);
}

/* ---- the beginning -------------------------------------------------------------------- */

static void
open_failed(struct job *j, int error, const char *file, const char *why)
{
	switch (error) {
	case -ENOENT: job_end(j, JOB_DONE); return;
	case -EBUSY: job_drop(j, 5); return;
	case -EBADMSG:
		if (queue_set_aside(master.queue, master.channel->name, file,
			why ? why : "damaged") == 0) {
			job_end(j, JOB_HELD);
			return;
		}
		break;
	default: break;
	}
	log_event(LOG_ERROR, "open", "channel=%s file=%s error=%s", master.channel->name,
	    log_str(file), log_str(strerror(-error)));
	job_drop(j, 60);
}

/* ---- a time to be delivered by (RFC 2852) ----------------------------------------------- */

_Static_assert(MTA_TIMES_MAX < JOB_NOTICE_LATE, "a delay warning's own numbers are below");

static void
by_outcomes(struct job *j)
{
	bool back = !j->r->env.by_notify;

	for (size_t i = 0; i < j->r->env.nrcpt; i++) {
		struct outcome *o = &j->outcomes[i];

		if (j->r->env.rcpts[i].state != QSTATE_PENDING)
			continue;
		recall(j, i, o);
		o->v = back ? verdict(OUT_BY_OVER, o->v.text) : verdict(OUT_BY_LATE, o->v.text);
		o->remote = false;
		o->tried = back;
	}
}

static void
by_settle(void *arg)
{
	struct job *j = CAST(arg, struct job, JOB_MAGIC);

	j->decided = true;
	qread_noticed(j->r, JOB_NOTICE_LATE);
}

/* The sender has heard of it; the message goes on. */
static void
by_told(void *arg, const struct verdict *v)
{
	struct job *j = CAST(arg, struct job, JOB_MAGIC);

	j->bounce = NULL;
	if (v->kind != OK) {
		job_drop(j, j->r->env.report == QREPORT_QUEUED ? 60 : 300);
		return;
	}
	if (!j->decided)
		by_settle(j);
	j->decided = false;
	memset(j->outcomes, 0, j->r->env.nrcpt * sizeof(*j->outcomes));
	master.agent->start(j);
}

/* It was over while the lease was given.  False: its time is not over, or has been seen to. */
static bool
by_over(struct job *j)
{
	static const struct verdict nothing = { .kind = OK };
	const struct qenv *e = &j->r->env;

	if (!e->by_at || clock_now() < e->by_at || e->notices >= JOB_NOTICE_LATE)
		return false;
	by_outcomes(j);
	if (!e->by_notify) {
		job_settle(j);
		return true;
	}
	j->bounce = bounce_start(j->r, j->outcomes, BOUNCE_DELAY, by_settle, by_told, j);
	if (!j->bounce)
		by_told(j, &nothing);
	return true;
}

/* At that time, and not at the next attempt: jobctl has said so. */
static void
by_late(struct job *j)
{
	static const struct verdict nothing = { .kind = OK };
	const struct qenv *e = &j->r->env;

	j->notice = JOB_NOTICE_LATE;
	if (!e->by_at || e->notices >= j->notice) { /* a master that has died has told him */
		job_end(j, JOB_NOTED);
		return;
	}
	if (clock_now() < e->by_at) { /* the clock was set */
		job_drop(j, (uint32_t)(e->by_at - clock_now()));
		return;
	}
	by_outcomes(j);
	if (!e->by_notify) {
		job_settle(j);
		return;
	}
	j->bounce = bounce_start(j->r, j->outcomes, BOUNCE_DELAY, job_notice, warned, j);
	if (!j->bounce)
		warned(j, &nothing);
}

/* A master that has died may have left a file whose recipients are all done with. */
static bool
job_was_done(struct job *j)
{
	if (!qread_done(j->r))
		return false;
	if (master.agent->over && !master.agent->over(j)) {
		job_drop(j, 5);
		return true;
	}
	qread_finish(&j->r);
	job_end(j, JOB_DONE);
	return true;
}

static void
job_deliver(struct job *j)
{
	if (job_was_done(j) || by_over(j))
		return;
	if (j->action == JOB_DELIVER && !access_dequeue(j))
		job_drop(j, j->backoff);
	else
		master.agent->start(j);
}

static void
job_act(struct job *j)
{
	switch (j->action) {
	case JOB_DELIVER:
	case JOB_REROUTE: job_deliver(j); break;
	case JOB_NOTICE: warn(j); break;
	case JOB_RETURN:
	case JOB_EXPIRE: expire(j); break;
	case JOB_LATE:
		if (!job_was_done(j))
			by_late(j);
		break;
	}
}

static void
recovered(void *arg, const struct verdict *v)
{
	struct job *j = CAST(arg, struct job, JOB_MAGIC);

	if (v->kind == OK)
		job_act(j);
	else
		job_drop(j, 60);
}

void
job_start(const struct job_work *w)
{
	struct job *j = mem_new(sizeof(*j));
	const char *why = NULL;
	char file[QUEUE_NAME_LEN + 8];
	int r;

	j->magic = JOB_MAGIC;
	list_push(&master.jobs, &j->link);
	master.njobs++;
	j->result = (struct job_result){ .id = w->id, .site = JOB_SITE_NONE };
	j->action = w->action;
	j->attempt = w->attempt;
	j->backoff = w->backoff;
	j->notice = w->notice;
	j->began_ms = loop_now(master.loop);
	if (master.draining) {
		job_drop(j, 1);
		return;
	}
	deadline_clear(&master.leave);
	slice_cstr(w->file, file, sizeof(file));
	r = kv_cstr(w->dest, j->dest, sizeof(j->dest));
	if (r == 0)
		r = qread_open(master.queue, master.channel->name, file,
		    QREAD_LOCK | (w->check ? QREAD_CHECK : 0), &j->r, &why);
	if (r < 0) {
		open_failed(j, r, file, why);
		return;
	}
	j->outcomes = mem_array(j->r->env.nrcpt, sizeof(*j->outcomes));
	if (!handover_recover(j->r, w->check || master.agent->pieces, &j->op, recovered, j))
		job_act(j);
}

void
job_start_cut(struct job_cut_token *t, struct qread *r, const char *dest)
{
	struct job *j = mem_new(sizeof(*j));

	j->magic = JOB_MAGIC;
	j->cut = t;
	j->r = r;
	list_push(&master.jobs, &j->link);
	master.njobs++;
	j->result = (struct job_result){ .site = JOB_SITE_NONE };
	j->action = JOB_DELIVER;
	j->began_ms = loop_now(master.loop);
	deadline_clear(&master.leave);
	(void)snprintf(j->dest, sizeof(j->dest), "%s", dest);
	j->outcomes = mem_array(r->env.nrcpt, sizeof(*j->outcomes));
	if (access_dequeue(j))
		master.agent->start(j);
	else
		job_end(j, JOB_DONE);
}

void
jobs_give_back(void)
{
	struct job *j;

	list_each(j, &master.jobs, struct job, link)
	{
		if (j->work && master.agent->give_back && master.agent->give_back(j))
			job_drop(j, 1);
	}
}

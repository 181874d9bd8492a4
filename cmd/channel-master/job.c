/* channel-master/job.c: one lease, from jobctl's word to its end.
 *
 *	open -> (session -> batch of recipients)* -> report -> journal or finish -> result
 *
 * The order is what keeps mail safe: the report about a failed recipient is in the queue before
 * the recipient is marked; the journal is on disk before jobctl hears of it.  Killed anywhere
 * in between, the file still says what was true before, and the work is done again. */
#include <errno.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "master.h"

#define JOB_MAGIC 0x6a6f6221
#define OUR_BATCH 1000 /* recipients in one transaction to our own lmtpd: one copy of the body */

struct job {
	uint32_t magic;
	struct list link;
	struct job_result result;
	struct qread *r;
	enum job_action action;
	uint32_t attempt, backoff, notice;
	char dest[JOB_DEST_MAX + 1];
	struct site site;
	struct dial *dial;
	struct session *session;
	struct bounce *bounce;
	struct op op;
	struct later later;
	struct outcome *outcomes;       /* one per recipient of the file */
	struct smtp_client_rcpt *rcpts; /* of the batch */
	struct smtp_client_tx tx;
	uint64_t began_ms;
	bool fresh;                     /* a session of the pool was found closed: dial */
};

static void next_batch(struct job *j);
static void settle(struct job *j);

/* ---- the end -------------------------------------------------------------------------- */

static void
job_end(struct job *j, enum job_end end)
{
	j->result.end = end;
	if (master.job)
		job_master_end(master.job, &j->result);
	qread_close(&j->r);
	site_fini(&j->site);
	mem_free(&j->outcomes);
	mem_free(&j->rcpts);
	list_remove(&j->link);
	master.njobs--;
	j->magic = 0;
	mem_free(&j);
	master_job_over();
}

static void
job_drop(struct job *j, uint32_t after_s)
{
	j->result.after = after_s;
	j->result.site = JOB_SITE_NONE;
	job_end(j, JOB_DROP);
}

static void
log_outcome(const struct job *j, size_t i)
{
	static const char *const words[] = { [OK] = "delivered", [TEMP] = "deferred", [PERM] = "failed" };
	const struct qenv *e = &j->r->env;
	const struct outcome *o = &j->outcomes[i];

	log_event(LOG_INFO, "deliver",
	    "qid=%s channel=%s to=%s state=%s verdict=%d.%u.%u reply=%d peer=%s attempt=%u ms=%llu delay=%lld text=%s",
	    e->qid, master.channel->name, log_str(e->rcpts[i].addr), words[o->v.kind], (int)o->v.kind,
	    o->v.subject, o->v.detail, verdict_reply(&o->v), log_str(o->mta), j->attempt + 1,
	    (unsigned long long)(loop_now(&master.loop) - j->began_ms),
	    (long long)(clock_now() - e->arrival_ms / 1000), log_str(o->v.text));
}

static void
deferred(void *arg, const struct verdict *v)
{
	struct job *j = CAST(arg, struct job, JOB_MAGIC);

	if (v->kind == OK) {
		job_end(j, JOB_RETRY);
		return;
	}
	log_event(LOG_ERROR, "journal", "channel=%s text=%s", master.channel->name, log_str(v->text));
	job_drop(j, j->backoff);	/* the file says what it said before */
}

/* Everything is decided: into the file. */
static void
record(struct job *j)
{
	struct qread *r = j->r;

	for (size_t i = 0; i < r->env.nrcpt; i++) {
		const struct outcome *o = &j->outcomes[i];
		enum qstate state = QSTATE_PENDING;

		if (!o->tried)
			continue;
		log_outcome(j, i);
		if (o->v.kind == OK)
			state = QSTATE_DELIVERED;
		else if (o->v.kind == PERM)
			state = *r->env.sender || *mconf.double_bounce ? QSTATE_FAILED : QSTATE_DISCARDED;
		qread_result(r, i, state, &o->v, o->remote ? o->mta : NULL);
	}
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
	for (size_t i = 0; v->kind != OK && i < j->r->env.nrcpt; i++) {
		struct outcome *o = &j->outcomes[i];

		/* Not reported, so not over. */
		if (o->tried && o->v.kind == PERM)
			o->v = verdict(TEMP, 451, "4.3.0", "failed (%.80s), and the report cannot be queued: %.80s",
			    o->v.text, v->text);
	}
	record(j);
}

static void
settle(struct job *j)
{
	j->bounce = bounce_start(j->r, j->outcomes, BOUNCE_RESULT, reported, j);
	if (!j->bounce)
		record(j);
}

/* ---- delivering ----------------------------------------------------------------------- */

/* All pending recipients that nobody has spoken about get this verdict. */
static void
outcome_rest(struct job *j, const struct verdict *v)
{
	for (size_t i = 0; i < j->r->env.nrcpt; i++) {
		struct outcome *o = &j->outcomes[i];

		if (j->r->env.rcpts[i].state != QSTATE_PENDING || o->tried)
			continue;
		o->v = *v;
		o->tried = true;
	}
}

static void
dialled(void *arg, struct session *s, const struct verdict *v, enum job_site site)
{
	struct job *j = CAST(arg, struct job, JOB_MAGIC);

	j->dial = NULL;
	j->session = s;
	j->result.site = site;
	if (s) {
		next_batch(j);
		return;
	}
	outcome_rest(j, v);
	settle(j);
}

static void
get_session(struct job *j)
{
	j->session = j->fresh ? NULL : session_take(j->site.key);
	if (j->session) {
		j->result.site = JOB_SITE_OK;
		next_batch(j);
	} else {
		j->dial = dial_start(&j->site, dialled, j);
	}
}

static void
take_outcome(struct job *j, const struct smtp_client_rcpt *c, const char *mta)
{
	struct outcome *o = &j->outcomes[(struct outcome *)c->data - j->outcomes];

	if (c->again)
		return;		/* in the next batch */
	o->v = c->v;
	o->tried = true;
	o->remote = c->remote;
	/* "STARTTLS first", "certificate required": between our tiers that is a mistake in the
	 * configuration, and no mail is returned for those. */
	if (o->v.reply == 530 && master.channel->protocol == CHANNEL_LMTP)
		o->v = verdict(TEMP, 451, "4.7.0", "%.180s", c->v.text);
	o->dsn_passed_on = (j->session->client.offer.has & OFFERS_DSN) != 0;
	o->mta = mta;
	if (!c->remote && c->v.kind == TEMP)
		j->result.site = JOB_SITE_FAIL;	/* the connection broke */
}

static void
batch_done(struct smtp_client_tx *tx)
{
	struct job *j = CAST(tx->data, struct job, JOB_MAGIC);
	struct session *s = j->session;
	struct verdict v;
	const char *mta;

	if (tx->unanswered && s->client.used > 1 && !j->fresh) {
		/* Idle for too long, the server had closed it: nobody's fault. */
		j->fresh = true;
		j->session = NULL;
		session_close(s);
		get_session(j);
		return;
	}
	mta = arena_str(&j->r->arena, s->peer);
	for (size_t i = 0; i < tx->nrcpt; i++)
		take_outcome(j, &tx->rcpts[i], mta);
	for (size_t i = 0; i < j->r->env.nrcpt; i++) {
		if (j->r->env.rcpts[i].state != QSTATE_PENDING || j->outcomes[i].tried)
			continue;
		if (smtp_client_usable(&s->client)) {
			next_batch(j);
			return;
		}
		v = verdict(TEMP, 451, "4.4.2", "the connection ended before this recipient's turn");
		outcome_rest(j, &v);
		break;
	}
	j->session = NULL;
	session_release(s);
	settle(j);
}

/* Sets up one recipient of the batch. */
static void
fill_rcpt(struct smtp_client_rcpt *c, const struct qrcpt *q, struct outcome *o)
{
	const char *semi = q->orcpt ? strchr(q->orcpt, ';') : NULL;

	*c = (struct smtp_client_rcpt){
		.address = slice_str(q->addr), .notify = (unsigned)q->notify, .data = o,
	};
	if (semi && semi > q->orcpt) {
		c->orcpt_type = slice(q->orcpt, (size_t)(semi - q->orcpt));
		c->orcpt = slice_str(semi + 1);
	}
}

/* The next recipients that are pending and not yet tried: there are some. */
static void
next_batch(struct job *j)
{
	const struct qenv *e = &j->r->env;
	size_t n = 0, most = (size_t)mconf.max_recipients;

	if ((j->session->client.offer.has & OFFERS_XTIERMAIL) && most < OUR_BATCH)
		most = OUR_BATCH;
	mem_free(&j->rcpts);	/* another session may take more of them */
	j->rcpts = mem_array(e->nrcpt < most ? e->nrcpt : most, sizeof(*j->rcpts));
	for (size_t i = 0; i < e->nrcpt && n < most; i++)
		if (e->rcpts[i].state == QSTATE_PENDING && !j->outcomes[i].tried)
			fill_rcpt(&j->rcpts[n++], &e->rcpts[i], &j->outcomes[i]);
	must(n > 0);
	j->tx = (struct smtp_client_tx){
		.sender = slice_str(e->sender),
		.envid = slice_str(e->envid),
		.ret = e->ret == QRET_FULL ? SMTP_RET_FULL : e->ret == QRET_HDRS ? SMTP_RET_HDRS : SMTP_RET_NONE,
		.qid = slice_str(e->qid),
		.eightbit = e->body != QBODY_7BIT,
		.smtputf8 = e->utf8,
		.fd = j->r->fd,
		.at = (int64_t)j->r->body_at,
		.size = e->body_len,
		.rcpts = j->rcpts,
		.nrcpt = n,
		.done = batch_done,
		.data = j,
	};
	smtp_client_send(&j->session->client, &j->tx);
}

static void
settle_later(struct later *l)
{
	settle(CONTAINER(l, struct job, later));
}

static void
deliver(struct job *j)
{
	struct verdict v;

	if (qread_done(j->r)) {
		qread_finish(&j->r);
		job_end(j, JOB_DONE);
		return;
	}
	if (site_find(j->dest, &j->site, &v) < 0) {
		j->result.site = JOB_SITE_NONE;
		outcome_rest(j, &v);
		later_run(&j->later, &master.loop, settle_later);
		return;
	}
	get_session(j);
}

/* ---- warnings and expiry -------------------------------------------------------------- */

/* What the journal remembers of the last attempt. */
static void
recall(struct job *j, size_t i, struct outcome *o)
{
	const struct qrcpt *q = &j->r->env.rcpts[i];

	if (q->last && q->deferred) {
		o->v = *q->last;
		o->remote = q->mta != NULL;
		o->mta = q->mta;
	} else {
		o->v = verdict(TEMP, 451, "4.4.1", "no attempt has succeeded yet");
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
warned(void *arg, const struct verdict *v)
{
	struct job *j = CAST(arg, struct job, JOB_MAGIC);

	j->bounce = NULL;
	if (v->kind != OK) {
		job_drop(j, 300);
		return;
	}
	qread_noticed(j->r, j->notice);
	qread_mark_start(j->r, &j->op, noted, j);
}

static void
warn(struct job *j)
{
	static const struct verdict nothing = { .kind = OK };

	for (size_t i = 0; i < j->r->env.nrcpt; i++)
		recall(j, i, &j->outcomes[i]);
	j->bounce = bounce_start(j->r, j->outcomes, BOUNCE_DELAY, warned, j);
	if (!j->bounce)
		warned(j, &nothing);
}

static void
expire(struct job *j)
{
	for (size_t i = 0; i < j->r->env.nrcpt; i++) {
		struct outcome *o = &j->outcomes[i];

		if (j->r->env.rcpts[i].state != QSTATE_PENDING)
			continue;
		recall(j, i, o);
		o->v = verdict(PERM, 554, "5.4.7", "not delivered in time; the last attempt: %.140s", o->v.text);
		o->remote = false;
		o->tried = true;
	}
	settle(j);
}

/* ---- the beginning -------------------------------------------------------------------- */

static void
open_failed(struct job *j, int error, const char *file, const char *why)
{
	switch (error) {
	case -ENOENT:
		job_end(j, JOB_DONE);
		return;
	case -EBUSY:
		job_drop(j, 5);
		return;
	case -EBADMSG:
		if (queue_set_aside(master.queue, master.channel->name, file, why ? why : "damaged") == 0) {
			job_end(j, JOB_HELD);
			return;
		}
		break;
	default:
		break;
	}
	log_event(LOG_ERROR, "open", "channel=%s file=%s error=%s", master.channel->name, log_str(file),
	    log_str(strerror(-error)));
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
	later_init(&j->later);
	j->result = (struct job_result){ .id = w->id, .site = JOB_SITE_NONE };
	j->action = w->action;
	j->attempt = w->attempt;
	j->backoff = w->backoff;
	j->notice = w->notice;
	j->began_ms = loop_now(&master.loop);
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
	switch (j->action) {
	case JOB_DELIVER:
		deliver(j);
		break;
	case JOB_NOTICE:
		warn(j);
		break;
	case JOB_EXPIRE:
		expire(j);
		break;
	}
}

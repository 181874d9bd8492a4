/* channel-master/onward.c: a message that goes on from a detour: see onward.h.
 *
 * Called by the agents of detours for each lease that is to have an end.  What can fail is reading and writing, which
 * is tried again.  Must stay true: the recipients' results are in the journal in the same step as the mark that the
 * message is queued anew, so that nobody is left out or has it twice. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "mail/header.h"
#include "mta/detour.h"
#include "net/work.h"
#include "onward.h"
#include "queue/write.h"

#define HEAD_READ  (64 * 1024) /* at first */
#define HEAD_MOST  (16 * 1024 * 1024)
#define PIECE_READ (256 * 1024)

/* 0 when all n octets could be read. */
static int
onward_read(int fd, uint64_t at, char *to, size_t n)
{
	while (n > 0) {
		ssize_t got = pread(fd, to, n, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		to += got;
		at += (uint64_t)got;
		n -= (size_t)got;
	}
	return 0;
}

int
onward_head(const struct qread *r, uint64_t at, struct buf *out)
{
	uint64_t all = r->env.body_len - at;
	size_t begin = out->n, want = HEAD_READ, have = 0, n;
	int e;

	for (;; want *= 2) {
		want = want < all ? want : (size_t)all;
		e = onward_read(r->fd, r->body_at + at + have, buf_reserve(out, want - have),
		    want - have);
		if (e < 0)
			return e;
		have = want;
		out->n = begin + have;
		n = header_len(slice_from(buf_get(out), begin));
		if (n < have || have == all)
			break;
		if (want >= HEAD_MOST)
			return -EMSGSIZE;
	}
	out->n = begin + n;
	return 0;
}

static void
onward_shown(void *arg, const struct verdict *v)
{
	struct onward *o = arg;

	if (v->kind == OK)
		o->done(o->arg);
	else
		job_drop(o->job, 60); /* what the journal says is done then */
}

static void
onward_aside(void *arg, const struct verdict *v)
{
	struct onward *o = arg;
	struct job *j = o->job;

	job_outcome_rest(j, v->kind == OK ? &o->said : v);
	if (v->kind != OK) {
		job_settle(j);
		return;
	}
	for (size_t i = 0; i < j->r->env.nrcpt; i++)
		j->outcomes[i].dsn_passed_on = true;
	log_event(LOG_INFO, "onward", "qid=%s channel=%s dest=%s as=%s text=%s", j->r->env.qid,
	    master.channel->name, log_str(j->dest), o->handover.id, log_str(o->said.text));
	job_decide(j);
	handover_show(&o->handover, onward_shown, o);
}

/* Nobody cancels it: the writer is this thread's while it runs. */
static void
onward_run(void *arg)
{
	struct onward *o = arg;
	char *room = mem_array(1, PIECE_READ);

	for (size_t i = 0; i < o->nparts && o->error == 0; i++) {
		const struct onward_part *p = &o->parts[i];
		uint64_t done = 0;

		o->eightbit = o->eightbit || !utf8_ascii(p->bytes);
		if (p->bytes.n)
			o->error = qwrite_body(o->w, p->bytes.p, p->bytes.n);
		while (!p->bytes.p && done < p->n && o->error == 0) {
			size_t n = p->n - done < PIECE_READ ? (size_t)(p->n - done) : PIECE_READ;

			o->error = onward_read(p->fd, p->at + done, room, n);
			if (o->error == 0)
				o->error = qwrite_body(o->w, room, n);
			o->eightbit = o->eightbit || !utf8_ascii(slice(room, n));
			done += n;
		}
	}
	mem_free(&room);
}

static void
onward_written(void *arg)
{
	struct onward *o = arg;
	struct verdict v = verdict(OUT_QUEUE_BROKEN);

	if (o->error) {
		log_event(LOG_ERROR, "onward_write", "qid=%s error=%s", o->job->r->env.qid,
		    log_str(strerror(-o->error)));
		qwrite_abort(&o->w);
		onward_aside(o, &v);
		return;
	}
	qwrite_eightbit(o->w, o->eightbit);
	qwrite_commit_start(&o->w, &o->op, onward_aside, o);
}

/* The envelope of what goes on: the pending ones. */
static bool
onward_envelope(struct onward *o, struct qenv *env)
{
	const struct qenv *e = &o->job->r->env;
	const char *channel, *dest, *by;

	if (!mta_detour_parse(master.channels, o->job->dest, &o->a, &channel, &dest))
		return false;
	/* Together at last, it may have another way to go. */
	by = master.channel->protocol == CHANNEL_DEFRAGMENT ?
	    mta_detour(master.channels, e->source ? e->source : "", channel, false) :
	    NULL;
	if (by) {
		channel = by;
		dest = o->job->dest;
	}
	*env = *e;
	env->nrcpt = 0;
	env->rcpts = arena_array(&o->a, e->nrcpt, sizeof(*env->rcpts));
	for (size_t i = 0; i < e->nrcpt; i++) {
		const struct qrcpt *q = &e->rcpts[i];

		if (q->state == QSTATE_PENDING)
			env->rcpts[env->nrcpt++] = (struct qrcpt){ .addr = q->addr,
				.orcpt = q->orcpt,
				.final = q->final,
				.notify = q->notify,
				.channel = channel,
				.dest = dest };
	}
	(void)snprintf(env->qid, sizeof(env->qid), "%s", o->handover.id);
	env->body = QBODY_7BIT;
	env->known = (struct slice){ 0 };
	env->release_at = 0;
	env->aside = true;
	return true;
}

void
onward_start(struct onward *o, struct job *j, const struct onward_part *parts, size_t n,
    const struct verdict *said, void (*done)(void *arg), void *arg)
{
	struct verdict nowhere = verdict(OUT_DETOUR_NOWHERE, j->dest);
	struct qenv env;

	*o = (struct onward){ .job = j,
		.parts = parts,
		.nparts = n,
		.said = *said,
		.done = done,
		.arg = arg };
	handover_init(&o->handover, j->r, QUEUE_ASIDE_PIECE);
	o->handover.keep = true;
	if (!onward_envelope(o, &env)) {
		job_outcome_rest(j, &nowhere);
		job_settle(j);
		return;
	}
	o->w = qwrite_begin(master.queue, &env);
	work_start(master.loop, &o->op, onward_run, onward_written, onward_written, o);
}

void
onward_fini(struct onward *o)
{
	arena_reset(&o->a);
}

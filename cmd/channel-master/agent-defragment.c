/* channel-master/agent-defragment.c: messages in pieces, put together (RFC 2046 5.2.2).
 *
 *	each piece: its header -> the index (fragments.h) -> waits | goes on as it came
 *	the last:   all others are locked -> their headers -> onward (onward.h) -> the others go -> it goes
 *
 * Owns the pieces of one message between their locking and their end.  What is missing after fragments.time, or
 * does not fit, goes on as it came: no piece is ever lost, and none returned for what the others are.  Killed anywhere:
 * before the journal of the last piece says that the whole is queued all pieces are where they were; behind it whoever
 * takes that piece next shows the whole, and removes the others.  Must stay true: others are removed only when the
 * journal says that they were put together. */
#include <errno.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "fragments.h"
#include "mail/outcome.h"
#include "net/work.h"
#include "onward.h"

#define DEFRAGMENT_MAGIC 0x64656672U
#define LOOK_S           3600 /* most seconds between two looks at a piece that waits */

struct defragment_piece {
	struct qread *r; /* the job's own, or locked */
	uint64_t head;   /* octets of its header */
	bool own;
};

struct defragment {
	uint32_t magic;
	struct job *job;
	struct op op;
	struct arena a;
	struct buf head;
	int error;
	struct defragment_piece *pieces; /* by number, from 0; NULL: it goes alone */
	size_t npieces;
	struct buf first, inner; /* headers of the whole */
	struct buf made;
	struct onward_part *parts;
	struct onward onward;
};

static struct defragment *
defragment_work(const struct job *j)
{
	return CAST(j->work, struct defragment, DEFRAGMENT_MAGIC);
}

static int
defragment_open(struct loop *l UNUSED)
{
	return fragments_open(master.queue, master.channel->name);
}

/* ---- alone ------------------------------------------------------------------------------------- */

static void
alone_done(void *arg)
{
	struct defragment *d = CAST(arg, struct defragment, DEFRAGMENT_MAGIC);

	fragments_remove(d->job->r->id);
	job_settle(d->job);
}

static void
defragment_alone(struct defragment *d, const char *why)
{
	struct verdict v = verdict(OUT_DETOUR_ALONE, why);
	struct qread *r = d->job->r;

	d->parts = mem_new(sizeof(*d->parts));
	*d->parts = (struct onward_part){ .fd = r->fd, .at = r->body_at, .n = r->env.body_len };
	onward_start(&d->onward, d->job, d->parts, 1, &v, alone_done, d);
}

/* ---- together ---------------------------------------------------------------------------------- */

/* One that was put together leaves the queue, and jobctl hears of it. */
static void
piece_finish(struct qread **r)
{
	char id[QUEUE_FILE_ID_LEN + 1];

	memcpy(id, (*r)->id, sizeof(id));
	log_event(LOG_INFO, "defragmented", "qid=%s file=%s", (*r)->env.qid, id);
	qread_finish(r);
	fragments_remove(id);
	if (master.job)
		job_master_gone(master.job, id);
}

static void
together_done(void *arg)
{
	struct defragment *d = CAST(arg, struct defragment, DEFRAGMENT_MAGIC);

	for (size_t i = 0; i < d->npieces; i++)
		if (!d->pieces[i].own)
			piece_finish(&d->pieces[i].r);
	fragments_remove(d->job->r->id);
	job_settle(d->job);
}

static void
together_read(void *arg)
{
	struct defragment *d = arg;
	struct buf head = { 0 };

	for (size_t i = 0; i < d->npieces && d->error == 0; i++) {
		struct defragment_piece *p = &d->pieces[i];

		buf_clear(&head);
		d->error = onward_head(p->r, 0, i == 0 ? &d->first : &head);
		p->head = i == 0 ? d->first.n : head.n;
	}
	if (d->error == 0)
		d->error = onward_head(d->pieces[0].r, d->pieces[0].head, &d->inner);
	buf_fini(&head);
}

static void
together_write(void *arg)
{
	struct defragment *d = CAST(arg, struct defragment, DEFRAGMENT_MAGIC);
	struct verdict v = verdict(OUT_DETOUR_TOGETHER);

	if (d->error == -EMSGSIZE) { /* it will be no smaller by waiting */
		fragments_find(d->job->r->id)->set->large = true;
		defragment_alone(d, "the pieces are too large together");
		return;
	}
	if (d->error) {
		log_event(LOG_ERROR, "onward_read", "qid=%s error=%s", d->job->r->env.qid,
		    log_str(strerror(-d->error)));
		job_drop(d->job, 60);
		return;
	}
	partial_header_write(buf_get(&d->first), buf_get(&d->inner), &d->made);
	d->parts = mem_array(d->npieces + 1, sizeof(*d->parts));
	d->parts[0].bytes = buf_get(&d->made);
	for (size_t i = 0; i < d->npieces; i++) {
		const struct defragment_piece *p = &d->pieces[i];
		uint64_t skip = p->head + (i == 0 ? d->inner.n : 0);

		d->parts[i + 1] = (struct onward_part){ .fd = p->r->fd,
			.at = p->r->body_at + skip,
			.n = p->r->env.body_len - skip };
	}
	onward_start(&d->onward, d->job, d->parts, d->npieces + 1, &v, together_done, d);
}

/* Locked; one that is damaged is set aside.  0 or -errno. */
static int
piece_open(const struct fragment *f, struct qread **r)
{
	char name[QUEUE_NAME_LEN + 4];
	const char *why = NULL;
	uint32_t attempts;
	bool held;
	int e = queue_find(master.queue, master.channel->name, f->id, &attempts, &held);

	if (e == 0 && held)
		return -ENOENT;
	if (e < 0)
		return e;
	e = qread_open(master.queue, master.channel->name, queue_name(name, f->id, attempts, false),
	    QREAD_LOCK | QREAD_CHECK, r, &why);
	if (e == -EBADMSG &&
	    queue_set_aside(master.queue, master.channel->name, name, why ? why : "damaged") < 0)
		return -EBUSY;
	return e;
}

/* It is not in the queue any more, or not fit to be put together; anything else is our own trouble, or somebody's lock. */
static bool
piece_lost(int error)
{
	return error == -ENOENT || error == -EBADMSG;
}

/* All of the set, each locked.  0, or -errno: some piece is busy, has gone, or cannot be opened for now. */
static int
together_lock(struct defragment *d, const struct fragment_set *s)
{
	struct fragment *f;

	list_each(f, &s->pieces, struct fragment, link)
	{
		struct defragment_piece *p = &d->pieces[f->number - 1];
		int e;

		if (strcmp(f->id, d->job->r->id) == 0) {
			*p = (struct defragment_piece){ .r = d->job->r, .own = true };
			continue;
		}
		e = piece_open(f, &p->r);
		if (piece_lost(e))
			fragments_remove(f->id);
		if (e < 0)
			return e;
	}
	return 0;
}

static void
defragment_together(struct defragment *d)
{
	const struct fragment_set *s = fragments_find(d->job->r->id)->set;
	int e;

	d->pieces = mem_array(s->n, sizeof(*d->pieces));
	d->npieces = s->n;
	e = together_lock(d, s);
	if (e < 0) {
		if (e != -EBUSY && !piece_lost(e))
			log_event(LOG_ERROR, "onward_read", "qid=%s error=%s", d->job->r->env.qid,
			    log_str(strerror(-e)));
		job_drop(d->job, 5);
		return;
	}
	work_start(master.loop, &d->op, together_read, together_write, together_write, d);
}

/* ---- the lease ----------------------------------------------------------------------------------- */

static void
defragment_read(void *arg)
{
	struct defragment *d = arg;

	d->error = onward_head(d->job->r, 0, &d->head);
}

static void
defragment_decide(void *arg)
{
	struct defragment *d = CAST(arg, struct defragment, DEFRAGMENT_MAGIC);
	struct job *j = d->job;
	const struct qenv *e = &j->r->env;
	int64_t left = e->arrival_ms / 1000 + mconf.fragments_time / 1000 - clock_now();
	enum fragment_state state = FRAGMENT_ALONE;
	const char *why = "it is no piece of a message";
	struct partial p;

	if (d->error && d->error != -EMSGSIZE) {
		log_event(LOG_ERROR, "onward_read", "qid=%s error=%s", e->qid,
		    log_str(strerror(-d->error)));
		job_drop(j, 60);
		return;
	}
	if (d->error == 0 && qenv_pending(e) == e->nrcpt &&
	    partial_parse(buf_get(&d->head), &d->a, &p))
		state = fragments_add(j->r, &p, &why);
	if (state == FRAGMENT_WAITS && (left <= 0 || j->action == JOB_REROUTE)) {
		state = FRAGMENT_ALONE;
		why = "other pieces have not come";
	}
	switch (state) {
	case FRAGMENT_WHOLE: defragment_together(d); break;
	case FRAGMENT_ALONE: defragment_alone(d, why); break;
	case FRAGMENT_WAITS: job_drop(j, (uint32_t)(left < LOOK_S ? left : LOOK_S)); break;
	}
}

static void
defragment_start(struct job *j)
{
	struct defragment *d = mem_new(sizeof(*d));

	j->work = d;
	j->result.site = JOB_SITE_OK;
	d->magic = DEFRAGMENT_MAGIC;
	d->job = j;
	work_start(master.loop, &d->op, defragment_read, defragment_decide, defragment_decide, d);
}

/* Was it put together with others?  The journal has the words. */
static bool
over_together(const struct job *j)
{
	const struct verdict v = verdict(OUT_DETOUR_TOGETHER);
	const struct verdict *last = j->r->env.nrcpt ? j->r->env.rcpts[0].last : NULL;

	return last && last->kind == OK && strcmp(last->text, v.text) == 0;
}

/* Its master has died between the whole and the end of the pieces.  They are on the disk: this is rare, and short. */
static bool
defragment_over(struct job *j)
{
	struct fragment_set *s = NULL;
	struct buf head = { 0 };
	struct arena a = { 0 };
	struct partial p;
	struct qread *r;
	int e = 0;

	fragments_remove(j->r->id);
	if (over_together(j)) {
		e = onward_head(j->r, 0, &head);
		if (e == 0 && partial_parse(buf_get(&head), &a, &p))
			s = fragments_set(j->r, &p);
	}
	/* With the last one the set goes.  One that is looked at just now must go, too: without this file nobody
	 * would know that it was put together. */
	for (size_t n = s ? s->n : 0; n > 0 && e == 0; n--) {
		struct fragment *f = list_first(&s->pieces, struct fragment, link);

		e = piece_open(f, &r);
		if (e == 0) {
			piece_finish(&r);
		} else if (piece_lost(e)) {
			fragments_remove(f->id);
			e = 0;
		}
	}
	buf_fini(&head);
	arena_reset(&a);
	return e == 0 || e == -EMSGSIZE;
}

static void
defragment_end(struct job *j)
{
	struct defragment *d = defragment_work(j);

	for (size_t i = 0; i < d->npieces; i++)
		if (!d->pieces[i].own)
			qread_close(&d->pieces[i].r);
	mem_free(&d->pieces);
	mem_free(&d->parts);
	buf_fini(&d->head);
	buf_fini(&d->first);
	buf_fini(&d->inner);
	buf_fini(&d->made);
	onward_fini(&d->onward);
	arena_reset(&d->a);
	d->magic = 0;
	mem_free(&d);
}

const struct agent agent_defragment = { .name = "defragment",
	.word = "requeued",
	.action = DSN_RELAYED,
	.pieces = true,
	.open = defragment_open,
	.start = defragment_start,
	.over = defragment_over,
	.end = defragment_end };

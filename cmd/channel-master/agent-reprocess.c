/* channel-master/agent-reprocess.c: recipients that are expanded behind the answer: large lists, addresses that
 * rules send here, held mail that is released.
 *
 *	each recipient: walk (expand/expand.h) --> piece --> the queue, aside --> journal --> shown --> next piece
 *
 * A piece is in the queue once, whoever is killed meanwhile: it is set aside first, the message's journal gets
 * the sums of its members together with the mark that it is queued, then it is shown (handover.c).  The next
 * master begins the lists anew and passes over those whose sums are there, so nobody is lost or has it twice;
 * it is also how those that several lists share, or that the sender named himself, get one copy.
 * Members that cannot be reached are told to their list's mgrpErrorsTo, at the end, in a report each.
 * What fails is the directory, which puts off the rest, and the disk, likewise.  Must stay true: no outcome of
 * a recipient is settled before all that it leads to is in the queue. */
#include "base/log.h"
#include "base/mem.h"
#include "directory/directory.h"
#include "access.h"
#include "job-impl.h"
#include "letter.h"

#define REPROCESS_MAGIC 0x72657072U
#define TOLD_MOST       100 /* members that reports name; the log has all */

struct reprocess {
	uint32_t magic;
	struct job *job;
	struct op op;
	struct arena a;
	struct letter *letter;
	struct expand_walk *walk;
	struct expand_sums taken;
	size_t at;       /* the recipient whose walk it is */
	size_t nmembers; /* of it, in the queue */
	bool list;       /* one of its legs comes by a list that errors go to */
	/* The piece. */
	const struct expand_leg *legs;
	size_t nlegs, used;
	struct handover handover;
	/* Those who cannot be reached. */
	struct bounce_member failed[TOLD_MOST];
	size_t failed_of[TOLD_MOST];               /* the recipient that led to him */
	size_t nfailed, nfailures, nfailed_before; /* before: of the recipients that are settled */
	const char *telling;                       /* who is being told */
};

static struct dir *dir;
static struct expand *expand;

static int
reprocess_open(struct loop *l)
{
	dir = dir_new(l);
	expand = expand_new(l,
	    &(struct expand_params){ .channels = master.channels,
		.directory = expand_directory(dir) });
	return 0;
}

static struct reprocess *
reprocess_work(const struct job *j)
{
	return CAST(j->work, struct reprocess, REPROCESS_MAGIC);
}

static void reprocess_next(struct reprocess *p);

/* ---- a piece ---------------------------------------------------------------------------------- */

static void
piece_shown(void *arg, const struct verdict *v)
{
	struct reprocess *p = CAST(arg, struct reprocess, REPROCESS_MAGIC);
	struct job *j = p->job;

	if (v->kind != OK || master.draining) {
		job_drop(j, v->kind == OK ? 1 : 60); /* what the journal says is done then */
		return;
	}
	p->nmembers += p->used;
	p->legs = NULL;
	expand_walk_more(p->walk, p->used);
}

static void
piece_aside(void *arg, const struct verdict *v)
{
	struct reprocess *p = CAST(arg, struct reprocess, REPROCESS_MAGIC);
	struct job *j = p->job;
	struct buf sums = { 0 };

	if (v->kind != OK) {
		expand_walk_cancel(&p->walk);
		job_outcome_rest(j, v);
		job_settle(j);
		return;
	}
	for (size_t i = 0; i < p->used; i++) {
		unsigned char sum[EXPAND_SUM];

		expand_leg_sum(sum, p->legs[i].who, p->legs[i].address);
		buf_add(&sums, sum, sizeof(sum));
	}
	qread_members(j->r, buf_get(&sums));
	buf_fini(&sums);
	log_event(LOG_INFO, "expand_piece", "qid=%s channel=%s to=%s as=%s legs=%zu", j->r->env.qid,
	    master.channel->name, log_str(j->r->env.rcpts[p->at].addr), p->handover.id, p->used);
	handover_show(&p->handover, piece_shown, p);
}

static const char *
reprocess_source(const struct job *j)
{
	if (master.channel->protocol == CHANNEL_PROCESS)
		return master.channel->name;
	return j->r->env.source ? j->r->env.source : "tcp_local";
}

static void
reprocess_piece(void *arg, const struct expand_leg *legs, size_t n)
{
	struct reprocess *p = CAST(arg, struct reprocess, REPROCESS_MAGIC);
	struct job *j = p->job;
	struct letter_piece piece = { .id = p->handover.id,
		.source = reprocess_source(j),
		.of = &j->r->env.rcpts[p->at],
		.legs = legs,
		.nlegs = n,
		.kept = j->action == JOB_REROUTE };

	p->legs = legs;
	p->nlegs = n;
	for (size_t i = 0; i < n; i++)
		p->list = p->list || legs[i].sender;
	handover_init(&p->handover, j->r, QUEUE_ASIDE_PIECE);
	p->handover.keep = true;
	p->used = letter_piece_start(p->letter, &piece, piece_aside, p);
}

/* ---- members that cannot be reached ------------------------------------------------------------ */

static void
reprocess_failed(void *arg, const struct expand_failure *f)
{
	struct reprocess *p = CAST(arg, struct reprocess, REPROCESS_MAGIC);
	const struct qenv *e = &p->job->r->env;

	log_event(LOG_WARN, "forward_failed",
	    "qid=%s to=%s via=%s forward=%s verdict=%d.%d.%d text=%s", e->qid,
	    log_str(e->rcpts[p->at].addr), log_str(f->via), log_str(f->address), f->v.kind,
	    f->v.subject, f->v.detail, log_str(f->v.text));
	p->nfailures++;
	if (!f->errors_to || p->nfailed == TOLD_MOST)
		return;
	p->failed_of[p->nfailed] = p->at;
	p->failed[p->nfailed++] = (struct bounce_member){ .address = arena_str(&p->a, f->address),
		.to = arena_str(&p->a, f->errors_to),
		.v = f->v };
}

/* He to whom this member is told has not heard of it. */
static bool
untold(const struct reprocess *p, size_t i)
{
	const struct qtold *t = p->job->r->env.told;

	while (t && strcmp(t->to, p->failed[i].to) != 0)
		t = t->next;
	return !t && !p->failed[i].told;
}

/* Who is to be told next, of those who were not; or NULL. */
static const char *
told_next(const struct reprocess *p)
{
	for (size_t i = 0; i < p->nfailed; i++)
		if (untold(p, i))
			return p->failed[i].to;
	return NULL;
}

/* The members are in the queue; their recipients wait with those who are to be told of. */
static void
told_deferred(struct reprocess *p, const struct verdict *v)
{
	for (size_t i = 0; i < p->nfailed; i++)
		if (untold(p, i))
			p->job->outcomes[p->failed_of[i]].v =
			    verdict(OUT_REPORT_DEFERRED, "members of the list", v->text);
}

static void
told_mark(void *arg)
{
	struct reprocess *p = CAST(arg, struct reprocess, REPROCESS_MAGIC);

	qread_told(p->job->r, p->telling);
}

static void reprocess_tell(struct reprocess *p);

static void
told_done(void *arg, const struct verdict *v)
{
	struct reprocess *p = CAST(arg, struct reprocess, REPROCESS_MAGIC);
	struct job *j = p->job;

	j->bounce = NULL;
	if (j->r->env.report == QREPORT_QUEUED) {
		job_drop(j, 60);
		return;
	}
	if (v->kind != OK) {
		told_deferred(p, v);
		job_settle(j);
		return;
	}
	for (size_t i = 0; i < p->nfailed; i++)
		p->failed[i].told = p->failed[i].told || strcmp(p->failed[i].to, p->telling) == 0;
	reprocess_tell(p);
}

static void
reprocess_tell(struct reprocess *p)
{
	struct job *j = p->job;

	if (!(p->telling = told_next(p))) {
		job_settle(j);
		return;
	}
	j->bounce =
	    bounce_members_start(j->r, p->telling, p->failed, p->nfailed, told_mark, told_done, p);
}

/* ---- a recipient ------------------------------------------------------------------------------- */

static void
reprocess_done(void *arg, const struct verdict *v)
{
	struct reprocess *p = CAST(arg, struct reprocess, REPROCESS_MAGIC);
	struct job *j = p->job;
	struct outcome *o = &j->outcomes[p->at];

	p->walk = NULL;
	if (v->kind != OK) /* its members are told of when all of it is in the queue */
		p->nfailed = p->nfailed_before;
	o->v = v->kind == OK ? verdict(OUT_EXPANDED) : *v;
	o->tried = true;
	/* The members report where the sender's terms go with them. */
	o->dsn_passed_on = !p->list;
	if (v->kind == OK)
		log_event(LOG_INFO, "expanded", "qid=%s to=%s legs=%zu failed=%zu", j->r->env.qid,
		    log_str(j->r->env.rcpts[p->at].addr), p->nmembers, p->nfailures);
	reprocess_next(p);
}

static bool
reprocess_may(void *arg, struct expand_leg *leg, struct arena *a, struct verdict *no)
{
	struct reprocess *p = CAST(arg, struct reprocess, REPROCESS_MAGIC);

	return access_member(&p->job->r->env, reprocess_source(p->job), leg, a, no);
}

static const struct expand_taker reprocess_taker = { .piece = reprocess_piece,
	.may = reprocess_may,
	.failed = reprocess_failed,
	.done = reprocess_done };

static void
reprocess_walk(struct reprocess *p)
{
	const struct qenv *e = &p->job->r->env;
	struct expand_query q = { .source = reprocess_source(p->job),
		.sender = slice_str(e->sender),
		.auth = slice_str(e->auth ? e->auth : ""),
		.size = e->body_len };
	struct verdict bad = verdict(OUT_FORWARD_BAD);
	struct address to;
	const char *why;

	p->nmembers = p->nfailures = 0;
	p->nfailed_before = p->nfailed;
	p->list = false;
	if (address_parse(slice_str(e->rcpts[p->at].addr), ADDRESS_UTF8, &p->a, &to, &why) < 0) {
		reprocess_done(p, &bad);
		return;
	}
	q.address = &to;
	q.nwords = letter_words(p->letter, &q.words);
	p->walk = expand_walk_start(expand, &q, &p->taken, &reprocess_taker, p);
}

/* The next recipient that is to be expanded; at the end what is to be told. */
static void
reprocess_next(struct reprocess *p)
{
	struct job *j = p->job;

	for (p->at = 0; p->at < j->r->env.nrcpt; p->at++) {
		if (j->r->env.rcpts[p->at].state != QSTATE_PENDING || j->outcomes[p->at].tried)
			continue;
		reprocess_walk(p);
		return;
	}
	reprocess_tell(p);
}

/* ---- the lease --------------------------------------------------------------------------------- */

static void
reprocess_opened(void *arg, struct letter *l)
{
	struct reprocess *p = CAST(arg, struct reprocess, REPROCESS_MAGIC);

	const struct verdict unread = verdict(OUT_MESSAGE_UNREAD);

	p->letter = l;
	if (l) {
		reprocess_next(p);
		return;
	}
	job_outcome_rest(p->job, &unread);
	job_settle(p->job);
}

static void
reprocess_start(struct job *j)
{
	struct reprocess *p = mem_new(sizeof(*p));

	j->work = p;
	p->magic = REPROCESS_MAGIC;
	p->job = j;
	j->result.site = JOB_SITE_OK; /* it is this host */
	expand_sums_add_all(&p->taken, j->r->env.known);
	for (const struct qmembers *m = j->r->env.members; m; m = m->next)
		expand_sums_add_all(&p->taken, m->sums);
	letter_open(j->r, &p->op, reprocess_opened, p);
}

/* Between two pieces it goes back; what is in the queue is in the journal. */
static bool
reprocess_give_back(struct job *j)
{
	struct reprocess *p = reprocess_work(j);

	if (!p->walk || p->legs)
		return false;
	expand_walk_cancel(&p->walk);
	return true;
}

static void
reprocess_end(struct job *j)
{
	struct reprocess *p = reprocess_work(j);

	expand_walk_cancel(&p->walk);
	letter_free(&p->letter);
	expand_sums_fini(&p->taken);
	arena_reset(&p->a);
	p->magic = 0;
	mem_free(&p);
}

#define REPROCESS                                                                                  \
	.word = "expanded", .action = DSN_EXPANDED, .pieces = true, .open = reprocess_open,        \
	.start = reprocess_start, .give_back = reprocess_give_back, .end = reprocess_end

const struct agent agent_reprocess = { .name = "reprocess", REPROCESS };
const struct agent agent_process = { .name = "process", REPROCESS };
const struct agent agent_hold = { .name = "hold", REPROCESS };

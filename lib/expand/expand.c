/* expand.c: a question from its address to its legs; see expand.h.
 *
 * Owns runs: their queue of nodes, the tasks that look at them, what came out.  smtp-relay starts one for
 * each recipient, access.c further ones that only look for somebody.  What fails is the directory, which
 * ends a run with a temporary verdict, and single members, which end nothing.  Must stay true: `done` is
 * called once, from the loop, or never after op_cancel; what a turn of the loop does is bounded by TASKS
 * and SLICE, however long a list is; a node is freed with its run alone, so that the way to any other can
 * be followed. */
#include "base/mem.h"
#include "base/must.h"
#include "conf/shared.h"
#include "expand/expand-impl.h"

#define SLICE       64   /* nodes begun in one turn */
#define COUNT_EVERY 1024 /* nodes of a run */

/* ---- the directory as it is ---------------------------------------------------------------- */

static void
real_entry(void *arg, struct slice local, struct slice domain, struct op *op, dir_done done,
    void *arg2)
{
	dir_entry_start(arg, local, domain, op, done, arg2);
}

static void
real_member(void *arg, struct slice dn, struct op *op, dir_done done, void *arg2)
{
	dir_member_start(arg, dn, op, done, arg2);
}

static void
real_search(void *arg, struct slice url, struct op *op, dir_search_done done, void *arg2)
{
	dir_search_start(arg, url, op, done, arg2);
}

static void
real_search_more(void *arg UNUSED, struct op *op)
{
	dir_search_more(op);
}

struct expand_directory
expand_directory(struct dir *d)
{
	return (
	    struct expand_directory){ d, real_entry, real_member, real_search, real_search_more };
}

/* ---- the end of a run ---------------------------------------------------------------------- */

static void
run_free(struct run *x)
{
	struct task *t;

	later_cancel(&x->later);
	list_each(t, &x->busy, struct task, link)
	{
		op_cancel(&t->op);
		expand_access_cancel(t);
	}
	x->e->nnodes -= x->nnodes;
	list_remove(&x->link);
	map_fini(&x->seen);
	mem_free(&x->legs);
	arena_reset(&x->arena);
	x->magic = 0;
	mem_free(&x);
}

static void
run_cancel(struct op *op)
{
	run_free(CAST(op->impl, struct run, RUN_MAGIC));
}

/* Nobody gets it: why. */
static struct verdict
run_nobody(const struct run *x)
{
	struct verdict v;

	if (x->bad_root)
		return x->bad;
	if (x->root.list) /* a list's members are no business of the sender's */
		return verdict(OUT_GROUP_EMPTY);
	if (x->bad.kind == VERDICT_NONE || x->bad.kind == TEMP)
		return x->bad.kind ? x->bad : verdict(OUT_FORWARD_CIRCLE);
	v = x->bad;
	(void)snprintf(v.text, sizeof(v.text), "cannot be forwarded: %.150s", x->bad.text);
	return v;
}

static struct verdict
run_verdict(struct run *x)
{
	/* Not found.  Where something could not be looked at that is no answer; and of an entry that is
	 * not to be seen it cannot be told whether it is there. */
	if (x->looking)
		return x->unsure ? verdict(OUT_DIR_DOUBLE) :
		    x->unseen    ? verdict(OUT_GROUP_MEMBER) :
				   verdict(OUT_RCPT_OK);
	return x->nlegs || x->nwalked ? verdict(OUT_RCPT_OK) : run_nobody(x);
}

/* A postmaster whom the entries lead to nobody is not refused: the message waits where an operator sees
 * it.  An outage is another thing: then nothing is known. */
static void
run_keep_role(struct run *x)
{
	struct verdict *v = &x->result.v;

	if (!x->role || x->looking || v->kind == OK || (v->kind == TEMP && v->detail == 0))
		return;
	expand_leg_add(x, &x->root, ROUTE_LMTP, shared.hostname, x->root.text,
	    "the postmaster cannot be reached: see the directory and postmaster in tiermail.conf",
	    0);
	*v = verdict(OUT_RCPT_OK);
}

/* All of it is one leg. */
static void
expand_answer_later(struct run *x)
{
	if (!x->legs)
		x->legs = mem_array(1, sizeof(*x->legs));
	x->legs[0] = (struct expand_leg){ .channel = EXPAND_LATER,
		.host = shared.hostname,
		.address = arena_cstr(&x->arena, x->root.text),
		.edit = x->result.edit,
		.later = true };
	x->nlegs = 1;
	x->result.nfailed = x->result.nfailures = 0; /* they are told there */
}

static void
run_answer(struct run *x)
{
	struct expand_result *r = &x->result;

	if (!x->decided)
		r->v = run_verdict(x);
	r->edit = x->root.list ? x->root.list->edit : NULL;
	if (x->large)
		expand_answer_later(x);
	run_keep_role(x);
	r->legs = x->legs;
	r->nlegs = x->nlegs;
	r->failed = x->failed;
	if (r->v.kind != OK)
		r->nlegs = 0;
	op_done(x->outer);
	x->done(x->arg, r);
	run_free(x);
}

static void run_on_later(struct later *l);

void
expand_large(struct run *x)
{
	const struct verdict large = verdict(OUT_GROUP_LARGE), yes = verdict(OUT_RCPT_OK);
	bool later = x->may_later && !x->looking && !x->decided;

	x->large = x->large || later;
	expand_decide(x, later ? &yes : &large);
}

void
expand_decide(struct run *x, const struct verdict *v)
{
	struct task *t;

	if (x->decided)
		return;
	x->decided = true;
	x->result.v = *v;
	list_each(t, &x->busy, struct task, link)
	{
		op_cancel(&t->op);
		expand_access_cancel(t);
	}
	later_run(&x->later, x->e->loop, run_on_later);
}

/* ---- nodes and tasks ------------------------------------------------------------------------- */

/* Is there room for one more?  What a client has is counted now and then: by then it may have so much more. */
static bool
run_room(const struct run *x)
{
	const struct run *other;
	size_t n = 0;

	if (x->e->nnodes >= EXPAND_ALL)
		return false;
	if (x->client.n == 0 || x->nnodes % COUNT_EVERY)
		return true;
	list_each(other, &x->e->runs, struct run, link)
	{
		if (slice_eq(other->client, x->client))
			n += other->nnodes;
	}
	return n < EXPAND_CLIENT;
}

struct node *
expand_node(struct run *x, struct node *by, enum node_kind kind, struct slice text)
{
	struct node *n;
	struct verdict v;

	if (x->nnodes == EXPAND_NODES) {
		expand_large(x);
		return NULL;
	}
	if (!run_room(x)) {
		v = verdict(OUT_GROUP_BUSY);
		expand_decide(x, &v);
		return NULL;
	}
	x->nnodes++;
	x->e->nnodes++;
	n = arena_new(&x->arena, sizeof(*n));
	n->kind = kind;
	n->text = arena_slice(&x->arena, text);
	n->parent = by;
	n->origin = by->origin;
	n->hold = by->hold;
	n->list = by->list;
	n->depth = by->depth + 1;
	if (n->depth > EXPAND_DEPTH) {
		v = verdict(OUT_EXPAND_DEEP);
		expand_fail(x, n, v);
		if (!x->looking && !x->walk)
			expand_decide(x, &v);
		return NULL;
	}
	*x->last = n;
	x->last = &n->next;
	x->nwaiting++;
	return n;
}

void
expand_member(struct task *t, enum node_kind kind, struct slice text, const char *hold)
{
	struct node *n;

	if (t->run->walk) {
		expand_walk_member(t, kind, text, hold);
		return;
	}
	n = expand_node(t->run, t->node, kind, text);
	if (!n)
		return;
	n->origin = n;
	if (hold)
		n->hold = hold;
}

static struct task *
task_new(struct run *x, struct node *n)
{
	struct task *t = list_first(&x->idle, struct task, link);

	if (t)
		list_remove(&t->link);
	else
		t = arena_new(&x->arena, sizeof(*t));
	*t = (struct task){ .magic = TASK_MAGIC, .run = x, .node = n };
	list_push(&x->busy, &t->link);
	x->nbusy++;
	return t;
}

static void
page_found(void *arg, const struct dir_page *p)
{
	struct task *t = CAST(arg, struct task, TASK_MAGIC);
	struct run *x = t->run;

	if (p->v.kind != OK) {
		expand_decide(x, &p->v);
		return;
	}
	for (size_t i = 0; i < p->n && !x->decided; i++)
		expand_member(t, NODE_ADDRESS, p->addresses[i], NULL);
	if (!p->more)
		expand_task_end(t);
	else if (!x->decided)
		x->e->p.directory.search_more(x->e->p.directory.arg, &t->op);
}

static void
task_start(struct task *t)
{
	const struct expand_directory *d = &t->run->e->p.directory;

	switch (t->node->kind) {
	case NODE_ADDRESS: expand_address(t); break;
	case NODE_DN: d->member(d->arg, t->node->text, &t->op, expand_member_found, t); break;
	case NODE_URL: d->search(d->arg, t->node->text, &t->op, page_found, t); break;
	}
}

/* Begins as many as may be at once; what needs no directory is over at once, so the turn is counted. */
static void
run_go_on(struct run *x)
{
	x->starting = true;
	for (int i = 0; i < SLICE && x->first && x->nbusy < TASKS && !x->decided; i++) {
		struct node *n = x->first;

		x->first = n->next;
		if (!x->first)
			x->last = &x->first;
		x->nwaiting--;
		task_start(task_new(x, n));
	}
	x->starting = false;
	if (x->decided || (x->first && x->nbusy < TASKS) || (!x->first && !x->nbusy))
		later_run(&x->later, x->e->loop, run_on_later);
}

static void
run_on_later(struct later *l)
{
	struct run *x = CAST(CONTAINER(l, struct run, later), struct run, RUN_MAGIC);

	if (x->decided || (!x->first && !x->nbusy))
		run_answer(x);
	else
		run_go_on(x);
}

void
expand_task_end(struct task *t)
{
	struct run *x = t->run;

	must(!op_pending(&t->op));
	expand_walk_task_end(t);
	list_remove(&t->link);
	list_push(&x->idle, &t->link);
	x->nbusy--;
	if (!x->starting)
		later_run(&x->later, x->e->loop, run_on_later);
}

/* ---- what came out --------------------------------------------------------------------------- */

bool
expand_away(const struct verdict *v)
{
	const struct verdict blind = verdict(OUT_DIR_BLIND);

	return v->kind == TEMP && (v->detail == 0 || strcmp(v->text, blind.text) == 0);
}

struct verdict
expand_blame(const struct run *x, const struct node *n, struct verdict v)
{
	bool terms = v.subject == 7 || (v.subject == 2 && v.detail == 3);

	return v.kind == PERM && n->by_admin && !terms && !x->looking ? verdict(OUT_ROUTING_BAD) :
									v;
}

void
expand_fail(struct run *x, const struct node *n, struct verdict v)
{
	struct expand_failure *f;

	v = expand_blame(x, n, v);
	x->unsure = x->unsure || v.kind == TEMP;
	if (n == &x->root)
		x->bad_root = true;
	if (n == &x->root || x->bad.kind == VERDICT_NONE)
		x->bad = v;
	x->result.nfailures++;
	if (x->result.nfailed == EXPAND_FAILED)
		return;
	if (!x->failed)
		x->failed = arena_array(&x->arena, EXPAND_FAILED, sizeof(*x->failed));
	f = &x->failed[x->result.nfailed++];
	f->address = arena_cstr(&x->arena, n->text);
	f->via = n->parent ? arena_cstr(&x->arena, n->parent->text) : f->address;
	f->errors_to = expand_node_sender(x, n);
	f->v = v;
}

/* ---- questions -------------------------------------------------------------------------------- */

struct run *
expand_run_new(struct expand *e)
{
	struct run *x = mem_new(sizeof(*x));

	x->magic = RUN_MAGIC;
	x->e = e;
	x->root.origin = &x->root;
	x->most = EXPAND_LEGS;
	x->last = &x->first;
	list_push(&e->runs, &x->link);
	list_init(&x->busy);
	list_init(&x->idle);
	later_init(&x->later);
	return x;
}

void
expand_run_start(struct expand *e, struct run *x, struct op *op, expand_done done, void *arg)
{
	x->outer = op;
	x->done = done;
	x->arg = arg;
	op->impl = x;
	op->cancel = run_cancel;
	x->first = &x->root;
	x->last = &x->root.next;
	x->nnodes = x->nwaiting = 1;
	e->nnodes++;
	must(e == x->e);
	run_go_on(x);
}

void
expand_start(struct expand *e, const struct expand_query *q, struct op *op, expand_done done,
    void *arg)
{
	struct run *x = expand_run_new(e);
	struct buf b = { 0 };

	address_write(&b, q->address);
	x->root.text = arena_slice(&x->arena, buf_get(&b));
	buf_fini(&b);
	x->address.local = arena_slice(&x->arena, q->address->local);
	x->address.domain = arena_slice(&x->arena, q->address->domain);
	x->address.flags = q->address->flags;
	x->source = q->source;
	x->sender = arena_slice(&x->arena, q->sender);
	x->auth = arena_slice(&x->arena, q->auth);
	x->client = arena_slice(&x->arena, q->client);
	x->size = q->size;
	x->others = q->others;
	x->may_later = q->later;
	if (q->most)
		x->most = q->most;
	expand_run_start(e, x, op, done, arg);
}

struct expand *
expand_new(struct loop *l, const struct expand_params *p)
{
	struct expand *e = mem_new(sizeof(*e));

	e->loop = l;
	list_init(&e->runs);
	e->p = *p;
	return e;
}

void
expand_reload(struct expand *e, const struct expand_params *p)
{
	e->p = *p;
}

void
expand_free(struct expand **e)
{
	mem_free(e);
}

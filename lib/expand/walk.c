/* walk.c: a list of any length, member by member: see expand_walk_start.
 *
 *	walk      the lists on the way, the names that are still to be looked at, the piece in hand
 *	source    the names that one list, or one URL, has brought, as it has them
 *	run       one of the names (expand.c); what it leads to comes back here and the run is gone
 *
 * Called by the channels that expand mail once more; the runs call expand_walk_member for what a list has
 * and expand_walk_leg for who gets the message.  While a piece is out no run begins, and none is under way.
 * What fails is the directory, which ends the walk with a temporary verdict, and single members, who end
 * nothing.  Must stay true: no memory grows with the number of members but their names and two sums for each
 * of them; who is in hand enters `taken` only when the taker has him, so that nobody is passed over for a walk
 * that ended before; a list's node is copied before its run goes, so that circles are seen by whatever way they close. */
#include "base/mem.h"
#include "base/must.h"
#include "expand/approved.h"
#include "expand/expand-impl.h"

#define WALK_MAGIC 0x6577616cU
#define WALK_RUNS  32 /* members that are looked at at a time */

struct walk_source {
	struct list link;
	const struct node *by; /* the list; NULL: the address that was asked for */
	enum node_kind kind;
	const char *hold;
	struct task *task; /* that still adds to it; or NULL */
	struct buf names;  /* of each: how many octets, and these */
	size_t at;
};

struct walk_run {
	struct expand_walk *w;
	struct run *x; /* NULL: it has none */
	struct op op;
};

struct expand_walk {
	uint32_t magic;
	struct expand *e;
	struct arena arena; /* lists, and what they make of the message */
	struct arena piece; /* the legs' texts */
	const char *source;
	struct slice sender, auth;
	struct address address;
	struct slice *words;
	size_t nwords;
	uint64_t size;
	struct list sources;
	struct walk_run runs[WALK_RUNS];
	size_t nbusy, nmembers, nall; /* nall: who gets it, and who had it already */
	struct verdict no;            /* of the first who may not; `refused`: there is one */
	struct expand_sums entered, in_hand, *taken; /* in_hand: the legs' */
	struct expand_leg *legs;
	size_t nlegs, room;
	struct later later;
	struct verdict v; /* when it is over */
	bool over, out;   /* out: a piece is with the taker */
	bool refused;
	const struct expand_taker *taker;
	void *arg;
};

static void expand_walk_go_on(struct later *l);

static void
walk_soon(struct expand_walk *w)
{
	later_run(&w->later, w->e->loop, expand_walk_go_on);
}

static void
walk_stop_runs(struct expand_walk *w)
{
	for (size_t i = 0; i < WALK_RUNS; i++) {
		if (!w->runs[i].x)
			continue;
		op_cancel(&w->runs[i].op);
		w->runs[i].x = NULL;
	}
	w->nbusy = 0;
}

static void
source_free(struct walk_source *s)
{
	list_remove(&s->link);
	buf_fini(&s->names);
	mem_free(&s);
}

static void
walk_free(struct expand_walk *w)
{
	struct walk_source *s;

	later_cancel(&w->later);
	walk_stop_runs(w);
	while ((s = list_first(&w->sources, struct walk_source, link)))
		source_free(s);
	expand_sums_fini(&w->entered);
	expand_sums_fini(&w->in_hand);
	mem_free(&w->legs);
	arena_reset(&w->piece);
	arena_reset(&w->arena);
	w->magic = 0;
	mem_free(&w);
}

/* It is over with this verdict, whatever else was found. */
static void
walk_end(struct expand_walk *w, const struct verdict *v)
{
	if (w->over)
		return;
	w->over = true;
	w->v = *v;
	walk_soon(w);
}

/* ---- what runs bring ------------------------------------------------------------------------ */

struct arena *
expand_walk_arena(struct expand_walk *w)
{
	return &w->arena;
}

bool
expand_walk_enter(struct run *x, struct slice key)
{
	unsigned char sum[EXPAND_SUM];

	expand_sum(sum, 'e', key);
	return expand_sums_add(&x->walk->entered, sum);
}

bool
expand_walk_word(const struct run *x, struct slice word)
{
	const struct expand_walk *w = x->walk;
	bool given = false;

	for (size_t i = 0; i < w->nwords; i++)
		given = expand_word_same(w->words[i], word) || given;
	return given;
}

/* The way to a list, out of the run that has found it. */
static const struct node *
node_keep(struct expand_walk *w, const struct node *n)
{
	struct arena *a = &w->arena;
	struct node *copy;

	if (!n || n->kept)
		return n;
	copy = arena_new(a, sizeof(*copy));
	*copy = (struct node){ .parent = node_keep(w, n->parent),
		.origin = copy,
		.kind = n->kind,
		.text = arena_slice(a, n->text),
		.hold = n->hold,
		.list = n->list,
		.id = arena_slice(a, n->id),
		.depth = n->depth,
		.kept = true };
	return copy;
}

static struct walk_source *
source_new(struct expand_walk *w, const struct node *by, enum node_kind kind, const char *hold)
{
	struct walk_source *s = mem_new(sizeof(*s));

	s->by = by;
	s->kind = kind;
	s->hold = hold;
	list_push(&w->sources, &s->link);
	return s;
}

static void
source_add(struct walk_source *s, struct slice name)
{
	uint32_t n = (uint32_t)name.n;

	buf_add(&s->names, &n, sizeof(n));
	buf_slice(&s->names, name);
}

/* False: it has no more. */
static bool
source_next(struct walk_source *s, struct slice *name)
{
	uint32_t n;

	if (s->at == s->names.n)
		return false;
	memcpy(&n, s->names.p + s->at, sizeof(n));
	*name = slice(s->names.p + s->at + sizeof(n), n);
	s->at += sizeof(n) + n;
	return true;
}

void
expand_walk_task_end(struct task *t)
{
	if (t->source)
		t->source->task = NULL;
	t->source = NULL;
}

void
expand_walk_member(struct task *t, enum node_kind kind, struct slice text, const char *hold)
{
	struct expand_walk *w = t->run->walk;
	const struct verdict large = verdict(OUT_GROUP_LARGE);

	if (w->nmembers == EXPAND_WALK) {
		expand_decide(t->run, &large);
		return;
	}
	if (!t->source || t->source->kind != kind || t->source->hold != hold) {
		expand_walk_task_end(t);
		t->source = source_new(w, node_keep(w, t->node), kind, hold);
		t->source->task = t;
	}
	source_add(t->source, text);
	w->nmembers++;
	t->run->nwalked++;
}

/* Whoever takes the legs is asked about the last one. */
static void
walk_ask(struct expand_walk *w, const struct node *n, struct expand_leg *leg)
{
	struct expand_failure f = { .address = leg->address, .errors_to = leg->sender };
	struct arena a = { 0 };

	if (!w->taker->may || w->taker->may(w->arg, leg, &w->piece, &f.v)) {
		w->nall++;
		return;
	}
	w->nlegs--;
	if (f.v.kind == TEMP || !leg->onward) { /* not now, or the address itself */
		walk_end(w, &f.v);
		return;
	}
	if (!w->refused)
		w->no = f.v;
	w->refused = true;
	f.via = n->parent ? arena_cstr(&a, n->parent->text) : leg->address;
	w->taker->failed(w->arg, &f);
	arena_reset(&a);
}

void
expand_walk_leg(struct run *x, const struct node *n, const struct expand_leg *leg)
{
	struct expand_walk *w = x->walk;
	struct arena *a = &w->piece;
	const struct verdict large = verdict(OUT_GROUP_LARGE);
	unsigned char sum[EXPAND_SUM];
	struct expand_leg *to;

	x->nwalked++;
	expand_leg_sum(sum, leg->who, leg->address);
	if (w->over)
		return;
	if (expand_sums_have(w->taken, sum)) {
		w->nall++;
		return;
	}
	if (!expand_sums_add(&w->in_hand, sum))
		return;
	if (w->taken->n + w->nlegs >= EXPAND_WALK) {
		walk_end(w, &large);
		return;
	}
	if (w->nlegs == w->room) {
		w->room = w->room ? w->room * 2 : 16;
		w->legs = mem_grow(w->legs, w->room, sizeof(*w->legs));
	}
	to = &w->legs[w->nlegs++];
	*to = *leg;
	to->channel = arena_str(a, leg->channel);
	to->host = arena_str(a, leg->host);
	to->address = arena_str(a, leg->address);
	to->who = leg->who ? arena_str(a, leg->who) : NULL;
	walk_ask(w, n, to);
}

/* ---- runs ------------------------------------------------------------------------------------- */

static void
walk_run_done(void *arg, const struct expand_result *r)
{
	struct walk_run *k = arg;
	struct expand_walk *w = k->w;
	const struct run *x = k->x;
	bool asked = expand_asked(x, &x->root);

	k->x = NULL;
	w->nbusy--;
	for (size_t i = 0; i < r->nfailed; i++)
		if (!asked || r->failed[i].via != r->failed[i].address)
			w->taker->failed(w->arg, &r->failed[i]);
	/* One member's verdict is nobody's but his, unless nothing can be said of anybody. */
	if (r->v.kind != OK && (asked || x->decided))
		walk_end(w, &r->v);
	walk_soon(w);
}

static void
walk_run_start(struct walk_run *k, const struct walk_source *s, struct slice name)
{
	struct expand_walk *w = k->w;
	struct run *x = expand_run_new(w->e);

	x->walk = w;
	x->source = w->source;
	x->sender = w->sender;
	x->auth = w->auth;
	x->size = w->size;
	x->root.kind = s->kind;
	x->root.text = arena_slice(&x->arena, name);
	x->root.parent = s->by;
	if (s->by) {
		x->root.list = s->by->list;
		x->root.hold = s->hold ? s->hold : s->by->hold;
		x->root.depth = s->by->depth + 1;
	} else {
		x->address = w->address;
	}
	k->x = x;
	w->nbusy++;
	expand_run_start(w->e, x, &k->op, walk_run_done, k);
}

/* Lists in lists in lists. */
static void
walk_deep(struct expand_walk *w, const struct walk_source *s, struct slice name)
{
	struct arena a = { 0 };
	struct expand_failure f = { .address = arena_cstr(&a, name),
		.via = arena_cstr(&a, s->by->text),
		.errors_to = w->sender.n && s->by->list ? s->by->list->sender : NULL,
		.v = verdict(OUT_EXPAND_DEEP) };

	w->taker->failed(w->arg, &f);
	arena_reset(&a);
}

/* The next name for a run that has none.  False: there is no name. */
static bool
walk_begin(struct walk_run *k)
{
	struct expand_walk *w = k->w;
	struct walk_source *s;
	struct slice name;

	while ((s = list_first(&w->sources, struct walk_source, link))) {
		if (!source_next(s, &name)) {
			if (s->task) /* a URL that is still being read: what comes is another one's */
				s->task->source = NULL;
			source_free(s);
			continue;
		}
		if (s->by && s->by->depth == EXPAND_DEPTH)
			walk_deep(w, s, name);
		else
			walk_run_start(k, s, name);
		return true;
	}
	return false;
}

static void
walk_piece(struct expand_walk *w)
{
	w->out = true;
	w->taker->piece(w->arg, w->legs, w->nlegs);
}

static void
expand_walk_over(struct expand_walk *w)
{
	const struct expand_taker *taker = w->taker;
	struct verdict v = w->v;
	void *arg = w->arg;

	walk_free(w);
	taker->done(arg, &v);
}

static void
expand_walk_go_on(struct later *l)
{
	struct expand_walk *w =
	    CAST(CONTAINER(l, struct expand_walk, later), struct expand_walk, WALK_MAGIC);
	struct verdict end;

	if (w->out)
		return;
	if (w->over) {
		expand_walk_over(w);
		return;
	}
	for (size_t i = 0; i < WALK_RUNS && w->nlegs < EXPAND_PIECE && !w->over; i++)
		if (!w->runs[i].x && !walk_begin(&w->runs[i]))
			break;
	if (w->nbusy || w->over)
		return;
	if (w->nlegs < EXPAND_PIECE && !list_empty(&w->sources)) {
		walk_soon(w); /* those too deep needed no run */
	} else if (w->nlegs) {
		walk_piece(w);
	} else {
		end = w->nall  ? verdict(OUT_RCPT_OK) :
		    w->refused ? w->no :
				 verdict(OUT_GROUP_EMPTY);
		walk_end(w, &end);
	}
}

void
expand_walk_more(struct expand_walk *w, size_t n)
{
	must(w->out && n <= w->nlegs);
	w->out = false;
	for (size_t i = 0; i < n; i++) {
		unsigned char sum[EXPAND_SUM];

		expand_leg_sum(sum, w->legs[i].who, w->legs[i].address);
		(void)expand_sums_add(w->taken, sum);
	}
	w->nlegs -= n;
	for (size_t i = 0; i < w->nlegs; i++)
		w->legs[i] = w->legs[i + n];
	if (w->nlegs == 0) {
		arena_reset(&w->piece);
		expand_sums_fini(&w->in_hand);
	}
	walk_soon(w);
}

/* ---- life ------------------------------------------------------------------------------------ */

struct expand_walk *
expand_walk_start(struct expand *e, const struct expand_query *q, struct expand_sums *taken,
    const struct expand_taker *taker, void *arg)
{
	struct expand_walk *w = mem_new(sizeof(*w));
	struct buf text = { 0 };

	w->magic = WALK_MAGIC;
	w->e = e;
	w->source = q->source;
	w->sender = arena_slice(&w->arena, q->sender);
	w->auth = arena_slice(&w->arena, q->auth);
	w->size = q->size;
	w->address = *q->address;
	w->address.local = arena_slice(&w->arena, q->address->local);
	w->address.domain = arena_slice(&w->arena, q->address->domain);
	w->words = arena_array(&w->arena, q->nwords + 1, sizeof(*w->words));
	for (; w->nwords < q->nwords; w->nwords++)
		w->words[w->nwords] = arena_slice(&w->arena, q->words[w->nwords]);
	w->taken = taken;
	w->taker = taker;
	w->arg = arg;
	list_init(&w->sources);
	later_init(&w->later);
	for (size_t i = 0; i < WALK_RUNS; i++)
		w->runs[i].w = w;
	address_write(&text, q->address);
	source_add(source_new(w, NULL, NODE_ADDRESS, NULL), buf_get(&text));
	buf_fini(&text);
	walk_soon(w);
	return w;
}

void
expand_walk_cancel(struct expand_walk **w)
{
	if (*w)
		walk_free(*w);
	*w = NULL;
}

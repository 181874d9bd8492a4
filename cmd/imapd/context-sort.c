/* imapd/context-sort.c: the order of a sorted result that is followed: CONTEXT=SORT, RFC 5267 4.3.3, 4.3.4.
 *
 * Owns: struct context_order, the UIDs of a result in their order; what they are sorted by is not kept, as no key of a
 * message ever changes.  Called by context.c when messages leave the result or come into it.  Can fail: texts that are
 * too long, messages that cannot be read or go while they are looked at.  Must stay true: positions are those that the
 * client has when it has done all that it was told before.  Cost: what comes in is put into its place by halving, all
 * of it in the same walks over the index: a walk for each bit of the length, of one message for each that came; a
 * removal goes through the order once. */
#include "context.h"
#include "sort.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"

#define WALKS 24 /* halvings of CONTEXT_SORTED and some */
#define NONE  UINT32_MAX

struct context_order {
	struct imap_sort by;
	uint32_t *uids;
	size_t n;
};

struct context_order *
context_order_new(const struct imap_sort *by, const uint32_t *uids, size_t n)
{
	struct context_order *o = mem_new(sizeof(*o));

	o->by = *by;
	o->n = n;
	o->uids = mem_array(n + 1, sizeof(*o->uids));
	if (n)
		memcpy(o->uids, uids, n * sizeof(*uids));
	return o;
}

void
context_order_free(struct context_order **op)
{
	struct context_order *o = *op;

	*op = NULL;
	if (!o)
		return;
	mem_release(o->uids);
	mem_release(o);
}

size_t
context_order_length(const struct context_order *o)
{
	return o ? o->n : 0;
}

/* ---- telling -------------------------------------------------------------------------------------- */

/* A line with ADDTO or REMOVEFROM, which begins with its first pair. */
struct order_line {
	struct session *s;
	const char *tag, *what;
	bool uid, open;
};

static uint32_t
order_number(const struct order_line *l, uint32_t uid)
{
	return l->uid ? uid : view_seq(l->s->view, uid);
}

/* "7 2,84:86,1": such as follow one another, from a position on. */
static void
order_pair(struct order_line *l, size_t position, const uint32_t *uids, size_t n)
{
	struct buf *b = session_out(l->s);

	if (n == 0)
		return;
	if (!l->open) {
		context_head(l->s, l->tag, l->uid);
		buf_printf(b, " %s (", l->what);
	}
	buf_str(b, l->open ? " " : "");
	l->open = true;
	buf_u64(b, position);
	for (size_t i = 0; i < n; i++) {
		uint32_t lo = order_number(l, uids[i]), hi = lo;

		buf_char(b, i ? ',' : ' ');
		while (i + 1 < n && order_number(l, uids[i + 1]) == hi + 1) {
			hi++;
			i++;
		}
		buf_u64(b, lo);
		if (hi > lo) {
			buf_char(b, ':');
			buf_u64(b, hi);
		}
	}
}

static void
order_line_end(struct order_line *l)
{
	if (l->open)
		buf_lit(session_out(l->s), ")\r\n");
}

void
context_order_remove(struct session *s, struct context_order *o, const char *tag, bool uid,
    const struct imap_set *gone)
{
	struct order_line l = { .s = s, .tag = tag, .what = "REMOVEFROM", .uid = uid };
	size_t kept = 0;

	for (size_t i = 0, end; i < o->n; i = end) {
		for (end = i; end < o->n && imap_set_has(gone, o->uids[end]); end++)
			;
		order_pair(&l, kept + 1, o->uids + i, end - i);
		for (; end < o->n && !imap_set_has(gone, o->uids[end]); end++)
			o->uids[kept++] = o->uids[end];
	}
	o->n = kept;
	order_line_end(&l);
}

void
context_order_insert(struct session *s, struct context_order *o, const char *tag, bool uid,
    const struct context_place *places, size_t n)
{
	struct order_line l = { .s = s, .tag = tag, .what = "ADDTO", .uid = uid };
	uint32_t *uids = mem_array(o->n + n + 1, sizeof(*uids));
	size_t at = 0, from;

	for (size_t i = 0, k = 0; i <= o->n; i++) {
		for (from = at; k < n && places[k].before == (i < o->n ? o->uids[i] : 0); k++)
			uids[at++] = places[k].uid;
		order_pair(&l, from + 1, uids + from, at - from);
		if (i < o->n)
			uids[at++] = o->uids[i];
	}
	mem_release(o->uids);
	o->uids = uids;
	o->n = at;
	order_line_end(&l);
}

/* ---- places --------------------------------------------------------------------------------------- */

/* One that came, and between which two of `live` it belongs. */
struct place {
	uint32_t uid, row;
	uint32_t lo, hi;
	uint32_t asked; /* the message whose keys it waited for last */
};

/* Given back with the search, in whose walks the keys are gathered. */
struct placing {
	struct sort_rows keys;
	size_t ends[WALKS]; /* of the rows of each walk */
	unsigned nends;
	uint32_t *live; /* UIDs of the order that are there still, and stay */
	size_t nlive;
	struct place *places;
	size_t n;
	bool lost; /* one that was to be looked at has gone */
};

static void
placing_free(void *arg)
{
	struct placing *p = arg;

	sort_rows_fini(&p->keys);
	mem_release(p->live);
	mem_release(p->places);
	mem_release(p);
}

static uint32_t
placing_row(const struct placing *p, uint32_t uid)
{
	size_t from = 0;

	for (unsigned w = 0; w < p->nends; from = p->ends[w++]) {
		size_t lo = from, hi = p->ends[w];

		while (lo < hi) {
			size_t mid = lo + (hi - lo) / 2;

			if (p->keys.uids[mid] < uid)
				lo = mid + 1;
			else
				hi = mid;
		}
		if (lo < p->ends[w] && p->keys.uids[lo] == uid)
			return (uint32_t)lo;
	}
	return NONE;
}

/* RFC 5256 3: "the sequence numbers" decide between equals. */
static int
placing_compare(const struct placing *p, uint32_t a, uint32_t b)
{
	int c = imap_rows_compare(&p->keys.rows, a, b);

	return c ? c : p->keys.uids[a] < p->keys.uids[b] ? -1 : p->keys.uids[a] > p->keys.uids[b];
}

/* Halves what lies between, as far as keys are known.  The UIDs of those that are not known go to `ask`. */
static size_t
placing_halve(struct placing *p, uint32_t *ask)
{
	size_t n = 0;

	for (struct place *x = p->places; x < p->places + p->n; x++)
		while (x->lo < x->hi) {
			uint32_t mid = x->lo + (x->hi - x->lo) / 2, uid = p->live[mid];
			uint32_t row = placing_row(p, uid);

			if (row == NONE) {
				p->lost |= x->asked == uid;
				x->asked = uid;
				ask[n++] = uid;
				break;
			}
			if (placing_compare(p, row, x->row) < 0)
				x->lo = mid + 1;
			else
				x->hi = mid;
		}
	return n;
}

static int
uid_order(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* The next walk is over these. */
static void
placing_ask(struct searching *q, struct placing *p, uint32_t *ask, size_t n)
{
	qsort(ask, n, sizeof(*ask), uid_order);
	q->found = (struct imap_set){ 0 };
	for (size_t i = 0; i < n; i++)
		if (i == 0 || ask[i] != ask[i - 1])
			imap_set_add(&q->found, &q->arena, ask[i], ask[i]);
	p->keys.gather.range = 0;
	p->keys.gather.at = 0;
}

static int
place_order(const void *a, const void *b, void *arg)
{
	const struct place *x = a, *y = b;

	return x->lo != y->lo ? (x->lo < y->lo ? -1 : 1) : placing_compare(arg, x->row, y->row);
}

/* A walk is over.  False: there is none to come. */
static bool
placing_next(struct searching *q, struct placing *p)
{
	bool first = p->nends == 0;
	uint32_t *ask;
	size_t n;

	if (p->nends == WALKS) {
		p->lost = true;
		return false;
	}
	p->ends[p->nends++] = p->keys.rows.n;
	for (size_t i = 0; first && i < p->n; i++) {
		p->places[i].row = placing_row(p, p->places[i].uid);
		p->lost |= p->places[i].row == NONE;
	}
	if (p->lost)
		return false;
	ask = arena_array(&q->arena, p->n, sizeof(*ask));
	n = placing_halve(p, ask);
	if (n > 0 && !p->lost)
		placing_ask(q, p, ask, n);
	else if (!p->lost)
		qsort_r(p->places, p->n, sizeof(*p->places), place_order, p);
	return n > 0 && !p->lost;
}

enum search_went
context_order_place(struct session *s, struct searching *q)
{
	struct placing *p = q->further;
	enum search_went went;

	while ((went = gather_go(s, q, &p->keys.gather)) == SEARCH_DONE && placing_next(q, p))
		if (clock_mono_us() > q->ends_at)
			return SEARCH_YIELDS;
	if (p->keys.rows.texts.full) {
		q->refused = "The texts to sort by are too long";
		return SEARCH_FAILED;
	}
	return went;
}

/* What new ones are compared with: of what leaves the result, or has gone and is still to be told, no keys can be
 * had. */
static void
placing_live(struct session *s, struct placing *p, const struct context_order *o,
    const struct imap_set *leaves)
{
	struct buf runs = { 0 };
	struct imap_set there;
	struct store_mailbox m;

	p->live = mem_array(o->n + 1, sizeof(*p->live));
	if (session_snapshot(s) < 0)
		return;
	if (store_get_mailbox(session_reader(s), s->view->mailbox, &m) == 0)
		store_uid_runs(session_reader(s), &m, &runs);
	store_end(session_reader(s));
	there = (struct imap_set){ .r = (void *)runs.p, .n = runs.n / sizeof(*there.r) };
	for (size_t i = 0; i < o->n; i++)
		if (imap_set_has(&there, o->uids[i]) && !imap_set_has(leaves, o->uids[i]))
			p->live[p->nlive++] = o->uids[i];
	buf_fini(&runs);
}

void
context_order_begin(struct session *s, const struct context_order *o, const struct imap_set *comes,
    const struct imap_set *leaves)
{
	struct imap_in nothing = { .arena = &s->imap.arena }, own;
	struct searching *q = search_new(s, &nothing, &own);
	struct placing *p = mem_new(sizeof(*p));

	q->further = p;
	q->further_free = placing_free;
	q->by_uid = q->quiet = true;
	q->view = s->view;
	q->found = imap_set_copy(comes, &q->arena);
	placing_live(s, p, o, leaves);
	p->places = mem_array((size_t)imap_set_count(comes) + 1, sizeof(*p->places));
	for (size_t i = 0; i < comes->n; i++)
		for (uint64_t uid = comes->r[i].lo; uid <= comes->r[i].hi; uid++)
			p->places[p->n++] =
			    (struct place){ .uid = (uint32_t)uid, .hi = (uint32_t)p->nlive };
	sort_rows_begin(&p->keys, &o->by, p->n * WALKS);
}

bool
context_order_over(struct session *s, const struct searching *q, struct context_place **list,
    size_t *n)
{
	const struct placing *p = q->further;

	if (p->lost)
		return false;
	*n = p->n;
	*list = arena_array(&s->imap.arena, p->n + 1, sizeof(**list));
	for (size_t i = 0; i < p->n; i++) {
		const struct place *x = &p->places[i];

		(*list)[i] =
		    (struct context_place){ x->uid, x->lo < p->nlive ? p->live[x->lo] : 0 };
	}
	return true;
}

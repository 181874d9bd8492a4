/* What the log of changes says since a state: the reading half of store/since.h.
 *
 * A client makes the log as long as it likes: a hundred thousand messages are moved a thousand times, or flagged and
 * unflagged, and the log has a row or an entry for each of each time.  So nothing is kept for an entry: lists are
 * sorted and joined whenever they have doubled, and are never longer than twice what they are about.  Of what went the
 * log is asked when all that came is known, for only then it is known whether it had been there before. */
#include <stdlib.h>

#include "base/clock.h"
#include "store/since-impl.h"

#define TIDY 65536 /* bytes that a list grows by at least before it is joined */

/* ---- lists ----------------------------------------------------------------------------------- */

struct list_kind {
	size_t size;
	int (*cmp)(const void *, const void *);
	bool (*join)(void *to, const void *next); /* in that order; true: *to stands for both */
};

static void
since_tidy(struct store_since_list *l, const struct list_kind *k)
{
	size_t n = l->b.n / k->size, kept = 0;

	if (n) {
		qsort(l->b.p, n, k->size, k->cmp);
		for (size_t i = 1; i < n; i++)
			if (!k->join(l->b.p + kept * k->size, l->b.p + i * k->size) && ++kept != i)
				memcpy(l->b.p + kept * k->size, l->b.p + i * k->size, k->size);
		l->b.n = (kept + 1) * k->size;
	}
	l->tidied = l->b.n;
}

static void
since_add(struct store_since_list *l, const struct list_kind *k, const void *item)
{
	buf_add(&l->b, item, k->size);
	if (l->b.n >= 2 * l->tidied + TIDY)
		since_tidy(l, k);
}

static int
cmp_since_range(const void *a, const void *b)
{
	const struct since_range *x = a, *y = b;

	return x->mailbox != y->mailbox ? (x->mailbox < y->mailbox ? -1 : 1) :
	    x->first != y->first        ? (x->first < y->first ? -1 : 1) :
					  0;
}

static bool
join_range(void *to, const void *next)
{
	struct since_range *r = to;
	const struct since_range *n = next;

	if (r->mailbox != n->mailbox || n->first > (uint64_t)r->last + 1)
		return false;
	r->last = n->last > r->last ? n->last : r->last;
	return true;
}
static const struct list_kind kind_changed = { sizeof(struct since_range), cmp_since_range,
	join_range };

static int
cmp_gone_thread(const void *a, const void *b)
{
	struct store_gone_thread x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x.emailid < y.emailid ? -1 : x.emailid > y.emailid;
}

static bool
join_gone_thread(void *to, const void *next)
{
	return cmp_gone_thread(to, next) == 0;
}
static const struct list_kind kind_gone_thread = { sizeof(struct store_gone_thread),
	cmp_gone_thread, join_gone_thread };

static int
cmp_since_box(const void *a, const void *b)
{
	const struct since_box *x = a, *y = b;

	return x->mailbox != y->mailbox ? (x->mailbox < y->mailbox ? -1 : 1) :
	    x->modseq != y->modseq      ? (x->modseq < y->modseq ? -1 : 1) :
					  0;
}

/* That a mailbox was made or deleted stays by itself. */
static bool
join_box(void *to, const void *next)
{
	struct since_box *b = to;
	const struct since_box *n = next;

	if (b->mailbox != n->mailbox || b->what > BOX_CHANGED || n->what > BOX_CHANGED)
		return false;
	b->modseq = n->modseq;
	b->what = n->what > b->what ? n->what : b->what;
	return true;
}
static const struct list_kind kind_box = { sizeof(struct since_box), cmp_since_box, join_box };

static int
cmp_met(const void *a, const void *b)
{
	const struct since_met *x = a, *y = b;

	return x->emailid < y->emailid ? -1 : x->emailid > y->emailid;
}

static bool
join_met(void *into, const void *next)
{
	struct since_met *to = into;
	const struct since_met *m = next;

	if (m->emailid != to->emailid)
		return false;
	to->threadid = to->threadid ? to->threadid : m->threadid;
	to->first = m->first < to->first ? m->first : to->first;
	to->last = m->last > to->last ? m->last : to->last;
	to->came |= m->came;
	to->lost |= m->lost;
	to->hidden |= m->hidden;
	return true;
}
static const struct list_kind kind_met = { sizeof(struct since_met), cmp_met, join_met };

void
store_since_meet(struct store_since *s, const struct since_met *m)
{
	since_add(&s->met, &kind_met, m);
}

void
store_since_tidy_met(struct store_since *s)
{
	since_tidy(&s->met, &kind_met);
}

void
store_since_tidy_boxes(struct store_since *s)
{
	since_tidy(&s->boxed, &kind_box);
}

/* ---- rows ------------------------------------------------------------------------------------ */

static void
since_take_box(struct store_since *s, const struct store_change_walk *c, int what)
{
	struct since_box b = { c->mailbox, store_change_objectid(c), c->modseq, BOX_COUNTS };

	b.what = what;
	since_add(&s->boxed, &kind_box, &b);
}

static struct since_range
since_range_at(const struct store_change_walk *c, size_t i)
{
	struct store_range uids = store_change_range(c, i);

	return (struct since_range){ c->mailbox, c->modseq, uids.first, uids.last };
}

static void
since_take_came(struct buf *came, const struct store_change_walk *c)
{
	for (size_t i = 0; i < c->count; i++) {
		struct since_range r = since_range_at(c, i);

		buf_add(came, &r, sizeof(r));
	}
}

static void
since_take_gone(struct store_since *s, const struct store_change_walk *c)
{
	for (size_t i = 0; i < c->count; i++) {
		struct store_gone g = store_change_gone(c, i);

		for (uint64_t uid = g.first; uid <= g.last && g.emailid; uid++) {
			uint64_t came = store_since_came(s, c->mailbox, (uint32_t)uid);
			struct since_met m = { .emailid = g.emailid + (uid - g.first),
				.first = came ? came : c->modseq,
				.last = c->modseq,
				.came = came != 0,
				.lost = came == 0 };

			store_since_meet(s, &m);
		}
	}
}

static void
since_take_row(struct store_since *s, const struct store_change_walk *c)
{
	switch (c->kind) {
	case STORE_CHANGE_NEW:
		since_take_came(&s->came, c);
		since_take_box(s, c, BOX_COUNTS);
		break;
	case STORE_CHANGE_FLAGS:
		for (size_t i = 0; i < c->count; i++) {
			struct since_range r = since_range_at(c, i);

			since_add(&s->changed, &kind_changed, &r);
		}
		since_take_box(s, c, BOX_COUNTS);
		break;
	case STORE_CHANGE_GONE: since_take_box(s, c, BOX_COUNTS); break;
	case STORE_CHANGE_FOLDER: since_take_box(s, c, c->count ? BOX_MADE : BOX_CHANGED); break;
	case STORE_CHANGE_DELETED: since_take_box(s, c, BOX_DELETED); break;
	case STORE_CHANGE_THREADS:
		for (size_t i = 0; i < c->count; i++)
			since_add(&s->gone_threads, &kind_gone_thread,
			    c->entries.p + i * sizeof(struct store_gone_thread));
		break;
	case STORE_CHANGE_NEWS: /* comes as NEW */
	case STORE_CHANGE_SEEN: /* as FLAGS, to whom it concerns */
	default: break;
	}
}

/* ---- the log --------------------------------------------------------------------------------- */

/* All rows of a modseq or none, so that the next slice can go on behind it. */
static bool
since_walk(struct store_since *s, struct store_view *v, uint64_t until,
    void (*take)(struct store_since *, const struct store_change_walk *))
{
	struct store_change_walk c = { .account = s->boxes->account, .since = s->at };
	uint64_t last = s->at;
	size_t n = 0;

	while (store_change_next(v, &c) && c.modseq <= s->modseq) {
		if (c.modseq != last && n >= LOOK) {
			if (clock_mono_us() >= until)
				return false;
			n = 0;
		}
		n += 1 + c.count;
		last = s->at = c.modseq;
		take(s, &c);
	}
	s->at = s->since;
	return true;
}

static void
since_sort_ranges(struct buf *b)
{
	if (b->n)
		qsort(b->p, COUNT(*b, struct since_range), sizeof(struct since_range),
		    cmp_since_range);
}

bool
store_since_read(struct store_since *s, struct store_view *v, uint64_t until)
{
	if (!since_walk(s, v, until, since_take_row))
		return false;
	since_sort_ranges(&s->came);
	since_tidy(&s->changed, &kind_changed);
	since_tidy(&s->gone_threads, &kind_gone_thread);
	since_tidy(&s->boxed, &kind_box);
	return true;
}

static void
since_take_if_gone(struct store_since *s, const struct store_change_walk *c)
{
	if (c->kind == STORE_CHANGE_GONE)
		since_take_gone(s, c);
}

bool
store_since_read_gone(struct store_since *s, struct store_view *v, uint64_t until)
{
	return since_walk(s, v, until, since_take_if_gone);
}

void
store_since_later(struct store_since *s, struct store_view *v)
{
	struct store_change_walk c = { .account = s->boxes->account, .since = s->seen };
	bool made = false;

	while (store_change_next(v, &c)) {
		s->seen = c.modseq;
		made |= c.kind == STORE_CHANGE_FOLDER && c.count;
		if (c.kind == STORE_CHANGE_NEW)
			since_take_came(&s->later, &c);
	}
	since_sort_ranges(&s->later);
	if (made) {
		uint64_t account = s->boxes->account;

		store_boxes_fini(&s->own);
		store_boxes_load(v, account, &s->own);
		s->boxes = &s->own;
	}
}

static uint64_t
range_modseq(const struct buf *ranges, uint64_t mailbox, uint32_t uid)
{
	const struct since_range *r = ITEMS(*ranges, struct since_range);
	size_t lo = 0, hi = COUNT(*ranges, struct since_range);

	while (lo < hi) { /* the first one that begins behind it */
		size_t mid = (lo + hi) / 2;

		if (r[mid].mailbox < mailbox || (r[mid].mailbox == mailbox && r[mid].first <= uid))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && r[lo - 1].mailbox == mailbox && uid <= r[lo - 1].last ? r[lo - 1].modseq : 0;
}

uint64_t
store_since_came(const struct store_since *s, uint64_t mailbox, uint32_t uid)
{
	uint64_t modseq = range_modseq(&s->came, mailbox, uid);

	return modseq ? modseq : range_modseq(&s->later, mailbox, uid);
}

uint64_t
store_since_gone_thread(const struct store_since *s, uint64_t emailid)
{
	struct store_gone_thread key = { emailid, 0 }, found;
	const void *p = s->gone_threads.b.n ?
	    bsearch(&key, s->gone_threads.b.p, COUNT(s->gone_threads.b, key), sizeof(key),
		cmp_gone_thread) :
	    NULL;

	if (!p)
		return emailid;
	memcpy(&found, p, sizeof(found));
	return found.threadid;
}

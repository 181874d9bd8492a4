/* heap.c: what is to be done later: a binary heap by time.  Entries and destinations know their
 * place, so that they can be taken out when something happens earlier.
 *
 * Called by sched.c, entries and dest.c; nothing can fail.  One heap for both kinds, told apart
 * by the lowest bit of a pointer: with a million queued messages eight bytes for each are what is
 * spent.  What must stay true: heap_at of what is in the heap is its place + 1, and 0 of what is
 * not; `due` changes only outside of the heap, or for all alike (sched_shift, when the clock was
 * set). */
#include "base/mem.h"
#include "base/must.h"
#include "job/sched-impl.h"

#define DEST_BIT ((uintptr_t)1)

static struct sched_entry *
as_entry(uintptr_t x)
{
	return (struct sched_entry *)x;
}

static struct sched_dest *
as_dest(uintptr_t x)
{
	return (struct sched_dest *)(x & ~DEST_BIT);
}

static uint32_t
due_of(uintptr_t x)
{
	return x & DEST_BIT ? as_dest(x)->due : as_entry(x)->due;
}

static void
set(struct sched *s, size_t at, uintptr_t x)
{
	s->heap[at] = x;
	if (x & DEST_BIT)
		as_dest(x)->heap_at = (uint32_t)at + 1;
	else
		as_entry(x)->heap_at = (uint32_t)at + 1;
}

static void
up(struct sched *s, size_t at, uintptr_t x)
{
	while (at > 0 && due_of(s->heap[(at - 1) / 2]) > due_of(x)) {
		set(s, at, s->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	set(s, at, x);
}

static void
down(struct sched *s, size_t at, uintptr_t x)
{
	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= s->nheap)
			break;
		if (child + 1 < s->nheap && due_of(s->heap[child + 1]) < due_of(s->heap[child]))
			child++;
		if (due_of(s->heap[child]) >= due_of(x))
			break;
		set(s, at, s->heap[child]);
		at = child;
	}
	set(s, at, x);
}

static void
sched_heap_put(struct sched *s, uintptr_t x)
{
	if (s->nheap == s->heap_room) {
		s->heap_room = s->heap_room ? s->heap_room + s->heap_room / 2 : 1024;
		s->heap = mem_grow(s->heap, s->heap_room, sizeof(*s->heap));
	}
	up(s, s->nheap++, x);
}

static void
sched_heap_take(struct sched *s, size_t at)
{
	uintptr_t last = s->heap[--s->nheap];

	must(at <= s->nheap);
	if (at == s->nheap)
		return;
	if (at > 0 && due_of(s->heap[(at - 1) / 2]) > due_of(last))
		up(s, at, last);
	else
		down(s, at, last);
}

void
sched_heap_put_entry(struct sched *s, struct sched_entry *e, uint32_t due)
{
	must(e->heap_at == 0);
	e->due = due;
	sched_heap_put(s, (uintptr_t)e);
}

void
sched_heap_take_entry(struct sched *s, struct sched_entry *e)
{
	if (e->heap_at == 0)
		return;
	sched_heap_take(s, e->heap_at - 1);
	e->heap_at = 0;
}

void
sched_heap_put_dest(struct sched *s, struct sched_dest *d, uint32_t due)
{
	sched_heap_take_dest(s, d);
	d->due = due;
	sched_heap_put(s, (uintptr_t)d | DEST_BIT);
}

void
sched_heap_take_dest(struct sched *s, struct sched_dest *d)
{
	if (d->heap_at == 0)
		return;
	sched_heap_take(s, d->heap_at - 1);
	d->heap_at = 0;
}

bool
sched_heap_pop(struct sched *s, uint32_t now, struct sched_entry **e, struct sched_dest **d)
{
	uintptr_t x;

	if (s->nheap == 0 || due_of(s->heap[0]) > now)
		return false;
	x = s->heap[0];
	sched_heap_take(s, 0);
	*e = x & DEST_BIT ? NULL : as_entry(x);
	*d = x & DEST_BIT ? as_dest(x) : NULL;
	if (*e)
		(*e)->heap_at = 0;
	else
		(*d)->heap_at = 0;
	return true;
}

/* When a channel whose rate is used up may send again; 0: none waits for that. */
static int64_t
channel_due(const struct sched_channel *c)
{
	const struct channel_rate *r = &c->conf->rate_total;

	if (r->n == 0 || c->rate.at == 0 || c->rate.tokens >= 1 || c->ready == 0 || c->stopped)
		return 0;
	return sched_rate_at(&c->rate, r);
}

int64_t
sched_next_due(const struct sched *s)
{
	int64_t due = s->nheap ? (int64_t)due_of(s->heap[0]) : 0;

	if (!list_empty(&s->moving))
		return 1; /* at once */
	for (size_t i = 0; i < s->nchannels; i++) {
		int64_t at = channel_due(s->order[i]);

		if (at && (due == 0 || at < due))
			due = at;
	}
	return due;
}

static uint32_t
shifted(uint32_t at, int64_t by)
{
	int64_t to = (int64_t)at + by;

	return at == 0 || to < 1 ? at : to > UINT32_MAX ? UINT32_MAX : (uint32_t)to;
}

/* All by the same: the order of the heap stays. */
void
sched_shift(struct sched *s, int64_t by)
{
	for (size_t i = 0; i < s->nheap; i++) {
		struct sched_dest *d = as_dest(s->heap[i]);
		struct sched_entry *e = as_entry(s->heap[i]);

		if (s->heap[i] & DEST_BIT) {
			d->due = shifted(d->due, by);
			d->parked_until = shifted(d->parked_until, by);
		} else {
			e->due = shifted(e->due, by);
			e->next = shifted(e->next, by);
		}
	}
	for (size_t i = 0; i < s->nchannels; i++) {
		struct sched_channel *c = s->order[i];
		struct sched_group *g;
		struct sched_dest *d;
		size_t at = 0;

		c->rate.at = shifted(c->rate.at, by);
		while ((d = map_next(&c->dests, &at)))
			d->rate.at = shifted(d->rate.at, by);
		at = 0;
		while ((g = map_next(&c->groups, &at))) {
			g->rate.at = shifted(g->rate.at, by);
			g->suspended_until = shifted(g->suspended_until, by);
		}
		list_each(d, &s->order[i]->busy, struct sched_dest, busy) d->news =
		    shifted(d->news, by);
	}
	sched_early_anew(s);
}

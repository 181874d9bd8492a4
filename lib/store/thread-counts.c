/* How many threads are in each mailbox of an account, and how many of them are unread.
 *
 * A cursor, called by jmapd within its slices of time.  The index has no such numbers, for each STORE and each
 * delivery would pay for them; the records say all, at 20 ns each.  First the threads that have something unread
 * anywhere are collected, from mailboxes that have; then each mailbox is walked once, its threads in a set so that
 * each counts once.  RFC 8621 2: what lies in the trash makes no thread unread elsewhere, and the other way
 * round. */
#include "base/clock.h"
#include "base/mem.h"
#include "store/read-thread.h"

#define SET_LEAST 64 /* slots; a power of two */

/* ---- sets ------------------------------------------------------------------------------------ */

static size_t
set_slot(const struct store_thread_set *s, uint64_t id)
{
	size_t at = (size_t)(id * UINT64_C(0x9e3779b97f4a7c15) >> 20) & s->mask;

	while (s->slots[at] && s->slots[at] != id)
		at = (at + 1) & s->mask;
	return at;
}

static bool
set_has(const struct store_thread_set *s, uint64_t id)
{
	return s->slots && s->slots[set_slot(s, id)];
}

/* False: it was there. */
static bool
set_add(struct store_thread_set *s, uint64_t id)
{
	size_t at;

	if (!s->slots || s->n > s->mask / 2) {
		struct store_thread_set had = *s;

		s->mask = had.slots ? had.mask * 2 + 1 : SET_LEAST - 1;
		s->slots = mem_array(s->mask + 1, sizeof(*s->slots));
		for (size_t i = 0; had.slots && i <= had.mask; i++)
			if (had.slots[i])
				s->slots[set_slot(s, had.slots[i])] = had.slots[i];
		mem_free(&had.slots);
	}
	at = set_slot(s, id);
	if (s->slots[at])
		return false;
	s->slots[at] = id;
	s->n++;
	return true;
}

static void
set_clear(struct store_thread_set *s)
{
	mem_free(&s->slots);
	s->n = 0;
}

/* ---- the walk -------------------------------------------------------------------------------- */

void
store_thread_counts_init(struct store_thread_counts *c, const struct store_boxes *boxes,
    uint64_t trash)
{
	*c = (struct store_thread_counts){ .boxes = boxes, .trash = trash };
	c->totals = mem_array(boxes->n + 1, sizeof(*c->totals));
}

void
store_thread_counts_fini(struct store_thread_counts *c)
{
	mem_free(&c->totals);
	set_clear(&c->unread);
	set_clear(&c->unread_trash);
	set_clear(&c->seen);
}

/* Nothing of the mailbox is to be read: what is unread is looked for, and it has nothing such. */
static bool
counts_skip(struct store_thread_counts *c, struct store_view *v, uint64_t mailbox)
{
	struct store_mailbox m;

	if (store_get_mailbox(v, mailbox, &m) < 0)
		return true;
	if (c->counts || store_seen_apart(v, mailbox))
		return m.exists == 0;
	if (m.unseen && c->uid < m.first_unseen)
		c->uid = m.first_unseen;
	return m.unseen == 0;
}

static void
counts_take(struct store_thread_counts *c, bool trash, const struct store_record *rec)
{
	struct store_thread_set *unread = trash ? &c->unread_trash : &c->unread;
	struct store_thread_totals *to = &c->totals[c->box];
	uint64_t id = rec->threadid ? rec->threadid : rec->emailid;

	if (!c->counts) {
		if (!(rec->flags & (STORE_SEEN | STORE_DRAFT)))
			(void)set_add(unread, id);
	} else if (set_add(&c->seen, id)) {
		to->total++;
		to->unread += set_has(unread, id);
	}
}

/* True: the mailbox is over. */
static bool
counts_box(struct store_thread_counts *c, struct store_view *v, uint64_t until)
{
	uint64_t mailbox = c->boxes->ids[c->box];
	const struct store_record *rec;
	struct store_blocks walk;
	size_t n;

	if (counts_skip(c, v, mailbox))
		return true;
	store_blocks_init(&walk, v, mailbox, c->uid, UINT32_MAX);
	walk.parts = c->counts ? STORE_RECORDS : STORE_WHOLE;
	while ((rec = store_blocks_next(&walk, &n))) {
		for (size_t i = 0; i < n; i++)
			counts_take(c, mailbox == c->trash, &rec[i]);
		c->uid = rec[n - 1].uid + 1;
		if (clock_mono_us() >= until)
			return false;
	}
	return true;
}

bool
store_thread_counts_go(struct store_thread_counts *c, struct store_view *v, uint64_t until)
{
	for (;;) {
		for (; c->box < c->boxes->n; c->box++, c->uid = 0) {
			if (!counts_box(c, v, until))
				return false;
			set_clear(&c->seen);
		}
		if (c->counts)
			return true;
		c->counts = true;
		c->box = 0;
	}
}

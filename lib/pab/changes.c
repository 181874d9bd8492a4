/* pab/changes.c: what has changed since a state.  See changes.h.
 *
 * Times decide but within SLACK_US of the state: slapd gives a CSN before the change is to be seen, and
 * createTimestamp has whole seconds.  An entry made, or removed, about then may have been seen or not: of these few
 * every choice is tried until the sum fits (at most 2^DOUBTS_MAX sums), and that one is told.  That an
 * entry is told as changed which the client has already as it is does no harm (RFC 8620 5.2). */
#include "pab/changes.h"
#include <errno.h>
#include "base/siphash.h"

#define SLACK_US   5000000
#define DOUBTS_MAX 14
#define GONE_AGAIN 4 /* of the last removals at a state, whose entries may still have been there */

static uint64_t
changes_hash(struct slice s)
{
	static const struct siphash_key key = { { 0x7069657273746174, 0x6573206f66206162 } };

	return siphash(&key, s);
}

void
pab_state_of(const struct pab_listed *l, enum pab_kind kind, struct pab_state *s)
{
	*s = (struct pab_state){ .gone = l->ngone ? l->gone[l->ngone - 1].number : 0 };
	for (size_t i = 0; i < l->n; i++) {
		const struct pab_entry *e = &l->entries[i];
		uint64_t id = changes_hash(e->id);

		if (e->kind != kind)
			continue;
		s->ids += id;
		s->all += (id ^ 0x5bd1e995) * (changes_hash(e->csn) | 1);
		if (e->changed_us > s->at_us)
			s->at_us = e->changed_us;
	}
}

void
pab_state_write(struct buf *b, const struct pab_state *s)
{
	buf_printf(b, "%llx-%llx-%llx-%llx", (unsigned long long)s->at_us,
	    (unsigned long long)s->ids, (unsigned long long)s->all, (unsigned long long)s->gone);
}

static int
state_number(struct slice s, uint64_t *v)
{
	*v = 0;
	for (size_t i = 0; i < s.n; i++) {
		int digit = ascii_hex(s.p[i]);

		if (digit < 0)
			return -EBADMSG;
		*v = *v << 4 | (uint64_t)digit;
	}
	return s.n >= 1 && s.n <= 16 ? 0 : -EBADMSG;
}

int
pab_state_parse(struct slice text, struct pab_state *s)
{
	uint64_t v[4];
	struct slice part;

	for (size_t i = 0; i < NELEM(v); i++)
		if (!slice_cut(&text, '-', &part) || state_number(part, &v[i]) < 0)
			return -EBADMSG;
	if (text.n || v[0] > INT64_MAX)
		return -EBADMSG;
	*s = (struct pab_state){ (int64_t)v[0], v[1], v[2], v[3] };
	return 0;
}

bool
pab_state_eq(const struct pab_state *a, const struct pab_state *b)
{
	return a->ids == b->ids && a->all == b->all;
}

/* ---- since --------------------------------------------------------------------------------- */

struct since {
	struct slice *created, *updated, *destroyed;
	struct pab_changes *c;
	const struct pab_state *then;
	uint64_t ids; /* of the entries now, taken back to then */
	struct doubt {
		uint64_t add; /* to that, if it is so */
		struct slice id;
		const struct pab_entry *entry; /* made since then?  NULL: gone since then? */
	} doubts[DOUBTS_MAX];
	size_t ndoubts;
	bool lost; /* too many doubts */
};

static void
since_doubt(struct since *s, uint64_t add, struct slice id, const struct pab_entry *e)
{
	if (s->ndoubts == DOUBTS_MAX)
		s->lost = true;
	else
		s->doubts[s->ndoubts++] = (struct doubt){ add, id, e };
}

static void
since_updated(struct since *s, const struct pab_entry *e)
{
	if (e->changed_us > s->then->at_us - SLACK_US)
		s->updated[s->c->nupdated++] = e->id;
}

static void
since_entry(struct since *s, const struct pab_entry *e)
{
	int64_t at = s->then->at_us;
	uint64_t id = changes_hash(e->id);

	if (e->created_us > at) {
		s->created[s->c->ncreated++] = e->id;
		return;
	}
	s->ids += id;
	if (e->created_us > at - SLACK_US)
		since_doubt(s, -id, e->id, e);
	else
		since_updated(s, e);
}

static void
since_gone(struct since *s, const struct pab_gone *g)
{
	int64_t at = s->then->at_us;
	bool before = g->number <= s->then->gone;

	if (g->created_us > at || g->number + GONE_AGAIN <= s->then->gone)
		return;
	if (before || g->created_us > at - SLACK_US) {
		since_doubt(s, changes_hash(g->id), g->id, NULL);
		return;
	}
	s->destroyed[s->c->ndestroyed++] = g->id;
	s->ids += changes_hash(g->id);
}

/* The choice is made: bit i, that doubt i is so. */
static void
since_chosen(struct since *s, size_t choice)
{
	for (size_t i = 0; i < s->ndoubts; i++) {
		const struct doubt *d = &s->doubts[i];
		bool so = choice >> i & 1;

		if (d->entry && so)
			s->created[s->c->ncreated++] = d->id;
		else if (d->entry)
			since_updated(s, d->entry);
		else if (so)
			s->destroyed[s->c->ndestroyed++] = d->id;
	}
}

static bool
since_fits(struct since *s)
{
	for (size_t choice = 0; choice < (size_t)1 << s->ndoubts; choice++) {
		uint64_t sum = s->ids;

		for (size_t i = 0; i < s->ndoubts; i++)
			sum += choice >> i & 1 ? s->doubts[i].add : 0;
		if (sum == s->then->ids) {
			since_chosen(s, choice);
			return true;
		}
	}
	return false;
}

bool
pab_changes_since(const struct pab_listed *l, enum pab_kind kind, const struct pab_state *since,
    struct arena *a, struct pab_changes *c)
{
	struct pab_state now;
	struct since s = { .c = c, .then = since };

	*c = (struct pab_changes){ 0 };
	pab_state_of(l, kind, &now);
	if (pab_state_eq(&now, since))
		return true;
	c->created = s.created = arena_array(a, l->n + 1, sizeof(*s.created));
	c->updated = s.updated = arena_array(a, l->n + 1, sizeof(*s.updated));
	c->destroyed = s.destroyed = arena_array(a, l->ngone + 1, sizeof(*s.destroyed));
	for (size_t i = 0; i < l->n; i++)
		if (l->entries[i].kind == kind)
			since_entry(&s, &l->entries[i]);
	for (size_t i = 0; i < l->ngone; i++)
		if (pab_id_kind(l->gone[i].id) == kind && !pab_listed_find(l, kind, l->gone[i].id))
			since_gone(&s, &l->gone[i]);
	return !s.lost && since_fits(&s);
}

struct pab_gone *
pab_gone_more(const struct pab_listed *l, const struct pab_entry *const *removed, size_t nremoved,
    struct arena *a, size_t *n)
{
	struct pab_gone *g = arena_array(a, l->ngone + nremoved + 1, sizeof(*g));
	uint64_t number = l->ngone ? l->gone[l->ngone - 1].number : 0;

	*n = l->ngone;
	if (l->ngone)
		memcpy(g, l->gone, l->ngone * sizeof(*g));
	for (size_t i = 0; i < nremoved; i++)
		g[(*n)++] = (struct pab_gone){ ++number, removed[i]->id, removed[i]->created_us };
	return g;
}

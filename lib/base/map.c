/* map.c: open addressing with linear probing; a taken key leaves a tombstone so that walks and
 * probes stay whole, and the tombstones go when the table is next rebuilt.
 *
 * Called for tables by name or number in all daemons.  Nothing can fail.  What must stay true: a
 * key lives as long as its entry; taking never moves an entry, so a walk may take what it stands
 * on; adding may move all of them.  The hash is seeded for each process: keys come from
 * strangers. */
#include "base/map.h"
#include "base/mem.h"
#include "base/must.h"

#define ROOM_LEAST 16

struct map_slot {
	struct slice key;
	uint64_t hash;
	void *value; /* NULL: free, or dead when `hash` is not 0 */
};

/* 0 marks a free slot. */
static inline uint64_t
key_hash(struct slice key)
{
	uint64_t h = slice_hash(key);

	return h ? h : 1;
}

static inline bool
slot_free(const struct map_slot *s)
{
	return !s->value && s->hash == 0;
}

static struct map_slot *
slot_find(const struct map *m, struct slice key, uint64_t h)
{
	size_t mask = m->room - 1;

	if (m->n == 0)
		return NULL;
	for (size_t i = h & mask;; i = (i + 1) & mask) {
		struct map_slot *s = &m->slots[i];

		if (slot_free(s))
			return NULL;
		if (s->value && s->hash == h && slice_eq(s->key, key))
			return s;
	}
}

static void
map_rebuild(struct map *m)
{
	struct map_slot *old = m->slots;
	size_t was = m->room, room = ROOM_LEAST;

	while (room / 2 < m->n + 1)
		room *= 2;
	m->slots = mem_array(room, sizeof(*m->slots));
	m->room = room;
	m->dead = 0;
	for (size_t j = 0; j < was; j++) {
		size_t i = old[j].hash & (room - 1);

		if (!old[j].value)
			continue;
		while (m->slots[i].value)
			i = (i + 1) & (room - 1);
		m->slots[i] = old[j];
	}
	mem_release(old);
}

void *
map_get(const struct map *m, struct slice key)
{
	struct map_slot *s = m->n ? slot_find(m, key, key_hash(key)) : NULL;

	return s ? s->value : NULL;
}

void *
map_put(struct map *m, struct slice key, void *value)
{
	uint64_t h = key_hash(key);
	struct map_slot *s = slot_find(m, key, h);
	void *old;
	size_t i;

	must(value);
	if (s) {
		old = s->value;
		s->value = value;
		s->key = key; /* the old key may die with the old value */
		return old;
	}
	if ((m->n + m->dead + 1) * 4 > m->room * 3)
		map_rebuild(m);
	for (i = h & (m->room - 1); m->slots[i].value; i = (i + 1) & (m->room - 1))
		;
	if (m->slots[i].hash != 0)
		m->dead--;
	m->slots[i] = (struct map_slot){ key, h, value };
	m->n++;
	return NULL;
}

void *
map_take(struct map *m, struct slice key)
{
	struct map_slot *s = m->n ? slot_find(m, key, key_hash(key)) : NULL;
	struct map_slot *next;
	void *old;

	if (!s)
		return NULL;
	old = s->value;
	s->value = NULL;
	s->key = slice(NULL, 0);
	m->n--;
	next = &m->slots[((size_t)(s - m->slots) + 1) & (m->room - 1)];
	if (slot_free(next))
		s->hash = 0; /* nothing probes past here */
	else
		m->dead++;
	return old;
}

void *
map_next(const struct map *m, size_t *at)
{
	while (*at < m->room) {
		struct map_slot *s = &m->slots[(*at)++];

		if (s->value)
			return s->value;
	}
	return NULL;
}

void
map_fini(struct map *m)
{
	mem_release(m->slots);
	*m = (struct map){ 0 };
}

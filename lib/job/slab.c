/* slab.c: the entries' memory and their index by id.  Entries lie in chunks that never move or
 * shrink, so that a walk by number survives every change.
 *
 * Called by sched.c for each message that comes and goes, and by its walks.  Out of memory
 * aborts, nothing else can fail.  What must stay true: an entry that is freed is in no list and
 * not in the heap; the index has as many buckets as entries at least.  Memory of a burst is not
 * given back: free entries are taken again first, and a million of them is what the queue was
 * sized for. */
#include <stdlib.h>
#include "base/mem.h"
#include "base/must.h"
#include "job/sched-impl.h"

static size_t
hash(const char *id, size_t nbucket)
{
	return slice_hash(slice(id, SCHED_ID_LEN)) & (nbucket - 1);
}

static void
grow_index(struct sched *s)
{
	size_t n = s->nbucket ? s->nbucket * 2 : 1024;
	struct sched_entry **bucket = mem_array(n, sizeof(*bucket)), *e, *next;

	for (size_t i = 0; i < s->nbucket; i++) {
		for (e = s->bucket[i]; e; e = next) {
			size_t at = hash(e->id, n);

			next = e->hash_next;
			e->hash_next = bucket[at];
			bucket[at] = e;
		}
	}
	free(s->bucket);
	s->bucket = bucket;
	s->nbucket = n;
}

static void
grow_slab(struct sched *s)
{
	struct sched_entry *chunk = mem_array(SLAB_ENTRIES, sizeof(*chunk));

	s->slab = mem_grow(s->slab, s->nslab + 1, sizeof(struct sched_entry *));
	s->slab[s->nslab++] = chunk;
	for (size_t i = SLAB_ENTRIES; i-- > 0;) {
		chunk[i].hash_next = s->unused;
		s->unused = &chunk[i];
	}
}

struct sched_entry *
sched_entry_new(struct sched *s, const char *id)
{
	struct sched_entry *e;
	size_t at;

	if (!s->unused)
		grow_slab(s);
	if (s->count >= s->nbucket)
		grow_index(s);
	e = s->unused;
	s->unused = e->hash_next;
	*e = (struct sched_entry){ 0 };
	list_init(&e->link);
	memcpy(e->id, id, SCHED_ID_LEN);
	at = hash(id, s->nbucket);
	e->hash_next = s->bucket[at];
	s->bucket[at] = e;
	s->count++;
	return e;
}

void
sched_entry_free(struct sched *s, struct sched_entry *e)
{
	struct sched_entry **p = &s->bucket[hash(e->id, s->nbucket)];

	must(e->heap_at == 0 && list_empty(&e->link));
	while (*p != e)
		p = &(*p)->hash_next;
	*p = e->hash_next;
	e->state = SCHED_FREE;
	e->hash_next = s->unused;
	s->unused = e;
	s->count--;
}

struct sched_entry *
sched_find(const struct sched *s, const char *id)
{
	struct sched_entry *e = s->nbucket ? s->bucket[hash(id, s->nbucket)] : NULL;

	while (e && memcmp(e->id, id, SCHED_ID_LEN) != 0)
		e = e->hash_next;
	return e;
}

struct sched_entry *
sched_next(const struct sched *s, size_t *at)
{
	for (; *at / SLAB_ENTRIES < s->nslab; ++*at) {
		struct sched_entry *e = &s->slab[*at / SLAB_ENTRIES][*at % SLAB_ENTRIES];

		if (e->state != SCHED_FREE) {
			++*at;
			return e;
		}
	}
	return NULL;
}

void
sched_slab_free(struct sched *s)
{
	for (size_t i = 0; i < s->nslab; i++)
		free(s->slab[i]);
	free(s->slab);
	free(s->bucket);
}

size_t
sched_count(const struct sched *s)
{
	return s->count;
}

size_t
sched_memory(const struct sched *s)
{
	return s->nslab * SLAB_ENTRIES * sizeof(struct sched_entry) +
	    s->nbucket * sizeof(*s->bucket) + s->heap_room * sizeof(*s->heap) + s->dest_bytes;
}

#include "base/mem.h"
#include "idmap.h"

/* Ids are counted up: what is mixed in keeps neighbours apart. */
static uint64_t
idmap_slot(const struct idmap *m, uint64_t id)
{
	return (id * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (m->room - 1);
}

struct idmap_entry *
idmap_find(const struct idmap *m, uint64_t id)
{
	if (m->room == 0)
		return NULL;
	for (uint64_t k = idmap_slot(m, id);; k = (k + 1) & (m->room - 1))
		if (m->slots[k].id == id)
			return &m->slots[k];
		else if (!m->slots[k].id)
			return NULL;
}

static void
idmap_grow(struct idmap *m)
{
	struct idmap old = *m;

	m->room = old.room ? old.room * 2 : 1024;
	m->n = 0;
	m->slots = mem_array(m->room, sizeof(*m->slots));
	for (uint64_t k = 0; k < old.room; k++)
		if (old.slots[k].id)
			*idmap_add(m, old.slots[k].id) = old.slots[k];
	mem_free(&old.slots);
}

struct idmap_entry *
idmap_add(struct idmap *m, uint64_t id)
{
	uint64_t k;

	if (m->n * 2 >= m->room)
		idmap_grow(m);
	for (k = idmap_slot(m, id); m->slots[k].id && m->slots[k].id != id;
	     k = (k + 1) & (m->room - 1))
		;
	m->n += !m->slots[k].id;
	m->slots[k].id = id;
	return &m->slots[k];
}

void
idmap_fini(struct idmap *m)
{
	mem_free(&m->slots);
	*m = (struct idmap){ 0 };
}

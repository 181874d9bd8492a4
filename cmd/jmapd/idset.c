/* jmapd/idset.c: a set of ids.  See idset.h. */
#include "idset.h"
#include "base/mem.h"

static size_t
idset_slot(const struct idset *s, uint64_t id)
{
	size_t i = (size_t)((id * UINT64_C(0x9e3779b97f4a7c15)) >> 20) & (s->room - 1);

	while (s->slots[i] && s->slots[i] != id)
		i = (i + 1) & (s->room - 1);
	return i;
}

static void
idset_grow(struct idset *s)
{
	struct idset old = *s;

	s->room = old.room ? 2 * old.room : 64;
	s->slots = mem_array(s->room, sizeof(*s->slots));
	for (size_t i = 0; i < old.room; i++)
		if (old.slots[i])
			s->slots[idset_slot(s, old.slots[i])] = old.slots[i];
	mem_release(old.slots);
}

bool
idset_add(struct idset *s, uint64_t id)
{
	size_t i;

	if (2 * (s->n + 1) > s->room)
		idset_grow(s);
	i = idset_slot(s, id);
	if (s->slots[i])
		return false;
	s->slots[i] = id;
	s->n++;
	return true;
}

bool
idset_has(const struct idset *s, uint64_t id)
{
	return s->room && s->slots[idset_slot(s, id)];
}

void
idset_fini(struct idset *s)
{
	mem_release(s->slots);
	*s = (struct idset){ 0 };
}

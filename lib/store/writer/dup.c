/* Deliveries that have happened, so that a repeated LMTP transaction is answered and not
 * delivered twice.  The keys of the last day, at most a million, are a set in memory: a ring
 * in the order of arrival and an open hash over it.  Each batch appends its keys to `dupe`.
 *
 * Called by the writer's thread, and by the opening, which reads the rows.  Nothing fails but the
 * rows, which fail their batch; its keys are forgotten then, for nothing was delivered.  A million
 * bounds the memory to 40 MB: a flood forgets the oldest keys before their time. */
#include <stdlib.h>

#include "base/mem.h"
#include "store/writer/writer-impl.h"

#define DUP_MOST (1u << 20)
#define ROW_KEYS 100 /* a row stays below half a page */

struct dup_entry {
	uint8_t key[16];
	uint32_t at;
};

struct dup_set {
	struct dup_entry *ring; /* room is a power of two */
	uint32_t *hash;         /* 2 * room; 0 = empty, else 1 + position in the ring */
	uint32_t room, first, n;
	struct buf fresh; /* keys of the running batch, 16 bytes each */
};

struct dup_set *
writer_dup_new(void)
{
	struct dup_set *s = mem_new(sizeof(*s));

	s->room = 1024;
	s->ring = mem_array(s->room, sizeof(*s->ring));
	s->hash = mem_array(s->room * 2, sizeof(*s->hash));
	return s;
}

void
writer_dup_free(struct dup_set **sp)
{
	struct dup_set *s = *sp;

	*sp = NULL;
	if (!s)
		return;
	buf_fini(&s->fresh);
	mem_free(&s->ring);
	mem_free(&s->hash);
	mem_free(&s);
}

static uint32_t
home_of(const struct dup_set *s, const uint8_t key[16])
{
	uint64_t a, b;

	memcpy(&a, key, 8);
	memcpy(&b, key + 8, 8);
	a = (a ^ b * 0x9e3779b97f4a7c15u) * 0xff51afd7ed558ccdu;
	return (uint32_t)(a >> 32) & (s->room * 2 - 1);
}

/* The slot of the key, or the empty one where it would go. */
static uint32_t
slot_of(const struct dup_set *s, const uint8_t key[16])
{
	uint32_t mask = s->room * 2 - 1, i = home_of(s, key);

	while (s->hash[i] && memcmp(s->ring[s->hash[i] - 1].key, key, 16) != 0)
		i = (i + 1) & mask;
	return i;
}

/* Closes the gap that an emptied slot leaves in the chain of collisions behind it. */
static void
slot_empty(struct dup_set *s, uint32_t i)
{
	uint32_t mask = s->room * 2 - 1, j = i;

	for (;;) {
		uint32_t home;

		j = (j + 1) & mask;
		if (!s->hash[j])
			break;
		home = home_of(s, s->ring[s->hash[j] - 1].key);
		if (((j - home) & mask) >= ((j - i) & mask)) {
			s->hash[i] = s->hash[j];
			i = j;
		}
	}
	s->hash[i] = 0;
}

static void
drop_first(struct dup_set *s)
{
	uint32_t i = slot_of(s, s->ring[s->first].key);

	if (s->hash[i] == s->first + 1)
		slot_empty(s, i);
	s->first = (s->first + 1) & (s->room - 1);
	s->n--;
}

static void
grow(struct dup_set *s)
{
	struct dup_set old = *s;

	s->room *= 2;
	s->ring = mem_array(s->room, sizeof(*s->ring));
	s->hash = mem_array((size_t)s->room * 2, sizeof(*s->hash));
	s->first = 0;
	for (uint32_t i = 0; i < old.n; i++) {
		s->ring[i] = old.ring[(old.first + i) & (old.room - 1)];
		s->hash[slot_of(s, s->ring[i].key)] = i + 1;
	}
	mem_free(&old.ring);
	mem_free(&old.hash);
}

bool
writer_dup_has(const struct dup_set *s, const uint8_t key[16])
{
	return s->hash[slot_of(s, key)] != 0;
}

static void
insert(struct dup_set *s, const uint8_t key[16], uint32_t at)
{
	uint32_t pos;

	if (s->n == s->room && s->room < DUP_MOST)
		grow(s);
	else if (s->n == s->room)
		drop_first(s);
	pos = (s->first + s->n++) & (s->room - 1);
	memcpy(s->ring[pos].key, key, 16);
	s->ring[pos].at = at;
	s->hash[slot_of(s, key)] = pos + 1;
}

void
writer_dup_add(struct dup_set *s, const uint8_t key[16], uint32_t at)
{
	if (writer_dup_has(s, key))
		return;
	insert(s, key, at);
	buf_add(&s->fresh, key, 16);
}

static void
dup_expire(struct dup_set *s, uint32_t before)
{
	while (s->n && s->ring[s->first].at < before)
		drop_first(s);
}

/* ---- rows --------------------------------------------------------------------------------------- */

void
writer_dup_load(struct writer *w)
{
	MDB_cursor *c;
	MDB_val k, d;

	if (w->error || (w->error = mdb_cursor_open(w->txn, w->env->dbi[STORE_T_DUPE], &c)))
		return;
	while (mdb_cursor_get(c, &k, &d, MDB_NEXT) == 0) {
		const char *keys = (const char *)d.mv_data + sizeof(struct store_disk_dupe);
		struct store_disk_dupe head;

		if (d.mv_size < sizeof(head))
			continue;
		memcpy(&head, d.mv_data, sizeof(head));
		for (size_t i = 0; i + 16 <= d.mv_size - sizeof(head); i += 16) {
			uint8_t key[16];

			memcpy(key, keys + i, 16);
			if (!writer_dup_has(w->dups, key))
				insert(w->dups, key, head.at);
		}
	}
	mdb_cursor_close(c);
}

/* Drops a few rows that are too old, or too many: a little with each batch that adds some. */
static void
drop_old_rows(struct writer *w, uint32_t before)
{
	MDB_cursor *c;
	MDB_val k, d;
	MDB_stat st;

	if (w->error || mdb_stat(w->txn, w->env->dbi[STORE_T_DUPE], &st) != 0 ||
	    mdb_cursor_open(w->txn, w->env->dbi[STORE_T_DUPE], &c) != 0)
		return;
	for (int i = 0; i < 4 && mdb_cursor_get(c, &k, &d, MDB_FIRST) == 0; i++) {
		struct store_disk_dupe head = { 0 };

		if (d.mv_size >= sizeof(head))
			memcpy(&head, d.mv_data, sizeof(head));
		if (head.at >= before && st.ms_entries <= DUP_MOST)
			break;
		writer_row_del_here(w, STORE_T_DUPE, c, &k);
		if (w->error)
			break;
		st.ms_entries--;
	}
	mdb_cursor_close(c);
}

void
writer_dup_flush(struct writer *w)
{
	struct dup_set *s = w->dups;
	uint32_t before = (uint32_t)w->now - w->config->dup_age;

	if (s->fresh.n == 0)
		return;
	for (size_t at = 0; at < s->fresh.n; at += ROW_KEYS * 16) {
		struct slice keys = slice_sub(buf_get(&s->fresh), at, ROW_KEYS * 16);
		struct store_disk_dupe head = { .version = STORE_VERSION, .at = (uint32_t)w->now };
		uint8_t number[8];

		store_be64(number, w->next_dupe++);
		buf_clear(&w->scratch);
		buf_add(&w->scratch, &head, sizeof(head));
		buf_slice(&w->scratch, keys);
		writer_row_put(w, STORE_T_DUPE, number, 8, w->scratch.p, w->scratch.n, MDB_APPEND);
	}
	drop_old_rows(w, before);
	dup_expire(s, before);
}

/* The batch is over.  If it failed, its deliveries have not happened. */
void
writer_dup_settled(struct writer *w, bool committed)
{
	struct dup_set *s = w->dups;

	if (!committed)
		for (size_t at = s->fresh.n; at >= 16; at -= 16) {
			uint32_t i = slot_of(s, (const uint8_t *)s->fresh.p + at - 16);

			/* The newest first: each is the last of the ring. */
			if (!s->hash[i])
				continue;
			slot_empty(s, i);
			s->n--;
		}
	buf_clear(&s->fresh);
}

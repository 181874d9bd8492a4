/* The rows of a block of messages, edited in memory in the form that they have on disk.
 *
 * Called by the writer for each block that it changes, by recovery for each operation of the log, by
 * upgrade.  Nothing here can fail but loading a damaged row.  What must stay true: a UID is in one
 * group at most and no group is empty, so that there are never more groups than UIDs; equal groups
 * are one, which is what makes the row of a mailbox small after a STORE over all of it. */
#include <errno.h>

#include "base/crc.h"
#include "store/block.h"

/* ---- what never changes -------------------------------------------------------------------- */

static unsigned
block_rank(const struct store_block *b, uint32_t bit)
{
	return (unsigned)__builtin_popcount(b->head.uids & (bit - 1));
}

int
store_block_load(struct slice value, struct store_block *b)
{
	size_t n = (size_t)__builtin_popcount(store_block_uids(value));

	b->head = (struct store_block_head){ 0 };
	if (n == 0)
		return -EBADMSG;
	memcpy(&b->head, value.p, sizeof(b->head));
	for (size_t i = 0; i < n; i++)
		memcpy(b->records[i], value.p + sizeof(b->head) + i * b->head.record, STORE_RECORD);
	return 0;
}

void
store_block_put(struct store_block *b, const struct store_record *rec)
{
	uint32_t bit = store_uid_bit(rec->uid);
	unsigned at = block_rank(b, bit), n = (unsigned)__builtin_popcount(b->head.uids);

	if (!(b->head.uids & bit) && at < n)
		memmove(b->records[at + 1], b->records[at], (n - at) * STORE_RECORD);
	b->head.uids |= bit;
	memcpy(b->records[at], (const char *)rec + STORE_RECORD_AT, STORE_RECORD);
}

void
store_block_drop(struct store_block *b, uint32_t uids)
{
	unsigned n = 0, kept = 0;

	for (uint32_t left = b->head.uids; left; left &= left - 1, n++) {
		if (uids & left & -left)
			continue;
		if (kept != n)
			memcpy(b->records[kept], b->records[n], STORE_RECORD);
		kept++;
	}
	b->head.uids &= ~uids;
}

struct slice
store_block_seal(struct store_block *b)
{
	size_t size = sizeof(b->head) + (size_t)__builtin_popcount(b->head.uids) * STORE_RECORD;

	b->head.version = STORE_BLOCK_V2;
	b->head.zero = 0;
	b->head.record = STORE_RECORD;
	b->head.crc = 0;
	b->head.crc = crc32c(0, b, size);
	return slice((const char *)b, size);
}

/* ---- what may ------------------------------------------------------------------------------ */

int
store_states_load(struct slice value, struct store_states *s)
{
	s->head = (struct store_state_head){ 0 };
	if (store_states_uids(value) == 0)
		return -EBADMSG;
	memcpy(&s->head, value.p, sizeof(s->head));
	for (size_t i = 0; i < s->head.count; i++)
		memcpy(&s->groups[i], value.p + sizeof(s->head) + i * s->head.group,
		    sizeof(s->groups[0]));
	return 0;
}

size_t
store_group_add(struct store_group *groups, size_t n, const struct store_group *g)
{
	for (size_t i = n; i-- > 0;)
		if (groups[i].modseq == g->modseq && groups[i].flags == g->flags &&
		    groups[i].keywords == g->keywords) {
			groups[i].uids |= g->uids;
			return n;
		}
	groups[n] = *g;
	return n + 1;
}

void
store_states_drop(struct store_states *s, uint32_t uids)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->head.count; i++) {
		s->groups[i].uids &= ~uids;
		if (s->groups[i].uids == 0)
			continue;
		if (kept != i)
			s->groups[kept] = s->groups[i];
		kept++;
	}
	s->head.count = (uint8_t)kept;
}

void
store_states_set(struct store_states *s, const struct store_group *g)
{
	store_states_drop(s, g->uids);
	s->head.count = (uint8_t)store_group_add(s->groups, s->head.count, g);
}

struct slice
store_states_seal(struct store_states *s)
{
	size_t size = sizeof(s->head) + s->head.count * sizeof(s->groups[0]);

	s->head.version = STORE_VERSION;
	s->head.group = sizeof(s->groups[0]);
	s->head.modseq = 0;
	for (size_t i = 0; i < s->head.count; i++)
		if (s->groups[i].modseq > s->head.modseq)
			s->head.modseq = s->groups[i].modseq;
	s->head.crc = 0;
	s->head.crc = crc32c(0, s, size);
	return slice((const char *)s, size);
}

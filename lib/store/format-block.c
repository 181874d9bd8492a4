/* Values as structs, by their length; blocks of messages read from their rows.
 *
 * Called by every reader for each block that it walks, so the way through is short: a record is
 * one copy of 40 bytes, what may change is spread from the few groups that there are.  A bit that
 * fell over in a row of UIDs would hide or double messages; therefore the bits, the row's length and
 * the other row's bits must agree, else the whole block is damaged.  Editing is in format-edit.c. */
#include <errno.h>

#include "base/crc.h"
#include "store/block.h"

int
store_value_read(struct slice value, size_t least, void *to, size_t size)
{
	size_t n = value.n < size ? value.n : size;

	if (value.n < least || value.n == 0)
		return -EBADMSG;
	memcpy(to, value.p, n);
	memset((char *)to + n, 0, size - n);
	return 0;
}

uint32_t
store_uid_bits(uint32_t first, uint32_t last, uint32_t block)
{
	uint32_t lo = block * STORE_BLOCK, hi = lo + (STORE_BLOCK - 1);

	if (first < lo)
		first = lo;
	if (last > hi)
		last = hi;
	return first > last ? 0 : UINT32_MAX << (first - lo) & UINT32_MAX >> (hi - last);
}

/* ---- what never changes -------------------------------------------------------------------- */

/* The row's records; NULL: it is damaged. */
static const char *
block_parse(struct slice value, uint32_t *uids, size_t *record)
{
	struct store_block_head h;

	if (value.n < sizeof(h))
		return NULL;
	memcpy(&h, value.p, sizeof(h));
	*uids = h.uids;
	*record = h.record;
	if (h.version != STORE_BLOCK_V2 || h.uids == 0 || h.record < STORE_RECORD ||
	    value.n != sizeof(h) + (size_t)__builtin_popcount(h.uids) * h.record)
		return NULL;
	return value.p + sizeof(h);
}

uint32_t
store_block_uids(struct slice value)
{
	uint32_t uids;
	size_t record;

	return block_parse(value, &uids, &record) ? uids : 0;
}

/* A checksum at bytes 4 to 7, counted as 0. */
static bool
crc_ok(struct slice value)
{
	const uint32_t zero = 0;
	uint32_t crc;

	memcpy(&crc, value.p + 4, 4);
	return crc32c(crc32c(crc32c(0, value.p, 4), &zero, 4), value.p + 8, value.n - 8) == crc;
}

bool
store_block_crc_ok(struct slice value)
{
	return value.n >= sizeof(struct store_block_head) && crc_ok(value);
}

/* ---- what may ------------------------------------------------------------------------------ */

/* The groups, each behind `size` bytes; NULL: the row is damaged. */
static const char *
states_parse(struct slice value, uint32_t *uids, size_t *n, size_t *size)
{
	struct store_state_head h;
	const char *p;

	if (value.n < sizeof(h))
		return NULL;
	memcpy(&h, value.p, sizeof(h));
	*n = h.count;
	*size = h.group;
	if (h.version != STORE_VERSION || h.count == 0 || h.count > STORE_BLOCK ||
	    h.group < sizeof(struct store_group) ||
	    value.n != sizeof(h) + (size_t)h.count * h.group)
		return NULL;
	*uids = 0;
	p = value.p + sizeof(h);
	for (size_t i = 0; i < *n; i++, p += *size) {
		const struct store_group *g = (const void *)p;

		if (g->uids == 0 || g->uids & *uids)
			return NULL;
		*uids |= g->uids;
	}
	return value.p + sizeof(h);
}

uint32_t
store_states_uids(struct slice value)
{
	uint32_t uids;
	size_t n, size;

	return states_parse(value, &uids, &n, &size) ? uids : 0;
}

uint64_t
store_states_modseq(struct slice value)
{
	struct store_state_head h;

	if (value.n < sizeof(h))
		return UINT64_MAX;
	memcpy(&h, value.p, sizeof(h));
	return h.modseq;
}

bool
store_states_crc_ok(struct slice value)
{
	return value.n >= sizeof(struct store_state_head) && crc_ok(value);
}

size_t
store_states_read(struct slice states, uint32_t block, struct store_record room[STORE_BLOCK])
{
	uint8_t at[STORE_BLOCK]; /* where a UID's record goes */
	uint32_t uids = 0;
	size_t n = 0, groups = 0, size = 0;
	const char *p = states_parse(states, &uids, &groups, &size);

	if (!p)
		return 0;
	for (uint32_t left = uids; left; left &= left - 1)
		at[__builtin_ctz(left)] = (uint8_t)n++;
	for (; groups; groups--, p += size) {
		const struct store_group *g = (const void *)p;

		for (uint32_t left = g->uids; left; left &= left - 1) {
			unsigned bit = (unsigned)__builtin_ctz(left);
			struct store_record *r = &room[at[bit]];

			r->modseq = g->modseq;
			r->keywords = g->keywords;
			r->flags = g->flags;
			r->check = 0;
			r->uid = block * STORE_BLOCK + bit;
		}
	}
	return n;
}

/* ---- both ---------------------------------------------------------------------------------- */

size_t
store_block_read(struct slice index, struct slice states, uint32_t block,
    struct store_record room[STORE_BLOCK])
{
	uint32_t uids = 0;
	size_t record = 0, n;
	const char *p = block_parse(index, &uids, &record);

	if (!p || store_states_uids(states) != uids)
		return 0;
	n = store_states_read(states, block, room);
	for (size_t i = 0; i < n; i++, p += record)
		memcpy((char *)&room[i] + STORE_RECORD_AT, p, STORE_RECORD);
	return n;
}

size_t
store_block_add(struct store_record room[STORE_BLOCK], size_t n0, uint32_t block,
    const struct store_record *rec, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (rec[i].uid / STORE_BLOCK != block || (n0 && rec[i].uid <= room[n0 - 1].uid))
			continue;
		room[n0++] = rec[i];
	}
	return n0;
}

size_t
store_block_records(struct slice index, uint32_t block, struct store_record room[STORE_BLOCK])
{
	uint32_t uids = 0;
	size_t record = 0, n = 0;
	const char *p = block_parse(index, &uids, &record);

	for (uint32_t left = p ? uids : 0; left; left &= left - 1, p += record) {
		room[n].uid = block * STORE_BLOCK + (uint32_t)__builtin_ctz(left);
		memcpy((char *)&room[n++] + STORE_RECORD_AT, p, STORE_RECORD);
	}
	return n;
}

size_t
store_block_read_v1(struct slice index, uint32_t block, struct store_record room[STORE_BLOCK])
{
	struct store_block_head_v1 h;
	const struct store_record_v1 *v1;

	if (index.n < sizeof(h))
		return 0;
	memcpy(&h, index.p, sizeof(h));
	if (h.version != 1 || h.count == 0 || h.count > STORE_BLOCK ||
	    index.n != sizeof(h) + h.count * sizeof(*v1))
		return 0;
	v1 = (const void *)(index.p + sizeof(h));
	for (size_t i = 0; i < h.count; i++, v1++) {
		if (v1->uid / STORE_BLOCK != block || (i && v1->uid <= room[i - 1].uid))
			return 0;
		room[i] = (struct store_record){ .modseq = v1->modseq,
			.keywords = v1->keywords,
			.flags = v1->flags,
			.uid = v1->uid,
			.size = v1->size,
			.savedate = v1->savedate,
			.internaldate = v1->internaldate,
			.emailid = v1->emailid,
			.threadid = v1->threadid,
			.zone = v1->zone };
	}
	return h.count;
}

/* store/view.c: what is different in a mailbox since it was seen.
 *
 * Owns: the lists of changed UIDs that watchers share.  Called by readers inside a snapshot.  Can fail:
 * nothing; a list that grows too long says so (`many`).  Must stay true: a list holds every message
 * whose modseq is in (since, until], perhaps later ones too, so a reader that has told it knows the
 * mailbox up to `until`.  Apart from read.c because these outlive a snapshot. */
#include "store/view.h"

#include "base/mem.h"

static void
store_range_put(struct buf *b, uint32_t first, uint32_t last)
{
	struct store_range r = { first, last };

	buf_add(b, &r, sizeof(r));
}

void
store_uids_split(const struct store_range *seen, size_t nseen, const struct store_range *now,
    size_t nnow, struct buf *gone, struct buf *left)
{
	size_t k = 0;

	for (size_t i = 0; i < nseen; i++) {
		uint32_t uid = seen[i].first, last = seen[i].last;

		for (;;) {
			uint32_t hi;

			while (k < nnow && now[k].last < uid)
				k++;
			if (k == nnow || now[k].first > last) {
				store_range_put(gone, uid, last);
				break;
			}
			if (now[k].first > uid) {
				store_range_put(gone, uid, now[k].first - 1);
				uid = now[k].first;
			}
			hi = now[k].last < last ? now[k].last : last;
			store_range_put(left, uid, hi);
			if (hi == last)
				break;
			uid = hi + 1;
		}
	}
}

/* ---- shared changes ---------------------------------------------------------------------------- */

#define WALK_BLOCKS 256 /* of 32 records: 0.1 ms */

struct store_changes *
store_changes_get(struct store_change_cache *cache, uint64_t mailbox, uint64_t reader,
    uint64_t since, uint64_t until)
{
	struct store_changes *c = cache->slots, *s;

	for (s = cache->slots; s < cache->slots + STORE_CHANGES_SLOTS; s++) {
		if (s->mailbox == mailbox && s->reader == reader && s->until == until &&
		    s->since <= since) {
			s->used = ++cache->clock;
			return s;
		}
		if (s->used < c->used)
			c = s;
	}
	*c = (struct store_changes){ .mailbox = mailbox,
		.reader = reader,
		.since = since,
		.until = until,
		.at = 1,
		.list = c->list,
		.room = c->room,
		.used = ++cache->clock };
	return c;
}

static void
changes_put(struct store_changes *c, const struct store_record *r, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (r[i].modseq <= c->since)
			continue;
		if (c->n == STORE_CHANGES_MOST) {
			c->many = c->over = true;
			break;
		}
		if (c->n == c->room) {
			c->room = c->room ? c->room * 2 : 16;
			c->list = mem_grow(c->list, c->room, sizeof(*c->list));
		}
		c->list[c->n++] = (struct store_changed){ r[i].uid, r[i].modseq };
	}
}

/* By the account's change log, which costs what has changed.  False: it does not reach back, or
 * what it names is too much for one go. */
static bool
changes_logged(struct store_changes *c, struct store_view *v)
{
	struct store_blocks blocks;
	const struct store_record *r;
	const struct store_range *range;
	struct buf changed = { 0 };
	size_t n, nranges;
	uint64_t uids = 0;
	bool good = store_changed_logged(v, c->mailbox, c->since, UINT32_MAX, &changed) == 0;

	range = (const void *)changed.p;
	nranges = changed.n / sizeof(*range);
	for (size_t i = 0; i < nranges; i++)
		uids += range[i].last - range[i].first + 1ull;
	good = good && uids + nranges * STORE_BLOCK <= (uint64_t)WALK_BLOCKS * STORE_BLOCK;
	for (size_t i = 0; good && i < nranges; i++) {
		store_blocks_init(&blocks, v, c->mailbox, range[i].first, range[i].last);
		blocks.parts = STORE_STATES;
		while ((r = store_blocks_next(&blocks, &n)))
			changes_put(c, r, n);
	}
	c->over = c->over || good;
	buf_fini(&changed);
	return good;
}

void
store_changes_walk(struct store_changes *c, struct store_view *v)
{
	struct store_blocks blocks;
	const struct store_record *r;
	size_t n;

	if (c->at == 1 && changes_logged(c, v))
		return;
	store_blocks_init(&blocks, v, c->mailbox, c->at, UINT32_MAX);
	blocks.since = c->since;
	blocks.parts = STORE_STATES;
	for (int k = 0; k < WALK_BLOCKS && !c->over; k++) {
		r = store_blocks_next(&blocks, &n);
		if (!r) {
			c->over = true;
			break;
		}
		changes_put(c, r, n);
		c->at = r[n - 1].uid + 1;
		c->over = c->over || c->at == 0;
	}
}

size_t
store_changes_find(const struct store_changes *c, uint32_t uid)
{
	size_t lo = 0, hi = c->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (c->list[mid].uid < uid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

void
store_changes_fini(struct store_change_cache *cache)
{
	for (size_t i = 0; i < STORE_CHANGES_SLOTS; i++) {
		mem_free(&cache->slots[i].list);
		cache->slots[i] = (struct store_changes){ 0 };
	}
}

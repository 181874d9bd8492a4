/* What a message refers to, as bytes at the end of its digest.
 *
 * Called by makers of digests (message/refs.c), stored's writer and readers.  Pure.  What must stay true:
 * the hash is the same in every program, on every host and for ever, for rows of `ref` are kept by it; and
 * a reader that does not know of this trailer passes over it, as over all that is behind a digest's parts. */
#include "store/thread.h"

#include "base/siphash.h"

uint64_t
store_ref_hash(struct slice s)
{
	static const struct siphash_key key = { { UINT64_C(0x7469657262d61696),
	    UINT64_C(0x6c20746872656164) } };
	uint64_t h = siphash(&key, s);

	return h ? h : 1;
}

void
store_refs_add(struct store_refs *r, uint64_t hash)
{
	if (r->n == STORE_REFS)
		memmove(&r->ref[1], &r->ref[2], (--r->n - 1) * sizeof(r->ref[0]));
	r->ref[r->n++] = hash;
}

void
store_refs_write(struct buf *digest, const struct store_refs *r)
{
	struct store_refs_end end = { .count = (uint16_t)(2 + r->n), .magic = STORE_REFS_MAGIC };

	buf_add(digest, &r->id, sizeof(r->id));
	buf_add(digest, &r->subject, sizeof(r->subject));
	buf_add(digest, r->ref, r->n * sizeof(r->ref[0]));
	buf_add(digest, &end, sizeof(end));
}

bool
store_refs_read(struct slice value, struct store_refs *r)
{
	struct store_refs_end end;
	const char *places;
	size_t n;

	if (store_cache_places(value, &places))
		value.n = (size_t)(places - value.p);
	if (value.n < sizeof(end))
		return false;
	memcpy(&end, value.p + value.n - sizeof(end), sizeof(end));
	n = end.count * sizeof(r->ref[0]);
	if (end.magic != STORE_REFS_MAGIC || end.zero || end.count < 2 ||
	    end.count > 2 + STORE_REFS || n > value.n - sizeof(end))
		return false;
	value = slice_sub(value, value.n - sizeof(end) - n, n);
	memcpy(&r->id, value.p, sizeof(r->id));
	memcpy(&r->subject, value.p + sizeof(r->id), sizeof(r->subject));
	r->n = end.count - 2u;
	memcpy(r->ref, value.p + 2 * sizeof(r->ref[0]), r->n * sizeof(r->ref[0]));
	return true;
}

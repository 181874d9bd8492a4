/* index.c: candidates instead of a walk over all entries: see index.h.
 *
 * Called by mapping.c, once when a table is compiled and once for each text that is looked up.  Nothing
 * fails.  Must stay true: an entry that matches is always among the candidates (the index may offer too
 * many, never too few), and candidates come in the table's order, as the first that matches wins.  The
 * memory is the arena's; look-ups need none of their own. */
#include "base/mem.h"
#include "mta/index.h"

static uint64_t
index_hash(size_t class, struct slice key)
{
	return slice_ihash(key) ^ class * 0x9e3779b97f4a7c15u;
}

/* The bucket of a key, or the free one where it belongs. */
static struct mta_index_bucket *
index_bucket(const struct mta_index *ix, size_t class, struct slice key)
{
	size_t at = index_hash(class, key) & (ix->room - 1);

	while (ix->buckets[at].used &&
	    (ix->buckets[at].class != class || !slice_ieq(ix->buckets[at].key, key)))
		at = (at + 1) & (ix->room - 1);
	return &ix->buckets[at];
}

static size_t
index_class(struct mta_index *ix, const struct mta_glob_key *k)
{
	bool net = k->kind == MTA_KEY_NET4 || k->kind == MTA_KEY_NET6;
	struct mta_index_class c = { (int)k->kind,
		net                          ? k->bits :
		    k->kind == MTA_KEY_WHOLE ? 0 :
					       (unsigned)k->text.n };

	if (k->kind == MTA_KEY_NONE)
		return 0;
	for (size_t i = 1; i < ix->nclasses; i++)
		if (ix->classes[i].kind == c.kind && ix->classes[i].len == c.len)
			return i;
	if (ix->nclasses == MTA_INDEX_CLASSES)
		return 0;
	ix->classes[ix->nclasses] = c;
	return ix->nclasses++;
}

void
mta_index_build(struct mta_index *ix, struct arena *a, const struct mta_glob_key *keys, uint32_t n)
{
	*ix = (struct mta_index){ .nclasses = 1, .room = 4 };
	while (ix->room < (size_t)n * 2)
		ix->room *= 2;
	ix->buckets = arena_array(a, ix->room, sizeof(*ix->buckets));
	ix->next = arena_array(a, n ? n : 1, sizeof(*ix->next));
	for (uint32_t i = 0; i < n; i++) {
		size_t class = index_class(ix, &keys[i]);
		struct slice key = class ? keys[i].text : S("");
		struct mta_index_bucket *b = index_bucket(ix, class, key);

		ix->next[i] = MTA_INDEX_END;
		if (b->used)
			ix->next[b->last] = i;
		else
			*b = (struct mta_index_bucket){ key, i, i, (uint8_t) class, true };
		b->last = i;
	}
}

/* What a text would be filed under in a class; false when it cannot be in it. */
static bool
index_key(const struct mta_index_class *c, struct slice text, const unsigned char *address,
    unsigned naddress, unsigned char masked[16], struct slice *key)
{
	switch (c->kind) {
	case MTA_KEY_WHOLE: *key = text; return true;
	case MTA_KEY_HEAD: *key = slice_sub(text, 0, c->len); return text.n >= c->len;
	case MTA_KEY_TAIL: *key = slice_from(text, text.n - c->len); return text.n >= c->len;
	case MTA_KEY_NET4:
	case MTA_KEY_NET6:
		if (naddress != (c->kind == MTA_KEY_NET4 ? 4u : 16u))
			return false;
		for (unsigned i = 0; i < naddress; i++) {
			unsigned keep = c->len >= (i + 1) * 8 ? 8 :
			    c->len > i * 8                    ? c->len - i * 8 :
								0;

			masked[i] = address[i] & (unsigned char)(0xff00u >> keep);
		}
		*key = slice((const char *)masked, naddress);
		return true;
	default: *key = S(""); return true;
	}
}

void
mta_index_begin(const struct mta_index *ix, struct slice text, struct mta_index_cursor *c)
{
	unsigned char address[16], masked[16];
	unsigned naddress = mta_glob_address(text, address);

	for (size_t i = 0; i < ix->nclasses; i++) {
		const struct mta_index_bucket *b;
		struct slice key;

		c->at[i] = MTA_INDEX_END;
		if (!index_key(&ix->classes[i], text, address, naddress, masked, &key))
			continue;
		b = index_bucket(ix, i, key);
		if (b->used)
			c->at[i] = b->first;
	}
}

uint32_t
mta_index_next(const struct mta_index *ix, struct mta_index_cursor *c, uint32_t from)
{
	uint32_t best = MTA_INDEX_END;

	for (size_t i = 0; i < ix->nclasses; i++) {
		while (c->at[i] < from)
			c->at[i] = ix->next[c->at[i]];
		if (c->at[i] < best)
			best = c->at[i];
	}
	return best;
}

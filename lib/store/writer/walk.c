/* Editing the messages of a mailbox where they lie, block by block.
 *
 * Called by the writer's thread for whatever changes or reads messages that are there.  What fails in
 * LMDB sticks in w->error and fails the batch; a damaged block is logged and left as it is, for the
 * check to find.  The state alone is read and written when no more is asked for: a tenth of the bytes.
 * A message that goes leaves both rows.  Each edit is also an operation of the log. */
#include "base/must.h"
#include "store/writer/writer-impl.h"

struct walk {
	struct writer *w;
	struct wbox *b;
	const struct store_range *ranges;
	size_t n, at;
	bool whole; /* with what never changes */
	edit_fn *fn;
	void *arg;
	MDB_cursor *states, *index; /* the latter when whole */
	/* The block in hand. */
	uint32_t block;
	uint8_t key[12];
	struct slice old_states, old_index;
	struct store_group changed[STORE_BLOCK];
	size_t nchanged;
	uint32_t gone;
};

/* The UIDs of the block that are asked for, as bits. */
static uint32_t
walk_wanted(const struct walk *k)
{
	uint32_t last = k->block * STORE_BLOCK + (STORE_BLOCK - 1), bits = 0;

	if (k->n == 0)
		return UINT32_MAX;
	for (size_t i = k->at; i < k->n && k->ranges[i].first <= last; i++)
		bits |= store_uid_bits(k->ranges[i].first, k->ranges[i].last, k->block);
	return bits;
}

static struct slice
walk_slice(const MDB_val *d)
{
	return slice(d->mv_data, d->mv_size);
}

/* The records of the block; 0: it is damaged, and told. */
static size_t
walk_read(struct walk *k, struct store_record room[STORE_BLOCK])
{
	MDB_val key = { sizeof(k->key), k->key }, d;
	size_t n = 0;

	k->old_index = slice(NULL, 0);
	if (k->whole && mdb_cursor_get(k->index, &key, &d, MDB_SET) == 0)
		k->old_index = walk_slice(&d);
	if (store_states_crc_ok(k->old_states) && (!k->whole || store_block_crc_ok(k->old_index)))
		n = k->whole ? store_block_read(k->old_index, k->old_states, k->block, room) :
			       store_states_read(k->old_states, k->block, room);
	if (n == 0)
		writer_block_complain(k->b, k->block, "damaged");
	return n;
}

/* Lets fn edit the messages of the block. */
static void
walk_edit(struct walk *k, struct store_record *rec, size_t n)
{
	uint32_t wanted = walk_wanted(k);

	k->nchanged = 0;
	k->gone = 0;
	for (size_t i = 0; i < n; i++) {
		uint32_t bit = store_uid_bit(rec[i].uid);
		struct store_group g;

		if (!(wanted & bit))
			continue;
		switch (k->fn(k->arg, &rec[i])) {
		case EDIT_CHANGED:
			g = store_group_of(&rec[i]);
			k->nchanged = store_group_add(k->changed, k->nchanged, &g);
			break;
		case EDIT_DROP: k->gone |= bit; break;
		case EDIT_KEEP: break;
		}
	}
}

static void
walk_put(struct walk *k, MDB_cursor *c, struct slice value)
{
	MDB_val key = { sizeof(k->key), k->key }, d = { value.n, UNCONST(value.p) };

	if (!k->w->error)
		k->w->error = mdb_cursor_put(c, &key, &d, MDB_CURRENT);
}

/* Writes what has been edited into both rows. */
static void
walk_write(struct walk *k)
{
	struct slice key = slice((const char *)k->key, sizeof(k->key));
	struct slice gone = slice((const char *)&k->gone, sizeof(k->gone));
	MDB_val row = { sizeof(k->key), k->key };
	struct store_states states;
	struct store_block index;

	must(k->whole || !k->gone);
	(void)!store_states_load(k->old_states, &states);
	store_states_drop(&states, k->gone);
	for (size_t i = 0; i < k->nchanged; i++)
		store_states_set(&states, &k->changed[i]);
	if (states.head.count == 0) {
		writer_row_del_here(k->w, STORE_T_STATE, k->states, &row);
		writer_row_del_here(k->w, STORE_T_INDEX, k->index, &row);
		return;
	}
	if (k->gone) {
		(void)!store_block_load(k->old_index, &index);
		store_block_drop(&index, k->gone);
		writer_oplog_op(k->w, OPLOG_GONE, STORE_T_INDEX, key, gone);
		walk_put(k, k->index, store_block_seal(&index));
		writer_oplog_op(k->w, OPLOG_GONE, STORE_T_STATE, key, gone);
	}
	if (k->nchanged)
		writer_oplog_op(k->w, OPLOG_STATE, STORE_T_STATE, key,
		    slice((const char *)k->changed, k->nchanged * sizeof(k->changed[0])));
	walk_put(k, k->states, store_states_seal(&states));
}

/* From block *next on to the one where the next wanted uid may be; false: none is left. */
static bool
walk_on(struct walk *k, uint32_t *next)
{
	while (k->at < k->n && k->ranges[k->at].last / STORE_BLOCK < *next)
		k->at++;
	if (k->at < k->n && k->ranges[k->at].first / STORE_BLOCK > *next)
		*next = k->ranges[k->at].first / STORE_BLOCK;
	return k->n == 0 || k->at < k->n;
}

/* Finds the first block from `next` on, by a step when that is likely.  False: there is none. */
static bool
walk_find(struct walk *k, uint32_t next, bool step)
{
	MDB_val key = { sizeof(k->key), k->key }, d;
	int rc;

	writer_block_key(k->key, k->b->id, next);
	rc = mdb_cursor_get(k->states, &key, &d, step ? MDB_NEXT : MDB_SET_RANGE);
	if (rc && rc != MDB_NOTFOUND)
		k->w->error = rc;
	if (rc || key.mv_size != sizeof(k->key) || store_get64(key.mv_data) != k->b->id)
		return false;
	k->block = store_get32((const char *)key.mv_data + 8);
	writer_block_key(k->key, k->b->id, k->block);
	k->old_states = walk_slice(&d);
	return true;
}

/* From *uid on, if it is not NULL until the slice is over: false, with *uid where to go on. */
static bool
walk_blocks(struct walk *k, uint32_t *uid)
{
	struct store_record room[STORE_BLOCK];
	uint32_t next = uid ? *uid / STORE_BLOCK : 0;
	bool step = false;

	while (walk_on(k, &next) && walk_find(k, next, step && next == k->block + 1)) {
		walk_edit(k, room, walk_read(k, room));
		if (k->nchanged || k->gone)
			walk_write(k);
		if (k->w->error || k->block >= UINT32_MAX / STORE_BLOCK)
			break;
		step = true;
		next = k->block + 1;
		if (uid && writer_long_over(k->w)) {
			*uid = next * STORE_BLOCK;
			return false;
		}
	}
	return true;
}

static bool
walk_run(struct walk *k, uint32_t *uid)
{
	struct writer *w = k->w;
	bool whole = true;

	writer_box_flush_tail(w, k->b);
	if (!w->error)
		w->error = mdb_cursor_open(w->txn, w->env->dbi[STORE_T_STATE], &k->states);
	if (!w->error && k->whole)
		w->error = mdb_cursor_open(w->txn, w->env->dbi[STORE_T_INDEX], &k->index);
	if (!w->error)
		whole = walk_blocks(k, uid);
	if (k->index)
		mdb_cursor_close(k->index);
	if (k->states)
		mdb_cursor_close(k->states);
	return whole;
}

bool
writer_box_walk_from(struct writer *w, struct wbox *b, uint32_t *uid,
    const struct store_range *ranges, size_t n, edit_fn *fn, void *arg)
{
	struct walk
	    k = { .w = w, .b = b, .ranges = ranges, .n = n, .whole = true, .fn = fn, .arg = arg };

	return walk_run(&k, uid);
}

void
writer_box_walk(struct writer *w, struct wbox *b, const struct store_range *ranges, size_t n,
    edit_fn *fn, void *arg)
{
	(void)writer_box_walk_from(w, b, NULL, ranges, n, fn, arg);
}

bool
writer_box_walk_states(struct writer *w, struct wbox *b, uint32_t *uid,
    const struct store_range *ranges, size_t n, edit_fn *fn, void *arg)
{
	struct walk k = { .w = w, .b = b, .ranges = ranges, .n = n, .fn = fn, .arg = arg };

	return walk_run(&k, uid);
}

/* ---- the first unseen message ------------------------------------------------------------------------ */

/* The first unseen UID of the block, or 0. */
static uint32_t
states_unseen(struct slice value, uint32_t block)
{
	struct store_states s;
	uint32_t unseen = 0;

	if (store_states_load(value, &s) < 0)
		return 0;
	for (size_t i = 0; i < s.head.count; i++)
		if (!(s.groups[i].flags & STORE_SEEN))
			unseen |= s.groups[i].uids;
	return unseen ? block * STORE_BLOCK + (uint32_t)__builtin_ctz(unseen) : 0;
}

/* first_unseen is a lower bound.  When the message it named is seen or gone, look for the next
 * one, but not for ever: readers go on from where this stops. */
void
writer_box_find_unseen(struct writer *w, struct wbox *b)
{
	uint32_t block = b->d.first_unseen / STORE_BLOCK;
	uint8_t key[12];

	if (b->d.unseen == 0) {
		b->d.first_unseen = 0;
		return;
	}
	writer_box_flush_tail(w, b);
	for (int i = 0; i < 64 && block <= b->d.uidnext / STORE_BLOCK; i++, block++) {
		uint32_t uid;

		writer_block_key(key, b->id, block);
		uid = states_unseen(writer_row_get(w, STORE_T_STATE, key, sizeof(key)), block);
		if (uid) {
			b->d.first_unseen = uid;
			return;
		}
	}
	b->d.first_unseen = block * STORE_BLOCK;
}

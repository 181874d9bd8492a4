/* Blocks of messages: appending at the end of a mailbox, and making rows agree again.
 *
 * Called by the writer's thread within its batch.  What fails in LMDB sticks in w->error and
 * fails the batch.  The two rows of a block are changed together and must name the same UIDs, and
 * the counts and runs of the mailbox record those; each edit is also an operation of the log.  A block
 * that is damaged is told, and mended only where something must be written into it, or when
 * reconstruct asks.  The last block is kept open in memory, so that a delivery does not write it again
 * for each message; every walk (walk.c) flushes it first.  It stays there for the batches that follow,
 * so that they need not read it: in some hundred mailboxes, those that mail came to last.  What changes
 * rows of a block must have had the tail flushed, which forgets it; a batch that fails forgets all. */
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "store/writer/writer-impl.h"

#define TAILS_MOST 512 /* 2 KiB each */

void
writer_block_key(uint8_t key[12], uint64_t mailbox, uint32_t block)
{
	store_be64(key, mailbox);
	store_be32(key + 8, block);
}

void
writer_block_complain(const struct wbox *b, uint32_t block, const char *what)
{
	log_event(LOG_ERROR, "store_block", "mailbox=%llx block=%u error=%s",
	    (unsigned long long)b->id, block, what);
}

/* Both rows into memory.  False: they are damaged, or not of each other. */
static bool
block_load(struct writer *w, const uint8_t key[12], struct store_block *index,
    struct store_states *states)
{
	struct slice i = writer_row_get(w, STORE_T_INDEX, key, 12);
	struct slice s = writer_row_get(w, STORE_T_STATE, key, 12);

	index->head = (struct store_block_head){ 0 };
	states->head = (struct store_state_head){ 0 };
	if (!i.p && !s.p)
		return true;
	if (store_block_load(i, index) < 0 || !store_block_crc_ok(i))
		index->head.uids = 0;
	if (store_states_load(s, states) < 0 || !store_states_crc_ok(s))
		states->head.count = 0;
	return states->head.count && index->head.uids == store_states_uids(s);
}

/* ---- rows that do not agree -------------------------------------------------------------------- */

static void
rows_put(struct writer *w, const uint8_t key[12], struct store_block *index,
    struct store_states *states)
{
	struct slice v;

	if (index->head.uids == 0) {
		writer_row_del(w, STORE_T_INDEX, key, 12);
		writer_row_del(w, STORE_T_STATE, key, 12);
		return;
	}
	v = store_block_seal(index);
	writer_row_put(w, STORE_T_INDEX, key, 12, v.p, v.n, 0);
	v = store_states_seal(states);
	writer_row_put(w, STORE_T_STATE, key, 12, v.p, v.n, 0);
}

/* Messages whose state is lost are as new: unseen, and told as changed. */
static void
states_new(struct writer *w, struct wbox *b, uint32_t block, uint32_t uids,
    struct store_states *states)
{
	struct store_group g = { .uids = uids, .modseq = writer_box_touch(w, b) };
	struct buf changed = { 0 };

	for (uint32_t left = uids; left; left &= left - 1)
		writer_range_add(&changed, block * STORE_BLOCK + (uint32_t)__builtin_ctz(left));
	writer_change_put(w, b->acct->d.id, g.modseq, STORE_CHANGE_FLAGS, b->id, buf_get(&changed));
	store_states_set(states, &g);
	buf_fini(&changed);
}

void
writer_block_mend(struct writer *w, struct wbox *b, uint32_t block)
{
	struct store_block index;
	struct store_states states;
	uint32_t have = 0;
	uint8_t key[12];

	writer_block_key(key, b->id, block);
	if (block_load(w, key, &index, &states))
		return;
	writer_block_complain(b, block, "mended");
	store_states_drop(&states, ~index.head.uids);
	for (size_t i = 0; i < states.head.count; i++)
		have |= states.groups[i].uids;
	if (index.head.uids & ~have)
		states_new(w, b, block, index.head.uids & ~have, &states);
	rows_put(w, key, &index, &states);
	b->nruns = STORE_RUNS_UNKNOWN;
	writer_box_dirty(w, b);
}

/* The block of the mailbox's first row of the table from `block` on; UINT32_MAX: there is none. */
static uint32_t
row_from(struct writer *w, enum store_table t, uint64_t mailbox, uint32_t block)
{
	uint8_t key[12];
	MDB_val k = { sizeof(key), key }, d;
	MDB_cursor *c;

	if (w->error || (w->error = mdb_cursor_open(w->txn, w->env->dbi[t], &c)))
		return UINT32_MAX;
	writer_block_key(key, mailbox, block);
	if (mdb_cursor_get(c, &k, &d, MDB_SET_RANGE) != 0 || k.mv_size != sizeof(key) ||
	    store_get64(k.mv_data) != mailbox)
		block = UINT32_MAX;
	else
		block = store_get32((char *)k.mv_data + 8);
	mdb_cursor_close(c);
	return block;
}

bool
writer_box_mend(struct writer *w, struct wbox *b, uint32_t *from)
{
	writer_box_flush_tail(w, b);
	for (;;) {
		uint32_t index = row_from(w, STORE_T_INDEX, b->id, *from);
		uint32_t state = row_from(w, STORE_T_STATE, b->id, *from);
		uint32_t block = index < state ? index : state;

		if (block > UINT32_MAX / STORE_BLOCK)
			return true;
		writer_block_mend(w, b, block);
		*from = block + 1;
		if (writer_long_over(w))
			return false;
	}
}

/* Is it an arrival?  What is in memory is newer than the row. */
static bool
has_arrived(struct writer *w, uint64_t mailbox, uint32_t uid)
{
	const struct wbox *b;
	uint8_t key[8];

	map_key_set(key, mailbox);
	b = map_get(&w->boxes, map_key(key));
	if (!b) {
		store_be64(key, mailbox);
		return store_mailbox_arrived(writer_row_get(w, STORE_T_MAILBOX, key, 8), uid);
	}
	for (size_t i = 0; i < b->narrivals; i++)
		if (b->arrivals[i].uid == uid)
			return true;
	return false;
}

bool
writer_block_has(struct writer *w, uint64_t mailbox, uint32_t uid)
{
	uint8_t key[12];

	writer_block_key(key, mailbox, uid / STORE_BLOCK);
	return (store_block_uids(writer_row_get(w, STORE_T_INDEX, key, sizeof(key))) &
		   store_uid_bit(uid)) ||
	    has_arrived(w, mailbox, uid);
}

/* ---- the block at the end ------------------------------------------------------------------ */

/* What has come, for the log: records behind their UIDs, and their states. */
static void
tail_log(struct writer *w, const struct wtail *t, struct slice key)
{
	char records[STORE_BLOCK][OPLOG_RECORD];
	struct store_group groups[STORE_BLOCK];
	uint32_t new = t->index.head.uids & ~t->logged;
	size_t n = 0, at = 0;

	for (uint32_t left = t->index.head.uids; left; left &= left - 1, at++) {
		uint32_t uid = t->block * STORE_BLOCK + (uint32_t)__builtin_ctz(left);

		if (!(new &left & -left))
			continue;
		memcpy(records[n], &uid, sizeof(uid));
		memcpy(records[n++] + sizeof(uid), t->index.records[at], STORE_RECORD);
	}
	writer_oplog_op(w, OPLOG_RECORDS, STORE_T_INDEX, key, slice(records[0], n * OPLOG_RECORD));
	n = 0;
	for (size_t i = 0; i < t->states.head.count; i++)
		if (t->states.groups[i].uids & new) {
			groups[n] = t->states.groups[i];
			groups[n++].uids &= new;
		}
	writer_oplog_op(w, OPLOG_STATE, STORE_T_STATE, key,
	    slice((const char *)groups, n * sizeof(groups[0])));
}

void
writer_box_forget_tail(struct writer *w, struct wbox *b)
{
	struct wtail *t = b->tail;

	if (!t)
		return;
	if (!list_empty(&t->link))
		w->nkept--;
	list_remove(&t->link);
	b->tail = NULL;
	t->next = w->free_tails;
	w->free_tails = t;
}

/* Its rows, when something has come. */
static void
tail_put(struct writer *w, struct wbox *b)
{
	struct wtail *t = b->tail;
	struct slice v;
	uint8_t key[12];

	if (!t || t->index.head.uids == t->logged)
		return;
	writer_block_key(key, b->id, t->block);
	tail_log(w, t, slice((char *)key, sizeof(key)));
	v = store_block_seal(&t->index);
	writer_row_put_unlogged(w, STORE_T_INDEX, key, sizeof(key), v.p, v.n, 0);
	v = store_states_seal(&t->states);
	writer_row_put_unlogged(w, STORE_T_STATE, key, sizeof(key), v.p, v.n, 0);
	t->logged = t->index.head.uids;
}

/* Its rows, and it is not in memory any more. */
static void
tail_close(struct writer *w, struct wbox *b)
{
	tail_put(w, b);
	writer_box_forget_tail(w, b);
}

void
writer_box_keep_tail(struct writer *w, struct wbox *b)
{
	tail_put(w, b);
	if (!b->tail || !list_empty(&b->tail->link))
		return;
	list_push(&w->kept_tails, &b->tail->link);
	if (++w->nkept > TAILS_MOST)
		writer_box_forget_tail(w, list_first(&w->kept_tails, struct wtail, link)->box);
}

static void
tail_load(struct writer *w, struct wbox *b, uint32_t block)
{
	struct wtail *t = w->free_tails;
	uint8_t key[12];

	if (t)
		w->free_tails = t->next;
	else
		t = mem_new(sizeof(*t));
	t->block = block;
	writer_block_key(key, b->id, block);
	if (!block_load(w, key, &t->index, &t->states)) {
		writer_block_mend(w, b, block);
		(void)!block_load(w, key, &t->index, &t->states);
	}
	t->logged = t->index.head.uids;
	list_init(&t->link);
	t->box = b;
	b->tail = t;
}

/* The block that the UID belongs to, open for a message that comes. */
static void
tail_open(struct writer *w, struct wbox *b, uint32_t uid)
{
	if (b->tail && b->tail->block != uid / STORE_BLOCK)
		tail_close(w, b);
	if (!b->tail)
		tail_load(w, b, uid / STORE_BLOCK);
	if (!list_empty(&b->tail->link)) {
		list_remove(&b->tail->link);
		w->nkept--;
	}
}

/* The arrivals into blocks; the mailbox's row, which has them, is put with this batch. */
static void
arrivals_settle(struct writer *w, struct wbox *b)
{
	if (b->narrivals == 0)
		return;
	for (size_t i = 0; i < b->narrivals; i++) {
		struct store_group g = store_group_of(&b->arrivals[i]);

		tail_open(w, b, b->arrivals[i].uid);
		store_block_put(&b->tail->index, &b->arrivals[i]);
		store_states_set(&b->tail->states, &g);
	}
	b->narrivals = 0;
	writer_box_dirty(w, b);
}

void
writer_box_flush_tail(struct writer *w, struct wbox *b)
{
	arrivals_settle(w, b);
	tail_close(w, b);
}

void
writer_box_salvage(struct wbox *b, struct slice old)
{
	struct store_mailbox m;

	if (store_mailbox_parse(old, b->id, false, &m) < 0)
		return;
	for (size_t i = 0; i < m.narrivals && i < STORE_ARRIVALS; i++) {
		struct store_record rec = store_mailbox_arrival(&m, i);

		if (rec.check == store_arrival_check(&rec))
			*writer_box_arrival_new(b) = rec;
	}
}

/* ---- appending ------------------------------------------------------------------------------------ */

static void
count_in(struct writer *w, struct wbox *b, const struct store_record *rec)
{
	b->d.exists++;
	if (rec->uid >= b->d.recent_from)
		b->d.recent++;
	b->d.bytes += rec->size;
	writer_use(w, b->acct, rec->size, 1);
	if (rec->flags & STORE_DELETED)
		b->d.deleted++;
	if (!(rec->flags & STORE_SEEN)) {
		if (b->d.unseen++ == 0 || rec->uid < b->d.first_unseen)
			b->d.first_unseen = rec->uid;
	}
	writer_box_dirty(w, b);
	writer_account_dirty(w, b->acct);
}

struct store_record *
writer_box_arrival_new(struct wbox *b)
{
	if (!b->arrivals)
		b->arrivals = mem_array(STORE_ARRIVALS, sizeof(*b->arrivals));
	return &b->arrivals[b->narrivals++];
}

/* A message is there: its block, or the arrivals, have it. */
static void
count_new(struct writer *w, struct wbox *b, const struct store_record *rec)
{
	writer_change_new(w, b, rec->uid);
	b->d.uidnext = rec->uid + 1;
	count_in(w, b, rec);
	writer_box_runs_append(b, rec->uid);
}

/* The record's uid is the mailbox's uidnext or larger; its modseq is set here. */
void
writer_box_append_placed(struct writer *w, struct wbox *b, const struct store_record *rec)
{
	struct store_record *new;

	must(rec->uid >= b->d.uidnext && rec->uid != UINT32_MAX);
	if (b->narrivals == STORE_ARRIVALS)
		arrivals_settle(w, b);
	new = writer_box_arrival_new(b);
	*new = *rec;
	new->modseq = b->d.highestmodseq;
	new->check = store_arrival_check(new);
	count_new(w, b, rec);
}

void
writer_box_append_settled(struct writer *w, struct wbox *b, const struct store_record *rec)
{
	struct store_group g = store_group_of(rec);

	must(rec->uid >= b->d.uidnext && rec->uid != UINT32_MAX);
	arrivals_settle(w, b);
	tail_open(w, b, rec->uid);
	g.modseq = b->d.highestmodseq;
	store_block_put(&b->tail->index, rec);
	store_states_set(&b->tail->states, &g);
	count_new(w, b, rec);
}

void
writer_box_append(struct writer *w, struct wbox *b, const struct store_record *rec)
{
	writer_place_put(w, rec->emailid, b->id, rec->uid);
	writer_box_append_placed(w, b, rec);
}

/* A record into the middle: only reconstruct needs it. */
void
writer_box_insert(struct writer *w, struct wbox *b, const struct store_record *rec)
{
	struct store_group g = store_group_of(rec);

	writer_box_flush_tail(w, b);
	tail_load(w, b, rec->uid / STORE_BLOCK);
	if (!(b->tail->index.head.uids & store_uid_bit(rec->uid))) {
		g.modseq = b->d.highestmodseq;
		store_block_put(&b->tail->index, rec);
		store_states_set(&b->tail->states, &g);
		writer_place_put(w, rec->emailid, b->id, rec->uid);
		writer_change_new(w, b, rec->uid);
		count_in(w, b, rec);
		b->nruns = STORE_RUNS_UNKNOWN;
	}
	writer_box_flush_tail(w, b);
}

/* What an operation of the log does to the rows of a block.
 *
 * Called by recovery for each operation that is not a whole value.  Pure.  Fails when the operation or
 * the row is damaged, and then nothing has changed.  Operations are absolute: doing one twice must
 * leave the same bytes.  Rows of format 1 keep their form: an index of format 1 can be recovered by
 * the log that was written with it, and is upgraded then. */
#include <errno.h>
#include <stdlib.h>

#include "store/block.h"
#include "store/oplog.h"

/* ---- format 1: records with all that a message has --------------------------------------------- */

static int
cmp_record_v1(const void *a, const void *b)
{
	const struct store_record_v1 *x = a, *y = b;

	return x->uid < y->uid ? -1 : x->uid > y->uid;
}

static bool
put_record_v1(struct store_record_v1 *rec, size_t *n, const struct store_record_v1 *with)
{
	for (size_t i = 0; i < *n; i++)
		if (rec[i].uid == with->uid) {
			rec[i] = *with;
			return true;
		}
	if (*n == STORE_BLOCK)
		return false;
	rec[(*n)++] = *with;
	return true;
}

static void
drop_record_v1(struct store_record_v1 *rec, size_t *n, uint32_t uid)
{
	for (size_t i = 0; i < *n; i++)
		if (rec[i].uid == uid) {
			memmove(rec + i, rec + i + 1, (*n - i - 1) * sizeof(*rec));
			(*n)--;
			return;
		}
}

static int
change_v1(const struct oplog_op *op, uint32_t block, struct slice old, struct buf *out)
{
	struct store_record_v1 rec[STORE_BLOCK], with;
	struct store_record room[STORE_BLOCK];
	struct store_block_head_v1 head = { .version = 1 };
	size_t step = op->kind == OPLOG_RECORDS ? sizeof(with) : sizeof(uint32_t);
	size_t n = old.n ? store_block_read_v1(old, block, room) : 0;

	if (op->table != STORE_T_INDEX || (op->kind != OPLOG_RECORDS && op->kind != OPLOG_GONE) ||
	    op->value.n % step || (old.n && n == 0))
		return -EBADMSG;
	if (n)
		memcpy(rec, old.p + sizeof(head), n * sizeof(rec[0]));
	for (size_t at = 0; at < op->value.n; at += step) {
		memcpy(&with, op->value.p + at, step); /* each begins with a UID */
		if (with.uid / STORE_BLOCK != block)
			return -EBADMSG;
		if (op->kind == OPLOG_GONE)
			drop_record_v1(rec, &n, with.uid);
		else if (!put_record_v1(rec, &n, &with))
			return -EBADMSG;
	}
	if (n == 0)
		return 0;
	qsort(rec, n, sizeof(rec[0]), cmp_record_v1);
	head.count = (uint8_t)n;
	buf_add(out, &head, sizeof(head));
	buf_add(out, rec, n * sizeof(rec[0]));
	return 0;
}

/* ---- today's ------------------------------------------------------------------------------- */

static int
put_records(struct store_block *b, struct slice value, size_t step, uint32_t block)
{
	for (; value.n; value = slice_from(value, step)) {
		struct store_record rec = { 0 };

		memcpy((char *)&rec + offsetof(struct store_record, uid), value.p, OPLOG_RECORD);
		if (rec.uid / STORE_BLOCK != block)
			return -EBADMSG;
		store_block_put(b, &rec);
	}
	return 0;
}

static int
change_index(const struct oplog_op *op, size_t step, uint32_t block, struct slice old,
    struct buf *out)
{
	struct store_block b = { .head = { 0 } };
	uint32_t gone;

	if (old.n && store_block_load(old, &b) < 0)
		return -EBADMSG;
	if (op->kind == OPLOG_GONE) {
		memcpy(&gone, op->value.p, sizeof(gone));
		store_block_drop(&b, gone);
	} else if (put_records(&b, op->value, step, block) < 0)
		return -EBADMSG;
	if (b.head.uids)
		buf_slice(out, store_block_seal(&b));
	return 0;
}

static int
change_states(const struct oplog_op *op, struct slice old, struct buf *out)
{
	struct store_states s = { .head = { 0 } };
	struct store_group g;
	uint32_t gone;

	if (old.n && store_states_load(old, &s) < 0)
		return -EBADMSG;
	if (op->kind == OPLOG_GONE) {
		memcpy(&gone, op->value.p, sizeof(gone));
		store_states_drop(&s, gone);
	} else
		for (size_t at = 0; at < op->value.n; at += sizeof(g)) {
			memcpy(&g, op->value.p + at, sizeof(g));
			if (g.uids == 0)
				return -EBADMSG;
			store_states_set(&s, &g);
		}
	if (s.head.count)
		buf_slice(out, store_states_seal(&s));
	return 0;
}

/* Bytes of an entry; 0: no such operation for the table. */
static size_t
entry_size(const struct oplog_op *op, unsigned record)
{
	if (op->kind == OPLOG_GONE)
		return sizeof(uint32_t);
	if (op->kind == OPLOG_RECORDS && op->table == STORE_T_INDEX)
		return record;
	return op->kind == OPLOG_STATE && op->table == STORE_T_STATE ? sizeof(struct store_group) :
								       0;
}

int
store_oplog_block_change(const struct oplog_op *op, unsigned record, struct slice old,
    struct buf *out)
{
	size_t step = entry_size(op, record);
	uint32_t block;

	buf_clear(out);
	if ((op->table != STORE_T_INDEX && op->table != STORE_T_STATE) || op->key.n != 12 ||
	    op->value.n == 0)
		return -EBADMSG;
	block = store_get32(op->key.p + 8);
	if (record == 0)
		return change_v1(op, block, old, out);
	if (step == 0 || op->value.n % step || (op->kind == OPLOG_GONE && op->value.n != step))
		return -EBADMSG;
	return op->table == STORE_T_INDEX ? change_index(op, step, block, old, out) :
					    change_states(op, old, out);
}

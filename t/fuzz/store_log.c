/* Fuzz: segments of the store's operation log.  Whatever is damaged is stepped over, what is
 * read stays within bounds, operations come back as they went, and blocks stay blocks. */
#include "base/must.h"
#include "store/block.h"
#include "store/oplog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
within(struct slice s, struct slice all)
{
	must(s.n == 0 || (s.p >= all.p && s.p + s.n <= all.p + all.n));
}

/* The row that the operations of one table have made so far, and the next one. */
static void
check_block(const struct oplog_op *op, unsigned record, enum store_table t, struct buf *row)
{
	struct buf out = { 0 }, again = { 0 };
	struct store_record room[STORE_BLOCK];
	uint32_t block;
	size_t n;

	if (op->table == t && store_oplog_block_change(op, record, buf_get(row), &out) == 0 &&
	    out.n) {
		block = store_get32(op->key.p + 8);
		if (record == 0)
			n = store_block_read_v1(buf_get(&out), block, room);
		else if (t == STORE_T_INDEX)
			n = store_block_crc_ok(buf_get(&out)) ?
			    store_block_records(buf_get(&out), block, room) :
			    0;
		else
			n = store_states_crc_ok(buf_get(&out)) ?
			    store_states_read(buf_get(&out), block, room) :
			    0;
		must(n > 0);
		for (size_t i = 1; i < n; i++)
			must(room[i - 1].uid < room[i].uid);
		must(store_oplog_block_change(op, record, buf_get(&out), &again) == 0);
		must(slice_eq(buf_get(&out), buf_get(&again)));
		buf_clear(row);
		buf_slice(row, buf_get(&out));
	}
	buf_fini(&out);
	buf_fini(&again);
}

/* Operations; those that are good make a frame that reads the same. */
static void
check_ops(struct slice ops)
{
	struct slice rest = ops;
	struct buf frame = { 0 }, index = { 0 }, states = { 0 }, index_v1 = { 0 };
	struct oplog_frame f;
	struct oplog_op op;

	store_oplog_begin(&frame);
	while (store_oplog_op_parse(&rest, &op) > 0) {
		within(op.key, ops);
		within(op.value, ops);
		store_oplog_op_write(&frame, &op);
		check_block(&op, 0, STORE_T_INDEX, &index_v1);
		check_block(&op, OPLOG_RECORD, STORE_T_INDEX, &index);
		check_block(&op, OPLOG_RECORD, STORE_T_STATE, &states);
	}
	store_oplog_finish(&frame, 7, 8, 2, 6);
	must(store_oplog_frame_parse(buf_get(&frame), &f) == 0 && f.batch == 7 && f.at == 8 &&
	    f.epoch == 2 && f.committed == 6 && f.size == frame.n);
	must(slice_eq(f.ops, slice_sub(ops, 0, f.ops.n)));
	buf_fini(&frame);
	buf_fini(&index);
	buf_fini(&states);
	buf_fini(&index_v1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice s = slice((const char *)data, n);
	struct oplog_frame f;
	size_t at = 0, before = 0, skipped, sum = 0;

	while (store_oplog_next(s, &at, &f, &skipped)) {
		must(at > before && at <= n && at == before + skipped + f.size);
		within(f.ops, s);
		check_ops(f.ops);
		before = at;
		sum += skipped + f.size;
	}
	must(sum == at && at == before);
	check_ops(s);
	return 0;
}

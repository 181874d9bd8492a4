/* Fuzz: segments of the store's operation log.  Whatever is damaged is stepped over, what is
 * read stays within bounds, operations come back as they went, and blocks stay blocks. */
#include "base/must.h"
#include "store/oplog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
within(struct slice s, struct slice all)
{
	must(s.n == 0 || (s.p >= all.p && s.p + s.n <= all.p + all.n));
}

static void
check_block(const struct oplog_op *op, struct buf *block)
{
	struct buf out = { 0 }, again = { 0 };
	const struct store_record *rec;
	size_t n;

	if (oplog_block_change(op, buf_get(block), &out) == 0 && out.n) {
		rec = store_block_parse(buf_get(&out), &n);
		must(rec);
		for (size_t i = 1; i < n; i++)
			must(rec[i - 1].uid < rec[i].uid);
		must(oplog_block_change(op, buf_get(&out), &again) == 0);
		must(slice_eq(buf_get(&out), buf_get(&again)));
		buf_clear(block);
		buf_slice(block, buf_get(&out));
	}
	buf_fini(&out);
	buf_fini(&again);
}

/* Operations; those that are good make a frame that reads the same. */
static void
check_ops(struct slice ops)
{
	struct slice rest = ops;
	struct buf frame = { 0 }, block = { 0 };
	struct oplog_frame f;
	struct oplog_op op;

	oplog_begin(&frame);
	while (oplog_op_parse(&rest, &op) > 0) {
		within(op.key, ops);
		within(op.value, ops);
		oplog_op_write(&frame, &op);
		check_block(&op, &block);
	}
	oplog_finish(&frame, 7, 8);
	must(oplog_frame_parse(buf_get(&frame), &f) == 0 && f.batch == 7 && f.at == 8 && f.size == frame.n);
	must(slice_eq(f.ops, slice_sub(ops, 0, f.ops.n)));
	buf_fini(&frame);
	buf_fini(&block);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice s = slice((const char *)data, n);
	struct oplog_frame f;
	size_t at = 0, before = 0, skipped, sum = 0;

	while (oplog_next(s, &at, &f, &skipped)) {
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

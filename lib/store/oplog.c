/* Frames and operations of the operation log. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/crc.h"
#include "base/mem.h"
#include "store/oplog.h"

struct op_head {
	uint8_t kind, table;
	uint16_t nkey;
	uint32_t nvalue;
} PACKED;

/* ---- writing --------------------------------------------------------------------------------- */

void
oplog_begin(struct buf *b)
{
	const struct oplog_head none = { 0 };

	buf_clear(b);
	buf_add(b, &none, sizeof(none));
}

void
oplog_op_write(struct buf *b, const struct oplog_op *op)
{
	struct op_head h = { (uint8_t)op->kind, (uint8_t)op->table, (uint16_t)op->key.n,
		(uint32_t)op->value.n };

	buf_add(b, &h, sizeof(h));
	buf_slice(b, op->key);
	buf_slice(b, op->value);
}

void
oplog_finish(struct buf *b, uint64_t batch, int64_t at)
{
	struct oplog_head h = { .magic = OPLOG_MAGIC, .version = OPLOG_VERSION, .batch = batch,
		.at = at, .length = (uint32_t)(b->n - sizeof(h)) };

	h.crc = crc32c(crc32c(0, &h, sizeof(h)), b->p + sizeof(h), h.length);
	memcpy(b->p, &h, sizeof(h));
}

/* ---- reading ----------------------------------------------------------------------------------- */

int
oplog_frame_parse(struct slice bytes, struct oplog_frame *f)
{
	struct oplog_head h;
	uint32_t crc;

	if (bytes.n < sizeof(h))
		return -EAGAIN;
	memcpy(&h, bytes.p, sizeof(h));
	if (h.magic != OPLOG_MAGIC || h.version != OPLOG_VERSION || h.zero || h.length > OPLOG_MOST)
		return -EBADMSG;
	if (h.length > bytes.n - sizeof(h))
		return -EAGAIN;
	crc = h.crc;
	h.crc = 0;
	if (crc32c(crc32c(0, &h, sizeof(h)), bytes.p + sizeof(h), h.length) != crc)
		return -EBADMSG;
	f->batch = h.batch;
	f->at = h.at;
	f->ops = slice_sub(bytes, sizeof(h), h.length);
	f->size = sizeof(h) + h.length;
	return 0;
}

int
oplog_op_parse(struct slice *ops, struct oplog_op *op)
{
	struct op_head h;

	if (ops->n == 0)
		return 0;
	if (ops->n < sizeof(h))
		return -EBADMSG;
	memcpy(&h, ops->p, sizeof(h));
	if (h.kind < OPLOG_PUT || h.kind > OPLOG_GONE || h.table >= STORE_TABLES || h.nkey == 0 ||
	    (size_t)h.nkey + h.nvalue > ops->n - sizeof(h))
		return -EBADMSG;
	op->kind = (enum oplog_kind)h.kind;
	op->table = (enum store_table)h.table;
	op->key = slice_sub(*ops, sizeof(h), h.nkey);
	op->value = slice_sub(*ops, sizeof(h) + h.nkey, h.nvalue);
	*ops = slice_from(*ops, sizeof(h) + h.nkey + h.nvalue);
	return 1;
}

bool
oplog_next(struct slice segment, size_t *at, struct oplog_frame *f, size_t *skipped)
{
	const uint32_t magic = OPLOG_MAGIC;

	for (size_t look = *at; look < segment.n; look++) {
		const char *p = memmem(segment.p + look, segment.n - look, &magic, sizeof(magic));

		if (!p)
			return false;
		look = (size_t)(p - segment.p);
		if (oplog_frame_parse(slice_from(segment, look), f) == 0) {
			*skipped = look - *at;
			*at = look + f->size;
			return true;
		}
	}
	return false;
}

/* ---- index blocks --------------------------------------------------------------------------------- */

static int
cmp_record(const void *a, const void *b)
{
	const struct store_record *x = a, *y = b;

	return x->uid < y->uid ? -1 : x->uid > y->uid;
}

static bool
put_record(struct store_record *rec, size_t *n, const struct store_record *with)
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
drop_record(struct store_record *rec, size_t *n, uint32_t uid)
{
	for (size_t i = 0; i < *n; i++)
		if (rec[i].uid == uid) {
			memmove(rec + i, rec + i + 1, (*n - i - 1) * sizeof(*rec));
			(*n)--;
			return;
		}
}

int
oplog_block_change(const struct oplog_op *op, struct slice old, struct buf *out)
{
	struct store_block_head head = { .version = STORE_VERSION };
	size_t step = op->kind == OPLOG_RECORDS ? sizeof(struct store_record) : sizeof(uint32_t);
	const struct store_record *was;
	struct store_record rec[STORE_BLOCK], with;
	uint32_t block, uid;
	size_t n = 0;

	buf_clear(out);
	if ((op->kind != OPLOG_RECORDS && op->kind != OPLOG_GONE) || op->table != STORE_T_INDEX ||
	    op->key.n != 12 || op->value.n == 0 || op->value.n % step)
		return -EBADMSG;
	block = store_get32(op->key.p + 8);
	was = old.n ? store_block_parse(old, &n) : NULL;
	if (old.n && !was)
		return -EBADMSG;
	if (n)
		memcpy(rec, was, n * sizeof(*rec));
	for (size_t at = 0; at < op->value.n; at += step) {
		memcpy(&uid, op->value.p + at, sizeof(uid)); /* a record begins with it */
		if (uid / STORE_BLOCK != block)
			return -EBADMSG;
		if (op->kind == OPLOG_GONE) {
			drop_record(rec, &n, uid);
			continue;
		}
		memcpy(&with, op->value.p + at, sizeof(with));
		if (!put_record(rec, &n, &with))
			return -EBADMSG;
	}
	if (n == 0)
		return 0;
	qsort(rec, n, sizeof(*rec), cmp_record);
	head.count = (uint8_t)n;
	buf_add(out, &head, sizeof(head));
	buf_add(out, rec, n * sizeof(*rec));
	return 0;
}

/* ---- segments ----------------------------------------------------------------------------------------- */

uint32_t
oplog_segment_parse(const char *name)
{
	struct slice s = slice_str(name);
	uint64_t v;

	if (s.n < 12 || !slice_ends(s, S(".log")) ||
	    slice_u64(slice(s.p, s.n - 4), UINT32_MAX - 1, &v) < 0)
		return 0;
	return (uint32_t)v;
}

static int
cmp_number(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

uint32_t *
oplog_segments(int dirfd, size_t *n)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	uint32_t *list = NULL;

	*n = 0;
	for (struct dirent *e; d && (e = readdir(d));) {
		uint32_t number = oplog_segment_parse(e->d_name);

		if (!number)
			continue;
		list = mem_grow(list, *n + 1, sizeof(*list));
		list[(*n)++] = number;
	}
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
	if (*n)
		qsort(list, *n, sizeof(*list), cmp_number);
	return list;
}

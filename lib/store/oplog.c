/* Frames and operations of the operation log; what an operation does to a block is in oplog-block.c.
 *
 * Pure but for the list of segments.  The writer makes frames (writer/oplog-write.c), recovery
 * reads them.  What can fail is reading: a frame that is torn or damaged is passed over, and the
 * caller is told how many bytes that were.  Replaying an operation twice must change nothing
 * more. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/crc.h"
#include "base/mem.h"
#include "base/must.h"
#include "store/oplog.h"

struct op_head {
	uint8_t kind, table;
	uint16_t nkey;
	uint32_t nvalue;
} PACKED;

/* ---- writing --------------------------------------------------------------------------------- */

void
store_oplog_begin(struct buf *b)
{
	const struct oplog_head none = { 0 };
	const struct oplog_head2 none2 = { 0 };

	buf_clear(b);
	buf_add(b, &none, sizeof(none));
	buf_add(b, &none2, sizeof(none2));
}

void
store_oplog_op_write(struct buf *b, const struct oplog_op *op)
{
	struct op_head h = { (uint8_t)op->kind, (uint8_t)op->table, (uint16_t)op->key.n,
		(uint32_t)op->value.n };

	char *p = buf_reserve(b, sizeof(h) + op->key.n + op->value.n);

	must(p); /* a frame without it would be a lie */
	memcpy(p, &h, sizeof(h));
	memcpy(p + sizeof(h), op->key.p, op->key.n);
	if (op->value.n)
		memcpy(p + sizeof(h) + op->key.n, op->value.p, op->value.n);
	b->n += sizeof(h) + op->key.n + op->value.n;
}

void
store_oplog_finish(struct buf *b, uint64_t batch, int64_t at, uint64_t epoch, uint64_t committed)
{
	struct oplog_head2 h2 = { epoch, committed };
	struct oplog_head h = { .magic = OPLOG_MAGIC,
		.version = OPLOG_VERSION,
		.record = OPLOG_RECORD,
		.batch = batch,
		.at = at,
		.length = (uint32_t)(b->n - sizeof(h) - sizeof(h2)) };

	memcpy(b->p + sizeof(h), &h2, sizeof(h2));
	h.crc = crc32c(crc32c(0, &h, sizeof(h)), b->p + sizeof(h), sizeof(h2) + h.length);
	memcpy(b->p, &h, sizeof(h));
}

/* ---- reading ----------------------------------------------------------------------------------- */

int
store_oplog_frame_parse(struct slice bytes, struct oplog_frame *f)
{
	struct oplog_head2 h2 = { 0 };
	struct oplog_head h;
	uint32_t crc;
	size_t more;

	if (bytes.n < sizeof(h))
		return -EAGAIN;
	memcpy(&h, bytes.p, sizeof(h));
	more = h.version == 1 ? 0 : sizeof(h2);
	if (h.magic != OPLOG_MAGIC || h.version < 1 || h.version > OPLOG_VERSION ||
	    (h.version == 1 ? h.record != 0 : h.record < OPLOG_RECORD) || h.length > OPLOG_MOST)
		return -EBADMSG;
	if (more + h.length > bytes.n - sizeof(h))
		return -EAGAIN;
	crc = h.crc;
	h.crc = 0;
	if (crc32c(crc32c(0, &h, sizeof(h)), bytes.p + sizeof(h), more + h.length) != crc)
		return -EBADMSG;
	if (more)
		memcpy(&h2, bytes.p + sizeof(h), sizeof(h2));
	f->batch = h.batch;
	f->epoch = h2.epoch;
	f->committed = h2.committed;
	f->record = h.record;
	f->at = h.at;
	f->ops = slice_sub(bytes, sizeof(h) + more, h.length);
	f->size = sizeof(h) + more + h.length;
	return 0;
}

int
store_oplog_op_parse(struct slice *ops, struct oplog_op *op)
{
	struct op_head h;

	if (ops->n == 0)
		return 0;
	if (ops->n < sizeof(h))
		return -EBADMSG;
	memcpy(&h, ops->p, sizeof(h));
	if (h.kind < OPLOG_PUT || h.kind > OPLOG_LAST || h.nkey == 0 ||
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
store_oplog_next(struct slice segment, size_t *at, struct oplog_frame *f, size_t *skipped)
{
	const uint32_t magic = OPLOG_MAGIC;

	for (size_t look = *at; look < segment.n; look++) {
		const char *p = memmem(segment.p + look, segment.n - look, &magic, sizeof(magic));

		if (!p)
			return false;
		look = (size_t)(p - segment.p);
		if (store_oplog_frame_parse(slice_from(segment, look), f) == 0) {
			*skipped = look - *at;
			*at = look + f->size;
			return true;
		}
	}
	return false;
}

/* ---- segments ----------------------------------------------------------------------------------------- */

uint32_t
store_oplog_segment_parse(const char *name)
{
	struct slice s = slice_str(name);
	uint64_t v;

	if (s.n < 12 || !slice_ends(s, S(".log")) ||
	    slice_u64(slice(s.p, s.n - 4), UINT32_MAX - 1, &v) < 0)
		return 0;
	return (uint32_t)v;
}

uint64_t
store_oplog_first_batch(int dirfd, uint32_t segment)
{
	struct oplog_head h = { 0 };
	char name[32];
	int fd;

	snprintf(name, sizeof(name), OPLOG_SEGMENT, segment);
	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || pread(fd, &h, sizeof(h), 0) != (ssize_t)sizeof(h) || h.magic != OPLOG_MAGIC)
		h.batch = 0;
	if (fd >= 0)
		close(fd);
	return h.batch;
}

static int
cmp_number(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

uint32_t *
store_oplog_segments(int dirfd, size_t *n)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	uint32_t *list = NULL;

	*n = 0;
	for (struct dirent *e; d && (e = readdir(d));) {
		uint32_t number = store_oplog_segment_parse(e->d_name);

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

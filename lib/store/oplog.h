/* store/oplog.h: the operation log of a partition, bytes <-> structs (tiermail-store(5)).
 *
 * Each batch of the writer is one frame: a header with a checksum and what the batch changed in
 * the tables, one operation behind the other.  Operations are absolute (a value, not a
 * difference), so that replaying one twice does no harm.  Nothing here does I/O. */
#ifndef STORE_OPLOG_H
#define STORE_OPLOG_H
#include "store/format.h"

#define OPLOG_MAGIC   0x474f4c54u /* "TLOG" */
#define OPLOG_VERSION 1
#define OPLOG_MOST    (1u << 30)  /* bytes of operations in a frame */

struct oplog_head {
	uint32_t magic;
	uint16_t version;
	uint16_t zero;
	uint64_t batch;        /* ascending by 1; a step of more is a hole */
	int64_t at;            /* unix seconds */
	uint32_t length;       /* of the operations */
	uint32_t crc;          /* CRC-32C of this header with crc 0, and of the operations */
} PACKED;

enum oplog_kind {
	OPLOG_PUT = 1,         /* the value of the key */
	OPLOG_DEL,             /* the row is gone */
	OPLOG_RECORDS,         /* `index`: these struct store_record of the block, others stay */
	OPLOG_GONE,            /* `index`: these UIDs (u32 each) of the block are gone */
};
struct oplog_op {
	enum oplog_kind kind;
	enum store_table table;
	struct slice key, value;
};

/* A frame grows in b: begin, any number of operations, finish (header and checksum). */
void oplog_begin(struct buf *b);
void oplog_op_write(struct buf *b, const struct oplog_op *op);
void oplog_finish(struct buf *b, uint64_t batch, int64_t at);

struct oplog_frame {
	uint64_t batch;
	int64_t at;
	struct slice ops;      /* borrows */
	size_t size;           /* with the header */
};
/* The frame at the beginning of `bytes`.  0, -EAGAIN when it goes on behind their end, or
 * -EBADMSG. */
int oplog_frame_parse(struct slice bytes, struct oplog_frame *f) MUSTCHECK;
/* The next operation off the front.  1, 0 at the end, -EBADMSG. */
int oplog_op_parse(struct slice *ops, struct oplog_op *op) MUSTCHECK;

/* Walks the good frames of a segment: the one at *at or the first one behind it, stepping over
 * whatever is damaged between them.  False at the end; *at is then behind the last good frame.
 * On true *at is behind this one, and *skipped says how many bytes were no frame. */
bool oplog_next(struct slice segment, size_t *at, struct oplog_frame *f, size_t *skipped);

/* An index block after RECORDS or GONE: `old` (may be empty) with the change, as a value in
 * `out` (cleared first; empty = the row goes).  0 or -EBADMSG. */
int oplog_block_change(const struct oplog_op *op, struct slice old, struct buf *out) MUSTCHECK;

/* Names of segments: "00000001.log".  0 when `name` is none. */
uint32_t oplog_segment_parse(const char *name);
#define OPLOG_SEGMENT "%08u.log"
/* The numbers of the segments in a directory, ascending; heap (mem_free), NULL when none. */
uint32_t *oplog_segments(int dirfd, size_t *n) MUSTCHECK;
#endif

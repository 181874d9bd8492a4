/* store/oplog.h: the operation log of a partition, bytes <-> structs (tiermail-store(5)).
 *
 * Each batch of the writer is one frame: a header with a checksum and what the batch changed in
 * the tables, one operation behind the other.  Operations are absolute (a value, not a
 * difference), so that replaying one twice does no harm.  Nothing here does I/O. */
#ifndef STORE_OPLOG_H
#define STORE_OPLOG_H
#include "store/format.h"

#define OPLOG_MAGIC   0x474f4c54u /* "TLOG" */
#define OPLOG_VERSION 2
#define OPLOG_MOST    (1u << 30) /* bytes of operations in a frame */

struct oplog_head {
	uint32_t magic;
	uint16_t version;
	uint16_t record; /* bytes of one in here; 0 in version 1 */
	uint64_t batch;  /* ascending by 1; a step of more is a hole */
	int64_t at;      /* unix seconds */
	uint32_t length; /* of the operations */
	uint32_t crc; /* CRC-32C of this header with crc 0, of what follows it, of the operations */
} PACKED;
/* Follows the header since version 2. */
struct oplog_head2 {
	uint64_t epoch;     /* of the index: a recovery begins the next one */
	uint64_t committed; /* the last batch that was committed when this was written */
} PACKED;

enum oplog_kind {
	OPLOG_PUT = 1, /* the value of the key */
	OPLOG_DEL,     /* the row is gone */
	OPLOG_RECORDS, /* `index`: these records of the block, each behind its UID; others stay */
	OPLOG_GONE,    /* `index`, `state`: these UIDs of the block are gone: bits, u32 */
	OPLOG_STATE,   /* `state`: struct store_group each: these messages now are so (version 2) */
	OPLOG_FILES,   /* `mailbox`: struct oplog_file each: synced together with this frame */
	OPLOG_BODIES, /* `mailbox`: struct oplog_body each: in OPLOG_BODIES_FILE, synced before it */
};
#define OPLOG_LAST OPLOG_BODIES
/* A record and its UID: struct store_record from `uid` on. */
#define OPLOG_RECORD (STORE_RECORD + sizeof(uint32_t))
/* In version 1 RECORDS has struct store_record_v1, GONE the UIDs, u32 each. */

/* A message file that got its name in this batch: when the frame is the last one and the file is not
 * so, the batch was never answered. */
struct oplog_file {
	uint32_t uid;
	uint32_t size, crc; /* CRC-32C */
	uint8_t checked;    /* 0: it need only be there, its bytes were on disk before */
} PACKED;
/* A message file whose bytes are also beside the log, in the file `bodies`, and which was not synced: until a
 * steady point has its batch, it is made again from there when it is not so. */
struct oplog_body {
	uint32_t uid;
	uint32_t size, crc; /* CRC-32C */
	uint64_t at;        /* in that file */
	int64_t date;       /* the file's modification time: unix seconds */
} PACKED;
#define OPLOG_BODIES_FILE "bodies"
#define OPLOG_BODY_MOST   (1024 * 1024) /* bytes of one */
struct oplog_op {
	enum oplog_kind kind;
	enum store_table table; /* STORE_TABLES and more: one that a later program has */
	struct slice key, value;
};

/* A frame grows in b: begin, any number of operations, finish (header and checksum). */
void store_oplog_begin(struct buf *b);
void store_oplog_op_write(struct buf *b, const struct oplog_op *op);
void
store_oplog_finish(struct buf *b, uint64_t batch, int64_t at, uint64_t epoch, uint64_t committed);

struct oplog_frame {
	uint64_t batch, epoch, committed; /* epoch 0: a frame of version 1 */
	int64_t at;
	unsigned record;  /* bytes of one; 0 = its blocks are those of format 1 */
	struct slice ops; /* borrows */
	size_t size;      /* with the header */
};
/* The frame at the beginning of `bytes`.  0, -EAGAIN when it goes on behind their end, or
 * -EBADMSG. */
int store_oplog_frame_parse(struct slice bytes, struct oplog_frame *f) MUSTCHECK;
/* The next operation off the front.  1, 0 at the end, -EBADMSG. */
int store_oplog_op_parse(struct slice *ops, struct oplog_op *op) MUSTCHECK;

/* Walks the good frames of a segment: the one at *at or the first one behind it, stepping over
 * whatever is damaged between them.  False at the end; *at is then behind the last good frame.
 * On true *at is behind this one, and *skipped says how many bytes were no frame. */
bool store_oplog_next(struct slice segment, size_t *at, struct oplog_frame *f, size_t *skipped);

/* A row of `index` or `state` after RECORDS, GONE or STATE: `old` (may be empty) with the change, as a
 * value in `out` (cleared first; empty = the row goes); `record` is the frame's.  0 or -EBADMSG. */
int store_oplog_block_change(const struct oplog_op *op, unsigned record, struct slice old,
    struct buf *out) MUSTCHECK;

/* Names of segments: "00000001.log".  0 when `name` is none. */
uint32_t store_oplog_segment_parse(const char *name);
#define OPLOG_SEGMENT "%08u.log"
/* The batch of a segment's first frame, or 0. */
uint64_t store_oplog_first_batch(int dirfd, uint32_t segment);
/* The numbers of the segments in a directory, ascending; heap (mem_free), NULL when none. */
uint32_t *store_oplog_segments(int dirfd, size_t *n) MUSTCHECK;
#endif

/* store/seen.h: what each reader of a shared mailbox has seen, in the store: tiermail-store(5).
 *
 * Who reads a mailbox of somebody else has a \Seen of his own there, unless the mailbox, or the store, says that one is
 * for all.  For STORE_SEEN_CHUNK UIDs at a time a row has the runs of messages that he has marked or unmarked, and at which
 * modseq; what is in no run he has not seen.  A message's modseq, for him, is the larger of its own and its run's.  Runs
 * that touch and say the same are joined when there are many, with the larger modseq: then a client is told again of what it
 * knows, and never less.  Of a row that has many runs even so all but the newest are bits with one modseq: so a row has some
 * hundred bytes, whatever is marked.  Nothing here does I/O. */
#ifndef STORE_SEEN_H
#define STORE_SEEN_H
#include "base/buf.h"
#include "store/format.h"

#define STORE_SEEN_CHUNK 1024u /* UIDs of a row */
#define STORE_SEEN_FEW                                                                             \
	64 /* runs of a row: with more, those that touch are joined, then they are bits */
#define STORE_SEEN_FRESH 16 /* but for the newest */

/* `meta`: "sharing" -> this: what stored is configured to do, for those who read. */
#define STORE_SHARING "sharing"
struct store_disk_sharing {
	uint8_t version;
	uint8_t
	    seen; /* 1: who reads a mailbox of somebody else marks as \Seen for all; 0 = for himself */
	uint8_t zero[6];
} PACKED;

/* Of a reader and a mailbox: in the row of a chunk, runs follow. */
struct store_disk_seen {
	uint8_t version;
	uint8_t packed;  /* 1: struct store_seen_bits is in front of them */
	uint16_t run;    /* bytes of each */
	uint32_t crc;    /* CRC-32C of the whole value with this field 0 */
	uint64_t modseq; /* the largest */
	uint32_t at;     /* unix seconds of the last change */
	uint32_t from;   /* of the reader's row: unix seconds of the first one */
} PACKED;
struct store_seen_run {
	uint64_t modseq;
	uint16_t first, last; /* UIDs, from the chunk's first one */
	uint8_t seen;
	uint8_t zero;
} PACKED;

struct store_seen_bits {
	uint64_t modseq; /* of all of them; what a run behind says counts */
	uint8_t marked[STORE_SEEN_CHUNK / 8], seen[STORE_SEEN_CHUNK / 8];
} PACKED;

/* May it be a part of a key? */
bool store_login_ok(struct slice login) MUSTCHECK;
/* {mailbox BE64, login, NUL} is the reader's row, with a chunk's number BE32 behind it that of the chunk.  Returns the
 * length. */
#define STORE_SEEN_KEY (8 + STORE_ACCOUNT_MAX + 1 + 4)
#define STORE_SEEN_ALL UINT32_MAX /* no chunk: the reader's row */
size_t
store_seen_key(uint8_t key[STORE_SEEN_KEY], uint64_t mailbox, struct slice login, uint32_t chunk);
/* *login borrows from the key.  False: it is none. */
bool
store_seen_key_parse(struct slice key, uint64_t *mailbox, struct slice *login, uint32_t *chunk);

/* A row: its head, and its runs, unaligned, which borrow unless they are made of bits.  0 or -EBADMSG: damaged. */
struct store_seen {
	struct store_disk_seen head;
	const char *runs;
	size_t n;
	struct store_seen_run made[STORE_SEEN_CHUNK]; /* head.packed: these are meant */
};
int store_seen_parse(struct slice row, struct store_seen *s) MUSTCHECK;
struct store_seen_run store_seen_at(const struct store_seen *s, size_t i);
/* The run with this offset, if it is in one: false. */
bool store_seen_find(const struct store_seen *s, uint16_t offset, struct store_seen_run *run);
/* Appends a row: of `runs` (struct store_seen_run) the head's modseq is made. */
void store_seen_write(struct buf *row, struct store_disk_seen head, struct slice runs);
/* Lays marks over runs: both struct store_seen_run, with modseqs above 0.  Joins some when they are many. */
void store_seen_put(struct buf *runs, struct slice marks);
#endif

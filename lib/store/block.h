/* store/block.h: a block of 32 UIDs, which is two rows: `index` with what never changes of its
 * messages, `state` with what may (format.h).  Here they are read together, and edited apart.
 *
 * For readers, the writer, the operation log and the tools.  Pure, and allocates nothing.  What is on
 * disk is believed only as far as it makes sense: the two rows must name the same UIDs, each once.
 * Checksums are another matter: readers cannot afford them, whoever edits a row looks first. */
#ifndef STORE_BLOCK_H
#define STORE_BLOCK_H
#include "store/format.h"

static inline uint32_t
store_uid_bit(uint32_t uid)
{
	return 1u << uid % STORE_BLOCK;
}
/* The UIDs first..last as bits of the block; 0: none of them is in it. */
uint32_t store_uid_bits(uint32_t first, uint32_t last, uint32_t block);

/* ---- reading ------------------------------------------------------------------------------- */

/* Both rows as records, ascending.  Returns how many; 0: damaged, or not of each other. */
size_t store_block_read(struct slice index, struct slice states, uint32_t block,
    struct store_record room[STORE_BLOCK]);
/* The state alone: of the records only uid, flags, keywords and modseq are set. */
size_t
store_states_read(struct slice states, uint32_t block, struct store_record room[STORE_BLOCK]);
/* The row of `index` alone: what may change means nothing. */
size_t
store_block_records(struct slice index, uint32_t block, struct store_record room[STORE_BLOCK]);
/* A row of format 1, which has both.  What it does not know is 0. */
size_t
store_block_read_v1(struct slice index, uint32_t block, struct store_record room[STORE_BLOCK]);

/* Adds those of n messages, which ascend, that are in the block to the n0 of it in `room`; a UID that
 * is there already stays as it is.  Returns how many there are then. */
size_t store_block_add(struct store_record room[STORE_BLOCK], size_t n0, uint32_t block,
    const struct store_record *rec, size_t n);

/* The UIDs that a row has, as bits; 0: it is damaged. */
uint32_t store_block_uids(struct slice index);
uint32_t store_states_uids(struct slice states);
/* No message of the row has a larger one; UINT64_MAX: damaged. */
uint64_t store_states_modseq(struct slice states);
bool store_block_crc_ok(struct slice index);
bool store_states_crc_ok(struct slice states);

/* ---- editing: rows in memory, as they are on disk but with room -------------------------------- */

struct store_block {
	struct store_block_head head;
	char records[STORE_BLOCK][STORE_RECORD];
} PACKED;
struct store_states {
	struct store_state_head head;
	struct store_group groups[STORE_BLOCK];
} PACKED;

/* One that is all 0 is an empty row.  -EBADMSG: damaged, and *b is empty. */
int store_block_load(struct slice index, struct store_block *b) MUSTCHECK;
int store_states_load(struct slice states, struct store_states *s) MUSTCHECK;
/* The record's part in `index`, new or in place of the one with its UID. */
void store_block_put(struct store_block *b, const struct store_record *rec);
void store_block_drop(struct store_block *b, uint32_t uids);
/* These messages now are as the group says, whatever they were and if they were: g->uids is not 0. */
void store_states_set(struct store_states *s, const struct store_group *g);
void store_states_drop(struct store_states *s, uint32_t uids);
/* Adds messages to a list of groups that has none of them.  Returns its length then. */
size_t store_group_add(struct store_group *groups, size_t n, const struct store_group *g);
static inline struct store_group
store_group_of(const struct store_record *rec)
{
	return (
	    struct store_group){ store_uid_bit(rec->uid), rec->flags, rec->keywords, rec->modseq };
}
/* Completes the head of a row that is not empty; the row's bytes, which borrow. */
struct slice store_block_seal(struct store_block *b);
struct slice store_states_seal(struct store_states *s);
#endif

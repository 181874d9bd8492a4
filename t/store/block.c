/* Blocks of messages: two rows read and edited, in all shapes, damaged ones, and beside a plain
 * array. */
#include <errno.h>
#include <stdlib.h>

#include "../tap.h"
#include "store/block.h"

#define BLOCK 3u
#define FIRST (BLOCK * STORE_BLOCK)

struct rows {
	struct store_block index;
	struct store_states states;
};

static struct store_record
message(uint32_t uid, uint16_t flags, uint64_t keywords, uint64_t modseq)
{
	return (struct store_record){ .uid = uid,
		.flags = flags,
		.keywords = keywords,
		.modseq = modseq,
		.size = uid * 7,
		.emailid = uid * 1000,
		.zone = -60,
		.digest = ~uid };
}

static void
put(struct rows *r, struct store_record rec)
{
	struct store_group g = store_group_of(&rec);

	store_block_put(&r->index, &rec);
	store_states_set(&r->states, &g);
}

static size_t
get(struct rows *r, struct store_record room[STORE_BLOCK])
{
	return store_block_read(store_block_seal(&r->index), store_states_seal(&r->states), BLOCK,
	    room);
}

static bool
same(const struct store_record *a, const struct store_record *b)
{
	return a->uid == b->uid && a->flags == b->flags && a->keywords == b->keywords &&
	    a->modseq == b->modseq && a->size == b->size && a->emailid == b->emailid &&
	    a->zone == b->zone && a->digest == b->digest;
}

static void
test_bits(void)
{
	ok(store_uid_bits(1, UINT32_MAX, BLOCK) == UINT32_MAX, "all of a block");
	ok(store_uid_bits(FIRST, FIRST, BLOCK) == 1 &&
		store_uid_bits(FIRST + 31, FIRST + 99, BLOCK) == 1u << 31,
	    "its first, its last");
	ok(store_uid_bits(FIRST + 2, FIRST + 4, BLOCK) == 0x1c, "some");
	ok(store_uid_bits(1, FIRST - 1, BLOCK) == 0 &&
		store_uid_bits(FIRST + 32, FIRST + 40, BLOCK) == 0,
	    "none");
	ok(store_uid_bits(UINT32_MAX, UINT32_MAX, UINT32_MAX / STORE_BLOCK) == 1u << 31,
	    "the last UID of all");
}

static void
test_shapes(void)
{
	struct rows r = { .index.head = { 0 } };
	struct store_record room[STORE_BLOCK], rec;
	struct store_group all = { UINT32_MAX, STORE_SEEN, 5, 9000 };
	struct slice v;
	size_t n;

	for (uint32_t i = 0; i < STORE_BLOCK; i++) /* as they do not come */
		put(&r, message(FIRST + i * 7 % STORE_BLOCK, 0, 0, 100 + i));
	n = get(&r, room);
	for (size_t i = 0; i < n; i++) {
		rec = message(FIRST + (uint32_t)i, 0, 0, 100 + i * 23 % STORE_BLOCK);
		if (!same(&room[i], &rec))
			ok(false, "uid %zu", i);
	}
	eq(n, STORE_BLOCK, "a full block, each message with a modseq of its own");
	v = store_states_seal(&r.states);
	eq(v.n, sizeof(struct store_state_head) + 32 * sizeof(struct store_group),
	    "its state is as long as one can be");
	eq(store_states_modseq(v), 131, "and has the newest modseq in its head");
	store_states_set(&r.states, &all);
	v = store_states_seal(&r.states);
	eq(v.n, sizeof(struct store_state_head) + sizeof(struct store_group),
	    "one change of all: one group");
	n = store_states_read(v, BLOCK, room);
	ok(n == STORE_BLOCK && room[0].uid == FIRST && room[31].uid == FIRST + 31 &&
		room[17].flags == STORE_SEEN && room[17].keywords == 5 && room[17].modseq == 9000,
	    "of which each gets its state");
	put(&r, message(FIRST + 4, STORE_SEEN, 5, 9001));
	put(&r, message(FIRST + 9, STORE_SEEN, 5, 9001));
	eq(r.states.head.count, 2, "two that are equal are one group");
	store_block_drop(&r.index, 1u << 4 | 1u << 9);
	ok(get(&r, room) == 0, "rows of other UIDs are no block");
	store_states_drop(&r.states, 1u << 4 | 1u << 9);
	n = get(&r, room);
	ok(n == 30 && r.states.head.count == 1 && room[4].uid == FIRST + 5 &&
		room[4].size == (FIRST + 5) * 7 && room[8].emailid == (FIRST + 10) * 1000,
	    "holes");
	eq(store_states_modseq(store_states_seal(&r.states)), 9000,
	    "the newest modseq is that of who is left");
	store_block_drop(&r.index, UINT32_MAX);
	store_states_drop(&r.states, UINT32_MAX);
	ok(r.index.head.uids == 0 && r.states.head.count == 0, "nothing");
}

/* Longer ones of a later minor version. */
static void
test_longer(void)
{
	struct rows r = { .index.head = { 0 } };
	struct store_record room[STORE_BLOCK], first = message(FIRST + 1, 1, 2, 3);
	struct store_state_head sh;
	struct store_block_head ih;
	struct buf index = { 0 }, states = { 0 };
	struct store_block b;
	struct store_states s;

	put(&r, first);
	put(&r, message(FIRST + 30, 2, 0, 4));
	(void)store_block_seal(&r.index);
	(void)store_states_seal(&r.states);
	ih = r.index.head;
	ih.record += 7;
	sh = r.states.head;
	sh.group += 5;
	buf_add(&index, &ih, sizeof(ih));
	buf_add(&states, &sh, sizeof(sh));
	for (size_t i = 0; i < 2; i++) {
		buf_add(&index, r.index.records[i], STORE_RECORD);
		buf_lit(&index, "what is");
		buf_add(&states, &r.states.groups[i], sizeof(r.states.groups[i]));
		buf_lit(&states, "later");
	}
	ok(store_block_read(buf_get(&index), buf_get(&states), BLOCK, room) == 2 &&
		same(&room[0], &first) && room[1].uid == FIRST + 30 && room[1].modseq == 4,
	    "longer entries are read without their tails");
	ok(store_block_load(buf_get(&index), &b) == 0 &&
		store_states_load(buf_get(&states), &s) == 0 &&
		slice_eq(store_block_seal(&b), store_block_seal(&r.index)) &&
		slice_eq(store_states_seal(&s), store_states_seal(&r.states)),
	    "and edited in our length");
	buf_fini(&index);
	buf_fini(&states);
}

static void
test_damage(void)
{
	struct rows r = { .index.head = { 0 } };
	struct store_record room[STORE_BLOCK];
	struct slice index, states;
	struct store_block b;
	struct store_states s;

	put(&r, message(FIRST, 1, 0, 3));
	put(&r, message(FIRST + 8, 0, 0, 4));
	put(&r, message(FIRST + 31, 0, 0, 5));
	index = store_block_seal(&r.index);
	states = store_states_seal(&r.states);
	ok(store_block_crc_ok(index) && store_states_crc_ok(states) &&
		store_block_uids(index) == (1u << 31 | 1u << 8 | 1) &&
		store_states_uids(states) == store_block_uids(index),
	    "good ones");
	for (size_t i = 0; i < index.n; i++)
		if (store_block_uids(slice(index.p, i)))
			ok(false, "an index cut off at %zu", i);
	for (size_t i = 0; i < states.n; i++)
		if (store_states_uids(slice(states.p, i)))
			ok(false, "a state cut off at %zu", i);
	for (size_t i = 0; i < index.n * 8; i++) {
		((char *)&r.index)[i / 8] ^= (char)(1 << i % 8);
		if (store_block_crc_ok(index))
			ok(false, "bit %zu of an index", i);
		/* What a reader believes must not hide or double a message. */
		if (i / 8 >= offsetof(struct store_block_head, uids) &&
		    i / 8 < sizeof(struct store_block_head) &&
		    store_block_read(index, states, BLOCK, room))
			ok(false, "bit %zu of its UIDs", i);
		((char *)&r.index)[i / 8] ^= (char)(1 << i % 8);
	}
	for (size_t i = 0; i < states.n * 8; i++) {
		((char *)&r.states)[i / 8] ^= (char)(1 << i % 8);
		if (store_states_crc_ok(states))
			ok(false, "bit %zu of a state", i);
		((char *)&r.states)[i / 8] ^= (char)(1 << i % 8);
	}
	ok(true, "each flipped bit is seen");
	r.states.groups[1].uids |= 1;
	ok(store_states_uids(states) == 0, "a UID in two groups is damage");
	r.states.groups[1].uids = 0;
	ok(store_states_uids(states) == 0 && store_states_read(states, BLOCK, room) == 0,
	    "an empty group too");
	ok(store_states_load(states, &s) == -EBADMSG && s.head.count == 0, "it is not loaded");
	ok(store_block_load(slice(index.p, index.n - 1), &b) == -EBADMSG && b.head.uids == 0,
	    "nor a short index");
	r.index.head.version = 1;
	ok(store_block_uids(index) == 0, "nor one of format 1 as if it were of today");
}

static void
test_v1(void)
{
	struct {
		struct store_block_head_v1 head;
		struct store_record_v1 rec[2];
	} PACKED v1 = { { .version = 1, .count = 2 },
		{ { .uid = FIRST + 1, .size = 4, .modseq = 5, .keywords = 6, .flags = 7 },
		    { .uid = FIRST + 3, .emailid = 9, .threadid = 10, .zone = 11 } } };
	struct slice v = slice((char *)&v1, sizeof(v1));
	struct store_record room[STORE_BLOCK];

	ok(store_block_read_v1(v, BLOCK, room) == 2 && room[0].uid == FIRST + 1 &&
		room[0].size == 4 && room[0].modseq == 5 && room[0].keywords == 6 &&
		room[0].flags == 7 && room[1].emailid == 9 && room[1].zone == 11 &&
		room[1].digest == 0,
	    "format 1, what it had not is 0");
	ok(store_block_read_v1(v, BLOCK + 1, room) == 0, "not as another block");
	for (size_t i = 0; i < v.n; i++)
		if (store_block_read_v1(slice(v.p, i), BLOCK, room))
			ok(false, "cut off at %zu", i);
	v1.rec[1].uid = FIRST + 1;
	ok(store_block_read_v1(v, BLOCK, room) == 0, "UIDs that do not ascend are no block");
}

/* Random changes, beside a plain array. */
static void
test_model(unsigned seed)
{
	struct rows r = { .index.head = { 0 } };
	struct store_record have[STORE_BLOCK] = { 0 }, room[STORE_BLOCK]; /* uid 0: not there */

	srandom(seed);
	for (unsigned step = 1; step < 20000; step++) {
		uint32_t at = (uint32_t)random() % STORE_BLOCK;
		uint32_t some = (uint32_t)random() << 1 & (uint32_t)random() << 1;
		struct store_group g = { 0, (uint16_t)random() % 3, (uint64_t)random() % 2,
			step / 8 };
		size_t n, seen = 0;

		switch (random() % 5) {
		case 0:
			store_block_drop(&r.index, some);
			store_states_drop(&r.states, some);
			for (size_t i = 0; i < STORE_BLOCK; i++)
				if (some & 1u << i)
					have[i].uid = 0;
			break;
		case 1:
			for (size_t i = 0; i < STORE_BLOCK; i++)
				if (have[i].uid && some & 1u << i) {
					g.uids |= 1u << i;
					have[i].flags = g.flags;
					have[i].keywords = g.keywords;
					have[i].modseq = g.modseq;
				}
			if (g.uids)
				store_states_set(&r.states, &g);
			break;
		default:
			have[at] = message(FIRST + at, g.flags, g.keywords, step);
			put(&r, have[at]);
		}
		n = r.index.head.uids ? get(&r, room) : 0;
		for (size_t i = 0; i < STORE_BLOCK; i++) {
			if (!have[i].uid)
				continue;
			if (seen >= n || !same(&room[seen], &have[i])) {
				ok(false, "seed %u, step %u, uid %zu", seed, step, i);
				return;
			}
			seen++;
		}
		if (seen != n) {
			ok(false, "seed %u, step %u: %zu messages, not %zu", seed, step, n, seen);
			return;
		}
	}
	ok(true, "20000 changes beside an array");
}

int
main(void)
{
	test_bits();
	test_shapes();
	test_longer();
	test_damage();
	test_v1();
	test_model(1);
	return done();
}

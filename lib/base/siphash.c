/* siphash.c: one round for eight octets, three at the end. */
#include "base/siphash.h"

static inline uint64_t
siphash_turn(uint64_t x, int by)
{
	return x << by | x >> (64 - by);
}

static inline void
siphash_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = siphash_turn(v[1], 13) ^ v[0];
	v[0] = siphash_turn(v[0], 32);
	v[2] += v[3];
	v[3] = siphash_turn(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = siphash_turn(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = siphash_turn(v[1], 17) ^ v[2];
	v[2] = siphash_turn(v[2], 32);
}

uint64_t
siphash(const struct siphash_key *key, struct slice s)
{
	uint64_t v[4] = { key->k[0] ^ 0x736f6d6570736575, key->k[1] ^ 0x646f72616e646f6d,
		key->k[0] ^ 0x6c7967656e657261, key->k[1] ^ 0x7465646279746573 };
	uint64_t last = (uint64_t)s.n << 56, word;

	for (; s.n >= 8; s = slice_from(s, 8)) {
		memcpy(&word, s.p, 8);
		v[3] ^= word;
		siphash_round(v);
		v[0] ^= word;
	}
	for (size_t i = 0; i < s.n; i++)
		last |= (uint64_t)(unsigned char)s.p[i] << 8 * i;
	v[3] ^= last;
	siphash_round(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		siphash_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* base/siphash.h: SipHash-1-3 (Aumasson, Bernstein): who does not know the key cannot make two texts
 * that have one hash.  For tables of what strangers send, where the hash stands for the text. */
#ifndef BASE_SIPHASH_H
#define BASE_SIPHASH_H
#include "base/slice.h"

struct siphash_key {
	uint64_t k[2]; /* of random_bytes() */
};
uint64_t siphash(const struct siphash_key *key, struct slice s);
#endif

/* directory/cache.h: answers we remember, the longest unused go first.
 *
 * A key has a record or, as a negative answer, none; each entry has its own age.  The table
 * of verified passwords is the same kind of thing and lives here too: it holds keyed hashes
 * under a key of this process, never a password. */
#ifndef DIRECTORY_CACHE_H
#define DIRECTORY_CACHE_H
#include "base/list.h"
#include "base/map.h"
#include "directory/record.h"

struct cache {
	struct map map;
	struct list lru;      /* the next to go is first */
	size_t n, max, bytes; /* bytes: of their records, at most CACHE_BYTES */
	uint64_t hits, misses;
};
void dir_cache_init(struct cache *c, size_t max);
void dir_cache_fini(struct cache *c);
void dir_cache_clear(struct cache *c);
void dir_cache_forget(struct cache *c, struct slice account); /* whatever leads to this user */
/* True when the answer is known and not older than its age; *r (borrowed) is NULL when the
 * answer is "there is none". */
bool dir_cache_get(struct cache *c, struct slice key, uint64_t now, struct record **r);
/* Is it known since at most `age` ms?  Counts nothing. */
bool dir_cache_young(const struct cache *c, struct slice key, uint64_t now, uint64_t age);
/* Remembers; takes a reference of its own.  age 0 remembers nothing. */
void dir_cache_put(struct cache *c, struct slice key, struct record *r, uint64_t now, uint64_t age);

#define PROOF_LEN 32 /* HMAC-SHA-256 */
struct proofs {
	struct map map; /* by DN */
	struct list lru;
	size_t n, max;
	unsigned char key[PROOF_LEN];
};
void dir_proofs_init(struct proofs *p, size_t max);
void dir_proofs_fini(struct proofs *p);
void dir_proofs_clear(struct proofs *p);
void dir_proofs_forget(struct proofs *p, struct slice account);
/* Was this the password of dn a moment ago?  Compared in constant time. */
/* password_at: when it was changed, as the entry says; a proof of another time is none. */
bool dir_proofs_check(struct proofs *p, struct slice dn, struct slice password, int64_t password_at,
    uint64_t now);
void dir_proofs_put(struct proofs *p, struct slice dn, struct slice account, struct slice password,
    int64_t password_at, uint64_t now, uint64_t age);
void dir_proofs_drop(struct proofs *p, struct slice dn);
#endif

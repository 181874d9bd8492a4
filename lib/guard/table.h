/* guard/table.h: what is remembered of strangers: a number for a key, in a mapped file that all workers share.
 *
 * A fixed number of slots of 16 octets, in sets of 16; a key has its place in one of them.  Nothing grows: where
 * a set is full the least number goes, which for times is the oldest.  There is no lock: a slot is two atomic
 * words, of which the second has some bits of the key above its number, so that nobody reads one key's number as
 * another's, whoever has written what of the two, and whatever of it a power cut has left.  Two workers that meet
 * in a set may lose one of two entries, and forget is what this table may do at any time.
 *
 * The file holds hashes with a key of its own, no addresses.  What is in it is believed to be numbers and
 * nothing else; a damaged one is made anew. */
#ifndef GUARD_TABLE_H
#define GUARD_TABLE_H
#include "base/slice.h"
#include "net/addr.h"

#define GUARD_SLOTS 262144 /* 4 MB, of which what is used is in memory */

struct guard_table;
/* Opens `path`, or makes it (mode 0600).  0 or -errno. */
int guard_table_open(const char *path, struct guard_table **t) MUSTCHECK;
/* The same for this process alone; for when there is no file. */
struct guard_table *guard_table_private(void);
void guard_table_close(struct guard_table **t);

/* What a key is about; the same address has a number for each. */
enum guard_about {
	GUARD_KNOWN, /* has passed; until when: of all three so that the later number is the later time */
	GUARD_FRESH,   /* and its lists have been asked; until when that holds */
	GUARD_BLOCKED, /* was refused; until when */
	GUARD_CLIENT,  /* a bucket: its connections */
	GUARD_NETWORK, /* a bucket: those of its network */
	GUARD_WRITTEN  /* a user has written to somebody; until when that is remembered */
};
/* Of one client: IPv4, or a /64 of IPv6 (net/addr.h). */
uint64_t guard_key(const struct guard_table *t, enum guard_about about, const struct addr *a);
/* Of its network: /24 of IPv4, /48 of IPv6. */
uint64_t guard_key_network(const struct guard_table *t, const struct addr *a);
/* Of any text, octet by octet. */
uint64_t guard_key_text(const struct guard_table *t, enum guard_about about, struct slice text);

/* A number has 48 bits: microseconds of nine years, or seconds and 16 bits more.  0: nothing. */
uint64_t guard_table_get(const struct guard_table *t, uint64_t key);
void guard_table_put(struct guard_table *t, uint64_t key, uint64_t number);
void guard_table_forget(struct guard_table *t, uint64_t key);

/* A token bucket: `rate` a minute, and as many at once.  True when one more may come at `now_us` (monotonic, of
 * this boot), which is counted then. */
bool guard_bucket_take(struct guard_table *t, uint64_t key, uint64_t rate, uint64_t now_us);
#endif

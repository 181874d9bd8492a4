/* imap/set.h: sequence sets (RFC 3501 9, sequence-set): "2,4:7,9,12:*".
 *
 * A set as parsed may have its ranges in any order, reversed and with `*`; after
 * imap_set_resolve it is ascending, merged and plain.  Memory comes from the command's arena. */
#ifndef IMAP_SET_H
#define IMAP_SET_H
#include "base/arena.h"
#include "base/buf.h"

#define IMAP_STAR 0 /* stands for `*` until resolved: 0 is no legal number */

struct imap_range {
	uint32_t lo, hi; /* both included */
};
struct imap_set {
	struct imap_range *r;
	size_t n, room;
	bool saved; /* "$" (RFC 5182): the program knows which; r is empty until it has said so */
};

/* Parses the whole of `s`.  0 or -EBADMSG. */
int imap_set_parse(struct slice s, struct arena *a, struct imap_set *set) MUSTCHECK;
/* `*` becomes `max` (with max 0, an empty mailbox, ranges with `*` vanish), ranges are put in
 * order and merged.  Returns the largest number of the ranges without `*`, to check against. */
uint32_t imap_set_resolve(struct imap_set *set, uint32_t max);
/* Of a parsed or a resolved one, with ranges of its own. */
struct imap_set imap_set_copy(const struct imap_set *set, struct arena *a);
/* The rest works on resolved sets. */
bool imap_set_has(const struct imap_set *set, uint32_t n);
uint64_t imap_set_count(const struct imap_set *set);
/* Adds at the end: lo must be above everything that is there. */
void imap_set_add(struct imap_set *set, struct arena *a, uint32_t lo, uint32_t hi);
/* A piece of a set: of its numbers those from the one at `from` (from 0) on, at most n. */
void imap_set_cut(const struct imap_set *set, uint64_t from, uint64_t n, struct arena *a,
    struct imap_set *piece);
/* Appends "1:3,5". */
void imap_set_write(struct buf *b, const struct imap_set *set);
#endif

/* imap/radix.h: numbers of 64 bits in order, stable, as SORT and THREAD have them.  Pure. */
#ifndef IMAP_RADIX_H
#define IMAP_RADIX_H
#include "base/slice.h"

struct imap_radix_item {
	uint64_t key;
	uint32_t row;
};
/* Ascending by key; equal ones stay in their order.  `spare` has room for n.  Costs 8 passes at most.
 * False: stopped() said so, asked between passes. */
bool imap_radix_sort(struct imap_radix_item *a, struct imap_radix_item *spare, size_t n,
    bool (*stopped)(void));
#endif

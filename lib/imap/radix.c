/* imap/radix.c: passes over the octets in which some keys differ, the lowest first. */
#include "imap/radix.h"

bool
imap_radix_sort(struct imap_radix_item *a, struct imap_radix_item *spare, size_t n,
    bool (*stopped)(void))
{
	uint64_t differ = 0;
	struct imap_radix_item *from = a, *to = spare;
	bool sorted = true;

	for (size_t i = 1; i < n; i++) {
		differ |= a[i].key ^ a[0].key;
		sorted = sorted && a[i - 1].key <= a[i].key;
	}
	for (unsigned shift = 0; shift < 64 && !sorted; shift += 8) {
		size_t at[256] = { 0 }, sum = 0;
		struct imap_radix_item *swap = from;

		if (!(differ >> shift & 0xff))
			continue;
		if (stopped())
			return false;
		for (size_t i = 0; i < n; i++)
			at[from[i].key >> shift & 0xff]++;
		for (size_t i = 0; i < 256; i++) {
			size_t count = at[i];

			at[i] = sum;
			sum += count;
		}
		for (size_t i = 0; i < n; i++)
			to[at[from[i].key >> shift & 0xff]++] = from[i];
		from = to;
		to = swap;
	}
	if (from != a)
		memcpy(a, from, n * sizeof(*a));
	return true;
}

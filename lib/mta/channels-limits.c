/* channels-limits.c: how much of a channel's mail goes out, and how fast: see channels.h.
 *
 * Called by channels.c while it reads, and by jobctl and its masters afterwards; no state, nothing fails but
 * a text that says nothing. */
#include <errno.h>
#include "mta/channels.h"
#include "mta/keywords.h"

int
channels_rate_parse(struct slice s, struct channel_rate *r)
{
	size_t slash = slice_find(s, '/');
	uint64_t n;
	uint32_t per;

	if (slash == s.n || slice_u64(slice(s.p, slash), 1000000000, &n) < 0 || n == 0 ||
	    mta_period_parse(slice_from(s, slash + 1), &per) < 0 || per == 0)
		return -EINVAL;
	*r = (struct channel_rate){ (uint32_t)n, per };
	return 0;
}

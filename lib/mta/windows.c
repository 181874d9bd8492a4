/* windows.c: see windows.h.  Pure; what the clock says of the local day is the caller's. */
#include "mta/windows.h"

#include <errno.h>

/* HH:MM or HH:MM:SS. */
static int
window_time(struct slice s, uint32_t *second)
{
	static const uint64_t most[] = { 24, 59, 59 };
	static const uint32_t worth[] = { 3600, 60, 1 };
	size_t parts = 0;
	uint32_t sum = 0;

	while (parts < 3) {
		struct slice part = slice(s.p, slice_find(s, ':'));
		uint64_t n;

		if (part.n != 2 || slice_u64(part, most[parts], &n) < 0)
			return -EINVAL;
		sum += (uint32_t)n * worth[parts++];
		if (part.n == s.n)
			break;
		s = slice_from(s, part.n + 1);
		if (parts == 3)
			return -EINVAL;
	}
	*second = sum;
	return parts >= 2 && sum <= MTA_DAY ? 0 : -EINVAL;
}

int
mta_window_parse(struct slice word, struct mta_window *w)
{
	size_t dash = slice_find(word, '-');

	if (dash == word.n || window_time(slice(word.p, dash), &w->from) < 0 ||
	    window_time(slice_from(word, dash + 1), &w->to) < 0)
		return -EINVAL;
	return w->from < MTA_DAY && w->to > 0 && w->from != w->to ? 0 : -EINVAL;
}

bool
mta_windows_open(const struct mta_windows *ws, uint32_t second)
{
	for (uint32_t i = 0; i < ws->n; i++) {
		const struct mta_window *w = &ws->w[i];

		if (w->from < w->to ? second >= w->from && second < w->to :
				      second >= w->from || second < w->to)
			return true;
	}
	return ws->n == 0;
}

uint32_t
mta_windows_next(const struct mta_windows *ws, uint32_t second)
{
	uint32_t best = 0;

	for (uint32_t i = 0; i < ws->n; i++) {
		const uint32_t edges[] = { ws->w[i].from, ws->w[i].to };

		for (int k = 0; k < 2; k++) {
			uint32_t left = (edges[k] + MTA_DAY - second % MTA_DAY) % MTA_DAY;

			if (left == 0)
				left = MTA_DAY;
			if (!best || left < best)
				best = left;
		}
	}
	return best;
}

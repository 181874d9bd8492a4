/* storectl restore: what others had seen of a folder, put back.
 *
 * Called by restore.c behind the folder's messages.  Only where they have the UIDs that they had: else nothing is known of
 * what was seen.  A frame that cannot be read is told, and costs no mail. */
#include <sysexits.h>

#include "restore.h"
#include "store/seen.h"

#define SEEN_MOST 1000 /* ranges of a request */

static bool
seen_mark(struct restoring *r, struct slice login, const struct store_range *list, size_t n,
    enum store_how how)
{
	const struct store_change change = { .how = how, .flags = STORE_SEEN };

	store_flags_as_start(r->ask.client, login, r->mailbox, list, n, &change, &r->ask.op,
	    asking_done, &r->ask);
	return restore_asked(r, r->folder);
}

/* "1:5,9:9".  False: it is none. */
static bool
seen_ranges(struct slice text, struct buf *ranges)
{
	struct slice one, first;
	uint64_t lo, hi;

	while (slice_cut(&text, ',', &one)) {
		struct store_range range;

		if (!slice_cut(&one, ':', &first) || slice_u64(first, UINT32_MAX, &lo) < 0 ||
		    slice_u64(one, UINT32_MAX, &hi) < 0 || lo == 0 || hi < lo)
			return false;
		range = (struct store_range){ (uint32_t)lo, (uint32_t)hi };
		buf_add(ranges, &range, sizeof(range));
	}
	return true;
}

void
restore_seen(struct restoring *r, struct slice line)
{
	const struct store_range known = { 1, r->uidnext - 1 }, *list; /* to the stream */
	struct buf login = { 0 }, uids = { 0 }, ranges = { 0 };

	if (!r->mailbox || !r->keeps || r->rc)
		return;
	if (r->put.n && put_flush(&r->put) != 0) {
		restore_bad(r, "what was in hand is not sure");
		r->rc = EX_SOFTWARE;
		return;
	}
	if (kv_decode(&login, kv_find(line, "login")) < 0 || !store_login_ok(buf_get(&login)) ||
	    kv_decode(&uids, kv_find(line, "uids")) < 0 || !seen_ranges(buf_get(&uids), &ranges)) {
		restore_bad(r, "what a reader has seen, which cannot be read");
	} else if (!slice_eq(buf_get(&login),
		       slice_str(r->account))) { /* under another name it may be his */
		bool good = !restore_number(line, "whole") || r->uidnext < 2 ||
		    seen_mark(r, buf_get(&login), &known, 1, STORE_REMOVE);

		list = (const void *)ranges.p;
		for (size_t i = 0, n; good && i < ranges.n / sizeof(*list); i += n) {
			n = ranges.n / sizeof(*list) - i;
			n = n > SEEN_MOST ? SEEN_MOST : n;
			good = seen_mark(r, buf_get(&login), &list[i], n, STORE_ADD);
		}
	}
	buf_fini(&login);
	buf_fini(&uids);
	buf_fini(&ranges);
}

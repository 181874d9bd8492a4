/* imap/set.c: sequence sets, RFC 3501 9.
 *
 * Called by args.c (parsing), by imapd's views and cursors (resolving, asking, adding) and for
 * answers (writing).  Parsing fails on what is not the grammar; a set has as many ranges as its
 * text has commas, so the limit of a command's length bounds it.  What must stay true: once
 * resolved, ranges ascend and do not touch, which imap_set_find and everybody who walks two sets
 * at a time rely on. */
#include "imap/set.h"

#include <errno.h>
#include <stdlib.h>

#include "base/must.h"

/* A number or `*` off the front of *s. */
static bool
imap_set_take_number(struct slice *s, uint32_t *v)
{
	uint64_t n = 0;
	size_t i = 0;

	if (s->n > 0 && s->p[0] == '*') {
		*v = IMAP_STAR;
		*s = slice_from(*s, 1);
		return true;
	}
	for (; i < s->n && s->p[i] >= '0' && s->p[i] <= '9'; i++) {
		n = n * 10 + (uint64_t)(s->p[i] - '0');
		if (n > UINT32_MAX)
			return false;
	}
	if (i == 0 || n == 0)
		return false;
	*v = (uint32_t)n;
	*s = slice_from(*s, i);
	return true;
}

int
imap_set_parse(struct slice s, struct arena *a, struct imap_set *set)
{
	size_t n = 1;

	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == ',';
	*set = (struct imap_set){ .room = n };
	set->r = arena_array(a, n, sizeof(*set->r));
	for (;;) {
		struct imap_range *r = &set->r[set->n];

		if (!imap_set_take_number(&s, &r->lo))
			return -EBADMSG;
		r->hi = r->lo;
		if (s.n > 0 && s.p[0] == ':') {
			s = slice_from(s, 1);
			if (!imap_set_take_number(&s, &r->hi))
				return -EBADMSG;
		}
		set->n++;
		if (s.n == 0)
			return 0;
		if (s.p[0] != ',')
			return -EBADMSG;
		s = slice_from(s, 1);
	}
}

struct imap_set
imap_set_copy(const struct imap_set *set, struct arena *a)
{
	struct imap_set copy = *set;

	copy.r = arena_array(a, set->n + 1, sizeof(*copy.r));
	copy.room = set->n + 1;
	if (set->n > 0)
		memcpy(copy.r, set->r, set->n * sizeof(*copy.r));
	return copy;
}

static int
by_lo(const void *a, const void *b)
{
	const struct imap_range *x = a, *y = b;

	return x->lo < y->lo ? -1 : x->lo > y->lo;
}

uint32_t
imap_set_resolve(struct imap_set *set, uint32_t max)
{
	uint32_t largest = 0;
	size_t n = 0;
	bool sorted = true;

	for (size_t i = 0; i < set->n; i++) {
		struct imap_range r = set->r[i];
		bool star = r.lo == IMAP_STAR || r.hi == IMAP_STAR;

		if (star && max == 0)
			continue;
		if (!star && (r.lo > largest || r.hi > largest))
			largest = r.lo > r.hi ? r.lo : r.hi;
		r.lo = r.lo == IMAP_STAR ? max : r.lo;
		r.hi = r.hi == IMAP_STAR ? max : r.hi;
		if (r.lo > r.hi)
			r = (struct imap_range){ r.hi, r.lo };
		sorted = sorted && (n == 0 || set->r[n - 1].lo <= r.lo);
		set->r[n++] = r;
	}
	set->n = n;
	if (!sorted)
		qsort(set->r, n, sizeof(*set->r), by_lo);
	n = 0;
	for (size_t i = 0; i < set->n; i++) {
		struct imap_range r = set->r[i];

		if (n > 0 && (r.lo <= set->r[n - 1].hi || r.lo - 1 == set->r[n - 1].hi)) {
			if (r.hi > set->r[n - 1].hi)
				set->r[n - 1].hi = r.hi;
		} else {
			set->r[n++] = r;
		}
	}
	set->n = n;
	return largest;
}

/* Index of the first range whose hi >= n (set->n when there is none). */
static size_t
imap_set_find(const struct imap_set *set, uint32_t n)
{
	size_t lo = 0, hi = set->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (set->r[mid].hi < n)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool
imap_set_has(const struct imap_set *set, uint32_t n)
{
	size_t i = imap_set_find(set, n);

	return i < set->n && set->r[i].lo <= n;
}

uint64_t
imap_set_count(const struct imap_set *set)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < set->n; i++)
		sum += (uint64_t)(set->r[i].hi - set->r[i].lo) + 1;
	return sum;
}

void
imap_set_cut(const struct imap_set *set, uint64_t from, uint64_t n, struct arena *a,
    struct imap_set *piece)
{
	*piece = (struct imap_set){ 0 };
	for (size_t i = 0; i < set->n && n > 0; i++) {
		uint64_t have = (uint64_t)(set->r[i].hi - set->r[i].lo) + 1, take;

		if (from >= have) {
			from -= have;
			continue;
		}
		take = have - from < n ? have - from : n;
		imap_set_add(piece, a, set->r[i].lo + (uint32_t)from,
		    set->r[i].lo + (uint32_t)(from + take - 1));
		from = 0;
		n -= take;
	}
}

void
imap_set_add(struct imap_set *set, struct arena *a, uint32_t lo, uint32_t hi)
{
	must(lo <= hi);
	if (set->n > 0) {
		must(set->r[set->n - 1].hi < lo);
		if (set->r[set->n - 1].hi + 1 == lo) {
			set->r[set->n - 1].hi = hi;
			return;
		}
	}
	if (set->n == set->room) {
		size_t room = set->room ? set->room * 2 : 16;
		struct imap_range *r = arena_array(a, room, sizeof(*r));

		if (set->n > 0)
			memcpy(r, set->r, set->n * sizeof(*r));
		set->r = r;
		set->room = room;
	}
	set->r[set->n++] = (struct imap_range){ lo, hi };
}

void
imap_set_write(struct buf *b, const struct imap_set *set)
{
	for (size_t i = 0; i < set->n; i++) {
		if (i > 0)
			buf_char(b, ',');
		buf_u64(b, set->r[i].lo);
		if (set->r[i].hi != set->r[i].lo) {
			buf_char(b, ':');
			buf_u64(b, set->r[i].hi);
		}
	}
}

/* imap/sort.c: SORT's criteria, RFC 5256 5 (sort-criterion) and RFC 5957 5, and the order of rows.
 *
 * Called by imapd: the grammar on the loop, the sorting of many rows on the work pool.  Rows are
 * sorted as numbers of 64 bits (of a text its next eight octets), by radix passes that take only the
 * octets that differ; where they are equal, by what follows.  Comparing whole rows would be three
 * times dearer, most of it in waiting for memory.  What must stay true: rows that are equal in all
 * keys stay in their order (RFC 5256 3: "the implicit sort criterion of sequence number"), and
 * REVERSE turns its own key alone.  Texts share long beginnings only where somebody wants that: such
 * rows are merged by comparison after some rounds, for the rounds are calls within calls. */
#include "imap/sort.h"

#include "base/mem.h"
#include "imap/radix.h"

/* ---- grammar ---------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	enum imap_sort_by by;
	const char *source;
	/* clang-format off */
} sort_keys[] = {
	{ "ARRIVAL",     IMAP_BY_ARRIVAL,     "RFC 5256 3" },
	{ "CC",          IMAP_BY_CC,          "RFC 5256 3" },
	{ "DATE",        IMAP_BY_DATE,        "RFC 5256 3" },
	{ "DISPLAYFROM", IMAP_BY_DISPLAYFROM, "RFC 5957 4" },
	{ "DISPLAYTO",   IMAP_BY_DISPLAYTO,   "RFC 5957 4" },
	{ "FROM",        IMAP_BY_FROM,        "RFC 5256 3" },
	{ "SIZE",        IMAP_BY_SIZE,        "RFC 5256 3" },
	{ "SUBJECT",     IMAP_BY_SUBJECT,     "RFC 5256 3" },
	{ "TO",          IMAP_BY_TO,          "RFC 5256 3" },
};
/* clang-format on */

static bool
sort_parse_key(struct imap_in *in, struct imap_sort_key *k)
{
	k->reverse = imap_word(in, "REVERSE");
	if (k->reverse && !imap_space(in))
		return false;
	for (size_t i = 0; i < NELEM(sort_keys); i++)
		if (imap_word(in, sort_keys[i].name)) {
			k->by = sort_keys[i].by;
			return true;
		}
	if (!in->why)
		in->why = "Unknown sort key";
	return false;
}

bool
imap_sort_parse(struct imap_in *in, struct imap_sort *s)
{
	unsigned seen = 0;
	int more = 1;

	*s = (struct imap_sort){ 0 };
	if (!imap_space(in) || !imap_open(in))
		return false;
	for (; more > 0; more = imap_more(in)) {
		struct imap_sort_key k;

		if (!sort_parse_key(in, &k))
			return false;
		if (!(seen & 1u << k.by))
			s->keys[s->n++] = k;
		seen |= 1u << k.by;
	}
	return more == 0;
}

/* ---- rows --------------------------------------------------------------------------------------- */

#define LENGTH_BITS 16 /* of a text cell; above them is where it lies */
_Static_assert(IMAP_SORT_TEXT_MAX < 1 << LENGTH_BITS, "a cell holds a text's length");

void
imap_rows_begin(struct imap_rows *t)
{
	if (t->n == t->room) {
		t->room = t->room ? t->room * 2 : 256;
		t->cells = mem_grow(t->cells, t->room, t->by->n * sizeof(*t->cells));
	}
	t->n++;
}

static uint64_t *
rows_cell(const struct imap_rows *t, size_t row, unsigned key)
{
	return &t->cells[row * t->by->n + key];
}

/* Numbers are kept so that they compare without sign. */
void
imap_rows_number(struct imap_rows *t, unsigned key, int64_t v)
{
	*rows_cell(t, t->n - 1, key) = (uint64_t)v ^ UINT64_C(1) << 63;
}

void
imap_rows_text(struct imap_rows *t, unsigned key, size_t from)
{
	char *nul;

	if (t->texts.n - from > IMAP_SORT_TEXT_MAX)
		t->texts.n = from + IMAP_SORT_TEXT_MAX;
	while (t->texts.n > from && (nul = memchr(t->texts.p + from, 0, t->texts.n - from)))
		*nul = 1;
	*rows_cell(t, t->n - 1, key) = (uint64_t)from << LENGTH_BITS | (t->texts.n - from);
}

void
imap_rows_fini(struct imap_rows *t)
{
	mem_free(&t->cells);
	buf_fini(&t->texts);
	t->n = t->room = 0;
}

static struct slice
rows_text(const struct imap_rows *t, size_t row, unsigned key)
{
	uint64_t c = *rows_cell(t, row, key);

	return slice(t->texts.p + (c >> LENGTH_BITS), c & ((1 << LENGTH_BITS) - 1));
}

/* ---- the order ---------------------------------------------------------------------------------- */

#define OCTETS    8    /* of a text that one round looks at */
#define ROUNDS    12   /* so many calls within calls, then rows are compared */
#define SMALL     48   /* rows that are compared at once: passes have a price of their own */
#define STOP_EACH 8192 /* rows between two looks whether to stop */

struct sorting {
	const struct imap_rows *t;
	struct imap_radix_item *spare; /* as many as rows */
	bool (*stopped)(void);
	bool stop;
};

/* Octets at..at+7 of a text, as a number in their order; what is not there is below everything. */
static uint64_t
sort_octets(struct slice s, size_t at)
{
	uint64_t v = 0;

	s = slice_from(s, at);
	if (s.n >= OCTETS) {
		memcpy(&v, s.p, OCTETS);
		return __builtin_bswap64(v);
	}
	for (size_t i = 0; i < s.n; i++)
		v |= (uint64_t)(unsigned char)s.p[i] << (56 - 8 * i);
	return v;
}

static int
sort_compare_text(struct slice a, struct slice b)
{
	int c = slice_cmp(a, b);

	return c < 0 ? -1 : c > 0;
}

/* Two rows, from a key on. */
static int
sort_compare_keys(const struct imap_rows *t, unsigned key, uint32_t a, uint32_t b)
{
	for (; key < t->by->n; key++) {
		const struct imap_sort_key *k = &t->by->keys[key];
		int c;

		if (imap_sort_is_text(k->by)) {
			c = sort_compare_text(rows_text(t, a, key), rows_text(t, b, key));
		} else {
			uint64_t x = *rows_cell(t, a, key), y = *rows_cell(t, b, key);

			c = x < y ? -1 : x > y;
		}
		if (c != 0)
			return k->reverse ? -c : c;
	}
	return 0;
}

/* Never 0 of two different rows. */
static int
sort_compare(const struct imap_rows *t, unsigned key, uint32_t a, uint32_t b)
{
	int c = sort_compare_keys(t, key, a, b);

	return c ? c : a < b ? -1 : 1;
}

int
imap_rows_compare(const struct imap_rows *t, uint32_t a, uint32_t b)
{
	return sort_compare_keys(t, 0, a, b);
}

static bool
sort_must_stop(struct sorting *s)
{
	s->stop = s->stop || s->stopped();
	return s->stop;
}

/* Merge sort, from the bottom up, over runs that insertion has sorted. */
static void
sort_merge(struct sorting *s, struct imap_radix_item *a, size_t n, unsigned key)
{
	struct imap_radix_item *from = a, *to = s->spare;

	for (size_t at = 0; at < n; at += SMALL) {
		size_t end = at + SMALL < n ? at + SMALL : n;

		if (at % STOP_EACH < SMALL && at > 0 && sort_must_stop(s))
			return;
		for (size_t i = at + 1; i < end; i++) {
			struct imap_radix_item x = a[i];
			size_t j = i;

			for (; j > at && sort_compare(s->t, key, x.row, a[j - 1].row) < 0; j--)
				a[j] = a[j - 1];
			a[j] = x;
		}
	}
	for (size_t run = SMALL; run < n; run *= 2) {
		struct imap_radix_item *swap = from;

		for (size_t at = 0; at < n; at += 2 * run) {
			size_t i = at, mid = at + run < n ? at + run : n, j = mid;
			size_t end = mid + run < n ? mid + run : n;

			for (size_t k = at; k < end; k++) {
				bool left = j == end ||
				    (i < mid &&
					sort_compare(s->t, key, from[i].row, from[j].row) < 0);

				to[k] = left ? from[i++] : from[j++];
				if (k % STOP_EACH == 0 && sort_must_stop(s))
					return;
			}
		}
		from = to;
		to = swap;
	}
	if (from != a)
		memcpy(a, from, n * sizeof(*a));
}

static void sort_range(struct sorting *s, struct imap_radix_item *a, size_t n, unsigned key,
    size_t at, unsigned round);

/* Rows that are equal so far: the rest of the text, or the next key.  No text has a NUL, so where one
 * is longer than the octets that were looked at, all are. */
static void
sort_equal(struct sorting *s, struct imap_radix_item *a, size_t n, unsigned key, size_t at,
    unsigned round)
{
	const struct imap_rows *t = s->t;

	if (n < 2)
		return;
	if (imap_sort_is_text(t->by->keys[key].by)) {
		size_t longest = 0;

		for (size_t i = 0; i < n; i++) {
			size_t len = rows_text(t, a[i].row, key).n;

			longest = len > longest ? len : longest;
		}
		if (longest > at + OCTETS) {
			if (n <= SMALL || round == ROUNDS)
				sort_merge(s, a, n, key);
			else
				sort_range(s, a, n, key, at + OCTETS, round + 1);
			return;
		}
	}
	if (key + 1 < t->by->n)
		sort_range(s, a, n, key + 1, 0, round);
}

/* By what stands at `at` of the key and all behind it. */
static void
sort_range(struct sorting *s, struct imap_radix_item *a, size_t n, unsigned key, size_t at,
    unsigned round)
{
	const struct imap_sort_key *k = &s->t->by->keys[key];
	bool text = imap_sort_is_text(k->by);

	if (sort_must_stop(s))
		return;
	if (n <= SMALL && at == 0) {
		sort_merge(s, a, n, key);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		uint64_t v = text ? sort_octets(rows_text(s->t, a[i].row, key), at) :
				    *rows_cell(s->t, a[i].row, key);

		a[i].key = k->reverse ? ~v : v;
	}
	s->stop = s->stop || !imap_radix_sort(a, s->spare, n, s->stopped);
	for (size_t i = 0, end; i < n && !s->stop; i = end) {
		for (end = i + 1; end < n && a[end].key == a[i].key; end++)
			;
		sort_equal(s, a + i, end - i, key, at, round);
	}
}

static bool
sort_never_stops(void)
{
	return false;
}

bool
imap_rows_sort(const struct imap_rows *t, uint32_t *out, bool (*stopped)(void))
{
	struct sorting s = { .t = t, .stopped = stopped ? stopped : sort_never_stops };
	struct imap_radix_item *items = mem_array(t->n + 1, sizeof(*items));

	s.spare = mem_array(t->n + 1, sizeof(*items));
	for (size_t i = 0; i < t->n; i++)
		items[i].row = (uint32_t)i;
	if (t->n > 0)
		sort_range(&s, items, t->n, 0, 0, 0);
	for (size_t i = 0; i < t->n; i++)
		out[i] = items[i].row;
	mem_free(&items);
	mem_free(&s.spare);
	return !s.stop;
}

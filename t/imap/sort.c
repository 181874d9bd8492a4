/* SORT: its criteria, base subjects by the rules of RFC 5256 2.1 one by one, and the order of rows
 * against comparison of whole rows, with random and hostile texts. */
#include "../tap.h"
#include "base/mem.h"
#include "imap/sort.h"
#include "imap/subject.h"

/* ---- base subjects ------------------------------------------------------------------------------- */

static void
test_subjects(void)
{
	static const struct {
		const char *text, *base;
		bool reply;
		/* clang-format off */
	} rows[] = {
		{ "hello", "hello", false },
		{ "", "", false },
		{ "   ", "", false },
		{ "a\t \r\n b", "a b", false },			/* step 1 */
		{ "hello (fwd)", "hello", true },		/* 2 */
		{ "hello (FWD) (fwd)\t", "hello", true },
		{ "(fwd)", "", true },
		{ "hello (fwd) x", "hello (fwd) x", false },
		{ "Re: hello", "hello", true },			/* 3 */
		{ "RE:hello", "hello", true },
		{ "re : hello", "hello", true },
		{ "Re[4]: hello", "hello", true },
		{ "Re [4] : hello", "hello", true },
		{ "Re[4: hello", "Re[4: hello", false },
		{ "Fw: hello", "hello", true },
		{ "FWD: hello", "hello", true },
		{ "fwd[x]: hello", "hello", true },
		{ "Re: Fwd: RE: hello", "hello", true },
		{ "[list] Re: hello", "hello", true },
		{ "[list][other] Re: [list] hello", "hello", true },
		{ "Re hello", "Re hello", false },
		{ "Ref: hello", "Ref: hello", false },
		{ "fwx: hello", "fwx: hello", false },
		{ "AW: hello", "AW: hello", false },		/* other languages stay */
		{ "[list] hello", "hello", false },		/* 4 */
		{ "[list]", "[list]", false },
		{ "[a] [b]", "[b]", false },
		{ "[a] [b] c", "c", false },
		{ "[a[b] c", "[a[b] c", false },
		{ "[a]b] c", "b] c", false },
		{ "Re: [a]", "[a]", true },
		{ "Re:", "", true },
		{ "[a] Re:", "", true },
		{ "[fwd: hello]", "hello", true },		/* 6 */
		{ "[Fwd: [list] Re: hello (fwd)]", "hello", true },
		{ "[fwd: [fwd: Re: hello]]", "hello", true },
		{ "Re: [fwd: hello] (fwd)", "hello", true },
		{ "[fwd: hello", "[fwd: hello", false },
		{ "[fwd: hello] x", "x", false },
		{ "[fwd:]", "", true },
		{ "Gr\xc3\xbc\xc3\x9f""e", "Gr\xc3\xbc\xc3\x9f""e", false },
		{ "[\xc3\xbc] a", "a", false },			/* a blob has any octet */
	};
	/* clang-format on */
	struct buf scratch = { 0 };

	for (size_t i = 0; i < NELEM(rows); i++) {
		bool reply;
		char got[200];

		slice_cstr(imap_base_subject(slice_str(rows[i].text), &scratch, &reply), got,
		    sizeof(got));
		is(got, rows[i].base, "base subject of \"%s\"", rows[i].text);
		eq(reply, rows[i].reply, "is \"%s\" an answer", rows[i].text);
	}
	buf_fini(&scratch);
}

/* The steps as they are told, each tried after the other until nothing changes. */
static struct slice
plain_blanks(struct slice s)
{
	while (s.n > 0 && s.p[0] == ' ')
		s = slice_from(s, 1);
	return s;
}

static bool
plain_blob(struct slice s, struct slice *rest)
{
	if (s.n == 0 || s.p[0] != '[')
		return false;
	for (size_t i = 1; i < s.n; i++) {
		if (s.p[i] == '[')
			return false;
		if (s.p[i] == ']') {
			*rest = plain_blanks(slice_from(s, i + 1));
			return true;
		}
	}
	return false;
}

static bool
plain_leader(struct slice s, struct slice *rest)
{
	static const char *const words[] = { "re", "fw", "fwd" };

	if (s.n > 0 && s.p[0] == ' ') {
		*rest = slice_from(s, 1);
		return true;
	}
	for (size_t i = 0; i < NELEM(words); i++) {
		struct slice at = s;

		if (!slice_istarts(at, slice_str(words[i])))
			continue;
		at = plain_blanks(slice_from(at, strlen(words[i])));
		if (at.n > 0 && at.p[0] == ':') {
			*rest = slice_from(at, 1);
			return true;
		}
		if (plain_blob(at, &at) && at.n > 0 && at.p[0] == ':') {
			*rest = slice_from(at, 1);
			return true;
		}
	}
	return plain_blob(s, &s) && s.n > 0 && s.p[0] != ' ' && plain_leader(s, rest);
}

static struct slice
plain_base(struct slice s)
{
	bool again = true;

	while (again) {
		struct slice rest;

		again = false;
		for (;;) {
			if (s.n > 0 && s.p[s.n - 1] == ' ')
				s.n--;
			else if (s.n >= 5 && slice_ieq(slice_from(s, s.n - 5), S("(fwd)")))
				s.n -= 5;
			else
				break;
		}
		for (;;) {
			if (plain_leader(s, &rest))
				s = rest;
			else if (plain_blob(s, &rest) && rest.n > 0)
				s = rest;
			else
				break;
		}
		if (slice_istarts(s, S("[fwd:")) && slice_ends(s, S("]"))) {
			s = slice_sub(s, 5, s.n - 6);
			again = true;
		}
	}
	return s;
}

static void
test_random_subjects(void)
{
	static const char *const pieces[] = { "re", "Fw", "fwd", ":", " ", "[", "]", "[a]", "x",
		"(fwd)", "[fwd:", "re:", "[b] " };
	struct buf text = { 0 }, scratch = { 0 };
	size_t wrong = 0;
	bool reply;

	for (int i = 0; i < 200000; i++) {
		struct slice got, want;

		buf_clear(&text);
		for (int n = rand() % 12; n > 0; n--)
			buf_str(&text, pieces[(size_t)rand() % NELEM(pieces)]);
		for (size_t k = 1; k < text.n; k++) /* as it is compared: with single blanks */
			while (k < text.n && text.p[k] == ' ' && text.p[k - 1] == ' ')
				memmove(text.p + k, text.p + k + 1, --text.n - k);
		want = plain_base(buf_get(&text));
		got = imap_base_subject(buf_get(&text), &scratch, &reply);
		if (!slice_eq(got, want) && wrong++ == 0)
			printf("# \"" SFMT "\": got \"" SFMT "\", want \"" SFMT "\"\n",
			    SARG(buf_get(&text)), SARG(got), SARG(want));
	}
	eq(wrong, 0, "random subjects, as by the steps in their words");
	buf_fini(&text);
	buf_fini(&scratch);
}

/* ---- criteria ---------------------------------------------------------------------------------------- */

static bool
parse(const char *text, struct imap_sort *s)
{
	struct arena a = { 0 };
	struct imap_in in = { .s = slice_str(text), .arena = &a };
	bool good = imap_sort_parse(&in, s);

	arena_reset(&a);
	return good && in.s.n == 0;
}

static void
test_criteria(void)
{
	static const char *const bad[] = { "", " ()", " (NAME)", "(DATE)", " (REVERSE)",
		" (REVERSE REVERSE DATE)", " (DATE", " (DATE  SIZE)", " DATE" };
	struct imap_sort s;

	ok(parse(" (DATE)", &s) && s.n == 1 && s.keys[0].by == IMAP_BY_DATE && !s.keys[0].reverse,
	    "DATE");
	ok(parse(" (reverse displayto Subject)", &s) && s.n == 2 &&
		s.keys[0].by == IMAP_BY_DISPLAYTO && s.keys[0].reverse &&
		s.keys[1].by == IMAP_BY_SUBJECT && !s.keys[1].reverse,
	    "any case");
	ok(parse(" (TO CC FROM TO REVERSE CC SIZE)", &s) && s.n == 4 &&
		s.keys[3].by == IMAP_BY_SIZE,
	    "what stands there again decides nothing");
	for (size_t i = 0; i < NELEM(bad); i++)
		ok(!parse(bad[i], &s), "refused: \"%s\"", bad[i]);
}

/* ---- rows ---------------------------------------------------------------------------------------------- */

static const struct imap_rows *table;
static int64_t *numbers; /* as they were put in */

static int
row_compare(const void *pa, const void *pb)
{
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;

	for (unsigned k = 0; k < table->by->n; k++) {
		const struct imap_sort_key *key = &table->by->keys[k];
		uint64_t ca = table->cells[a * table->by->n + k],
			 cb = table->cells[b * table->by->n + k];
		int c;

		if (imap_sort_is_text(key->by))
			c = slice_cmp(slice(table->texts.p + (ca >> 16), ca & 0xffff),
			    slice(table->texts.p + (cb >> 16), cb & 0xffff));
		else
			c = numbers[a * table->by->n + k] < numbers[b * table->by->n + k] ?
			    -1 :
			    numbers[a * table->by->n + k] > numbers[b * table->by->n + k];
		if (c)
			return key->reverse ? -c : c;
	}
	return a < b ? -1 : a > b;
}

static unsigned looks, looks_max;

static bool
stops(void)
{
	return ++looks > looks_max;
}

/* Texts: of few letters, so that many are equal, with beginnings in common as long as `common`. */
static void
random_rows(struct imap_rows *t, const struct imap_sort *by, size_t n, size_t common, int letters)
{
	t->by = by;
	numbers = mem_grow(numbers, n * by->n + 1, sizeof(*numbers));
	for (size_t i = 0; i < n; i++) {
		imap_rows_begin(t);
		for (unsigned k = 0; k < by->n; k++) {
			size_t from = t->texts.n;

			if (!imap_sort_is_text(by->keys[k].by)) {
				int64_t v = rand() % letters - letters / 2;

				if (rand() % 50 == 0)
					v = rand() % 2 ? INT64_MIN : INT64_MAX;
				numbers[i * by->n + k] = v;
				imap_rows_number(t, k, v);
				continue;
			}
			for (size_t c = (size_t)rand() % 3 ? common : (size_t)rand() % (common + 1);
			     c > 0; c--)
				buf_char(&t->texts, 'a');
			for (int c = rand() % 12; c > 0; c--)
				buf_char(&t->texts,
				    (char)(rand() % 40 ? 'a' + rand() % letters : 0xe9));
			imap_rows_text(t, k, from);
		}
	}
}

static void
test_rows(void)
{
	static const struct imap_sort by[] = {
		{ { { IMAP_BY_SIZE, false } }, 1 },
		{ { { IMAP_BY_DATE, true } }, 1 },
		{ { { IMAP_BY_SUBJECT, false } }, 1 },
		{ { { IMAP_BY_SUBJECT, true }, { IMAP_BY_DATE, false } }, 2 },
		{ { { IMAP_BY_SIZE, true }, { IMAP_BY_FROM, false }, { IMAP_BY_TO, true } }, 3 },
	};
	static const size_t sizes[] = { 0, 1, 2, 47, 48, 49, 97, 1000, 5000 };
	static const size_t commons[] = { 0, 8, 300 };

	for (size_t b = 0; b < NELEM(by); b++)
		for (size_t n = 0; n < NELEM(sizes); n++)
			for (size_t c = 0; c < NELEM(commons); c++) {
				struct imap_rows t = { 0 };
				uint32_t *got = mem_array(sizes[n] + 1, 4);
				uint32_t *want = mem_array(sizes[n] + 1, 4);

				random_rows(&t, &by[b], sizes[n], commons[c], c == 1 ? 2 : 20);
				for (size_t i = 0; i < sizes[n]; i++)
					want[i] = (uint32_t)i;
				table = &t;
				qsort(want, sizes[n], 4, row_compare);
				ok(imap_rows_sort(&t, got, NULL) &&
					memcmp(got, want, sizes[n] * 4) == 0,
				    "order %zu of %zu rows, %zu octets in common", b, sizes[n],
				    commons[c]);
				for (looks_max = 0; looks_max < 8; looks_max++) {
					looks = 0;
					(void)!imap_rows_sort(&t, got, stops);
				}
				mem_free(&got);
				mem_free(&want);
				imap_rows_fini(&t);
			}
	mem_free(&numbers);
}

static void
test_edges(void)
{
	struct imap_sort by = { { { IMAP_BY_SUBJECT, false } }, 1 };
	struct imap_rows t = { .by = &by };
	uint32_t order[3];

	imap_rows_begin(&t);
	buf_add(&t.texts, "a\0b", 3);
	imap_rows_text(&t, 0, 0);
	imap_rows_begin(&t);
	buf_add(&t.texts, "a", 1);
	imap_rows_text(&t, 0, 3);
	imap_rows_begin(&t);
	for (int i = 0; i < 100000; i++)
		buf_char(&t.texts, 'A');
	imap_rows_text(&t, 0, 4);
	eq(t.texts.n, 4 + IMAP_SORT_TEXT_MAX, "a text is cut where a cell ends");
	ok(imap_rows_sort(&t, order, NULL) && order[0] == 2 && order[1] == 1 && order[2] == 0,
	    "a NUL is a character");
	looks = looks_max = 0;
	ok(!imap_rows_sort(&t, order, stops), "stopped");
	imap_rows_fini(&t);
}

int
main(void)
{
	srand(5);
	test_subjects();
	test_random_subjects();
	test_criteria();
	test_rows();
	test_edges();
	return done();
}

/* Sequence sets: RFC 3501 9, with reversed ranges and "*". */
#include <errno.h>

#include "../tap.h"
#include "imap/args.h"
#include "imap/set.h"

/* Parses, resolves against `max` and prints again. */
static const char *
round_trip(const char *text, uint32_t max)
{
	static char result[200];
	struct arena a = { 0 };
	struct imap_set set;
	struct buf b = { 0 };

	if (imap_set_parse(slice_str(text), &a, &set) < 0) {
		strcpy(result, "error");
	} else {
		imap_set_resolve(&set, max);
		imap_set_write(&b, &set);
		slice_cstr(buf_get(&b), result, sizeof(result));
	}
	buf_fini(&b);
	arena_reset(&a);
	return result;
}

/* A piece of a set, and the page of a partial range that it may be. */
static void
test_pieces(void)
{
	static const struct {
		const char *range, *piece; /* of 2:4,7,10:14; NULL: refused */
					   /* clang-format off */
	} rows[] = {
		{ "1:3", "2:4" }, { "1:1", "2" }, { "3:4", "4,7" }, { "4:3", "4,7" }, { "2:100", "3:4,7,10:14" },
		{ "9:9", "14" }, { "10:12", "" }, { "-1:-1", "14" }, { "-1:-6", "7,10:14" }, { "-6:-5", "7,10" },
		{ "-9:-4294967295", "2" }, { "-10:-11", "" }, { "1:4294967295", "2:4,7,10:14" },
		{ "0:1", NULL }, { "1", NULL }, { "1:-2", NULL }, { "-1:2", NULL }, { "1:*", NULL }, { "", NULL },
	};
	/* clang-format on */
	struct arena a = { 0 };
	struct imap_set set, piece;

	eq(imap_set_parse(S("2:4,7,10:14"), &a, &set), 0, "parsed");
	for (size_t i = 0; i < NELEM(rows); i++) {
		struct imap_in in = { .s = slice_str(rows[i].range), .arena = &a };
		struct imap_partial p = { 0 };
		struct buf b = { 0 };
		uint64_t from, n;

		if (!imap_partial_range(&in, &p)) {
			ok(!rows[i].piece && in.why && !p.text.p, "refused: \"%s\"", rows[i].range);
			continue;
		}
		n = imap_partial_span(&p, imap_set_count(&set), &from);
		imap_set_cut(&set, from, n, &a, &piece);
		imap_set_write(&b, &piece);
		is(buf_cstr(&b), rows[i].piece, "page %s", rows[i].range);
		ok(slice_eq(p.text, slice_str(rows[i].range)), "its text is kept");
		buf_fini(&b);
	}
	arena_reset(&a);
}

int
main(void)
{
	struct arena a = { 0 };
	struct imap_set set;

	is(round_trip("1", 10), "1", "one number");
	is(round_trip("2,4:7,9,12:*", 15), "2,4:7,9,12:15", "the RFC's example");
	is(round_trip("*:4,5:7", 10), "4:10", "* in front, overlapping ranges merge");
	is(round_trip("7:5", 10), "5:7", "reversed");
	is(round_trip("5:*", 3), "3:5", "* below the other end still names the last message");
	is(round_trip("*", 10), "10", "* alone");
	is(round_trip("*:*", 10), "10", "*:* is the last");
	is(round_trip("1:*", 0), "", "an empty mailbox has no *");
	is(round_trip("3,1,2", 10), "1:3", "out of order, neighbours merge");
	is(round_trip("1,1,1:1", 10), "1", "repeated");
	is(round_trip("4294967295", 10), "4294967295", "the largest number");
	is(round_trip("4294967294:4294967295,1", 10), "1,4294967294:4294967295", "no overflow");
	is(round_trip("4294967296", 10), "error", "a number too large");
	is(round_trip("0", 10), "error", "zero");
	is(round_trip("", 10), "error", "nothing");
	is(round_trip("1,", 10), "error", "comma at the end");
	is(round_trip(":1", 10), "error", "no start");
	is(round_trip("1:", 10), "error", "no end");
	is(round_trip("1:2:3", 10), "error", "three ends");
	is(round_trip("a", 10), "error", "a letter");

	eq(imap_set_parse(S("10:20,40,*:30,99:*"), &a, &set), 0, "parsed");
	eq(imap_set_resolve(&set, 35), 40, "the largest number that was named");
	ok(imap_set_has(&set, 10) && imap_set_has(&set, 20) && imap_set_has(&set, 31), "has");
	ok(!imap_set_has(&set, 9) && !imap_set_has(&set, 21) && !imap_set_has(&set, 100),
	    "has not");
	eq(imap_set_count(&set), 11 + 70, "count");

	set = (struct imap_set){ 0 };
	for (uint32_t i = 1; i <= 1000; i++)
		if (i % 3)
			imap_set_add(&set, &a, i, i);
	eq(set.n, 334, "built one by one, neighbours merged");
	ok(imap_set_has(&set, 500) && !imap_set_has(&set, 501), "and found again");
	arena_reset(&a);
	test_pieces();
	return done();
}

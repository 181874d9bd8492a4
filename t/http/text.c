/* Entity tags, ranges, dates and reasons. */
#include "http/text.h"
#include "../tap.h"

static void
test_etags(void)
{
	struct slice e = S("\"a\"");

	ok(http_etag_in(S("\"a\""), e, false), "the same");
	ok(http_etag_in(S("*"), e, false) && http_etag_in(S(" * "), e, true), "any");
	ok(http_etag_in(S("\"b\", \"a\""), e, false), "in a list");
	ok(http_etag_in(S("\"b\",,\t\"a\""), e, false), "empty elements are passed over");
	ok(!http_etag_in(S("\"b\", \"c\""), e, true), "not in a list");
	ok(!http_etag_in(S("a"), e, true), "without quotes it is none");
	ok(!http_etag_in(S(""), e, true), "nothing");
	ok(!http_etag_in(S("\"a"), e, true), "half a tag");
	ok(http_etag_in(S("W/\"a\""), e, true), "weak, compared weakly");
	ok(!http_etag_in(S("W/\"a\""), e, false), "weak, compared strongly");
	ok(http_etag_in(S("\"a\""), S("W/\"a\""), true), "ours is weak");
	ok(!http_etag_in(S("\"a\""), S("W/\"a\""), false), "ours is weak, compared strongly");
	ok(http_etag_in(S("\"x, y\", \"a\""), e, false), "a comma within a tag");
	ok(!http_etag_in(S("\"b\" junk \"a\""), e, true), "what is behind junk does not count");
}

static void
check_range(const char *value, uint64_t total, const char *want)
{
	uint64_t from = 0, n = 0;
	char got[64];

	switch (http_range_parse(slice_str(value), total, &from, &n)) {
	case HTTP_RANGE_WHOLE: strcpy(got, "whole"); break;
	case HTTP_RANGE_NONE: strcpy(got, "none"); break;
	case HTTP_RANGE_PART:
		snprintf(got, sizeof(got), "%llu+%llu", (unsigned long long)from,
		    (unsigned long long)n);
	}
	is(got, want, "%s of %llu", value, (unsigned long long)total);
}

static void
test_ranges(void)
{
	check_range("bytes=0-0", 10, "0+1");
	check_range("bytes=2-4", 10, "2+3");
	check_range("Bytes=2-4", 10, "2+3");
	check_range("bytes=2-", 10, "2+8");
	check_range("bytes=9-100", 10, "9+1");
	check_range("bytes=-3", 10, "7+3");
	check_range("bytes=-30", 10, "0+10");
	check_range("bytes=-0", 10, "none");
	check_range("bytes=10-", 10, "none");
	check_range("bytes=10-20", 10, "none");
	check_range("bytes=0-", 0, "none");
	check_range("bytes=-5", 0, "none");
	check_range("bytes=4-2", 10, "whole");
	check_range("bytes=0-1,4-5", 10, "whole");
	check_range("bytes=", 10, "whole");
	check_range("bytes=-", 10, "whole");
	check_range("bytes=a-b", 10, "whole");
	check_range("lines=0-1", 10, "whole");
	check_range("bytes=0-18446744073709551615", 10, "0+10");
	check_range("bytes=0-18446744073709551616", 10, "whole");
	check_range("bytes=18446744073709551615-", UINT64_MAX, "none");
}

int
main(void)
{
	struct buf b = { 0 };

	test_etags();
	test_ranges();
	http_date_write(&b, 784111777);
	is(buf_cstr(&b), "Sun, 06 Nov 1994 08:49:37 GMT", "the date of RFC 9110");
	buf_fini(&b);
	is(http_reason(404), "Not Found", "a reason");
	is(http_reason(599), "Unknown", "no reason");
	return done();
}

/* utf8.c: decoding at the edges, case folding. */
#include "base/utf8.h"
#include "../tap.h"

static const struct {
	const char *bytes;
	bool good;
	/* clang-format off */
} edges[] = {
	{ "plain ascii, long enough for a word", true }, { "\xc2\x80", true }, { "\xdf\xbf", true },
	{ "\xe0\xa0\x80", true }, { "\xef\xbf\xbf", true }, { "\xed\x9f\xbf", true },
	{ "\xf0\x90\x80\x80", true }, { "\xf4\x8f\xbf\xbf", true },
	{ "\x80", false }, { "\xc0\x80", false }, { "\xc1\xbf", false },	/* not shortest */
	{ "\xe0\x9f\xbf", false }, { "\xf0\x8f\xbf\xbf", false },
	{ "\xed\xa0\x80", false }, { "\xed\xbf\xbf", false },			/* surrogates */
	{ "\xf4\x90\x80\x80", false }, { "\xf5\x80\x80\x80", false }, { "\xff", false },
	{ "abc\xc3", false }, { "\xe2\x82", false }, { "\xf0\x9f\x98", false },	/* cut */
	{ "0123456789abcdef\xc3(", false },
};
/* clang-format on */

static const char *
fold(const char *s)
{
	static struct buf b;

	buf_clear(&b);
	utf8_fold_to(&b, slice_str(s));
	return buf_cstr(&b);
}

int
main(void)
{
	struct buf b = { 0 };
	struct slice s;
	bool same = true;

	for (size_t i = 0; i < NELEM(edges); i++)
		ok(utf8_valid(slice_str(edges[i].bytes)) == edges[i].good, "edge %zu", i);
	for (uint32_t cp = 1; cp <= 0x10ffff; cp += cp < 0x3000 ? 1 : 97) {
		if (cp >= 0xd800 && cp < 0xe000)
			continue;
		buf_clear(&b);
		utf8_put(&b, cp);
		s = buf_get(&b);
		same &= utf8_next(&s) == (int32_t)cp && s.n == 0;
	}
	ok(same, "put and next agree");
	s = S("\xe2\x82");
	ok(utf8_next(&s) == -1 && s.n == 1, "a bad byte is one byte");
	s = S("");
	ok(utf8_next(&s) == -1, "end");
	buf_clear(&b);
	utf8_put(&b, 0xd800);
	is(buf_cstr(&b), "\xef\xbf\xbd", "a surrogate is replaced");
	ok(utf8_ascii(S("0123456789")) && !utf8_ascii(S("0123456789\xc3\xa4")), "ascii");
	is(fold("ABCxyz09[]"), "abcxyz09[]", "fold ASCII");
	is(fold("\xc3\x84\xc3\x96\xc3\x9c\xc3\x9f\xc3\x97"),
	    "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f\xc3\x97", "fold Latin-1, not the times sign");
	is(fold("\xc5\xa0\xc5\xbd\xc4\x8c\xc5\xb8"), "\xc5\xa1\xc5\xbe\xc4\x8d\xc3\xbf",
	    "fold Latin Extended-A");
	is(fold("\xce\x91\xce\xa9\xce\x86\xcf\x82"), "\xce\xb1\xcf\x89\xce\xac\xcf\x83",
	    "fold Greek");
	is(fold("\xd0\x9f\xd0\xaf\xd0\x81"), "\xd0\xbf\xd1\x8f\xd1\x91", "fold Cyrillic");
	is(fold("a\xff\xc3"), "a\xef\xbf\xbd\xef\xbf\xbd", "fold bad bytes");
	buf_clear(&b);
	utf8_from_latin1(&b, S("a\xe4\xff"));
	is(buf_cstr(&b), "a\xc3\xa4\xc3\xbf", "from Latin-1");
	buf_clear(&b);
	for (int i = 0; i < 3000; i++)
		buf_lit(&b, "A\xc3\x84");
	same = true;
	for (const char *p = fold(buf_cstr(&b)); *p; p += 3)
		same &= memcmp(p, "a\xc3\xa4", 3) == 0;
	ok(same, "fold across its pieces");
	buf_fini(&b);
	return done();
}

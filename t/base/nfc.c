/* Normalization Form C (Unicode Standard Annex 15). */
#include "../tap.h"
#include "base/nfc.h"
#include "base/utf8.h"

static struct buf out;

static const char *
nfc(const char *s)
{
	buf_clear(&out);
	nfc_to(&out, slice_str(s));
	return buf_cstr(&out);
}

static const struct {
	const char *text, *want, *what;
	/* clang-format off */
} cases[] = {
	{ "", "", "nothing" },
	{ "plain \x01\x7f", "plain \x01\x7f", "ASCII" },
	{ "e\xcc\x81", "\xc3\xa9", "a letter and its accent" },
	{ "\xc3\xa9", "\xc3\xa9", "composed already" },
	{ "a\xcc\x96\xcc\x81", "\xc3\xa1\xcc\x96", "marks in another order" },
	{ "q\xcc\x81", "q\xcc\x81", "what has no composed form" },
	{ "\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab", "\xed\x95\x9c", "a syllable of Hangul" },
	{ "\xea\xb0\x80\xe1\x86\xa8", "\xea\xb0\x81", "half a syllable and its last letter" },
	{ "\xe2\x84\xab", "\xc3\x85", "the sign of the Angstrom" },
	{ "\xef\xac\x81", "\xef\xac\x81", "a ligature stays" },
	{ "a\xff" "b\xcc", "a\xef\xbf\xbd" "b\xef\xbf\xbd", "bad bytes" },
	{ "\xff\xcc\x81", "\xef\xbf\xbd\xcc\x81", "a mark behind a bad byte" },
};
/* clang-format on */

int
main(void)
{
	struct buf text = { 0 }, want = { 0 };

	for (size_t i = 0; i < NELEM(cases); i++)
		is(nfc(cases[i].text), cases[i].want, "%s", cases[i].what);
	/* wherever a run ends, no letter loses its accent */
	for (int i = 0; i < 1000; i++) {
		buf_str(&text, i % 3 ? "\xe6\xbc\xa2" : "e\xcc\x81o\xcc\x82\xcc\x81");
		buf_str(&want, i % 3 ? "\xe6\xbc\xa2" : "\xc3\xa9\xe1\xbb\x91");
	}
	is(nfc(buf_cstr(&text)), buf_cstr(&want), "a long text");
	buf_clear(&text);
	for (int i = 0; i < 100000; i++)
		buf_str(&text, i % 2 ? "\xcc\x81" : "\xcc\x96");
	(void)nfc(buf_cstr(&text));
	ok(out.n == text.n && utf8_valid(buf_get(&out)), "marks without end");
	buf_fini(&text);
	buf_fini(&want);
	buf_fini(&out);
	return done();
}

/* i;unicode-casemap: what RFC 5051 shows, and what search keeps of it. */
#include "../tap.h"
#include "base/casemap.h"
#include "base/utf8.h"

static void
test_forms(void)
{
	static const struct {
		const char *text, *form, *search;
		/* clang-format off */
	} rows[] = {
		{ "hello, World", "HELLO, WORLD", "hello, world" },
		{ "\xc3\xa9", "E\xcc\x81", "e\xcc\x81" },			/* e with acute: decomposed */
		{ "e\xcc\x81", "E\xcc\x81", "e\xcc\x81" },
		{ "\xc7\x84", "Dz\xcc\x8c", "dZ\xcc\x8c" },			/* RFC 5051 2: U+01C4 */
		{ "\xc3\x9f", "\xc3\x9f", "\xc3\x9f" },				/* sharp s has no title case of one */
		{ "\xef\xac\x81", "fi", "FI" },					/* ligature: compatibility */
		{ "\xcf\x82", "\xce\xa3", "\xce\xa3" },				/* final sigma */
		{ "\xea\xb0\x80", "\xea\xb0\x80", "\xea\xb0\x80" },		/* Hangul: no decomposition property */
		{ "a\xff" "b", "A\xef\xbf\xbd" "B", "a\xef\xbf\xbd" "b" },	/* no UTF-8 */
		{ "\xc4\xb0", "I\xcc\x87", "i\xcc\x87" },			/* I with dot */
		{ "\xf0\x90\x90\xa8", "\xf0\x90\x90\x80", "\xf0\x90\x90\x80" },	/* Deseret */
	};
	/* clang-format on */
	struct buf b = { 0 };

	for (size_t i = 0; i < NELEM(rows); i++) {
		buf_clear(&b);
		casemap_to(&b, slice_str(rows[i].text));
		is(buf_cstr(&b), rows[i].form, "form of %s", rows[i].text);
		buf_clear(&b);
		casemap_search_to(&b, slice_str(rows[i].text));
		is(buf_cstr(&b), rows[i].search, "for search");
	}
	buf_fini(&b);
}

/* The index keeps text as utf8_fold_to makes it. */
static void
test_folded(void)
{
	struct buf one = { 0 }, folded = { 0 }, want = { 0 }, got = { 0 };
	uint32_t wrong = 0;

	for (uint32_t cp = 1; cp <= 0x10ffff; cp++) {
		buf_clear(&one);
		buf_clear(&folded);
		buf_clear(&want);
		buf_clear(&got);
		utf8_put(&one, cp);
		casemap_search_to(&want, buf_get(&one));
		utf8_fold_to(&folded, buf_get(&one));
		casemap_search_to(&got, buf_get(&folded));
		if (!slice_eq(buf_get(&got), buf_get(&want)) && wrong++ < 5)
			printf("# U+%04X\n", cp);
	}
	eq(wrong, 0, "every character has the form that it has when it is folded");
	buf_fini(&one);
	buf_fini(&folded);
	buf_fini(&want);
	buf_fini(&got);
}

int
main(void)
{
	test_forms();
	test_folded();
	return done();
}

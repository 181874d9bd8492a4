/* Bodies as text: charsets, line ends, where they are cut (RFC 8621 4.1.4, EmailBodyValue). */
#include "../tap.h"
#include "base/utf8.h"
#include "jmap/email-value.h"

static struct buf out;
static struct arena arena;
static bool problem, truncated;

static const char *
value(struct slice msg, uint64_t most)
{
	struct jmap_structure s;
	struct jmap_value v;
	struct mime m;

	arena_reset(&arena);
	buf_clear(&out);
	mime_parse(msg, &arena, &m);
	jmap_structure_make(&m, &arena, &s);
	jmap_value_start(&v, &m, s.all.p[0], most);
	while (jmap_value_next(&v, &out))
		;
	problem = v.problem;
	truncated = v.truncated;
	jmap_value_end(&v);
	return buf_cstr(&out);
}

#define TYPE(t) "Content-Type: text/" t "\r\n"
#define QP      "Content-Transfer-Encoding: quoted-printable\r\n"
#define B64     "Content-Transfer-Encoding: base64\r\n"
#define BAD     "\xef\xbf\xbd"

static const struct {
	const char *msg;
	uint64_t most;
	const char *want;
	bool problem, truncated;
	const char *what;
	/* clang-format off */
} cases[] = {
	{ "\r\na\r\nb\n\r\n", 0, "a\nb\n\n", false, false, "line ends" },
	{ "\r\na\rb\r\r\nc\r", 0, "a\rb\r\nc\r", false, false, "a CR alone stays" },
	{ "\r\n", 0, "", false, false, "nothing" },
	{ "\r\n", 5, "", false, false, "nothing, at most 5" },
	{ TYPE("plain; charset=iso-8859-1") "\r\n\xe4", 0, "\xc3\xa4", false, false, "Latin 1" },
	{ TYPE("plain; charset=utf-8") "\r\na\xe4" "b", 0, "a" BAD "b", true, false, "UTF-8 that is none" },
	{ TYPE("plain; charset=utf-8") "\r\na\xc3", 0, "a" BAD, true, false, "a character that is cut" },
	{ TYPE("plain; charset=us-ascii") "\r\n\xc3\xa4", 0, "\xc3\xa4", false, false, "us-ascii that is UTF-8" },
	{ TYPE("plain") "\r\nsch\xf6n", 0, "sch\xc3\xb6n", true, false, "us-ascii that is Windows-1252" },
	{ TYPE("plain; charset=x-nobody") "\r\nabc", 0, "abc", true, false, "a charset that nobody knows" },
	{ TYPE("plain; charset=iso-2022-jp") "\r\n\x1b$BF|K\\\x1b(B", 0, "\xe6\x97\xa5\xe6\x9c\xac", false, false, "ISO-2022-JP" },
	{ TYPE("plain; charset=gb2312") "\r\n\xc4\xe3\xff!", 0, "\xe4\xbd\xa0" BAD "!", true, false, "damage that iconv finds" },
	{ TYPE("plain; charset=utf-8") "Content-Transfer-Encoding: x-uu\r\n\r\nabc", 0, "abc", true, false, "an encoding that nobody knows" },
	{ TYPE("plain; charset=utf-8") QP "\r\n=C3=A4=0D=0Ab=\r\nc\r\n", 0, "\xc3\xa4\nbc\n", false, false, "quoted-printable" },
	{ TYPE("plain; charset=utf-8") B64 "\r\nw6QNCmI=\r\n", 0, "\xc3\xa4\nb", false, false, "base64" },
	{ TYPE("plain; charset=utf-16le") B64 "\r\n5AANAAoA\r\n", 0, "\xc3\xa4\n", false, false, "UTF-16" },
	/* where it is cut */
	{ "\r\nabcdef", 6, "abcdef", false, false, "as long as may be" },
	{ "\r\nabcdef", 5, "abcde", false, true, "an octet longer" },
	{ "\r\nab\r\ncd", 3, "ab\n", false, true, "a line end is one octet" },
	{ "\r\nab\r\ncd", 5, "ab\ncd", false, false, "and counts as one" },
	{ TYPE("plain; charset=utf-8") "\r\na\xe2\x82\xac" "b", 3, "a", false, true, "not within a character" },
	{ TYPE("plain; charset=utf-8") "\r\na\xe2\x82\xac" "b", 4, "a\xe2\x82\xac", false, true, "behind a character" },
	{ TYPE("plain; charset=utf-8") "\r\n\xf0\x9f\x98\x80", 3, "", false, true, "the first character is too long" },
	{ TYPE("plain") "\r\na <b>c", 4, "a <b", false, true, "text has no tags" },
	{ TYPE("html") "\r\nab<i>c</i>", 4, "ab", false, true, "not within a tag" },
	{ TYPE("html") "\r\nab<i>c</i>", 5, "ab<i>", false, true, "behind a tag" },
	{ TYPE("html") "\r\nab<i>c</i>", 8, "ab<i>c", false, true, "not within its end" },
	{ TYPE("html") "\r\n<a title=\"x>y\">z", 12, "", false, true, "a value in quotes" },
	{ TYPE("html") "\r\n<a title= 'x>y'>z", 13, "", false, true, "a value in other quotes" },
	{ TYPE("html") "\r\n<a b'>don't", 9, "<a b'>don", false, true, "quotes that begin no value" },
	{ TYPE("html") "\r\n1 < 2 and 3", 6, "1 < 2 ", false, true, "a bracket that is text" },
	{ TYPE("html") "\r\nx<!-- > -->y", 9, "x", false, true, "not within a comment" },
	{ TYPE("html") "\r\nx<!-- > -->yz", 12, "x<!-- > -->y", false, true, "behind a comment" },
	{ TYPE("html") "\r\na&amp;b", 4, "a", false, true, "not within a reference" },
	{ TYPE("html") "\r\na&amp;bc", 6, "a&amp;", false, true, "behind a reference" },
	{ TYPE("html") "\r\na & bcd", 5, "a & b", false, true, "an ampersand that is text" },
	{ TYPE("html") "\r\n&aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 40, "&aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false, true, "too long for a reference" },
	{ TYPE("html") "\r\n<aaaaaaaaaaaaaaaaaaaaa", 10, "", false, true, "a tag without end" },
	{ TYPE("html; charset=utf-8") "\r\n\xc3\xa4<b>\xc3\xb6", 6, "\xc3\xa4<b>", false, true, "both" },
};
/* clang-format on */

/* Pieces meet at any place of a body: lines of three octets and a character of three that drifts. */
static void
test_pieces(void)
{
	struct buf msg = { 0 }, want = { 0 };
	bool same = true, valid = true;

	buf_lit(&msg, TYPE("html; charset=utf-8") QP "\r\n");
	for (unsigned i = 0; i < 60000; i++) {
		buf_lit(&msg, "=E2=82=AC\r\n<b>x");
		buf_lit(&want, "\xe2\x82\xac\n<b>x");
	}
	is(value(buf_get(&msg), 0), buf_cstr(&want), "a body of many pieces");
	for (uint64_t n = 131060; n < 131090; n++) {
		(void)value(buf_get(&msg), n);
		valid = valid && utf8_valid(buf_get(&out)) && truncated;
		/* a unit is "eur LF < b > x", eight octets: within "<b>" it is cut before it */
		same = same && slice_starts(buf_get(&want), buf_get(&out)) &&
		    out.n ==
			n / 8 * 8 +
			    (n % 8 < 3         ? 0 :
				    n % 8 == 3 ? 3 :
				    n % 8 < 7  ? 4 :
						 7);
	}
	ok(valid, "cut anywhere, it is UTF-8");
	ok(same, "cut behind many pieces");
	buf_fini(&msg);
	buf_fini(&want);
}

int
main(void)
{
	for (size_t i = 0; i < NELEM(cases); i++) {
		is(value(slice_str(cases[i].msg), cases[i].most), cases[i].want, "%s",
		    cases[i].what);
		ok(problem == cases[i].problem && truncated == cases[i].truncated, "%s: flags",
		    cases[i].what);
	}
	test_pieces();
	buf_fini(&out);
	arena_reset(&arena);
	return done();
}

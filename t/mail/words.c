/* Encoded words, parameters and charsets. */
#include "../tap.h"
#include "base/utf8.h"
#include "mail/charset.h"
#include "mail/encoded-word.h"
#include "mail/param.h"

static const struct {
	const char *in, *out;
	/* clang-format off */
} words[] = {
	{ "plain", "plain" },
	{ "=?ISO-8859-1?Q?a?=", "a" },				/* RFC 2047 8 */
	{ "=?ISO-8859-1?Q?a?= b", "a b" },
	{ "=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab" },
	{ "=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=", "ab" },
	{ "=?ISO-8859-1?Q?a_b?=", "a b" },
	{ "=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b" },
	{ "=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=", "If you can read this yo" },
	{ "Keith =?US-ASCII?q?Moore?= x", "Keith Moore x" },
	{ "=?utf-8*en?q?=C3=A4?=", "\xc3\xa4" },
	{ "=?utf-8?q?=C3?= =?UTF-8?q?=A4?=", "\xc3\xa4" },	/* a character cut in two */
	{ "=?utf-8?b?w6Q?=", "\xc3\xa4" },			/* no padding */
	{ "=?iso-8859-15?q?=A4?=", "\xe2\x82\xac" },
	{ "=?windows-1252?q?=80?=", "\xe2\x82\xac" },
	{ "=?koi8-r?b?8NLJ18XU?=", "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82" },
	{ "=?iso-2022-jp?b?GyRCRnxLXBsoQg==?=", "\xe6\x97\xa5\xe6\x9c\xac" },
	{ "=?gb2312?b?1tDOxA==?=", "\xe4\xb8\xad\xe6\x96\x87" },
	{ "=?x-nobody-knows?q?a?= b", "=?x-nobody-knows?q?a?= b" },
	{ "=?utf-8?q?=ff?=", "\xef\xbf\xbd" },
	{ "=?utf-8?q?=0d=0aBcc:_x?=", "  Bcc: x" },		/* no line end comes out */
	{ "=?utf-8?q?a=?=", "a=" },
	{ "=?utf-8?q?a=4?=", "a=4" },
	{ "=?utf-8?x?a?=", "=?utf-8?x?a?=" },
	{ "=?utf-8?q?a", "=?utf-8?q?a" },
	{ "=?utf-8?q", "=?utf-8?q" },
	{ "=?", "=?" }, { "=??q?a?=", "=??q?a?=" }, { "=?=?=?", "=?=?=?" },
	{ "x=?utf-8?q?a?=y", "xay" },
	{ "raw \xc3\xa4 \xe4 \xe4", "raw \xc3\x83\xc2\xa4 \xc3\xa4 \xc3\xa4" }, /* all as 1252 */
	{ "\xd0\x9f\xd1\x80\xd0", "\xd0\x9f\xd1\x80\xef\xbf\xbd" },	/* a character was cut */
	{ "Gr\xc3\xbc\xc3\x9f\xc3", "Gr\xc3\xbc\xc3\x9f\xef\xbf\xbd" },
	{ "Gr\xfc\xdf" "e", "Gr\xc3\xbc\xc3\x9f" "e" },
	{ "raw \xc3\xa4", "raw \xc3\xa4" },
	{ "folded\r\n text", "folded text" }, { "folded\r\n\ttext", "folded text" },
	{ "folded \r\n  \r\n text", "folded text" }, { "a\r\n\t=?utf-8?q?b?=\r\n\tc", "a b c" },
	{ "", "" },
};
/* clang-format on */

static const struct {
	const char *in, *text, *phrase;
} written[] = {
	{ "plain text", "plain text", "plain text" },
	{ "O'Neil, J.", "O'Neil, J.", "\"O'Neil, J.\"" },
	{ "say \"hi\"", "say \"hi\"", "\"say \\\"hi\\\"\"" },
	{ "J\xc3\xb6rg M", "=?utf-8?q?J=C3=B6rg?= M", "=?utf-8?q?J=C3=B6rg_M?=" },
	{ "a \xc3\xa4 \xc3\xb6 b", "a =?utf-8?b?w6Qgw7Y=?= b", "=?utf-8?q?a_=C3=A4_=C3=B6_b?=" },
	{ "=?utf-8?q?x?=", "=?utf-8?q?=3D=3Futf-8=3Fq=3Fx=3F=3D?=", NULL },
	{ "", "", "\"\"" },
	{ "two  blanks", "two  blanks", "\"two  blanks\"" },
};

static const char *
decoded(const char *s)
{
	static struct buf b;

	buf_clear(&b);
	encoded_word_parse(&b, slice_str(s));
	return buf_cstr(&b);
}

static void
test_words(void)
{
	struct buf b = { 0 }, big = { 0 };
	const char *p;
	bool fits = true;

	encoded_word_parse_clean(&b, S("=?utf-8?q?a=00=0D=0A=7Fb?= \x7f=?utf-8?q?=09?="));
	is(buf_cstr(&b), "ab \x7f\t", "controls of words are left out, those of text stay");
	buf_clear(&b);
	for (size_t i = 0; i < NELEM(words); i++)
		is(decoded(words[i].in), words[i].out, "word %zu", i);
	for (size_t i = 0; i < NELEM(written); i++) {
		buf_clear(&b);
		encoded_word_write(&b, slice_str(written[i].in), ENCODED_TEXT);
		is(buf_cstr(&b), written[i].text, "text %zu", i);
		is(decoded(buf_cstr(&b)), written[i].in, "and back");
		buf_clear(&b);
		encoded_word_write(&b, slice_str(written[i].in), ENCODED_PHRASE);
		if (written[i].phrase)
			is(buf_cstr(&b), written[i].phrase, "phrase %zu", i);
	}
	for (int i = 0; i < 200; i++)
		buf_str(&big, i % 7 ? "\xe6\x97\xa5" : "x y");
	buf_clear(&b);
	encoded_word_write(&b, buf_get(&big), ENCODED_TEXT);
	is(decoded(buf_cstr(&b)), buf_cstr(&big), "a long text comes back");
	for (p = buf_cstr(&b); *p; p += strspn(p + strcspn(p, " "), " ") + strcspn(p, " "))
		fits &= strcspn(p, " ") <= 75;
	ok(fits, "in words of at most 75");
	buf_clear(&b);
	encoded_word_write(&b, S("bad \xff byte"), ENCODED_TEXT);
	is(decoded(buf_cstr(&b)), "bad \xef\xbf\xbd byte", "bad bytes are replaced");
	buf_clear(&big);
	while (big.n < 1000000)
		buf_lit(&big, "=?utf-8?q?=?");
	ok(utf8_valid(slice_str(decoded(buf_cstr(&big)))), "a megabyte of beginnings");
	buf_clear(&big);
	while (big.n < 1000000)
		buf_lit(&big, "=?gb2312?q?=aa?= =?iso-2022-jp?b?GyR?=");
	ok(utf8_valid(slice_str(decoded(buf_cstr(&big)))), "a megabyte of charsets");
	buf_fini(&b);
	buf_fini(&big);
}

/* list -> the value of "name", raw and decoded; "-" = absent */
static const struct {
	const char *in, *raw, *got;
	/* clang-format off */
} params[] = {
	{ "; name=value", "value", "value" },
	{ "name=value", "value", "value" },
	{ "; NAME = \"a \\\"b\\\" c\" ; x=y", "a \"b\" c", "a \"b\" c" },
	{ " ; (c) name (d) = (e) v (f); x", "v", "v" },
	{ "; other=1; name=2; name=3", "2", "2" },
	{ "; name=----=_Part/1?x", "----=_Part/1?x", "----=_Part/1?x" },
	{ "; name=", "", "" }, { "; name=\"\"", "", "" }, { "; name", "-", "-" },
	{ "; =x; name=v", "v", "v" }, { ";;;name=v", "v", "v" },
	{ "; x=\"a;name=no\"; name=v", "v", "v" },
	{ "; rubbish \"; name=no\" more; name=v", "v", "v" },
	{ "; name=\"unfinished", "unfinished", "unfinished" },
	{ "; name=\"fol\r\n ded\"", "fol ded", "fol ded" },
	{ "; name*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A", "This is ***fun***",
	    "This is ***fun***" },
	{ "; name*0*=us-ascii'en'This%20is%20even%20more%20;\r\n name*1*=%2A%2A%2Afun%2A%2A%2A%20;"
	  " name*2=\"isn't it!\"", "This is even more ***fun*** isn't it!",
	    "This is even more ***fun*** isn't it!" },
	{ "; name*1=b; name*0=a; name*3=no", "ab", "ab" },
	{ "; name*1=orphan; x=y", "-", "-" },
	{ "; name=plain; name*=utf-8''%C3%A4", "plain", "\xc3\xa4" },
	{ "; name*=iso-8859-1''%E4", "\xe4", "\xc3\xa4" },
	{ "; name*0*=utf-8''%C3; name*1*=%A4", "\xc3\xa4", "\xc3\xa4" },
	{ "; name*=nobody''%41%zz%4", "A%zz%4", "A%zz%4" },
	{ "; name*=x", "x", "x" }, { "; name*='x", "'x", "'x" },
	{ "; name*00=a; name*01=b", "-", "-" },
	{ "; name*99999999999999999999=a", "-", "-" },
	{ "; name*=; name*0=a", "", "" },
	{ "; name=\"=?utf-8?q?=C3=A4?=\"", "=?utf-8?q?=C3=A4?=", "\xc3\xa4" },
	{ "", "-", "-" },
};
/* clang-format on */

static void
test_params(void)
{
	struct arena a = { 0 };
	struct param_list l;
	struct slice v;
	struct buf b = { 0 };
	char out[100];
	/* clang-format off */
	static const char *const values[][2] = {
		{ "x*=utf-8''%C3%A4.txt", "utf-8''%C3%A4.txt" },
		{ "x*=iso-8859-1'de'%E4%20b", "iso-8859-1'de'%E4%20b" },
		{ "x=\"\xc3\xa4 b\"", "utf-8''%C3%A4%20b" },
		{ "x*0*=''a; x*1=\"'*%\"", "utf-8''a%27%2A%25" },
		{ "x*=\"a b'c'd\"", "utf-8''d" },
	};
	/* clang-format on */

	for (size_t i = 0; i < NELEM(params); i++) {
		param_list_parse(slice_str(params[i].in), &a, &l);
		is(param_find(&l, S("name"), &v) ? slice_cstr(v, out, sizeof(out)) : "-",
		    params[i].raw, "param %zu, raw", i);
		is(param_get(&l, S("name"), &a, &v) ? slice_cstr(v, out, sizeof(out)) : "-",
		    params[i].got, "param %zu", i);
	}
	for (size_t i = 0; i < NELEM(values); i++) {
		buf_clear(&b);
		param_list_parse(slice_str(values[i][0]), &a, &l);
		param_extended_write(&b, &l.p[0]);
		is(buf_cstr(&b), values[i][1], "written: %s", values[i][0]);
	}
	buf_clear(&b);
	for (int i = 0; i < 100000; i++)
		buf_printf(&b, ";a*%d*=x", i);
	param_list_parse(buf_get(&b), &a, &l);
	ok(l.n == 1 && param_get(&l, S("a"), &a, &v) && v.n == PARAM_MAX, "bounded");
	buf_fini(&b);
	arena_reset(&a);
}

static void
test_charsets(void)
{
	static const char jp[] = "\x1b$BF|K\\\x1b(B!",
			  utf[] = "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z";
	struct charset c;
	struct buf b = { 0 };

	for (size_t step = 1; step < 6; step++) {
		buf_clear(&b);
		ok(charset_open(&c, S("ISO-2022-JP")) == 0, "open");
		for (size_t at = 0; at < sizeof(jp) - 1; at += step)
			charset_feed(&c, &b, slice_sub(slice(jp, sizeof(jp) - 1), at, step),
			    at + step >= sizeof(jp) - 1);
		charset_close(&c);
		is(buf_cstr(&b), "\xe6\x97\xa5\xe6\x9c\xac!", "JP in pieces of %zu", step);
		for (int guess = 0; guess < 2; guess++) {
			buf_clear(&b);
			ok(charset_open(&c, guess ? S("") : S("utf-8")) == 0, "open");
			for (size_t at = 0; at < sizeof(utf) - 1; at += step)
				charset_feed(&c, &b,
				    slice_sub(slice(utf, sizeof(utf) - 1), at, step),
				    at + step >= sizeof(utf) - 1);
			charset_close(&c);
			is(buf_cstr(&b), utf, "UTF-8 in pieces of %zu", step);
		}
	}
	buf_clear(&b);
	ok(charset_open(&c, S("utf-8")) == 0, "open");
	charset_feed(&c, &b, S("x\xe2\x82"), false);
	is(buf_cstr(&b), "x", "a character waits for its rest");
	charset_feed(&c, &b, S(""), true);
	ok(utf8_valid(buf_get(&b)) && b.n > 1, "which never comes");
	charset_close(&c);
	ok(charset_open(&c, S("UTF-8//TRANSLIT")) < 0, "no tricks with names");
	charset_feed(&c, &b, S("\xe4"), true);
	ok(utf8_valid(buf_get(&b)), "unknown ones are guessed");
	charset_close(&c);
	ok(charset_to_utf8(&b, S("cp99999"), S("x")) < 0, "unknown");
	buf_fini(&b);
}

int
main(void)
{
	test_words();
	test_params();
	test_charsets();
	return done();
}

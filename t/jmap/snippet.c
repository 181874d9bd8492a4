/* Words of a search (RFC 8621 4.4.1) and SearchSnippets (5). */
#include "../tap.h"
#include "base/utf8.h"
#include "jmap/snippet.h"

static struct buf out;
static size_t looks; /* calls that a preview took */
static struct arena arena;

static struct jmap_terms
terms(const char *text)
{
	struct jmap_terms t = { 0 };

	jmap_terms_add(&t, slice_str(text), &arena);
	return t;
}

static const char *
words(const char *text)
{
	struct jmap_terms t = terms(text);

	buf_clear(&out);
	for (size_t i = 0; i < t.n; i++)
		buf_printf(&out, "%s" SFMT, i ? "|" : "", SARG(t.term[i]));
	return buf_cstr(&out);
}

static const char *
mark(const char *text, const char *search, size_t most)
{
	struct jmap_terms t = terms(search);

	buf_clear(&out);
	if (!jmap_snippet_mark(&out, slice_str(text), &t, most))
		buf_str(&out, out.n ? "SOMETHING" : "no");
	return buf_cstr(&out);
}

static const char *
body(const char *msg, const char *search)
{
	struct jmap_terms t = terms(search);
	struct jmap_structure s;
	struct mime m;

	buf_clear(&out);
	mime_parse(slice_str(msg), &arena, &m);
	jmap_structure_make(&m, &arena, &s);
	looks = 1;
	for (struct jmap_snippet_body b = { &s, &t, 0, 0 }; jmap_snippet_body_next(&b, &out);)
		looks++;
	return buf_cstr(&out);
}

static const struct {
	const char *text, *want;
} splits[] = {
	{ "one Two\tTHREE", "one|two|three" },
	{ "  ", "" },
	{ "\"Hello world\" x", "hello world|x" },
	{ "'a b' c", "a b|c" },
	{ "it's fine", "it's|fine" },
	{ "\"no end here", "\"no|end|here" },
	{ "'no end \"but this\"", "'no|end|\"but|this\"" },
	{ "\"a \\\"b\\\" c\"", "a \"b\" c" },
	{ "a\\'b \\\\", "a'b|\\" },
	{ "\"\" x", "x" },
	{ "\"a\"b", "a|b" },
};

/* clang-format off */
static const struct {
	const char *text, *search, *want, *what;
} marks[] = {
	{ "Foo bar", "bar", "Foo <mark>bar</mark>", "a word" },
	{ "Foo bar BAR", "bAr", "Foo <mark>bar</mark> <mark>BAR</mark>", "case is ignored" },
	{ "Foobar", "oba", "Fo<mark>oba</mark>r", "within a word" },
	{ "aaa", "aa", "<mark>aa</mark>a", "places do not overlap" },
	{ "abcd", "ab bc", "<mark>abc</mark>d", "marks of two words meet" },
	{ "abcd", "ab cd", "<mark>abcd</mark>", "or touch" },
	{ "a<b>&\"c\"", "c", "a&lt;b&gt;&amp;\"<mark>c</mark>\"", "markup is text" },
	{ "x<script>", "<script>", "x<mark>&lt;script&gt;</mark>", "also what was found" },
	{ "Stra\xc3\x9f" "e", "e", "Stra\xc3\x9f<mark>e</mark>", "behind a letter whose form is longer" },
	{ "\xc3\x84rger", "\xc3\xa4rg", "<mark>\xc3\x84rg</mark>er", "an umlaut of the other case" },
	{ "e\xcc\x81t\xc3\xa9", "\xc3\xa9", "<mark>e\xcc\x81</mark>t<mark>\xc3\xa9</mark>", "composed or not" },
	{ "a\xc2\xbdx", "2x", "a<mark>\xc2\xbdx</mark>", "half of a character marks it whole" },
	{ "Foo", "bar", "no", "nothing" },
	{ "Foo", "", "no", "no words" },
	{ "", "x", "no", "no text" },
	{ "New  York", "\"new york\"", "no", "a phrase is as it is said" },
};
/* clang-format on */

static size_t
count(const char *what)
{
	struct slice s = buf_get(&out);
	size_t n = 0, at;

	while ((at = slice_find_str(s, slice_str(what))) < s.n) {
		s = slice_from(s, at + 1);
		n++;
	}
	return n;
}

#define HTML "Content-Type: text/html\r\n\r\n"
static void
test_body(void)
{
	struct buf text = { 0 };
	const char *p;

	is(body("\r\nHello <you>\r\nand me\r\n", "and"),
	    "\"Hello &lt;you&gt; <mark>and</mark> me\"", "of plain text, on one line");
	is(body(HTML "<style>and</style><p>you <b>a</b>nd me", "and"),
	    "\"you <mark>and</mark> me\"", "of HTML without its markup");
	is(body("\r\n> quoted and\r\n", "and"), "\"&gt; quoted <mark>and</mark>\"",
	    "of quoted lines");
	is(body("\r\nHello\r\n", "and"), "null", "none");
	is(body("Content-Type: image/gif\r\n\r\nand\r\n", "and"), "null", "not of a picture");
	is(body("Content-Type: multipart/alternative; "
		"boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b\r\n" HTML "<p>needle</p>\r\n--b--\r\n",
	       "needle"),
	    "\"<mark>needle</mark>\"", "of the text that has it");

	eq(looks, 2, "one text after the other");
	buf_lit(&text, "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
	for (int i = 0; i < 20; i++)
		buf_lit(&text, "--b\r\n\r\nx\r\n");
	buf_lit(&text, "--b\r\n\r\nneedle\r\n");
	is(body(buf_cstr(&text), "needle"), "null", "not in more texts than are looked at");
	eq(looks, JMAP_SNIPPET_PARTS + 1, "which is told by the last look");
	buf_clear(&text);
	buf_lit(&text, "\r\n");
	for (int i = 0; i < 300; i++)
		buf_lit(&text, "w\xc3\xb6rd & ");
	buf_lit(&text, "needle");
	for (int i = 0; i < 300; i++)
		buf_lit(&text, " <\xe2\x82\xac>");
	p = body(buf_cstr(&text), "needle");
	ok(strstr(p, "<mark>needle</mark>") && strlen(p) <= JMAP_SNIPPET_MAX + 2 && strlen(p) > 230,
	    "a part of a long text");
	ok(utf8_valid(slice_str(p)) && strncmp(p, "\"&amp; w", 7) == 0,
	    "which begins at a word, and ends at a character");
	buf_clear(&text);
	for (int i = 0; i < 40; i++)
		buf_lit(&text, "<a");
	ok(strlen(mark(buf_cstr(&text), "a", 100)) <= 100, "marks and references count");
	eq(count("<mark>"), count("</mark>"), "and marks are closed");
	buf_fini(&text);
}

int
main(void)
{
	struct jmap_terms t;
	struct buf many = { 0 };

	for (size_t i = 0; i < NELEM(splits); i++)
		is(words(splits[i].text), splits[i].want, "words of %s", splits[i].text);
	for (size_t i = 0; i < NELEM(marks); i++)
		is(mark(marks[i].text, marks[i].search, 0), marks[i].want, "%s", marks[i].what);
	test_body();
	for (int i = 0; i < 40; i++)
		buf_printf(&many, "%d ", i);
	t = terms(buf_cstr(&many));
	ok(t.n == JMAP_TERMS_MAX && t.cut, "too many words");
	buf_fini(&many);
	buf_fini(&out);
	arena_reset(&arena);
	return done();
}

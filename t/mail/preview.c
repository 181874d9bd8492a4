/* Previews: RFC 8970 3. */
#include "../tap.h"
#include "mail/preview.h"
#include "base/utf8.h"

static struct buf out;

static const char *
preview(struct slice msg)
{
	struct arena a = { 0 };
	struct mime m;

	buf_clear(&out);
	mime_parse(msg, &a, &m);
	preview_write(&m, PREVIEW_CHARS, &out);
	arena_reset(&a);
	return buf_cstr(&out);
}

#define PLAIN "Subject: x\r\n\r\n"
#define HTML  "Content-Type: text/html\r\n\r\n"
#define MIXED "Content-Type: multipart/mixed; boundary=b\r\n\r\n"

static const struct {
	const char *msg, *want, *what;
} cases[] = {
	{ PLAIN "Hello,\r\n\r\n  this is\tit.\r\n", "Hello, this is it.", "blanks are one" },
	{ PLAIN "", "", "no body" },
	{ PLAIN "\r\n \t\r\n", "", "only blanks" },
	{ PLAIN "> old\r\n>> older\r\nnew > x\r\n", "new > x", "quoted lines are left out" },
	{ "Content-Type: text/plain; charset=latin1\r\nContent-Transfer-Encoding: quoted-printable"
	  "\r\n\r\nGr=FC=DFe,=\r\n du\x01!",
	    "Gr\xc3\xbc\xc3\x9f"
	    "e, du !",
	    "decoded, without controls" },
	{ PLAIN "a\xe2\x80\x8b\xc2\xad\xef\xbb\xbf"
		"b\xc2\xa0"
		"c",
	    "ab c", "what takes no place is left out" },
	{ HTML "<html><head><title>T</title><style>p {x}</style></head><body><p>Hi <b>y</b>ou</p>"
	       "<p>there</p></body>",
	    "Hi you there", "HTML without its markup" },
	{ HTML "<style>x</style>a<br>b<!-- c > -- -->d<script>e</script>f", "a bd f", "comments" },
	{ HTML "x &lt;&amp;&gt; &#65;&#x42;&nbsp;&bogus; &#99999999; &#xd800;&",
	    "x <&> AB &bogus; &", "entities" },
	{ HTML "<head><title>x</title><body>y", "y", "a head without end" },
	{ HTML "a < b <p", "a", "a tag without end" },
	{ MIXED "--b\r\nContent-Type: text/html\r\n\r\n<p>html\r\n--b\r\n\r\nplain\r\n--b--\r\n",
	    "plain", "text/plain before text/html" },
	{ MIXED "--b\r\nContent-Disposition: attachment\r\n\r\nno\r\n--b\r\nContent-Type: "
		"text/html\r\n\r\nyes\r\n--b--\r\n",
	    "yes", "no attachment" },
	{ MIXED "--b\r\nContent-Type: image/gif\r\n\r\nno\r\n--b--\r\n", "", "no text at all" },
	{ MIXED "--b\r\n\r\n\r\n--b\r\n\r\nsecond\r\n--b--\r\n", "second", "an empty part" },
};

int
main(void)
{
	struct buf big = { 0 };
	struct slice s, c;
	size_t chars = 0;

	for (size_t i = 0; i < NELEM(cases); i++)
		is(preview(slice_str(cases[i].msg)), cases[i].want, "%s", cases[i].what);
	buf_lit(&big, PLAIN);
	for (int i = 0; i < 1000; i++)
		buf_lit(&big, "\xf0\x9f\x98\x80");
	(void)preview(buf_get(&big));
	s = c = buf_get(&out);
	while (c.n > 0 && utf8_next(&c) >= 0)
		chars++;
	ok(chars == PREVIEW_CHARS && s.n == PREVIEW_MAX, "cut at a character");
	buf_clear(&big);
	buf_lit(&big, PLAIN);
	for (int i = 0; i < 250; i++)
		buf_lit(&big, "a ");
	ok(strlen(preview(buf_get(&big))) == PREVIEW_CHARS - 1, "no blank at the end");
	buf_clear(&big);
	buf_lit(&big, PLAIN);
	for (int i = 0; i < 40000; i++)
		buf_lit(&big, "                \r\n");
	buf_lit(&big, "far");
	is(preview(buf_get(&big)), "", "it is not looked for everywhere");
	buf_clear(&big);
	buf_lit(&big, "Content-Transfer-Encoding: base64\r\n\r\n");
	for (int i = 0; i < 10000; i++)
		buf_lit(&big, "!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!\r\n");
	buf_lit(&big, "ZmFy");
	is(preview(buf_get(&big)), "", "nor behind what decodes to nothing");
	buf_fini(&big);
	buf_fini(&out);
	return done();
}

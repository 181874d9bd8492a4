/* MIME trees: the shapes of RFC 2046, broken ones, and the limits. */
#include "../tap.h"
#include "mail/mime.h"

static struct arena arena;

/* "type/subtype[header_len+body_len,lines]" with the children in parentheses. */
static void
show(struct buf *b, const struct mime_part *p)
{
	buf_printf(b, SFMT "/" SFMT "[%zu+%zu,%zu]", SARG(p->type), SARG(p->subtype), p->header_len,
	    p->body_len, p->lines);
	if (p->kind != MIME_LEAF) {
		buf_char(b, p->kind == MIME_MESSAGE ? '{' : '(');
		for (const struct mime_part *c = p->child; c; c = c->next) {
			if (c != p->child)
				buf_char(b, ' ');
			show(b, c);
		}
		buf_char(b, p->kind == MIME_MESSAGE ? '}' : ')');
	}
}

static const char *
shape(struct slice msg)
{
	static struct buf b;
	struct mime m;

	buf_clear(&b);
	mime_parse(msg, &arena, &m);
	show(&b, m.root);
	return buf_cstr(&b);
}

#define MULTI(b) "Content-Type: multipart/mixed; boundary=" b "\r\n\r\n"

static const struct {
	const char *msg, *want, *what;
	/* clang-format off */
} shapes[] = {
	{ "", "text/plain[0+0,0]", "nothing" },
	{ "\r\n", "text/plain[2+0,0]", "an empty header" },
	{ "Subject: x\r\n\r\nHello\r\nWorld\r\n", "text/plain[14+14,2]", "plain" },
	{ "Subject: x\n\nHello\nWorld", "text/plain[12+11,2]", "LF, and no last line end" },
	{ "Subject: x", "text/plain[10+0,0]", "no body" },
	{ "Content-Type: text/html; charset=x\r\n\r\n<p>", "text/html[38+3,1]", "a type" },
	{ "Content-Type: rubbish\r\n\r\nx", "text/plain[25+1,1]", "a type that is none" },
	{ "Content-Type: image/\r\nContent-Type: a/b\r\n\r\nx", "text/plain[43+1,1]", "the first counts" },
	{ "content-type\t: (c) image / (d) png (e); x=y\r\n\r\n", "image/png[47+0,0]", "comments" },
	{ MULTI("b") "pre\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: a/b\r\n\r\ntwo\r\nlines\r\n--b--\r\nepi\r\n",
	  "multipart/mixed[45+67,11](text/plain[2+3,1] a/b[21+10,2])", "preamble and epilogue" },
	{ MULTI("\"a b\"") "--a b\r\n\r\nx\r\n--a b-- \t\r\n",
	  "multipart/mixed[49+23,4](text/plain[2+1,1])", "a quoted boundary, padding" },
	{ MULTI("b") "--b\r\n\r\n\r\n--b--\r\n", "multipart/mixed[45+16,4](text/plain[2+0,0])",
	  "a part without body" },
	{ MULTI("b") "--b\r\n\r\n--b--", "multipart/mixed[45+12,3](text/plain[2+0,0])",
	  "a part whose body ends before it begins" },
	{ MULTI("b") "--b\r\n--b\r\n--b--\r\n",
	  "multipart/mixed[45+17,3](text/plain[0+0,0] text/plain[0+0,0])", "parts of nothing" },
	{ MULTI("b") "--b\r\nContent-Type: a/b\r\n--b\r\nrubbish\r\n",
	  "multipart/mixed[45+38,4](a/b[19+0,0] text/plain[9+0,0])", "headers without end" },
	{ MULTI("b") "--b\r\n\r\none\r\n--bb\r\n--b-\r\n--b--x\r\n---b\r\n --b\r\n",
	  "multipart/mixed[45+44,8](text/plain[2+37,6])", "lines that are nearly boundaries" },
	{ MULTI("b") "text\r\n", "multipart/mixed[45+6,1](text/plain[0+0,0])", "no boundary comes" },
	{ "Content-Type: multipart/mixed\r\n\r\nx", "text/plain[33+1,1]", "no boundary is given" },
	{ MULTI("\" \"") "x", "text/plain[47+1,1]", "a boundary of blanks" },
	{ MULTI("a") "--a\r\n" MULTI("b") "--b\r\n\r\nin\r\n--b--\r\n--a\r\n\r\nout\r\n--a--\r\n",
	  "multipart/mixed[45+87,11](multipart/mixed[45+16,4](text/plain[2+2,1]) text/plain[2+3,1])",
	  "nested" },
	{ MULTI("a") "--a\r\n" MULTI("b") "--b\r\n\r\nin\r\n--a\r\n\r\nout\r\n--a--\r\n",
	  "multipart/mixed[45+80,10](multipart/mixed[45+9,3](text/plain[2+2,1]) text/plain[2+3,1])",
	  "the inner end is missing" },
	{ MULTI("a") "--a\r\n" MULTI("a") "--a\r\n\r\nin\r\n--a--\r\n--a\r\n\r\nout\r\n--a--\r\n",
	  "multipart/mixed[45+87,11](multipart/mixed[45+16,4](text/plain[2+2,1]) text/plain[2+3,1])",
	  "equal boundaries: the innermost first" },
	{ MULTI("a") "--a\r\n" MULTI("ab") "--ab\r\n\r\nin\r\n--ab--\r\n--a--\r\n",
	  "multipart/mixed[45+78,8](multipart/mixed[46+18,4](text/plain[2+2,1]))",
	  "one boundary begins like the other" },
	{ MULTI("a--") "--a--\r\n\r\nx\r\n--a----\r\n", "multipart/mixed[47+21,4](text/plain[2+1,1])",
	  "a boundary that ends like an end" },
	{ MULTI("b") "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nbody\r\n--b--\r\n",
	  "multipart/mixed[45+65,7](message/rfc822[32+19,3]{text/plain[15+4,1]})", "a message inside" },
	{ MULTI("b") "--b\r\nContent-Type: message/rfc822\r\n\r\n" MULTI("c") "--c\r\n\r\nx\r\n--c--\r\n--b--",
	  "multipart/mixed[45+104,10](message/rfc822[32+60,6]{multipart/mixed[45+15,4](text/plain[2+1,1])})",
	  "a multipart message inside" },
	{ MULTI("b") "--b\r\nContent-Type: message/rfc822\r\n--b--\r\n",
	  "multipart/mixed[45+42,3](message/rfc822[30+0,0]{text/plain[0+0,0]})",
	  "a message that is cut off has a part" },
	{ MULTI("b") "--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nAA\r\n--b--",
	  "multipart/mixed[45+81,6](application/octet-stream[67+2,1])", "an encoded message is opaque" },
	{ "Content-Type: message/rfc822\r\n\r\nA: b\r\n\r\nx",
	  "message/rfc822[32+9,3]{text/plain[8+1,1]}", "the message is a message" },
	{ "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nA: b\r\n\r\nx\r\n--b\r\n"
	  "Content-Type: text/plain\r\n\r\ny\r\n--b--\r\n",
	  "multipart/digest[46+61,10](message/rfc822[2+9,3]{text/plain[8+1,1]} text/plain[28+1,1])",
	  "the default in a digest" },
	{ "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b--\n",
	  "multipart/mixed[43+13,4](text/plain[1+1,1])", "LF alone" },
};
/* clang-format on */

static void
test_shapes(void)
{
	for (size_t i = 0; i < NELEM(shapes); i++) {
		is(shape(slice_str(shapes[i].msg)), shapes[i].want, "%s", shapes[i].what);
		arena_reset(&arena);
	}
}

static const char big[] =
    "Content-Type: multipart/mixed; boundary=o\r\n\r\n"
    "--o\r\n\r\nfirst\r\n"
    "--o\r\nContent-Type: message/rfc822\r\n\r\n"
    "Subject: inner\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n"
    "--i\r\n\r\nplain\r\n--i\r\nContent-Type: text/html\r\n\r\n<html>\r\n--i--\r\n\r\n"
    "--o\r\nContent-Type: message/rfc822\r\n\r\nSubject: simple\r\n\r\njust text\r\n"
    "--o\r\nContent-Type: multipart/mixed; boundary=n\r\n\r\n--n\r\n\r\ndeep\r\n--n--\r\n"
    "--o--\r\n";

static const char *
section(const struct mime *m, const char *path, enum mime_section which)
{
	static struct buf b;
	uint32_t n[10];
	size_t k = 0;
	struct slice at = slice_str(path), part, bytes;

	while (slice_cut(&at, '.', &part))
		n[k++] = (uint32_t)strtoul(part.p, NULL, 10);
	if (mime_section(m, n, k, which, &bytes) < 0)
		return "-";
	buf_clear(&b);
	buf_slice(&b, bytes);
	return buf_cstr(&b);
}

static void
test_sections(void)
{
	struct mime m;
	size_t n = 0;

	mime_parse(slice_str(big), &arena, &m);
	is(section(&m, "", MIME_BODY), big, "BODY[]");
	is(section(&m, "", MIME_HEADER), "Content-Type: multipart/mixed; boundary=o\r\n\r\n",
	    "[HEADER]");
	ok(strncmp(section(&m, "", MIME_TEXT), "--o\r\n", 5) == 0, "[TEXT]");
	is(section(&m, "", MIME_MIME), "-", "[MIME] needs a part");
	is(section(&m, "1", MIME_BODY), "first", "[1]");
	is(section(&m, "1", MIME_MIME), "\r\n", "[1.MIME]");
	is(section(&m, "1", MIME_HEADER), "-", "[1.HEADER]: no message");
	is(section(&m, "1.1", MIME_BODY), "-", "[1.1]: no such part");
	ok(strncmp(section(&m, "2", MIME_BODY), "Subject: inner", 14) == 0, "[2]");
	is(section(&m, "2", MIME_MIME), "Content-Type: message/rfc822\r\n\r\n", "[2.MIME]");
	is(section(&m, "2", MIME_HEADER),
	    "Subject: inner\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n",
	    "[2.HEADER]");
	ok(strncmp(section(&m, "2", MIME_TEXT), "--i\r\n", 5) == 0, "[2.TEXT]");
	is(section(&m, "2.1", MIME_BODY), "plain", "[2.1]");
	is(section(&m, "2.2", MIME_BODY), "<html>", "[2.2]");
	is(section(&m, "2.2", MIME_MIME), "Content-Type: text/html\r\n\r\n", "[2.2.MIME]");
	is(section(&m, "2.3", MIME_BODY), "-", "[2.3]");
	is(section(&m, "3.1", MIME_BODY), "just text", "[3.1]: the inner message's body");
	is(section(&m, "3.1", MIME_MIME), "Subject: simple\r\n\r\n", "[3.1.MIME]");
	is(section(&m, "3.2", MIME_BODY), "-", "[3.2]");
	is(section(&m, "3.1.1", MIME_BODY), "-", "[3.1.1]");
	is(section(&m, "4.1", MIME_BODY), "deep", "[4.1]");
	is(section(&m, "0", MIME_BODY), "-", "[0]");
	is(section(&m, "5", MIME_BODY), "-", "[5]");
	for (struct mime_part *p = m.root; p; p = mime_next(&m, p))
		n++;
	eq(n, 10, "the walk meets every part");
	eq(m.nparts, 10, "and they were counted");
	mime_parse(S("A: b\r\n\r\nbody"), &arena, &m);
	is(section(&m, "1", MIME_BODY), "body", "[1] of a plain message");
	is(section(&m, "1", MIME_MIME), "A: b\r\n\r\n", "[1.MIME] of a plain message");
	is(section(&m, "1.1", MIME_BODY), "-", "[1.1] of a plain message");
	arena_reset(&arena);
}

static void
test_fields(void)
{
	struct mime m;
	struct slice v, at;

	mime_parse(S("Content-Type: text/plain;\r\n charset=\"utf-8\" ; format=flowed\r\n"
		     "Content-Transfer-Encoding: (c) Quoted-Printable (d)\r\n"
		     "Content-ID:  <1@2> \r\nContent-Description: two\r\n words\r\n"
		     "Content-Disposition: attachment; filename=x.txt\r\nContent-MD5: abc==\r\n"
		     "Content-Language: de, en (x)\r\nContent-Location: http://x/\r\n\r\n"),
	    &arena, &m);
	ok(slice_eq(m.root->encoding, S("Quoted-Printable")), "encoding");
	ok(slice_eq(m.root->id, S("<1@2>")), "id");
	ok(slice_eq(m.root->description, S("two words")), "description, unfolded");
	ok(slice_eq(m.root->disposition, S("attachment")), "disposition");
	ok(param_find(&m.root->dparams, S("FILENAME"), &v) && slice_eq(v, S("x.txt")),
	    "its parameter");
	ok(param_find(&m.root->params, S("charset"), &v) && slice_eq(v, S("utf-8")), "charset");
	eq(m.root->params.n, 2, "two parameters");
	ok(slice_eq(m.root->md5, S("abc==")) && slice_eq(m.root->location, S("http://x/")),
	    "md5, location");
	at = m.root->language;
	ok(mime_languages(&at, &v) && slice_eq(v, S("de")) && mime_languages(&at, &v) &&
		slice_eq(v, S("en")) && !mime_languages(&at, &v),
	    "languages");
	arena_reset(&arena);
}

static void
test_limits(void)
{
	struct buf b = { 0 };
	struct mime m;
	unsigned deepest = 0;
	size_t n = 0;

	for (int i = 0; i < 3000; i++)
		buf_printf(&b, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i,
		    i);
	mime_parse(buf_get(&b), &arena, &m);
	for (struct mime_part *p = m.root; p; p = mime_next(&m, p))
		deepest = p->depth > deepest ? p->depth : deepest;
	ok(m.cut && deepest < MIME_DEPTH_MAX, "3000 levels: depth %u", deepest);
	buf_clear(&b);
	for (int i = 0; i < 3000; i++)
		buf_lit(&b, "Content-Type: message/rfc822\r\n\r\n");
	mime_parse(buf_get(&b), &arena, &m);
	ok(m.cut && m.nparts <= MIME_DEPTH_MAX, "3000 messages: %zu parts", m.nparts);
	buf_clear(&b);
	buf_lit(&b, MULTI("b"));
	for (int i = 0; i < 300000; i++)
		buf_lit(&b, "--b\r\n");
	mime_parse(buf_get(&b), &arena, &m);
	for (struct mime_part *p = m.root; p; p = mime_next(&m, p))
		n++;
	ok(m.cut && n == MIME_PARTS_MAX && m.nparts == n, "300000 parts: %zu", n);
	buf_clear(&b);
	buf_lit(&b, "Content-Type: multipart/digest; boundary=b\r\n\r\n");
	for (int i = 0; i < 100000; i++)
		buf_lit(&b, "--b\r\n\r\nContent-Type: message/rfc822\r\n\r\n");
	mime_parse(buf_get(&b), &arena, &m);
	ok(m.cut && m.nparts <= MIME_PARTS_MAX + 10, "a digest of messages: %zu", m.nparts);
	arena_reset(&arena);
	buf_fini(&b);
}

/* A boundary at every distance from the start of a body, behind lines that begin like one. */
static void
test_places(void)
{
	struct buf b = { 0 };
	bool good = true;
	struct mime m;

	for (size_t n = 0; n < 400; n++) {
		size_t lines = 1;

		buf_clear(&b);
		buf_lit(&b, MULTI("b"));
		buf_lit(&b, "--b\r\n\r\n");
		for (size_t i = 0; i < n; i++) {
			bool end = i % 29 == 28;

			buf_str(&b, end ? (i % 2 ? "\r\n-" : "\n--") : "y");
			lines += end;
		}
		buf_lit(&b, "\r\n--b\r\n\r\nsecond\r\n--b--\r\n");
		for (int i = 0; i < 200; i++)
			buf_lit(&b, "behind\r\n");
		mime_parse(buf_get(&b), &arena, &m);
		good = good && m.root->nchild == 2 && m.root->child->lines == (n ? lines : 0) &&
		    slice_eq(mime_body(&m, m.root->child->next), S("second"));
	}
	ok(good, "a boundary at every place");
	arena_reset(&arena);
	buf_fini(&b);
}

int
main(void)
{
	test_places();
	test_shapes();
	test_sections();
	test_fields();
	test_limits();
	arena_reset(&arena);
	return done();
}

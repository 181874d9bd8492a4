/* Bodies as text: encodings, charsets, pieces. */
#include "../tap.h"
#include "base/base64.h"
#include "base/utf8.h"
#include "mail/text.h"

static const struct {
	const char *encoding, *charset, *in, *out;
} bodies[] = {
	{ "", "", "plain\r\n", "plain\r\n" },
	{ "7bit", "utf-8", "\xc3\xa4", "\xc3\xa4" },
	{ "8bit", "iso-8859-1", "\xe4", "\xc3\xa4" },
	{ "BASE64", "utf-8", "w6Q=\r\n", "\xc3\xa4" },
	{ "base64", "utf-8", "w 6\r\nQ", "\xc3\xa4" },
	{ "quoted-printable", "utf-8", "a=C3=A4=\r\nb =3D \r\n=\r\nc=zz=4", "a\xc3\xa4" "b =\r\nc=zz=4" },
	{ "Quoted-Printable", "latin1", "=e4=E4", "\xc3\xa4\xc3\xa4" },
	{ "quoted-printable", "utf-8", "soft=  \nend=", "softend" },
	{ "x-unknown", "x-unknown", "raw", "raw" },
	{ "base64", "utf-16le", "YQDkAA==", "a\xc3\xa4" },
	{ "base64", "", "", "" },
};

static void
read_all(struct buf *b, struct slice body, struct slice encoding, struct slice charset)
{
	struct text_reader t;

	buf_clear(b);
	text_open(&t, body, encoding, charset);
	while (text_next(&t, b))
		;
	text_close(&t);
}

/* Pieces are cut anywhere; the text must not show where. */
static void
test_pieces(void)
{
	struct buf text = { 0 }, body = { 0 }, b = { 0 };

	for (int i = 0; i < 60000; i++)
		buf_printf(&text, "%d \xc3\xa4\xe6\x97\xa5%s", i, i % 9 ? "" : "\r\n");
	base64_write(&b, buf_get(&text));
	for (size_t i = 0; i < b.n; i += 77) { /* lines that are no multiple of four */
		buf_slice(&body, slice_sub(buf_get(&b), i, 77));
		buf_lit(&body, "\r\n");
	}
	read_all(&b, buf_get(&body), S("base64"), S("utf-8"));
	ok(slice_eq(buf_get(&b), buf_get(&text)), "base64 in pieces");
	buf_clear(&body);
	text_write_qp(&body, buf_get(&text));
	read_all(&b, buf_get(&body), S("quoted-printable"), S("utf-8"));
	ok(slice_eq(buf_get(&b), buf_get(&text)), "quoted-printable in pieces");
	read_all(&b, buf_get(&text), S("8bit"), S("utf-8"));
	ok(slice_eq(buf_get(&b), buf_get(&text)), "plain in pieces");
	buf_clear(&body);
	for (int i = 0; i < 100000; i++)
		buf_lit(&body, "=41");
	read_all(&b, buf_get(&body), S("quoted-printable"), S(""));
	ok(b.n == 100000 && slice_find(buf_get(&b), '=') == b.n, "no line ends, cut between codes");
	buf_fini(&text);
	buf_fini(&body);
	buf_fini(&b);
}

static void
test_qp(void)
{
	struct buf b = { 0 }, back = { 0 };
	struct slice at, line;
	bool fits = true;

	text_write_qp(&b, S("a=b \r\n.\nFrom x\t"));
	is(buf_cstr(&b), "a=3Db=20\r\n=2E\r\n=46rom x=09", "written");
	text_decode(&back, TEXT_QP, buf_get(&b));
	is(buf_cstr(&back), "a=b \r\n.\r\nFrom x\t", "and read");
	buf_clear(&back);
	for (int i = 0; i < 500; i++)
		buf_str(&back, "\xc3\xa4 x");
	buf_clear(&b);
	text_write_qp(&b, buf_get(&back));
	at = buf_get(&b);
	while (slice_cut(&at, '\n', &line))
		fits &= line.n <= 77;
	ok(fits, "lines of at most 76");
	buf_fini(&b);
	buf_fini(&back);
}

static void
test_part(void)
{
	struct arena a = { 0 };
	struct mime m;
	struct text_reader t;
	struct buf b = { 0 };

	mime_parse(S("Content-Type: text/plain; charset=koi8-r\r\nContent-Transfer-Encoding: base64\r\n"
		     "\r\n8NLJ18XU\r\n"), &a, &m);
	text_open_part(&t, &m, m.root);
	ok(text_next(&t, &b), "a piece");
	is(buf_cstr(&b), "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82", "of a part");
	ok(!text_next(&t, &b), "and no more");
	text_close(&t);
	arena_reset(&a);
	buf_fini(&b);
}

int
main(void)
{
	struct buf b = { 0 };

	for (size_t i = 0; i < NELEM(bodies); i++) {
		read_all(&b, slice_str(bodies[i].in), slice_str(bodies[i].encoding),
		    slice_str(bodies[i].charset));
		is(buf_cstr(&b), bodies[i].out, "body %zu", i);
	}
	test_pieces();
	test_qp();
	test_part();
	buf_fini(&b);
	return done();
}

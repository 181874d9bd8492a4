/* Bodies as text: encodings, charsets, pieces. */
#include "../tap.h"
#include "base/base64.h"
#include "base/utf8.h"
#include "mail/text.h"

static const struct {
	const char *encoding, *charset, *in, *out;
	/* clang-format off */
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
/* clang-format on */

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

/* Each call takes one piece, whatever becomes of it: who calls can give way. */
static void
test_nothing(void)
{
	static const struct {
		const char *encoding, *of;
	} rows[] = { { "base64", "!" }, { "base64", "\r\n" }, { "quoted-printable", "=\r\n" } };
	struct buf body = { 0 }, b = { 0 };

	for (size_t i = 0; i < NELEM(rows); i++) {
		struct text_reader t, u;
		size_t n = 0, most = 0;
		bool more = true, same = true;

		buf_clear(&body);
		while (body.n < 10 * TEXT_PIECE)
			buf_str(&body, rows[i].of);
		text_open(&t, buf_get(&body), slice_str(rows[i].encoding), S(""));
		text_open(&u, buf_get(&body), slice_str(rows[i].encoding), S(""));
		while (more) {
			size_t was = t.rest.n;

			more = text_next(&t, &b);
			same = same && text_next_octets(&u, &b) == more && u.rest.n == t.rest.n;
			n += more;
			most = was - t.rest.n > most ? was - t.rest.n : most;
		}
		ok(b.n == 0 && same && n >= 10 && n <= 11 && most <= TEXT_PIECE,
		    "%s of nothing: piece by piece", rows[i].encoding);
		text_close(&t);
		text_close(&u);
	}
	buf_fini(&body);
	buf_fini(&b);
}

/* Lines longer than a piece, cut at every octet of what depends on its neighbours. */
static void
test_cuts(void)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ " bbbbb", " bbbbb" },
		{ " \t \r\nb", "\r\nb" },
		{ " \t \r\r\nb", "\r\nb" },
		{ " \r x\r\n", " \r x\r\n" },
		{ "=  \r\nb", "b" },
		{ " =\r\nb", " b" },
		{ " =41b", " Ab" },
		{ "==41", "=A" },
		{ "= x", "= x" },
		{ "=4 =x  ", "=4 =x" },
		{ "b=", "b" },
	};
	struct buf body = { 0 }, want = { 0 }, b = { 0 };

	for (size_t i = 0; i < NELEM(rows); i++) {
		bool good = true;

		for (size_t k = TEXT_PIECE - 10; k < TEXT_PIECE + 2; k++) {
			buf_clear(&body);
			memset(buf_reserve(&body, k), 'a', k);
			body.n = k;
			buf_clear(&want);
			buf_slice(&want, buf_get(&body));
			buf_str(&body, rows[i].in);
			buf_str(&want, rows[i].out);
			read_all(&b, buf_get(&body), S("quoted-printable"), S(""));
			good = good && slice_eq(buf_get(&b), buf_get(&want));
		}
		ok(good, "quoted-printable cut in row %zu", i);
	}
	buf_clear(&body);
	memset(buf_reserve(&body, 3 * TEXT_PIECE), ' ', 3 * TEXT_PIECE);
	body.n = 3 * TEXT_PIECE;
	buf_lit(&body, "x");
	read_all(&b, buf_get(&body), S("quoted-printable"), S(""));
	ok(slice_eq(buf_get(&b), buf_get(&body)), "pieces of blanks are kept");
	buf_fini(&body);
	buf_fini(&want);
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
	read_all(&back, buf_get(&b), S("quoted-printable"), S(""));
	is(buf_cstr(&back), "a=b \r\n.\r\nFrom x\t", "and read");
	buf_clear(&b);
	text_write_qp(&b, S("--b\r\na--b"));
	is(buf_cstr(&b), "=2D-b\r\na--b", "no line is a delimiter");
	buf_clear(&back);
	for (int i = 0; i < 75; i++)
		buf_char(&back, 'x');
	buf_lit(&back, "--b");
	buf_clear(&b);
	text_write_qp(&b, buf_get(&back));
	ok(slice_ends(buf_get(&b), S("x=\r\n=2D-b")), "nor behind a soft line break");
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

/* The encoding alone: octets, whatever the charset. */
static void
test_octets(void)
{
	static const char *const known[] = { "", "7BIT", "8bit", "Binary", "base64",
		"Quoted-Printable" };
	struct text_reader t;
	struct buf b = { 0 };
	enum text_encoding e;

	for (size_t i = 0; i < NELEM(known); i++)
		ok(text_encoding_find(slice_str(known[i]), &e) && (e == TEXT_PLAIN) == (i < 4),
		    "known: %s", known[i]);
	ok(!text_encoding_find(S("x-uuencode"), &e) && e == TEXT_PLAIN, "unknown");
	text_open(&t, S("/wD\r\n+"), S("base64"), S("utf-8"));
	while (text_next_octets(&t, &b))
		;
	ok(slice_eq(buf_get(&b), S("\xff\0\xfe")), "no charset, NUL and all");
	text_close(&t);
	buf_fini(&b);
}

static void
test_part(void)
{
	struct arena a = { 0 };
	struct mime m;
	struct text_reader t;
	struct buf b = { 0 };

	mime_parse(S("Content-Type: text/plain; charset=koi8-r\r\nContent-Transfer-Encoding: "
		     "base64\r\n"
		     "\r\n8NLJ18XU\r\n"),
	    &a, &m);
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
	test_nothing();
	test_cuts();
	test_qp();
	test_octets();
	test_part();
	buf_fini(&b);
	return done();
}

/* text.c: transfer encodings, and bodies as UTF-8 piece by piece. */
#include "mail/text.h"

#define PIECE 65536 /* raw bytes per step */

/* One line of quoted-printable without its line end; returns false after a soft break. */
static bool
qp_line(struct buf *out, struct slice s)
{
	char *dst = buf_reserve(out, s.n), *at = dst;
	bool hard = true;

	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t' || s.p[s.n - 1] == '\r'))
		s.n--; /* RFC 2045 6.7 (3): added in transport */
	if (s.n && s.p[s.n - 1] == '=') {
		s.n--;
		hard = false;
	}
	if (dst == NULL)
		return hard;
	while (s.n > 0) {
		size_t n = slice_find(s, '=');

		memcpy(at, s.p, n);
		at += n;
		s = slice_from(s, n);
		if (s.n == 0)
			break;
		if (s.n > 2 && ascii_hex(s.p[1]) >= 0 && ascii_hex(s.p[2]) >= 0) {
			*at++ = (char)(ascii_hex(s.p[1]) << 4 | ascii_hex(s.p[2]));
			s = slice_from(s, 3);
		} else {
			*at++ = '=';
			s = slice_from(s, 1);
		}
	}
	out->n += (size_t)(at - dst);
	return hard;
}

static void
qp_decode(struct buf *out, struct slice s)
{
	while (s.n > 0) {
		size_t n = slice_find(s, '\n');
		bool hard = qp_line(out, slice(s.p, n));

		if (n < s.n && hard)
			buf_lit(out, "\r\n");
		s = slice_from(s, n + 1);
	}
}

enum text_encoding
text_encoding(struct slice name)
{
	if (slice_ieq(name, S("base64")))
		return TEXT_BASE64;
	return slice_ieq(name, S("quoted-printable")) ? TEXT_QP : TEXT_PLAIN;
}

void
text_decode(struct buf *out, enum text_encoding e, struct slice body)
{
	switch (e) {
	case TEXT_BASE64: base64_parse_mime(out, body); break;
	case TEXT_QP: qp_decode(out, body); break;
	case TEXT_PLAIN: buf_slice(out, body); break;
	}
}

void
text_open(struct text_reader *t, struct slice body, struct slice encoding, struct slice charset)
{
	*t = (struct text_reader){ .rest = body, .encoding = text_encoding(encoding) };
	(void)!charset_open(&t->charset, charset); /* unknown: guessed */
}

void
text_open_part(struct text_reader *t, const struct mime *m, const struct mime_part *p)
{
	struct slice charset = { 0 };

	(void)param_find(&p->params, S("charset"), &charset);
	text_open(t, mime_body(m, p), p->encoding, charset);
}

/* Where a piece can end: behind a line, or failing that not inside "=XX". */
static size_t
qp_piece(struct slice s)
{
	size_t n = PIECE;

	if (s.n <= PIECE)
		return s.n;
	n = slice_rfind(slice(s.p, PIECE), '\n');
	if (n < PIECE)
		return n + 1;
	n = slice_rfind(slice(s.p + PIECE - 2, 2), '=');
	return PIECE - 2 + n;
}

bool
text_next(struct text_reader *t, struct buf *out)
{
	size_t was = out->n;

	while (t->rest.n > 0 && out->n == was && !out->full) {
		size_t n = t->encoding == TEXT_QP ? qp_piece(t->rest) :
		    t->rest.n < PIECE ? t->rest.n : PIECE;
		struct slice piece = slice(t->rest.p, n);
		bool last = n == t->rest.n;

		t->rest = slice_from(t->rest, n);
		if (t->encoding != TEXT_PLAIN) {
			buf_clear(&t->raw);
			if (t->encoding == TEXT_BASE64)
				base64_feed(&t->base64, &t->raw, piece, last);
			else
				qp_decode(&t->raw, piece);
			piece = buf_get(&t->raw);
		}
		charset_feed(&t->charset, out, piece, last);
	}
	return out->n > was;
}

void
text_close(struct text_reader *t)
{
	charset_close(&t->charset);
	buf_fini(&t->raw);
	t->rest = slice(NULL, 0);
}

void
text_write_qp(struct buf *out, struct slice s)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t col = 0;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		bool crlf = c == '\n' || (c == '\r' && i + 1 < s.n && s.p[i + 1] == '\n');
		bool ends = i + 1 == s.n || s.p[i + 1] == '\n' || s.p[i + 1] == '\r';
		bool plain;

		if (crlf) {
			i += c == '\r';
			buf_lit(out, "\r\n");
			col = 0;
			continue;
		}
		/* a dot or "From " at the start of a line does not survive all transports */
		plain = c == ' ' || c == '\t' ? !ends : c > ' ' && c < 0x7f && c != '=' &&
		    !(col == 0 && (c == '.' || c == 'F'));
		if (col + (plain ? 1 : 3) > 75) {
			buf_lit(out, "=\r\n");
			col = 0;
		}
		if (plain) {
			buf_char(out, (char)c);
			col++;
		} else {
			buf_char(out, '=');
			buf_char(out, hex[c >> 4]);
			buf_char(out, hex[c & 15]);
			col += 3;
		}
	}
}

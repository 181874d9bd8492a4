/* text.c: transfer encodings, and bodies as UTF-8 piece by piece.
 *
 * Called by message/text for the bodies that are searched and by imapd for BINARY.  Nothing can
 * fail: damage gives some text, an unknown charset is guessed.  What must stay true: a call takes
 * one piece, of at most TEXT_PIECE bytes, even if that decodes to nothing, so that who calls can
 * give way between two; where it was cut cannot be seen in the text, since base64 and charset keep
 * what is not whole and quoted-printable is cut where nothing depends on what follows. */
#include "mail/text.h"

static bool
qp_is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* One line of quoted-printable without its line end, or if it does not end here, a piece of one;
 * returns false after a soft break. */
static bool
qp_line(struct buf *out, struct slice s, bool ends)
{
	char *dst = buf_reserve(out, s.n), *at = dst;
	bool hard = true;

	while (ends && s.n && qp_is_blank(s.p[s.n - 1]))
		s.n--; /* RFC 2045 6.7 (3): added in transport */
	if (ends && s.n && s.p[s.n - 1] == '=') {
		s.n--;
		hard = false;
	}
	if (!dst)
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

/* `last`: nothing of the body follows. */
static void
qp_decode(struct buf *out, struct slice s, bool last)
{
	while (s.n > 0) {
		size_t n = slice_find(s, '\n');
		bool hard = qp_line(out, slice(s.p, n), n < s.n || last);

		if (n < s.n && hard)
			buf_lit(out, "\r\n");
		s = slice_from(s, n + 1);
	}
}

bool
text_encoding_find(struct slice name, enum text_encoding *e)
{
	*e = slice_ieq(name, S("base64"))          ? TEXT_BASE64 :
	    slice_ieq(name, S("quoted-printable")) ? TEXT_QP :
						     TEXT_PLAIN;
	return *e != TEXT_PLAIN || name.n == 0 || slice_ieq(name, S("7bit")) ||
	    slice_ieq(name, S("8bit")) || slice_ieq(name, S("binary"));
}

void
text_open(struct text_reader *t, struct slice body, struct slice encoding, struct slice charset)
{
	*t = (struct text_reader){ .rest = body };
	(void)text_encoding_find(encoding, &t->encoding);
	(void)!charset_open(&t->charset, charset); /* unknown: guessed */
}

void
text_open_part(struct text_reader *t, const struct mime *m, const struct mime_part *p)
{
	struct slice charset = { 0 };

	(void)param_find(&p->params, S("charset"), &charset);
	text_open(t, mime_body(m, p), p->encoding, charset);
}

/* Where a piece can end: behind a line, or failing that not inside "=XX" and before blanks, which
 * are nothing if the line ends behind them.  Of a whole piece of blanks it is not known: they are kept. */
static size_t
qp_piece(struct slice s)
{
	size_t n = TEXT_PIECE;

	if (s.n <= TEXT_PIECE)
		return s.n;
	n = slice_rfind(slice(s.p, TEXT_PIECE), '\n');
	if (n < TEXT_PIECE)
		return n + 1;
	while (n > 0 && qp_is_blank(s.p[n - 1]))
		n--;
	if (n > 0 && s.p[n - 1] == '=')
		n--;
	else if (n > 1 && s.p[n - 2] == '=')
		n -= 2;
	return n > 0 ? n : TEXT_PIECE;
}

/* The next piece, its transfer encoding undone: good until the next one. */
static struct slice
text_piece(struct text_reader *t)
{
	size_t n = t->encoding == TEXT_QP ? qp_piece(t->rest) :
	    t->rest.n < TEXT_PIECE        ? t->rest.n :
					    TEXT_PIECE;
	struct slice piece = slice(t->rest.p, n);

	t->rest = slice_from(t->rest, n);
	if (t->encoding == TEXT_PLAIN)
		return piece;
	buf_clear(&t->raw);
	if (t->encoding == TEXT_BASE64)
		base64_feed(&t->base64, &t->raw, piece, t->rest.n == 0);
	else
		qp_decode(&t->raw, piece, t->rest.n == 0);
	return buf_get(&t->raw);
}

bool
text_next(struct text_reader *t, struct buf *out)
{
	struct slice piece;

	if (t->rest.n == 0 || out->full)
		return false;
	piece = text_piece(t);
	charset_feed(&t->charset, out, piece, t->rest.n == 0);
	return true;
}

bool
text_next_octets(struct text_reader *t, struct buf *out)
{
	if (t->rest.n == 0 || out->full)
		return false;
	buf_slice(out, text_piece(t));
	return true;
}

void
text_close(struct text_reader *t)
{
	charset_close(&t->charset);
	buf_fini(&t->raw);
	t->rest = slice(NULL, 0);
}

/* At the start of a line a dot or "From " does not survive all transports, and what begins with a hyphen could be the
 * delimiter of a multipart that the text is put into: also behind a soft line break, which readers of MIME see first. */
static bool
qp_plain(unsigned char c, size_t col, bool ends)
{
	if (c == ' ' || c == '\t')
		return !ends;
	return c > ' ' && c < 0x7f && c != '=' && !(col == 0 && (c == '.' || c == 'F' || c == '-'));
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
		plain = qp_plain(c, col, ends);
		if (col + (plain ? 1 : 3) > 75) {
			buf_lit(out, "=\r\n");
			col = 0;
			plain = qp_plain(c, col, ends);
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

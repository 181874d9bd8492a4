/* encoded-word.c: RFC 2047, reading and writing.
 *
 * Called for each field that is searched or shown (message/text, imap/envelope), for parameters,
 * and by sendmail.  Nothing can fail: what is not quite an encoded word stays as it stands.  What
 * must stay true: linear time on a text of nothing but beginnings; no line end comes out of a
 * word, or a subject could write headers; words of one charset are joined before they are
 * converted, for senders that cut within a character. */
#include "base/base64.h"
#include "base/utf8.h"
#include "mail/charset.h"
#include "mail/encoded-word.h"
#include "mail/header.h"

/* ---- reading ------------------------------------------------------------------------------ */

struct word {
	struct slice charset, text, whole;
	bool base64;
};

/* "=?charset*lang?B?text?=" at the front of s.  Every search stops at the next "?", so that
 * a text of beginnings costs no more than one pass. */
static bool
word_parse(struct slice s, struct word *w)
{
	struct slice at;
	size_t n;

	if (!slice_starts(s, S("=?")))
		return false;
	at = slice_from(s, 2);
	n = slice_find(at, '?');
	if (n == 0 || n + 3 >= at.n || at.p[n + 2] != '?')
		return false;
	w->charset = slice(at.p, n);
	w->charset.n = slice_find(w->charset, '*'); /* the language, RFC 2231 5 */
	w->base64 = at.p[n + 1] == 'B' || at.p[n + 1] == 'b';
	if (!w->base64 && at.p[n + 1] != 'Q' && at.p[n + 1] != 'q')
		return false;
	at = slice_from(at, n + 3);
	n = slice_find(at, '?');
	if (n + 1 >= at.n || at.p[n + 1] != '=')
		return false;
	w->text = slice(at.p, n);
	w->whole = slice(s.p, (size_t)(at.p + n + 2 - s.p));
	return true;
}

static void
word_decode(struct buf *out, const struct word *w)
{
	char *dst;
	size_t n = 0;

	if (w->base64) {
		base64_parse_mime(out, w->text);
		return;
	}
	dst = buf_reserve(out, w->text.n);
	if (!dst)
		return;
	for (size_t i = 0; i < w->text.n; i++) {
		char c = w->text.p[i];

		if (c == '=' && i + 2 < w->text.n && ascii_hex(w->text.p[i + 1]) >= 0 &&
		    ascii_hex(w->text.p[i + 2]) >= 0) {
			c = (char)(ascii_hex(w->text.p[i + 1]) << 4 | ascii_hex(w->text.p[i + 2]));
			i += 2;
		} else if (c == '_') {
			c = ' ';
		}
		dst[n++] = c;
	}
	out->n += n;
}

/* Adjacent words of one charset are joined before conversion: many senders cut characters. */
struct run {
	struct buf bytes;
	struct slice charset;
	const char *from, *to; /* the words as they stand */
	bool clean;            /* no control characters; else blanks for them */
};

/* No line end can hide in a word: what follows `at` in `out` has no control characters any more. */
static void
run_tidy(struct buf *out, size_t at, bool clean)
{
	size_t to = at;

	for (; at < out->n; at++) {
		bool control = (unsigned char)out->p[at] < ' ' && out->p[at] != '\t';

		if (clean && (control || out->p[at] == 0x7f))
			continue;
		out->p[to++] = control ? ' ' : out->p[at];
	}
	out->n = to;
}

static void
run_flush(struct run *r, struct buf *out)
{
	size_t at = out->n;

	if (!r->from)
		return;
	if (charset_to_utf8(out, r->charset, buf_get(&r->bytes)) < 0)
		charset_guess(out, slice(r->from, (size_t)(r->to - r->from)));
	run_tidy(out, at, r->clean);
	buf_clear(&r->bytes);
	r->from = NULL;
}

static void
encoded_word_run_add(struct run *r, const struct word *w, struct buf *out)
{
	if (r->from && !slice_ieq(r->charset, w->charset))
		run_flush(r, out);
	if (!r->from)
		r->from = w->whole.p;
	r->charset = w->charset;
	r->to = w->whole.p + w->whole.n;
	word_decode(&r->bytes, w);
}

/* Text between words, without folds. */
static void
add_plain(struct buf *out, struct slice s)
{
	struct buf tmp = { 0 };

	if (slice_find(s, '\n') == s.n && slice_find(s, '\r') == s.n) {
		charset_guess(out, s);
		return;
	}
	header_unfold_to(&tmp, s);
	charset_guess(out, buf_get(&tmp));
	buf_fini(&tmp);
}

static void
encoded_word_read(struct buf *out, struct slice s, bool clean)
{
	struct run r = { .clean = clean };
	struct word w;
	const char *from = s.p; /* plain text that is not yet out */

	while (s.n > 0) {
		size_t n = slice_find_str(s, S("=?"));

		s = slice_from(s, n);
		if (s.n == 0)
			break;
		if (!word_parse(s, &w)) {
			s = slice_from(s, 2);
			continue;
		}
		if (!r.from || slice_trim(slice(from, (size_t)(s.p - from))).n > 0) {
			run_flush(&r, out);
			add_plain(out, slice(from, (size_t)(s.p - from)));
		}
		encoded_word_run_add(&r, &w, out);
		s = slice_from(s, w.whole.n);
		from = r.to;
	}
	run_flush(&r, out);
	if (from)
		add_plain(out, slice(from, (size_t)(s.p + s.n - from)));
	buf_fini(&r.bytes);
}

void
encoded_word_parse(struct buf *out, struct slice s)
{
	encoded_word_read(out, s, false);
}

void
encoded_word_parse_clean(struct buf *out, struct slice s)
{
	encoded_word_read(out, s, true);
}

/* ---- writing ------------------------------------------------------------------------------ */

#define WORD_MAX  75 /* RFC 2047 2 */
#define WORD_HEAD "=?utf-8?q?"
#define TEXT_MAX  (WORD_MAX - (sizeof(WORD_HEAD) - 1) - 2)

/* What may stand for itself in a q word anywhere, phrases included (RFC 2047 5 (3)). */
static inline bool
is_q_plain(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	    c == '!' || c == '*' || c == '+' || c == '-' || c == '/';
}

static size_t
q_len(struct slice s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += is_q_plain(s.p[i]) || s.p[i] == ' ' ? 1 : 3;
	return n;
}

static void
q_write(struct buf *out, struct slice s)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (is_q_plain((char)c)) {
			buf_char(out, (char)c);
		} else if (c == ' ') {
			buf_char(out, '_');
		} else {
			buf_char(out, '=');
			buf_char(out, hex[c >> 4]);
			buf_char(out, hex[c & 15]);
		}
	}
}

/* Whole characters from the front of s whose encoding has at most TEXT_MAX characters. */
static struct slice
take_fitting(struct slice *s, bool base64)
{
	size_t n = 0;
	struct slice piece, rest = *s;

	while (rest.n > 0) {
		(void)utf8_next(&rest);
		piece = slice(s->p, (size_t)(rest.p - s->p));
		if ((base64 ? (piece.n + 2) / 3 * 4 : q_len(piece)) > TEXT_MAX)
			break;
		n = piece.n;
	}
	piece = slice(s->p, n);
	*s = slice_from(*s, n);
	return piece;
}

static void
write_words(struct buf *out, struct slice s)
{
	bool base64 = q_len(s) > (s.n + 2) / 3 * 6, first = true; /* q can be read by eye */

	while (s.n > 0) {
		struct slice piece = take_fitting(&s, base64);

		if (!first)
			buf_char(out, ' ');
		first = false;
		buf_str(out, base64 ? "=?utf-8?b?" : WORD_HEAD);
		if (base64)
			base64_write(out, piece);
		else
			q_write(out, piece);
		buf_lit(out, "?=");
	}
}

static bool
needs_encoding(struct slice w)
{
	for (size_t i = 0; i < w.n; i++)
		if ((unsigned char)w.p[i] < ' ' || w.p[i] & 0x80 || w.p[i] == 0x7f)
			return true;
	return slice_find_str(w, S("=?")) < w.n;
}

/* Words that need it are encoded together with the blanks between them. */
static void
encoded_word_write_text(struct buf *out, struct slice s)
{
	while (s.n > 0) {
		size_t n = 0, end = 0, next;
		bool encode;

		while (n < s.n && s.p[n] == ' ')
			n++;
		buf_add(out, s.p, n);
		s = slice_from(s, n);
		for (n = 0, encode = false; n < s.n; n = next) {
			size_t from = n;

			while (from < s.n && s.p[from] == ' ')
				from++;
			for (next = from; next < s.n && s.p[next] != ' '; next++)
				;
			if (n == 0)
				encode = needs_encoding(slice_sub(s, from, next - from));
			else if (!encode || !needs_encoding(slice_sub(s, from, next - from)))
				break;
			end = next;
		}
		if (encode)
			write_words(out, slice(s.p, end));
		else
			buf_add(out, s.p, end);
		s = slice_from(s, end);
	}
}

static void
write_phrase(struct buf *out, struct slice s)
{
	bool atoms = s.n > 0 && s.p[0] != ' ' && s.p[s.n - 1] != ' ';

	if (needs_encoding(s)) {
		write_words(out, s);
		return;
	}
	for (size_t i = 0; i < s.n && atoms; i++)
		atoms = is_q_plain(s.p[i]) || (s.p[i] == ' ' && s.p[i + 1] != ' ');
	if (atoms) {
		buf_slice(out, s);
		return;
	}
	buf_char(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_char(out, '\\');
		buf_char(out, s.p[i]);
	}
	buf_char(out, '"');
}

void
encoded_word_write(struct buf *out, struct slice utf8, enum encoded_word_use use)
{
	struct buf clean = { 0 };

	if (!utf8_valid(utf8)) {
		(void)!charset_to_utf8(&clean, S("utf-8"), utf8);
		utf8 = buf_get(&clean);
	}
	if (use == ENCODED_PHRASE)
		write_phrase(out, utf8);
	else
		encoded_word_write_text(out, utf8);
	buf_fini(&clean);
}

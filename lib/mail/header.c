/* header.c: fields of a header in memory.  The scanner of one that passes is header-scan.c.
 *
 * Called by all that read stored messages (MIME, ENVELOPE, digest, SEARCH) and by those that
 * write fields.  Nothing can fail: a line that is no field comes out with an empty name.  What
 * must stay true: slices borrow from the header, nothing is changed in it; each byte is looked at
 * a constant number of times; header_write lets no control character through, so a value cannot
 * begin another field. */
#include "mail/header.h"

#define FOLD_AT  78  /* RFC 5322 2.1.1: should be no longer */
#define LINE_LEN 998 /* must be no longer */

static inline bool
header_is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Octets of the first line with its end; all when there is no end. */
static inline size_t
line_len(struct slice s)
{
	const char *lf = s.n ? memchr(s.p, '\n', s.n) : NULL;

	return lf ? (size_t)(lf - s.p) + 1 : s.n;
}

static inline bool
is_empty_line(struct slice s)
{
	return s.n > 0 && (s.p[0] == '\n' || (s.n > 1 && s.p[0] == '\r' && s.p[1] == '\n'));
}

size_t
header_len(struct slice msg)
{
	struct slice s = msg;

	while (s.n > 0 && !is_empty_line(s))
		s = slice_from(s, line_len(s));
	return s.n == 0 ? msg.n : (size_t)(s.p - msg.p) + (s.p[0] == '\r' ? 2 : 1);
}

/* The name in front of the colon; empty when the line is no field. */
static struct slice
field_name(struct slice line, size_t *colon)
{
	size_t n;

	*colon = slice_find(line, ':');
	if (*colon == line.n)
		return slice(line.p, 0);
	for (n = *colon; n > 0 && header_is_blank(line.p[n - 1]); n--)
		; /* obs-optional, RFC 5322 4.5 */
	for (size_t i = 0; i < n; i++)
		if (line.p[i] <= ' ' || line.p[i] > '~')
			return slice(line.p, 0);
	return slice(line.p, n);
}

bool
header_next(struct slice *at, struct header_field *f)
{
	struct slice s = *at;
	size_t first, n, colon;

	if (s.n == 0 || is_empty_line(s))
		return false;
	first = n = line_len(s);
	while (n < s.n && header_is_blank(s.p[n]))
		n += line_len(slice_from(s, n));
	f->whole = slice(s.p, n);
	*at = slice_from(s, n);
	if (n > 0 && s.p[n - 1] == '\n')
		n--;
	if (n > 0 && s.p[n - 1] == '\r')
		n--;
	f->name = field_name(slice(s.p, first < n ? first : n), &colon);
	f->value = f->name.n ? slice(s.p + colon + 1, n - colon - 1) : slice(s.p, n);
	return true;
}

bool
header_find(struct slice header, struct slice name, struct header_field *f)
{
	while (header_next(&header, f))
		if (slice_ieq(f->name, name))
			return true;
	return false;
}

static inline bool
is_fold_part(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Writes to dst, which has room for s.n; returns how much. */
static size_t
undo_folds(char *dst, struct slice s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n;) {
		size_t from = i;
		bool fold = false;

		while (i < s.n && !is_fold_part(s.p[i]))
			dst[n++] = s.p[i++];
		for (from = i; i < s.n && is_fold_part(s.p[i]); i++)
			fold = fold || s.p[i] == '\n';
		if (fold)
			dst[n++] = ' ';
		for (; !fold && from < i; from++)
			if (s.p[from] != '\r')
				dst[n++] = s.p[from];
	}
	return n;
}

static bool
has_line_end(struct slice s)
{
	return slice_find(s, '\n') < s.n || slice_find(s, '\r') < s.n;
}

struct slice
header_unfold(struct slice value, struct arena *a)
{
	char *dst;

	value = slice_trim(value);
	if (!has_line_end(value))
		return value;
	dst = arena_new(a, value.n);
	return slice(dst, undo_folds(dst, value));
}

void
header_unfold_to(struct buf *b, struct slice piece)
{
	char *dst;

	if (!has_line_end(piece))
		buf_slice(b, piece);
	else if ((dst = buf_reserve(b, piece.n)))
		b->n += undo_folds(dst, piece);
}

/* Appends a run without control characters. */
static void
add_clean(struct buf *b, struct slice s)
{
	char *dst = buf_reserve(b, s.n);

	if (!dst)
		return;
	for (size_t i = 0; i < s.n; i++)
		dst[i] = (unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f ? ' ' : s.p[i];
	b->n += s.n;
}

static inline bool
is_break(char c)
{
	return c == ' ' || (unsigned char)c < ' ' || c == 0x7f;
}

/* A word that no line can hold is cut, between characters. */
static size_t
add_long_word(struct buf *b, struct slice w, size_t col)
{
	while (col + w.n > LINE_LEN) {
		size_t n = LINE_LEN - col;

		while (n > 1 && (w.p[n] & 0xc0) == 0x80)
			n--;
		buf_add(b, w.p, n);
		buf_lit(b, "\r\n ");
		w = slice_from(w, n);
		col = 1;
	}
	buf_slice(b, w);
	return col + w.n;
}

void
header_write(struct buf *b, const char *name, struct slice value)
{
	size_t col = strlen(name) + 1, i = 0;
	bool first = true;

	while (value.n > 0 && is_break(value.p[value.n - 1]))
		value.n--;
	while (i < value.n && is_break(value.p[i]))
		i++;
	buf_str(b, name);
	buf_lit(b, ": ");
	col++;
	while (i < value.n) {
		size_t from = i, word;

		while (is_break(value.p[i])) /* ends: the last character is no break */
			i++;
		for (word = i; i < value.n && !is_break(value.p[i]); i++)
			;
		if (!first && col + (i - from) > FOLD_AT) {
			buf_lit(b, "\r\n");
			col = 0;
		}
		if (word - from > LINE_LEN / 2)
			from = word - 1; /* absurd runs of blanks become one */
		add_clean(b, slice_sub(value, from, word - from));
		col = add_long_word(b, slice_sub(value, word, i - word), col + (word - from));
		first = false;
	}
	buf_lit(b, "\r\n");
}

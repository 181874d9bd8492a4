/* pop3/text.c: the bytes of POP3: lines, stuffing, unique-ids.
 *
 * Owns nothing; server.c calls it for each line, pop3d for each piece of a message.  Nothing can fail
 * but the parsing of a number and of a format.  What must stay true: what pop3_stuff_write has written
 * holds no line that is a dot alone, for clients that split at CRLF and for those that split at LF,
 * however the message was cut into pieces.  Cost: each byte once. */
#include "pop3/text.h"

#include <string.h>

/* ---- commands ----------------------------------------------------------------------------- */

void
pop3_line_parse(struct slice line, struct slice *verb, struct slice *arg)
{
	size_t n = slice_find(line, ' ');

	*verb = slice_sub(line, 0, n);
	*arg = n < line.n ? slice(line.p + n + 1, line.n - n - 1) : slice(NULL, 0);
}

bool
pop3_number(struct slice *s, uint32_t *n)
{
	size_t len = slice_find(*s, ' ');
	uint64_t v;

	if (len == 0 || slice_u64(slice_sub(*s, 0, len), UINT32_MAX, &v) < 0)
		return false;
	*n = (uint32_t)v;
	*s = slice_from(*s, len + 1);
	return true;
}

/* ---- multi-line answers -------------------------------------------------------------------- */

/* Where the last byte of a piece leaves us; `before` is the byte in front of it. */
static int
stuff_place(char before, char last)
{
	if (last == '\n')
		return before == '\r' ? POP3_AT_LINE : POP3_AFTER_LF;
	return last == '\r' ? POP3_AFTER_CR : POP3_IN_LINE;
}

void
pop3_stuff_write(struct pop3_stuff *st, struct slice bytes, struct buf *out)
{
	char before = st->at == POP3_AFTER_CR ? '\r' : ' ';

	if (bytes.n == 0)
		return;
	if (bytes.p[0] == '.' && st->at <= POP3_AFTER_LF)
		buf_char(out, '.');
	if (bytes.n > 1)
		before = bytes.p[bytes.n - 2];
	st->at = stuff_place(before, bytes.p[bytes.n - 1]);
	for (const char *lf; (lf = memmem(bytes.p, bytes.n, "\n.", 2));) {
		size_t n = (size_t)(lf - bytes.p) + 1;

		buf_add(out, bytes.p, n);
		buf_lit(out, "..");
		bytes = slice_from(bytes, n + 1);
	}
	buf_slice(out, bytes);
}

void
pop3_stuff_end(const struct pop3_stuff *st, struct buf *out)
{
	if (st->at != POP3_AT_LINE)
		buf_lit(out, "\r\n");
	buf_lit(out, ".\r\n");
}

/* Some bytes of a line, without its LF. */
static void
cut_line(struct pop3_cut *c, struct slice part)
{
	if (part.n == 0 || c->text)
		return;
	if (c->cr || part.n > 1 || part.p[0] != '\r')
		c->text = true;
	else
		c->cr = true;
}

/* A line is complete. */
static void
cut_line_end(struct pop3_cut *c)
{
	if (c->body)
		c->lines--;
	else
		c->body = !c->text;
	c->over = c->body && c->lines == 0;
	c->text = c->cr = false;
}

size_t
pop3_cut_take(struct pop3_cut *c, struct slice bytes)
{
	struct slice rest = bytes;

	while (rest.n > 0 && !c->over) {
		size_t n = slice_find(rest, '\n');

		cut_line(c, slice_sub(rest, 0, n));
		if (n < rest.n)
			cut_line_end(c);
		rest = slice_from(rest, n + 1);
	}
	return bytes.n - rest.n;
}

/* ---- unique-ids ------------------------------------------------------------------------------ */

struct uidl_item {
	char what; /* 'u', 'v', '%' */
	char base; /* 'd', 'x', 'X' */
	unsigned width;
};

/* What stands behind a percent sign, off the front of *p; false when it is nothing. */
static bool
uidl_item(const char **p, struct uidl_item *it)
{
	*it = (struct uidl_item){ .base = 'd' };
	if (**p == '0')
		for (++*p; **p >= '0' && **p <= '9' && it->width < POP3_UIDL_MAX; ++*p)
			it->width = it->width * 10 + (unsigned)(**p - '0');
	if (**p == 'X' || **p == 'x')
		it->base = *(*p)++;
	it->what = **p;
	if (it->what != 'u' && it->what != 'v' && (it->what != '%' || it->base != 'd' || it->width))
		return false;
	++*p;
	return true;
}

const char *
pop3_uidl_check(const char *format)
{
	struct uidl_item it;
	bool unique = false;
	size_t most = 0, digits;

	for (const char *p = format; *p;) {
		if (*p < 0x21 || *p > 0x7e)
			return "only printable ASCII without blanks";
		if (*p++ != '%') {
			most++;
			continue;
		}
		if (!uidl_item(&p, &it))
			return "behind % comes u or v, perhaps with 08 or X in front, or another %";
		unique = unique || it.what == 'u';
		/* 10 digits, or 8 */
		digits = it.what == '%' ? 1 : it.base == 'd' ? 10 : 8;
		most += it.width > digits ? it.width : digits;
	}
	if (!unique)
		return "has no %u";
	return most > POP3_UIDL_MAX ? "longer than 70 characters" : NULL;
}

void
pop3_uidl_write(struct buf *b, const char *format, uint32_t uidvalidity, uint32_t uid)
{
	static const char lower[] = "0123456789abcdef", upper[] = "0123456789ABCDEF";

	for (const char *p = format; *p;) {
		struct uidl_item it;
		uint32_t v, base;
		char digits[POP3_UIDL_MAX];
		size_t at = sizeof(digits);

		if (*p != '%') {
			buf_char(b, *p++);
			continue;
		}
		p++;
		if (!uidl_item(&p, &it) || it.what == '%') {
			buf_char(b, '%');
			continue;
		}
		v = it.what == 'u' ? uid : uidvalidity;
		base = it.base == 'd' ? 10 : 16;
		do
			digits[--at] = (it.base == 'X' ? upper : lower)[v % base];
		while ((v /= base) > 0);
		while (at > 0 && sizeof(digits) - at < it.width)
			digits[--at] = '0';
		buf_add(b, digits + at, sizeof(digits) - at);
	}
}

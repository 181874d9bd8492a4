/* charset.c: which converter a name means, and the converters.
 *
 * Called piece by piece for bodies (text.c) and whole for encoded words and parameters.  Only
 * opening can fail, with -ENOTSUP, and then callers guess.  What must stay true: output is valid
 * UTF-8 whatever came in; a character that a cut tore waits in the converter; cost is linear.
 * What mail mostly uses goes by tables of our own, since opening iconv's costs more than a
 * subject is worth. */
#include <errno.h>
#include <iconv.h>
#include "base/utf8.h"
#include "mail/charset.h"
#include "mail/charset-tables.h"

enum { GUESS, UTF8, TABLE_1252, TABLE_15, TABLE_KOI8R, ICONV };

/* What mail really uses.  A list, because a name from a stranger's message must not choose
 * among everything that libc can load.  Names that are used for more than they say (gb2312,
 * ks_c_5601) go to the superset, as browsers do. */
static const struct known {
	const char *name;
	int kind;
	const char *iconv;
	/* clang-format off */
} known[] = {
	{ "utf-8", UTF8, NULL }, { "us-ascii", GUESS, NULL }, { "iso-8859-1", TABLE_1252, NULL },
	{ "windows-1252", TABLE_1252, NULL }, { "iso-8859-15", TABLE_15, NULL },
	{ "koi8-r", TABLE_KOI8R, NULL },
	{ "utf8", UTF8, NULL }, { "ascii", GUESS, NULL }, { "ansi_x3.4-1968", GUESS, NULL },
	{ "latin1", TABLE_1252, NULL }, { "iso8859-1", TABLE_1252, NULL },
	{ "iso_8859-1", TABLE_1252, NULL }, { "cp1252", TABLE_1252, NULL },
	{ "latin9", TABLE_15, NULL }, { "iso8859-15", TABLE_15, NULL }, { "koi8r", TABLE_KOI8R, NULL },
	{ "unknown-8bit", GUESS, NULL }, { "x-unknown", GUESS, NULL }, { "8bit", GUESS, NULL },
	{ "iso-2022-jp", ICONV, "ISO-2022-JP" }, { "shift_jis", ICONV, "CP932" },
	{ "shift-jis", ICONV, "CP932" }, { "x-sjis", ICONV, "CP932" }, { "cp932", ICONV, "CP932" },
	{ "windows-31j", ICONV, "CP932" }, { "euc-jp", ICONV, "EUC-JP-MS" },
	{ "gb2312", ICONV, "GB18030" }, { "gbk", ICONV, "GB18030" }, { "cp936", ICONV, "GB18030" },
	{ "gb18030", ICONV, "GB18030" }, { "big5", ICONV, "BIG5-HKSCS" },
	{ "big5-hkscs", ICONV, "BIG5-HKSCS" }, { "euc-kr", ICONV, "CP949" },
	{ "ks_c_5601-1987", ICONV, "CP949" }, { "cp949", ICONV, "CP949" },
	{ "iso-2022-kr", ICONV, "ISO-2022-KR" }, { "koi8-u", ICONV, "KOI8-U" },
	{ "iso-8859-2", ICONV, "ISO-8859-2" }, { "iso-8859-3", ICONV, "ISO-8859-3" },
	{ "iso-8859-4", ICONV, "ISO-8859-4" }, { "iso-8859-5", ICONV, "ISO-8859-5" },
	{ "iso-8859-6", ICONV, "ISO-8859-6" }, { "iso-8859-7", ICONV, "ISO-8859-7" },
	{ "iso-8859-8", ICONV, "ISO-8859-8" }, { "iso-8859-8-i", ICONV, "ISO-8859-8" },
	{ "iso-8859-9", ICONV, "ISO-8859-9" }, { "iso-8859-10", ICONV, "ISO-8859-10" },
	{ "iso-8859-11", ICONV, "ISO-8859-11" }, { "iso-8859-13", ICONV, "ISO-8859-13" },
	{ "iso-8859-14", ICONV, "ISO-8859-14" }, { "iso-8859-16", ICONV, "ISO-8859-16" },
	{ "windows-1250", ICONV, "CP1250" }, { "windows-1251", ICONV, "CP1251" },
	{ "cp1251", ICONV, "CP1251" }, { "windows-1253", ICONV, "CP1253" },
	{ "windows-1254", ICONV, "CP1254" }, { "windows-1255", ICONV, "CP1255" },
	{ "windows-1256", ICONV, "CP1256" }, { "windows-1257", ICONV, "CP1257" },
	{ "windows-1258", ICONV, "CP1258" }, { "windows-874", ICONV, "CP874" },
	{ "tis-620", ICONV, "TIS-620" }, { "ibm850", ICONV, "CP850" }, { "cp850", ICONV, "CP850" },
	{ "ibm866", ICONV, "CP866" }, { "cp866", ICONV, "CP866" }, { "macintosh", ICONV, "MACINTOSH" },
	{ "utf-7", ICONV, "UTF-7" }, { "utf-16", ICONV, "UTF-16" }, { "utf-16le", ICONV, "UTF-16LE" },
	{ "utf-16be", ICONV, "UTF-16BE" }, { "utf-32", ICONV, "UTF-32" },
};
/* clang-format on */

static const uint16_t *const tables[] = {
	[TABLE_1252] = charset_windows_1252,
	[TABLE_15] = charset_iso_8859_15,
	[TABLE_KOI8R] = charset_koi8_r,
};

int
charset_open(struct charset *c, struct slice name)
{
	*c = (struct charset){ .kind = GUESS };
	name = slice_trim(name);
	if (name.n == 0)
		return 0;
	for (size_t i = 0; i < NELEM(known); i++) {
		iconv_t cd;

		if (!slice_ieq(name, slice_str(known[i].name)))
			continue;
		if (known[i].kind == ICONV) {
			cd = iconv_open("UTF-8", known[i].iconv);
			if (cd == (iconv_t)-1)
				break; /* this libc came without it */
			c->iconv = cd;
		}
		c->kind = known[i].kind;
		return 0;
	}
	c->damaged = true;
	return -ENOTSUP;
}

void
charset_close(struct charset *c)
{
	if (c->iconv)
		(void)iconv_close(c->iconv);
	*c = (struct charset){ 0 };
}

#define BAD_CHAR "\xef\xbf\xbd" /* U+FFFD */

/* One byte to one code point below U+10000: at most three bytes of UTF-8. */
static void
from_table(struct buf *out, const uint16_t *table, struct slice s)
{
	char *dst = s.n > SIZE_MAX / 3 ? NULL : buf_reserve(out, s.n * 3), *at = dst;

	if (!dst)
		return;
	for (size_t i = 0; i < s.n; i++) {
		unsigned c = (unsigned char)s.p[i];

		if (c < 0x80) {
			*at++ = (char)c;
			continue;
		}
		c = table[c - 0x80];
		if (c >= 0x800) {
			*at++ = (char)(0xe0 | c >> 12);
			*at++ = (char)(0x80 | (c >> 6 & 0x3f));
		} else {
			*at++ = (char)(0xc0 | c >> 6);
		}
		*at++ = (char)(0x80 | (c & 0x3f));
	}
	out->n += (size_t)(at - dst);
}

/* Bytes at the end that may be the beginning of a UTF-8 sequence. */
static size_t
utf8_tail(struct slice s)
{
	for (size_t k = 1; k <= 3 && k <= s.n; k++) {
		unsigned char c = (unsigned char)s.p[s.n - k];

		if (c >= 0xc0)
			return (c >= 0xf0 ? 4u : c >= 0xe0 ? 3u : 2u) > k ? k : 0;
		if (c < 0x80)
			return 0;
	}
	return 0;
}

static void
from_utf8(struct buf *out, struct slice s)
{
	while (s.n > 0) {
		struct slice run = s;
		const char *from = s.p;

		if (utf8_valid(s)) {
			buf_slice(out, s);
			return;
		}
		for (;;) { /* ends: a bad sequence is there */
			const char *here = run.p;

			if (utf8_next(&run) < 0) {
				buf_add(out, from, (size_t)(here - from));
				break;
			}
		}
		buf_lit(out, BAD_CHAR);
		s = run;
		/* not quadratic: utf8_valid stops at the next bad sequence, which this loop
		 * then passes */
	}
}

static size_t
from_iconv(struct charset *c, struct buf *out, struct slice s, bool last)
{
	/* iconv's second parameter is not const for history's sake; it does not write there */
	union {
		const char *in;
		char *arg;
	} at = { .in = s.p };
	size_t left = s.n;

	while (left > 0) {
		size_t room = left * 2 + 64;
		char *dst = buf_reserve(out, room), *to = dst;
		size_t r;

		if (!dst)
			return s.n;
		r = iconv(c->iconv, &at.arg, &left, &to, &room);
		out->n += (size_t)(to - dst);
		if (r != (size_t)-1 || errno == E2BIG)
			continue;
		if (errno == EINVAL && !last && left < sizeof(c->left))
			break;
		buf_lit(out, BAD_CHAR);
		c->damaged = true;
		at.in++;
		left--;
	}
	return s.n - left;
}

/* Returns how many bytes were converted: all but a character that is not complete. */
static size_t
convert(struct charset *c, struct buf *out, struct slice s, bool last)
{
	size_t tail = 0;

	if (s.n == 0)
		return 0;
	if (c->kind == ICONV)
		return from_iconv(c, out, s, last);
	if (c->kind == GUESS || c->kind == UTF8) {
		tail = last ? 0 : utf8_tail(s);
		s.n -= tail;
		if (utf8_valid(s)) {
			buf_slice(out, s);
			return s.n;
		}
		c->damaged = true;
		if (c->kind == GUESS)
			charset_guess(out, s);
		else
			from_utf8(out, s);
	} else {
		from_table(out, tables[c->kind], s);
	}
	return s.n;
}

void
charset_feed(struct charset *c, struct buf *out, struct slice bytes, bool last)
{
	size_t used;

	if (c->nleft > 0) {
		char tmp[sizeof(c->left) + 48];
		size_t was = c->nleft, more = bytes.n < 48 ? bytes.n : 48;

		memcpy(tmp, c->left, was);
		if (more)
			memcpy(tmp + was, bytes.p, more);
		used = convert(c, out, slice(tmp, was + more), last && more == bytes.n);
		if (used < was) { /* still not complete: all of the piece is in tmp */
			c->nleft = (uint8_t)(was + more - used);
			memmove(c->left, tmp + used, c->nleft);
			return;
		}
		bytes = slice_from(bytes, used - was);
		c->nleft = 0;
	}
	used = convert(c, out, bytes, last);
	c->nleft = (uint8_t)(bytes.n - used);
	if (c->nleft)
		memcpy(c->left, bytes.p + used, c->nleft);
}

int
charset_to_utf8(struct buf *out, struct slice name, struct slice bytes)
{
	struct charset c;
	int r = charset_open(&c, name);

	if (r == 0)
		charset_feed(&c, out, bytes, true);
	charset_close(&c);
	return r;
}

/* Text in Windows-1252 makes hardly a valid sequence of UTF-8, text in UTF-8 little else. */
static bool
mostly_utf8(struct slice s)
{
	size_t good = 0, bad = 0;

	while (s.n > 0) {
		bool ascii = !(s.p[0] & 0x80);

		if (utf8_next(&s) < 0)
			bad++;
		else
			good += !ascii;
	}
	return good >= bad;
}

void
charset_guess(struct buf *out, struct slice bytes)
{
	if (utf8_valid(bytes))
		buf_slice(out, bytes);
	else if (mostly_utf8(bytes))
		from_utf8(out, bytes);
	else
		from_table(out, charset_windows_1252, bytes);
}

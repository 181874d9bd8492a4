/* imap/write.c: writers for RFC 3501 9.
 *
 * Called by imapd for all that it answers, and by envelope.c and bodystructure.c.  Nothing can
 * fail: what no quoted string can carry becomes a literal.  What must stay true: the text is the
 * caller's octets and nothing of it can end a line or a string.  The `_at` forms look at no
 * buffer: the caller has reserved the room, because FETCH of a whole mailbox writes half a
 * million numbers. */
#include "imap/write.h"

#include "base/civil.h"
#include "base/scan.h"
#include "base/utf8.h"
#include "imap/args.h"
#include "imap/mutf7.h"

#define QUOTED_MAX 1000 /* longer ones burden a client's line buffer */

bool
imap_write_plain(struct buf *b, struct slice s)
{
	char *p;

	if (s.n > QUOTED_MAX || !scan_plain(s, "\"\\"))
		return false;
	p = buf_reserve(b, s.n + 2);
	if (!p)
		return true;
	b->n += s.n + 2;
	*p++ = '"';
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	p[s.n] = '"';
	return true;
}

/* May `s` stand between quotes: no CR, LF, NUL, 8-bit. */
static bool
quotable(struct slice s, size_t *escapes)
{
	*escapes = 0;
	if (s.n > QUOTED_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '\0' || c == '\r' || c == '\n' || c >= 0x80)
			return false;
		*escapes += c == '"' || c == '\\';
	}
	return true;
}

void
imap_write_string(struct buf *b, struct slice s)
{
	size_t escapes;
	char *p;

	if (imap_write_plain(b, s))
		return;
	if (!quotable(s, &escapes)) {
		buf_char(b, '{');
		buf_u64(b, s.n);
		buf_lit(b, "}\r\n");
		buf_slice(b, s);
		return;
	}
	p = buf_reserve(b, s.n + escapes + 2);
	if (!p)
		return;
	b->n += s.n + escapes + 2;
	*p++ = '"';
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			*p++ = '\\';
		*p++ = s.p[i];
	}
	*p = '"';
}

void
imap_write_nstring(struct buf *b, struct slice s)
{
	if (s.p)
		imap_write_string(b, s);
	else
		buf_lit(b, "NIL");
}

void
imap_write_astring(struct buf *b, struct slice s)
{
	bool atom = s.n > 0 && !slice_ieq(s, S("NIL"));

	for (size_t i = 0; atom && i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		atom = c > 0x20 && c < 0x7f && !strchr("(){%*\"\\]", c);
	}
	if (atom)
		buf_slice(b, s);
	else
		imap_write_string(b, s);
}

/* Between quotes, with octets above 0x7f; it has no control characters. */
static void
write_utf8_quoted(struct buf *b, struct slice s)
{
	buf_char(b, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_char(b, '\\');
		buf_char(b, s.p[i]);
	}
	buf_char(b, '"');
}

void
imap_write_mailbox(struct buf *b, struct slice name, bool utf8)
{
	struct buf wire = { 0 };

	if (!utf8) {
		imap_mutf7_write(&wire, name);
		imap_write_astring(b, buf_get(&wire));
		buf_fini(&wire);
	} else if (utf8_ascii(name) || !utf8_valid(name)) {
		imap_write_astring(b, name); /* what is no UTF-8 goes as a literal */
	} else {
		write_utf8_quoted(b, name);
	}
}

/* ---- at a pointer ---------------------------------------------------------------------- */

static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930"
			    "31323334353637383940414243444546474849505152535455565758596061"
			    "62636465666768697071727374757677787980818283848586878889909192"
			    "93949596979899";

char *
imap_u64_at(char *p, uint64_t v)
{
	char tmp[IMAP_U64_MAX], *t = tmp + sizeof(tmp);
	size_t n;

	while (v >= 100) {
		t -= 2;
		memcpy(t, pairs + 2 * (v % 100), 2);
		v /= 100;
	}
	if (v >= 10) {
		t -= 2;
		memcpy(t, pairs + 2 * v, 2);
	} else {
		*--t = (char)('0' + v);
	}
	n = (size_t)(tmp + sizeof(tmp) - t);
	memcpy(p, t, n);
	return p + n;
}

static size_t
digits(uint32_t v)
{
	if (v < 10000)
		return v < 100 ? 1 + (v >= 10) : 3 + (v >= 1000);
	if (v < 1000000)
		return 5 + (v >= 100000);
	return v < 100000000 ? 7 + (v >= 10000000) : 9 + (v >= 1000000000);
}

/* Straight to its place: where the number ends is known before it is written. */
char *
imap_u32_at(char *p, uint32_t v)
{
	size_t n = digits(v);
	char *t = p + n;

	for (; v >= 100; v /= 100) {
		t -= 2;
		memcpy(t, pairs + 2 * (v % 100), 2);
	}
	if (v >= 10)
		memcpy(t - 2, pairs + 2 * v, 2);
	else
		t[-1] = (char)('0' + v);
	return p + n;
}

char *
imap_objectid_at(char *p, char letter, uint64_t id)
{
	*p++ = letter;
	for (int shift = 60; shift >= 0; shift -= 4)
		*p++ = "0123456789abcdef"[id >> shift & 15];
	return p;
}

bool
imap_count_up(char *first, char *end)
{
	while (end > first && end[-1] == '9')
		*--end = '0';
	if (end == first)
		return false;
	end[-1]++;
	return true;
}

char *
imap_flags_at(char *p, unsigned system)
{
	static const struct {
		unsigned bit, n;
		const char *name;
		/* clang-format off */
	} flags[] = {
		{ IMAP_SEEN, 6, "\\Seen " },         { IMAP_ANSWERED, 10, "\\Answered " },
		{ IMAP_FLAGGED, 9, "\\Flagged " },   { IMAP_DELETED, 9, "\\Deleted " },
		{ IMAP_DRAFT, 7, "\\Draft " },       { IMAP_RECENT, 8, "\\Recent " },
	};
	/* clang-format on */
	char *start = p;

	for (size_t i = 0; system && i < NELEM(flags); i++)
		if (system & flags[i].bit) {
			memcpy(p, flags[i].name, flags[i].n);
			p += flags[i].n;
		}
	return p > start ? p - 1 : p;
}

static void
day_write(struct imap_day *d, int64_t day)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct civil c = civil_from_unix(day * 86400);
	unsigned year = c.year < 0 ? 0 : c.year > 9999 ? 9999 : (unsigned)c.year;
	char *p = d->text;

	d->day = day;
	memcpy(p, pairs + 2 * c.day, 2);
	if (c.day < 10)
		p[0] = ' ';
	p[2] = '-';
	memcpy(p + 3, months + 3 * (c.month - 1), 3);
	p[6] = '-';
	memcpy(p + 7, pairs + 2 * (year / 100), 2);
	memcpy(p + 9, pairs + 2 * (year % 100), 2);
	p[11] = ' ';
}

char *
imap_date_time_at(char *p, int64_t at, int zone_min, struct imap_day *d)
{
	int64_t local = at + (int64_t)zone_min * 60;
	int64_t day = local / 86400 - (local % 86400 < 0);
	unsigned sec = (unsigned)(local - day * 86400);
	unsigned zone = (unsigned)(zone_min < 0 ? -zone_min : zone_min);

	if (d->text[0] == '\0' || d->day != day)
		day_write(d, day);
	*p++ = '"';
	memcpy(p, d->text, sizeof(d->text));
	p += sizeof(d->text);
	memcpy(p, pairs + 2 * (sec / 3600), 2);
	p[2] = ':';
	memcpy(p + 3, pairs + 2 * (sec / 60 % 60), 2);
	p[5] = ':';
	memcpy(p + 6, pairs + 2 * (sec % 60), 2);
	p[8] = ' ';
	p[9] = zone_min < 0 ? '-' : '+';
	memcpy(p + 10, pairs + 2 * (zone / 60 % 100), 2);
	memcpy(p + 12, pairs + 2 * (zone % 60), 2);
	p[14] = '"';
	return p + 15;
}

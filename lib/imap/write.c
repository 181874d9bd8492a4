/* imap/write.c: writers for RFC 3501 9. */
#include "imap/write.h"

#include "base/civil.h"
#include "imap/args.h"
#include "imap/mutf7.h"

/* May `s` stand between quotes: no CR, LF, NUL, 8-bit; and not so long that it burdens a
 * client's line buffer. */
static bool
quotable(struct slice s, size_t *escapes)
{
	*escapes = 0;
	if (s.n > 1000)
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
	if (escapes == 0) {
		memcpy(p, s.p ? s.p : "", s.n);
		p[s.n] = '"';
		return;
	}
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

void
imap_write_mailbox(struct buf *b, struct slice utf8)
{
	struct buf name = { 0 };

	imap_mutf7_write(&name, utf8);
	imap_write_astring(b, buf_get(&name));
	buf_fini(&name);
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

char *
imap_u32_at(char *p, uint32_t v)
{
	return imap_u64_at(p, v);
}

char *
imap_flags_at(char *p, unsigned system)
{
	static const struct {
		unsigned bit, n;
		const char *name;
	} flags[] = {
		{ IMAP_SEEN, 6, "\\Seen " },         { IMAP_ANSWERED, 10, "\\Answered " },
		{ IMAP_FLAGGED, 9, "\\Flagged " },   { IMAP_DELETED, 9, "\\Deleted " },
		{ IMAP_DRAFT, 7, "\\Draft " },       { IMAP_RECENT, 8, "\\Recent " },
	};
	char *start = p;

	for (size_t i = 0; system && i < NELEM(flags); i++)
		if (system & flags[i].bit) {
			memcpy(p, flags[i].name, flags[i].n);
			p += flags[i].n;
		}
	return p > start ? p - 1 : p;
}

char *
imap_date_time_at(char *p, int64_t at, int zone_min)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct civil c = civil_from_unix(at + (int64_t)zone_min * 60);
	unsigned year = c.year < 0 ? 0 : c.year > 9999 ? 9999 : (unsigned)c.year;
	unsigned zone = (unsigned)(zone_min < 0 ? -zone_min : zone_min);

	*p++ = '"';
	if (c.day < 10) {
		*p++ = ' ';
		*p++ = (char)('0' + c.day);
	} else {
		memcpy(p, pairs + 2 * c.day, 2);
		p += 2;
	}
	*p++ = '-';
	memcpy(p, months + 3 * (c.month - 1), 3);
	p[3] = '-';
	memcpy(p + 4, pairs + 2 * (year / 100), 2);
	memcpy(p + 6, pairs + 2 * (year % 100), 2);
	p[8] = ' ';
	memcpy(p + 9, pairs + 2 * c.hour, 2);
	p[11] = ':';
	memcpy(p + 12, pairs + 2 * c.minute, 2);
	p[14] = ':';
	memcpy(p + 15, pairs + 2 * c.second, 2);
	p[17] = ' ';
	p[18] = zone_min < 0 ? '-' : '+';
	memcpy(p + 19, pairs + 2 * (zone / 60 % 100), 2);
	memcpy(p + 21, pairs + 2 * (zone % 60), 2);
	p[23] = '"';
	return p + 24;
}

void
imap_write_date_time(struct buf *b, int64_t at, int zone_min)
{
	char *p = buf_reserve(b, IMAP_DATE_TIME_MAX);

	if (p)
		b->n += (size_t)(imap_date_time_at(p, at, zone_min) - p);
}

/* date-parse.c: the date-time of RFC 5322 3.3 and 4.3, as it is found and not only as it should
 * be.
 *
 * Called for the Date field by the digest and, where there is none, by SEARCH.  Fails only
 * where no day can be made out; what is missing besides (the time, the zone, the weekday's truth)
 * is filled in, since a client sorts by what it gets.  What must stay true: every field is
 * checked by date_finish, so no date is out of the calendar. */
#include <errno.h>
#include "mail/date.h"
#include "mail/date-names.h"
#include "mail/token.h"

static const struct {
	const char *name;
	int zone;
	/* clang-format off */
} zones[] = { /* RFC 5322 4.3, and the commonest beyond it */
	{ "UT", 0 }, { "GMT", 0 }, { "UTC", 0 }, { "EST", -300 }, { "EDT", -240 }, { "CST", -360 },
	{ "CDT", -300 }, { "MST", -420 }, { "MDT", -360 }, { "PST", -480 }, { "PDT", -420 },
	{ "WET", 0 }, { "CET", 60 }, { "MET", 60 }, { "CEST", 120 }, { "MEST", 120 },
	{ "EET", 120 }, { "EEST", 180 }, { "BST", 60 }, { "JST", 540 },
};
/* clang-format on */

static inline bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool
is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The next word of letters; empty when something else stands there. */
static struct slice
take_alpha(struct slice *s)
{
	size_t n = 0;
	struct slice w;

	token_skip(s);
	while (n < s->n && is_alpha(s->p[n]))
		n++;
	w = slice(s->p, n);
	*s = slice_from(*s, n);
	return w;
}

/* The next number of at most six digits; returns how many digits it had, 0 for none. */
static size_t
date_parse_take_number(struct slice *s, int *v)
{
	size_t n = 0;
	uint64_t x = 0;

	token_skip(s);
	while (n < s->n && is_digit(s->p[n]))
		n++;
	if (n == 0 || n > 6 || slice_u64(slice(s->p, n), 999999, &x) < 0)
		return 0;
	*v = (int)x;
	*s = slice_from(*s, n);
	return n;
}

static bool
take_month(struct slice *s, struct civil *c)
{
	struct slice w = take_alpha(s);

	c->month = date_month(slice_sub(w, 0, 3));
	return c->month != 0;
}

/* RFC 5322 4.3 about years of two and three digits. */
static bool
take_year(struct slice *s, struct civil *c)
{
	int v;
	size_t digits = date_parse_take_number(s, &v);

	if (digits == 0)
		return false;
	c->year = digits <= 2 ? (v < 50 ? 2000 + v : 1900 + v) : digits == 3 ? 1900 + v : v;
	return true;
}

/* hh:mm[:ss[.fff]]; nothing is midnight. */
static bool
date_parse_take_time(struct slice *s, struct civil *c)
{
	struct slice was = *s;
	int v;

	if (!date_parse_take_number(s, &c->hour) || !(token_char(s, ':') || token_char(s, '.'))) {
		*s = was;
		c->hour = 0;
		return true;
	}
	if (!date_parse_take_number(s, &c->minute))
		return false;
	if (token_char(s, ':') || token_char(s, '.')) {
		if (!date_parse_take_number(s, &c->second))
			return false;
		if (s->n && s->p[0] == '.' && token_char(s, '.'))
			(void)date_parse_take_number(s, &v);
	}
	return true;
}

/* "+0100", "+01:00", "GMT", "GMT+0100", "Z" or nothing. */
static int
date_parse_take_zone(struct slice *s, bool *known)
{
	struct slice w = take_alpha(s), digits;
	int sign, zone = 0, h;
	size_t n;

	*known = false;
	for (size_t i = 0; i < NELEM(zones); i++) {
		if (slice_ieq(w, slice_str(zones[i].name))) {
			zone = zones[i].zone;
			*known = true;
		}
	}
	if (w.n == 1 && ascii_upper(w.p[0]) == 'Z')
		*known = true; /* the other military letters were defined the wrong way round */
	token_skip(s);
	if (s->n < 2 || (s->p[0] != '+' && s->p[0] != '-'))
		return zone;
	sign = s->p[0] == '-' ? -1 : 1;
	digits = slice_from(*s, 1);
	n = date_parse_take_number(&digits, &h);
	if (n == 1 || n == 2) {
		int m = 0;

		if (digits.n && digits.p[0] == ':' && token_char(&digits, ':'))
			(void)date_parse_take_number(&digits, &m);
		h = h * 100 + m;
	} else if (n != 3 && n != 4) {
		return zone;
	}
	if (h / 100 > 23 || h % 100 > 59)
		return zone;
	*s = digits;
	*known = sign > 0 || h != 0; /* "-0000" says that nothing is known */
	return sign * (h / 100 * 60 + h % 100);
}

/* Exactly n digits at p; -1 when they are none. */
static inline int
digits_at(const char *p, size_t n)
{
	int v = 0;

	for (size_t i = 0; i < n; i++) {
		if (!is_digit(p[i]))
			return -1;
		v = v * 10 + (p[i] - '0');
	}
	return v;
}

#define USUAL_LEN (sizeof("1 Jan 2026 08:20:01 +0000") - 1)

/* "[Sun, ]22 Nov 2026 08:20:01 +0100", as nearly all programs write it.  False: perhaps otherwise. */
static bool
date_parse_usual(struct slice s, struct date *d)
{
	struct civil c = { 0 };
	const char *p = s.p;
	int zone, year;
	size_t digits;

	if (s.n >= 5 && p[3] == ',' && p[4] == ' ' && is_alpha(p[0]) && is_alpha(p[1]) &&
	    is_alpha(p[2]) && date_month(slice(p, 3)) == 0)
		s = slice_from(s, 5);
	p = s.p;
	digits = s.n > 1 && p[1] == ' ' ? 1 : 2;
	if (s.n < USUAL_LEN - 1 + digits)
		return false;
	c.day = digits_at(p, digits);
	p += digits;
	c.month = date_month(slice(p + 1, 3));
	year = digits_at(p + 5, 4);
	c.year = year;
	c.hour = digits_at(p + 10, 2);
	c.minute = digits_at(p + 13, 2);
	c.second = digits_at(p + 16, 2);
	zone = digits_at(p + 20, 4);
	if (p[0] != ' ' || p[4] != ' ' || p[9] != ' ' || p[12] != ':' || p[15] != ':' ||
	    p[18] != ' ' || (p[19] != '+' && p[19] != '-'))
		return false;
	if (c.day < 0 || c.month == 0 || year < 1000 || c.hour < 0 || c.minute < 0 ||
	    c.second < 0 || zone < 0 || zone / 100 > 23 || zone % 100 > 59 ||
	    (p + 24 < s.p + s.n && p[24] != ' '))
		return false;
	d->nozone = p[19] == '-' && zone == 0;
	zone = zone / 100 * 60 + zone % 100;
	return date_finish(&c, p[19] == '-' ? -zone : zone, d) == 0;
}

int
date_parse(struct slice s, struct date *d)
{
	struct civil c = { 0 };
	struct slice w, iso;
	int zone = 0;
	bool known = false;

	*d = (struct date){ 0 };
	if (date_parse_usual(s, d))
		return 0;
	*d = (struct date){ 0 };
	iso = slice_trim(s);
	if (iso.n > 10 && iso.p[4] == '-' && date_iso_parse(iso, d) == 0)
		return 0;
	w = take_alpha(&s);
	if (w.n && (c.month = date_month(slice_sub(w, 0, 3))) == 0) { /* the weekday */
		while (token_char(&s, ',') || token_char(&s, '.'))
			;
		token_skip(&s);
		if (s.n && is_alpha(s.p[0]) && !take_month(&s, &c))
			return -EBADMSG;
	}
	if (!date_parse_take_number(&s, &c.day))
		return -EBADMSG;
	if (c.month != 0) { /* asctime: "Sun Nov 22 08:20:01 [zone] 2026" */
		(void)token_char(&s, ',');
		if (!date_parse_take_time(&s, &c))
			return -EBADMSG;
		zone = date_parse_take_zone(&s, &known);
		if (!take_year(&s, &c))
			return -EBADMSG;
		if (!known)
			zone = date_parse_take_zone(&s, &known);
	} else {
		(void)token_char(&s, '-');
		if (!take_month(&s, &c))
			return -EBADMSG;
		(void)(token_char(&s, '-') || token_char(&s, '.') || token_char(&s, ','));
		if (!take_year(&s, &c))
			return -EBADMSG;
		(void)token_char(&s, ',');
		if (!date_parse_take_time(&s, &c))
			return -EBADMSG;
		zone = date_parse_take_zone(&s, &known);
	}
	d->nozone = !known;
	return date_finish(&c, zone, d);
}

/* date.c: dates as they are written, their days, and RFC 3339.  Header dates are read by
 * date-parse.c.
 *
 * Called for the headers and reports that we write and for the day that SEARCH compares.  Writing
 * cannot fail: years are held within four digits, since a message may claim any date.  What must
 * stay true: what is written is read back by date-parse.c as the same moment and zone. */
#include <errno.h>
#include <time.h>
#include "base/civil.h"
#include "mail/date.h"
#include "mail/date-names.h"

#define LEAST_AT (-62135596800) /* 0001-01-01 */
#define MOST_AT  253402300799   /* 9999-12-31 */

static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
const char date_months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep",
	"Oct", "Nov", "Dec" };

/* The calendar in a zone, held within years of four digits. */
static struct civil
civil_in_zone(int64_t at, int zone)
{
	at = at < LEAST_AT - 86400 ? LEAST_AT : at > MOST_AT + 86400 ? MOST_AT : at;
	at += zone * 60;
	return civil_from_unix(at < LEAST_AT ? LEAST_AT : at > MOST_AT ? MOST_AT : at);
}

static char *
put2(char *p, int v)
{
	*p++ = (char)('0' + v / 10 % 10);
	*p++ = (char)('0' + v % 10);
	return p;
}

static char *
put4(char *p, int v)
{
	return put2(put2(p, v / 100), v % 100);
}

/* "08:20:01 +0000" */
static char *
put_time_zone(char *p, const struct civil *c, int zone)
{
	int z = zone < 0 ? -zone : zone;

	p = put2(p, c->hour);
	*p++ = ':';
	p = put2(p, c->minute);
	*p++ = ':';
	p = put2(p, c->second);
	*p++ = ' ';
	*p++ = zone < 0 ? '-' : '+';
	return put2(put2(p, z / 60), z % 60);
}

void
date_write(struct buf *b, int64_t at, int zone)
{
	struct civil c = civil_in_zone(at, zone);
	char text[40], *p = text;

	memcpy(p, days[c.weekday], 3);
	memcpy(p + 3, ", ", 2);
	p = put2(p + 5, c.day);
	if (p[-2] == '0') { /* no leading zero: "2 Nov" */
		p[-2] = p[-1];
		p--;
	}
	*p++ = ' ';
	memcpy(p, date_months[c.month - 1], 3);
	p[3] = ' ';
	p = put4(p + 4, (int)c.year);
	*p++ = ' ';
	p = put_time_zone(p, &c, zone);
	buf_add(b, text, (size_t)(p - text));
}

int
date_month(struct slice name)
{
	if (name.n == 3)
		for (int m = 0; m < 12; m++)
			if ((name.p[2] | ' ') == date_months[m][2] &&
			    slice_ieq(name, slice(date_months[m], 3)))
				return m + 1;
	return 0;
}

int
date_finish(struct civil *c, int zone, struct date *d)
{
	if (c->year < 1 || c->year > 9999 || c->month < 1 || c->month > 12 || c->day < 1 ||
	    c->day > civil_month_days(c->year, c->month) || c->hour > 23 || c->minute > 59 ||
	    c->second > 60)
		return -EBADMSG;
	d->at = civil_to_unix(c) - zone * 60;
	d->zone = zone;
	return 0;
}

/* ---- RFC 3339, as it should be ------------------------------------------------------------ */

/* Takes exactly n digits. */
static bool
take_digits(struct slice *s, size_t n, int *v)
{
	uint64_t x;

	if (s->n < n || slice_u64(slice(s->p, n), 9999, &x) < 0)
		return false;
	*v = (int)x;
	*s = slice_from(*s, n);
	return true;
}

static bool
take_char(struct slice *s, char c)
{
	if (s->n == 0 || s->p[0] != c)
		return false;
	*s = slice_from(*s, 1);
	return true;
}

/* "+hh:mm" or "+hhmm" */
static bool
date_take_zone(struct slice *s, int *zone)
{
	bool minus = s->n && s->p[0] == '-';
	int h, m;

	if (!take_char(s, minus ? '-' : '+') || !take_digits(s, 2, &h))
		return false;
	(void)take_char(s, ':');
	if (!take_digits(s, 2, &m) || h > 23 || m > 59)
		return false;
	*zone = (minus ? -1 : 1) * (h * 60 + m);
	return true;
}

static bool
date_take_time(struct slice *s, struct civil *c)
{
	return take_digits(s, 2, &c->hour) && take_char(s, ':') && take_digits(s, 2, &c->minute) &&
	    take_char(s, ':') && take_digits(s, 2, &c->second);
}

static void
skip_fraction(struct slice *s)
{
	int v;

	if (take_char(s, '.') || take_char(s, ','))
		while (take_digits(s, 1, &v))
			;
}

int
date_iso_parse(struct slice s, struct date *d)
{
	struct civil c = { 0 };
	int year, zone = 0;

	*d = (struct date){ 0 };
	if (!take_digits(&s, 4, &year) || !take_char(&s, '-') || !take_digits(&s, 2, &c.month) ||
	    !take_char(&s, '-') || !take_digits(&s, 2, &c.day) || s.n == 0 ||
	    (s.p[0] != 'T' && s.p[0] != 't' && s.p[0] != ' '))
		return -EBADMSG;
	c.year = year;
	s = slice_from(s, 1);
	if (!date_take_time(&s, &c))
		return -EBADMSG;
	skip_fraction(&s);
	if (!take_char(&s, 'Z') && !take_char(&s, 'z') && !date_take_zone(&s, &zone))
		return -EBADMSG;
	return s.n ? -EBADMSG : date_finish(&c, zone, d);
}

void
date_iso_write(struct buf *b, int64_t at, int zone)
{
	struct civil c = civil_in_zone(at, zone);
	int z = zone < 0 ? -zone : zone;

	buf_printf(b, "%04d-%02d-%02dT%02d:%02d:%02d", (int)c.year, c.month, c.day, c.hour,
	    c.minute, c.second);
	if (zone == 0)
		buf_char(b, 'Z');
	else
		buf_printf(b, "%c%02d:%02d", zone < 0 ? '-' : '+', z / 60, z % 60);
}

int32_t
date_day(int64_t at, int zone)
{
	at += zone * 60;
	at = at / 86400 - (at % 86400 < 0);
	return at < INT32_MIN ? INT32_MIN : at > INT32_MAX ? INT32_MAX : (int32_t)at;
}

int
date_local_zone(int64_t at)
{
	time_t t = (time_t)at;
	struct tm tm;

	return localtime_r(&t, &tm) ? (int)(tm.tm_gmtoff / 60) : 0;
}

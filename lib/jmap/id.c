/* id.c: ids, dates and keywords.  See id.h. */
#include "jmap/id.h"
#include <errno.h>
#include "base/base64.h"
#include "base/civil.h"
#include "base/json.h"

#define DIGITS 16

static bool
id_safe(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	    c == '-' || c == '_';
}

void
jmap_id_write(struct buf *b, enum jmap_letter letter, uint64_t id)
{
	buf_printf(b, "%c%016llx", (char)letter, (unsigned long long)id);
}

void
jmap_id_json(struct buf *b, enum jmap_letter letter, uint64_t id)
{
	buf_char(b, '"');
	jmap_id_write(b, letter, id);
	buf_char(b, '"');
}

uint64_t
jmap_id_parse(struct slice s, enum jmap_letter letter)
{
	uint64_t id = 0;

	if (s.n != 1 + DIGITS || s.p[0] != (char)letter)
		return 0;
	for (size_t i = 1; i < s.n; i++) {
		int digit = ascii_hex(s.p[i]);

		/* One id has one form: clients compare octets. */
		if (digit < 0 || (s.p[i] >= 'A' && s.p[i] <= 'F'))
			return 0;
		id = id << 4 | (uint64_t)digit;
	}
	return id;
}

bool
jmap_id_ok(struct slice s)
{
	if (s.n == 0 || s.n > JMAP_ID_MOST)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!id_safe(s.p[i]))
			return false;
	return true;
}

void
jmap_account_id_write(struct buf *b, struct slice account)
{
	size_t from;

	buf_char(b, 'u');
	from = b->n;
	base64_write(b, account);
	for (size_t i = from; i < b->n; i++)
		b->p[i] = (char)(b->p[i] == '+' ? '-' : b->p[i] == '/' ? '_' : b->p[i]);
	while (b->n > from && b->p[b->n - 1] == '=')
		b->n--;
}

int
jmap_account_id_parse(struct slice s, struct buf *account)
{
	char text[JMAP_ID_MOST + 4];
	size_t n = 0;

	if (!jmap_id_ok(s) || s.p[0] != 'u' || s.n < 2)
		return -EBADMSG;
	for (size_t i = 1; i < s.n; i++)
		text[n++] = (char)(s.p[i] == '-' ? '+' : s.p[i] == '_' ? '/' : s.p[i]);
	while (n % 4 != 0)
		text[n++] = '=';
	return base64_parse(account, slice(text, n));
}

/* Two or four digits at `at`. */
static bool
date_digits(struct slice s, size_t at, size_t n, int *v)
{
	uint64_t u;

	if (at + n > s.n || slice_u64(slice_sub(s, at, n), 9999, &u) < 0)
		return false;
	*v = (int)u;
	return true;
}

bool
jmap_date_parse(struct slice s, int64_t *at)
{
	struct civil c = { 0 };
	int year;
	size_t end = 19;

	if (s.n < 20 || s.p[4] != '-' || s.p[7] != '-' || s.p[10] != 'T' || s.p[13] != ':' ||
	    s.p[16] != ':' || !date_digits(s, 0, 4, &year) || !date_digits(s, 5, 2, &c.month) ||
	    !date_digits(s, 8, 2, &c.day) || !date_digits(s, 11, 2, &c.hour) ||
	    !date_digits(s, 14, 2, &c.minute) || !date_digits(s, 17, 2, &c.second))
		return false;
	if (c.month < 1 || c.month > 12 || c.day < 1 || c.day > civil_month_days(year, c.month) ||
	    c.hour > 23 || c.minute > 59 || c.second > 60)
		return false;
	if (s.p[end] == '.')
		for (end++; end < s.n && s.p[end] >= '0' && s.p[end] <= '9'; end++)
			;
	if (end + 1 != s.n || s.p[end] != 'Z')
		return false;
	c.year = year;
	*at = civil_to_unix(&c);
	return true;
}

bool
jmap_keyword_ok(struct slice s)
{
	if (s.n == 0 || s.n > 255)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~' || strchr("(){]%*\"\\", s.p[i]))
			return false;
	return true;
}

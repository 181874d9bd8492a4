/* civil.c: days from civil and back, in eras of 400 years that begin on the first of March,
 * so that the leap day is the last of its year. */
#include "base/civil.h"

int64_t
civil_days(int64_t year, int month, int day)
{
	int64_t era, yoe, doy;

	year -= month <= 2;
	era = (year >= 0 ? year : year - 399) / 400;
	yoe = year - era * 400;
	doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

int
civil_month_days(int64_t year, int month)
{
	if (month == 2)
		return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 29 : 28;
	return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

struct civil
civil_from_unix(int64_t at)
{
	struct civil c;
	int64_t days = at / 86400 - (at % 86400 < 0), era;
	uint32_t sec = (uint32_t)(at - days * 86400), doe, yoe, doy, mp;

	c.hour = (int)(sec / 3600);
	c.minute = (int)(sec / 60 % 60);
	c.second = (int)(sec % 60);
	days += 719468;
	era = (days >= 0 ? days : days - 146096) / 146097;
	/* Within an era small numbers do: FETCH writes a date for each message. */
	doe = (uint32_t)(days - era * 146097);
	c.weekday = (int)((doe + 3) % 7); /* an era has whole weeks, and begins on a Wednesday */
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	c.day = (int)(doy - (153 * mp + 2) / 5 + 1);
	c.month = (int)(mp < 10 ? mp + 3 : mp - 9);
	c.year = yoe + era * 400 + (c.month <= 2);
	return c;
}

int64_t
civil_to_unix(const struct civil *c)
{
	return civil_days(c->year, c->month, c->day) * 86400 + c->hour * 3600 + c->minute * 60 +
	    c->second;
}

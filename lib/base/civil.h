/* base/civil.h: the proleptic Gregorian calendar, in UTC, without tables and without libc's
 * time zones. */
#ifndef BASE_CIVIL_H
#define BASE_CIVIL_H
#include <stdint.h>

struct civil {
	int64_t year;
	int month, day;           /* 1..12, 1..31 */
	int hour, minute, second; /* 0..23, 0..59, 0..59 */
	int weekday;              /* 0 = Sunday */
};

/* Days since 1970-01-01; month 1..12, any day number. */
int64_t civil_days(int64_t year, int month, int day);
int civil_month_days(int64_t year, int month); /* 28..31 */
struct civil civil_from_unix(int64_t at);
int64_t civil_to_unix(const struct civil *c); /* weekday is ignored */
#endif

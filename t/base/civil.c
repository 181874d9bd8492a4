/* civil.c: the calendar against libc's. */
#include <time.h>
#include "base/civil.h"
#include "base/clock.h"
#include "base/random.h"
#include "../tap.h"

int
main(void)
{
	char a[14], b[14];
	bool same = true, rising = true;

	for (int64_t at = -5000000000; at < 8000000000; at += 86399 * 13 + 7) {
		struct civil c = civil_from_unix(at);
		time_t t = (time_t)at;
		struct tm tm;

		gmtime_r(&t, &tm);
		same &= c.year == tm.tm_year + 1900 && c.month == tm.tm_mon + 1 &&
		    c.day == tm.tm_mday && c.hour == tm.tm_hour && c.minute == tm.tm_min &&
		    c.second == tm.tm_sec && c.weekday == tm.tm_wday && civil_to_unix(&c) == at;
	}
	ok(same, "civil time is gmtime's, and back");
	eq(civil_days(1970, 1, 1), 0, "the epoch");
	eq(civil_days(2000, 3, 1), 11017, "after a leap day");
	eq(civil_month_days(2000, 2), 29, "2000 was a leap year");
	eq(civil_month_days(1900, 2), 28, "1900 was not");
	eq(civil_month_days(2026, 11), 30, "November");
	ok(clock_now() > 1700000000 && clock_now_ms() / 1000 >= clock_now() - 1, "wall clock");
	ok(clock_mono_ms() <= clock_mono_us() / 1000, "monotonic clock");
	for (int i = 0; i < 10000; i++) {
		random_id(i & 1 ? a : b);
		if (i)
			rising &= strcmp(i & 1 ? a : b, i & 1 ? b : a) > 0;
	}
	ok(rising, "10000 ids, each above the one before");
	ok(strlen(a) == 13 && strspn(a, "0123456789abcdefghijklmnopqrstuvwxyz") == 13, "id %s", a);
	for (int i = 0; i < 1000; i++)
		same &= random_below(3) < 3 && random_below(1) == 0;
	ok(same, "random_below stays below");
	return done();
}

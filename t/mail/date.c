/* Dates of mail and of RFC 3339. */
#include "../tap.h"
#include "mail/date.h"

/* Everything here is 2026-11-22 08:20:01 UTC unless `at` says otherwise. */
#define AT 1795335601

static const char *
iso(int64_t at, int zone)
{
	static struct buf b;

	buf_clear(&b);
	date_iso_write(&b, at, zone);
	return buf_cstr(&b);
}

static const struct {
	const char *in;
	int64_t at;
	int zone;
	bool nozone;
} good[] = {
	{ "Sun, 22 Nov 2026 08:20:01 +0000", AT, 0, false },
	{ "Sun, 22 Nov 2026 09:20:01 +0100", AT, 60, false },
	{ "22 Nov 2026 03:50:01 -0430", AT, -270, false },
	{ " \r\n\tSun ,22 nOV 26 08:20:01 GMT (comment (nested) \\) here)", AT, 0, false },
	{ "Sun, 22 Nov 126 08:20:01 UT", AT, 0, false },
	{ "Sun(day), (x)22(y)Nov(z) 2026(a)08(b):(c)20:01(d)+0000(e)", AT, 0, false },
	{ "Sun, 22 Nov 2026 03:20:01 EST", AT, -300, false },
	{ "Sun, 22 Nov 2026 01:20:01 PDT", AT, -420, false },
	{ "Sun, 22 Nov 2026 08:20:01 -0000", AT, 0, true },
	{ "Sun, 22 Nov 2026 08:20:01 A", AT, 0, true },
	{ "Sun, 22 Nov 2026 08:20:01 Z", AT, 0, false },
	{ "Sun, 22 Nov 2026 08:20:01 XYZT", AT, 0, true },
	{ "Sun, 22 Nov 2026 08:20:01", AT, 0, true },
	{ "Sunday, 22 November 2026 08:20:01 +0000", AT, 0, false },
	{ "22-Nov-2026 08:20:01 +0000", AT, 0, false },
	{ "Sun Nov 22 08:20:01 2026", AT, 0, true },
	{ "Sun Nov 22 08:20:01 GMT 2026", AT, 0, false },
	{ "Sun Nov 22 09:20:01 2026 +0100", AT, 60, false },
	{ "Sun, 22 Nov 2026 9:20:01 GMT+01:00", AT, 60, false },
	{ "Sun, 22 Nov 2026 08:20:01.123 +0000", AT, 0, false },
	{ "Sun, 22 Nov 2026 08.20.01 +0000", AT, 0, false },
	{ "2026-11-22T08:20:01Z", AT, 0, false },
	{ "22 Nov 2026 08:20 +0000", AT - 1, 0, false },
	{ "22 Nov 2026", AT - 30001, 0, true },
	{ "Wed, 31 Dec 1969 23:59:59 +0000", -1, 0, false },
	{ "Sat, 29 Feb 2020 00:00:00 +0000", 1582934400, 0, false },
	{ "1 Jan 70 00:00:00 +0000", 0, 0, false },
	{ "30 Jun 2015 23:59:60 +0000", 1435708800, 0, false },
	{ "22 Nov 2026 08:20:01 +9999", AT, 0, true },
};

/* clang-format off */
static const char *const bad[] = {
	"", "  ", "(", "x", "Sun", "Sun,", "22", "22 Nov", "Nov 22", "32 Nov 2026 00:00:00 +0000",
	"0 Nov 2026 00:00:00 +0000", "29 Feb 2021 00:00:00 +0000", "22 Foo 2026 00:00:00 +0000",
	"22 Nov 2026 24:00:00 +0000", "22 Nov 2026 08:60:00 +0000", "22 Nov 2026 08:20:61 +0000",
	"22 Nov 99999999999999999999 00:00:00", "Sun, Nov", "22 Nov 10000 00:00:00",
	"99999999 Nov 2026", "Sun, 22 Nov (2026 08:20:01 +0000",
};
/* clang-format on */

/* clang-format off */
/* clang-format on */

static const char *
mail(int64_t at, int zone)
{
	static struct buf b;

	buf_clear(&b);
	date_write(&b, at, zone);
	return buf_cstr(&b);
}

static void
test_mail(void)
{
	struct date d;

	for (size_t i = 0; i < NELEM(good); i++) {
		int r = date_parse(slice_str(good[i].in), &d);

		ok(r == 0 && d.at == good[i].at && d.zone == good[i].zone &&
			d.nozone == good[i].nozone,
		    "good %zu: %lld %d %d", i, (long long)d.at, d.zone, d.nozone);
	}
	for (size_t i = 0; i < NELEM(bad); i++)
		ok(date_parse(slice_str(bad[i]), &d) < 0, "bad %zu", i);
	is(mail(AT, 0), "Sun, 22 Nov 2026 08:20:01 +0000", "write");
	is(mail(AT, -270), "Sun, 22 Nov 2026 03:50:01 -0430", "write in a zone");
	is(mail(0, 0), "Thu, 1 Jan 1970 00:00:00 +0000", "one digit of day");
	is(mail(INT64_MAX, 0), "Fri, 31 Dec 9999 23:59:59 +0000", "held in range");
	is(mail(INT64_MIN, 0), "Mon, 1 Jan 0001 00:00:00 +0000", "at both ends");
}

/* What is written is read back. */
static void
test_again(void)
{
	struct date d;
	bool same = true;

	for (int64_t at = -60000000000; at < 250000000000; at += 987654321) {
		int zone = (int)(at % 1000);
		int r = date_parse(slice_str(mail(at, zone)), &d);

		same &= r == 0 && d.at == at && d.zone == zone;
	}
	ok(same, "what is written is read back");
}

/* The usual form is read by a way of its own: with any character of it changed, the result is that of
 * the other way, which a comment in front leads to. */
static void
test_usual(void)
{
	static const char *const usual[] = { "Sun, 22 Nov 2026 09:20:01 +0100",
		"1 Jan 2026 08:20:01 -0000", "Mon, 3 Feb 2026 23:59:60 -0930 (x)" };
	bool same = true;

	for (size_t i = 0; i < NELEM(usual); i++)
		for (size_t at = 0; at < strlen(usual[i]); at++)
			for (int c = 1; c < 256; c++) {
				char text[64] = "()";
				struct date a, b;
				int r;

				strcpy(text + 2, usual[i]);
				text[2 + at] = (char)c;
				r = date_parse(slice_str(text + 2), &a);
				same &= r == date_parse(slice_str(text), &b) &&
				    (r < 0 ||
					(a.at == b.at && a.zone == b.zone && a.nozone == b.nozone));
				text[2 + at] = '\0';
				r = date_parse(slice_str(text + 2), &a);
				same &= r == date_parse(slice_str(text), &b) &&
				    (r < 0 || (a.at == b.at && a.zone == b.zone));
			}
	ok(same, "the usual form and what is nearly so");
}

static void
test_rest(void)
{
	struct date d;

	ok(date_iso_parse(S("2026-11-22T09:20:01.5+01:00"), &d) == 0 && d.at == AT && d.zone == 60,
	    "ISO");
	ok(date_iso_parse(S("2026-11-22 08:20:01z"), &d) == 0 && d.at == AT, "ISO, other spelling");
	ok(date_iso_parse(S("2026-11-22T08:20:01"), &d) < 0, "ISO needs a zone");
	is(iso(AT, 0), "2026-11-22T08:20:01Z", "ISO written");
	is(iso(AT, 60), "2026-11-22T09:20:01+01:00", "ISO written east of UTC");
	is(iso(AT, -570), "2026-11-21T22:50:01-09:30", "ISO written west of UTC");
	is(iso(INT64_MAX, 0), "9999-12-31T23:59:59Z", "ISO has four digits for a year");
	eq(date_day(-1, 0), -1, "the day before the epoch");
	eq(date_day(-1, 1), 0, "is another one further east");
	ok(date_local_zone(AT) > -1440 && date_local_zone(AT) < 1440, "local zone");
}

int
main(void)
{
	test_mail();
	test_again();
	test_usual();
	test_rest();
	return done();
}

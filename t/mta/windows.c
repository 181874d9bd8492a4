/* Times of the day: what is one, when it is open, and when that changes. */
#include "../tap.h"
#include "mta/windows.h"

static const struct {
	const char *text;
	int rc;
	uint32_t from, to;
} words[] = {
	{ "08:00-18:00", 0, 28800, 64800 },
	{ "22:00-06:30", 0, 79200, 23400 },
	{ "00:00-24:00", 0, 0, 86400 },
	{ "07:59:59-08:00:01", 0, 28799, 28801 },
	{ "23:00-00:00", -1, 0, 0 }, /* the end of a day is 24:00 */
	{ "08:00-08:00", -1, 0, 0 },
	{ "24:00-06:00", -1, 0, 0 },
	{ "08:00-24:01", -1, 0, 0 },
	{ "08:60-09:00", -1, 0, 0 },
	{ "8:00-09:00", -1, 0, 0 },
	{ "08:00-25:00", -1, 0, 0 },
	{ "08:00", -1, 0, 0 },
	{ "08:00-", -1, 0, 0 },
	{ "-", -1, 0, 0 },
	{ "", -1, 0, 0 },
	{ "08-09", -1, 0, 0 },
	{ "08:00:00:00-09:00", -1, 0, 0 },
	{ "08:00:-09:00", -1, 0, 0 },
	{ "08:00-09:00-10:00", -1, 0, 0 },
	{ "ab:cd-ef:gh", -1, 0, 0 },
};

static struct mta_windows
of(const char *a, const char *b)
{
	struct mta_windows ws = { .n = 0 };

	for (int i = 0; i < 2; i++)
		if ((i ? b : a) && mta_window_parse(slice_str(i ? b : a), &ws.w[ws.n++]) < 0)
			abort();
	return ws;
}

/* Nothing changes before the time that is told, and then something does: for every second of a day. */
static size_t
surprises(const struct mta_windows *ws)
{
	size_t n = 0;

	for (uint32_t at = 0; at < MTA_DAY; at++) {
		uint32_t next = mta_windows_next(ws, at);
		bool now = mta_windows_open(ws, at);

		if (next < 1 || next > MTA_DAY)
			n++;
		else if (next > 1 && mta_windows_open(ws, (at + next - 1) % MTA_DAY) != now)
			n++;
		else if (mta_windows_open(ws, (at + 1) % MTA_DAY) != now && next != 1)
			n++;
	}
	return n;
}

int
main(void)
{
	struct mta_windows none = { .n = 0 }, day = of("08:00-18:00", NULL),
			   night = of("22:00-06:00", "12:00-13:00");
	struct mta_window w;

	for (size_t i = 0; i < NELEM(words); i++) {
		int rc = mta_window_parse(slice_str(words[i].text), &w);

		ok((rc < 0) == (words[i].rc < 0) &&
			(rc < 0 || (w.from == words[i].from && w.to == words[i].to)),
		    "\"%s\"", words[i].text);
	}
	ok(mta_windows_open(&none, 0) && mta_windows_next(&none, 0) == 0, "none: always open");
	ok(!mta_windows_open(&day, 28799) && mta_windows_open(&day, 28800) &&
		mta_windows_open(&day, 64799) && !mta_windows_open(&day, 64800),
	    "open from its first second, before its last");
	ok(mta_windows_open(&night, 0) && mta_windows_open(&night, 86399) &&
		!mta_windows_open(&night, 21600) && mta_windows_open(&night, 43200) &&
		!mta_windows_open(&night, 46800),
	    "over midnight, and a second one");
	eq(mta_windows_next(&day, 28799), 1, "opens in a second");
	eq(mta_windows_next(&day, 64800), 14 * 3600, "tomorrow");
	eq(surprises(&day) + surprises(&night), 0, "no change is missed, none is told too early");
	return done();
}

/* windows.c: the times of the day at which channels deliver messages of a priority (channels.conf).
 *
 * Called at the start, behind a reload and a step of the clock, and by a timer for the next edge; at least once in
 * LOOK_S, as the local day may be shorter or longer than others.  Nothing can fail.  What waits behind a window that
 * is shut stays ready in the schedule, and nothing of it goes past the queue: masters are halted for that. */
#include <time.h>
#include "base/clock.h"
#include "base/log.h"
#include "jobctl.h"

#define LOOK_S 600

static struct timer edge;

static uint32_t
second_of_day(int64_t now)
{
	time_t t = (time_t)now;
	struct tm tm;

	if (!localtime_r(&t, &tm))
		return (uint32_t)(now % MTA_DAY);
	return (uint32_t)(tm.tm_hour * 3600 + tm.tm_min * 60 + tm.tm_sec) % MTA_DAY;
}

/* Seconds until the next edge of its windows; 0: it has none. */
static uint32_t
windows_apply(struct sched_channel *sc, uint32_t second)
{
	static const char *const words[] = { "urgent", "normal", "nonurgent" };
	static const struct mta_windows always;
	bool halted = chan_is_halted(sc),
	     own = slice_eq(slice_str(sc->name), slice_str(sc->conf->name));
	uint32_t next = 0;

	for (int p = 0; p < 3; p++) {
		/* What channels.conf does not have any more has another's keys, and no times. */
		const struct mta_windows *ws = own ? &sc->conf->window[p] : &always;
		bool shut = !mta_windows_open(ws, second);
		uint32_t left = mta_windows_next(ws, second);

		if (left && (!next || left < next))
			next = left;
		if (shut == sc->shut[p])
			continue;
		sched_shut(sc, p, shut);
		log_event(LOG_INFO, "channel_window", "channel=%s priority=%s is=%s", sc->name,
		    words[p], shut ? "shut" : "open");
	}
	if (chan_is_halted(sc) != halted)
		masters_halt(chan_of(sc), !halted);
	return next;
}

static void
windows_edge(struct timer *t)
{
	(void)t;
	windows_look();
}

void
windows_look(void)
{
	uint32_t second = second_of_day(clock_now()), next = 0;
	struct sched_channel *sc;
	size_t at = 0;

	while ((sc = sched_channel_next(jobctl.sched, &at))) {
		uint32_t left = windows_apply(sc, second);

		if (left && (!next || left < next))
			next = left;
	}
	if (next)
		timer_start(&edge, (uint64_t)(next < LOOK_S ? next : LOOK_S) * 1000, 0);
	else
		timer_stop(&edge);
	table_changed();
}

void
windows_start(void)
{
	timer_init(&edge, jobctl.loop, windows_edge);
	windows_look();
}

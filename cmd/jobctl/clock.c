/* clock.c: notices that the system's clock was set.
 *
 * The schedule lives in wall-clock seconds, because queue files must be read by a process that
 * is started tomorrow; timers run on the monotonic clock.  When the clock is set (an operator,
 * NTP's first step after boot, a restored virtual machine) the two part, and mail that is due in
 * a minute would wait for a day.  The kernel tells: a timerfd with TFD_TIMER_CANCEL_ON_SET
 * becomes readable.  Slewing moves both clocks alike and is no step. */
#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "jobctl.h"

static int clock_fd = -1;
static struct watch clock_watch;
static int64_t offset_ms; /* wall clock less monotonic clock, when we looked last */

static int64_t
clock_offset_ms(void)
{
	return clock_now_ms() - (int64_t)(clock_mono_us() / 1000);
}

static bool
clock_arm(void)
{
	struct itimerspec never = { .it_value = { .tv_sec = 8000000000 /* the year 2223 */ } };

	return timerfd_settime(clock_fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never,
		   NULL) == 0;
}

static void
clock_set(struct watch *w, bool readable, bool writable, int error)
{
	int64_t by_s = (clock_offset_ms() - offset_ms) / 1000;
	uint64_t ticks;

	(void)w, (void)readable, (void)writable, (void)error;
	(void)!read(clock_fd, &ticks, sizeof(ticks)); /* ECANCELED: that is the news */
	(void)clock_arm();
	if (by_s == 0)
		return;
	offset_ms += by_s * 1000;
	log_event(LOG_WARN, "clock_step", "seconds=%lld", (long long)by_s);
	sched_shift(jobctl.sched, by_s);
	table_due_anew();
	windows_look();
}

void
clock_watch_start(void)
{
	offset_ms = clock_offset_ms();
	clock_fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	if (clock_fd < 0 || !clock_arm() ||
	    watch_init(&clock_watch, jobctl.loop, clock_fd, clock_set) < 0) {
		log_event(LOG_WARN, "clock_step", "error=%s", log_str(strerror(errno)));
		return;
	}
	watch_want(&clock_watch, true, false);
}

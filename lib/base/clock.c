/* clock.c: clock_gettime, which needs no system call on Linux, but for CPU time. */
#include <time.h>
#include "base/clock.h"

static inline struct timespec
now(clockid_t id)
{
	struct timespec ts;

	(void)clock_gettime(id, &ts);
	return ts;
}

int64_t
clock_now(void)
{
	return now(CLOCK_REALTIME).tv_sec;
}

int64_t
clock_now_ms(void)
{
	struct timespec ts = now(CLOCK_REALTIME);

	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

uint64_t
clock_mono_ms(void)
{
	return clock_mono_us() / 1000;
}

uint64_t
clock_mono_us(void)
{
	struct timespec ts = now(CLOCK_MONOTONIC);

	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t
clock_thread_us(void)
{
	struct timespec ts = now(CLOCK_THREAD_CPUTIME_ID);

	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

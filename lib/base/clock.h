/* base/clock.h: time.  `_at` is unix seconds, `_ms` milliseconds; the monotonic clock for
 * durations, the wall clock for dates. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H
#include <stdint.h>

int64_t clock_now(void);      /* unix seconds */
int64_t clock_now_ms(void);   /* unix milliseconds */
uint64_t clock_mono_ms(void); /* monotonic milliseconds */
uint64_t clock_mono_us(void);
uint64_t clock_thread_us(void); /* CPU time of the calling thread */
#endif

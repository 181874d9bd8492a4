/* mta/windows.h: the times of the day at which messages of a priority are delivered (channels.conf(5)). */
#ifndef MTA_WINDOWS_H
#define MTA_WINDOWS_H
#include <stdbool.h>
#include <stdint.h>
#include "base/attr.h"
#include "base/slice.h"

#define MTA_WINDOWS_MAX 8
#define MTA_DAY         86400 /* seconds */

/* Seconds of the local day: from `from` until before `to`; over midnight where `to` is not behind it. */
struct mta_window {
	uint32_t from, to;
};
struct mta_windows {
	uint32_t n; /* 0: always open */
	struct mta_window w[MTA_WINDOWS_MAX];
};

/* HH:MM[:SS]-HH:MM[:SS], where 24:00 ends a day.  0 or -EINVAL: also where it begins when it ends. */
int mta_window_parse(struct slice word, struct mta_window *w) MUSTCHECK;
/* Is one of them open at this second of the day? */
bool mta_windows_open(const struct mta_windows *w, uint32_t second);
/* Seconds until one of them opens or shuts, 1 to MTA_DAY; 0: there are none. */
uint32_t mta_windows_next(const struct mta_windows *w, uint32_t second);
#endif

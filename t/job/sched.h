/* t/job/sched.h: a schedule with entries of channel tcp_local, for the tests of its parts.  Time is a number. */
#ifndef T_JOB_SCHED_H
#define T_JOB_SCHED_H
#include <stdio.h>
#include "job/sched.h"

#define NOW 1763800000

static struct sched *s;
static struct channels *conf;
static struct list leased;

static inline void
end(void)
{
	sched_free(&s);
	channels_free(&conf);
}

static inline const char *
id_of(unsigned n)
{
	static char id[SCHED_ID_LEN + 1];

	(void)snprintf(id, sizeof(id), "%013u00", n);
	return id;
}

static inline struct sched_entry *
add(unsigned n, const char *dest, int prio)
{
	struct sched_msg m = { .channel = S("tcp_local"),
		.dest = slice_str(dest),
		.id = id_of(n),
		.size = 1000,
		.nrcpt = 1,
		.prio = prio,
		.at = NOW };

	return sched_add(s, &m, NOW);
}
#endif

/* suspend.c: an operator lets a destination rest, or go on.
 *
 * Called by verbs.c.  What is said is written down with what else is known of destinations (places.c), so that it
 * outlives a restart.  Nothing fails but the question.  A destination is one of a channel: without a channel's name it is
 * that of each channel that knows it. */
#include "base/clock.h"
#include "base/log.h"
#include "jobctl.h"

#define SECONDS_USUAL 86400

/* How many channels have it.  `until`: 0 = it goes on. */
static size_t
rest_set(struct sched_channel *c, struct slice dest, bool make, int64_t until)
{
	struct sched_dest *d = sched_dest_find(c, dest);
	int64_t now = clock_now();

	if (!d && !(make && until))
		return 0;
	if (until)
		d = sched_suspend(jobctl.sched, c, dest, until, now);
	else if (!sched_resume(jobctl.sched, d, now))
		return 1;
	places_note(d, !until);
	log_event(LOG_INFO, until ? "dest_suspend" : "dest_resume", "channel=%s dest=%s until=%lld",
	    c->name, log_value(dest), (long long)until);
	return 1;
}

static void
rest_run(struct conn *c, struct slice rest, int64_t until)
{
	struct slice dest = kv_find(rest, "dest"), name = kv_find(rest, "channel");
	struct sched_channel *sc = name.p ? sched_channel_find(jobctl.sched, name) : NULL;
	size_t n = 0;

	if (dest.n == 0 || dest.n > JOB_DEST_MAX) {
		walk_answer(c, "dest= is needed");
		return;
	}
	if (name.p && !sc) {
		walk_answer(c, "no such channel");
		return;
	}
	if (sc)
		n = rest_set(sc, dest, true, until);
	for (size_t i = 0; !sc && i < jobctl.channels->nchannel; i++) {
		struct sched_channel *each =
		    sched_channel_find(jobctl.sched, slice_str(jobctl.channels->channel[i].name));

		n += each ? rest_set(each, dest, false, until) : 0;
	}
	table_changed();
	table_due_anew();
	walk_answer(c, n ? NULL : "no channel knows this destination: name one");
}

void
suspend_run(struct conn *c, struct slice rest)
{
	struct slice text = kv_find(rest, "seconds");
	uint64_t seconds = SECONDS_USUAL;

	if (text.p && (slice_u64(text, SCHED_SUSPEND_MOST, &seconds) < 0 || seconds == 0)) {
		walk_answer(c, "seconds= is 1 to 604800");
		return;
	}
	rest_run(c, rest, clock_now() + (int64_t)seconds);
}

void
resume_run(struct conn *c, struct slice rest)
{
	rest_run(c, rest, 0);
}

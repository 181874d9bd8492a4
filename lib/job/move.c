/* move.c: what happens to all messages of one destination at once: it has died or rests, or it is back.
 *
 * Called by dest.c; nothing fails.  There may be a million of them, so they are moved in slices, the first one at once
 * and each further one by sched_tick, and nobody else waits for more than a slice.  That changes nothing for the
 * others: what is ready of a destination that gets nothing is in no ring, and what still waits of one that is back has
 * a time of its own.  What must stay true: a destination is moved in one direction at a time, the latest. */
#include "job/sched-impl.h"

#define MOVE_FIRST 1024 /* of each that are moved at once */

/* One that is ready waits for its own backoff; the first success takes it back.  False: there is none. */
static bool
sched_move_wait(struct sched *s, struct sched_dest *d, int64_t now)
{
	for (int p = 0; p < 3; p++) {
		struct sched_entry *e = list_first(&d->ready[p], struct sched_entry, link);

		if (!e)
			continue;
		sched_entry_unlink(s, e);
		e->throttled = true;
		sched_entry_wait(s, e, now + sched_backoff(e));
		return true;
	}
	return false;
}

/* The first that waits is ready, or goes behind the others if it waits for another reason.  False: all were
 * looked at. */
static bool
sched_move_ready(struct sched *s, struct sched_dest *d, int64_t now)
{
	struct sched_entry *e = list_first(&d->waiting, struct sched_entry, link);

	if (!e || d->move_left == 0)
		return false;
	d->move_left--;
	if (!e->throttled) {
		list_remove(&e->link);
		list_push(&d->waiting, &e->link);
		return true;
	}
	sched_entry_unlink(s, e);
	e->throttled = false;
	sched_entry_ready(s, e, now, false);
	return true;
}

static size_t
sched_move_slice(struct sched *s, struct sched_dest *d, size_t most, int64_t now)
{
	size_t n = 0;

	while (n < most) {
		if (!(d->move == SCHED_MOVE_WAIT ? sched_move_wait(s, d, now) :
						   sched_move_ready(s, d, now))) {
			sched_move_stop(d);
			break;
		}
		n++;
	}
	return n;
}

void
sched_move_start(struct sched *s, struct sched_dest *d, enum sched_move how, int64_t now)
{
	sched_move_stop(d);
	d->move = (uint8_t)how;
	d->move_left = d->nwaiting;
	list_push(&s->moving, &d->moving);
	(void)sched_move_slice(s, d, MOVE_FIRST, now);
}

void
sched_move_stop(struct sched_dest *d)
{
	list_remove(&d->moving);
}

void
sched_move_some(struct sched *s, size_t most, int64_t now)
{
	struct sched_dest *d;

	while (most > 0 && (d = list_first(&s->moving, struct sched_dest, moving))) {
		size_t n = sched_move_slice(s, d, most, now);

		most -= n < most ? n : most;
	}
}

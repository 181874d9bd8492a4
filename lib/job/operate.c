/* operate.c: what operators do to entries of the schedule, and those that their senders want kept for later.
 *
 * Called by jobctl for each message of a verb; sched.c has the places of an entry, and only its functions move
 * one.  Nothing fails.  A message that is kept (FUTURERELEASE, RFC 4865) begins its life at its release: that
 * is its arrival, from which all periods count, so that no time of waiting makes it old.  What must stay true:
 * it goes before only by an operator's word, and its time is one of the calendar, as the one to be delivered by is
 * (DELIVERBY, RFC 2852): when the clock is set they do not move along (sched_shift). */
#include "base/must.h"
#include "job/sched-impl.h"

/* ---- kept for later --------------------------------------------------------------------------- */

bool
sched_early_is(const struct sched_entry *e, int64_t now)
{
	return e->early && e->attempts == 0 && !e->throttled && e->arrival > now;
}

bool
sched_is_kept(const struct sched_entry *e, int64_t now)
{
	return (e->state == SCHED_WAITING || e->state == SCHED_HELD) && sched_early_is(e, now);
}

void
sched_early_anew(struct sched *s)
{
	struct sched_entry *e;
	size_t at = 0;

	while ((e = sched_next(s, &at))) {
		bool early = e->early && !e->attempts && !e->throttled;

		if (e->state == SCHED_WAITING && (early || e->by)) {
			sched_entry_unlink(s, e);
			sched_entry_wait(s, e, early ? e->arrival : e->next);
		} else if (e->state == SCHED_READY && e->by && e->heap_at) {
			sched_heap_take_entry(s, e);
			sched_heap_put_entry(s, e, e->by);
		}
	}
}

/* ---- operators -------------------------------------------------------------------------------- */

void
sched_remove(struct sched *s, struct sched_entry *e)
{
	struct sched_dest *d = e->dest;

	sched_entry_unlink(s, e);
	sched_entry_free(s, e);
	sched_dest_maybe_idle(s, d);
}

void
sched_hold(struct sched *s, struct sched_entry *e)
{
	sched_entry_unlink(s, e);
	e->state = SCHED_HELD;
	e->held_later = false;
	e->dest->nheld++;
	e->dest->channel->held++;
	sched_dest_maybe_idle(s, e->dest);
}

void
sched_release(struct sched *s, struct sched_entry *e, int64_t now)
{
	sched_entry_unlink(s, e);
	e->returns = 0;
	if (sched_early_is(e, now))
		sched_entry_wait(s, e, e->arrival);
	else
		sched_entry_ready(s, e, now, false);
}

/* An operator's word counts more than what we think of the destination. */
void
sched_retry(struct sched *s, struct sched_entry *e, int64_t now)
{
	struct sched_dest *d = e->dest;

	if (d->parked_until)
		sched_dest_wake(s, d);
	if (d->group)
		d->group->suspended_until = 0;
	sched_entry_unlink(s, e);
	e->throttled = false;
	sched_entry_ready(s, e, now, false);
}

void
sched_act(struct sched *s, struct sched_entry *e, enum job_action action, int64_t now)
{
	e->asked = (uint8_t)action;
	if (e->state == SCHED_LEASED)
		return;
	must(e->state == SCHED_READY || e->state == SCHED_WAITING);
	sched_entry_unlink(s, e);
	sched_entry_ready(s, e, now, false);
}

struct sched_dest *
sched_dest_find(const struct sched_channel *c, struct slice name)
{
	return map_get(&c->dests, name);
}

/* An operator may shorten what a rule or another has said. */
struct sched_dest *
sched_suspend(struct sched *s, struct sched_channel *c, struct slice name, int64_t until,
    int64_t now)
{
	struct sched_dest *d = sched_dest_get(s, c, name);

	if (d->parked_until)
		sched_dest_wake(s, d);
	sched_dest_suspend(s, d, until, now);
	sched_dest_maybe_idle(s, d);
	return d;
}

bool
sched_resume(struct sched *s, struct sched_dest *d, int64_t now)
{
	bool rested = d->parked_until || (d->group && d->group->suspended_until > now);

	if (d->group)
		d->group->suspended_until = 0;
	if (rested)
		sched_dest_resume(s, d, now);
	return rested;
}

void
sched_shut(struct sched_channel *c, int prio, bool shut)
{
	c->shut[prio] = shut;
}

struct sched_dest *
sched_dest_next(const struct sched_channel *c, size_t *at)
{
	return map_next(&c->dests, at);
}

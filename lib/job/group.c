/* group.c: destinations whose mail goes to the same MX hosts.
 *
 * Ten thousand domains of one provider are one place: without this each would have the concurrency and the
 * rate of a place of its own.  Which hosts a destination has is known from its first session on (job_result).
 * Called by dest.c and sched.c; nothing can fail.  What must stay true: `active` is the sum of its
 * destinations', and one at most waits for the rate (`limited`); who is blocked is in no ring.  While there is
 * room, whatever happens to any of the group lets one out (sched_dest_update): a place that somebody does not
 * use, because his mail was removed or is to rest, is the next one's.  So a group of any size costs the same for
 * each. */
#include <stdlib.h>
#include "base/mem.h"
#include "job/sched-impl.h"

static struct slice
group_name(const struct sched_group *g)
{
	return slice(g->name, g->name_len);
}

/* The one whose turn it is, by priority, every eighth time from the lowest up; NULL: none is blocked. */
static struct sched_dest *
group_first(struct sched_group *g)
{
	bool low_first = ++g->picks % 8 == 0;
	struct sched_dest *d = NULL;

	for (int i = 0; i < 3 && !d; i++)
		d = list_first(&g->blocked[low_first ? 2 - i : i], struct sched_dest, blocked);
	return d;
}

/* The first that can be served but for the group: it is in its rings. */
static struct sched_dest *
group_next(struct sched_group *g)
{
	struct sched_dest *d;

	while ((d = group_first(g))) {
		list_remove(&d->blocked);
		sched_dest_place(d);
		for (int p = 0; p < 3; p++)
			if (!list_empty(&d->ring[p]))
				return d;
	}
	return NULL;
}

static void
group_block(struct sched_dest *d)
{
	int prio = 0;

	while (prio < 2 && d->nready[prio] == 0)
		prio++;
	list_remove(&d->blocked);
	list_push(&d->group->blocked[prio], &d->blocked);
	d->blocked_prio = (uint8_t)prio;
}

void
sched_group_let_out(struct sched_dest *d)
{
	struct sched_group *g = d->group;

	if (!g)
		return;
	/* Something more urgent has come. */
	if (!list_empty(&d->blocked) && d->blocked_prio > 0 &&
	    (d->nready[0] || (d->nready[1] && d->blocked_prio > 1)))
		group_block(d);
	if (!g->limited && g->active < d->channel->conf->dest_max)
		(void)group_next(g);
}

void
sched_group_leave(struct sched *s, struct sched_dest *d)
{
	struct sched_group *g = d->group;

	if (!g)
		return;
	list_remove(&d->blocked);
	g->active -= d->active;
	if (--g->ndests > 0) {
		sched_group_let_out(d);
		d->group = NULL;
		return;
	}
	d->group = NULL;
	(void)map_take(&d->channel->groups, group_name(g));
	s->dest_bytes -= sizeof(*g) + g->name_len;
	free(g);
}

void
sched_group_join(struct sched *s, struct sched_dest *d, struct slice mx)
{
	struct map *groups = &d->channel->groups;
	struct sched_group *g;

	if (d->group && slice_eq(group_name(d->group), mx))
		return;
	sched_dest_unlimit(s, d); /* what it waits for is not the rate of that group */
	sched_group_leave(s, d);
	if (!(g = map_get(groups, mx))) {
		g = mem_new(sizeof(*g) + mx.n);
		memcpy(g->name, mx.p, mx.n);
		g->name_len = (uint32_t)mx.n;
		g->rate = d->rate;
		for (int p = 0; p < 3; p++)
			list_init(&g->blocked[p]);
		(void)map_put(groups, group_name(g), g);
		s->dest_bytes += sizeof(*g) + mx.n;
	}
	g->ndests++;
	g->active += d->active;
	d->group = g;
	sched_dest_update(d);
}

bool
sched_group_may(struct sched *s, struct sched_dest *d, int64_t now)
{
	struct sched_group *g = d->group;

	if (!g)
		return true;
	if (g->suspended_until > now) {
		sched_dest_suspend(s, d, g->suspended_until, now);
		return false;
	}
	if (!g->limited && g->active < d->channel->conf->dest_max)
		return true;
	group_block(d);
	sched_dest_update(d);
	return false;
}

struct sched_dest *
sched_group_turn(struct sched_dest *d)
{
	if (!d->group)
		return d;
	group_block(d);
	sched_dest_place(d);
	return group_next(d->group);
}

void
sched_group_out(struct sched_dest *d)
{
	if (d->group)
		d->group->active++;
}

void
sched_group_back(struct sched_dest *d)
{
	if (d->group)
		d->group->active--;
}

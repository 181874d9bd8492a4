/* group.c: destinations whose mail goes to the same MX hosts.
 *
 * Ten thousand domains of one provider are one place: without this each would have the concurrency and the
 * rate of a place of its own.  Which hosts a destination has is known from its first session on (job_result).
 * Called by dest.c and sched.c; nothing can fail.  What must stay true: `active` is the sum of its
 * destinations'; who is blocked is in no ring, and the end of any of the group's deliveries lets one out,
 * so that a group of any size costs the same for each. */
#include <stdlib.h>
#include "base/mem.h"
#include "job/sched-impl.h"

static struct slice
group_name(const struct sched_group *g)
{
	return slice(g->name, g->name_len);
}

/* The first that can do something with a place that has become free: others are blocked again when it comes
 * to that. */
static void
group_let_out(struct sched_group *g)
{
	struct sched_dest *d;

	while ((d = list_first(&g->blocked, struct sched_dest, blocked))) {
		list_remove(&d->blocked);
		sched_dest_update(d);
		for (int p = 0; p < 3; p++)
			if (!list_empty(&d->ring[p]))
				return;
	}
}

void
sched_group_leave(struct sched *s, struct sched_dest *d)
{
	struct sched_group *g = d->group;

	if (!g)
		return;
	list_remove(&d->blocked);
	d->group = NULL;
	g->active -= d->active;
	if (--g->ndests > 0) {
		group_let_out(g);
		return;
	}
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
	sched_group_leave(s, d);
	if (!(g = map_get(groups, mx))) {
		g = mem_new(sizeof(*g) + mx.n);
		memcpy(g->name, mx.p, mx.n);
		g->name_len = (uint32_t)mx.n;
		g->rate = d->rate;
		list_init(&g->blocked);
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
	if (g->active < d->channel->conf->dest_max)
		return true;
	list_push(&g->blocked, &d->blocked);
	sched_dest_update(d);
	return false;
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
	if (!d->group)
		return;
	d->group->active--;
	group_let_out(d->group);
}

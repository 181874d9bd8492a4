/* group.c: destinations whose mail goes to the same MX hosts.
 *
 * Ten thousand domains of one provider are one place: without this each would have the concurrency and the
 * rate of a place of its own.  Which hosts a destination has is known from its first session on (job_result).
 * Called by dest.c and sched.c; nothing can fail.  What must stay true: `active` is the sum of its
 * destinations', and one at most waits for the rate (`limited`); who is blocked is in no ring.  While there is
 * room, whatever happens to any of the group lets one out (sched_dest_update): a place that somebody does not
 * use, because his mail was removed or is to rest, is the next one's.  They take turns: who was let out and had
 * nothing comes before those who have had something.  So a group of any size costs the same for each. */
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

	for (int i = 0; i < 3; i++) {
		int p = low_first ? 2 - i : i;
		struct list *from = list_empty(&g->early[p]) ? &g->blocked[p] : &g->early[p];

		if (!list_empty(from))
			return list_first(from, struct sched_dest, blocked);
	}
	return NULL;
}

/* Lets them out up to one that can be served now. */
static void
group_next(struct sched_group *g)
{
	struct sched_dest *d;

	while ((d = group_first(g))) {
		list_remove(&d->blocked);
		d->served = false;
		sched_dest_place(d);
		for (int p = 0; p < 3; p++)
			if (!list_empty(&d->ring[p]) && !d->channel->shut[p] &&
			    sched_dest_class_room(d->channel, (enum dest_class)d->class))
				return;
	}
}

/* Who has had something since he was let out is the last, else his turn is still to come. */
static void
group_block(struct sched_dest *d)
{
	int prio = 0;

	while (prio < 2 && d->nready[prio] == 0)
		prio++;
	list_remove(&d->blocked);
	list_push(d->served ? &d->group->blocked[prio] : &d->group->early[prio], &d->blocked);
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
		group_next(g);
}

void
sched_group_limit(struct sched_dest *d, bool limited)
{
	struct sched_group *g = d->group;

	if (!g)
		return;
	g->limited = limited ? d : NULL;
	if (limited || d->parked_until)
		return;
	group_block(d);
	if (!d->served) { /* it was the next */
		list_remove(&d->blocked);
		list_push_front(&g->early[d->blocked_prio], &d->blocked);
	}
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

	if (sched_dest_has_mx(d, mx))
		return;
	sched_dest_unlimit(s, d); /* what it waits for is not the rate of that group */
	sched_group_leave(s, d);
	if (!(g = map_get(groups, mx))) {
		g = mem_new(sizeof(*g) + mx.n);
		memcpy(g->name, mx.p, mx.n);
		g->name_len = (uint32_t)mx.n;
		g->rate = d->rate;
		for (int p = 0; p < 3; p++) {
			list_init(&g->early[p]);
			list_init(&g->blocked[p]);
		}
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

void
sched_group_out(struct sched_dest *d)
{
	d->served = true;
	if (d->group)
		d->group->active++;
}

void
sched_group_back(struct sched_dest *d)
{
	if (d->group)
		d->group->active--;
}

/* ---- written down ---------------------------------------------------------------------------------- */

bool
sched_dest_has_mx(const struct sched_dest *d, struct slice mx)
{
	return d->group && slice_eq(group_name(d->group), mx);
}

size_t
sched_place_get(const struct sched_dest *d, bool hosts, struct job_place p[2])
{
	const struct sched_group *g = d->group;
	struct slice channel = slice_str(d->channel->name);

	p[0] = (struct job_place){ .channel = channel,
		.dest = slice(d->name, d->name_len),
		.mx = g ? slice(g->name, g->name_len) : S(""),
		.until = d->state == DEST_SUSPENDED ? d->parked_until : 0 };
	if (!g || !hosts)
		return 1;
	p[1] = (struct job_place){ .channel = channel, .mx = p[0].mx, .until = g->suspended_until };
	return 2;
}

bool
sched_place_put(struct sched *s, const struct job_place *p, int64_t now)
{
	struct sched_channel *c = sched_channel_find(s, p->channel);
	int64_t most = now + SCHED_SUSPEND_MOST, until = p->until > most ? most : p->until;
	struct sched_group *g;
	struct sched_dest *d;

	if (!c)
		return false;
	if (p->dest.n == 0) {
		if (!(g = map_get(&c->groups, p->mx)))
			return false;
		g->suspended_until = (uint32_t)until;
		return true;
	}
	if (p->mx.n == 0 && until <= now && !map_get(&c->dests, p->dest))
		return false;
	d = sched_dest_get(s, c, p->dest);
	if (p->mx.n)
		sched_group_join(s, d, p->mx);
	if (until > now)
		sched_dest_suspend(s, d, until, now);
	else if (d->state == DEST_SUSPENDED) /* a later line */
		sched_dest_wake(s, d);
	sched_dest_maybe_idle(s, d);
	return true;
}

void
sched_places_keep(struct sched *s, bool keep)
{
	s->keep = keep;
}

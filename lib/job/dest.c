/* dest.c: destinations: their turn, their concurrency, and whether they are alive.
 *
 * Feedback as Postfix's (mta.md 4.1): an answer adds 1/N to the concurrency N, a failure to get a
 * session takes 1/N; failures that add up to a whole cohort mean that it is dead. */
#include <stdlib.h>
#include "base/mem.h"
#include "base/must.h"
#include "job/sched_impl.h"

#define IDLE_MOST 1000

static struct slice
name_of(const struct sched_dest *d)
{
	return slice(d->name, d->name_len);
}

static size_t
size_of(const struct sched_dest *d)
{
	return sizeof(*d) + d->name_len + 1;
}

static void
dest_free(struct sched *s, struct sched_dest *d)
{
	heap_take_dest(s, d);
	(void)map_take(&d->channel->dests, name_of(d));
	for (int p = 0; p < 3; p++)
		list_remove(&d->ring[p]);
	list_remove(&d->idle);
	d->channel->ndests--;
	s->dest_bytes -= size_of(d);
	free(d);
}

struct sched_dest *
dest_get(struct sched *s, struct sched_channel *c, struct slice name)
{
	struct sched_dest *d = map_get(&c->dests, name);

	if (d)
		return d;
	d = mem_new(sizeof(*d) + name.n + 1);
	memcpy(d->name, name.p, name.n);
	d->name_len = (uint32_t)name.n;
	d->channel = c;
	d->window = (float)c->conf->dest_start;
	for (int p = 0; p < 3; p++) {
		list_init(&d->ring[p]);
		list_init(&d->ready[p]);
	}
	list_init(&d->waiting);
	list_init(&d->idle);
	(void)map_put(&c->dests, name_of(d), d);
	c->ndests++;
	s->dest_bytes += size_of(d);
	return d;
}

/* A destination without messages is kept for what is known of it, as long as there are few. */
void
dest_maybe_idle(struct sched *s, struct sched_dest *d)
{
	struct sched_channel *c = d->channel;
	bool idle = d->nready[0] + d->nready[1] + d->nready[2] + d->nwaiting + d->nheld + d->active == 0;

	if (idle == !list_empty(&d->idle))
		return;
	if (!idle) {
		list_remove(&d->idle);
		c->nidle--;
		return;
	}
	list_push(&c->idle, &d->idle);
	if (++c->nidle > IDLE_MOST) {
		c->nidle--;
		dest_free(s, list_first(&c->idle, struct sched_dest, idle));
	}
}

void
dest_free_all(struct sched *s, struct sched_channel *c)
{
	struct sched_dest *d;
	size_t at = 0;

	while ((d = map_next(&c->dests, &at)) != NULL)
		dest_free(s, d);
	map_fini(&c->dests);
}

/* In the ring of a priority are exactly the destinations that can be served now. */
void
dest_update(struct sched_dest *d)
{
	bool open = d->parked_until == 0 && (float)d->active < d->window;

	for (int p = 0; p < 3; p++) {
		bool in = !list_empty(&d->ring[p]), should = open && d->nready[p] > 0;

		if (should && !in)
			list_push(&d->channel->ring[p], &d->ring[p]);
		else if (in && !should)
			list_remove(&d->ring[p]);
	}
}

/* ---- alive or dead --------------------------------------------------------------------- */

/* Everything ready waits for its own backoff, without an attempt being counted; the first
 * success takes it back (revive). */
static void
throttle_all(struct sched *s, struct sched_dest *d, int64_t now)
{
	struct sched_entry *e;

	for (int p = 0; p < 3; p++)
		while ((e = list_first(&d->ready[p], struct sched_entry, link)) != NULL) {
			entry_unlink(s, e);
			e->throttled = true;
			entry_wait(s, e, now + sched_backoff(e));
		}
}

static void
park(struct sched *s, struct sched_dest *d, int64_t now)
{
	bool lmtp = d->channel->conf->protocol == CHANNEL_LMTP;
	uint32_t first = lmtp ? 2 : 30, most = lmtp ? 60 : 900;
	uint32_t shift = d->parks < 10 ? d->parks : 10;

	d->parks++;
	d->fails = 0;
	d->window = 1;
	d->parked_until = (uint32_t)now + (first << shift < most ? first << shift : most);
	heap_put_dest(s, d, d->parked_until);
	throttle_all(s, d, now);
}

static void
revive(struct sched *s, struct sched_dest *d, int64_t now)
{
	struct sched_entry *e;

	d->parks = 0;
	d->parked_until = 0;
	d->fails = 0;
	d->window = (float)d->channel->conf->dest_start;
	heap_take_dest(s, d);
	list_each(e, &d->waiting, struct sched_entry, link)
	{
		if (!e->throttled)
			continue;
		entry_unlink(s, e);
		e->throttled = false;
		entry_ready(s, e, now, false);
	}
}

/* Its time is over: one message shows whether it is back. */
void
dest_probe(struct sched *s, struct sched_dest *d, int64_t now)
{
	struct sched_entry *e;

	d->parked_until = 0;
	list_each(e, &d->waiting, struct sched_entry, link)
	{
		if (!e->throttled)
			continue;
		entry_unlink(s, e);
		entry_ready(s, e, now, true);
		break;
	}
	dest_update(d);
}

void
dest_answered(struct sched *s, struct sched_dest *d, enum job_site site, int64_t now)
{
	float step = 1 / d->window, most = (float)d->channel->conf->dest_max;

	if (site == JOB_SITE_OK) {
		if (d->parks)
			revive(s, d, now);
		else
			d->window = d->window + step < most ? d->window + step : most;
		d->fails = 0;
	} else if (site == JOB_SITE_FAIL && d->parked_until == 0) {
		d->fails += step;
		d->window = d->window - step > 1 ? d->window - step : 1;
		if (d->parks || d->fails >= 1)
			park(s, d, now);
	}
	dest_update(d);
}

/* dest.c: destinations: their turn, their concurrency, and whether they are alive.
 *
 * Owns every destination of the schedule, the rings of those that can be served now, and what is
 * known of each.  Called by sched.c and its neighbours, on one thread; nothing can fail.
 * Feedback as Postfix's: answers of a whole cohort N add one to the concurrency, the first failure to get a
 * session takes one, and each cohort of further ones another; failures that add up to a cohort without an
 * answer between them mean that it is dead.  What must stay true:
 * sched_dest_set_class alone moves a destination between classes, or the shares that keep slow
 * ones from taking all places would be miscounted; a destination is in a ring exactly while it
 * can be served (sched_dest_update). */
#include <stdlib.h>
#include "base/mem.h"
#include "base/must.h"
#include "job/sched-impl.h"

#define IDLE_MOST 1000   /* that are only known: how many at a time may go there */
#define IDLE_KEPT 100000 /* that have used their rate, or are to rest: 400 bytes each */
#define IDLE_LOOK 8
#define ROUNDING  0.001f /* of steps of 1/N */

static struct slice
sched_dest_name_of(const struct sched_dest *d)
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
	sched_heap_take_dest(s, d);
	sched_move_stop(d);
	sched_dest_unlimit(s, d);
	sched_group_leave(s, d);
	(void)map_take(&d->channel->dests, sched_dest_name_of(d));
	for (int p = 0; p < 3; p++)
		list_remove(&d->ring[p]);
	list_remove(&d->idle);
	list_remove(&d->busy);
	d->channel->nslow -= d->class == DEST_SLOW;
	d->channel->nstate[d->state]--;
	d->channel->ndests--;
	s->dest_bytes -= size_of(d);
	free(d);
}

struct sched_dest *
sched_dest_get(struct sched *s, struct sched_channel *c, struct slice name)
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
	list_init(&d->busy);
	list_init(&d->blocked);
	list_init(&d->moving);
	/* Our own hosts of the data tier, and this one, are no strangers; slow they may be like others. */
	d->class = c->conf->protocol != CHANNEL_SMTP ? DEST_PROVEN : DEST_NEW;
	(void)map_put(&c->dests, sched_dest_name_of(d), d);
	c->ndests++;
	c->nstate[DEST_ALIVE]++;
	s->dest_bytes += size_of(d);
	return d;
}

/* Is there more to know of it than how many at a time it likes?  What its group knows goes with the last of it. */
static bool
sched_dest_remembers(const struct sched_dest *d, int64_t now)
{
	const struct sched_group *g = d->group;

	if (d->parked_until > now)
		return true;
	if (g && g->ndests > 1)
		return false;
	return (g && g->suspended_until > now) ||
	    !sched_rate_full(g ? &g->rate : &d->rate, &d->channel->conf->rate, now);
}

/* Of those without messages the oldest are forgotten, but for a rate that would be had twice. */
static void
sched_dest_forget(struct sched *s, struct sched_channel *c)
{
	for (int i = 0; i < IDLE_LOOK && c->nidle > (s->keep ? IDLE_KEPT : IDLE_MOST); i++) {
		struct sched_dest *d = list_first(&c->idle, struct sched_dest, idle);

		if (c->nidle <= IDLE_KEPT && sched_dest_remembers(d, s->now)) {
			list_remove(&d->idle);
			list_push(&c->idle, &d->idle);
			continue;
		}
		c->nidle--;
		dest_free(s, d);
	}
}

/* A destination without messages is kept for what is known of it, as long as there are few. */
void
sched_dest_maybe_idle(struct sched *s, struct sched_dest *d)
{
	struct sched_channel *c = d->channel;
	bool idle =
	    d->nready[0] + d->nready[1] + d->nready[2] + d->nwaiting + d->nheld + d->active == 0;

	if (idle == !list_empty(&d->idle))
		return;
	if (!idle) {
		list_remove(&d->idle);
		c->nidle--;
		return;
	}
	list_push(&c->idle, &d->idle);
	c->nidle++;
	sched_dest_forget(s, c);
}

void
sched_dest_free_all(struct sched *s, struct sched_channel *c)
{
	struct sched_dest *d;
	size_t at = 0;

	while ((d = map_next(&c->dests, &at)))
		dest_free(s, d);
	map_fini(&c->dests);
	map_fini(&c->groups);
}

/* Who has not answered yet is asked by few at a time: an eighth of what unproven destinations may
 * have together, so that seven of them, however slow, leave room for the next. */
static bool
sched_dest_open(const struct sched_dest *d)
{
	size_t all = (size_t)(d->channel->conf->slots * d->channel->conf->maxjobs);
	size_t few = (all - all / 4 + 7) / 8;

	if (d->parked_until || d->limited || !list_empty(&d->blocked) ||
	    (float)d->active >= d->window)
		return false;
	return d->class == DEST_PROVEN || d->active < (few > 2 ? few : 2);
}

/* In the ring of a priority are exactly the destinations that can be served now. */
void
sched_dest_place(struct sched_dest *d)
{
	bool open = sched_dest_open(d);

	for (int p = 0; p < 3; p++) {
		bool in = !list_empty(&d->ring[p]), should = open && d->nready[p] > 0;

		if (should && !in)
			sched_dest_turn(d, p);
		else if (in && !should)
			list_remove(&d->ring[p]);
	}
}

void
sched_dest_update(struct sched_dest *d)
{
	sched_group_let_out(d); /* before it: it may have just had its turn */
	sched_dest_place(d);
}

void
sched_dest_turn(struct sched_dest *d, int prio)
{
	struct sched_channel *c = d->channel;

	list_remove(&d->ring[prio]);
	list_push(&c->ring[d->class][prio], &d->ring[prio]);
	d->stamp[prio] = ++c->turns;
}

/* ---- proven, new, slow ------------------------------------------------------------------- */

/* The one mover: its deliveries that are out count in the new class, its places in the rings
 * are taken anew. */
static void
sched_dest_set_class(struct sched_dest *d, enum dest_class class)
{
	struct sched_channel *c = d->channel;

	if (d->class == class)
		return;
	c->out[d->class] -= d->active;
	c->out[class] += d->active;
	c->nslow += class == DEST_SLOW;
	c->nslow -= d->class == DEST_SLOW;
	d->class = (uint8_t) class;
	for (int p = 0; p < 3; p++)
		list_remove(&d->ring[p]);
	sched_dest_update(d);
}

static void
sched_dest_news(struct sched_dest *d, int64_t now)
{
	d->news = (uint32_t)now;
	list_remove(&d->busy);
	if (d->active)
		list_push(&d->channel->busy, &d->busy);
}

void
sched_dest_out(struct sched_dest *d, int64_t now)
{
	d->channel->out[d->class]++;
	sched_group_out(d);
	if (d->active++ == 0)
		sched_dest_news(d, now);
}

void
sched_dest_back(struct sched_dest *d, int64_t now)
{
	d->channel->out[d->class]--;
	d->active--;
	sched_group_back(d);
	sched_dest_news(d, now);
}

void
sched_dest_look_slow(struct sched_channel *c, int64_t now)
{
	struct sched_dest *d;

	while ((d = list_first(&c->busy, struct sched_dest, busy))) {
		if (now - d->news < SCHED_SLOW_S)
			return;
		list_remove(&d->busy);
		sched_dest_set_class(d, DEST_SLOW);
	}
}

bool
sched_dest_class_room(const struct sched_channel *c, enum dest_class class)
{
	size_t all = (size_t)(c->conf->slots * c->conf->maxjobs);
	size_t unproven = c->out[DEST_NEW] + c->out[DEST_SLOW];

	/* One slot at least for each class: a channel may have only one. */
	if (class == DEST_PROVEN)
		return true;
	if (class == DEST_SLOW && c->out[DEST_SLOW] >= (all / 2 ? all / 2 : 1))
		return false;
	return unproven < all - all / 4 || unproven == 0;
}

/* ---- how fast ---------------------------------------------------------------------------- */

/* The one mover; at most one of a group waits for its rate. */
static void
sched_dest_set_limited(struct sched_dest *d, bool limited)
{
	if (d->limited == limited)
		return;
	d->channel->nlimited += limited;
	d->channel->nlimited -= d->limited;
	d->limited = limited;
	sched_group_limit(d, limited);
	sched_dest_update(d);
}

void
sched_dest_unlimit(struct sched *s, struct sched_dest *d)
{
	if (!d->limited)
		return;
	sched_heap_take_dest(s, d);
	sched_dest_set_limited(d, false);
}

bool
sched_dest_may(struct sched *s, struct sched_dest *d, int64_t now)
{
	const struct channel_rate *r = &d->channel->conf->rate;
	struct sched_rate *b = sched_rate_of(d);

	if (!sched_group_may(s, d, now))
		return false;
	if (sched_rate_may(b, r, now))
		return true;
	sched_heap_put_dest(s, d, (uint32_t)sched_rate_at(b, r));
	sched_dest_set_limited(d, true);
	return false;
}

/* The one mover between alive, dead and suspended. */
static void
sched_dest_set_state(struct sched *s, struct sched_dest *d, enum dest_state state, int64_t until)
{
	d->channel->nstate[d->state]--;
	d->channel->nstate[state]++;
	d->state = (uint8_t)state;
	d->parked_until = (uint32_t)until;
	if (!until)
		return;
	sched_heap_put_dest(s, d, d->parked_until);
	sched_dest_set_limited(d, false); /* others of its group need not wait with it */
}

void
sched_dest_wake(struct sched *s, struct sched_dest *d)
{
	sched_heap_take_dest(s, d);
	sched_move_stop(d);
	sched_dest_set_state(s, d, DEST_ALIVE, 0);
	sched_dest_set_limited(d, false);
	sched_dest_update(d);
}

void
sched_dest_free_rates(struct sched *s)
{
	for (size_t i = 0; i < s->nchannels; i++) {
		struct sched_dest *d;
		size_t at = 0;

		while ((d = map_next(&s->order[i]->dests, &at))) {
			*sched_rate_of(d) = d->rate = (struct sched_rate){ 0 };
			sched_dest_unlimit(s, d);
		}
		s->order[i]->rate = (struct sched_rate){ 0 };
	}
}

/* ---- alive or dead --------------------------------------------------------------------- */

static void
park(struct sched *s, struct sched_dest *d, int64_t now)
{
	bool lmtp = d->channel->conf->protocol != CHANNEL_SMTP;
	uint32_t first = lmtp ? 2 : 30, most = lmtp ? 60 : 900;
	uint32_t shift = d->parks < 10 ? d->parks : 10;

	d->parks++;
	d->fails = d->grown = d->shrunk = 0;
	d->window = 1;
	sched_dest_set_state(s, d, DEST_DEAD,
	    now + (first << shift < most ? first << shift : most));
	sched_move_start(s, d, SCHED_MOVE_WAIT, now);
}

void
sched_dest_suspend(struct sched *s, struct sched_dest *d, int64_t until, int64_t now)
{
	if (until <= d->parked_until)
		return;
	if (d->parks == 0)
		d->parks = 1; /* one message shows whether it may go on */
	d->fails = d->grown = d->shrunk = 0;
	d->window = 1;
	sched_dest_set_state(s, d, DEST_SUSPENDED, until);
	sched_move_start(s, d, SCHED_MOVE_WAIT, now);
	sched_dest_update(d);
}

/* The first success takes back what park has done. */
static void
revive(struct sched *s, struct sched_dest *d, int64_t now)
{
	d->parks = 0;
	d->fails = d->grown = d->shrunk = 0;
	d->window = (float)d->channel->conf->dest_start;
	sched_dest_wake(s, d);
	sched_move_start(s, d, SCHED_MOVE_READY, now);
}

void
sched_dest_resume(struct sched *s, struct sched_dest *d, int64_t now)
{
	revive(s, d, now);
}

/* Its time is over: it may go on; of a dead one, one message shows whether it is back. */
void
sched_dest_probe(struct sched *s, struct sched_dest *d, int64_t now)
{
	struct sched_entry *e;

	sched_dest_set_limited(d, false);
	if (!d->parked_until)
		return;
	sched_move_stop(d); /* its window lets one out at a time */
	sched_dest_set_state(s, d, DEST_ALIVE, 0);
	list_each(e, &d->waiting, struct sched_entry, link)
	{
		if (!e->throttled || d->channel->shut[e->prio])
			continue;
		sched_entry_unlink(s, e);
		sched_entry_ready(s, e, now, true);
		break;
	}
	sched_dest_update(d);
}

/* N answers in a row of good ones make room for one more. */
static void
sched_dest_grow(struct sched_dest *d)
{
	float most = (float)d->channel->conf->dest_max;

	d->fails = d->shrunk = 0;
	d->grown += 1 / d->window;
	if (d->grown < 1 - ROUNDING)
		return;
	d->grown = 0;
	d->window = d->window + 1 < most ? d->window + 1 : most;
}

/* A series of failures takes its first step at once: the load is too high now. */
static void
sched_dest_shrink(struct sched_dest *d)
{
	float step = 1 / d->window;

	d->fails += step;
	d->grown = 0;
	d->shrunk -= step;
	if (d->shrunk > -ROUNDING)
		return;
	d->shrunk += 1;
	d->window = d->window - 1 > 1 ? d->window - 1 : 1;
}

static void
sched_dest_answered(struct sched *s, struct sched_dest *d, enum job_site site, int64_t now)
{
	enum dest_class was = d->class;

	if (site == JOB_SITE_OK) {
		/* Slow no more, but not as good as one that never was. */
		sched_dest_set_class(d, was == DEST_SLOW ? DEST_NEW : DEST_PROVEN);
		if (d->parks && d->state != DEST_SUSPENDED) /* what was out then proves nothing */
			revive(s, d, now);
		else if (!d->parks)
			sched_dest_grow(d);
	} else if (site == JOB_SITE_FAIL && d->parked_until == 0) {
		sched_dest_set_class(d, DEST_NEW);
		sched_dest_shrink(d);
		if (d->parks || d->fails >= 1 - ROUNDING)
			park(s, d, now);
	}
	sched_dest_update(d);
}

void
sched_dest_result(struct sched *s, struct sched_dest *d, const struct job_result *r, bool action,
    int64_t now)
{
	int64_t until;

	if (r->mx.n)
		sched_group_join(s, d, r->mx);
	if (!action)
		sched_dest_answered(s, d, r->site, now);
	if (r->suspend == 0)
		return;
	until = now + (r->suspend < SCHED_SUSPEND_MOST ? r->suspend : SCHED_SUSPEND_MOST);
	if (d->group)
		d->group->suspended_until = (uint32_t)until;
	sched_dest_suspend(s, d, until, now);
}

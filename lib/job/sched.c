/* sched.c: the schedule's entries: what becomes ready, what waits, what is handed out.
 *
 * Called by jobctl with events and the time; dest.c has the destinations, heap.c and slab.c the
 * memory.  Nothing fails and nothing is read or written: the spool is the truth.  An entry is in
 * exactly one place by its state, and the counts of its channel and destination follow it: only
 * sched_entry_unlink takes it out.  Times from files are not believed beyond the longest
 * backoff. */
#include <stdlib.h>
#include "base/mem.h"
#include "base/must.h"
#include "job/sched-impl.h"

#define TURN         16   /* messages a destination gets before the next one's turn */
#define ACTIONS_MOST 8    /* notices and expiries of a channel under way at a time */
#define TICK_MOST    4096 /* things that one sched_tick moves */
#define RETURNS_FREE 3    /* leases that may come back before the message has to wait */

/* ---- life ------------------------------------------------------------------------------- */

struct sched *
sched_new(void)
{
	struct sched *s = mem_new(sizeof(*s));

	list_init(&s->moving);
	return s;
}

void
sched_free(struct sched **sp)
{
	struct sched *s = *sp;

	if (!s)
		return;
	for (size_t i = 0; i < s->nchannels; i++) {
		sched_dest_free_all(s, s->order[i]);
		free(s->order[i]->name);
		free(s->order[i]);
	}
	free(s->order);
	map_fini(&s->channels);
	sched_slab_free(s);
	free(s->heap);
	mem_free(sp);
}

static const struct channel *
conf_for(const struct sched *s, const char *name)
{
	const struct channel *c = channels_find(s->conf, slice_str(name));

	return c ? c : channels_find(s->conf, S("tcp_local"));
}

void
sched_configure(struct sched *s, const struct channels *conf)
{
	s->conf = conf;
	for (size_t i = 0; i < conf->nchannel; i++)
		(void)sched_channel(s, slice_str(conf->channel[i].name));
	for (size_t i = 0; i < s->nchannels; i++)
		s->order[i]->conf = conf_for(s, s->order[i]->name);
	sched_dest_free_rates(s);
}

struct sched_channel *
sched_channel_find(const struct sched *s, struct slice name)
{
	return map_get(&s->channels, name);
}

struct sched_channel *
sched_channel(struct sched *s, struct slice name)
{
	struct sched_channel *c = map_get(&s->channels, name);

	if (c)
		return c;
	c = mem_new(sizeof(*c));
	c->name = mem_strn(name.p, name.n);
	c->conf = conf_for(s, c->name);
	c->stopped = c->conf->stopped && strcmp(c->conf->name, c->name) == 0;
	for (int k = 0; k < DEST_CLASSES; k++)
		for (int p = 0; p < 3; p++)
			list_init(&c->ring[k][p]);
	list_init(&c->busy);
	list_init(&c->actions);
	list_init(&c->idle);
	s->order = mem_grow(s->order, s->nchannels + 1, sizeof(struct sched_channel *));
	s->order[s->nchannels++] = c;
	(void)map_put(&s->channels, slice_str(c->name), c);
	return c;
}

struct sched_channel *
sched_channel_next(const struct sched *s, size_t *at)
{
	return *at < s->nchannels ? s->order[(*at)++] : NULL;
}

struct sched_channel *
sched_of(const struct sched_entry *e)
{
	return e->dest->channel;
}

struct slice
sched_dest_name(const struct sched_entry *e)
{
	return slice(e->dest->name, e->dest->name_len);
}

const char *
sched_state_word(enum sched_state st)
{
	static const char *const words[] = { "free", "ready", "waiting", "leased", "held" };

	must((size_t)st < NELEM(words));
	return words[st];
}

const char *
sched_dest_state_word(enum dest_state st)
{
	static const char *const words[DEST_STATES] = { "alive", "dead", "suspended" };

	must((size_t)st < DEST_STATES);
	return words[st];
}

/* ---- notices and expiry ------------------------------------------------------------------ */

/* A message that has never had its chance is tried first, however old it is. */
static bool
had_chance(const struct sched_entry *e)
{
	return e->attempts > 0 || e->throttled || e->judged;
}

static enum job_action
action_due(const struct sched_entry *e, int64_t now)
{
	const struct mta_times *n = &sched_of(e)->conf->notices;
	int64_t age = now - e->arrival;

	if (e->asked)
		return (enum job_action)e->asked;
	if (e->by && now >= e->by)
		return JOB_LATE;
	if (!had_chance(e))
		return JOB_DELIVER;
	if (age >= n->s[n->n - 1])
		return JOB_EXPIRE;
	if (e->notices < n->n - 1 && age >= n->s[e->notices])
		return JOB_NOTICE;
	return JOB_DELIVER;
}

/* When the next one will be due, however long ago; 0 = not known yet. */
static int64_t
action_at(const struct sched_entry *e)
{
	const struct mta_times *n = &sched_of(e)->conf->notices;
	int64_t at = 0;

	if (had_chance(e))
		at = (int64_t)e->arrival + n->s[e->notices < n->n - 1 ? e->notices : n->n - 1];
	return e->by && (!at || e->by < at) ? e->by : at;
}

/* ---- the three places of an entry --------------------------------------------------------- */

void
sched_entry_unlink(struct sched *s, struct sched_entry *e)
{
	struct sched_dest *d = e->dest;

	list_remove(&e->link);
	sched_heap_take_entry(s, e);
	switch ((enum sched_state)e->state) {
	case SCHED_READY:
		d->channel->ready--;
		if (e->actions)
			e->actions = false;
		else
			d->nready[e->prio]--;
		break;
	case SCHED_WAITING:
		d->channel->waiting--;
		d->nwaiting--;
		break;
	case SCHED_LEASED:
		d->channel->leased--;
		if (e->action == JOB_DELIVER)
			sched_dest_back(d, s->now);
		else
			d->channel->nactions_out--;
		break;
	case SCHED_HELD:
		d->channel->held--;
		d->nheld--;
		break;
	case SCHED_FREE: break;
	}
	sched_dest_update(d);
}

void
sched_entry_ready(struct sched *s, struct sched_entry *e, int64_t now, bool front)
{
	struct sched_dest *d = e->dest;
	struct list *queue = &d->ready[e->prio];
	int64_t at;

	e->action = action_due(e, now);
	if (e->action == JOB_DELIVER && d->parked_until > now) {
		e->throttled = true;
		sched_entry_wait(s, e, d->parked_until);
		return;
	}
	e->state = SCHED_READY;
	d->channel->ready++;
	if (e->action != JOB_DELIVER) {
		e->actions = true;
		queue = &d->channel->actions;
	} else {
		d->nready[e->prio]++;
		/* Whatever keeps it from its turn: its time, and its age where that may be long. */
		at = d->channel->shut[e->prio] ? action_at(e) : e->by;
		if (at > now)
			sched_heap_put_entry(s, e, at > UINT32_MAX ? UINT32_MAX : (uint32_t)at);
	}
	if (front)
		list_push_front(queue, &e->link);
	else
		list_push(queue, &e->link);
	sched_dest_maybe_idle(s, d);
	sched_dest_update(d);
}

static void
wait_until(struct sched *s, struct sched_entry *e, int64_t due)
{
	e->state = SCHED_WAITING;
	e->dest->nwaiting++;
	e->dest->channel->waiting++;
	list_push(&e->dest->waiting, &e->link);
	sched_heap_put_entry(s, e, due > UINT32_MAX ? UINT32_MAX : (uint32_t)due);
	sched_dest_maybe_idle(s, e->dest);
}

/* Waits for its next attempt at `until`, or for the notice or expiry that is due before. */
void
sched_entry_wait(struct sched *s, struct sched_entry *e, int64_t until)
{
	int64_t at = action_at(e);

	e->next = (uint32_t)until;
	wait_until(s, e, at && at < until ? at : until);
}

/* ---- what happens to messages -------------------------------------------------------------- */

/* A time that was written down while the clock was ahead must not keep a message waiting longer
 * than its longest backoff. */
static int64_t
sane_wait(const struct sched_entry *e, int64_t next, int64_t now)
{
	const struct mta_times *p = &sched_of(e)->conf->backoff[e->prio];
	int64_t most = 0;

	if (sched_early_is(e, now))
		return e->arrival;
	for (uint32_t i = 0; i < p->n; i++)
		most = p->s[i] > most ? p->s[i] : most;
	return next > now + most ? now + most : next;
}

struct sched_entry *
sched_add(struct sched *s, const struct sched_msg *m, int64_t now)
{
	struct sched_channel *c;
	struct sched_entry *e;
	int64_t next;

	if (sched_find(s, m->id))
		return NULL;
	c = sched_channel(s, m->channel);
	e = sched_entry_new(s, m->id);
	e->dest = sched_dest_get(s, c, m->dest);
	e->early = m->release > m->at;
	e->arrival = (uint32_t)(e->early ? m->release : m->at);
	e->size_k =
	    (uint32_t)((m->size + 1023) / 1024 > UINT32_MAX ? UINT32_MAX : (m->size + 1023) / 1024);
	e->nrcpt = (uint16_t)(m->nrcpt < UINT16_MAX ? m->nrcpt : UINT16_MAX);
	e->attempts = (uint16_t)(m->attempts < UINT16_MAX ? m->attempts : UINT16_MAX);
	e->notices = (uint8_t)(m->notices < UINT8_MAX ? m->notices : UINT8_MAX);
	e->prio = m->prio < 0 ? 0 : m->prio > 2 ? 2 : (uint8_t)m->prio;
	if (c->conf->big && m->size > (uint64_t)c->conf->big && e->prio < 2)
		e->prio++;
	e->check = m->check;
	e->by =
	    m->by > 0 && m->by <= UINT32_MAX && m->notices < JOB_NOTICE_LATE ? (uint32_t)m->by : 0;
	next = sane_wait(e, m->next, now);
	e->next = next > 0 ? (uint32_t)next : 0;
	if (m->held)
		sched_hold(s, e);
	else if (next > now)
		sched_entry_wait(s, e, next);
	else
		sched_entry_ready(s, e, now, false);
	return e;
}

/* ---- handing out --------------------------------------------------------------------------- */

/* The destination of this priority whose turn it is, of the classes that have room. */
static struct sched_dest *
next_dest(const struct sched_channel *c, int prio)
{
	struct sched_dest *best = NULL, *d;

	for (int k = 0; k < DEST_CLASSES && !c->shut[prio]; k++) {
		d = list_empty(&c->ring[k][prio]) || !sched_dest_class_room(c, (enum dest_class)k) ?
		    NULL :
		    CONTAINER(c->ring[k][prio].next, struct sched_dest, ring[prio]);
		if (d && (!best || d->stamp[prio] < best->stamp[prio]))
			best = d;
	}
	return best;
}

bool
sched_has_work(struct sched_channel *c, int64_t now)
{
	if (c->stopped)
		return false;
	if (!list_empty(&c->actions) && c->nactions_out < ACTIONS_MOST)
		return true;
	sched_dest_look_slow(c, now);
	return sched_rate_may(&c->rate, &c->conf->rate_total, now) &&
	    (next_dest(c, 0) || next_dest(c, 1) || next_dest(c, 2));
}

static struct sched_entry *
lease(struct sched *s, struct sched_entry *e, enum job_action action)
{
	struct sched_dest *d = e->dest;

	sched_entry_unlink(s, e);
	e->state = SCHED_LEASED;
	e->action = (uint8_t)action;
	d->channel->leased++;
	if (action == JOB_DELIVER) {
		sched_dest_out(d, s->now);
		sched_rates_out(d);
	} else {
		d->channel->nactions_out++;
	}
	sched_dest_maybe_idle(s, d);
	sched_dest_update(d);
	return e;
}

static struct sched_dest *
choose(struct sched_channel *c, struct sched_dest *prefer, int *prio)
{
	bool low_first = ++c->picks % 8 == 0;
	struct sched_dest *d;

	for (int i = 0; i < 3; i++) {
		int p = low_first ? 2 - i : i;

		if (!(d = next_dest(c, p)))
			continue;
		*prio = p;
		if (prefer && !list_empty(&prefer->ring[p]) && prefer->turn < TURN &&
		    sched_dest_class_room(c, (enum dest_class)prefer->class))
			return prefer;
		return d;
	}
	return NULL;
}

struct sched_entry *
sched_pick(struct sched *s, struct sched_channel *c, struct sched_dest *prefer, int64_t now)
{
	struct sched_dest *d;
	struct sched_entry *e;
	int p = 0;

	s->now = now;
	if (c->stopped)
		return NULL;
	if (!list_empty(&c->actions) && c->nactions_out < ACTIONS_MOST) {
		e = list_first(&c->actions, struct sched_entry, link);
		return lease(s, e, (enum job_action)e->action);
	}
	sched_dest_look_slow(c, now);
	if (!sched_rate_may(&c->rate, &c->conf->rate_total, now))
		return NULL;
	do
		if (!(d = choose(c, prefer, &p)))
			return NULL;
	while (!sched_dest_may(s, d, now)); /* each that may not is in no ring any more */
	if (d->turn == TURN)                /* the others have had theirs */
		d->turn = 0;
	if (++d->turn == TURN)
		sched_dest_turn(d, p);
	e = list_first(&d->ready[p], struct sched_entry, link);
	must(e);
	/* It may have stood in a long queue. */
	return lease(s, e, action_due(e, now));
}

uint32_t
sched_backoff(const struct sched_entry *e)
{
	return channels_periods_get(&sched_of(e)->conf->backoff[e->prio], e->attempts);
}

/* ---- the end of a lease ---------------------------------------------------------------------- */

/* Not before now, not later than the message's last day. */
static int64_t
sane_next(const struct sched_entry *e, int64_t next, int64_t now)
{
	const struct mta_times *n = &sched_of(e)->conf->notices;
	int64_t last = (int64_t)e->arrival + n->s[n->n - 1];

	if (next > last)
		next = last;
	return next > now ? next : now + 1;
}

static void
end_drop(struct sched *s, struct sched_entry *e, bool was_action, const struct job_result *r,
    int64_t now)
{
	uint32_t after = r->after;

	e->judged = e->judged || r->judged;
	e->dest->channel->dropped++;
	if (e->action == JOB_DELIVER)
		sched_rates_back(s, e->dest); /* nobody was asked */
	/* A notice that could not be written is due already: it must not come back at once. */
	if (was_action)
		wait_until(s, e, now + (after > 30 ? after : 30));
	else if (after)
		sched_entry_wait(s, e, now + (after < 86400 ? after : 86400));
	else
		sched_entry_ready(s, e, now, true);
}

static void
end_retry(struct sched *s, struct sched_entry *e, bool was_action, const struct job_result *r,
    int64_t now)
{
	e->dest->channel->retried++;
	if (e->attempts < UINT16_MAX)
		e->attempts++;
	e->throttled = r->site == JOB_SITE_FAIL;
	/* Who should have been told could not be: that is due already, and must not come back at once. */
	if (was_action)
		wait_until(s, e, now + (int64_t)sched_backoff(e));
	else
		sched_entry_wait(s, e, sane_next(e, r->next, now));
}

static void
end_noted(struct sched *s, struct sched_entry *e, int64_t now)
{
	const struct mta_times *n = &sched_of(e)->conf->notices;

	e->dest->channel->noticed++;
	if (e->action == JOB_LATE) {
		e->by = 0;
		e->notices = JOB_NOTICE_LATE; /* who has heard of it gets no further one */
	}
	while (e->notices < n->n - 1 && now - e->arrival >= n->s[e->notices])
		e->notices++;
	if (e->next > now)
		sched_entry_wait(s, e, e->next);
	else
		sched_entry_ready(s, e, now, false);
}

bool
sched_end(struct sched *s, struct sched_entry *e, const struct job_result *r, int64_t now)
{
	struct sched_dest *d = e->dest;
	bool was_action = e->action != JOB_DELIVER, stays = true;
	bool expired = e->action == JOB_EXPIRE || e->action == JOB_RETURN || e->action == JOB_LATE;

	must(e->state == SCHED_LEASED);
	s->now = now;
	sched_dest_look_slow(d->channel, now); /* before this one's news */
	sched_entry_unlink(s, e);
	e->returns = 0;
	if (e->asked == e->action && r->end != JOB_DROP)
		e->asked = 0;
	switch (r->end) {
	case JOB_DONE:
		*(expired ? &d->channel->expired : &d->channel->done) += 1;
		sched_entry_free(s, e);
		stays = false;
		break;
	case JOB_RETRY: end_retry(s, e, was_action, r, now); break;
	case JOB_DROP: end_drop(s, e, was_action, r, now); break;
	case JOB_NOTED: end_noted(s, e, now); break;
	case JOB_HELD:
		e->state = SCHED_HELD;
		d->nheld++;
		d->channel->held++;
		break;
	}
	/* Asked for while it was out. */
	if (stays && e->asked && e->state == SCHED_WAITING && r->end != JOB_DROP)
		sched_act(s, e, (enum job_action)e->asked, now);
	sched_dest_result(s, d, r, was_action, now);
	sched_dest_maybe_idle(s, d);
	return stays;
}

/* A message that its master dies of must not bring down one after the other. */
void
sched_return(struct sched *s, struct sched_entry *e, int64_t now)
{
	must(e->state == SCHED_LEASED);
	s->now = now;
	sched_entry_unlink(s, e);
	if (e->action == JOB_DELIVER)
		sched_rates_back(s, e->dest); /* nobody was asked */
	if (e->returns < UINT8_MAX)
		e->returns++;
	/* What is due already waits, too: it may be that which kills. */
	if (e->returns > RETURNS_FREE && e->action != JOB_DELIVER)
		wait_until(s, e, now + 60 * (e->returns - RETURNS_FREE));
	else if (e->returns > RETURNS_FREE)
		sched_entry_wait(s, e, now + 60 * (e->returns - RETURNS_FREE));
	else
		sched_entry_ready(s, e, now, true);
}

/* ---- time -------------------------------------------------------------------------------------- */

int64_t
sched_tick(struct sched *s, int64_t now)
{
	struct sched_entry *e;
	struct sched_dest *d;

	for (size_t i = 0; i < s->nchannels; i++)
		(void)sched_rate_may(&s->order[i]->rate, &s->order[i]->conf->rate_total, now);
	sched_move_some(s, TICK_MOST, now);
	for (int i = 0; i < TICK_MOST && sched_heap_pop(s, (uint32_t)now, &e, &d); i++) {
		if (d) {
			sched_dest_probe(s, d, now);
			continue;
		}
		sched_entry_unlink(s, e);
		if (action_due(e, now) == JOB_DELIVER && e->next > now)
			sched_entry_wait(s, e, e->next);
		else
			sched_entry_ready(s, e, now, false);
	}
	return sched_next_due(s);
}

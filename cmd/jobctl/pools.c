/* pools.c: pools: channels that share a number of processes ([pool NAME] of jobctl.conf).
 *
 * Called by pool.c before it starts one, and by main.c with the configuration.  A pool is counted anew at each
 * question, over the channels, so that a reload needs nothing.  A channel that has work and no process is
 * hungry: it comes before those that want another one, and the longest hungry first.  Where its pool is full,
 * somebody is asked to leave: an idle master, else one of a channel that has several, else one that has had its
 * turn.  Who is asked finishes what it has, and another is asked when that takes long: a server that is slow has
 * no channel wait for it.  What must stay true: one at a time is asked. */
#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "jobctl.h"

#define TURN_MS 10000 /* the only master of a channel stays so long; so long one may leave */

struct pool_conf {
	char *name;
	int64_t job_limit;
};
static struct pool_conf **pools;

static const struct conf_key pool_keys[] = {
	{ "job_limit", CONF_INT, (void *)offsetof(struct pool_conf, job_limit), "10", 1, 10000,
	    RELOAD, NULL, "Most channel-master processes of all channels of the pool." },
};
static const struct conf_section sections[] = {
	{ "pool", sizeof(struct pool_conf), pool_keys, NELEM(pool_keys), (void ***)&pools,
	    offsetof(struct pool_conf, name), "Channels that share a number of processes." },
};
const struct conf_schema pools_schema = { NULL, 0, sections, NELEM(sections) };

const char *
pools_name(const struct channel *c)
{
	return *c->pool ? c->pool : "DEFAULT";
}

static const struct pool_conf *
pools_find(const char *name)
{
	for (struct pool_conf **p = pools; p && *p; p++)
		if (strcmp((*p)->name, name) == 0)
			return *p;
	return NULL;
}

/* Processes of the pool that nobody else gets. */
static int64_t
pools_kept(const struct channels *c, const char *pool)
{
	int64_t n = 0;

	for (size_t i = 0; i < c->nchannel; i++)
		if (strcmp(pools_name(&c->channel[i]), pool) == 0)
			n += c->channel[i].minjobs;
	return n;
}

bool
pools_check(const struct channels *c, struct buf *why)
{
	size_t before = why->n;

	for (size_t i = 0; pools && *pools && i < c->nchannel; i++) {
		const struct channel *ch = &c->channel[i];
		const struct pool_conf *p = pools_find(pools_name(ch));

		if (!p && *ch->pool)
			buf_printf(why, "channel %s: jobctl.conf has no [pool %s]\n", ch->name,
			    ch->pool);
		else if (p && pools_kept(c, p->name) + (ch->minjobs == 0) > p->job_limit)
			buf_printf(why,
			    "channel %s: [pool %s] has no place for it: minjobs of its channels "
			    "keep %lld of %lld\n",
			    ch->name, p->name, (long long)pools_kept(c, p->name),
			    (long long)p->job_limit);
	}
	return why->n == before;
}

/* ---- who has a place ----------------------------------------------------------------------- */

static bool
pools_same(const struct chan *a, const struct chan *b)
{
	return strcmp(pools_name(a->sc->conf), pools_name(b->sc->conf)) == 0;
}

static size_t
chan_jobs(const struct chan *ch)
{
	return ch->masters + ch->nstarting;
}

/* One that has said good-bye has its place until it is gone. */
static size_t
chan_places(const struct chan *ch)
{
	return ch->nprocs > chan_jobs(ch) ? ch->nprocs : chan_jobs(ch);
}

/* How many places of its pool are taken; *going: how many of these become free. */
static size_t
pool_jobs(const struct chan *ch, size_t *going)
{
	struct sched_channel *sc;
	size_t at = 0, n = 0;

	*going = 0;
	while ((sc = sched_channel_next(jobctl.sched, &at))) {
		const struct chan *other = chan_of(sc);

		if (!pools_same(other, ch))
			continue;
		n += chan_places(other);
		*going += chan_places(other) - chan_jobs(other);
	}
	return n;
}

/* Is it somebody else's turn to have the next place? */
static bool
pool_other_first(const struct chan *ch)
{
	struct sched_channel *sc;
	size_t at = 0;

	while ((sc = sched_channel_next(jobctl.sched, &at))) {
		const struct chan *other = chan_of(sc);

		if (other == ch || !other->hungry_at || chan_jobs(other) ||
		    !pools_same(other, ch) || loop_now(jobctl.loop) < other->spawn_at ||
		    !sched_has_work(sc, clock_now()))
			continue;
		if (!ch->hungry_at || other->hungry_at < ch->hungry_at)
			return true;
	}
	return false;
}

/* ---- making room ---------------------------------------------------------------------------- */

/* How readily it may leave: 0 not, then the more the better; *at becomes when that changes, if it does. */
static int
pool_spare(const struct conn *c, uint64_t now, uint64_t *at)
{
	const struct chan *ch = c->chan;

	if (ch->masters <= (size_t)ch->sc->conf->minjobs)
		return 0;
	if (c->nlease == 0)
		return 3;
	if (ch->masters > 1)
		return 2;
	if (now >= c->came + TURN_MS)
		return 1;
	if (*at == 0 || c->came + TURN_MS < *at)
		*at = c->came + TURN_MS;
	return 0;
}

static void
pool_make_room(const struct chan *ch)
{
	uint64_t now = loop_now(jobctl.loop), at = 0;
	struct conn *c, *best = NULL;
	int most = 0, spare;

	list_each(c, &jobctl.conns, struct conn, link)
	{
		if (c->kind != CONN_MASTER || !pools_same(c->chan, ch))
			continue;
		if (c->leaving && now < c->left + TURN_MS) { /* a place becomes free */
			pool_look_again(c->left + TURN_MS);
			return;
		}
		if (!c->leaving && (spare = pool_spare(c, now, &at)) > most) {
			most = spare;
			best = c;
		}
	}
	if (best) {
		log_event(LOG_INFO, "pool_full", "pool=%s channel=%s leaves=%s pid=%u",
		    log_str(pools_name(ch->sc->conf)), ch->sc->name, best->chan->sc->name,
		    best->pid);
		conn_leave(best);
	} else if (at) {
		pool_look_again(at);
	}
}

bool
pools_room(struct chan *ch)
{
	const struct pool_conf *p = pools_find(pools_name(ch->sc->conf));
	bool none = chan_jobs(ch) == 0, full;
	size_t going = 0;

	full = p && pool_jobs(ch, &going) >= (size_t)p->job_limit;
	if (!p || (!full && !pool_other_first(ch))) {
		ch->hungry_at = 0;
		return true;
	}
	if (none && !ch->hungry_at)
		ch->hungry_at = loop_now(jobctl.loop);
	if (none && full && !going)
		pool_make_room(ch);
	return false;
}

size_t
pools_hungry(void)
{
	struct sched_channel *sc;
	size_t at = 0, n = 0;

	while ((sc = sched_channel_next(jobctl.sched, &at)))
		n += chan_of(sc)->hungry_at && !chan_jobs(chan_of(sc)) &&
		    sched_has_work(sc, clock_now());
	return n;
}

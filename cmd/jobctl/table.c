/* table.c: what jobctl knows: the schedule, and beside each channel of it who works for that channel.
 *
 * Everybody in this folder reads and changes it, and says so by table_changed; what is to be done about it
 * is decided once, at the end of the turn, by whoever has asked to be told (serve.c).  Nothing here reads,
 * writes or starts anything, so that rescan.c, pool.c, verbs.c and serve.c can stand on it one above the
 * other. */
#include "base/clock.h"
#include "base/mem.h"
#include "jobctl.h"

static struct later change;
static void (*on_change)(struct later *);
static struct timer due;
static int64_t due_at; /* what the timer is set to, 0 = not armed */

struct chan *
chan_of(struct sched_channel *sc)
{
	struct chan *ch = sc->owner;

	if (ch)
		return ch;
	ch = sc->owner = mem_new(sizeof(*ch));
	ch->sc = sc;
	list_init(&ch->free);
	list_init(&ch->procs);
	return ch;
}

bool
chan_is_halted(const struct sched_channel *sc)
{
	return sc->stopped || sc->shut[0] || sc->shut[1] || sc->shut[2];
}

void
table_changed(void)
{
	if (on_change)
		later_run(&change, jobctl.loop, on_change);
}

void
table_on_change(void (*fn)(struct later *))
{
	on_change = fn;
}

/* ---- time --------------------------------------------------------------------------------- */

void
table_due(void)
{
	int64_t at = sched_next_due(jobctl.sched), now;

	if (at == 0 || (due_at && due_at <= at))
		return;
	now = clock_now();
	due_at = at;
	timer_start(&due, at > now ? (uint64_t)(at - now) * 1000 : 1, 0);
}

void
table_due_anew(void)
{
	due_at = 0;
	table_due();
}

static void
table_on_due(struct timer *t)
{
	(void)t;
	(void)sched_tick(jobctl.sched, clock_now());
	table_changed();
	table_due_anew();
}

void
table_start(void)
{
	jobctl.sched = sched_new();
	sched_configure(jobctl.sched, jobctl.channels);
	later_init(&change);
	timer_init(&due, jobctl.loop, table_on_due);
}

/* ---- counts --------------------------------------------------------------------------------- */

void
table_count(struct table_counts *n)
{
	struct sched_channel *sc;
	size_t at = 0;

	*n = (struct table_counts){ 0 };
	while ((sc = sched_channel_next(jobctl.sched, &at))) {
		n->ready += sc->ready;
		n->waiting += sc->waiting;
		n->leased += sc->leased;
		n->held += sc->held;
		n->slow += sc->nslow;
		n->limited += sc->nlimited;
		n->shut += sc->shut[0] || sc->shut[1] || sc->shut[2];
		for (int i = 0; i < DEST_STATES; i++)
			n->state[i] += sc->nstate[i];
		n->masters += chan_of(sc)->masters;
	}
}

void
table_metrics(void)
{
	struct table_counts n;

	table_count(&n);
	metric_set(M_MESSAGES, (int64_t)sched_count(jobctl.sched));
	metric_set(M_READY, (int64_t)n.ready);
	metric_set(M_WAITING, (int64_t)n.waiting);
	metric_set(M_LEASED, (int64_t)n.leased);
	metric_set(M_HELD, (int64_t)n.held);
	metric_set(M_SLOW, (int64_t)n.slow);
	metric_set(M_LIMITED, (int64_t)n.limited);
	metric_set(M_SHUT, (int64_t)n.shut);
	metric_set(M_HUNGRY, (int64_t)pools_hungry());
	metric_set(M_DEAD, (int64_t)n.state[DEST_DEAD]);
	metric_set(M_SUSPENDED, (int64_t)n.state[DEST_SUSPENDED]);
	metric_set(M_MEMORY, (int64_t)sched_memory(jobctl.sched));
}

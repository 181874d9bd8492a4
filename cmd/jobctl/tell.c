/* tell.c: what operators are told that is no message: the queue in numbers, channels, masters, destinations.
 *
 * Called by verbs.c and main.c; one turn each, over what there is of channels, masters and destinations. */
#include <stdlib.h>
#include "base/mem.h"
#include "jobctl.h"

#define TOP_FIRST 20 /* destinations, when it is not said how many */
#define TOP_MOST  1000

/* The priorities that wait for their time of the day. */
static void
tell_shut(struct buf *b, const struct sched_channel *sc)
{
	static const char *const words[] = { "urgent", "normal", "nonurgent" };
	char text[40] = "";

	for (int p = 0; p < 3; p++)
		if (sc->shut[p]) {
			if (*text)
				strcat(text, ",");
			strcat(text, words[p]);
		}
	if (*text)
		kv_put_raw(b, "shut", slice_str(text));
}

static void
tell_channel(struct buf *b, struct chan *ch)
{
	const struct sched_channel *sc = ch->sc;

	buf_lit(b, "channel");
	kv_put_raw(b, "name", slice_str(sc->name));
	kv_put_raw(b, "state", slice_str(sc->stopped ? "stopped" : "running"));
	tell_shut(b, sc);
	kv_put_u64(b, "ready", sc->ready);
	kv_put_u64(b, "waiting", sc->waiting);
	kv_put_u64(b, "leased", sc->leased);
	kv_put_u64(b, "held", sc->held);
	kv_put_u64(b, "dests", sc->ndests - sc->nidle);
	kv_put_u64(b, "masters", ch->masters);
	kv_put_u64(b, "maxjobs", (uint64_t)sc->conf->maxjobs);
	kv_put(b, "pool", slice_str(pools_name(sc->conf)));
	kv_put_u64(b, "done", sc->done);
	kv_put_u64(b, "retried", sc->retried);
	kv_put_u64(b, "expired", sc->expired);
	kv_put_u64(b, "noticed", sc->noticed);
	kv_put_u64(b, "failures", ch->failures);
	buf_char(b, '\n');
}

void
tell_channels(struct buf *b)
{
	struct sched_channel *sc;
	size_t at = 0;

	while ((sc = sched_channel_next(jobctl.sched, &at)))
		tell_channel(b, chan_of(sc));
}

void
jobctl_status_write(struct buf *b)
{
	struct table_counts n;

	table_count(&n);
	buf_lit(b, "queue");
	kv_put_u64(b, "messages", sched_count(jobctl.sched));
	kv_put_u64(b, "ready", n.ready);
	kv_put_u64(b, "waiting", n.waiting);
	kv_put_u64(b, "leased", n.leased);
	kv_put_u64(b, "held", n.held);
	kv_put_u64(b, "masters", n.masters);
	kv_put_u64(b, "memory", sched_memory(jobctl.sched));
	kv_put_raw(b, "scan", slice_str(rescan_running() ? "running" : "done"));
	buf_char(b, '\n');
	tell_channels(b);
}

void
tell_jobs(struct buf *b)
{
	const struct conn *c;

	list_each(c, &jobctl.conns, struct conn, link)
	{
		const struct sched_entry *e = list_first(&c->leases, struct sched_entry, link);

		if (c->kind != CONN_MASTER)
			continue;
		buf_lit(b, "job");
		kv_put_u64(b, "pid", c->pid);
		kv_put_raw(b, "channel", slice_str(c->chan->sc->name));
		kv_put_raw(b, "state",
		    c->leaving    ? S("leaving") :
			c->nlease ? S("busy") :
				    S("idle"));
		kv_put_i64(b, "since", c->since);
		kv_put_u64(b, "slots", c->slots);
		kv_put_u64(b, "leases", c->nlease);
		if (e)
			kv_put_raw(b, "qid", slice(e->id, QUEUE_ID_LEN));
		kv_put_u64(b, "messages", c->messages);
		kv_put_u64(b, "bytes", c->kbytes * 1024);
		buf_char(b, '\n');
	}
}

/* ---- destinations ------------------------------------------------------------------------------- */

static uint64_t
dest_messages(const struct sched_dest *d)
{
	return (uint64_t)d->nready[0] + d->nready[1] + d->nready[2] + d->nwaiting + d->nheld +
	    d->active;
}

/* The most messages first, and then by name. */
static int
dest_order(const void *x, const void *y)
{
	const struct sched_dest *a = *(struct sched_dest *const *)x,
				*b = *(struct sched_dest *const *)y;
	uint64_t na = dest_messages(a), nb = dest_messages(b);

	return na != nb ? (na < nb ? 1 : -1) : strcmp(a->name, b->name);
}

static void
tell_dest(struct buf *b, const struct sched_dest *d)
{
	buf_lit(b, "dest");
	kv_put_raw(b, "name", slice(d->name, d->name_len));
	kv_put_raw(b, "channel", slice_str(d->channel->name));
	kv_put_u64(b, "messages", dest_messages(d));
	kv_put_u64(b, "ready", (uint64_t)d->nready[0] + d->nready[1] + d->nready[2]);
	kv_put_u64(b, "waiting", d->nwaiting);
	kv_put_u64(b, "leased", d->active);
	kv_put_u64(b, "held", d->nheld);
	if (d->group) {
		kv_put_raw(b, "mx", slice(d->group->name, d->group->name_len));
		kv_put_u64(b, "mx_leased", d->group->active);
	}
	if (d->parked_until)
		kv_put_u64(b, d->state == DEST_DEAD ? "dead_until" : "suspended_until",
		    d->parked_until);
	else if (d->limited)
		kv_put_u64(b, "limited_until", d->due);
	buf_char(b, '\n');
}

bool
tell_top(struct buf *b, struct slice rest)
{
	struct slice name = kv_find(rest, "channel"), number = kv_find(rest, "n");
	struct sched_channel *only = name.p ? sched_channel_find(jobctl.sched, name) : NULL, *sc;
	struct sched_dest **all = NULL, *d;
	size_t at = 0, n = 0, room = 0;
	uint64_t most = TOP_FIRST;

	if (name.p && !only)
		return false;
	if (number.p && slice_u64(number, TOP_MOST, &most) < 0)
		most = TOP_MOST;
	while ((sc = sched_channel_next(jobctl.sched, &at))) {
		size_t k = 0;

		while ((!only || sc == only) && (d = sched_dest_next(sc, &k))) {
			if (dest_messages(d) == 0)
				continue;
			if (n == room)
				all = mem_grow(all, room = room ? room * 2 : 64,
				    sizeof(struct sched_dest *));
			all[n++] = d;
		}
	}
	if (n)
		qsort(all, n, sizeof(struct sched_dest *), dest_order);
	for (size_t i = 0; i < n && i < most; i++)
		tell_dest(b, all[i]);
	mem_free(&all);
	return true;
}

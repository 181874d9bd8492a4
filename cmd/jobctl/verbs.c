/* verbs.c: what operators say on the socket.  Answers are lines; the last is `ok ...` or
 * `error why=...`.  Verbs that touch many messages walk the schedule in steps, so that nobody
 * else waits: lists as fast as the peer reads, the others a few hundred a turn. */
#include <errno.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "jobctl.h"

#define STEP_MOST 256   /* messages that are renamed or deleted in one turn */
#define LOOK_MOST 10000 /* messages that are looked at */

struct filter {
	struct slice channel, dest, id, state;
	char text[JOB_LINE_MAX];
};

struct walk {
	struct conn *conn;
	struct filter f;
	bool (*each)(struct conn *c, struct sched_entry *e); /* true: it counts */
	bool prints;
	size_t at, n;
	struct timer timer;
};

/* ---- files ---------------------------------------------------------------------------------- */

static void
entry_id(const struct sched_entry *e, char id[QUEUE_FILE_ID_LEN + 1])
{
	memcpy(id, e->id, SCHED_ID_LEN);
	id[SCHED_ID_LEN] = '\0';
}

static bool
report(const char *what, const struct sched_entry *e, int err)
{
	char id[QUEUE_FILE_ID_LEN + 1];

	entry_id(e, id);
	if (err == 0)
		log_event(LOG_INFO, what, "qid=%.13s channel=%s id=%s", id, sched_of(e)->name, id);
	else
		log_event(LOG_WARN, what, "qid=%.13s channel=%s id=%s error=%s", id, sched_of(e)->name,
		    id, log_str(strerror(-err)));
	return err == 0;
}

/* The file is not where it should be.  True when it is elsewhere: e->attempts is right now and
 * the caller tries again.  False when it has gone, and so has the entry. */
static bool
found_elsewhere(struct sched_entry *e)
{
	char id[QUEUE_FILE_ID_LEN + 1];
	uint32_t attempts;
	bool held;

	entry_id(e, id);
	if (queue_find(jobctl.queue, sched_of(e)->name, id, &attempts, &held) == 0 &&
	    held == (e->state == SCHED_HELD) && attempts != e->attempts) {
		e->attempts = (uint16_t)attempts;
		return true;
	}
	return false;
}

static bool
hold_now(struct sched_entry *e)
{
	char id[QUEUE_FILE_ID_LEN + 1];
	int err;

	entry_id(e, id);
	do
		err = queue_hold(jobctl.queue, sched_of(e)->name, id, e->attempts,
		    S("held by the operator"));
	while (err == -ENOENT && found_elsewhere(e));
	if (!report("hold", e, err))
		return false;
	sched_hold(jobctl.sched, e);
	return true;
}

static bool
delete_now(struct sched_entry *e)
{
	char id[QUEUE_FILE_ID_LEN + 1], name[QUEUE_NAME_LEN + 4];
	int err;

	entry_id(e, id);
	do
		err = queue_delete(jobctl.queue, sched_of(e)->name,
		    queue_name(name, id, e->attempts, e->state == SCHED_HELD));
	while (err == -ENOENT && found_elsewhere(e));
	if (err == -ENOENT)
		err = 0; /* it has gone another way */
	if (!report("delete", e, err))
		return false;
	sched_remove(jobctl.sched, e);
	return true;
}

void
finish_marked(struct sched_entry *e)
{
	bool del = e->delete_later, hold = e->held_later;

	e->delete_later = e->held_later = false;
	if (del)
		(void)delete_now(e);
	else if (hold && e->state != SCHED_HELD)
		(void)hold_now(e);
}

/* ---- what is done to one message -------------------------------------------------------------- */

static bool
each_hold(struct conn *c, struct sched_entry *e)
{
	(void)c;
	if (e->state == SCHED_LEASED)
		return !e->held_later && (e->held_later = true);
	return e->state != SCHED_HELD && hold_now(e);
}

static bool
each_release(struct conn *c, struct sched_entry *e)
{
	char id[QUEUE_FILE_ID_LEN + 1];
	int err;

	(void)c;
	if (e->state == SCHED_LEASED && e->held_later) {
		e->held_later = false;
		return true;
	}
	if (e->state != SCHED_HELD)
		return false;
	entry_id(e, id);
	do
		err = queue_release(jobctl.queue, sched_of(e)->name, id, e->attempts);
	while (err == -ENOENT && found_elsewhere(e));
	if (!report("release", e, err))
		return false;
	sched_release(jobctl.sched, e, clock_now());
	return true;
}

static bool
each_retry(struct conn *c, struct sched_entry *e)
{
	(void)c;
	if (e->state != SCHED_WAITING)
		return false;
	sched_retry(jobctl.sched, e, clock_now());
	return true;
}

static bool
each_delete(struct conn *c, struct sched_entry *e)
{
	(void)c;
	if (e->state == SCHED_LEASED)
		return !e->delete_later && (e->delete_later = true);
	return delete_now(e);
}

static bool
each_list(struct conn *c, struct sched_entry *e)
{
	char id[QUEUE_FILE_ID_LEN + 1], name[QUEUE_NAME_LEN + 4];
	struct buf *b = stream_out(&c->io);

	entry_id(e, id);
	queue_name(name, id, e->attempts, e->state == SCHED_HELD);
	buf_lit(b, "msg");
	kv_put_raw(b, "qid", slice(id, QUEUE_ID_LEN));
	kv_put_raw(b, "channel", slice_str(sched_of(e)->name));
	kv_put_raw(b, "file", slice_str(name));
	kv_put_raw(b, "dest", sched_dest_name(e));
	kv_put_raw(b, "state", slice_str(sched_state_word((enum sched_state)e->state)));
	kv_put_u64(b, "size", (uint64_t)e->size_k * 1024);
	kv_put_u64(b, "nrcpt", e->nrcpt);
	kv_put_u64(b, "prio", e->prio);
	kv_put_u64(b, "at", e->arrival);
	kv_put_u64(b, "attempts", e->attempts);
	kv_put_u64(b, "next", e->state == SCHED_WAITING ? e->next : 0);
	if (e->delete_later)
		buf_lit(b, " marked=delete");
	else if (e->held_later)
		buf_lit(b, " marked=hold");
	buf_char(b, '\n');
	return true;
}

/* ---- walking -------------------------------------------------------------------------------------- */

static bool
matches(const struct filter *f, const struct sched_entry *e)
{
	if (f->channel.p && !slice_eq(f->channel, slice_str(sched_of(e)->name)))
		return false;
	if (f->dest.p && !slice_ieq(f->dest, sched_dest_name(e)))
		return false;
	if (f->id.p && !slice_starts(slice(e->id, SCHED_ID_LEN), f->id))
		return false;
	return !f->state.p || slice_eq(f->state, slice_str(sched_state_word((enum sched_state)e->state)));
}

static void
timer_gone(struct timer *t)
{
	struct walk *w = CONTAINER(t, struct walk, timer);

	mem_free(&w);
}

void
walk_stop(struct conn *c)
{
	struct walk *w = c->walk;

	c->walk = NULL;
	if (w == NULL)
		return;
	timer_stop(&w->timer);
	timer_close(&w->timer, timer_gone);
}

static void
walk_over(struct conn *c)
{
	buf_lit(stream_out(&c->io), "ok");
	kv_put_u64(stream_out(&c->io), "n", c->walk->n);
	buf_char(stream_out(&c->io), '\n');
	walk_stop(c);
	stream_flush(&c->io);
	dispatch_soon();
	due_changed();
	stream_start(&c->io);
}

/* One message by its id needs no walk. */
static void
walk_one(struct conn *c, struct walk *w)
{
	struct sched_entry *e = sched_find(jobctl.sched, w->f.id.p);

	if (e && matches(&w->f, e))
		w->n += w->each(c, e);
	walk_over(c);
}

/* A turn's share of the walk; false at its end. */
static bool
walk_step(struct conn *c, struct walk *w)
{
	size_t looked = 0, acted = 0;
	struct sched_entry *e;

	while (looked++ < LOOK_MOST && acted < STEP_MOST &&
	    stream_out(&c->io)->n + stream_backlog(&c->io) < STREAM_HIGH) {
		if ((e = sched_next(jobctl.sched, &w->at)) == NULL)
			return false;
		if (!matches(&w->f, e) || !w->each(c, e))
			continue;
		w->n++;
		acted += !w->prints;
	}
	return true;
}

void
walk_more(struct conn *c)
{
	struct walk *w = c->walk;

	if (w->f.id.n == SCHED_ID_LEN) {
		walk_one(c, w);
		return;
	}
	if (!walk_step(c, w)) {
		walk_over(c);
		return;
	}
	dispatch_soon();
	stream_flush(&c->io);
	/* Above the mark `drained` calls; otherwise the next turn goes on. */
	if (stream_backlog(&c->io) < STREAM_HIGH)
		timer_start(&w->timer, 1, 0);
}

static void
on_timer(struct timer *t)
{
	walk_more(CONTAINER(t, struct walk, timer)->conn);
}

/* ---- verbs ---------------------------------------------------------------------------------------- */

static void
answer(struct conn *c, const char *why)
{
	struct buf *b = stream_out(&c->io);

	if (why) {
		buf_lit(b, "error");
		kv_put(b, "why", slice_str(why));
		buf_char(b, '\n');
	} else {
		buf_lit(b, "ok\n");
	}
}

static const char *
parse_filter(struct slice rest, struct filter *f, bool *all)
{
	struct slice k, v;

	*all = false;
	while (kv_next(&rest, &k, &v)) {
		if (v.p == NULL)
			return "arguments are key=value";
		if (slice_eq(k, S("channel")))
			f->channel = v;
		else if (slice_eq(k, S("dest")))
			f->dest = v;
		else if (slice_eq(k, S("qid")) || slice_eq(k, S("id")))
			f->id = v;
		else if (slice_eq(k, S("state")))
			f->state = v;
		else if (slice_eq(k, S("all")))
			*all = slice_eq(v, S("1"));
		else
			return "unknown filter (channel dest qid state all)";
	}
	if (f->id.p && f->id.n != QUEUE_ID_LEN && f->id.n != SCHED_ID_LEN)
		return "an id has 13 or 15 characters";
	return NULL;
}

static void
start_walk(struct conn *c, struct slice rest, bool (*each)(struct conn *, struct sched_entry *),
    bool prints)
{
	struct walk *w = mem_new(sizeof(*w));
	const char *why;
	bool all;

	/* The line is gone after this turn. */
	rest = slice(slice_cstr(rest, w->f.text, sizeof(w->f.text)), rest.n);
	why = parse_filter(rest, &w->f, &all);
	if (!why && !prints && !all && !w->f.channel.p && !w->f.dest.p && !w->f.id.p && !w->f.state.p)
		why = "which messages? (channel dest qid state, or all=1)";
	if (why) {
		answer(c, why);
		mem_free(&w);
		return;
	}
	w->conn = c;
	w->each = each;
	w->prints = prints;
	timer_init(&w->timer, jobctl.loop, on_timer);
	c->walk = w;
	timer_start(&w->timer, 0, 0);
}

static void
put_channel(struct buf *b, struct chan *ch)
{
	const struct sched_channel *sc = ch->sc;

	buf_lit(b, "channel");
	kv_put_raw(b, "name", slice_str(sc->name));
	kv_put_raw(b, "state", slice_str(sc->stopped ? "stopped" : "running"));
	kv_put_u64(b, "ready", sc->ready);
	kv_put_u64(b, "waiting", sc->waiting);
	kv_put_u64(b, "leased", sc->leased);
	kv_put_u64(b, "held", sc->held);
	kv_put_u64(b, "dests", sc->ndests - sc->nidle);
	kv_put_u64(b, "masters", ch->masters);
	kv_put_u64(b, "maxjobs", (uint64_t)sc->conf->maxjobs);
	kv_put_u64(b, "done", sc->done);
	kv_put_u64(b, "retried", sc->retried);
	kv_put_u64(b, "expired", sc->expired);
	kv_put_u64(b, "noticed", sc->noticed);
	kv_put_u64(b, "failures", ch->failures);
	buf_char(b, '\n');
}

static void
put_channels(struct buf *b)
{
	struct sched_channel *sc;
	size_t at = 0;

	while ((sc = sched_channel_next(jobctl.sched, &at)) != NULL)
		put_channel(b, chan_of(sc));
}

void
status_write(struct buf *b)
{
	struct sched_channel *sc;
	size_t at = 0, ready = 0, waiting = 0, leased = 0, held = 0, masters = 0;

	while ((sc = sched_channel_next(jobctl.sched, &at)) != NULL) {
		ready += sc->ready;
		waiting += sc->waiting;
		leased += sc->leased;
		held += sc->held;
		masters += chan_of(sc)->masters;
	}
	buf_lit(b, "queue");
	kv_put_u64(b, "messages", sched_count(jobctl.sched));
	kv_put_u64(b, "ready", ready);
	kv_put_u64(b, "waiting", waiting);
	kv_put_u64(b, "leased", leased);
	kv_put_u64(b, "held", held);
	kv_put_u64(b, "masters", masters);
	kv_put_u64(b, "memory", sched_memory(jobctl.sched));
	kv_put_raw(b, "scan", slice_str(rescan_running() ? "running" : "done"));
	buf_char(b, '\n');
	put_channels(b);
}

static void
verb_status(struct conn *c, struct slice rest)
{
	(void)rest;
	status_write(stream_out(&c->io));
	answer(c, NULL);
}

static void
verb_channels(struct conn *c, struct slice rest)
{
	(void)rest;
	put_channels(stream_out(&c->io));
	answer(c, NULL);
}

static void
set_stopped(struct conn *c, struct slice rest, bool stopped)
{
	struct slice name = kv_find(rest, "channel");
	struct sched_channel *sc = name.p ? sched_channel_find(jobctl.sched, name) : NULL;

	if (sc == NULL) {
		answer(c, "no such channel");
		return;
	}
	sc->stopped = stopped;
	log_event(LOG_INFO, stopped ? "channel_stop" : "channel_start", "channel=%s", sc->name);
	dispatch_soon();
	answer(c, NULL);
}

static void
verb_stop(struct conn *c, struct slice rest)
{
	set_stopped(c, rest, true);
}

static void
verb_start(struct conn *c, struct slice rest)
{
	set_stopped(c, rest, false);
}

static void
verb_hold(struct conn *c, struct slice rest)
{
	start_walk(c, rest, each_hold, false);
}

static void
verb_release(struct conn *c, struct slice rest)
{
	start_walk(c, rest, each_release, false);
}

static void
verb_retry(struct conn *c, struct slice rest)
{
	start_walk(c, rest, each_retry, false);
}

static void
verb_delete(struct conn *c, struct slice rest)
{
	start_walk(c, rest, each_delete, false);
}

static void
verb_list(struct conn *c, struct slice rest)
{
	start_walk(c, rest, each_list, true);
}

static void
verb_rescan(struct conn *c, struct slice rest)
{
	(void)rest;
	rescan("operator");
	answer(c, NULL);
}

static const struct {
	const char *verb;
	void (*run)(struct conn *c, struct slice rest);
} verbs[] = {
	{ "status", verb_status },
	{ "channels", verb_channels },
	{ "stop", verb_stop },
	{ "start", verb_start },
	{ "hold", verb_hold },
	{ "release", verb_release },
	{ "retry", verb_retry },
	{ "delete", verb_delete },
	{ "list", verb_list },
	{ "show", verb_list },
	{ "rescan", verb_rescan },
};

bool
verb_run(struct conn *c, struct slice verb, struct slice rest)
{
	for (size_t i = 0; i < NELEM(verbs); i++)
		if (slice_eq(verb, slice_str(verbs[i].verb))) {
			verbs[i].run(c, rest);
			return true;
		}
	return false;
}

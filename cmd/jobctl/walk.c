/* walk.c: a verb over all messages that fit a filter.
 *
 * Called by verbs.c, which knows what is done to one.  The schedule is walked in steps, so that nobody else
 * waits: lists as fast as the peer reads, the others a few hundred a turn.  What fails is the filter, in
 * words.  Must stay true: a walk goes with its connection. */
#include "base/clock.h"
#include "base/mem.h"
#include "jobctl.h"

#define STEP_MOST 256 /* messages that are renamed or deleted in one turn */
#define STEP_US   5000
#define LOOK_MOST 10000 /* messages that are looked at */

struct filter {
	struct slice channel, dest, id, state;
	uint64_t older, newer; /* seconds in the queue, at least and at most; 0 = any */
	char text[JOB_LINE_MAX];
};

struct walk {
	struct conn *conn;
	struct filter f;
	bool (*each)(struct conn *c, struct sched_entry *e); /* true: it counts */
	bool prints;
	size_t at, n, aside;
	struct timer timer;
};

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
	if (f->older && (uint64_t)clock_now() < e->arrival + f->older)
		return false;
	if (f->newer && (uint64_t)clock_now() > e->arrival + f->newer)
		return false;
	return !f->state.p ||
	    slice_eq(f->state, slice_str(sched_state_word((enum sched_state)e->state)));
}

static void
walk_timer_gone(struct timer *t)
{
	struct walk *w = CONTAINER(t, struct walk, timer);

	mem_free(&w);
}

void
walk_stop(struct conn *c)
{
	struct walk *w = c->walk;

	c->walk = NULL;
	if (!w)
		return;
	timer_stop(&w->timer);
	timer_close(&w->timer, walk_timer_gone);
}

void
walk_aside(struct conn *c)
{
	if (c && c->walk)
		c->walk->aside++;
}

static void
walk_over(struct conn *c)
{
	buf_lit(stream_out(&c->io), "ok");
	kv_put_u64(stream_out(&c->io), "n", c->walk->n);
	if (c->walk->aside)
		kv_put_u64(stream_out(&c->io), "aside", c->walk->aside);
	buf_char(stream_out(&c->io), '\n');
	walk_stop(c);
	stream_flush(&c->io);
	table_changed();
	table_due();
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
	size_t looked = 0, acted = 0, aside = w->aside;
	uint64_t end = clock_mono_us() + STEP_US;
	struct sched_entry *e;

	while (looked++ < LOOK_MOST && acted + w->aside - aside < STEP_MOST &&
	    (looked % 8 || clock_mono_us() < end) &&
	    stream_out(&c->io)->n + stream_backlog(&c->io) < STREAM_HIGH) {
		if (!(e = sched_next(jobctl.sched, &w->at)))
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
	table_changed();
	stream_flush(&c->io);
	/* Above the mark `drained` calls; otherwise the next turn goes on. */
	if (stream_backlog(&c->io) < STREAM_HIGH)
		timer_start(&w->timer, 1, 0);
}

static void
walk_on_timer(struct timer *t)
{
	walk_more(CONTAINER(t, struct walk, timer)->conn);
}

/* ---- beginning -------------------------------------------------------------------------------- */

void
walk_answer(struct conn *c, const char *why)
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
		if (!v.p)
			return "arguments are key=value";
		if (slice_eq(k, S("channel")))
			f->channel = v;
		else if (slice_eq(k, S("dest")))
			f->dest = v;
		else if (slice_eq(k, S("qid")) || slice_eq(k, S("id")))
			f->id = v;
		else if (slice_eq(k, S("state")))
			f->state = v;
		else if (slice_eq(k, S("older")) || slice_eq(k, S("newer"))) {
			if (slice_u64(v, UINT32_MAX, k.p[0] == 'o' ? &f->older : &f->newer) < 0)
				return "older and newer are seconds";
		} else if (slice_eq(k, S("all")))
			*all = slice_eq(v, S("1"));
		else
			return "unknown filter (channel dest qid state older newer all)";
	}
	if (f->id.p && f->id.n != QUEUE_ID_LEN && f->id.n != SCHED_ID_LEN)
		return "an id has 13 or 15 characters";
	if (f->channel.p && !sched_channel_find(jobctl.sched, f->channel))
		return "no such channel";
	return NULL;
}

void
walk_start(struct conn *c, struct slice rest, bool (*each)(struct conn *, struct sched_entry *),
    bool prints)
{
	struct walk *w = mem_new(sizeof(*w));
	const char *why;
	bool all;

	/* The line is gone after this turn. */
	rest = slice(slice_cstr(rest, w->f.text, sizeof(w->f.text)), rest.n);
	why = parse_filter(rest, &w->f, &all);
	if (!why && !prints && !all && !w->f.channel.p && !w->f.dest.p && !w->f.id.p &&
	    !w->f.state.p && !w->f.older && !w->f.newer)
		why = "which messages? (channel dest qid state older newer, or all=1)";
	if (why) {
		walk_answer(c, why);
		mem_free(&w);
		return;
	}
	w->conn = c;
	w->each = each;
	w->prints = prints;
	timer_init(&w->timer, jobctl.loop, walk_on_timer);
	c->walk = w;
	timer_start(&w->timer, 0, 0);
}

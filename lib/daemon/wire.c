/* daemon/wire.c: traces that an administrator asks for, by the control socket, in each worker:
 *
 *	trace start ID KEY=VALUE ...	what is said in these sessions is kept from now on
 *	trace take ID			and given out, what came since the last time
 *	trace stop ID
 *
 * Keys as for `who`; a daemon without a list of sessions knows sid and peer.  Owns when each trace was asked for, and
 * the timer that ends one for which nobody has asked in WIRE_FORGET_MS: a tool that died leaves nothing behind.  None
 * lasts longer than WIRE_MOST_MS.  Called by admin.c.  Must stay true: what was said before, and what is a password, is
 * shown to nobody (net/trace.c), and nothing of a trace goes to the log but that there was one. */
#include "base/log.h"
#include "base/mem.h"
#include "daemon/daemon-impl.h"
#include "net/trace-want.h"

#define WIRE_FORGET_MS 10000
#define WIRE_MOST_MS   3600000
#define WIRE_TICK_MS   1000

struct wire {
	char *filter; /* heap: the arguments, for sessions that come or log in later; NULL = free */
	uint64_t began_ms, asked_ms;
};
static struct wire wires[TRACE_WANTS];
static struct timer wire_timer;
static bool wire_ticking;

static struct wire *
wire_of(const struct trace_want *w)
{
	return &wires[w - trace_want_at(0)];
}

static void
wire_end(struct trace_want *w, const char *why)
{
	log_event(LOG_INFO, "trace_end", "id=%s why=%s lines=%zu lost=%zu", log_str(w->id), why,
	    w->shown, w->lost);
	mem_free(&wire_of(w)->filter);
	trace_want_free(w);
	stream_trace_again(daemon_self.current);
}

static void
wire_on_tick(struct timer *t)
{
	uint64_t now = loop_now(daemon_self.current);
	bool any = false;

	for (size_t i = 0; i < TRACE_WANTS; i++) {
		struct trace_want *w = trace_want_at(i);

		if (!*w->id)
			continue;
		if (now - wires[i].asked_ms > WIRE_FORGET_MS)
			wire_end(w, "forgotten");
		else if (now - wires[i].began_ms > WIRE_MOST_MS)
			wire_end(w, "time");
		else
			any = true;
	}
	if (any)
		return;
	timer_stop(t);
	wire_ticking = false;
}

/* ---- which sessions ------------------------------------------------------------------------------ */

struct wire_look {
	struct admin_filter filter;
	struct trace_want *want;
	bool more;
};

static bool
wire_each(void *arg, const struct daemon_session *s)
{
	struct wire_look *l = arg;

	if (admin_filter_fits(&l->filter, s))
		l->more |= trace_want_add(l->want, s->sid);
	return l->want->nsids < TRACE_SIDS;
}

/* A proxy tells whose session it is after the connection, and a user logs in later still: so it is looked again. */
static void
wire_look(struct trace_want *w)
{
	struct wire_look l = { .want = w };
	struct buf why = { 0 };

	if (daemon_self.d->sessions &&
	    admin_filter_parse(&l.filter, slice_str(wire_of(w)->filter), &why))
		daemon_self.d->sessions->walk(wire_each, &l);
	buf_fini(&why);
	if (l.more)
		stream_trace_again(daemon_self.current);
}

/* ---- the verbs ----------------------------------------------------------------------------------- */

static void
wire_begin(struct trace_want *w, const struct admin_filter *f, struct slice args)
{
	struct wire *own = wire_of(w);

	if (f->want[FILTER_SID].p)
		slice_cstr(f->want[FILTER_SID], w->sid, sizeof(w->sid));
	if (f->want[FILTER_PEER].p)
		slice_cstr(f->want[FILTER_PEER], w->peer, sizeof(w->peer));
	w->named = f->want[FILTER_USER].p || f->want[FILTER_PROTOCOL].p || f->want[FILTER_STORE].p;
	own->filter = mem_strn(args.p, args.n);
	own->began_ms = own->asked_ms = loop_now(daemon_self.current);
	if (!wire_timer.fn)
		timer_init(&wire_timer, daemon_self.current, wire_on_tick);
	if (!wire_ticking)
		timer_start(&wire_timer, WIRE_TICK_MS, WIRE_TICK_MS);
	wire_ticking = true;
	log_event(LOG_INFO, "trace_start", "id=%s who=%s", log_str(w->id), log_value(args));
	stream_trace_again(daemon_self.current);
	wire_look(w);
}

static void
wire_start(struct slice id, struct slice args, struct buf *out)
{
	struct trace_want *w = trace_want_find(id);
	struct admin_filter f;

	if (!admin_filter_parse(&f, args, out))
		return;
	if (f.n == 0)
		buf_lit(out, "error: trace whom?\n");
	else if (f.want[FILTER_SID].n >= sizeof(w->sid) || f.want[FILTER_PEER].n >= sizeof(w->peer))
		buf_lit(out, "error: that is longer than any\n");
	else if ((f.want[FILTER_USER].p || f.want[FILTER_PROTOCOL].p || f.want[FILTER_STORE].p) &&
	    !daemon_self.d->sessions)
		buf_lit(out, "error: unknown command: only sid and peer are known here\n");
	else if (!w && !(w = trace_want_new(id)))
		buf_printf(out, "error: there are %d traces already\n", TRACE_WANTS);
	else if (!wire_of(w)->filter)
		wire_begin(w, &f, args);
}

static void
wire_take(struct trace_want *w, struct buf *out)
{
	wire_of(w)->asked_ms = loop_now(daemon_self.current);
	wire_look(w);
	buf_slice(out, buf_get(&w->lines));
	buf_fini(&w->lines);
	if (w->lost)
		buf_printf(out, "lost=%zu\n", w->lost);
	w->lost = 0;
}

bool
wire_answer(struct slice line, struct buf *out)
{
	struct slice verb = S(""), what = S(""), id = S("");
	struct trace_want *w;

	if (!slice_word(&line, &verb) || !slice_eq(verb, S("trace")))
		return false;
	(void)slice_word(&line, &what);
	if (!slice_word(&line, &id) || id.n >= sizeof(w->id)) {
		buf_lit(out, "error: trace start ID KEY=VALUE ..., take ID, stop ID\n");
		return true;
	}
	w = trace_want_find(id);
	if (slice_eq(what, S("start"))) {
		wire_start(id, slice_trim(line), out);
	} else if (!w) {
		buf_lit(out, "error: there is no such trace\n");
	} else if (slice_eq(what, S("take"))) {
		wire_take(w, out);
	} else if (slice_eq(what, S("stop"))) {
		wire_take(w, out);
		wire_end(w, "asked");
	} else {
		buf_lit(out, "error: trace start, take or stop\n");
	}
	return true;
}

/* net/line-session.c: the life of a session of command lines: state, turns, time, the end.
 *
 * Owns: the stream and its events; which of a loop's sessions may work.  Called by the servers of the
 * languages (smtp/server, imap/server) and by the loop.  Can fail: opening the descriptor and
 * beginning a handshake; everything later is an event.  Must stay true: line_session_move is the
 * only place that changes the state, `release` is called once, nothing but `closed` follows CLOSED.
 * Cut so that a protocol needs only say what a step is; fairness and shutdown are the same for all. */
#include "net/line-session.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"

/* How often a peer is looked at that a shutdown waits for: with each tick of the coarse deadlines. */
#define LINE_LOOK_MS 500

static void line_run(struct line_session *l, enum line_next next);
static void line_turns(struct later *t);

static const char *
line_session_state_name(enum line_state state)
{
	static const char *const names[] = { "handshake", "reading", "queued", "waiting", "full",
		"closed" };

	return names[state];
}

/* ---- state -------------------------------------------------------------------------------- */

static void
line_session_move(struct line_session *l, enum line_state to)
{
	enum line_state from = (enum line_state)l->state;

	if (from == to)
		return;
	must(from != LINE_CLOSED);
	if (log_wants(LOG_DEBUG))
		log_event(LOG_DEBUG, "session_state", "sid=%s from=%s to=%s", l->sid ? l->sid : "",
		    line_session_state_name(from), line_session_state_name(to));
	if (from == LINE_QUEUED)
		list_remove(&l->turn);
	l->state = (uint8_t)to;
}

/* ---- turns -------------------------------------------------------------------------------- */

/* Puts it behind those that wait: `fresh` ones before those that have had a slice. */
static void
line_session_queue(struct line_session *l, bool fresh)
{
	struct loop *loop = l->io.loop;

	line_session_move(l, LINE_QUEUED);
	list_push(fresh ? &loop->turns_fresh : &loop->turns_worn, &l->turn);
	later_run(&loop->turns, loop, line_turns);
}

bool
line_session_spent(const struct line_session *l)
{
	return clock_mono_us() >= l->io.loop->slice_ends_us;
}

/* Opens a slice of this turn's share; false when the share is used up. */
static bool
line_session_may_run(struct line_session *l, uint64_t slice_us)
{
	struct loop *loop = l->io.loop;
	uint64_t now = clock_mono_us();

	if (loop->turn_ends_us == 0)
		loop->turn_ends_us = now + LINE_TURN_US;
	loop->slice_ends_us = now + slice_us;
	if (loop->slice_ends_us > loop->turn_ends_us)
		loop->slice_ends_us = loop->turn_ends_us;
	return now < loop->turn_ends_us;
}

static void
line_turns(struct later *t)
{
	struct loop *loop = CONTAINER(t, struct loop, turns);
	struct line_session *l;

	for (;;) {
		bool fresh = !list_empty(&loop->turns_fresh);

		l = list_first(fresh ? &loop->turns_fresh : &loop->turns_worn, struct line_session,
		    turn);
		if (!l)
			return;
		if (!line_session_may_run(l, fresh ? LINE_FRESH_US : LINE_TURN_US)) {
			later_run(t, loop, line_turns);
			return;
		}
		line_session_move(l, LINE_READING);
		line_run(l, LINE_ON);
	}
}

/* ---- shutdown ----------------------------------------------------------------------------- */

/* The last words.  To a peer that is `gone`: what the socket takes at once. */
static void
line_session_dismiss(struct line_session *l, bool gone)
{
	log_context(l->sid ? l->sid : "");
	l->ev->bye(l, LINE_SHUTDOWN);
	stream_flush(&l->io);
	if (gone && stream_backlog(&l->io) > 0)
		line_session_close(l, "shutdown");
	else
		line_session_finish(l, "shutdown");
}

/* It is the peer's turn, to say more or to read, and it has done nothing `since`: over when nothing is
 * under way, or when that is too long; else it is looked at again. */
static void
line_session_watch(struct line_session *l, uint64_t since)
{
	l->moved = stream_moved(&l->io);
	l->moved_ms = since;
	if (l->state == LINE_READING && stream_backlog(&l->io) == 0 && l->ev->between(l))
		line_session_dismiss(l, false);
	else if (loop_now(l->io.loop) - since >= LINE_SILENT_MS &&
	    !(l->state == LINE_READING && l->ev->owes && l->ev->owes(l)))
		line_session_dismiss(l, true);
	else
		stream_limit(&l->io, LINE_LOOK_MS);
}

/* It is our turn, and what we wait for may be as silent as a peer: a directory that hangs. */
static void
line_session_watch_wait(struct line_session *l)
{
	if (l->ev->between(l))
		line_session_dismiss(l, false);
	else
		stream_limit(&l->io, LINE_LOOK_MS);
}

void
line_session_drain(struct line_session *l)
{
	uint64_t now = loop_now(l->io.loop);

	/* It is watched already, and for how long it has been silent stays known. */
	if (l->draining && l->state != LINE_HANDSHAKE)
		return;
	l->draining = true;
	switch ((enum line_state)l->state) {
	case LINE_HANDSHAKE: line_session_close(l, "shutdown"); break;
	case LINE_READING:
		/* What is still to be written leaves no trace in moved_ms while it is. */
		if (!l->running)
			line_session_watch(l, stream_backlog(&l->io) > 0 ? now : l->io.moved_ms);
		break;
	case LINE_WAITING: line_session_watch_wait(l); break;
	case LINE_FULL: line_session_watch(l, now); break;
	case LINE_QUEUED:
	case LINE_CLOSED: break;
	}
}

/* ---- steps -------------------------------------------------------------------------------- */

/* Input is needed, also where half of a command lies there. */
static void
line_session_listen(struct line_session *l)
{
	if (stream_ended(&l->io)) {
		line_session_finish(l, l->io.error ? "error" : "eof");
		return;
	}
	line_session_move(l, LINE_READING);
	stream_flush(&l->io);
	if (l->draining)
		line_session_watch(l, loop_now(l->io.loop));
	if (l->state == LINE_READING && !l->io.reading)
		stream_start(&l->io);
}

/* Steps until something must be waited for.  Writes no more than STREAM_HIGH ahead of the peer. */
static enum line_next
line_session_steps(struct line_session *l, enum line_next next)
{
	for (;; next = l->ev->step(l)) {
		if ((next != LINE_ON && next != LINE_DRAIN) || l->state == LINE_CLOSED)
			return next;
		if (stream_backlog(&l->io) >= STREAM_HIGH) {
			stream_flush(&l->io);
			if (stream_backlog(&l->io) > STREAM_LOW)
				return LINE_DRAIN;
		}
		if (line_session_spent(l))
			return LINE_YIELD;
	}
}

static void
line_run(struct line_session *l, enum line_next next)
{
	if (l->running || l->state == LINE_CLOSED)
		return;
	log_context(l->sid ? l->sid : "");
	l->running = true;
	next = line_session_steps(l, next);
	l->running = false;
	if (l->state == LINE_CLOSED)
		return;
	switch (next) {
	case LINE_ON:
	case LINE_DRY: line_session_listen(l); break;
	case LINE_WAIT:
		if (l->ev->prompt)
			stream_flush(&l->io);
		if (l->state == LINE_HANDSHAKE)
			break;
		line_session_move(l, LINE_WAITING);
		if (l->draining)
			line_session_watch_wait(l);
		break;
	case LINE_DRAIN:
		/* `drained` follows for certain: the backlog is above STREAM_LOW. */
		stream_stop(&l->io);
		line_session_move(l, LINE_FULL);
		if (l->draining)
			line_session_watch(l, loop_now(l->io.loop));
		break;
	case LINE_YIELD:
		stream_flush(&l->io);
		line_session_queue(l, false);
		break;
	case LINE_CLOSE: line_session_finish(l, "closed"); break;
	}
}

/* Something woke it: as a newcomer it has a short slice at once, if any of this turn is left. */
static void
line_session_start(struct line_session *l, enum line_next next)
{
	if (line_session_may_run(l, LINE_FRESH_US) || next != LINE_ON)
		line_run(l, next);
	else
		line_session_queue(l, true);
}

void
line_session_resume(struct line_session *l, enum line_next next)
{
	if (l->state == LINE_CLOSED)
		return;
	must(l->state == LINE_WAITING && !l->running);
	line_session_move(l, LINE_READING);
	line_session_start(l, next);
}

void
line_session_wake(struct line_session *l)
{
	if (l->state == LINE_READING && !l->running)
		line_session_queue(l, true);
}

/* ---- events of the stream ----------------------------------------------------------------- */

static void
line_session_on_input(struct stream *io)
{
	struct line_session *l = CONTAINER(io, struct line_session, io);

	if (l->state == LINE_CLOSED)
		return;
	if (l->state == LINE_READING) {
		line_session_start(l, LINE_ON);
	} else if (io->error && (l->ev->release || l->state == LINE_FULL)) {
		/* Nobody is there for the answer: an owner that can gives the work up. */
		log_context(l->sid ? l->sid : "");
		line_session_close(l, "error");
	} else if (stream_eof(io) && l->ev->gone && l->ev->gone(l)) {
		line_session_close(l, "eof");
	} else if (stream_peek(io).n > l->ev->ahead) {
		stream_stop(io);
	}
}

static void
line_session_on_drained(struct stream *io)
{
	struct line_session *l = CONTAINER(io, struct line_session, io);

	/* The event may be of a flush before that which made it FULL; then there is another. */
	if (l->state != LINE_FULL || stream_backlog(io) > STREAM_LOW)
		return;
	line_session_move(l, LINE_READING);
	line_session_start(l, LINE_ON);
}

static void
line_session_on_secured(struct stream *io, int error, const char *why)
{
	struct line_session *l = CONTAINER(io, struct line_session, io);

	must(l->state == LINE_HANDSHAKE);
	log_context(l->sid ? l->sid : "");
	if (l->ev->secured)
		l->ev->secured(l, error, why);
	if (error)
		line_session_close(l, "tls");
	if (l->state != LINE_HANDSHAKE) /* or its server has ended it, for who is there */
		return;
	if (!l->greeted)
		l->ev->greet(l);
	l->greeted = true;
	line_session_move(l, LINE_READING);
	line_session_start(l, LINE_ON);
}

static void
line_session_on_timeout(struct stream *io)
{
	struct line_session *l = CONTAINER(io, struct line_session, io);

	log_context(l->sid ? l->sid : "");
	if (l->draining && l->state == LINE_WAITING) {
		line_session_watch_wait(l);
	} else if (l->state == LINE_WAITING || l->state == LINE_QUEUED) {
		line_session_time(l, l->time_ms, io->fixed); /* ours, not the peer's */
	} else if (l->state == LINE_HANDSHAKE) {
		line_session_close(l, "timeout"); /* nothing can be said in the middle of it */
	} else if (l->draining) {
		line_session_watch(l,
		    l->moved == stream_moved(&l->io) ? l->moved_ms : loop_now(l->io.loop));
	} else {
		l->ev->bye(l, LINE_TIMEOUT);
		line_session_finish(l, "timeout");
	}
}

static void
line_session_on_closed(struct stream *io)
{
	struct line_session *l = CONTAINER(io, struct line_session, io);

	log_context(l->sid ? l->sid : "");
	l->ev->closed(l);
	log_context("");
}

static const struct stream_events line_session_events = {
	.input = line_session_on_input,
	.drained = line_session_on_drained,
	.secured = line_session_on_secured,
	.timeout = line_session_on_timeout,
	.closed = line_session_on_closed,
};

/* ---- time and faults ---------------------------------------------------------------------- */

void
line_session_time(struct line_session *l, uint32_t ms, bool fixed)
{
	l->time_ms = ms;
	l->timed_ms = loop_now(l->io.loop);
	if (l->draining) /* line_session_watch has the time */
		return;
	if (fixed)
		stream_limit(&l->io, ms);
	else
		stream_idle(&l->io, ms);
}

uint64_t
line_session_awaited(const struct line_session *l)
{
	bool peer = l->state == LINE_READING || l->state == LINE_HANDSHAKE || l->state == LINE_FULL;

	return peer && !l->draining ? loop_now(l->io.loop) - l->timed_ms : 0;
}

void
line_session_expire(struct line_session *l)
{
	if (line_session_awaited(l))
		line_session_on_timeout(&l->io);
}

bool
line_session_fault(struct line_session *l, uint32_t most)
{
	l->faults++;
	return most > 0 && l->faults >= most;
}

/* ---- beginning and end -------------------------------------------------------------------- */

int
line_session_init(struct line_session *l, struct loop *loop, int fd, const struct line_events *ev,
    const char *sid)
{
	l->ev = ev;
	l->sid = sid;
	l->began_ms = clock_mono_ms();
	l->state = LINE_HANDSHAKE;
	list_init(&l->turn);
	stream_init(&l->io, loop, &line_session_events, NULL);
	return stream_open(&l->io, fd);
}

void
line_session_open(struct line_session *l, struct tls_ctx *ctx)
{
	if (ctx) {
		if (line_session_starttls(l, ctx) < 0)
			line_session_close(l, "tls");
		return;
	}
	l->ev->greet(l);
	l->greeted = true;
	line_session_move(l, LINE_READING);
	stream_start(&l->io);
	line_session_start(l, LINE_ON);
}

int
line_session_starttls(struct line_session *l, struct tls_ctx *ctx)
{
	int r;

	stream_flush(&l->io);
	r = stream_tls_accept(&l->io, ctx);
	if (r < 0)
		return r;
	line_session_move(l, LINE_HANDSHAKE);
	stream_start(&l->io);
	return 0;
}

/* What both ends share: false when it has ended before. */
static bool
line_session_end(struct line_session *l, const char *why)
{
	if (l->state == LINE_CLOSED)
		return false;
	if (!l->why)
		l->why = why;
	line_session_move(l, LINE_CLOSED);
	if (l->ev->release)
		l->ev->release(l);
	return true;
}

void
line_session_finish(struct line_session *l, const char *why)
{
	if (line_session_end(l, why))
		stream_finish(&l->io);
}

void
line_session_leave(struct line_session *l, const struct stream_events *ev, void *data)
{
	must(l->state == LINE_WAITING && !l->running);
	line_session_move(l, LINE_CLOSED);
	stream_idle(&l->io, 0);
	stream_hand_over(&l->io, ev, data);
}

void
line_session_close(struct line_session *l, const char *why)
{
	if (line_session_end(l, why))
		stream_close(&l->io);
}

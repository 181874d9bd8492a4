/* net/splice.c: see splice.h.
 *
 * Owns the events of two streams, whose memory is the caller's.  Called by proxies when the talking is over.
 * Can fail: either side, which ends both.  Must stay true: each byte goes on once and in order, a side is
 * read only while the other has room, `closed` comes once and last.  Cost: each byte is copied into the
 * other's output, which is given back when the socket has taken it. */
#include "net/splice.h"

#include <errno.h>

#include "base/must.h"

static int
splice_side(const struct splice *p, const struct stream *io)
{
	return io == p->io[1];
}

void
splice_finish(struct splice *p)
{
	if (p->over)
		return;
	p->over = true;
	later_cancel(&p->later);
	for (int i = 0; i < 2; i++) {
		stream_stop(p->io[i]);
		stream_finish(p->io[i]);
	}
}

/* What `from` has goes on as far as there is room. */
static void
splice_move(struct splice *p, int from)
{
	struct stream *in = p->io[from], *out = p->io[!from];
	struct slice bytes;

	if (p->over)
		return;
	bytes = stream_peek(in);
	if (bytes.n > 0) {
		if (p->ev->passing)
			p->ev->passing(p, from, bytes);
		buf_slice(stream_out(out), bytes);
		stream_take(in, bytes.n);
		stream_flush(out);
	}
	if (stream_eof(in)) {
		if (p->ev->ended)
			p->ev->ended(p, from, in->error);
		splice_finish(p);
	} else if (stream_backlog(out) > STREAM_LOW) {
		stream_stop(in); /* `drained` follows that flush */
		stream_idle(out, p->stall_ms);
	} else if (!in->reading) {
		stream_start(in);
	}
}

static void
splice_on_input(struct stream *io)
{
	struct splice *p = io->data;

	splice_move(p, splice_side(p, io));
}

static void
splice_on_drained(struct stream *io)
{
	struct splice *p = io->data;
	int from = !splice_side(p, io);

	if (p->over || p->io[from]->reading)
		return;
	stream_idle(io, 0);
	splice_move(p, from);
}

/* It does not read. */
static void
splice_on_timeout(struct stream *io)
{
	struct splice *p = io->data;

	if (p->ev->ended)
		p->ev->ended(p, splice_side(p, io), -ETIMEDOUT);
	splice_finish(p);
}

static void
splice_on_closed(struct stream *io)
{
	struct splice *p = io->data;

	must(p->open > 0);
	/* Torn down from outside of splice_finish: its idle time, say. */
	if (!p->over)
		splice_finish(p);
	if (--p->open == 0)
		p->ev->closed(p);
}

static const struct stream_events splice_streams = {
	.input = splice_on_input,
	.drained = splice_on_drained,
	.timeout = splice_on_timeout,
	.closed = splice_on_closed,
};

static void
splice_on_later(struct later *t)
{
	struct splice *p = CONTAINER(t, struct splice, later);

	for (int i = 0; i < 2; i++) {
		splice_move(p, i);
		if (p->over || !p->io[i]->reading)
			continue;
		stream_stop(p->io[i]); /* started again it gives back what it kept for us */
		stream_start(p->io[i]);
	}
}

void
splice_start(struct splice *p, struct stream *a, struct stream *b, uint32_t stall_ms,
    const struct splice_events *ev)
{
	*p = (struct splice){ .io = { a, b }, .ev = ev, .stall_ms = stall_ms, .open = 2 };
	later_init(&p->later);
	for (int i = 0; i < 2; i++) {
		stream_hand_over(p->io[i], &splice_streams, p);
		stream_idle(p->io[i], 0);
		stream_flush(p->io[i]);
	}
	later_run(&p->later, a->loop, splice_on_later);
}

uint64_t
splice_moved_ms(const struct splice *p)
{
	uint64_t a = p->io[0]->moved_ms, b = p->io[1]->moved_ms;

	return a > b ? a : b;
}

bool
splice_at_rest(const struct splice *p)
{
	return stream_backlog(p->io[0]) == 0 && stream_backlog(p->io[1]) == 0;
}

/* net/splice.h: two streams joined: what arrives at one leaves at the other.  Parses nothing.
 *
 * Back-pressure: a side is not read while the other has more than STREAM_LOW bytes still to write, so a pair
 * holds about that and a read's worth each way; an idle pair holds nothing.  There is no time limit for
 * silence: the two ends have theirs.  But an end that does not read for `stall_ms` although something waits
 * for it ends the pair: the other's time is over by then, and it cannot tell us, for we do not read it.
 *
 * The end: when one side ends, the other is finished (what is queued is written) and both are closed. */
#ifndef NET_SPLICE_H
#define NET_SPLICE_H
#include "net/stream.h"

struct splice;
struct splice_events {
	/* Bytes of `from` (0 or 1) are about to go on.  May be NULL. */
	void (*passing)(struct splice *p, int from, struct slice bytes);
	/* `from` has ended first, error 0: in order.  Last words may be put into the other's stream_out.
	 * May be NULL. */
	void (*ended)(struct splice *p, int from, int error);
	void (*closed)(struct splice *p); /* both streams are closed: memory may go */
};

struct splice {
	struct stream *io[2];
	const struct splice_events *ev;
	uint32_t stall_ms;
	struct later later; /* what had arrived before the two were joined */
	uint8_t open;       /* streams that are not closed yet */
	bool over;          /* one side has ended */
};

/* Both streams are open, are nobody else's from now on, and unread input of both goes on.  Also from
 * inside an event of either.  Events come from the loop only. */
void splice_start(struct splice *p, struct stream *a, struct stream *b, uint32_t stall_ms,
    const struct splice_events *ev);
/* Ends both; what is in their outputs is written first.  Harmless once over. */
void splice_finish(struct splice *p);
/* When a byte last moved on either side (loop_now). */
uint64_t splice_moved_ms(const struct splice *p);
/* Nothing waits to be written or read. */
bool splice_at_rest(const struct splice *p);
#endif

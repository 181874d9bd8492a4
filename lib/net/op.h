/* net/op.h: the one shape of every wait.
 *
 * x_start(..., &op, done) starts something and returns; `done` is called exactly once from
 * the loop, never from inside x_start, or never after op_cancel.  A session has at most one
 * struct op pending; closing the session cancels it. */
#ifndef NET_OP_H
#define NET_OP_H
#include <stdbool.h>
#include <stddef.h>

struct op {
	void (*cancel)(struct op *); /* set by x_start, NULL while nothing is pending */
	void *impl;                  /* what x_start keeps there */
};

static inline bool
op_pending(const struct op *op)
{
	return op->cancel;
}
/* After this `done` will not be called; harmless when nothing is pending. */
static inline void
op_cancel(struct op *op)
{
	void (*cancel)(struct op *) = op->cancel;

	op->cancel = NULL;
	if (cancel)
		cancel(op);
}
/* For implementations: the operation is over, `done` follows. */
static inline void
op_done(struct op *op)
{
	op->cancel = NULL;
	op->impl = NULL;
}
#endif

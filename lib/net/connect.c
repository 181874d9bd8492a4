/* net/connect.c: see connect.h.  A non-blocking connect(2), a watch for its end, a timer.
 *
 * Owns the descriptor until `done` has it, and closes it when cancelled.  All that fails, at
 * once too, comes as -errno by `done` and from the loop.  The struct lives until libuv has
 * closed its handles, which is later than the op: both have to be over. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/mem.h"
#include "net/connect.h"

struct connecting {
	struct watch watch;
	struct timer timer;
	struct later later;
	struct loop *loop;
	struct op *op; /* NULL once cancelled */
	void (*done)(void *, int);
	void *arg;
	int fd;      /* or -errno */
	int handles; /* watch and timer that are still open */
	bool watching;
};

static void
released(struct connecting *c)
{
	if (--c->handles == 0)
		free(c);
}

static void
watch_closed(struct watch *w)
{
	released(CONTAINER(w, struct connecting, watch));
}

static void
timer_closed(struct timer *t)
{
	released(CONTAINER(t, struct connecting, timer));
}

static void
connect_release(struct connecting *c)
{
	later_cancel(&c->later);
	if (c->watching)
		watch_close(&c->watch, watch_closed);
	timer_close(&c->timer, timer_closed);
}

/* `result` is c->fd when connected, or -errno. */
static void
connect_finish(struct connecting *c, int result)
{
	void (*done)(void *, int) = c->done;
	void *arg = c->arg;

	op_done(c->op);
	c->op = NULL;
	connect_release(c);
	if (result < 0 && c->fd >= 0)
		close(c->fd);
	done(arg, result);
}

static void
connect_cancel(struct op *op)
{
	struct connecting *c = op->impl;

	c->op = NULL;
	connect_release(c);
	if (c->fd >= 0)
		close(c->fd);
}

static void
on_writable(struct watch *w, bool r UNUSED, bool wr UNUSED, int error)
{
	struct connecting *c = CONTAINER(w, struct connecting, watch);
	int reason = 0;
	socklen_t len = sizeof(reason);

	/* libuv calls every failure of a polled descriptor EBADF; the socket knows better. */
	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &reason, &len) == 0 && reason)
		error = -reason;
	connect_finish(c, error < 0 ? error : c->fd);
}

static void
connect_on_timeout(struct timer *t)
{
	connect_finish(CONTAINER(t, struct connecting, timer), -ETIMEDOUT);
}

static void
connect_on_later(struct later *t)
{
	struct connecting *c = CONTAINER(t, struct connecting, later);

	connect_finish(c, c->fd);
}

/* Begins; returns 1 when it is under way, 0 when connected already, or -errno. */
static int
connect_begin(struct connecting *c, const struct addr *to, const struct addr *from)
{
	int rc = 0;

	c->fd = socket(to->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0)
		return -errno;
	if (from && bind(c->fd, &from->sa, from->len) < 0)
		rc = -errno;
	else if (connect(c->fd, &to->sa, to->len) < 0)
		rc = errno == EINPROGRESS ? 1 : -errno;
	if (rc == 1 && (rc = watch_init(&c->watch, c->loop, c->fd, on_writable)) == 0) {
		c->watching = true;
		c->handles++;
		watch_want(&c->watch, false, true);
		return 1;
	}
	if (rc < 0)
		close(c->fd);
	return rc;
}

void
connect_start(struct loop *l, const struct addr *to, const struct addr *from, uint32_t timeout_ms,
    struct op *op, void (*done)(void *arg, int fd), void *arg)
{
	struct connecting *c = mem_new(sizeof(*c));
	int rc;

	c->loop = l;
	c->op = op;
	c->done = done;
	c->arg = arg;
	c->handles = 1;
	later_init(&c->later);
	timer_init(&c->timer, l, connect_on_timeout);
	op->cancel = connect_cancel;
	op->impl = c;
	rc = connect_begin(c, to, from);
	if (rc == 1) {
		timer_start(&c->timer, timeout_ms, 0);
		return;
	}
	if (rc < 0)
		c->fd = rc;
	later_run(&c->later, l, connect_on_later);
}

/* net/proxyproto-read.c: a header of the PROXY protocol off a socket, and not one octet more.
 *
 * Owns what has arrived of the header until it is whole; the descriptor stays the caller's.  Called for
 * each connection of a listener that expects one.  Can fail: no header, half a header, silence; all come
 * as words.  Must stay true: octets are looked at (MSG_PEEK) before they are taken, and none is
 * taken that the parser does not call a header's.  The struct lives until libuv has closed its handles, which
 * is later than the op. */
#include <errno.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "net/proxyproto.h"

struct proxyproto_reading {
	struct watch watch;
	struct timer timer;
	struct later later;
	struct op *op; /* NULL once it is over */
	proxyproto_done done;
	void *arg;
	int fd;
	int handles; /* that are still open */
	bool watching;
	const char *why;
	struct buf head; /* taken so far */
};

static void
proxyproto_released(struct proxyproto_reading *r)
{
	if (--r->handles > 0)
		return;
	buf_fini(&r->head);
	mem_free(&r);
}

static void
proxyproto_watch_closed(struct watch *w)
{
	proxyproto_released(CONTAINER(w, struct proxyproto_reading, watch));
}

static void
proxyproto_timer_closed(struct timer *t)
{
	proxyproto_released(CONTAINER(t, struct proxyproto_reading, timer));
}

static void
proxyproto_release(struct proxyproto_reading *r)
{
	r->op = NULL;
	later_cancel(&r->later);
	if (r->watching)
		watch_close(&r->watch, proxyproto_watch_closed);
	timer_close(&r->timer, proxyproto_timer_closed);
}

static void
proxyproto_finish(struct proxyproto_reading *r, const struct proxyproto *p, const char *why)
{
	proxyproto_done done = r->done;
	void *arg = r->arg;

	op_done(r->op);
	proxyproto_release(r);
	done(arg, p, why);
}

static void
proxyproto_cancel(struct op *op)
{
	struct proxyproto_reading *r = op->impl;

	op->impl = NULL;
	proxyproto_release(r);
}

/* Takes n octets that were looked at. */
static bool
proxyproto_take(struct proxyproto_reading *r, size_t n)
{
	char *to = buf_reserve(&r->head, n);

	if (!to || recv(r->fd, to, n, MSG_DONTWAIT) != (ssize_t)n)
		return false;
	r->head.n += n;
	return true;
}

static void
proxyproto_look(struct proxyproto_reading *r)
{
	size_t had = r->head.n;
	const char *why = NULL;
	struct proxyproto p;
	ssize_t n;

	/* There is always room for one octet more: a header that fills PROXYPROTO_MAX is whole. */
	n = recv(r->fd, buf_reserve(&r->head, PROXYPROTO_MAX - had), PROXYPROTO_MAX - had,
	    MSG_PEEK | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		proxyproto_finish(r, NULL, n < 0 ? strerror(errno) : "closed before a header");
		return;
	}
	switch (proxyproto_parse(slice(r->head.p, had + (size_t)n), &p, &why)) {
	case PROXYPROTO_PART:
		if (!proxyproto_take(r, (size_t)n))
			proxyproto_finish(r, NULL, "cannot be read");
		return;
	case PROXYPROTO_WHOLE:
		if (proxyproto_take(r, p.n - had))
			proxyproto_finish(r, &p, NULL);
		else
			proxyproto_finish(r, NULL, "cannot be read");
		return;
	case PROXYPROTO_BAD: break;
	}
	proxyproto_finish(r, NULL, why);
}

static void
proxyproto_on_readable(struct watch *w, bool rd UNUSED, bool wr UNUSED, int error)
{
	struct proxyproto_reading *r = CONTAINER(w, struct proxyproto_reading, watch);

	if (error)
		proxyproto_finish(r, NULL, "the connection is broken");
	else
		proxyproto_look(r);
}

static void
proxyproto_on_timeout(struct timer *t)
{
	proxyproto_finish(CONTAINER(t, struct proxyproto_reading, timer), NULL,
	    "no header in time");
}

static void
proxyproto_on_later(struct later *t)
{
	struct proxyproto_reading *r = CONTAINER(t, struct proxyproto_reading, later);

	proxyproto_finish(r, NULL, r->why);
}

void
proxyproto_start(struct loop *l, int fd, uint32_t timeout_ms, struct op *op, proxyproto_done done,
    void *arg)
{
	struct proxyproto_reading *r = mem_new(sizeof(*r));
	int rc;

	r->op = op;
	r->done = done;
	r->arg = arg;
	r->fd = fd;
	r->handles = 1;
	buf_init(&r->head, 0);
	later_init(&r->later);
	timer_init(&r->timer, l, proxyproto_on_timeout);
	op->cancel = proxyproto_cancel;
	op->impl = r;
	rc = watch_init(&r->watch, l, fd, proxyproto_on_readable);
	if (rc < 0) {
		r->why = strerror(-rc);
		later_run(&r->later, l, proxyproto_on_later);
		return;
	}
	r->watching = true;
	r->handles++;
	watch_want(&r->watch, true, false);
	timer_start(&r->timer, timeout_ms, 0);
}

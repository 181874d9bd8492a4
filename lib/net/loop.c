/* net/loop.c: see loop.h.  A turn of the loop is: timers, idle, prepare, poll, check, close
 * callbacks (libuv's order); `later` runs at prepare and at check.
 *
 * Owns the buffers and lists that all sessions of a thread share.  What is put on `later` while
 * it runs waits for the next turn, and that turn does not block.  Deadlines of one duration
 * stand in one queue in order of setting, so that thousands of sessions cost one timer of a
 * second; what must be exact takes a struct timer.  The log is written out before the loop
 * waits. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "net/loop.h"

#define TICK_MS 1000

/* All deadlines of one duration: the order of setting is the order of firing. */
struct deadline_queue {
	struct list link;
	uint64_t ms;
	struct list items; /* of struct deadline */
};

/* ---- later ------------------------------------------------------------------------------- */

static void
loop_on_idle(uv_idle_t *h UNUSED)
{
}

/* Runs what is on the list now; what these functions add waits for the next turn so that a
 * busy producer does not starve the sockets. */
static void
run_later(struct loop *l)
{
	struct list now;
	struct later *t;

	list_init(&now);
	list_splice(&now, &l->later);
	while ((t = list_first(&now, struct later, link))) {
		list_remove(&t->link);
		t->fn(t);
	}
	if (list_empty(&l->later))
		uv_idle_stop(&l->idle);
	else
		uv_idle_start(&l->idle, loop_on_idle);
}

static void
on_check(uv_check_t *h)
{
	run_later(h->data);
}

static void
on_prepare(uv_prepare_t *h)
{
	struct loop *l = h->data;

	l->turn_ends_us = 0;
	run_later(l);
	log_flush(); /* before we wait */
}

void
later_init(struct later *t)
{
	list_init(&t->link);
	t->fn = NULL;
}

void
later_run(struct later *t, struct loop *l, void (*fn)(struct later *))
{
	t->fn = fn;
	if (list_empty(&t->link))
		list_push(&l->later, &t->link);
}

void
later_cancel(struct later *t)
{
	list_remove(&t->link);
}

/* ---- the loop ---------------------------------------------------------------------------- */

void
loop_init(struct loop *l)
{
	memset(l, 0, sizeof(*l));
	signal(SIGPIPE, SIG_IGN); /* libuv writes without MSG_NOSIGNAL */
	must(uv_loop_init(&l->uv) == 0);
	l->uv.data = l;
	l->read_buf = mem_grow(NULL, LOOP_READ_SIZE, 1);
	list_init(&l->deadlines);
	list_init(&l->later);
	list_init(&l->turns_fresh);
	list_init(&l->turns_worn);
	later_init(&l->turns);
	uv_timer_init(&l->uv, &l->tick);
	uv_check_init(&l->uv, &l->check);
	uv_prepare_init(&l->uv, &l->prepare);
	uv_idle_init(&l->uv, &l->idle);
	l->tick.data = l->check.data = l->prepare.data = l->idle.data = l;
	/* These two stay active and keep loop_run running until loop_stop. */
	uv_check_start(&l->check, on_check);
	uv_prepare_start(&l->prepare, on_prepare);
}

void
loop_run(struct loop *l)
{
	log_gather();
	uv_run(&l->uv, UV_RUN_DEFAULT);
	log_flush();
}

void
loop_stop(struct loop *l)
{
	uv_stop(&l->uv);
}

void
loop_fini(struct loop *l)
{
	struct deadline_queue *q;

	uv_close((uv_handle_t *)&l->tick, NULL);
	uv_close((uv_handle_t *)&l->check, NULL);
	uv_close((uv_handle_t *)&l->prepare, NULL);
	uv_close((uv_handle_t *)&l->idle, NULL);
	uv_run(&l->uv, UV_RUN_DEFAULT);
	must(uv_loop_close(&l->uv) == 0);
	list_each(q, &l->deadlines, struct deadline_queue, link)
	{
		must(list_empty(&q->items));
		free(q);
	}
	mem_free(&l->read_buf);
	mem_free(&l->plain_buf);
	if (l->packer)
		l->packer_free(l->packer);
	l->packer = NULL;
	mem_free(&l->packet_buf);
	buf_fini(&l->cork);
}

uint64_t
loop_now(struct loop *l)
{
	return uv_now(&l->uv);
}

/* ---- exact timers ------------------------------------------------------------------------ */

static void
loop_on_timer(uv_timer_t *h)
{
	struct timer *t = CONTAINER(h, struct timer, uv);

	t->fn(t);
}

static void
on_timer_closed(uv_handle_t *h)
{
	struct timer *t = CONTAINER(h, struct timer, uv);

	if (t->closed)
		t->closed(t);
}

void
timer_init(struct timer *t, struct loop *l, void (*fn)(struct timer *))
{
	uv_timer_init(&l->uv, &t->uv);
	t->fn = fn;
	t->closed = NULL;
}

void
timer_start(struct timer *t, uint64_t ms, uint64_t repeat_ms)
{
	uv_timer_start(&t->uv, loop_on_timer, ms, repeat_ms);
}

void
timer_stop(struct timer *t)
{
	uv_timer_stop(&t->uv);
}

void
timer_close(struct timer *t, void (*closed)(struct timer *))
{
	t->closed = closed;
	uv_close((uv_handle_t *)&t->uv, on_timer_closed);
}

/* ---- coarse deadlines -------------------------------------------------------------------- */

static void
loop_on_tick(uv_timer_t *h)
{
	struct loop *l = h->data;
	uint64_t now = loop_now(l);
	struct deadline_queue *q;
	struct deadline *d;
	bool any = false;

	list_each(q, &l->deadlines, struct deadline_queue, link)
	{
		while ((d = list_first(&q->items, struct deadline, link)) && d->at <= now) {
			list_remove(&d->link);
			d->fn(d);
		}
	}
	/* A second walk: the functions above may have set deadlines in any queue. */
	list_each(q, &l->deadlines, struct deadline_queue, link)
	{
		if (list_empty(&q->items)) {
			list_remove(&q->link);
			free(q);
		} else {
			any = true;
		}
	}
	if (!any)
		uv_timer_stop(&l->tick);
}

static struct deadline_queue *
queue_of(struct loop *l, uint64_t ms)
{
	struct deadline_queue *q;

	list_each(q, &l->deadlines, struct deadline_queue, link) if (q->ms == ms) return q;
	if (list_empty(&l->deadlines))
		uv_timer_start(&l->tick, loop_on_tick, TICK_MS, TICK_MS);
	q = mem_new(sizeof(*q));
	q->ms = ms;
	list_init(&q->items);
	list_push(&l->deadlines, &q->link);
	return q;
}

void
deadline_init(struct deadline *d)
{
	list_init(&d->link);
	d->at = 0;
	d->fn = NULL;
}

void
deadline_set(struct deadline *d, struct loop *l, uint64_t ms, void (*fn)(struct deadline *))
{
	if (ms == 0)
		ms = 1; /* fires at the next tick, never in this one again */
	list_remove(&d->link);
	d->at = loop_now(l) + ms;
	d->fn = fn;
	list_push(&queue_of(l, ms)->items, &d->link);
}

void
deadline_clear(struct deadline *d)
{
	list_remove(&d->link);
}

/* ---- foreign descriptors ----------------------------------------------------------------- */

/* libuv stops polling and says EBADF for every POLLERR: the socket knows better. */
static int
poll_error(uv_poll_t *h, int status)
{
	int error = 0;
	socklen_t len = sizeof(error);
	uv_os_fd_t fd;

	if (status != UV_EBADF || uv_fileno((uv_handle_t *)h, &fd) != 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return status;
	return error ? -error : -EPIPE;
}

static void
on_poll(uv_poll_t *h, int status, int events)
{
	struct watch *w = CONTAINER(h, struct watch, uv);

	w->fn(w, events & UV_READABLE, events & UV_WRITABLE,
	    status < 0 ? poll_error(h, status) : 0);
}

static void
on_watch_closed(uv_handle_t *h)
{
	struct watch *w = CONTAINER(h, struct watch, uv);

	if (w->closed)
		w->closed(w);
}

int
watch_init(struct watch *w, struct loop *l, int fd, void (*fn)(struct watch *, bool, bool, int))
{
	int rc = uv_poll_init(&l->uv, &w->uv, fd);

	w->fn = fn;
	w->closed = NULL;
	return rc;
}

void
watch_want(struct watch *w, bool read, bool write)
{
	int events = (read ? UV_READABLE : 0) | (write ? UV_WRITABLE : 0);

	if (events)
		uv_poll_start(&w->uv, events, on_poll);
	else
		uv_poll_stop(&w->uv);
}

void
watch_close(struct watch *w, void (*closed)(struct watch *))
{
	w->closed = closed;
	uv_close((uv_handle_t *)&w->uv, on_watch_closed);
}

/* ---- wake-ups from other threads --------------------------------------------------------- */

static void
on_async(uv_async_t *h)
{
	struct wakeup *w = CONTAINER(h, struct wakeup, uv);

	w->fn(w);
}

static void
on_wakeup_closed(uv_handle_t *h)
{
	struct wakeup *w = CONTAINER(h, struct wakeup, uv);

	if (w->closed)
		w->closed(w);
}

void
wakeup_init(struct wakeup *w, struct loop *l, void (*fn)(struct wakeup *))
{
	w->fn = fn;
	w->closed = NULL;
	must(uv_async_init(&l->uv, &w->uv, on_async) == 0);
}

void
wakeup_send(struct wakeup *w)
{
	uv_async_send(&w->uv);
}

void
wakeup_close(struct wakeup *w, void (*closed)(struct wakeup *))
{
	w->closed = closed;
	uv_close((uv_handle_t *)&w->uv, on_wakeup_closed);
}

/* net/crowd.c: see crowd.h.  Owns the epoll.  Can fail: for want of descriptors or of the kernel's memory.  Must stay true:
 * who was removed is told of no more, although he was seen ready in the same look. */
#include "net/crowd.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#define LOOK 64 /* descriptors in a turn of the loop */

static void
crowd_on_ready(struct watch *w, bool readable, bool writable UNUSED, int error UNUSED)
{
	struct crowd *c = CONTAINER(w, struct crowd, watch);
	struct epoll_event now[LOOK];
	int n;

	if (!readable || c->fd < 0)
		return;
	n = epoll_wait(c->fd, now, LOOK, 0);
	c->now = now;
	c->n = n > 0 ? n : 0;
	for (c->at = 0; c->at < c->n; c->at++)
		if (now[c->at].data.ptr)
			c->ready(now[c->at].data.ptr);
	c->now = NULL;
	c->n = c->at = 0;
}

int
crowd_open(struct crowd *c, struct loop *l, void (*ready)(void *item))
{
	int r;

	*c = (struct crowd){ .ready = ready };
	c->fd = epoll_create1(EPOLL_CLOEXEC);
	if (c->fd < 0)
		return -errno;
	r = watch_init(&c->watch, l, c->fd, crowd_on_ready);
	if (r < 0) {
		(void)close(c->fd);
		c->fd = -1;
		return r;
	}
	watch_want(&c->watch, true, false);
	return 0;
}

int
crowd_add(struct crowd *c, int fd, void *item)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLRDHUP, .data.ptr = item };

	if (c->fd < 0)
		return -EBADF;
	return epoll_ctl(c->fd, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

void
crowd_remove(struct crowd *c, int fd, const void *item)
{
	if (c->fd >= 0)
		(void)epoll_ctl(c->fd, EPOLL_CTL_DEL, fd, NULL);
	for (int i = c->at; i < c->n; i++)
		if (c->now[i].data.ptr == item)
			c->now[i].data.ptr = NULL;
}

void
crowd_close(struct crowd *c)
{
	if (c->fd < 0)
		return;
	watch_close(&c->watch, NULL);
	(void)close(c->fd);
	c->fd = -1;
}

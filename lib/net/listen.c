/* net/listen.c: see listen.h.
 *
 * Opened by whoever has the privileges, watched by each worker.  Opening fails with -errno; a
 * Unix socket is removed only when nobody answers on it, and nobody can connect before its mode
 * is right.  Without descriptors or memory the listener pauses, the connections wait in the
 * backlog; an error of one connection ends nothing.  A turn accepts a few, so that the workers
 * share. */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"
#include "base/must.h"
#include "net/listen.h"

#define BACKLOG  4096 /* the kernel cuts it to net.core.somaxconn */
#define ACCEPTS  8    /* in one turn: the other workers want some too */
#define PAUSE_MS 1000

/* Removes the socket of a process that is gone; refuses when somebody answers. */
static int
clear_path(const struct addr *a)
{
	struct stat st;
	int fd, rc;

	if (lstat(a->un.sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	rc = connect(fd, &a->sa, a->len) < 0 ? -errno : 0;
	close(fd);
	/* EPROTOTYPE: a live socket of another type; EAGAIN: alive with a full backlog */
	if (rc == 0 || rc == -EPROTOTYPE || rc == -EAGAIN)
		return -EADDRINUSE;
	return unlink(a->un.sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

static int
bind_unix(int fd, const struct addr *a, int mode)
{
	mode_t old;
	int rc;

	if ((rc = clear_path(a)) < 0)
		return rc;
	old = umask(0777); /* nobody connects before the mode is right */
	rc = bind(fd, &a->sa, a->len) < 0 ? -errno : 0;
	umask(old);
	if (rc == 0 && chmod(a->un.sun_path, (mode_t)mode) < 0)
		rc = -errno;
	return rc;
}

static int
bind_inet(int fd, const struct addr *a)
{
	int on = 1, off = 0;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* inherited */
	if (a->sa.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	return bind(fd, &a->sa, a->len) < 0 ? -errno : 0;
}

int
listen_open(const struct addr *a, int mode)
{
	return listen_open_type(a, SOCK_STREAM, mode);
}

int
listen_open_type(const struct addr *want, int type, int mode)
{
	struct addr a = *want;
	int fd, rc;

	fd = socket(a.sa.sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 && errno == EAFNOSUPPORT && a.sa.sa_family == AF_INET6 &&
	    IN6_IS_ADDR_UNSPECIFIED(&a.in6.sin6_addr)) { /* "*" on a kernel without IPv6 */
		memset(&a, 0, sizeof(a));
		a.in.sin_family = AF_INET;
		a.in.sin_port = want->in6.sin6_port;
		a.len = sizeof(a.in);
		fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	}
	if (fd < 0)
		return -errno;
	rc = a.sa.sa_family == AF_UNIX ? bind_unix(fd, &a, mode) : bind_inet(fd, &a);
	if (rc == 0 && listen(fd, BACKLOG) < 0)
		rc = -errno;
	if (rc < 0) {
		close(fd);
		return rc;
	}
	return fd;
}

static void listen_on_ready(uv_poll_t *h, int status, int events);

static void
pause_over(struct deadline *d)
{
	struct listener *l = CONTAINER(d, struct listener, pause);

	uv_poll_start(&l->poll, UV_READABLE, listen_on_ready);
}

/* Out of descriptors or memory: the connection stays in the backlog; look again soon. */
static void
take_pause(struct listener *l, int error)
{
	log_event(LOG_WARN, "accept_paused", "error=%s", log_str(strerror(error)));
	uv_poll_stop(&l->poll);
	deadline_set(&l->pause, l->loop, PAUSE_MS, pause_over);
}

static void
listen_on_ready(uv_poll_t *h, int status UNUSED, int events UNUSED)
{
	struct listener *l = CONTAINER(h, struct listener, poll);

	for (int i = 0; i < ACCEPTS && !uv_is_closing((uv_handle_t *)h); i++) {
		int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			l->accepted(l, fd);
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		    errno == ENOMEM) {
			take_pause(l, errno);
			return;
		} else if (errno != ECONNABORTED && errno != EINTR) {
			return; /* EAGAIN, or a network error of that one connection */
		}
	}
}

int
listener_start(struct listener *l, struct loop *loop, int fd,
    void (*accepted)(struct listener *, int fd), void *data)
{
	int rc = uv_poll_init(&loop->uv, &l->poll, fd);

	if (rc < 0)
		return rc;
	l->loop = loop;
	l->fd = fd;
	l->accepted = accepted;
	l->closed = NULL;
	l->data = data;
	deadline_init(&l->pause);
	return uv_poll_start(&l->poll, UV_READABLE, listen_on_ready);
}

static void
listen_on_closed(uv_handle_t *h)
{
	struct listener *l = CONTAINER(h, struct listener, poll);

	if (l->closed)
		l->closed(l);
}

void
listener_stop(struct listener *l, void (*closed)(struct listener *))
{
	deadline_clear(&l->pause);
	l->closed = closed;
	uv_close((uv_handle_t *)&l->poll, listen_on_closed);
}

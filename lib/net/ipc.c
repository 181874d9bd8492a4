/* net/ipc.c: see ipc.h: packets, what waits to be sent, descriptors on their way.
 *
 * Owns the socket, the queue, and duplicates of the descriptors in it.  Called from the loop by
 * stored and its clients, and by parent and workers.  Sending fails in the caller's hands
 * (-EPIPE, -EMSGSIZE, no descriptor left); a dead peer comes as `closed`, after what it had sent
 * was read.  A packet is never cut, and a peer that is held, or has too much waiting, is not
 * read.  The buffer for reading is the loop's, so a connection costs none. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/must.h"
#include "net/connect-unix.h"
#include "net/ipc.h"
#include "net/listen.h"

#define PACKETS    32 /* read in one turn */
#define SOCKET_BUF (1024 * 1024)

struct queued {
	struct list link;
	size_t n, nfds;
	int fds[IPC_FDS];
	char bytes[];
};

static int
send_now(int fd, const struct slice *parts, size_t n, const int *fds, size_t nfds)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int) * IPC_FDS)];
	} control;
	struct iovec vec[IPC_PARTS];
	struct msghdr m = { .msg_iov = vec, .msg_iovlen = n };
	ssize_t rc;

	for (size_t i = 0; i < n; i++)
		vec[i] = (struct iovec){ (void *)(uintptr_t)parts[i].p, parts[i].n };
	if (nfds) {
		struct cmsghdr *h;

		memset(&control, 0, sizeof(control));
		m.msg_control = control.room;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(h), fds, sizeof(int) * nfds);
	}
	do
		rc = sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (rc < 0 && errno == EINTR);
	return rc < 0 ? -errno : 0;
}

static bool
wants_more(const struct ipc *c)
{
	return !c->closing && !c->held && (c->most == 0 || c->queued <= c->most);
}

static void
want(struct ipc *c)
{
	if (!c->closing)
		watch_want(&c->watch, wants_more(c), !list_empty(&c->queue));
}

/* Of a small packet most is what surrounds it: without that a limit in bytes was five times it. */
static size_t
queued_cost(const struct queued *q)
{
	return sizeof(*q) + q->n;
}

static void
queued_free(struct queued *q)
{
	for (size_t i = 0; i < q->nfds; i++)
		close(q->fds[i]);
	list_remove(&q->link);
	free(q);
}

static int
enqueue(struct ipc *c, const struct slice *parts, size_t n, size_t size, const int *fds,
    size_t nfds)
{
	struct queued *q = mem_new(sizeof(*q) + size);

	list_init(&q->link);
	for (size_t i = 0; i < n; i++) {
		if (parts[i].n)
			memcpy(q->bytes + q->n, parts[i].p, parts[i].n);
		q->n += parts[i].n;
	}
	while (q->nfds < nfds) {
		int fd = fcntl(fds[q->nfds], F_DUPFD_CLOEXEC, 0);

		if (fd < 0) {
			int rc = -errno;

			queued_free(q);
			return rc;
		}
		q->fds[q->nfds++] = fd;
	}
	list_push(&c->queue, &q->link);
	c->queued += queued_cost(q);
	want(c);
	return 0;
}

int
ipc_send(struct ipc *c, struct slice packet, const int *fds, size_t nfds)
{
	return ipc_send_parts(c, &packet, 1, fds, nfds);
}

int
ipc_send_parts(struct ipc *c, const struct slice *parts, size_t n, const int *fds, size_t nfds)
{
	size_t size = 0;
	int rc = -EAGAIN;

	for (size_t i = 0; i < n; i++)
		size += parts[i].n;
	must(n <= IPC_PARTS && nfds <= IPC_FDS && size > 0);
	if (size > IPC_PACKET)
		return -EMSGSIZE;
	if (c->closing)
		return -EPIPE;
	if (list_empty(&c->queue))
		rc = send_now(c->fd, parts, n, fds, nfds);
	if (rc == -EAGAIN || rc == -ENOBUFS)
		rc = enqueue(c, parts, n, size, fds, nfds);
	if (rc == -ECONNRESET || rc == -ENOTCONN)
		rc = -EPIPE;
	return rc; /* a dead peer shows in the next read, `closed` follows from there */
}

static void
send_queue(struct ipc *c)
{
	struct queued *q;

	list_each(q, &c->queue, struct queued, link)
	{
		const struct slice bytes = slice(q->bytes, q->n);
		int rc = send_now(c->fd, &bytes, 1, q->fds, q->nfds);

		if (rc == -EAGAIN || rc == -ENOBUFS)
			break;
		c->queued -= queued_cost(q);
		queued_free(q);
		if (rc < 0) {
			c->error = rc;
			ipc_close(c);
			return;
		}
	}
	want(c);
}

/* The descriptors of a message; returns how many. */
static size_t
take_fds(struct msghdr *m, int *fds)
{
	size_t n = 0;

	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
		size_t bytes = h->cmsg_len - CMSG_LEN(0);

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		must(n * sizeof(int) + bytes <= IPC_FDS * sizeof(int));
		memcpy(fds + n, CMSG_DATA(h), bytes);
		n += bytes / sizeof(int);
	}
	return n;
}

/* One packet; false when there is no more yet. */
static bool
receive(struct ipc *c)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int) * IPC_FDS)];
	} control;
	struct iovec vec = { c->loop->packet_buf, IPC_PACKET };
	struct msghdr m = { .msg_iov = &vec,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room) };
	int fds[IPC_FDS];
	size_t nfds;
	ssize_t n = recvmsg(c->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0 && errno == EINTR)
		return true;
	if (n < 0 && errno == EAGAIN)
		return false;
	nfds = n < 0 ? 0 : take_fds(&m, fds);
	if (n <= 0) { /* 0 is the end, or an empty packet, which nobody sends us */
		while (nfds)
			close(fds[--nfds]);
		c->error = n < 0 && errno != ECONNRESET ? -errno : 0;
		ipc_close(c);
		return false;
	}
	if (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		while (nfds)
			close(fds[--nfds]);
		c->error = -EMSGSIZE;
		ipc_close(c);
		return false;
	}
	c->ev->packet(c, slice(c->loop->packet_buf, (size_t)n), fds, nfds);
	return true;
}

static void
ipc_on_ready(struct watch *w, bool readable, bool writable, int error)
{
	struct ipc *c = CONTAINER(w, struct ipc, watch);

	if (writable)
		send_queue(c);
	for (int i = 0;
	     (error ? !c->closing : readable && i < PACKETS && wants_more(c)) && receive(c); i++)
		;
	if (error && !c->closing) { /* what came before it is read */
		c->error = error == -EPIPE || error == -ECONNRESET ? 0 : error;
		ipc_close(c);
	}
}

int
ipc_open(struct ipc *c, struct loop *l, int fd, const struct ipc_events *ev, void *data)
{
	int size = SOCKET_BUF, rc;

	memset(c, 0, sizeof(*c));
	c->loop = l;
	c->ev = ev;
	c->data = data;
	c->fd = fd;
	list_init(&c->queue);
	/* The kernel cuts these to its limits, which hold several of the largest packets. */
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (!l->packet_buf)
		l->packet_buf = mem_grow(NULL, IPC_PACKET, 1);
	if ((rc = watch_init(&c->watch, l, fd, ipc_on_ready)) < 0)
		return rc;
	watch_want(&c->watch, true, false);
	return 0;
}

void
ipc_limit(struct ipc *c, size_t most)
{
	c->most = most;
	want(c);
}

void
ipc_hold(struct ipc *c, bool hold)
{
	if (c->held == hold)
		return;
	c->held = hold;
	want(c);
}

static void
ipc_on_closed(struct watch *w)
{
	struct ipc *c = CONTAINER(w, struct ipc, watch);

	c->ev->closed(c, c->error);
}

void
ipc_close(struct ipc *c)
{
	struct queued *q;

	if (c->closing)
		return;
	c->closing = true;
	/* The analyzer does not follow that queued_free takes q off the list. */
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
	list_each(q, &c->queue, struct queued, link) queued_free(q);
	c->queued = 0;
	watch_close(&c->watch, ipc_on_closed);
	close(c->fd);
	c->fd = -1;
}

uid_t
ipc_peer_uid(const struct ipc *c)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return (uid_t)-1;
	return cred.uid;
}

static int
path_of(const char *path, struct addr *a)
{
	memset(a, 0, sizeof(*a));
	if (strlen(path) >= sizeof(a->un.sun_path))
		return -ENAMETOOLONG;
	a->un.sun_family = AF_UNIX;
	strcpy(a->un.sun_path, path);
	a->len = sizeof(a->un);
	return 0;
}

int
ipc_listen(const char *path, int mode)
{
	struct addr a;
	int rc = path_of(path, &a);

	return rc < 0 ? rc : listen_open_type(&a, SOCK_SEQPACKET, mode);
}

int
ipc_connect(const char *path)
{
	return connect_unix(path, SOCK_SEQPACKET | SOCK_NONBLOCK);
}

/* daemon/link.c: see daemon/link.h.
 *
 * Owns the descriptor and its TLS.  Blocks, with a limit for each step and, if it was asked for, for all of it.  Can fail: all of it.  Must stay true: the
 * host's certificate is checked under the name that was given, before anything is said. */
#include "daemon/link.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "daemon/daemon.h"
#include "net/tlsfd.h"

#define CONNECT_MS 10000
#define STEP_MS    60000

struct daemon_link {
	struct tlsfd *tls;
	int fd;
	uint64_t until; /* clock_mono_ms; 0 = without end */
};

int
daemon_link_wait(int fd, short what, int ms, uint64_t until)
{
	struct pollfd p = { .fd = fd, .events = what };
	int n;

	do {
		uint64_t now = clock_mono_ms(), left = until > now ? until - now : 0;

		n = poll(&p, 1, until && left < (uint64_t)ms ? (int)left : ms);
	} while (n < 0 && errno == EINTR);
	return n > 0 ? 0 : n == 0 ? -ETIMEDOUT : -errno;
}

/* The descriptor, which does not block, or -errno. */
static int
link_connect_to(const struct addrinfo *a, uint64_t until)
{
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), rc = 0;
	socklen_t n = sizeof(rc);

	if (fd < 0)
		return -errno;
	if (connect(fd, a->ai_addr, a->ai_addrlen) < 0)
		rc = errno != EINPROGRESS ? -errno :
					    daemon_link_wait(fd, POLLOUT, CONNECT_MS, until);
	if (rc == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &rc, &n) == 0)
		rc = -rc;
	if (rc == 0)
		return fd;
	(void)close(fd);
	return rc;
}

static int
link_connect(const char *host, int port, uint64_t until, char **why)
{
	const struct addrinfo hint = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
	struct addrinfo *all = NULL;
	char service[8];
	int rc = -EHOSTUNREACH;

	(void)snprintf(service, sizeof(service), "%d", port);
	if ((rc = getaddrinfo(host, service, &hint, &all)) != 0) {
		*why = mem_str(gai_strerror(rc));
		return -EHOSTDOWN;
	}
	for (const struct addrinfo *a = all; a; a = a->ai_next)
		if ((rc = link_connect_to(a, until)) >= 0)
			break;
	freeaddrinfo(all);
	return rc == -ETIMEDOUT || rc == -EHOSTUNREACH || rc == -ENETUNREACH ? -EHOSTDOWN : rc;
}

static int
link_shake(struct tlsfd *t, int fd, uint64_t until, char **why)
{
	for (int rc = 0; rc == 0;) {
		switch (tlsfd_handshake(t)) {
		case TLSFD_DONE: return 0;
		case TLSFD_READ: rc = daemon_link_wait(fd, POLLIN, CONNECT_MS, until); break;
		case TLSFD_WRITE: rc = daemon_link_wait(fd, POLLOUT, CONNECT_MS, until); break;
		case TLSFD_FAILED: *why = mem_str(tlsfd_error(t)); return -EPROTO;
		}
		if (rc < 0)
			return rc;
	}
	return -EPROTO;
}

int
daemon_link_open(const char *host, const char *address, int port, uint64_t until,
    struct daemon_link **l, char **why)
{
	struct tls_ctx *ctx = daemon_tls_client(true);
	struct tlsfd *t;
	int fd, rc;

	if (!ctx) {
		*why = mem_str("no TLS without tls.ca");
		return -EPROTO;
	}
	if ((fd = link_connect(address, port, until, why)) < 0)
		return fd;
	t = tlsfd_new(ctx, fd, host, why);
	rc = t ? link_shake(t, fd, until, why) : -EPROTO;
	if (rc < 0) {
		tlsfd_free(&t);
		(void)close(fd);
		return rc;
	}
	*l = mem_new(sizeof(**l));
	(*l)->tls = t;
	(*l)->fd = fd;
	(*l)->until = until;
	return 0;
}

void
daemon_link_close(struct daemon_link **l)
{
	if (!*l)
		return;
	tlsfd_free(&(*l)->tls);
	(void)close((*l)->fd);
	mem_free(l);
}

static int
link_failed(const struct daemon_link *l, ssize_t n, char **why)
{
	if (n != -EIO)
		return (int)n;
	*why = mem_str(tlsfd_error(l->tls));
	return -EPROTO;
}

int
daemon_link_write(struct daemon_link *l, struct slice bytes, char **why)
{
	ssize_t n = 0;

	while (bytes.n > 0) {
		if ((n = tlsfd_write(l->tls, bytes.p, bytes.n)) == -EAGAIN)
			n = daemon_link_wait(l->fd, POLLOUT, STEP_MS, l->until);
		else if (n > 0)
			bytes = slice_from(bytes, (size_t)n);
		if (n < 0)
			return link_failed(l, n, why);
	}
	return 0;
}

ssize_t
daemon_link_read(struct daemon_link *l, char *to, size_t room, char **why)
{
	ssize_t n;

	while ((n = tlsfd_read(l->tls, to, room)) == -EAGAIN) {
		int rc = daemon_link_wait(l->fd, POLLIN, STEP_MS, l->until);

		if (rc < 0)
			return rc;
	}
	return n < 0 ? link_failed(l, n, why) : n;
}

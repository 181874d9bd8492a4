/* tmctl/remote.c: a daemon of another host, by TLS with our certificate: daemon/remote.h from the other side.
 *
 * Owns a connection from question to answer; main.c calls.  Blocks, with a limit for each step.  Can fail: all
 * of it; an answer that was cut off is none.  Must stay true: the host's certificate is checked under the
 * name that was given, before anything is said. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/shared.h"
#include "daemon/daemon.h"
#include "daemon/remote.h"
#include "net/tlsfd.h"
#include "tmctl.h"

#define CONNECT_MS 10000
#define STEP_MS    (TMCTL_ANSWER_S * 1000)

static int
remote_wait(int fd, short what, int ms)
{
	struct pollfd p = { .fd = fd, .events = what };
	int n;

	do
		n = poll(&p, 1, ms);
	while (n < 0 && errno == EINTR);
	return n > 0 ? 0 : n == 0 ? -ETIMEDOUT : -errno;
}

/* The descriptor, which does not block, or -errno. */
static int
remote_connect_to(const struct addrinfo *a)
{
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), rc = 0;
	socklen_t n = sizeof(rc);

	if (fd < 0)
		return -errno;
	if (connect(fd, a->ai_addr, a->ai_addrlen) < 0)
		rc = errno != EINPROGRESS ? -errno : remote_wait(fd, POLLOUT, CONNECT_MS);
	if (rc == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &rc, &n) == 0)
		rc = -rc;
	if (rc == 0)
		return fd;
	(void)close(fd);
	return rc;
}

static int
remote_connect(const char *host, int port, char **why)
{
	const struct addrinfo hint = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
	struct addrinfo *all = NULL;
	char service[8];
	int rc = -EHOSTUNREACH;

	(void)snprintf(service, sizeof(service), "%d", port);
	if ((rc = getaddrinfo(host, service, &hint, &all)) != 0) {
		*why = mem_str(gai_strerror(rc));
		return -EPROTO;
	}
	for (const struct addrinfo *a = all; a; a = a->ai_next)
		if ((rc = remote_connect_to(a)) >= 0)
			break;
	freeaddrinfo(all);
	return rc;
}

static int
remote_shake(struct tlsfd *t, int fd, char **why)
{
	for (int rc = 0; rc == 0;) {
		switch (tlsfd_handshake(t)) {
		case TLSFD_DONE: return 0;
		case TLSFD_READ: rc = remote_wait(fd, POLLIN, CONNECT_MS); break;
		case TLSFD_WRITE: rc = remote_wait(fd, POLLOUT, CONNECT_MS); break;
		case TLSFD_FAILED: *why = mem_str(tlsfd_error(t)); return -EPROTO;
		}
		if (rc < 0)
			return rc;
	}
	return -EPROTO;
}

static int
remote_talk(struct tlsfd *t, int fd, struct slice line, struct buf *answer)
{
	ssize_t n = 0;

	while (line.n > 0) {
		if ((n = tlsfd_write(t, line.p, line.n)) == -EAGAIN)
			n = remote_wait(fd, POLLOUT, STEP_MS);
		else if (n > 0)
			line = slice_from(line, (size_t)n);
		if (n < 0)
			return (int)n;
	}
	while (answer->n <= TMCTL_ANSWER) {
		n = tlsfd_read(t, buf_reserve(answer, 65536), 65536);
		if (n == -EAGAIN)
			n = remote_wait(fd, POLLIN, STEP_MS);
		else if (n == 0)
			return 0;
		else if (n > 0)
			answer->n += (size_t)n;
		if (n < 0)
			return (int)n;
	}
	return -EMSGSIZE;
}

int
tmctl_remote_ask(const char *host, const char *daemon, struct slice line, struct buf *answer,
    char **why)
{
	struct tls_ctx *ctx = daemon_tls_client(true);
	int port = daemon_remote_port(daemon), fd, rc;
	struct tlsfd *t;

	if (!ctx || !port) {
		*why = mem_str(ctx ? "it has no place on other hosts" : "no TLS without tls.ca");
		return -EPROTO;
	}
	if ((fd = remote_connect(host, port, why)) < 0)
		return fd;
	t = tlsfd_new(ctx, fd, host, why);
	rc = t ? remote_shake(t, fd, why) : -EPROTO;
	if (rc == 0 && (rc = remote_talk(t, fd, line, answer)) == -EIO) {
		*why = mem_str(tlsfd_error(t));
		rc = -EPROTO;
	}
	tlsfd_free(&t);
	(void)close(fd);
	return rc;
}

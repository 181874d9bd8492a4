/* daemon/ask.c: see daemon/ask.h.
 *
 * Owns a connection from question to answer.  Blocks, with a limit for each step.  Can fail: all of it; an
 * answer that was cut off is none.  Must stay true: the host's certificate is checked under the name that
 * was given, before anything is said. */
#include "daemon/ask.h"

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
#include "net/connect-unix.h"
#include "net/tlsfd.h"

#define CONNECT_MS 10000
#define STEP_MS    60000
#define ANSWER     (256 * 1024 * 1024) /* octets of one daemon */

static int
ask_wait(int fd, short what, int ms)
{
	struct pollfd p = { .fd = fd, .events = what };
	int n;

	do
		n = poll(&p, 1, ms);
	while (n < 0 && errno == EINTR);
	return n > 0 ? 0 : n == 0 ? -ETIMEDOUT : -errno;
}

/* ---- on this host ------------------------------------------------------------------------------------ */

/* "+OCTETS", and so many of them: a daemon that dies, or gives up on who does not read, has said less. */
static int
ask_whole(struct slice all, struct buf *answer)
{
	struct slice head = S("");
	uint64_t n;

	if (!slice_starts(all, S("error: "))) { /* of a daemon that does not know of "+" */
		if (!slice_cut(&all, '\n', &head) || !slice_starts(head, S("+")) ||
		    slice_u64(slice_from(head, 1), ANSWER, &n) < 0 || n != all.n)
			return -ECONNRESET;
	}
	buf_slice(answer, all);
	return 0;
}

static int
ask_say(int fd, struct slice line)
{
	while (line.n > 0) {
		int rc = ask_wait(fd, POLLOUT, STEP_MS);
		ssize_t n;

		if (rc < 0)
			return rc;
		if ((n = send(fd, line.p, line.n, MSG_NOSIGNAL | MSG_DONTWAIT)) < 0)
			return -errno;
		line = slice_from(line, (size_t)n);
	}
	return 0;
}

static int
ask_hear(int fd, struct buf *all)
{
	ssize_t n = 1;

	while (n > 0) {
		int rc = ask_wait(fd, POLLIN, STEP_MS);

		if (rc < 0)
			return rc;
		if ((n = recv(fd, buf_reserve(all, 65536), 65536, MSG_DONTWAIT)) < 0)
			return -errno;
		all->n += (size_t)n;
		if (all->n > ANSWER)
			return -EMSGSIZE;
	}
	return 0;
}

static int
ask_here(const char *daemon, struct slice line, struct buf *answer)
{
	char *path = mem_printf("%s/%s.ctl", shared.rundir, daemon);
	int fd = connect_unix(path, SOCK_STREAM), rc;
	struct buf said = { 0 };

	mem_free(&path);
	if (fd < 0)
		return fd;
	buf_printf(&said, "+" SFMT, SARG(line));
	rc = ask_say(fd, buf_get(&said));
	buf_clear(&said);
	if (rc == 0 && (rc = ask_hear(fd, &said)) == 0)
		rc = ask_whole(buf_get(&said), answer);
	buf_fini(&said);
	(void)close(fd);
	return rc;
}

/* ---- on another one ---------------------------------------------------------------------------------- */

/* The descriptor, which does not block, or -errno. */
static int
ask_connect_to(const struct addrinfo *a)
{
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), rc = 0;
	socklen_t n = sizeof(rc);

	if (fd < 0)
		return -errno;
	if (connect(fd, a->ai_addr, a->ai_addrlen) < 0)
		rc = errno != EINPROGRESS ? -errno : ask_wait(fd, POLLOUT, CONNECT_MS);
	if (rc == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &rc, &n) == 0)
		rc = -rc;
	if (rc == 0)
		return fd;
	(void)close(fd);
	return rc;
}

static int
ask_connect(const char *host, int port, char **why)
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
		if ((rc = ask_connect_to(a)) >= 0)
			break;
	freeaddrinfo(all);
	return rc;
}

static int
ask_shake(struct tlsfd *t, int fd, char **why)
{
	for (int rc = 0; rc == 0;) {
		switch (tlsfd_handshake(t)) {
		case TLSFD_DONE: return 0;
		case TLSFD_READ: rc = ask_wait(fd, POLLIN, CONNECT_MS); break;
		case TLSFD_WRITE: rc = ask_wait(fd, POLLOUT, CONNECT_MS); break;
		case TLSFD_FAILED: *why = mem_str(tlsfd_error(t)); return -EPROTO;
		}
		if (rc < 0)
			return rc;
	}
	return -EPROTO;
}

static int
ask_talk(struct tlsfd *t, int fd, struct slice line, struct buf *answer)
{
	ssize_t n = 0;

	while (line.n > 0) {
		if ((n = tlsfd_write(t, line.p, line.n)) == -EAGAIN)
			n = ask_wait(fd, POLLOUT, STEP_MS);
		else if (n > 0)
			line = slice_from(line, (size_t)n);
		if (n < 0)
			return (int)n;
	}
	while (answer->n <= ANSWER) {
		n = tlsfd_read(t, buf_reserve(answer, 65536), 65536);
		if (n == -EAGAIN)
			n = ask_wait(fd, POLLIN, STEP_MS);
		else if (n == 0)
			return 0;
		else if (n > 0)
			answer->n += (size_t)n;
		if (n < 0)
			return (int)n;
	}
	return -EMSGSIZE;
}

static int
ask_there(const char *host, const char *daemon, struct slice line, struct buf *answer, char **why)
{
	struct tls_ctx *ctx = daemon_tls_client(true);
	int port = daemon_remote_port(daemon), fd, rc;
	struct tlsfd *t;

	if (!ctx || !port) {
		*why = mem_str(ctx ? "it has no place on other hosts" : "no TLS without tls.ca");
		return -EPROTO;
	}
	if ((fd = ask_connect(host, port, why)) < 0)
		return fd;
	t = tlsfd_new(ctx, fd, host, why);
	rc = t ? ask_shake(t, fd, why) : -EPROTO;
	if (rc == 0 && (rc = ask_talk(t, fd, line, answer)) == -EIO) {
		*why = mem_str(tlsfd_error(t));
		rc = -EPROTO;
	}
	tlsfd_free(&t);
	(void)close(fd);
	return rc;
}

int
daemon_ask(const char *host, const char *daemon, struct slice text, struct buf *answer, char **why)
{
	struct buf line = { 0 };
	int rc;

	*why = NULL;
	buf_printf(&line, SFMT "\n", SARG(text));
	rc = host ? ask_there(host, daemon, buf_get(&line), answer, why) :
		    ask_here(daemon, buf_get(&line), answer);
	buf_fini(&line);
	return rc;
}

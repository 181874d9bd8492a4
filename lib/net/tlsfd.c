/* net/tlsfd.c: TLS on a descriptor that is somebody else's, see tlsfd.h.
 *
 * Owns the TLS session and what it has decrypted; called by directory/conn for libldap, which
 * reads and polls by itself. nobody says whether a session holds decrypted bytes, so each read
 * empties it into a buffer of ours, which can, or remembers that it has not: who polls the descriptor while
 * bytes wait here would wait for ever (tlsfd_ready).  Can fail: the handshake and, for good, any later call. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/mem.h"
#include "net/tls-session.h"
#include "net/tlsfd.h"

#define PIECE 16384       /* the most that a TLS record holds */
#define MOST  (4 * PIECE) /* at a time: who sends faster than we read is not kept in memory */

struct tlsfd {
	struct tls_session *tls;
	int fd;
	struct buf in;
	size_t at;
	bool eof, secure;
	bool more; /* it was not emptied: it may hold bytes */
};

static ssize_t
tlsfd_give(struct tls *unused UNUSED, void *to, size_t n, void *arg)
{
	const struct tlsfd *t = arg;
	ssize_t got;

	do {
		got = read(t->fd, to, n);
	} while (got < 0 && errno == EINTR);
	return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? TLS_WANT_POLLIN : got;
}

static ssize_t
tlsfd_take(struct tls *unused UNUSED, const void *from, size_t n, void *arg)
{
	const struct tlsfd *t = arg;
	ssize_t put;

	do {
		put = send(t->fd, from, n, MSG_NOSIGNAL);
	} while (put < 0 && errno == EINTR);
	return put < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? TLS_WANT_POLLOUT : put;
}

static const struct tls_session_io socket_io = { tlsfd_give, tlsfd_take };

struct tlsfd *
tlsfd_new(struct tls_ctx *ctx, int fd, const char *name, char **why)
{
	struct tlsfd *t = mem_new(sizeof(*t));

	t->fd = fd;
	if ((t->tls = tls_session_connect(ctx, &socket_io, t, name, 0)))
		return t;
	*why = mem_str("cannot set up TLS");
	free(t);
	return NULL;
}

void
tlsfd_free(struct tlsfd **tp)
{
	struct tlsfd *t = *tp;

	*tp = NULL;
	if (!t)
		return;
	if (t->secure)
		(void)!tls_session_close(t->tls); /* the socket may be gone */
	tls_session_free(&t->tls);
	buf_fini(&t->in);
	free(t);
}

enum tlsfd_want
tlsfd_handshake(struct tlsfd *t)
{
	switch (tls_session_handshake(t->tls)) {
	case 0: t->secure = true; return TLSFD_DONE;
	case TLS_WANT_POLLIN: return TLSFD_READ;
	case TLS_WANT_POLLOUT: return TLSFD_WRITE;
	default: return TLSFD_FAILED;
	}
}

const char *
tlsfd_error(const struct tlsfd *t)
{
	const char *why = tls_session_error(t->tls);

	return why ? why : "TLS failed";
}

bool
tlsfd_ready(const struct tlsfd *t)
{
	return t->in.n > t->at || t->eof || t->more;
}

/* Takes what libtls has, until it would wait or that is enough. */
static int
tlsfd_fill(struct tlsfd *t)
{
	buf_clear(&t->in);
	t->at = 0;
	t->more = false;
	while (!t->eof && !t->more) {
		char *to = buf_reserve(&t->in, PIECE);
		ssize_t n = tls_session_read(t->tls, to, PIECE);

		if (n == TLS_WANT_POLLIN || n == TLS_WANT_POLLOUT)
			return t->in.n ? 0 : -EAGAIN;
		if (n < 0)
			return t->in.n ? 0 : -EIO;
		t->eof = n == 0;
		t->in.n += (size_t)n;
		t->more = !t->eof && t->in.n >= MOST;
	}
	return 0;
}

ssize_t
tlsfd_read(struct tlsfd *t, void *to, size_t n)
{
	size_t have;
	int rc;

	if (t->at == t->in.n && (rc = tlsfd_fill(t)) < 0)
		return rc;
	have = t->in.n - t->at;
	if (n > have)
		n = have;
	memcpy(to, t->in.p + t->at, n);
	t->at += n;
	return (ssize_t)n;
}

ssize_t
tlsfd_write(struct tlsfd *t, const void *from, size_t n)
{
	ssize_t rc = tls_session_write(t->tls, from, n);

	if (rc == TLS_WANT_POLLIN || rc == TLS_WANT_POLLOUT)
		return -EAGAIN;
	return rc < 0 ? -EIO : rc;
}

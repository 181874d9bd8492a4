/* net/tlsfd.c: see tlsfd.h.
 *
 * libtls cannot say whether it holds decrypted bytes, so each read empties it into a buffer of
 * ours, which can. */
#include <errno.h>
#include <stdlib.h>
#include "base/buf.h"
#include "base/mem.h"
#include "net/tls_ctx.h"
#include "net/tlsfd.h"

#define PIECE 16384 /* the most that a TLS record holds */

struct tlsfd {
	struct tls *tls;
	struct buf in;
	size_t at;
	bool eof, secure;
};

struct tlsfd *
tlsfd_new(struct tls_ctx *ctx, int fd, const char *name, char **why)
{
	struct tlsfd *t = mem_new(sizeof(*t));

	t->tls = tls_client();
	if (t->tls && tls_configure(t->tls, ctx->config) == 0 &&
	    tls_connect_socket(t->tls, fd, name) == 0)
		return t;
	*why = mem_str(t->tls && tls_error(t->tls) ? tls_error(t->tls) : "cannot set up TLS");
	tls_free(t->tls);
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
		(void)tls_close(t->tls);
	tls_free(t->tls);
	buf_fini(&t->in);
	free(t);
}

enum tlsfd_want
tlsfd_handshake(struct tlsfd *t)
{
	switch (tls_handshake(t->tls)) {
	case 0:
		t->secure = true;
		return TLSFD_DONE;
	case TLS_WANT_POLLIN:
		return TLSFD_READ;
	case TLS_WANT_POLLOUT:
		return TLSFD_WRITE;
	default:
		return TLSFD_FAILED;
	}
}

const char *
tlsfd_error(const struct tlsfd *t)
{
	const char *why = tls_error(t->tls);

	return why ? why : "TLS failed";
}

bool
tlsfd_ready(const struct tlsfd *t)
{
	return t->in.n > t->at || t->eof;
}

/* Takes all that libtls has, until it would wait. */
static int
fill(struct tlsfd *t)
{
	buf_clear(&t->in);
	t->at = 0;
	while (!t->eof) {
		char *to = buf_reserve(&t->in, PIECE);
		ssize_t n = tls_read(t->tls, to, PIECE);

		if (n == TLS_WANT_POLLIN || n == TLS_WANT_POLLOUT)
			return t->in.n ? 0 : -EAGAIN;
		if (n < 0)
			return t->in.n ? 0 : -EIO;
		t->eof = n == 0;
		t->in.n += (size_t)n;
	}
	return 0;
}

ssize_t
tlsfd_read(struct tlsfd *t, void *to, size_t n)
{
	size_t have;
	int rc;

	if (t->at == t->in.n && (rc = fill(t)) < 0)
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
	ssize_t rc = tls_write(t->tls, from, n);

	if (rc == TLS_WANT_POLLIN || rc == TLS_WANT_POLLOUT)
		return -EAGAIN;
	return rc < 0 ? -EIO : rc;
}

/* t/net/pair.h: two streams joined by a socket, for the stream tests. */
#ifndef T_NET_PAIR_H
#define T_NET_PAIR_H
#include <arpa/inet.h>
#include <errno.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/must.h"
#include "net/listen.h"
#include "net/stream.h"
#include "../tap.h"

/* One end.  `script` is what its input event does; the rest is recorded. */
struct end {
	struct stream io;
	const char *name;
	void (*script)(struct end *);
	void (*on_drained)(struct end *);
	struct buf got; /* what default_script has read */
	int inputs, drained, timeouts, secured, secured_error;
	char why[200];
	bool closed, eof;
	struct end *peer;
	size_t n; /* for scripts */
	char text[100];
};

static struct loop loop;
static int open_ends;

static void
end_closed(struct stream *s)
{
	struct end *e = s->data;

	e->closed = true;
	if (--open_ends == 0)
		loop_stop(&loop);
}

/* Reads all; at the end closes. */
static inline void
default_script(struct end *e)
{
	struct slice in = stream_peek(&e->io);

	buf_slice(&e->got, in);
	stream_take(&e->io, in.n);
	if (stream_eof(&e->io)) {
		e->eof = true;
		stream_close(&e->io);
	}
}

static void
end_input(struct stream *s)
{
	struct end *e = s->data;

	e->inputs++;
	e->script(e);
}

static void
end_drained(struct stream *s)
{
	struct end *e = s->data;

	e->drained++;
	if (e->on_drained)
		e->on_drained(e);
}

static void
end_timeout(struct stream *s)
{
	struct end *e = s->data;

	e->timeouts++;
	stream_close(s);
}

static void
end_secured(struct stream *s, int error, const char *why)
{
	struct end *e = s->data;

	e->secured++;
	e->secured_error = error;
	if (error) {
		snprintf(e->why, sizeof(e->why), "%s", why);
		stream_close(s);
	}
}

static const struct stream_events end_events = { .input = end_input,
	.drained = end_drained,
	.secured = end_secured,
	.timeout = end_timeout,
	.closed = end_closed };

static void
end_open(struct end *e, const char *name, int fd)
{
	memset(e, 0, sizeof(*e));
	e->name = name;
	e->script = default_script;
	stream_init(&e->io, &loop, &end_events, e);
	must(stream_open(&e->io, fd) == 0);
	open_ends++;
}

/* Over loopback TCP, or a Unix socket pair. */
static inline void
pair_fds(bool tcp, int fds[2])
{
	struct addr a;
	int fd;

	if (!tcp) {
		must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
		return;
	}
	must(addr_parse(S("127.0.0.1:0"), &a) == 0);
	fd = listen_open(&a, 0);
	must(fd >= 0 && getsockname(fd, &a.sa, &a.len) == 0);
	fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(connect(fds[0], &a.sa, a.len) == 0);
	while ((fds[1] = accept(fd, NULL, NULL)) < 0)
		must(errno == EAGAIN || errno == EINTR);
	close(fd);
}

static inline void
pair_open(struct end *a, struct end *b, bool tcp)
{
	int fds[2];

	pair_fds(tcp, fds);
	end_open(a, "a", fds[0]);
	end_open(b, "b", fds[1]);
	a->peer = b;
	b->peer = a;
}

static inline void
pair_free(struct end *a, struct end *b)
{
	buf_fini(&a->got);
	buf_fini(&b->got);
}

static inline void
say(struct end *e, const char *text)
{
	buf_str(stream_out(&e->io), text);
	stream_flush(&e->io);
}
#endif

/* daemon/ask-start.c: see daemon/ask-start.h.
 *
 *	address -> connection -> TLS -> question -> answer, until close_notify -> over
 *
 * Owns itself, from the start to the answer or to op_cancel.  Can fail: each step, which is told in words.  Must stay
 * true: the host's certificate is checked under the name that was given before anything is said; an answer is whole
 * only where TLS ended well behind it; all steps together have the time that was given. */
#include "daemon/ask-start.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/must.h"
#include "daemon/daemon.h"
#include "daemon/remote.h"
#include "net/connect.h"
#include "net/stream.h"

#define ASKING_MAGIC     0x61736b67u
#define ASKING_ADDRESSES 8

struct asking {
	uint32_t magic;
	struct loop *loop;
	struct op wait, *op; /* op: the owner's; NULL: it was cancelled, or told */
	struct stream io;
	bool open;
	char *host;
	int port;
	struct addr addrs[ASKING_ADDRESSES];
	size_t naddrs, at, most;
	struct buf line, said;
	uint64_t until;       /* loop_now */
	struct deadline late; /* of all steps: DNS has a time of its own, which is longer */
	void (*done)(void *arg, int e, struct slice text, const char *why);
	void *arg;
};

/* ---- the end --------------------------------------------------------------------------------------- */

static void
asking_free(struct asking *a)
{
	a->magic = 0;
	buf_fini(&a->line);
	buf_fini(&a->said);
	mem_free(&a->host);
	mem_free(&a);
}

/* What is open closes, and frees it then. */
static void
asking_leave(struct asking *a)
{
	op_cancel(&a->wait);
	deadline_clear(&a->late);
	if (a->open)
		stream_close(&a->io);
	else
		asking_free(a);
}

static void
asking_over(struct asking *a, int e, const char *why)
{
	struct op *op = a->op;

	a->op = NULL;
	if (op) {
		op_done(op);
		a->done(a->arg, e, buf_get(&a->said), e == 0 ? "" : why ? why : strerror(-e));
	}
	asking_leave(a);
}

static void
asking_cancel(struct op *op)
{
	struct asking *a = CAST(op->impl, struct asking, ASKING_MAGIC);

	a->op = NULL;
	asking_leave(a);
}

static void
asking_is_late(struct deadline *d)
{
	asking_over(CONTAINER(d, struct asking, late), -ETIMEDOUT, NULL);
}

static uint32_t
asking_left(const struct asking *a)
{
	uint64_t now = loop_now(a->loop);

	return a->until > now ? (uint32_t)(a->until - now) : 1;
}

/* ---- the connection -------------------------------------------------------------------------------- */

static void
asking_on_closed(struct stream *io)
{
	asking_free(CAST(io->data, struct asking, ASKING_MAGIC));
}

static void
asking_on_timeout(struct stream *io)
{
	asking_over(CAST(io->data, struct asking, ASKING_MAGIC), -ETIMEDOUT, NULL);
}

static void
asking_on_secured(struct stream *io, int error, const char *why)
{
	struct asking *a = CAST(io->data, struct asking, ASKING_MAGIC);

	if (error) {
		asking_over(a, -EPROTO, why);
		return;
	}
	buf_slice(stream_out(io), buf_get(&a->line));
	stream_flush(io);
}

static void
asking_on_input(struct stream *io)
{
	struct asking *a = CAST(io->data, struct asking, ASKING_MAGIC);
	struct slice in = stream_peek(io);

	if (!a->op)
		return;
	buf_slice(&a->said, slice_sub(in, 0, a->most - a->said.n));
	if (in.n && a->said.n == a->most) {
		asking_over(a, -EMSGSIZE, NULL);
		return;
	}
	stream_take(io, in.n);
	if (stream_eof(io))
		asking_over(a, stream_tls_parted(io) ? 0 : -ECONNRESET, NULL);
}

static const struct stream_events asking_events = { .input = asking_on_input,
	.secured = asking_on_secured,
	.timeout = asking_on_timeout,
	.closed = asking_on_closed };

static void asking_connect(struct asking *a);

static void
asking_connected(void *arg, int fd)
{
	struct asking *a = CAST(arg, struct asking, ASKING_MAGIC);
	struct tls_ctx *ctx = daemon_tls_client(true);
	int e = fd;

	if (fd < 0 && ++a->at < a->naddrs && loop_now(a->loop) < a->until) {
		asking_connect(a);
		return;
	}
	if (fd >= 0) {
		stream_init(&a->io, a->loop, &asking_events, a);
		if ((e = stream_open(&a->io, fd)) < 0)
			(void)close(fd);
	}
	if (e < 0) {
		asking_over(a, e, NULL);
		return;
	}
	a->open = true;
	stream_limit(&a->io, asking_left(a));
	stream_start(&a->io);
	if (!ctx || stream_tls_connect(&a->io, ctx, a->host) < 0)
		asking_over(a, -EPROTO, ctx ? "TLS cannot begin" : "no TLS without tls.ca");
}

static void
asking_connect(struct asking *a)
{
	connect_start(a->loop, &a->addrs[a->at], NULL, asking_left(a), &a->wait, asking_connected,
	    a);
}

static void
asking_found(void *arg, const struct dns_answer *answer)
{
	struct asking *a = CAST(arg, struct asking, ASKING_MAGIC);

	for (size_t i = 0; answer->status == 0 && i < answer->naddrs; i++) {
		if (a->naddrs == ASKING_ADDRESSES)
			break;
		a->addrs[a->naddrs] = answer->addrs[i];
		addr_set_port(&a->addrs[a->naddrs++], a->port);
	}
	if (a->naddrs)
		asking_connect(a);
	else
		asking_over(a, -EHOSTUNREACH, "its name has no address, or DNS does not answer");
}

void
daemon_ask_start(struct loop *l, struct dns *dns, const char *host, const char *daemon,
    struct slice line, uint32_t ms, size_t most, struct op *op,
    void (*done)(void *arg, int e, struct slice text, const char *why), void *arg)
{
	struct asking *a = mem_new(sizeof(*a));

	a->magic = ASKING_MAGIC;
	a->loop = l;
	a->op = op;
	a->host = mem_str(host);
	a->port = daemon_remote_port(daemon);
	must(a->port);
	a->most = most;
	a->until = loop_now(l) + ms;
	a->done = done;
	a->arg = arg;
	buf_slice(&a->line, line);
	buf_char(&a->line, '\n');
	*op = (struct op){ .cancel = asking_cancel, .impl = a };
	deadline_init(&a->late);
	deadline_set(&a->late, l, ms, asking_is_late);
	dns_addr_start(dns, host, &a->wait, asking_found, a);
}

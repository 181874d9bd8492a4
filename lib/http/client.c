/* http/client.c: see client.h.
 *
 * Owns each connection from its handshake to its last event, and the pools' lists of those at rest.  Called by
 * whoever asks.  Can fail: everything of the peer's, and then the asker is told once.  Must stay true: a
 * connection goes back to rest only when the request was written to its end and the answer read to its own, and
 * nothing lies unread behind it: an octet too much there would be the beginning of somebody else's answer. */
#include "http/client.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "http/text.h"

/* A peer of ours says more about itself than a stranger may; no bound for bodies, which flow through. */
static const struct http_bounds client_bounds = { .head = 65536,
	.target = 1,
	.fields = 200,
	.body = UINT64_MAX };

/* Until the system looks whether a silent peer is still there. */
#define CLIENT_KEEPALIVE_S 60

/*	DIALLING --> OPEN --ask--> ASKING --end--> RESTING --take--> OPEN ...
 *	any --> OVER: nothing is told any more, only `closed` is waited for */
enum client_state { CLIENT_DIALLING, CLIENT_OPEN, CLIENT_ASKING, CLIENT_RESTING, CLIENT_OVER };

struct http_client {
	struct stream io;
	struct http_pool *pool;
	struct list link; /* pool->idle while at rest */
	char *key;
	unsigned epoch; /* the pool's, when it was looked for */
	struct http_reader reader;
	struct deadline time; /* DIALLING: until TLS; RESTING: until it is closed */
	struct later soon;    /* DIALLING: what is known at once is told from the loop */
	/* while dialling */
	struct op *op;
	void (*done)(void *arg, struct http_client *, const char *why);
	/* the request in flight */
	const struct http_asker *asker;
	void *arg;
	uint8_t state;
	bool used;    /* it has answered a request before */
	bool touched; /* an octet of the answer has come */
	bool chunked; /* the request's body is */
	bool written; /* ... to its end */
	bool final;   /* the head that was told is the answer's */
	bool paused;
	bool running; /* http_client_read is on the stack */
};

static void
http_client_move(struct http_client *c, enum client_state to)
{
	static const char *const names[] = { "dialling", "open", "asking", "resting", "over" };

	if (log_wants(LOG_DEBUG))
		log_event(LOG_DEBUG, "http_client", "peer=%s from=%s to=%s", log_str(c->key),
		    names[c->state], names[to]);
	c->state = (uint8_t)to;
}

/* ---- the end ----------------------------------------------------------------------------------- */

static void
http_client_close(struct http_client *c)
{
	if (c->state == CLIENT_OVER)
		return;
	if (c->state == CLIENT_RESTING)
		c->pool->n--;
	list_remove(&c->link);
	deadline_clear(&c->time);
	later_cancel(&c->soon);
	http_client_move(c, CLIENT_OVER);
	stream_close(&c->io);
}

static void
http_client_fail(struct http_client *c, const char *why)
{
	const struct http_asker *asker = c->asker;
	bool untouched = c->used && !c->touched;

	http_client_close(c);
	asker->failed(c->arg, why, untouched);
}

static void
http_client_on_closed(struct stream *io)
{
	struct http_client *c = CONTAINER(io, struct http_client, io);

	http_reader_fini(&c->reader);
	mem_free(&c->key);
	mem_free(&c);
}

/* ---- at rest ------------------------------------------------------------------------------------- */

static void
http_client_on_rested(struct deadline *d)
{
	http_client_close(CONTAINER(d, struct http_client, time));
}

static void
http_client_rest(struct http_client *c)
{
	struct http_pool *p = c->pool;

	http_client_move(c, CLIENT_RESTING);
	c->used = true;
	list_push_front(&p->idle, &c->link);
	p->n++;
	stream_idle(&c->io, 0);
	deadline_set(&c->time, p->loop, p->rest_ms, http_client_on_rested);
	stream_start(&c->io); /* so that its end is noticed */
	if (p->n > p->most)
		http_client_close(list_last(&p->idle, struct http_client, link));
}

void
http_pool_init(struct http_pool *p, struct loop *l, size_t most, uint32_t rest_ms)
{
	p->loop = l;
	list_init(&p->idle);
	p->n = 0;
	p->most = most;
	p->rest_ms = rest_ms;
	p->epoch = 0;
}

struct http_client *
http_pool_take(struct http_pool *p, struct slice key)
{
	struct http_client *c;

	list_each(c, &p->idle, struct http_client, link)
	{
		if (!slice_eq(slice_str(c->key), key))
			continue;
		p->n--;
		list_remove(&c->link);
		deadline_clear(&c->time);
		http_client_move(c, CLIENT_OPEN);
		return c;
	}
	return NULL;
}

void
http_pool_clear(struct http_pool *p)
{
	struct http_client *c;

	list_each(c, &p->idle, struct http_client, link) http_client_close(c);
	p->epoch++;
}

/* ---- the answer ---------------------------------------------------------------------------------- */

/* Is the connection as it was before the request? */
static bool
http_client_clean(struct http_client *c)
{
	return c->reader.head.keep && c->written && c->epoch == c->pool->epoch &&
	    stream_peek(&c->io).n == 0 && !stream_eof(&c->io);
}

/* The end of an answer: back to rest, or not. */
static void
http_client_end(struct http_client *c)
{
	const struct http_asker *asker = c->asker;
	void *arg = c->arg;

	c->asker = NULL;
	if (http_client_clean(c))
		http_client_rest(c);
	else
		http_client_close(c);
	asker->end(arg);
}

static void
http_client_headed(struct http_client *c)
{
	c->final = c->reader.head.code >= 200;
	if (c->final)
		c->asker->head(c->arg, &c->reader.head);
}

/* What came, up to the end of the answer; the asker may pause or drop it at each event. */
static enum http_ev
http_client_step(struct http_client *c)
{
	struct slice in = stream_peek(&c->io);
	size_t before = in.n;
	enum http_ev ev = http_reader_next(&c->reader, &in);

	/* The piece lies in the input: it is taken when it was passed on. */
	if (ev == HTTP_EV_BYTES)
		c->asker->bytes(c->arg, c->reader.bytes);
	if (c->state != CLIENT_ASKING)
		return HTTP_EV_DRY;
	stream_take(&c->io, before - in.n);
	/* A reset is no end, also of a body that ends with the connection. */
	if (ev == HTTP_EV_DRY && stream_ended(&c->io) && !c->io.error)
		ev = http_reader_eof(&c->reader);
	else if (ev == HTTP_EV_DRY && !c->io.error)
		return ev;
	if (ev == HTTP_EV_HEAD)
		http_client_headed(c);
	else if (ev == HTTP_EV_END && c->final)
		http_client_end(c);
	else if (ev == HTTP_EV_BAD)
		http_client_fail(c, c->reader.why);
	else if (ev == HTTP_EV_DRY)
		http_client_fail(c, c->io.error ? strerror(-c->io.error) : "closed");
	return ev;
}

static void
http_client_read(struct http_client *c)
{
	if (c->running)
		return;
	c->running = true;
	c->touched = c->touched || stream_peek(&c->io).n > 0;
	while (c->state == CLIENT_ASKING && !c->paused && http_client_step(c) != HTTP_EV_DRY)
		;
	c->running = false;
}

/* ---- events of the stream -------------------------------------------------------------------------- */

static void
http_client_on_input(struct stream *io)
{
	struct http_client *c = CONTAINER(io, struct http_client, io);

	switch ((enum client_state)c->state) {
	case CLIENT_ASKING:
		http_client_read(c);
		/* What is paused holds no more than one read brings. */
		if (c->state == CLIENT_ASKING && c->paused)
			stream_stop(io);
		break;
	/* It has closed, or it speaks without being asked. */
	case CLIENT_RESTING: http_client_close(c); break;
	case CLIENT_DIALLING:
	case CLIENT_OPEN:
	case CLIENT_OVER: break;
	}
}

static void
http_client_on_drained(struct stream *io)
{
	struct http_client *c = CONTAINER(io, struct http_client, io);

	if (c->state == CLIENT_ASKING && !c->written && c->asker->room)
		c->asker->room(c->arg);
}

static void
http_client_on_timeout(struct stream *io)
{
	struct http_client *c = CONTAINER(io, struct http_client, io);

	if (c->state != CLIENT_ASKING)
		return;
	/* Not the peer's turn: the asker reads no further, or has not said all. */
	if (c->paused || (!c->written && stream_backlog(io) == 0)) {
		stream_idle(io, io->idle_ms);
		return;
	}
	http_client_fail(c, "says nothing");
}

/* ---- the beginning ------------------------------------------------------------------------------- */

static void
http_client_dialled(struct http_client *c, const char *why)
{
	struct op *op = c->op;
	void *arg = c->arg;

	deadline_clear(&c->time);
	c->op = NULL;
	if (why)
		http_client_close(c);
	else
		http_client_move(c, CLIENT_OPEN);
	op_done(op);
	c->done(arg, why ? NULL : c, why);
}

static void
http_client_on_secured(struct stream *io, int error, const char *why)
{
	struct http_client *c = CONTAINER(io, struct http_client, io);

	if (c->state == CLIENT_DIALLING)
		http_client_dialled(c, error ? (why ? why : strerror(-error)) : NULL);
}

static void
http_client_on_late(struct deadline *d)
{
	struct http_client *c = CONTAINER(d, struct http_client, time);

	http_client_dialled(c, "TLS takes too long");
}

static void
http_client_dial_cancel(struct op *op)
{
	http_client_close(op->impl);
}

static const struct stream_events client_events = {
	.input = http_client_on_input,
	.drained = http_client_on_drained,
	.secured = http_client_on_secured,
	.timeout = http_client_on_timeout,
	.closed = http_client_on_closed,
};

static void
http_client_on_soon(struct later *l)
{
	struct http_client *c = CONTAINER(l, struct http_client, soon);

	http_client_dialled(c, c->io.error ? "TLS cannot begin" : NULL);
}

int
http_dial_start(struct http_pool *p, struct slice key, unsigned epoch, int fd, struct tls_ctx *ctx,
    const char *name, uint32_t timeout_ms, struct op *op,
    void (*done)(void *arg, struct http_client *c, const char *why), void *arg)
{
	struct http_client *c = mem_new(sizeof(*c));
	int r;

	stream_init(&c->io, p->loop, &client_events, c);
	r = stream_open(&c->io, fd);
	if (r < 0) {
		mem_free(&c);
		return r;
	}
	c->pool = p;
	c->key = mem_strn(key.p, key.n);
	c->epoch = epoch;
	c->op = op;
	c->done = done;
	c->arg = arg;
	list_init(&c->link);
	deadline_init(&c->time);
	later_init(&c->soon);
	http_reader_init_answers(&c->reader, &client_bounds);
	*op = (struct op){ .cancel = http_client_dial_cancel, .impl = c };
	stream_keepalive(&c->io, CLIENT_KEEPALIVE_S);
	stream_start(&c->io);
	if (!ctx) {
		later_run(&c->soon, p->loop, http_client_on_soon);
	} else if (stream_tls_connect(&c->io, ctx, name) < 0) {
		c->io.error = -EPROTO;
		later_run(&c->soon, p->loop, http_client_on_soon);
	} else {
		deadline_set(&c->time, p->loop, timeout_ms, http_client_on_late);
	}
	return 0;
}

/* ---- the request ----------------------------------------------------------------------------------- */

void
http_client_ask(struct http_client *c, const struct http_asker *asker, void *arg,
    struct slice method, struct slice target, struct slice host)
{
	struct buf *b = stream_out(&c->io);

	must(c->state == CLIENT_OPEN);
	http_client_move(c, CLIENT_ASKING);
	c->asker = asker;
	c->arg = arg;
	c->touched = c->chunked = c->written = c->final = c->paused = false;
	c->reader.bare = slice_eq(method, S("HEAD"));
	buf_slice(b, method);
	buf_char(b, ' ');
	buf_slice(b, target);
	buf_lit(b, " HTTP/1.1\r\nHost: ");
	buf_slice(b, host);
	buf_lit(b, "\r\n");
}

void
http_client_field(struct http_client *c, const char *name, struct slice value)
{
	http_field_write(stream_out(&c->io), name, value);
}

void
http_client_strays(struct http_client *c)
{
	c->reader.strays = true;
}

void
http_client_body(struct http_client *c, uint64_t length, bool none, uint32_t silence_ms)
{
	struct buf *b = stream_out(&c->io);

	c->chunked = !none && length == HTTP_LENGTH_UNKNOWN;
	if (c->chunked)
		buf_lit(b, "Transfer-Encoding: chunked\r\n");
	else if (!none)
		buf_printf(b, "Content-Length: %llu\r\n", (unsigned long long)length);
	buf_lit(b, "\r\n");
	c->written = none || length == 0;
	stream_idle(&c->io, silence_ms);
	stream_flush(&c->io);
	stream_start(&c->io);
}

void
http_client_silence(struct http_client *c, uint32_t silence_ms)
{
	stream_idle(&c->io, silence_ms);
}

void
http_client_piece(struct http_client *c, struct slice piece)
{
	struct buf *b = stream_out(&c->io);

	if (piece.n == 0)
		return; /* an empty chunk would be the last one; and there may be no content at all */
	must(!c->written);
	if (c->chunked)
		buf_printf(b, "%zx\r\n", piece.n);
	buf_slice(b, piece);
	if (c->chunked)
		buf_lit(b, "\r\n");
	stream_flush(&c->io);
}

void
http_client_done(struct http_client *c)
{
	if (c->chunked)
		buf_lit(stream_out(&c->io), "0\r\n\r\n");
	c->written = true;
	stream_flush(&c->io);
}

bool
http_client_full(struct http_client *c)
{
	return stream_backlog(&c->io) > STREAM_LOW;
}

void
http_client_pause(struct http_client *c)
{
	c->paused = true;
	if (!c->io.in_event)
		stream_stop(&c->io);
}

/* What was read before goes on in the loop: stream_start tells it. */
void
http_client_go(struct http_client *c)
{
	if (!c->paused)
		return;
	c->paused = false;
	stream_start(&c->io);
}

void
http_client_drop(struct http_client **cp)
{
	struct http_client *c = *cp;

	*cp = NULL;
	if (c)
		http_client_close(c);
}

const struct http_head *
http_client_head(const struct http_client *c)
{
	return &c->reader.head;
}

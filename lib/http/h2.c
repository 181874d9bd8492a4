/* http/h2.c: a connection of HTTP/2: frames, times, limits, the end: see h2-impl.h.
 *
 * Owns the session of nghttp2, the list of streams (h2-stream.c), and the pool of connections within.  Called by server.c
 * for steps and ends, and by nghttp2 from inside steps.  Can fail: all that the client sends, which is a stream's end, or
 * with RFC 9113 5.4.1 the connection's.
 * Must stay true: nothing of a request is written within but what h2-head.c has let through, so that no stream is two
 * requests there; what a client may make us keep is bounded: of a stream its head (limits.bounds), one
 * window of its body and ANSWER_MOST of its answer, of these HTTP_H2_STREAMS, besides what a connection within keeps, as
 * any does. */
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "http/h2-stream-impl.h"

#define H2_FEED  16384 /* octets that nghttp2 is given at once: a turn's work */
#define H2_WRITE 65536 /* ... and that it writes */
#define H2_KEPT  16    /* connections within that rest */
/* Streams that a client takes back: so many at once, and a second (CVE-2023-44487). */
#define H2_RESETS    200
#define H2_RESETS_S  20
#define H2_ACKS      100 /* answers to PING and SETTINGS that it does not read */
#define H2_SETTINGS  32  /* in a frame */
#define H2_CONTINUED 8   /* frames that go on with a head (CVE-2024-28182) */

enum h2_time { H2_IDLE, H2_HEADING, H2_OPEN };

/* ---- time ---------------------------------------------------------------------------------------------- */

/* A stream has the times of its server; the connection has those of heads, and of having none. */
static void
h2_time(struct http_h2 *h)
{
	const struct http_limits *limits = h->s->policy->limits;
	enum h2_time to = h->heading ? H2_HEADING : h->nstreams ? H2_OPEN : H2_IDLE;

	if (h->time == to)
		return;
	h->time = (uint8_t)to;
	line_session_time(&h->s->line,
	    to == H2_HEADING  ? limits->head_ms :
		to == H2_OPEN ? 0 :
				limits->idle_ms,
	    true);
}

void
http_h2_wake(struct http_h2 *h)
{
	line_session_wake(&h->s->line);
}

static struct h2_stream *
h2_stream_of(struct http_h2 *h, int32_t id)
{
	return nghttp2_session_get_stream_user_data(h->session, id);
}

/* ---- frames -------------------------------------------------------------------------------------------- */

static int
h2_on_header(nghttp2_session *session UNUSED, const nghttp2_frame *frame, const uint8_t *name,
    size_t nname, const uint8_t *value, size_t nvalue, uint8_t flags UNUSED, void *arg)
{
	struct http_h2 *h = arg;
	struct h2_stream *st = h2_stream_of(h, frame->hd.stream_id);

	if (st) /* trailers count, and are dropped */
		http_h2_head_add(&st->head, &h->s->policy->limits->bounds,
		    slice((const char *)name, nname), slice((const char *)value, nvalue),
		    frame->headers.cat == NGHTTP2_HCAT_REQUEST);
	return 0;
}

static int
h2_on_begin(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct http_h2 *h = arg;
	struct h2_stream *st;

	h->heading = frame->hd.stream_id;
	if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	st = http_h2_stream_new(h, frame->hd.stream_id);
	return nghttp2_session_set_stream_user_data(session, st->id, st);
}

static int
h2_on_frame(nghttp2_session *session UNUSED, const nghttp2_frame *frame, void *arg)
{
	struct http_h2 *h = arg;
	bool head = frame->hd.type == NGHTTP2_HEADERS;
	bool over = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
	struct h2_stream *st;

	if (head)
		h->heading = 0;
	if (!head && frame->hd.type != NGHTTP2_DATA)
		return 0;
	st = h2_stream_of(h, frame->hd.stream_id);
	if (!st)
		return 0;
	if (head && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
		http_h2_stream_ask(st, over);
	} else if (over) {
		http_h2_stream_over(st);
	}
	return 0;
}

static int
h2_on_data(nghttp2_session *session, uint8_t flags UNUSED, int32_t id, const uint8_t *p, size_t n,
    void *arg)
{
	struct http_h2 *h = arg;
	struct h2_stream *st = h2_stream_of(h, id);

	/* One stream that is slow keeps no other waiting. */
	(void)nghttp2_session_consume_connection(session, n);
	if (st)
		http_h2_stream_body(st, slice((const char *)p, n));
	return 0;
}

static int
h2_on_sent(nghttp2_session *session UNUSED, const nghttp2_frame *frame, void *arg)
{
	struct h2_stream *st;

	if ((frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS) ||
	    !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	st = h2_stream_of(arg, frame->hd.stream_id);
	if (st)
		http_h2_stream_answered(st);
	return 0;
}

static int
h2_on_closed(nghttp2_session *session UNUSED, int32_t id, uint32_t code UNUSED, void *arg)
{
	struct http_h2 *h = arg;
	struct h2_stream *st = h2_stream_of(h, id);

	if (h->heading == id) /* nghttp2 has refused it, and tells its end no other way */
		h->heading = 0;
	if (st)
		http_h2_stream_free(st);
	return 0;
}

/* ---- steps --------------------------------------------------------------------------------------------- */

/* False: it is no HTTP/2, or too much of it. */
static bool
h2_feed(struct http_h2 *h, size_t *fed)
{
	struct stream *io = &h->s->line.io;
	struct slice in = slice_sub(stream_peek(io), 0, H2_FEED);
	ssize_t n;

	*fed = in.n;
	if (in.n == 0)
		return true;
	n = nghttp2_session_mem_recv(h->session, (const uint8_t *)in.p, in.n);
	if (n >= 0) {
		stream_take(io, (size_t)n);
		return true;
	}
	if (h->s->policy->event)
		h->s->policy->event(h->s, HTTP_EVENT_BAD);
	log_event(LOG_INFO, "http_bad", "sid=%s status=0 why=%s", h->s->line.sid,
	    log_str(nghttp2_strerror((int)n)));
	h->s->line.why = "bad";
	return false;
}

static size_t
h2_write(struct http_h2 *h, size_t most)
{
	struct buf *out = stream_out(&h->s->line.io);
	const uint8_t *p;
	size_t written = 0;
	ssize_t n = 1;

	while (written < most && (n = nghttp2_session_mem_send(h->session, &p)) > 0) {
		buf_add(out, p, (size_t)n);
		written += (size_t)n;
	}
	return written;
}

enum line_next
http_h2_step(struct http_h2 *h)
{
	size_t fed, written;
	bool good = h2_feed(h, &fed);

	written = h2_write(h, H2_WRITE);
	h2_time(h);
	if (!good)
		return LINE_CLOSE;
	if (!nghttp2_session_want_read(h->session) && !nghttp2_session_want_write(h->session)) {
		h->s->line.why = "close";
		return LINE_CLOSE;
	}
	return fed || written ? LINE_ON : LINE_DRY;
}

bool
http_h2_busy(const struct http_h2 *h)
{
	return h->nstreams > 0;
}

void
http_h2_drain(struct http_h2 *h)
{
	(void)nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE,
	    nghttp2_session_get_last_proc_stream_id(h->session), NGHTTP2_NO_ERROR, NULL, 0);
	http_h2_wake(h);
}

void
http_h2_bye(struct http_h2 *h)
{
	(void)nghttp2_session_terminate_session(h->session, NGHTTP2_NO_ERROR);
	(void)h2_write(h, H2_WRITE);
}

/* ---- begin and end ------------------------------------------------------------------------------------- */

static nghttp2_session *
h2_session(struct http_h2 *h)
{
	nghttp2_session_callbacks *c;
	nghttp2_option *o;
	nghttp2_session *session;

	must(nghttp2_session_callbacks_new(&c) == 0 && nghttp2_option_new(&o) == 0);
	nghttp2_session_callbacks_set_on_begin_headers_callback(c, h2_on_begin);
	nghttp2_session_callbacks_set_on_header_callback(c, h2_on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(c, h2_on_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, h2_on_data);
	nghttp2_session_callbacks_set_on_frame_send_callback(c, h2_on_sent);
	nghttp2_session_callbacks_set_on_stream_close_callback(c, h2_on_closed);
	nghttp2_option_set_no_auto_window_update(o, 1);
	nghttp2_option_set_no_closed_streams(o, 1);
	nghttp2_option_set_max_outbound_ack(o, H2_ACKS);
	nghttp2_option_set_max_settings(o, H2_SETTINGS);
	nghttp2_option_set_max_continuations(o, H2_CONTINUED);
	nghttp2_option_set_stream_reset_rate_limit(o, H2_RESETS, H2_RESETS_S);
	must(nghttp2_session_server_new2(&session, c, h, o) == 0);
	nghttp2_option_del(o);
	nghttp2_session_callbacks_del(c);
	return session;
}

struct http_h2 *
http_h2_new(struct http_server *s)
{
	const struct http_limits *limits = s->policy->limits;
	struct http_h2 *h = mem_new(sizeof(*h));
	nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, HTTP_H2_STREAMS },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits->bounds.head },
	};

	h->s = s;
	list_init(&h->streams);
	/* They rest for less than their servers let them. */
	http_pool_init(&h->pool, s->line.io.loop, H2_KEPT, limits->idle_ms / 2);
	h->session = h2_session(h);
	h->time = H2_OPEN;
	h2_time(h);
	must(
	    nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings, NELEM(settings)) == 0);
	return h;
}

void
http_h2_free(struct http_h2 **hp)
{
	struct http_h2 *h = *hp;
	struct h2_stream *st;

	*hp = NULL;
	if (!h)
		return;
	list_each(st, &h->streams, struct h2_stream, link) http_h2_stream_free(st);
	http_pool_clear(&h->pool);
	nghttp2_session_del(h->session);
	mem_free(&h);
}

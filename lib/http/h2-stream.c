/* http/h2-stream.c: a stream of HTTP/2: a request within, and its answer back: see h2-impl.h.
 *
 * Owns struct h2_stream, with the connection within that is lent to it.  Called by h2.c for what the client says, by
 * http/client for what the server within does, and by nghttp2 for the answer's content.  Can fail: descriptors, which is
 * 503, and the server within, which is the stream's end.  Must stay true: a window is opened again for what the server
 * within has taken alone, and no more than ANSWER_MOST of an answer waits here for its reader. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "http/h2-stream-impl.h"

#define ANSWER_MOST 65536 /* octets */
#define PAST_MOST   65536 /* octets of a request behind its answer, */
#define PAST_MS     2000  /* and time for them, until the client is told to stop */

static void
h2_reset(struct h2_stream *st, uint32_t code)
{
	(void)nghttp2_submit_rst_stream(st->h->session, NGHTTP2_FLAG_NONE, st->id, code);
	http_h2_wake(st->h);
}

/* ---- the reader's time ----------------------------------------------------------------------------------- */

/* It opens no window, or reads nothing at all, and then the reset would not reach it either. */
static void
h2_on_late(struct deadline *d)
{
	struct h2_stream *st = CONTAINER(d, struct h2_stream, time);
	struct http_server *s = st->h->s;

	st->owing = false;
	if (s->policy->event)
		s->policy->event(s, HTTP_EVENT_TIMEOUT);
	log_event(LOG_INFO, "http2_late", "sid=%s stream=%d octets=%zu", s->line.sid, st->id,
	    st->paced);
	if (s->line.state == LINE_FULL)
		line_session_close(&s->line, "timeout");
	else
		h2_reset(st, NGHTTP2_CANCEL);
}

static void
h2_owe(struct h2_stream *st, bool anew)
{
	if (st->owing && !anew)
		return;
	st->owing = true;
	st->paced = 0;
	deadline_set(&st->time, st->h->s->line.io.loop, st->h->s->policy->limits->pace_ms,
	    h2_on_late);
}

/* `n` octets of the answer are on their way; `dry`: and it is the server's turn again.  What a connection must take in
 * pace_ms its streams share, so that many on a slow line are not too slow. */
static void
h2_pace(struct h2_stream *st, size_t n, bool dry)
{
	st->paced += n;
	if (dry) {
		st->owing = false;
		deadline_clear(&st->time);
	} else if (st->paced >= HTTP_PACE / st->h->nstreams) {
		h2_owe(st, true);
	}
}

/* ---- the answer ---------------------------------------------------------------------------------------- */

static ssize_t
h2_read(nghttp2_session *session UNUSED, int32_t id UNUSED, uint8_t *to, size_t room,
    uint32_t *flags, nghttp2_data_source *source, void *arg UNUSED)
{
	struct h2_stream *st = source->ptr;
	size_t n = st->pending.n - st->at;

	if (n > room)
		n = room;
	if (n)
		memcpy(to, st->pending.p + st->at, n);
	st->at += n;
	h2_pace(st, n, st->at == st->pending.n && !st->ended && !st->lost);
	if (st->at == st->pending.n) {
		buf_fini(&st->pending);
		st->at = 0;
		if (st->paused && st->client)
			http_client_go(st->client);
		st->paused = false;
		if (st->lost)
			return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
		if (st->ended) {
			*flags |= NGHTTP2_DATA_FLAG_EOF;
		} else if (n == 0) {
			st->deferred = true;
			return NGHTTP2_ERR_DEFERRED;
		}
	}
	return (ssize_t)n;
}

/* There is more of it, or it is over. */
static void
h2_more(struct h2_stream *st)
{
	if (st->deferred)
		(void)nghttp2_session_resume_data(st->h->session, st->id);
	st->deferred = false;
	h2_owe(st, false);
	http_h2_wake(st->h);
}

static nghttp2_nv
h2_nv(struct slice name, struct slice value)
{
	return (nghttp2_nv){ .name = (uint8_t *)(uintptr_t)name.p,
		.namelen = name.n,
		.value = (uint8_t *)(uintptr_t)value.p,
		.valuelen = value.n };
}

static void
h2_submit(struct h2_stream *st, const nghttp2_nv *nv, size_t n, bool content)
{
	nghttp2_data_provider from = { .source = { .ptr = st }, .read_callback = h2_read };

	st->headed = true;
	h2_owe(st, false);
	if (nghttp2_submit_response(st->h->session, st->id, nv, n, content ? &from : NULL) < 0)
		h2_reset(st, NGHTTP2_INTERNAL_ERROR);
	http_h2_wake(st->h);
}

/* Said here, because nobody within can. */
static void
h2_refuse(struct h2_stream *st, unsigned status)
{
	char text[8];
	nghttp2_nv nv[2];

	(void)snprintf(text, sizeof(text), "%u", status);
	nv[0] = h2_nv(S(":status"), slice_str(text));
	nv[1] = h2_nv(S("content-length"), S("0"));
	h2_submit(st, nv, 2, false);
}

static void
h2_on_head(void *arg, const struct http_head *head)
{
	struct h2_stream *st = arg;
	nghttp2_nv *nv = mem_array(head->nfields + 1, sizeof(*nv));
	bool content = head->code != 204 && head->code != 304 && head->length != 0 &&
	    !slice_eq(buf_get(&st->head.method), S("HEAD"));
	char status[8], *names;
	size_t n = 0, at = 0, room = 1;

	for (size_t i = 0; i < head->nfields; i++)
		room += head->fields[i].name.n;
	names = mem_new(room);
	(void)snprintf(status, sizeof(status), "%u", head->code);
	nv[n++] = h2_nv(S(":status"), slice_str(status));
	for (size_t i = 0; i < head->nfields; i++) {
		struct slice name = head->fields[i].name;

		if (http_h2_of_connection(name))
			continue;
		for (size_t k = 0; k < name.n; k++)
			names[at + k] = ascii_lower(name.p[k]);
		nv[n++] = h2_nv(slice(names + at, name.n), head->fields[i].value);
		at += name.n;
	}
	h2_submit(st, nv, n, content);
	mem_free(&names);
	mem_free(&nv);
}

static void
h2_on_bytes(void *arg, struct slice piece)
{
	struct h2_stream *st = arg;

	buf_slice(&st->pending, piece);
	if (st->pending.n - st->at >= ANSWER_MOST) {
		st->paused = true;
		http_client_pause(st->client);
	}
	h2_more(st);
}

static void
h2_on_end(void *arg)
{
	struct h2_stream *st = arg;

	st->client = NULL;
	st->ended = true;
	h2_more(st);
}

/* A refused stream is one that was not looked at, which clients say again by themselves (RFC 9113 8.7).  That the server
 * within has answered nothing does not say so: it may have been ended in the middle. */
static bool
h2_safe(const struct h2_stream *st)
{
	struct slice m = buf_get(&st->head.method);

	return st->bodyless && (slice_eq(m, S("GET")) || slice_eq(m, S("HEAD")));
}

static void
h2_on_failed(void *arg, const char *why, bool untouched)
{
	struct h2_stream *st = arg;

	st->client = NULL;
	st->lost = true;
	log_event(LOG_DEBUG, "http2_lost", "sid=%s stream=%d error=%s", st->h->s->line.sid, st->id,
	    log_str(why));
	if (st->headed)
		h2_more(st);
	else
		h2_reset(st,
		    untouched && h2_safe(st) ? NGHTTP2_REFUSED_STREAM : NGHTTP2_INTERNAL_ERROR);
}

/* ---- the body ------------------------------------------------------------------------------------------ */

/* The window opens again by what was passed on. */
static void
h2_consume(struct h2_stream *st, size_t n)
{
	if (n)
		(void)nghttp2_session_consume_stream(st->h->session, st->id, n);
}

static void
h2_on_room(void *arg)
{
	struct h2_stream *st = arg;
	size_t owed = st->owed;

	st->owed = 0;
	h2_consume(st, owed);
	http_h2_wake(st->h);
}

void
http_h2_stream_body(struct h2_stream *st, struct slice piece)
{
	if (st->spent && st->past <= PAST_MOST && (st->past += piece.n) > PAST_MOST) {
		deadline_clear(&st->time);
		h2_reset(st, NGHTTP2_NO_ERROR);
	}
	if (!st->client) {
		if (st->asked || st->headed || st->lost) {
			h2_consume(st, piece.n); /* nobody wants it any more */
		} else {
			buf_slice(&st->body, piece);
			st->owed += piece.n;
		}
		return;
	}
	http_client_piece(st->client, piece);
	if (http_client_full(st->client))
		st->owed += piece.n;
	else
		h2_consume(st, piece.n);
}

void
http_h2_stream_over(struct h2_stream *st)
{
	st->body_over = true;
	if (st->client && !st->bodyless)
		http_client_done(st->client);
}

static const struct http_asker h2_asker = {
	.head = h2_on_head,
	.bytes = h2_on_bytes,
	.end = h2_on_end,
	.room = h2_on_room,
	.failed = h2_on_failed,
};

/* It may stop.										RFC 9113 8.1 */
static void
h2_on_past(struct deadline *d)
{
	h2_reset(CONTAINER(d, struct h2_stream, time), NGHTTP2_NO_ERROR);
}

/* The client still sends.  Told at once to stop, many a client takes that for the end of an answer that it has not read
 * yet; most have little left to say. */
void
http_h2_stream_answered(struct h2_stream *st)
{
	if (st->body_over)
		return;
	st->spent = true;
	deadline_set(&st->time, st->h->s->line.io.loop, PAST_MS, h2_on_past);
}

/* ---- the request --------------------------------------------------------------------------------------- */

static bool
h2_has_body(const struct h2_stream *st)
{
	struct slice m = buf_get(&st->head.method);

	return !st->bodyless || slice_eq(m, S("POST")) || slice_eq(m, S("PUT")) ||
	    slice_eq(m, S("PATCH"));
}

static void
h2_say(struct h2_stream *st)
{
	struct http_client *c = st->client;
	struct slice rest = buf_get(&st->head.fields), name, value;

	st->asked = true;
	http_client_ask(c, &h2_asker, st, buf_get(&st->head.method), buf_get(&st->head.path),
	    buf_get(&st->head.authority));
	while (slice_cut(&rest, '\0', &name) && slice_cut(&rest, '\0', &value))
		http_client_field(c, name.p, value);
	http_client_body(c, st->bodyless ? 0 : st->head.length, !h2_has_body(st), 0);
	if (st->bodyless)
		return;
	http_client_piece(c, buf_get(&st->body));
	buf_fini(&st->body);
	if (st->body_over)
		http_client_done(c);
	else if (!http_client_full(c))
		h2_on_room(st);
}

static void
h2_dialled(void *arg, struct http_client *c, const char *why)
{
	struct h2_stream *st = arg;

	st->client = c;
	if (c) {
		h2_say(st);
		return;
	}
	log_event(LOG_WARN, "http2_failed", "sid=%s error=%s", st->h->s->line.sid, log_str(why));
	h2_refuse(st, 503);
}

/* A connection to a server of this process.  0, or -errno. */
static int
h2_dial(struct h2_stream *st)
{
	struct http_h2 *h = st->h;
	int fds[2], rc;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return -errno;
	rc = http_dial_start(&h->pool, S(""), h->pool.epoch, fds[0], NULL, NULL, 0, &st->op,
	    h2_dialled, st);
	if (rc < 0) {
		(void)close(fds[0]);
		(void)close(fds[1]);
		return rc;
	}
	rc = h->s->policy->within(h->s, fds[1]);
	if (rc < 0) {
		op_cancel(&st->op);
		(void)close(fds[1]);
	}
	return rc;
}

void
http_h2_stream_ask(struct h2_stream *st, bool over)
{
	int rc = 0;

	st->bodyless = st->body_over = over;
	if (st->head.large || !http_h2_head_good(&st->head)) {
		h2_refuse(st, st->head.large ? 431 : 400);
		return;
	}
	st->client = http_pool_take(&st->h->pool, S(""));
	if (st->client)
		h2_say(st);
	else
		rc = h2_dial(st);
	if (rc == 0)
		return;
	log_event(LOG_WARN, "http2_failed", "sid=%s error=%s", st->h->s->line.sid,
	    log_str(strerror(-rc)));
	h2_refuse(st, 503);
}

/* ---- begin and end ------------------------------------------------------------------------------------- */

struct h2_stream *
http_h2_stream_new(struct http_h2 *h, int32_t id)
{
	struct h2_stream *st = mem_new(sizeof(*st));

	st->h = h;
	st->id = id;
	st->head.length = HTTP_LENGTH_UNKNOWN;
	deadline_init(&st->time);
	list_push(&h->streams, &st->link);
	h->nstreams++;
	return st;
}

void
http_h2_stream_free(struct h2_stream *st)
{
	op_cancel(&st->op);
	deadline_clear(&st->time);
	http_client_drop(&st->client);
	list_remove(&st->link);
	st->h->nstreams--;
	http_h2_head_fini(&st->head);
	buf_fini(&st->body);
	buf_fini(&st->pending);
	mem_free(&st);
}

/* http/server.c: the life of a connection: octets to requests, bodies to takers, time, the end.
 *
 * Owns the request in flight with its memory, its cursor and its one operation.  Called by
 * net/line-session (steps and ends) and by handlers (take, resume).  Can fail: only opening.  Must stay
 * true: every request has one answer or the connection ends; a request's memory never outlives it
 * (http_server_over); behind an error of framing nothing more is read, because nobody knows where the
 * next request begins. */
#include "http/server.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "http/h2-impl.h"
#include "http/server-impl.h"

/* Octets that the reader is given at once: a turn's work. */
#define SERVER_FEED 16384
/* How long a body is read over behind an answer that ends the connection, ms. */
#define SERVER_LINGER 5000
/* Until the system looks whether a silent client is still there: one that waits for events may be gone without a word. */
#define SERVER_KEEPALIVE_S 60

static void
http_server_event(struct http_server *s, enum http_event ev)
{
	if (s->policy->event)
		s->policy->event(s, ev);
}

static void
http_server_move(struct http_server *s, enum http_input to)
{
	static const char *const names[] = { "rest", "heading", "body", "read" };

	if (log_wants(LOG_DEBUG))
		log_event(LOG_DEBUG, "http_state", "sid=%s from=%s to=%s",
		    s->line.sid ? s->line.sid : "", names[s->input], names[to]);
	s->input = (uint8_t)to;
}

/* ---- a request ----------------------------------------------------------------------------------- */

/* The taker hears that no more comes. */
static void
http_server_untake(struct http_server *s)
{
	const struct http_taker *t = s->taker;

	s->taker = NULL;
	if (t && t->gone && s->input != HTTP_READ)
		t->gone(s);
}

static void
http_server_over(struct http_server *s)
{
	void (*undo)(struct http_server *) = s->undo;
	bool begun = s->input >= HTTP_BODY;

	http_server_untake(s);
	s->undo = NULL;
	if (undo)
		undo(s);
	if (begun && s->policy->over)
		s->policy->over(s);
	s->more = NULL;
	s->data = NULL;
	arena_wipe(&s->arena); /* passwords and cookies */
	s->output = HTTP_SILENT;
	s->status = 0;
	s->sent = s->length = 0;
	s->chunked = s->bare = s->endless = false;
	s->unpaced = 0;
	http_server_move(s, HTTP_REST);
}

static enum line_next
http_server_after(struct http_server *s, enum http_next next)
{
	switch (next) {
	case HTTP_NEXT:
		must(s->output == HTTP_SAID || (s->taker && s->input == HTTP_BODY));
		return LINE_ON;
	case HTTP_PULL: must(s->more); return LINE_ON;
	case HTTP_WAIT: return LINE_WAIT;
	case HTTP_CLOSE: break;
	}
	return LINE_CLOSE;
}

enum http_next
http_server_take(struct http_server *s, const struct http_taker *t, uint64_t most)
{
	const struct http_head *h = &s->reader.head;

	must(s->input == HTTP_BODY && s->output == HTTP_SILENT);
	s->taker = t;
	http_reader_body(&s->reader, most);
	/* Not when it is too long: then the next thing it hears is 413. */
	if (h->expects && stream_peek(&s->line.io).n == 0 &&
	    (h->length == HTTP_LENGTH_UNKNOWN || h->length <= most))
		buf_lit(stream_out(&s->line.io), "HTTP/1.1 100 Continue\r\n\r\n");
	return HTTP_NEXT;
}

/* So much of a body has come or was written: the peer's time begins again, now and then. */
static void
http_server_pace(struct http_server *s, size_t n)
{
	s->unpaced += (uint32_t)n;
	if (s->unpaced < HTTP_PACE)
		return;
	s->unpaced = 0;
	line_session_time(&s->line, s->policy->limits->pace_ms, true);
}

static enum line_next
http_server_headed(struct http_server *s)
{
	s->requests++;
	s->began_ms = clock_mono_ms();
	http_server_move(s, HTTP_BODY);
	line_session_time(&s->line, s->policy->limits->pace_ms, true);
	http_server_event(s, HTTP_EVENT_REQUEST);
	if (log_wants(LOG_DEBUG))
		log_event(LOG_DEBUG, "command", "sid=%s verb=%s target=%s",
		    s->line.sid ? s->line.sid : "", log_value(s->reader.head.method),
		    log_value(s->reader.head.target));
	return http_server_after(s, s->policy->request(s));
}

static enum line_next
http_server_bytes(struct http_server *s)
{
	http_server_pace(s, s->reader.bytes.n);
	if (!s->taker || s->output != HTTP_SILENT)
		return LINE_ON; /* read over */
	return http_server_after(s, s->taker->bytes(s, s->reader.bytes));
}

static enum line_next
http_server_ended(struct http_server *s)
{
	http_server_move(s, HTTP_READ);
	if (!s->taker || s->output != HTTP_SILENT)
		return LINE_ON;
	return http_server_after(s, s->taker->end(s));
}

static enum line_next http_server_read(struct http_server *s);

/* The answer is the last.  Who is still sending a body would lose it with the connection, before having read it
 * (RFC 9112 9.6): the rest is read over for a while, or until the client has had enough. */
static enum line_next
http_server_last(struct http_server *s)
{
	struct stream *io = &s->line.io;

	if (s->input != HTTP_BODY || line_session_ending(&s->line))
		return LINE_CLOSE;
	if (!s->lingers)
		line_session_time(&s->line, SERVER_LINGER, true);
	s->lingers = true;
	if (s->reader.status == 0)
		return http_server_read(s); /* to its end, which may be here */
	stream_take(io, stream_peek(io).n);
	return LINE_DRY;
}

/* What came is no HTTP, or too much of it. */
static enum line_next
http_server_bad(struct http_server *s)
{
	if (s->lingers) /* nobody is told any more */
		return http_server_last(s);
	http_server_event(s, HTTP_EVENT_BAD);
	log_event(LOG_INFO, "http_bad", "sid=%s status=%u why=%s", s->line.sid ? s->line.sid : "",
	    s->reader.status, log_str(s->reader.why));
	http_server_untake(s);
	if (s->output == HTTP_SILENT) {
		/* No memory of an answer's content may follow a head that nobody has understood. */
		s->reader.head.verb = HTTP_VERB_OTHER;
		(void)http_server_error(s, s->reader.status, s->reader.why);
	}
	s->line.why = "bad";
	/* Too long a body is sent by people; what else is no HTTP is not worth waiting for. */
	return s->reader.status == 413 ? http_server_last(s) : LINE_CLOSE;
}

static enum line_next
http_server_dry(struct http_server *s)
{
	if (s->input == HTTP_REST && http_reader_busy(&s->reader)) {
		http_server_move(s, HTTP_HEADING);
		line_session_time(&s->line, s->policy->limits->head_ms, true);
	}
	return LINE_DRY;
}

/* ---- steps ----------------------------------------------------------------------------------------- */

static enum line_next
http_server_pull(struct http_server *s)
{
	uint64_t before = s->sent;
	enum http_next next = s->more(s);

	http_server_pace(s, (size_t)(s->sent - before));
	if (next == HTTP_NEXT)
		next = http_server_pull_over(s);
	return http_server_after(s, next);
}

static enum line_next
http_server_read(struct http_server *s)
{
	struct slice in = slice_sub(stream_peek(&s->line.io), 0, SERVER_FEED);
	size_t before = in.n;
	enum http_ev ev = http_reader_next(&s->reader, &in);

	stream_take(&s->line.io, before - in.n);
	switch (ev) {
	case HTTP_EV_DRY: return http_server_dry(s);
	case HTTP_EV_HEAD: return http_server_headed(s);
	case HTTP_EV_BYTES: return http_server_bytes(s);
	case HTTP_EV_END: return http_server_ended(s);
	case HTTP_EV_BAD: break;
	}
	return http_server_bad(s);
}

static enum line_next
http_server_step(struct line_session *l)
{
	struct http_server *s = CONTAINER(l, struct http_server, line);

	if (s->h2)
		return http_h2_step(s->h2);
	if (s->lingers)
		return http_server_last(s);
	if (s->more)
		return http_server_pull(s);
	if (s->output != HTTP_SAID)
		return http_server_read(s);
	if (!s->keep) {
		l->why = "close";
		return http_server_last(s);
	}
	if (s->input != HTTP_READ)
		return http_server_read(s);
	http_server_over(s);
	line_session_time(l, s->policy->limits->idle_ms, true);
	return LINE_ON;
}

void
http_server_resume(struct http_server *s, enum http_next next)
{
	if (s->line.state != LINE_CLOSED)
		line_session_resume(&s->line, http_server_after(s, next));
}

/* ---- begin and end ----------------------------------------------------------------------------------- */

/* A client speaks first; which version, TLS has said (RFC 9113 3.2). */
static void
http_server_greet(struct line_session *l)
{
	struct http_server *s = CONTAINER(l, struct http_server, line);
	const char *chosen = stream_tls_alpn(&l->io);

	if (s->policy->within && chosen && strcmp(chosen, "h2") == 0)
		s->h2 = http_h2_new(s);
}

/* Streams are answered also while their client is silent. */
static bool
http_server_owes(struct line_session *l)
{
	struct http_server *s = CONTAINER(l, struct http_server, line);

	return s->h2 && http_h2_busy(s->h2);
}

static bool
http_server_between(struct line_session *l)
{
	struct http_server *s = CONTAINER(l, struct http_server, line);

	if (s->h2)
		return !http_h2_busy(s->h2);
	return s->input == HTTP_REST && l->state == LINE_READING && stream_peek(&l->io).n == 0;
}

/* Between requests nothing is owed; in the middle of one an answer is, while none has begun. */
static void
http_server_bye(struct line_session *l, enum line_bye why)
{
	struct http_server *s = CONTAINER(l, struct http_server, line);

	if (why == LINE_TIMEOUT)
		http_server_event(s, HTTP_EVENT_TIMEOUT);
	if (s->h2) {
		http_h2_bye(s->h2);
		return;
	}
	if (s->input == HTTP_REST || s->output != HTTP_SILENT)
		return;
	if (s->input == HTTP_HEADING)
		s->reader.head.verb = HTTP_VERB_OTHER;
	s->reader.head.keep = false;
	(void)http_server_error(s, why == LINE_TIMEOUT ? 408 : 503, NULL);
}

/* Others may close their side and read the answer (RFC 9112 9.6), for that has an end. */
static bool
http_server_gone(struct line_session *l)
{
	const struct http_server *s = CONTAINER(l, struct http_server, line);

	return s->endless || s->h2;
}

static void
http_server_release(struct line_session *l)
{
	struct http_server *s = CONTAINER(l, struct http_server, line);

	op_cancel(&s->op);
	http_h2_free(&s->h2);
	http_server_over(s);
	http_reader_fini(&s->reader);
	s->policy->left(s);
}

static void
http_server_closed(struct line_session *l)
{
	struct http_server *s = CONTAINER(l, struct http_server, line);

	s->policy->closed(s);
}

static const struct line_events http_server_events = {
	.step = http_server_step,
	.greet = http_server_greet,
	.between = http_server_between,
	.bye = http_server_bye,
	.release = http_server_release,
	.closed = http_server_closed,
	.ahead = LOOP_READ_SIZE,
	.prompt = true,
	.gone = http_server_gone,
	.owes = http_server_owes,
};

int
http_server_open(struct http_server *s, struct loop *l, int fd, struct tls_ctx *ctx,
    const char *sid)
{
	int r = line_session_init(&s->line, l, fd, &http_server_events, sid);

	if (r < 0)
		return r;
	http_reader_init(&s->reader, &s->policy->limits->bounds);
	stream_keepalive(&s->line.io, SERVER_KEEPALIVE_S);
	line_session_time(&s->line, s->policy->limits->head_ms, true);
	line_session_open(&s->line, ctx);
	return 0;
}

void
http_server_shutdown(struct http_server *s)
{
	if (s->h2 && !line_session_ending(&s->line))
		http_h2_drain(s->h2);
	line_session_drain(&s->line);
}

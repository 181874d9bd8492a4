/* tmctl/serve.c: `tmctl serve`, the metrics of all daemons of this host over HTTP; see tmctl-serve(8).
 *
 * Owns the HTTP sessions and the keys.  A program of its own by name, files and life, because it serves;
 * in tmctl's file, because it asks what tmctl asks.  Called by main.c.  A start fails without a
 * listener.  Must stay true: clients get figures and nothing else: what is asked of daemons does not
 * depend on what a client says (NAME.metrics takes no question). */
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "http/server.h"
#include "serve.h"
#include "tmctl.h"

struct serve_conf serve_conf;

/* clang-format off */
static const struct conf_key keys[] = {
	{ "daemons", CONF_LIST, &serve_conf.daemons, "", 0, 0, RELOAD, NULL,
	    "Daemons that have to be there; others are found in rundir." },
	{ "limit.clients", CONF_INT, &serve_conf.clients, "100", 1, 10000, RELOAD, NULL,
	    "Connections at once; of more, those at rest are closed." },
	{ "timeout.answer", CONF_TIME, &serve_conf.answer_ms, "2s", 50, 60000, RELOAD, NULL,
	    "Time that a daemon has for its answer; the others do not wait longer for it." },
	{ "timeout.idle", CONF_TIME, &serve_conf.idle_ms, "60s", 1000, 3600000, RELOAD, NULL,
	    "Time a connection may rest between two requests." },
};
static const struct conf_schema schema = { .keys = keys, .nkeys = NELEM(keys) };

static const struct metric metrics[] = {
	[M_CONNECTIONS] = { "serve_connections", COUNTER, "Connections of HTTP clients." },
	[M_SESSIONS] = { "serve_sessions", GAUGE, "HTTP connections that are open." },
	[M_REQUESTS] = { "serve_requests", COUNTER, "Requests." },
	[M_BAD] = { "serve_requests_bad", COUNTER, "Requests that were none, or too large." },
	[M_LOOKS] = { "serve_looks", COUNTER, "Times that the daemons were asked." },
	[M_LINES] = { "serve_lines_left_out", COUNTER, "Lines of daemons that are no figures." },
	[M_COUNT] = { NULL, COUNTER, NULL },
};
/* clang-format on */

struct serve_session {
	struct http_server http;
	struct list link;
	struct collect_waiter waiter;
	char sid[14];
};

/* A session counts until its stream is closed: what it has not read yet costs as much as a session. */
static struct list sessions, leaving; /* oldest first; leaving: the last words are on their way */
static size_t nsessions;
static struct http_limits limits = {
	.bounds = { .head = 16384, .target = 2048, .fields = 100, .body = 65536 },
	.head_ms = 10000,
	.pace_ms = 30000,
};

/* ---- requests ------------------------------------------------------------------------------------- */

static enum http_next
serve_figures(struct http_server *s, struct slice text)
{
	http_server_answer(s, 200);
	http_server_field(s, "Cache-Control", S("no-store"));
	return http_server_content(s, "text/plain; version=0.0.4; charset=utf-8", text);
}

static void
serve_on_text(struct collect_waiter *w, struct slice text)
{
	struct serve_session *s = CONTAINER(w, struct serve_session, waiter);
	enum http_next next = serve_figures(&s->http, text);

	/* From inside the request itself nothing waits yet. */
	if (op_pending(&s->http.op)) {
		op_done(&s->http.op);
		http_server_resume(&s->http, next);
	}
}

static void
serve_cancel(struct op *op)
{
	struct collect_waiter *w = op->impl;

	list_remove(&w->link);
}

static enum http_next
serve_metrics(struct serve_session *s)
{
	collect_ask(&s->waiter);
	if (s->http.output == HTTP_SAID)
		return HTTP_NEXT;
	s->http.op = (struct op){ .cancel = serve_cancel, .impl = &s->waiter };
	return HTTP_WAIT;
}

static enum http_next
serve_request(struct http_server *http)
{
	const struct http_head *h = http_server_head(http);

	if (!slice_eq(h->path, S("/metrics")) && !slice_eq(h->path, S("/")))
		return http_server_error(http, 404, "the figures are at /metrics");
	if (!(h->verb & (HTTP_VERB_GET | HTTP_VERB_HEAD)))
		return http_server_refuse_verb(http, HTTP_VERB_GET | HTTP_VERB_HEAD);
	if (slice_eq(h->path, S("/metrics")))
		return serve_metrics(http->owner);
	http_server_answer(http, 200);
	return http_server_content(http, "text/html; charset=utf-8",
	    S("<!DOCTYPE html><title>tiermail</title><a href=\"/metrics\">metrics</a>\n"));
}

static void
serve_over(struct http_server *http)
{
	const struct http_head *h = http_server_head(http);

	log_event(LOG_DEBUG, "http", "sid=%s method=%s target=%s status=%u size=%llu",
	    http->line.sid, log_value(h->method), log_value(h->target), http->status,
	    (unsigned long long)http->sent);
}

static void
serve_event(struct http_server *http UNUSED, enum http_event ev)
{
	if (ev == HTTP_EVENT_REQUEST)
		metric_add(M_REQUESTS, 1);
	else if (ev == HTTP_EVENT_BAD)
		metric_add(M_BAD, 1);
}

/* ---- sessions ---------------------------------------------------------------------------------------- */

static void
serve_left(struct http_server *http)
{
	struct serve_session *s = http->owner;

	list_remove(&s->link);
	list_push(&leaving, &s->link);
}

static void
serve_drain_over(void)
{
	if (daemon_draining() && nsessions == 0) {
		collect_stop();
		daemon_drained();
	}
}

static void
serve_free(struct serve_session *s)
{
	list_remove(&s->link);
	metric_set(M_SESSIONS, (int64_t)--nsessions);
	free(s);
}

static void
serve_closed(struct http_server *http)
{
	serve_free(http->owner);
	serve_drain_over();
}

static const struct http_policy policy = {
	.limits = &limits,
	.request = serve_request,
	.over = serve_over,
	.event = serve_event,
	.left = serve_left,
	.closed = serve_closed,
};

/* Who only holds a connection shuts nobody out: the one goes that is longest on its way out without having
 * read its answer, or that came first of those at rest. */
static bool
serve_make_room(void)
{
	struct serve_session *s = list_first(&leaving, struct serve_session, link);

	if (s) {
		list_remove(&s->link); /* not twice */
		stream_close(&s->http.line.io);
		return true;
	}
	list_each(s, &sessions, struct serve_session, link)
	{
		if (s->http.more || (s->http.input >= HTTP_BODY && s->http.output == HTTP_SILENT))
			continue; /* an answer is owed */
		line_session_close(&s->http.line, "room");
		list_remove(&s->link);
		return true;
	}
	return false;
}

static void
serve_accept(struct daemon_listen *l, int fd)
{
	struct serve_session *s;

	metric_add(M_CONNECTIONS, 1);
	if (nsessions >= (size_t)serve_conf.clients && !serve_make_room()) {
		(void)close(fd);
		return;
	}
	s = mem_new(sizeof(*s));
	s->http.policy = &policy;
	s->http.owner = s;
	s->waiter.done = serve_on_text;
	list_init(&s->waiter.link);
	random_id(s->sid);
	list_push(&sessions, &s->link);
	metric_set(M_SESSIONS, (int64_t)++nsessions);
	if (http_server_open(&s->http, daemon_loop(), fd,
		l->tls == TLS_IMPLICIT ? l->tls_ctx : NULL, s->sid) < 0) {
		serve_free(s);
		(void)close(fd);
	}
}

/* ---- the program ----------------------------------------------------------------------------------------- */

static void
serve_reload(void)
{
	limits.idle_ms = (uint32_t)serve_conf.idle_ms;
}

static int
serve_init(struct loop *l)
{
	list_init(&sessions);
	list_init(&leaving);
	collect_start(l);
	serve_reload();
	return 0;
}

static void
serve_drain(void)
{
	struct serve_session *s;

	list_each(s, &sessions, struct serve_session, link) http_server_shutdown(&s->http);
	serve_drain_over();
}

static void
serve_status(struct buf *out)
{
	buf_printf(out, "sessions=%zu\n", nsessions);
}

/* The daemons' sockets are found by looking. */
static void
serve_paths(void)
{
	sandbox_read(shared.rundir);
}

/* HTTP has no STARTTLS. */
static bool
serve_check(struct buf *why)
{
	bool good = true;

	for (struct daemon_listen **l = daemon_listeners(); *l; l++) {
		if ((*l)->tls != TLS_STARTTLS)
			continue;
		buf_printf(why, "%s: [listen %s] tls: off or implicit\n", conf_where(&(*l)->tls),
		    (*l)->name);
		good = false;
	}
	return good;
}

const struct program tmctl_serve_program = {
	.name = "tmctl-serve",
	.verb = "serve",
	.about = "the metrics of all daemons of this host, over HTTP",
	.may = "inet",
	.file = "tmctl-serve.conf",
	.schema = &schema,
	.listens = true,
	.metrics = metrics,
	.paths = serve_paths,
	.check = serve_check,
	.start = serve_init,
	.accept = serve_accept,
	.reload = serve_reload,
	.drain = serve_drain,
	.status = serve_status,
};

/* memd/session.c: the life of a connection: who may come in, what each request leaves behind, the end.
 *
 * Owns the list of sessions, and each struct until its stream is closed.  Called by the daemon (accept, drain,
 * who, kick) and by http/server.  Can fail: taking the descriptor.  Must stay true: nothing of one request,
 * whose it was above all, is there for the next (memd_over). */
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "memd.h"

/* A browser may say much about itself; a JMAP client's target has a name of a file in it. */
static struct http_limits limits = {
	.bounds = { .head = 16384, .target = 8192, .fields = 100, .body = 65536 },
	.head_ms = 10000,
	.pace_ms = 30000,
};

static const struct admit_class classes[] = {
	[MEMD_WEB] = { "web", 50, true },
	[MEMD_REDIRECT] = { "redirect", 5, true },
};
const struct admit_service memd_admit = { "memd", classes, NELEM(classes), &config.clients,
	&config.per_client, &config.per_user };

/* ---- a request is over --------------------------------------------------------------------------- */

static void
memd_forget_request(struct memd_session *s)
{
	login_free(&s->login);
	memd_ask_free(&s->ask);
	admit_user_leave(&s->admit);
	mem_free(&s->account);
	mem_free(&s->mailhost);
	mem_free(&s->language);
	mem_free(&s->origin);
	s->web = (struct web_session){ .began = 0 };
	s->cookie = s->due = s->looks = s->event_stream = false;
}

static void
memd_over(struct http_server *http)
{
	struct memd_session *s = memd_of(http);
	const struct http_head *h = http_server_head(http);

	log_event(LOG_INFO, "http",
	    "sid=%s peer=%s user=%s method=%s path=%s status=%u size=%llu ms=%llu", s->sid, s->peer,
	    log_str(s->account ? s->account : ""), log_value(h->method), log_value(h->path),
	    http->status, (unsigned long long)http->sent,
	    (unsigned long long)(clock_mono_ms() - http->began_ms));
	memd_forget_request(s);
}

static void
memd_event(struct http_server *http UNUSED, enum http_event ev)
{
	if (ev == HTTP_EVENT_REQUEST)
		metric_add(M_REQUESTS, 1);
	else if (ev == HTTP_EVENT_BAD)
		metric_add(M_BAD, 1);
}

/* ---- the end ------------------------------------------------------------------------------------- */

static void
memd_left(struct http_server *http)
{
	struct memd_session *s = memd_of(http);

	s->left = true;
	memd_forget_request(s);
	list_remove(&s->link);
	log_event(LOG_DEBUG, "disconnect", "sid=%s why=%s in=%llu out=%llu ms=%llu", s->sid,
	    log_str(http->line.why), (unsigned long long)http->line.io.got,
	    (unsigned long long)http->line.io.sent,
	    (unsigned long long)(clock_mono_ms() - s->began_ms));
}

static void
memd_free(struct memd_session *s)
{
	admit_leave(&s->admit);
	list_remove(&s->link);
	s->magic = 0;
	mem_free(&s);
	metric_set(M_SESSIONS, (int64_t)--memd.nsessions);
	if (memd.nsessions == 0 && daemon_draining())
		daemon_drained();
}

static void
memd_closed(struct http_server *http)
{
	memd_free(memd_of(http));
}

static int memd_session_within(struct http_server *http, int fd);

static const struct http_policy policy = {
	.limits = &limits,
	.request = memd_request,
	.within = memd_session_within,
	.over = memd_over,
	.event = memd_event,
	.left = memd_left,
	.closed = memd_closed,
};

/* ---- the beginning ------------------------------------------------------------------------------- */

static struct memd_session *
memd_session_make(uint8_t role, const struct addr *peer)
{
	struct memd_session *s = mem_new(sizeof(*s));

	s->magic = MEMD_SESSION_MAGIC;
	s->role = role;
	s->began_ms = clock_mono_ms();
	s->http.policy = &policy;
	s->http.owner = s;
	random_id(s->sid);
	addr_host(peer, s->peer);
	list_push(&memd.sessions, &s->link);
	metric_set(M_SESSIONS, (int64_t)++memd.nsessions);
	return s;
}

/* Counted, and begun.  0, or -errno: it is gone, and the fd stays the caller's. */
static int
memd_session_begin(struct memd_session *s, struct tls_ctx *ctx, const struct addr *peer, int fd)
{
	int r = -EUSERS;

	limits.idle_ms = (uint32_t)config.idle_time;
	if (admit_enter(&s->admit, s->role, peer) == ADMIT_OK)
		r = http_server_open(&s->http, memd.loop, fd, ctx, s->sid);
	if (r == 0)
		return 0;
	log_event(LOG_WARN, "accept_failed", "sid=%s peer=%s error=%s", s->sid, s->peer,
	    strerror(-r));
	memd_free(s);
	return r;
}

void
memd_session_new(struct daemon_listen *l, int fd)
{
	struct addr peer;
	bool announced = daemon_peer(fd, &peer);
	struct memd_session *s = memd_session_make((uint8_t)l->role, &peer);

	s->loopback = addr_loopback(&peer) && !announced;
	metric_add(M_CONNECTIONS, 1);
	log_context(s->sid);
	if (memd_session_begin(s, l->tls == TLS_IMPLICIT ? l->tls_ctx : NULL, &peer, fd) < 0)
		(void)close(fd);
	else if (announced)
		stream_announce(&s->http.line.io, &peer);
}

/* For streams of HTTP/2, one after the other.  It counts as another connection of this client. */
static int
memd_session_within(struct http_server *http, int fd)
{
	struct addr peer;
	struct memd_session *s;
	int r;

	stream_peer(&http->line.io, &peer);
	s = memd_session_make(memd_of(http)->role, &peer);
	s->within = true;
	r = memd_session_begin(s, NULL, &peer, fd);
	if (r == 0)
		stream_announce(&s->http.line.io, &peer);
	return r;
}

/* ---- all of them --------------------------------------------------------------------------------- */

size_t
memd_session_end_user(struct slice account)
{
	struct memd_session *s;
	size_t n = 0;

	list_each(s, &memd.sessions, struct memd_session, link)
	{
		if (!s->account || !slice_ieq(slice_str(s->account), account))
			continue;
		line_session_close(&s->http.line, "forgotten");
		n++;
	}
	return n;
}

static void
memd_session_walk(bool (*each)(void *arg, const struct daemon_session *d), void *arg)
{
	struct memd_session *s;

	list_each(s, &memd.sessions, struct memd_session, link)
	{
		struct daemon_session d = {
			.session = s,
			.sid = s->sid,
			.protocol = classes[s->role].name,
			.state = s->http.h2            ? "http2" :
			    s->event_stream            ? "events" :
			    s->http.input >= HTTP_BODY ? "request" :
							 "rest",
			.user = s->account,
			.peer = s->peer,
			.tls = memd_secure(s),
			.began_ms = s->began_ms,
		};

		if (!each(arg, &d))
			break;
	}
}

/* A stream of events has no end of its own. */
static void
memd_session_rest(struct memd_session *s)
{
	if (s->event_stream)
		line_session_close(&s->http.line, "shutdown");
	else
		http_server_shutdown(&s->http);
}

static bool
memd_session_end(void *session, enum daemon_end how)
{
	struct memd_session *s = CAST(session, struct memd_session, MEMD_SESSION_MAGIC);
	struct line_session *l = &s->http.line;
	bool before = how == SESSION_NOW ? l->state == LINE_CLOSED : line_session_ending(l);

	if (how == SESSION_NOW)
		line_session_close(l, "kicked");
	else
		memd_session_rest(s);
	return !before && line_session_ending(l);
}

static void
memd_session_forget(struct slice account)
{
	if (account.n)
		dir_forget(memd.dir, account);
	else
		dir_forget_all(memd.dir);
}

static void
memd_session_cache(struct buf *out)
{
	dir_status(memd.dir, out);
	buf_char(out, '\n');
}

const struct daemon_sessions memd_session_verbs = {
	.walk = memd_session_walk,
	.end = memd_session_end,
	.forget = memd_session_forget,
	.cache = memd_session_cache,
	.load = admit_load,
};

void
memd_session_drain_all(void)
{
	struct memd_session *s;

	list_each(s, &memd.sessions, struct memd_session, link) memd_session_rest(s);
	if (memd.nsessions == 0)
		daemon_drained();
}

/* admind/session.c: the life of a connection: who may come in, what each request leaves behind, the end.
 *
 * Owns the list of sessions, and each struct until its stream is closed.  Called by the daemon (accept, drain,
 * who, kick) and by http/server.  Can fail: taking the descriptor.  Must stay true: nothing of one request,
 * whose it was above all, is there for the next; a verb that runs goes on without its session. */
#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "admind.h"

static struct http_limits limits = {
	.bounds = { .head = 16384, .target = 4096, .fields = 100, .body = ADMIND_BODY_MOST },
	.head_ms = 10000,
	.pace_ms = 30000,
};

static const struct admit_class classes[] = { { "admin", 10, true } };
const struct admit_service admind_admit = { "admind", classes, NELEM(classes), &admin_conf.clients,
	&admin_conf.per_client, &admin_conf.per_user };

void
admind_drained(void)
{
	if (admind.nsessions == 0 && admind.working == 0 && daemon_draining())
		daemon_drained();
}

/* ---- a request is over --------------------------------------------------------------------------- */

static void
admind_forget_request(struct admind_session *s)
{
	login_free(&s->login);
	admind_work_forget(s);
	admind_scim_forget(s);
	admit_user_leave(&s->admit);
	mem_free(&s->account);
	mem_free(&s->dn);
	s->web = (struct web_session){ .began = 0 };
	s->cookie = s->due = s->web_coded = s->proved = s->confirms = false;
	if (s->body.p)
		secret_clear(s->body.p, s->body.n);
	buf_fini(&s->body);
	if (s->fresh.p)
		secret_clear(s->fresh.p, s->fresh.n);
	buf_fini(&s->fresh);
}

static void
admind_over(struct http_server *http)
{
	struct admind_session *s = admind_of(http);
	const struct http_head *h = http_server_head(http);

	log_event(LOG_INFO, "http",
	    "sid=%s peer=%s user=%s method=%s path=%s status=%u size=%llu ms=%llu", s->sid, s->peer,
	    log_str(s->account ? s->account : ""), log_value(h->method), log_value(h->path),
	    http->status, (unsigned long long)http->sent,
	    (unsigned long long)(clock_mono_ms() - http->began_ms));
	admind_forget_request(s);
}

static void
admind_event(struct http_server *http UNUSED, enum http_event ev)
{
	if (ev == HTTP_EVENT_REQUEST)
		metric_add(M_REQUESTS, 1);
	else if (ev == HTTP_EVENT_BAD)
		metric_add(M_BAD, 1);
}

/* ---- the end ------------------------------------------------------------------------------------- */

static void
admind_left(struct http_server *http)
{
	struct admind_session *s = admind_of(http);

	s->left = true;
	admind_forget_request(s);
	list_remove(&s->link);
	log_event(LOG_DEBUG, "disconnect", "sid=%s why=%s in=%llu out=%llu ms=%llu", s->sid,
	    log_str(http->line.why), (unsigned long long)http->line.io.got,
	    (unsigned long long)http->line.io.sent,
	    (unsigned long long)(clock_mono_ms() - s->began_ms));
}

static void
admind_free(struct admind_session *s)
{
	admit_leave(&s->admit);
	list_remove(&s->link);
	s->magic = 0;
	mem_free(&s);
	metric_set(M_SESSIONS, (int64_t)--admind.nsessions);
	admind_drained();
}

static void
admind_closed(struct http_server *http)
{
	admind_free(admind_of(http));
}

static enum http_next
admind_request(struct http_server *http)
{
	log_context(admind_of(http)->sid);
	return admind_front(admind_of(http));
}

static const struct http_policy policy = {
	.limits = &limits,
	.request = admind_request,
	.over = admind_over,
	.event = admind_event,
	.left = admind_left,
	.closed = admind_closed,
};

/* ---- the beginning ------------------------------------------------------------------------------- */

static int
admind_session_begin(struct admind_session *s, const struct daemon_listen *l,
    const struct addr *peer, int fd)
{
	if (admit_enter(&s->admit, 0, peer) != ADMIT_OK)
		return -EUSERS;
	limits.idle_ms = (uint32_t)admin_conf.idle_time;
	return http_server_open(&s->http, admind.loop, fd,
	    l->tls == TLS_IMPLICIT ? l->tls_ctx : NULL, s->sid);
}

void
admind_session_new(struct daemon_listen *l, int fd)
{
	struct admind_session *s = mem_new(sizeof(*s));
	struct addr peer;
	bool announced = daemon_peer(fd, &peer);
	int r;

	s->magic = ADMIND_SESSION_MAGIC;
	s->began_ms = clock_mono_ms();
	s->loopback = addr_loopback(&peer) && !announced;
	s->http.policy = &policy;
	s->http.owner = s;
	random_id(s->sid);
	addr_host(&peer, s->peer);
	list_push(&admind.sessions, &s->link);
	metric_add(M_CONNECTIONS, 1);
	metric_set(M_SESSIONS, (int64_t)++admind.nsessions);
	log_context(s->sid);
	r = admind_session_begin(s, l, &peer, fd);
	if (r == 0) {
		if (announced)
			stream_announce(&s->http.line.io, &peer);
		return;
	}
	log_event(LOG_WARN, "accept_failed", "sid=%s peer=%s error=%s", s->sid, s->peer,
	    strerror(-r));
	(void)close(fd);
	admind_free(s);
}

/* ---- all of them --------------------------------------------------------------------------------- */

size_t
admind_session_end_user(struct slice account)
{
	struct admind_session *s;
	size_t n = 0;

	list_each(s, &admind.sessions, struct admind_session, link)
	{
		if (!s->account || !slice_ieq(slice_str(s->account), account))
			continue;
		line_session_close(&s->http.line, "forgotten");
		n++;
	}
	return n;
}

static void
admind_session_walk(bool (*each)(void *arg, const struct daemon_session *d), void *arg)
{
	struct admind_session *s;

	list_each(s, &admind.sessions, struct admind_session, link)
	{
		struct daemon_session d = {
			.session = s,
			.sid = s->sid,
			.protocol = "admin",
			.state = s->http.input >= HTTP_BODY ? "request" : "rest",
			.user = s->account,
			.peer = s->peer,
			.tls = stream_secure(&s->http.line.io),
			.began_ms = s->began_ms,
		};

		if (!each(arg, &d))
			break;
	}
}

static bool
admind_session_end(void *session, enum daemon_end how)
{
	struct admind_session *s = CAST(session, struct admind_session, ADMIND_SESSION_MAGIC);
	struct line_session *l = &s->http.line;
	bool before = how == SESSION_NOW ? l->state == LINE_CLOSED : line_session_ending(l);

	if (how == SESSION_NOW)
		line_session_close(l, "kicked");
	else
		http_server_shutdown(&s->http);
	return !before && line_session_ending(l);
}

static void
admind_session_forget(struct slice account)
{
	if (account.n)
		dir_forget(admind.dir, account);
	else
		dir_forget_all(admind.dir);
}

static void
admind_session_cache(struct buf *out)
{
	dir_status(admind.dir, out);
	buf_char(out, '\n');
}

const struct daemon_sessions admind_session_verbs = {
	.walk = admind_session_walk,
	.end = admind_session_end,
	.forget = admind_session_forget,
	.cache = admind_session_cache,
	.load = admit_load,
};

void
admind_session_drain_all(void)
{
	struct admind_session *s;

	admind_jobs_stop();
	list_each(s, &admind.sessions, struct admind_session, link) http_server_shutdown(&s->http);
	admind_drained();
}

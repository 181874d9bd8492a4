/* jmapd/session.c: the life of a connection: who may come in, what is let go.
 *
 * Owns the list of sessions and each session's user.  Called by the daemon (accept, drain) and by
 * http/server through the policy.  Can fail: taking the descriptor.  Must stay true: jmapd_session_left lets go
 * of everything but the struct, whatever was under way.  Who asks is auth.c's, for what route.c's. */
#include "session.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"

static struct http_limits jmapd_session_limits = {
	.bounds = { .head = 16384, .target = 4096, .fields = 100 },
	.pace_ms = 60000,
};
/* Structs of sessions, of which some only say their last words. */
static size_t jmapd_session_alive;

/* How sessions are counted: what proxies bring keeps a share of its own. */
enum { CLASS_HTTP, CLASS_PROXY };
static const struct admit_class classes[] = {
	[CLASS_HTTP] = { "http", 0, true },
	[CLASS_PROXY] = { "proxy", 50, true },
};
const struct admit_service jmapd_admit = { "jmapd", classes, NELEM(classes), &config.clients,
	&config.per_client, &config.per_user };

/* Is the peer a proxy?  Asked when the first request is there, for the handshake is over then. */
static void
jmapd_session_know(struct session *s)
{
	s->known = true;
	s->proxy = login_is_proxy(&s->http.line.io, config.proxies, s->sid);
	if (!s->proxy)
		return;
	/* Its own address is nobody's that a limit is meant for. */
	admit_leave(&s->admit);
	s->full = admit_enter(&s->admit, CLASS_PROXY, &(struct addr){ .sa.sa_family = AF_UNIX }) !=
	    ADMIT_OK;
}

static enum http_next
jmapd_session_request(struct http_server *http)
{
	struct session *s = jmapd_session_of(http);

	log_context(s->sid);
	if (!s->known)
		jmapd_session_know(s);
	if (!s->proxy && s->listen->peer_cert == PEER_CERT_DEMAND) {
		http->reader.head.keep = false; /* it is for proxies alone */
		return http_server_error(http, 403, "this port is for proxies");
	}
	return jmapd_auth_request(s);
}

static void
jmapd_session_over(struct http_server *http)
{
	struct session *s = jmapd_session_of(http);
	const struct http_head *h = http_server_head(http);

	login_free(&s->login);
	metric_add(M_BYTES, (int64_t)http->sent);
	log_event(LOG_DEBUG, "http", "sid=%s method=%s target=%s status=%u size=%llu", s->sid,
	    log_value(h->method), log_value(h->path), http->status, (unsigned long long)http->sent);
}

static void
jmapd_session_event(struct http_server *http UNUSED, enum http_event ev)
{
	if (ev == HTTP_EVENT_REQUEST)
		metric_add(M_REQUESTS, 1);
	else if (ev == HTTP_EVENT_BAD)
		metric_add(M_BAD, 1);
}

static void
jmapd_session_left(struct http_server *http)
{
	struct session *s = jmapd_session_of(http);

	login_free(&s->login);
	admit_leave(&s->admit);
	jmapd_user_drop(&s->user);
	list_remove(&s->link);
	jmapd.nsessions--;
	metric_add(M_SESSIONS, -1);
	log_event(LOG_INFO, "disconnect", "sid=%s why=%s in=%llu out=%llu ms=%llu", s->sid,
	    http->line.why ? http->line.why : "closed", (unsigned long long)http->line.io.got,
	    (unsigned long long)http->line.io.sent,
	    (unsigned long long)(clock_mono_ms() - http->line.began_ms));
}

static void
jmapd_session_closed(struct http_server *http)
{
	struct session *s = jmapd_session_of(http);

	s->magic = 0;
	mem_release(s);
	if (--jmapd_session_alive == 0 && daemon_draining())
		daemon_drained();
}

static const struct http_policy jmapd_session_policy = {
	.limits = &jmapd_session_limits,
	.request = jmapd_session_request,
	.over = jmapd_session_over,
	.event = jmapd_session_event,
	.left = jmapd_session_left,
	.closed = jmapd_session_closed,
};

struct store_person
jmapd_session_actor(struct op *op)
{
	const struct session *s = jmapd_session_of(CONTAINER(op, struct http_server, op));

	return s->user ? login_groups_person(s->user->groups) : store_person(S(""));
}

/* ---- begin and end ---------------------------------------------------------------------------- */

void
jmapd_session_new(struct daemon_listen *l, int fd)
{
	struct session *s = mem_new(sizeof(*s));
	char text[ADDR_TEXT];
	struct addr peer;
	bool announced = daemon_peer(fd, &peer);
	int r = -EMFILE;

	jmapd_session_limits.idle_ms = (uint32_t)config.idle_time;
	jmapd_session_limits.head_ms = (uint32_t)config.head_time;
	jmapd_session_limits.bounds.body = (uint64_t)config.request;
	s->magic = SESSION_MAGIC;
	jmapd_session_alive++;
	s->listen = l;
	random_id(s->sid);
	s->http.policy = &jmapd_session_policy;
	s->http.owner = s;
	s->loopback = addr_loopback(&peer) && !announced;
	addr_host(&peer, s->peer);
	list_push(&jmapd.sessions, &s->link);
	jmapd.nsessions++;
	metric_add(M_CONNECTIONS, 1);
	metric_add(M_SESSIONS, 1);
	log_context(s->sid);
	log_event(LOG_INFO, "connect", "sid=%s peer=%s", s->sid, addr_write(&peer, text));
	if (admit_enter(&s->admit, CLASS_HTTP, &peer) == ADMIT_OK)
		r = http_server_open(&s->http, jmapd.loop, fd,
		    l->tls == TLS_IMPLICIT ? l->tls_ctx : NULL, s->sid);
	else
		log_event(LOG_INFO, "login_limit", "sid=%s peer=%s user=", s->sid, s->peer);
	if (r == 0 && announced)
		stream_announce(&s->http.line.io, &peer);
	if (r == 0)
		return;
	if (r != -EMFILE)
		log_event(LOG_WARN, "accept_failed", "sid=%s error=%s", s->sid, strerror(-r));
	(void)close(fd);
	jmapd_session_left(&s->http);
	jmapd_session_closed(&s->http);
}

size_t
jmapd_session_end_user(struct slice account)
{
	struct session *s;
	size_t n = 0;

	list_each(s, &jmapd.sessions, struct session, link)
	{
		if (!s->user || !slice_ieq(slice_str(s->user->account), account))
			continue;
		s->credentials = 0;
		line_session_close(&s->http.line, "forgotten");
		n++;
	}
	return n;
}

/* ---- what operators see ------------------------------------------------------------------------ */

static void
jmapd_session_walk(bool (*each)(void *arg, const struct daemon_session *d), void *arg)
{
	struct session *s;

	list_each(s, &jmapd.sessions, struct session, link)
	{
		struct daemon_session d = {
			.session = s,
			.sid = s->sid,
			.protocol = "jmap",
			.state = s->http.input == HTTP_REST ? "rest" : "request",
			.user = s->user ? s->user->account : NULL,
			.peer = s->peer,
			.tls = stream_secure(&s->http.line.io),
			.began_ms = s->http.line.began_ms,
		};

		if (!each(arg, &d))
			break;
	}
}

static bool
jmapd_session_end(void *session, enum daemon_end how)
{
	struct session *s = CAST(session, struct session, SESSION_MAGIC);
	bool before = line_session_ending(&s->http.line);

	if (how == SESSION_NOW)
		line_session_close(&s->http.line, "kicked");
	else
		http_server_shutdown(&s->http);
	return how == SESSION_NOW || (!before && line_session_ending(&s->http.line));
}

static void
jmapd_session_forget(struct slice account)
{
	if (account.n)
		dir_forget(jmapd.dir, account);
	else
		dir_forget_all(jmapd.dir);
}

static void
jmapd_session_cache(struct buf *out)
{
	dir_status(jmapd.dir, out);
	buf_char(out, '\n');
}

const struct daemon_sessions jmapd_session_verbs = {
	.walk = jmapd_session_walk,
	.end = jmapd_session_end,
	.forget = jmapd_session_forget,
	.cache = jmapd_session_cache,
	.load = admit_load,
};

void
jmapd_session_drain_all(void)
{
	struct session *s;

	events_drain();
	list_each(s, &jmapd.sessions, struct session, link) http_server_shutdown(&s->http);
	if (jmapd_session_alive == 0)
		daemon_drained();
}

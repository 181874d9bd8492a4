/* memd/proxy.c: a request of JMAP to the user's store, and its answer back.
 *
 * Owns a struct memd_proxy from the login's answer until the request is over, with the connection to the store
 * (reach.c) while that is lent.  A request is said anew, from fields on a list (forward, back): nothing of it
 * passes as octets but the body, and its length is counted by us on both sides, so that store and client
 * cannot disagree with us about where a request ends (RFC 9112 11.2).  Bodies stream: no more than BEHIND
 * octets of either are here while the other side does not take them.
 *
 *	reaching --> asking (the body goes there) --> waiting --> answering --> over
 *	   ^------- said "moved", or a kept connection was closed ---'
 *
 * Can fail: the store at each step.  Before its head that is 503, or another try where nothing can have been
 * done; behind it the connection ends, which tells the client.  Must stay true: a failing store logs nobody out,
 * and backend_way_tried follows each try. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "memd.h"
#include "web/gzip.h"

/* Of the answer that the client has not taken. */
#define BEHIND 65536
/* A body that is kept, in case the store says that the user has moved. */
#define KEEP_MOST 65536

struct memd_proxy {
	struct memd_session *s;
	struct memd_reach reach;
	struct http_client *client; /* lent; NULL: not yet, or not any more */
	char *host;                 /* the store */
	struct buf pending;         /* of the answer: not yet written to the client */
	struct web_gzip *gzip;      /* that it goes through; NULL: it goes as it is */
	struct buf kept;            /* of the request's body, while it is short */
	enum http_next next;        /* `held`: for when the answer has ended */
	uint64_t taken;             /* octets of the request's body */
	uint64_t began_us;
	bool body;          /* the request has one */
	bool read;          /* ... and it was read to its end */
	bool waiting;       /* HTTP_WAIT was said, for the store */
	bool early;         /* the head has come while the body is still read */
	bool moving;        /* ... and names another store */
	bool answered;      /* our answer's head is written */
	bool held;          /* an answer without content: said, and the store's end is waited for */
	bool ended;         /* the store's answer is complete */
	bool lost;          /* the store was lost in the middle of it */
	bool full;          /* the client of the store is paused */
	bool followed;      /* another store was named once */
	bool again;         /* a kept connection had been closed, once */
	bool judging;       /* a stream of events waits until it is known whether it may go on */
	uint64_t judged_ms; /* when that was known last */
};

static enum http_next proxy_reach(struct memd_proxy *p, struct slice host, bool fresh);

/* ---- the ends --------------------------------------------------------------------------------------- */

static void
proxy_undo(struct http_server *http)
{
	struct memd_proxy *p = http->data;

	http_client_drop(&p->client);
	memd_reach_fini(&p->reach);
	if (p->s->event_stream)
		metric_add(M_STREAMS, -1);
	buf_fini(&p->pending);
	web_gzip_free(&p->gzip);
	if (p->kept.p)
		secret_clear(p->kept.p, p->kept.n);
	buf_fini(&p->kept);
	mem_free(&p->host);
	mem_free(&p);
}

/* Goes on where HTTP_WAIT was said.  The proxy may be gone behind it. */
static void
proxy_resume(struct memd_proxy *p, enum http_next next)
{
	p->waiting = next == HTTP_WAIT;
	log_context(p->s->sid);
	http_server_resume(&p->s->http, next);
}

static enum http_next
proxy_wait(struct memd_proxy *p)
{
	p->waiting = true;
	return HTTP_WAIT;
}

static enum http_next
proxy_away(struct memd_proxy *p)
{
	log_event(LOG_INFO, "store_away", "sid=%s user=%s store=%s", p->s->sid,
	    log_str(p->s->account), log_str(p->host ? p->host : ""));
	return memd_record_away(p->s);
}

/* ---- the answer --------------------------------------------------------------------------------------- */

/* What a store's answer may say to the client; the rest is between it and us. */
static const char *const back[] = { "Content-Type", "Content-Range", "Content-Disposition",
	"Content-Language", "Content-Encoding", "ETag", "Last-Modified", "Accept-Ranges", "Allow",
	"Cache-Control", "Retry-After" };

/* What is pending goes to the client. */
static void
proxy_piece(struct memd_proxy *p, bool last)
{
	struct buf b = { 0 };

	if (!p->gzip) {
		http_server_piece(&p->s->http, buf_get(&p->pending));
		return;
	}
	web_gzip_add(p->gzip, buf_get(&p->pending), last, &b);
	http_server_piece(&p->s->http, buf_get(&b));
	buf_fini(&b);
}

static enum http_next
proxy_more(struct http_server *http)
{
	struct memd_proxy *p = http->data;

	if (p->judging)
		return proxy_wait(p);
	if (p->pending.n) {
		proxy_piece(p, false);
		buf_clear(&p->pending);
		if (p->full && p->client) {
			p->full = false;
			http_client_go(p->client);
		}
		return HTTP_PULL;
	}
	buf_fini(&p->pending); /* a stream of events that rests holds nothing */
	if (p->lost)
		return HTTP_CLOSE;
	if (!p->ended)
		return proxy_wait(p);
	if (p->gzip)
		proxy_piece(p, true);
	return HTTP_NEXT;
}

/* Texts, for a client that takes them so.  What is secret in them nobody else can put anything beside: other
 * sites cannot ask for them (CVE-2013-3587). */
static bool
proxy_compresses(const struct memd_proxy *p, const struct http_head *h)
{
	struct slice type = http_head_value(h, S("Content-Type"));
	const struct http_head *asked = http_server_head(&p->s->http);

	return h->code == 200 && asked->verb != HTTP_VERB_HEAD && !asked->http10 &&
	    !http_head_find(h, S("Content-Encoding")) &&
	    slice_istarts(type, S("application/json")) && h->length >= WEB_GZIP_LEAST &&
	    web_accepts(asked, S("gzip"));
}

static void
proxy_fields(struct memd_proxy *p, const struct http_head *h)
{
	struct http_server *http = &p->s->http;

	for (size_t i = 0; i < NELEM(back); i++) {
		struct slice v = http_head_value(h, slice_str(back[i]));

		if (v.p)
			http_server_field(http, back[i], v);
	}
	if (!http_head_find(h, S("Cache-Control")))
		http_server_field(http, "Cache-Control", S("no-store"));
	if (p->s->due)
		memd_auth_cookie(p->s, false);
	memd_guard_fields(p->s);
}

/* Of a store that does not believe us, a proxy between, or one that sends on who was sent to it: nothing that the
 * person can do. */
static enum http_next
proxy_unbelieved(struct memd_proxy *p, const struct http_head *h)
{
	log_event(LOG_ERROR, "store_refused", "sid=%s user=%s store=%s status=%u", p->s->sid,
	    log_str(p->s->account), log_str(p->host), h->code);
	http_client_drop(&p->client);
	return proxy_away(p);
}

static enum http_next
proxy_answer(struct memd_proxy *p, const struct http_head *h)
{
	struct http_server *http = &p->s->http;

	if (h->code == 401 && p->s->cookie && http_head_find(h, S(MEMD_WEB_SESSION))) {
		http_client_drop(&p->client);
		return memd_record_over(p->s, "ended");
	}
	if (h->code == 401 || h->code == 407 || h->code == 421)
		return proxy_unbelieved(p, h);
	p->answered = true;
	http_server_answer(http, h->code);
	proxy_fields(p, h);
	if (proxy_compresses(p, h) && (p->gzip = web_gzip_new())) {
		http_server_field(http, "Content-Encoding", S("gzip"));
		http_server_field(http, "Vary", S("Accept-Encoding"));
	}
	if (h->code == 204 || h->code == 304)
		p->next = http_server_empty(http);
	else
		p->next = http_server_stream(http, NULL, p->gzip ? HTTP_LENGTH_UNKNOWN : h->length,
		    proxy_more);
	if (p->next == HTTP_PULL)
		return HTTP_PULL;
	/* It is said; the connection to the store is given back when its answer has ended too. */
	p->held = true;
	return proxy_wait(p);
}

/* The user is at another store now: there, if the body can be said again. */
static enum http_next
proxy_moved(struct memd_proxy *p, const struct http_head *h)
{
	struct slice host = http_head_value(h, S("Tiermail-Mailhost"));
	char *to = mem_strn(host.p, host.n);
	enum http_next next;

	log_event(LOG_INFO, "referral", "sid=%s user=%s store=%s to=%s", p->s->sid,
	    log_str(p->s->account), log_str(p->host), log_value(host));
	metric_add(M_REFERRALS, 1);
	dir_forget(memd.dir, slice_str(p->s->account));
	http_client_drop(&p->client);
	p->followed = true;
	p->moving = p->early = false;
	if (p->body && p->taken > KEEP_MOST)
		next = proxy_away(p); /* once more, it goes the right way */
	else
		next = proxy_reach(p, slice_str(to), false);
	mem_free(&to);
	return next;
}

static enum http_next
proxy_headed(struct memd_proxy *p, const struct http_head *h)
{
	return p->moving ? proxy_moved(p, h) : proxy_answer(p, h);
}

/* ---- what the store does ------------------------------------------------------------------------------ */

static void
proxy_on_head(void *arg, const struct http_head *h)
{
	struct memd_proxy *p = arg;

	memd_reach_tried(&p->reach, BACKEND_GOOD, S(""));
	if (p->s->event_stream) /* which may be silent from now on */
		http_client_silence(p->client, 0);
	metric_add(M_STORE_ANSWERED, 1);
	metric_add(M_STORE_US, (int64_t)(clock_mono_us() - p->began_us));
	p->moving = h->code == 421 && http_head_find(h, S("Tiermail-Mailhost")) && !p->followed;
	if (p->read) {
		proxy_resume(p, proxy_headed(p, h));
		return;
	}
	/* No more of the body is wanted there: the next piece of it hears that. */
	p->early = true;
	http_client_pause(p->client);
	if (p->waiting)
		proxy_resume(p, HTTP_NEXT);
}

static void
proxy_judged(void *arg, const struct login_result *r)
{
	struct memd_proxy *p = arg;
	struct memd_session *s = p->s;
	struct login *l = s->login;
	const char *why = r->outcome == LOGIN_OK ? memd_record_outlived(s, &r->user) :
						   login_answer(r->outcome)->log;

	s->login = NULL;
	p->judging = false;
	p->judged_ms = clock_mono_ms();
	log_context(s->sid);
	if (r->outcome != LOGIN_AWAY && why) {
		log_event(LOG_INFO, "session_over", "sid=%s peer=%s user=%s session=%s why=%s",
		    s->sid, s->peer, log_str(s->account), s->web.id, why);
		metric_add(M_ENDED, 1);
		p->lost = true;
		buf_clear(&p->pending);
		http_client_drop(&p->client);
	}
	login_free(&l);
	if (p->waiting)
		proxy_resume(p, HTTP_PULL);
}

/* A stream of events lasts for hours: before it says more, the account is looked at as for a request.  (Whether the
 * session lives, the store looks.) */
static bool
proxy_judge(struct memd_proxy *p)
{
	struct memd_session *s = p->s;

	if (!s->event_stream || !s->cookie || p->judging ||
	    clock_mono_ms() - p->judged_ms < MEMD_JUDGED_MS)
		return p->judging;
	p->judging = memd_auth_again(s, slice_str(s->account), proxy_judged, p);
	return p->judging;
}

static void
proxy_on_bytes(void *arg, struct slice piece)
{
	struct memd_proxy *p = arg;

	if (p->held)
		return; /* a body that we have not announced: RFC 9110 8.6 */
	buf_slice(&p->pending, piece);
	if (!proxy_judge(p) && p->waiting) {
		proxy_resume(p, HTTP_PULL);
		return;
	}
	if (p->pending.n >= BEHIND) {
		p->full = true;
		http_client_pause(p->client);
	}
}

static void
proxy_on_end(void *arg)
{
	struct memd_proxy *p = arg;

	p->client = NULL;
	p->ended = true;
	if (p->waiting)
		proxy_resume(p, p->held ? p->next : HTTP_PULL);
}

static void
proxy_on_room(void *arg)
{
	struct memd_proxy *p = arg;

	if (p->waiting && !p->read)
		proxy_resume(p, HTTP_NEXT);
}

/* May it be asked again?  A connection at rest had been closed, and the request changes nothing. */
static bool
proxy_repeatable(const struct memd_proxy *p, bool untouched)
{
	const struct http_head *h = http_server_head(&p->s->http);

	return untouched && !p->again && !p->body && (h->verb & (HTTP_VERB_GET | HTTP_VERB_HEAD));
}

static void
proxy_on_failed(void *arg, const char *why, bool untouched)
{
	struct memd_proxy *p = arg;

	p->client = NULL;
	p->lost = true;
	log_event(LOG_INFO, "store_lost", "sid=%s store=%s error=%s", p->s->sid, log_str(p->host),
	    log_str(why));
	if (untouched)
		memd_reach_tried(&p->reach, BACKEND_GIVEN_UP, S(""));
	else
		memd_reach_tried(&p->reach,
		    strcmp(why, "says nothing") == 0 ? BACKEND_SILENT : BACKEND_BAD,
		    slice_str(why));
	if (!p->waiting)
		return; /* whoever is called next says so */
	if (p->held) {
		proxy_resume(p, p->next);
	} else if (p->answered) {
		proxy_resume(p, HTTP_PULL); /* what has come, and then the end */
	} else if (proxy_repeatable(p, untouched)) {
		p->again = true;
		p->lost = false;
		proxy_resume(p, proxy_reach(p, slice_str(p->host), true));
	} else {
		proxy_resume(p, proxy_away(p));
	}
}

static const struct http_asker proxy_asker = {
	.head = proxy_on_head,
	.bytes = proxy_on_bytes,
	.end = proxy_on_end,
	.room = proxy_on_room,
	.failed = proxy_on_failed,
};

/* ---- the request's body -------------------------------------------------------------------------------- */

static enum http_next
proxy_early(struct memd_proxy *p)
{
	enum http_next next;

	if (p->lost || !p->client)
		return proxy_away(p);
	p->early = false;
	next = proxy_headed(p, http_client_head(p->client));
	if (p->client)
		http_client_go(p->client);
	return next;
}

static enum http_next
proxy_bytes(struct http_server *http, struct slice bytes)
{
	struct memd_proxy *p = http->data;

	if ((p->early && !p->moving) || p->lost)
		return proxy_early(p);
	p->taken += bytes.n;
	if (p->taken <= KEEP_MOST)
		buf_slice(&p->kept, bytes);
	else
		buf_fini(&p->kept);
	if (p->moving)
		return HTTP_NEXT;
	http_client_piece(p->client, bytes);
	return http_client_full(p->client) ? proxy_wait(p) : HTTP_NEXT;
}

static enum http_next
proxy_body_over(struct http_server *http)
{
	struct memd_proxy *p = http->data;

	p->read = true;
	if (p->early || p->lost)
		return proxy_early(p);
	memd_reach_return(&p->reach);
	http_client_done(p->client);
	return proxy_wait(p);
}

static const struct http_taker proxy_taker = { .name = "proxy",
	.bytes = proxy_bytes,
	.end = proxy_body_over };

/* ---- the request ----------------------------------------------------------------------------------------- */

/* What a client may say to a store. */
static const char *const forward[] = { "Accept", "Accept-Language", "Content-Type", "If-Match",
	"If-None-Match", "If-Range", "Last-Event-ID", "Range" };

static bool
proxy_has_body(const struct http_head *h)
{
	return h->length > 0;
}

static void
proxy_say(struct memd_proxy *p)
{
	struct memd_session *s = p->s;
	const struct http_head *h = http_server_head(&s->http);
	struct http_client *c = p->client;
	bool kept = p->body && p->read;

	p->began_us = clock_mono_us();
	http_client_ask(c, &proxy_asker, p, h->method, h->target,
	    h->host.n ? h->host : S("localhost"));
	for (size_t i = 0; i < NELEM(forward); i++) {
		struct slice v = http_head_value(h, slice_str(forward[i]));

		if (v.p)
			http_client_field(c, forward[i], v);
	}
	http_client_field(c, "Tiermail-Account", slice_str(s->account));
	http_client_field(c, "Tiermail-Client", slice_str(s->peer));
	http_client_field(c, "Tiermail-Session", slice_str(s->sid));
	if (s->cookie)
		http_client_field(c, MEMD_WEB_SESSION, slice_str(s->web.id));
	http_client_body(c, kept ? p->kept.n : h->length, h->verb != HTTP_VERB_POST && !p->body,
	    (uint32_t)config.answer_time);
	if (kept && p->kept.n) {
		http_client_piece(c, buf_get(&p->kept));
		http_client_done(c);
	}
}

static enum http_next
proxy_ask(struct memd_proxy *p)
{
	proxy_say(p);
	if (p->body && !p->read) {
		memd_reach_leave(&p->reach);
		return http_server_take(&p->s->http, &proxy_taker, (uint64_t)config.upload);
	}
	p->read = true;
	return proxy_wait(p);
}

static void
proxy_reached(void *arg, struct http_client *c)
{
	struct memd_proxy *p = arg;

	p->client = c;
	proxy_resume(p, c ? proxy_ask(p) : proxy_away(p));
}

static enum http_next
proxy_reach(struct memd_proxy *p, struct slice host, bool fresh)
{
	bool away;

	if (!p->host || !slice_eq(host, slice_str(p->host))) {
		char *name = mem_strn(host.p, host.n);

		mem_free(&p->host);
		p->host = name;
	}
	memd_reach_fini(&p->reach);
	p->reach = (struct memd_reach){ .done = proxy_reached, .arg = p };
	p->client = memd_reach_start(&p->reach, slice_str(p->host), fresh, &away);
	if (away)
		return proxy_away(p);
	return p->client ? proxy_ask(p) : proxy_wait(p);
}

enum http_next
memd_proxy_start(struct memd_session *s, const struct login_user *user UNUSED)
{
	const struct http_head *h = http_server_head(&s->http);
	struct memd_proxy *p;

	p = mem_new(sizeof(*p));
	p->s = s;
	p->body = proxy_has_body(h);
	s->http.data = p;
	s->http.undo = proxy_undo;
	s->event_stream = slice_eq(h->path, S("/jmap/events"));
	s->http.endless = s->event_stream;
	if (s->event_stream)
		metric_add(M_STREAMS, 1);
	p->judged_ms = clock_mono_ms();
	return proxy_reach(p, slice_str(s->mailhost), false);
}

/* jmapd/session.h: what a connection is to jmapd: http/server's, with whoever speaks on it.
 *
 * HTTP's own matters (heads, bodies, order, time) are http/server's; here is who asks and what for.  Each
 * request says who it is from, and a proxy's connection may bring one user's behind another's. */
#ifndef JMAPD_SESSION_H
#define JMAPD_SESSION_H
#include "base/must.h"
#include "daemon/daemon.h"
#include "daemon/sessions.h"
#include "http/server.h"
#include "jmapd.h"
#include "login/proxy.h"

#define SESSION_MAGIC 0x4a4d4150u

struct session {
	uint32_t magic;
	uint8_t failures; /* of login */
	bool loopback;    /* the peer is on this host */
	bool known;       /* whether it is a proxy has been found out */
	bool proxy;       /* the peer may act for users */
	bool full;        /* limit.per_client of whom it speaks for is reached */
	char sid[14];
	struct http_server http;
	struct list link;    /* jmapd.sessions; on no list once it has left */
	struct login *login; /* while it lasts */
	struct admit admit;
	char peer[ADDR_TEXT]; /* without port, for logs */
	struct daemon_listen *listen;
	struct jmapd_user *user; /* of the request in hand, or of the last one */
	uint64_t credentials;    /* hash of what he has shown, 0 = nothing good */
	uint64_t checked_ms;     /* when the directory was asked about them */
	int64_t token_until;     /* unix seconds: the end of the token that they are, or 0 */
};

static inline struct session *
jmapd_session_of(struct http_server *http)
{
	return CAST(http->owner, struct session, SESSION_MAGIC);
}

extern const struct admit_service jmapd_admit;
void jmapd_session_new(struct daemon_listen *l, int fd);
void jmapd_session_drain_all(void);
size_t jmapd_session_end_user(struct slice account);
extern const struct daemon_sessions jmapd_session_verbs;
/* For whom a request to stored is whose answer this op of a session waits for. */
struct store_person jmapd_session_actor(struct op *op);

/* auth.c: finds out who asks: s->user is set and `routes` called, now or later, or the answer is one of
 * refusal. */
enum http_next jmapd_auth_request(struct session *s);
/* route.c: a request of s->user, or of nobody (`who` NULL is not asked for). */
enum http_next route_request(struct session *s);

/* resource.c: the session object (RFC 8620 2). */
enum http_next resource_get(struct session *s);
/* api.c: POST of method calls (RFC 8620 3). */
enum http_next api_post(struct session *s);
/* download.c: a blob (RFC 8620 6.2). */
enum http_next download_get(struct session *s, struct slice rest);

/* events.c: push (RFC 8620 7.3). */
enum http_next events_get(struct session *s, struct slice rest);
void events_store(const struct store_event *ev, size_t n);
void events_drain(void);

/* websession.c: of the session of the web that a proxy's request names. */
enum websession_state { WEBSESSION_NONE, WEBSESSION_LIVES, WEBSESSION_OVER, WEBSESSION_AWAY };
enum websession_state websession_state(struct session *s);
enum http_next websession_over(struct session *s);
enum http_next websession_away(struct session *s);
enum http_next websession_begin(struct session *s, struct slice rest);
enum http_next websession_seen(struct session *s, struct slice rest);
enum http_next websession_end(struct session *s, struct slice rest);
enum http_next websession_check(struct session *s, struct slice rest);
enum http_next websession_list(struct session *s, struct slice rest);

/* A value of the request's query, decoded; p NULL: it has none of that name. */
struct slice route_query(struct session *s, struct slice name);
/* %41 undone, and + when `plus` says so; in `a`. */
struct slice route_decode(struct arena *a, struct slice text, bool plus);
/* application/problem+json (RFC 7807). */
enum http_next
route_problem(struct session *s, unsigned status, const char *type, const char *detail);
#endif

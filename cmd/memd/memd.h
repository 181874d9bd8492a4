/* memd/memd.h: what all files of memd share: settings, this worker's keepers, a session.
 *
 *	main.c     keys, metrics, one call
 *	session.c  who may connect, and the life of a connection
 *	route.c    from a request's path to who answers it; the files of the client
 *	guard.c    what a browser says of where a request comes from, and what it is told to do with an answer
 *	auth.c     whose request it is: the cookie, Basic, and the directory's rules at each request
 *	login.c    POST /login, POST /logout, GET /session
 *	signon.c   /signon: logins at the site's provider
 *	signon-trip.c ... who is on the way there
 *	signon-end.c  ... and their end there
 *	record.c   the records of sessions, which the store keeps; GET and POST /sessions
 *	ask.c      what memd itself asks of a store
 *	password.c POST /password
 *	body.c     what is told to these two, in JSON
 *	proxy.c    a request of JMAP to the user's store, and its answer back
 *	reach.c    ... a connection to that store
 *	autoconfig.c    tells mail programs where the servers of an address are
 *	store.c    the stores as configured, and a probe whether one that was down is back
 *
 * memd keeps nothing of anybody: who is logged in stands in a sealed cookie, and whether that session lives with the
 * person's store, so any memd serves any request. */
#ifndef MEMD_MEMD_H
#define MEMD_MEMD_H
#include "backend/backend.h"
#include "base/list.h"
#include "base/must.h"
#include "daemon/admit.h"
#include "daemon/daemon.h"
#include "daemon/sessions.h"
#include "directory/directory.h"
#include "http/client.h"
#include "http/server.h"
#include "json/json.h"
#include "login/login.h"
#include "oauth/signin.h"
#include "web/files.h"
#include "web/guard.h"
#include "web/seal.h"
#include "web/session.h"

enum memd_role { MEMD_WEB, MEMD_REDIRECT, MEMD_ROLES };

/* A [host NAME] section; NAME is a value of mailHost, or "*" for those without one of their own. */
struct memd_section {
	char *name;
	char *address;          /* a host or a numeric address; empty: NAME itself */
	int64_t port;           /* 0: store.port */
	char *certificate_name; /* empty: NAME */
};

/* An [autoconfig DOMAIN] section; "*" for the domains without one of their own. */
struct memd_autoconfig {
	char *domain;
	char **services; /* SCHEME://HOST[:PORT], the best first */
	char *name;      /* that people are shown; empty: the domain */
};

struct memd_conf {
	int64_t workers;
	int64_t clients, per_client, per_user; /* limit.*, see daemon/admit.h */
	int64_t upload;                        /* limit.upload: octets of a request's body */
	int64_t auth_delay;                    /* auth.delay, ms */
	int64_t idle_time;                     /* timeout.idle, ms: of a connection */
	char *www;                             /* folder of the client's files */
	char *keys;                            /* session.keys: file of keys, see web/seal.h */
	int64_t session_idle, session_life;    /* session.idle, session.life; ms */
	int64_t hsts;                          /* hsts, ms; 0: not told */
	char **origins;                        /* cors.origins */
	struct {                               /* signon.* */
		char *issuer, *metadata, *ca, *client, *secret, *scope, *claim, *name;
		char **domains;
		bool form, redirect;
		int64_t skew;
	} signon;
	int64_t port;                      /* store.port */
	char *dflt;                        /* store.default */
	int64_t connect_time, answer_time; /* store.connect_timeout, store.answer_timeout; ms */
	int64_t attempts, down_failures, retry;
	int64_t kept, rest; /* store.kept: connections at rest; store.rest, ms: and how long */
	struct memd_section **sections;
	struct memd_autoconfig **autoconfigs;
};
extern struct memd_conf config;

/* The worker. */
struct memd {
	struct loop *loop;
	struct dir *dir;
	struct dns *dns;
	struct login_door *door;
	struct backend_set stores;
	struct http_pool pool;
	struct web_keys *keys;   /* as last read */
	struct web_files *files; /* likewise */
	struct oauth_signin *signin;
	struct list signons; /* of signon.c: logins whose browser has come back */
	struct list sessions;
	size_t nsessions;
};
extern struct memd memd;

/* clang-format off */
enum memd_metric {
	M_CONNECTIONS, M_SESSIONS, M_REQUESTS, M_BAD, M_API, M_STREAMS, M_LOGINS, M_LOGIN_FAILED, M_SIGNONS, M_SIGNON_FAILED, M_PASSWORDS, M_FOREIGN,
	M_ENDED, M_STORE_ANSWERED, M_STORE_US, M_STORE_FAILED, M_STORES_DOWN, M_STORE_DOWNS, M_STORE_SHUNNED, M_STORE_PROBES,
	M_REFERRALS, M_AUTOCONFIGS, M_DIRECTORY
};
/* clang-format on */

#define MEMD_SESSION_MAGIC 0x4d454d64u
/* `__Host-`: see web/cookie.h. */
#define MEMD_COOKIE "__Host-tiermail"
/* The field that tells a store which session a request is of, and us that it is over. */
#define MEMD_WEB_SESSION "Tiermail-Web-Session"
/* How old what the directory says of an account may be for a session to go on, ms. */
#define MEMD_JUDGED_MS 5000

struct memd_session;
typedef enum http_next (*memd_then)(struct memd_session *s, const struct login_user *user);
/* What a store has said: the status, 0: it is away; the body lives until it returns. */
typedef enum http_next (*memd_told)(struct memd_session *s, unsigned status, struct slice body);

struct memd_ask;
struct memd_proxy;
struct memd_session {
	uint32_t magic;
	uint8_t role; /* enum memd_role */
	bool loopback, left;
	bool within; /* its requests are streams of another connection, of HTTP/2, which has TLS */
	struct http_server http;
	struct list link; /* memd.sessions; on no list once it has left */
	struct admit admit;
	char sid[14];
	char peer[ADDR_TEXT]; /* without port, for logs */
	uint64_t began_ms;
	/* of the request */
	struct login *login;  /* while it is asked whose it is */
	memd_then then;       /* ... and what follows */
	char *account;        /* uid@domain, once that is known */
	char *mailhost;       /* ... and its store, */
	char *language;       /* ... and preferredLanguage of its entry, or "" */
	struct memd_ask *ask; /* while that is asked something */
	char *origin;         /* of another site that may read the answer (CORS) */
	struct web_session web;
	bool cookie; /* it has come with a session, `web` */
	bool due;    /* ... that is to be sealed anew */
	bool looks; /* ... and to be looked for in the store, for what follows does not ask there */
	bool rules_ok; /* the answer has its fields for browsers */
	bool event_stream;
};

static inline bool
memd_secure(const struct memd_session *s)
{
	return s->within || stream_secure(&s->http.line.io);
}

static inline struct memd_session *
memd_of(struct http_server *http)
{
	return CAST(http->owner, struct memd_session, MEMD_SESSION_MAGIC);
}

/* ---- session.c */
extern const struct admit_service memd_admit;
extern const struct daemon_sessions memd_session_verbs;
void memd_session_new(struct daemon_listen *l, int fd);
void memd_session_drain_all(void);
size_t memd_session_end_user(struct slice account);

/* ---- route.c */
enum http_next memd_request(struct http_server *http);

/* ---- guard.c */
/* Does a browser want to run it, or to lay it over a page of ours? */
bool memd_guard_runs(const struct http_head *h);
/* Notes an origin of cors.origins; false: there is one, and it is none of them. */
bool memd_guard_cors(struct memd_session *s);
/* Fields of every answer but pages; of pages. */
void memd_guard_fields(struct memd_session *s);
void memd_guard_page(struct http_server *http, struct slice path);
/* An answer in JSON (RFC 9457): {"status":503,"detail":...,"code":...}. */
enum http_next
memd_problem(struct memd_session *s, unsigned status, const char *code, const char *detail);
enum http_next memd_json(struct memd_session *s, unsigned status, struct slice text);

/* ---- auth.c */
/* Finds out whose the request is, and goes on with `then`, or answers.  Whether a cookie's session lives is the store's
 * to say when it is asked; `look`: it is asked that first. */
enum http_next memd_auth_start(struct memd_session *s, memd_then then);
enum http_next memd_auth_look(struct memd_session *s, memd_then then);
/* The request's cookie, into s->web; false: there is none that is good. */
bool memd_auth_opens(struct memd_session *s);
/* What the directory says of the account now, as s->login; `done` gets it.  False: there cannot be such an account. */
bool memd_auth_again(struct memd_session *s, struct slice account, login_done done, void *arg);
/* Whose request it is, and where the mailbox is.  False: it has none, and *next says so. */
bool memd_auth_is(struct memd_session *s, const struct login_user *user, enum http_next *next);
/* Nobody is logged in any more, and the cookie goes. */
enum http_next memd_auth_over(struct memd_session *s);
/* Words for whoever was not let in. */
void memd_auth_log(struct memd_session *s, const struct login_result *r); /* likewise */
enum http_next memd_auth_no(struct memd_session *s, const struct login_result *r);
bool memd_auth_secure(const struct memd_session *s);
struct login_request memd_auth_request(struct memd_session *s);
struct web_session_rules memd_auth_rules(void);
/* Appends Set-Cookie with s->web; `gone`: takes it away. */
void memd_auth_cookie(struct memd_session *s, bool gone);

/* ---- login.c */
enum http_next memd_login(struct memd_session *s);
enum http_next memd_logout(struct memd_session *s);
enum http_next memd_whoami(struct memd_session *s);

/* ---- signon.c */
enum http_next memd_signon(struct memd_session *s);
enum http_next memd_signon_back(struct memd_session *s);
enum http_next memd_signon_about(struct memd_session *s);
enum http_next memd_signon_failed(struct memd_session *s);
bool memd_signon_wanted(void);
void memd_signon_settings(struct oauth_signin_settings *s);
bool memd_signon_check(struct buf *why);
/* "https://HOST" and `path` of this request.  Heap. */
char *memd_signon_here(const struct memd_session *s, const char *path);

/* ---- signon-trip.c */
/* The answer's cookie: `first` is the line of one more, or empty; `but` is the seed of one that is over. */
void memd_signon_trips(struct memd_session *s, struct slice first, struct slice but);
/* The trip of this browser whose state this is, and the path that it leads to (heap).  False: there is none. */
bool memd_signon_trip(struct memd_session *s, struct slice state, struct oauth_trip *trip,
    char **to) MUSTCHECK;

/* ---- signon-end.c */
/* The answer keeps the ID token for the session's end, if there is room for it. */
void memd_signon_keep(struct memd_session *s, struct slice id_token);
/* ... and not any longer. */
void memd_signon_drop(struct memd_session *s);
/* Finds out where the browser goes to end it there too, as far as that is known, and goes on. */
enum http_next memd_signon_end(struct memd_session *s,
    enum http_next (*then)(struct memd_session *s, struct slice url));

/* ---- ask.c */
/* Asks s->mailhost about s->account and s->web: HTTP_WAIT, or what `told` has said already. */
enum http_next memd_ask(struct memd_session *s, bool post, const char *target, memd_told told);
void memd_ask_free(struct memd_ask **a);

/* ---- record.c */
/* s->web is a new session of this user, whose password was right, or whom the provider has named; false: it cannot be. */
bool
memd_record_new(struct memd_session *s, const struct login_user *user, bool signed_on) MUSTCHECK;
/* ... and the store hears of it; `alone`: and ends all others. */
enum http_next memd_record_begin(struct memd_session *s, bool alone, memd_told told);
/* An id, or "others". */
enum http_next memd_record_end(struct memd_session *s, const char *which, memd_told told);
/* Goes on with s->then if the session of the cookie lives, as far as that is known here. */
enum http_next memd_record_judge(struct memd_session *s, const struct login_user *user);
/* Why the session of the cookie is over by what the directory says of its person: "password", "factor", or NULL. */
const char *memd_record_outlived(const struct memd_session *s, const struct login_user *user);
/* For the log: `why`. */
enum http_next memd_record_over(struct memd_session *s, const char *why);
enum http_next memd_record_away(struct memd_session *s);
enum http_next memd_sessions(struct memd_session *s);

/* ---- body.c */
/* Goes on with what a small text says, in JSON (its tree is valid until it returns), or answers. */
typedef enum http_next (*memd_body_then)(struct memd_session *s, const struct json_t *v);
enum http_next memd_body(struct memd_session *s, memd_body_then then);

/* ---- password.c */
enum http_next memd_password(struct memd_session *s);

/* ---- proxy.c */
enum http_next memd_proxy_start(struct memd_session *s, const struct login_user *user);

/* ---- reach.c */
struct memd_reach {
	struct backend *host;
	struct backend_way *way; /* entered; NULL: not, or told how it went */
	uint64_t began_ms;       /* ... at loop_now */
	struct addr addrs[BACKEND_ADDRESSES];
	size_t naddrs, at;
	struct op op;
	struct tls_ctx *ctx;
	char *name; /* that the certificate must have */
	int port;
	unsigned epoch; /* of memd.pool, when these were read */
	/* The client, or NULL: the store is away. */
	void (*done)(void *arg, struct http_client *c);
	void *arg;
};
/* A connection to `host`: one that rests (unless `fresh`), which is returned; or NULL, and `done` follows.
 * *away: it cannot be reached, and `done` does not follow. */
struct http_client *
memd_reach_start(struct memd_reach *r, struct slice host, bool fresh, bool *away);
/* Likewise without asking whether it is up: always a new one. */
void memd_reach_probe(struct memd_reach *r, struct backend *b);
void memd_reach_tried(struct memd_reach *r, enum backend_tried how, struct slice why);
/* It is the client's turn, who has more to say to the store: for so long the request is none that waits for it. */
void memd_reach_leave(struct memd_reach *r);
void memd_reach_return(struct memd_reach *r);
void memd_reach_fini(struct memd_reach *r);

/* ---- autoconfig.c */
/* For whoever asks, before any login. */
enum http_next memd_autoconfig(struct memd_session *s);
enum http_next memd_autodiscover(struct memd_session *s);
bool memd_autoconfig_check(struct buf *why);

/* ---- store.c */
extern const struct backend_rules memd_rules;
struct memd_section memd_store_own(const struct backend *b);
bool memd_store_check(struct buf *why);
#endif

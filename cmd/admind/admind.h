/* cmd/admind: the API of administration; see admind(8).
 *
 *	session   a connection: who may come in, its requests, its end
 *	front     the console: its files, logins by a form, sessions of browsers
 *	auth      whose request it is
 *	route     what the request asks for: a verb of lib/admin, or what is known without asking
 *	rights    which roles have which verb, for what screens show
 *	work      a verb that runs for a request, as its person, on a connection to the directory
 *	scim*     the same for identity systems, by SCIM; see scim.h
 *	pages     lists that go on with a next request
 *	jobs      what is many changes and waits in the directory */
#ifndef ADMIND_H
#define ADMIND_H
#include "admin/admin.h"
#include "admin/config.h"
#include "daemon/admit.h"
#include "base/must.h"
#include "conf/shared.h"
#include "daemon/daemon.h"
#include "daemon/sessions.h"
#include "http/server.h"
#include "json/json.h"
#include "login/login.h"
#include "web/session.h"

/* clang-format off */
enum admind_metric {
	M_CONNECTIONS, M_SESSIONS, M_REQUESTS, M_BAD, M_LOGIN_FAILED, M_LOGINS, M_VERBS, M_REFUSED, M_VERB_US, M_SCIM, M_SCIM_REFUSED, M_AGENTS, M_DIRECTORY, M_JOBS, M_JOBS_FAILED, M_JOBS_RUNNING
};
/* clang-format on */

struct admind {
	struct loop *loop;
	struct dir *dir;
	struct login_door *door;
	struct list sessions, agents, pages;
	size_t nsessions, nagents, npages;
	size_t working; /* verbs that run */
	struct list turns;
};
extern struct admind admind;

#define ADMIND_SESSION_MAGIC 0x41444d64u
#define ADMIND_BODY_MOST     (4 * 1024 * 1024) /* octets of a request */

struct admind_work;
struct scim_work;
struct admind_session {
	uint32_t magic;
	bool loopback, left;
	struct http_server http;
	struct list link;
	struct admit admit;
	char sid[14];
	char peer[ADDR_TEXT];
	uint64_t began_ms;
	/* of the request */
	struct login *login;
	char *account, *dn; /* who asks, once that is known */
	bool by_app,
	    by_code; /* came by an application password; has given a code of the second factor */
	struct web_session web;
	bool proved; /* POST /password: the old password was given, and the new one is being set */
	bool confirms;          /* turns the own second factor on, by a code of it */
	bool web_coded;         /* a code of the second factor was given when it began */
	bool cookie, due;       /* it has come with a session, `web`; that is to be sealed anew */
	struct buf body, fresh; /* fresh: the new password of POST /password */
	struct admind_work *work;
	struct scim_work *scim;
};

static inline struct admind_session *
admind_of(struct http_server *http)
{
	return CAST(http->owner, struct admind_session, ADMIND_SESSION_MAGIC);
}

/* ---- session.c */
extern const struct admit_service admind_admit;
extern const struct daemon_sessions admind_session_verbs;
void admind_session_new(struct daemon_listen *l, int fd);
void admind_session_drain_all(void);
size_t admind_session_end_user(struct slice account);
/* Tells the daemon when nobody is connected and nothing runs any more. */
void admind_drained(void);

/* ---- auth.c: finds out whose the request is, and goes on with admind_route, or answers. */
enum http_next admind_auth_start(struct admind_session *s);

/* Goes on with admind_route, or answers; for login_start. */
void admind_auth_checked(void *arg, const struct login_result *r);
enum http_next admind_auth_refuse(struct admind_session *s, const struct login_result *r);
enum http_next admind_auth_ask(struct admind_session *s, const char *code, const char *detail);
struct login_request admind_auth_request(struct admind_session *s);
bool admind_auth_by_tls(const struct admind_session *s);

/* ---- front.c */
/* Keys and files as they are now; what cannot be read leaves those that were. */
void admind_front_read(void);
bool admind_front_check(struct buf *why);
void admind_front_status(struct buf *b);
/* Any request. */
enum http_next admind_front(struct admind_session *s);
/* One that has no credentials: its cookie, if that is one. */
enum http_next admind_front_auth(struct admind_session *s);
/* GET /session, of whom is known. */
enum http_next admind_front_session(struct admind_session *s);
enum http_next admind_front_password(struct admind_session *s);
/* Appends Set-Cookie to an answer when that is due. */
void admind_front_renew(struct admind_session *s);

/* ---- route.c */
enum http_next admind_route(struct admind_session *s);
/* An answer in JSON; a problem is one of RFC 9457: {"status","title","code","detail"}. */
enum http_next admind_json(struct admind_session *s, unsigned status, struct slice text);
enum http_next
admind_problem(struct admind_session *s, unsigned status, const char *code, const char *detail);

/* The same of any type, with the fields that all answers have; empty: no content. */
enum http_next
admind_content(struct admind_session *s, unsigned status, const char *type, struct slice text);

/* ---- scim.c: /scim/v2: users and groups for identity systems. */
enum http_next admind_scim(struct admind_session *s);
/* An error as RFC 7644 3.12 has it; type may be NULL. */
enum http_next admind_scim_problem(struct admind_session *s, unsigned status, const char *type,
    const char *detail);
/* The request's session has gone: what runs goes on. */
void admind_scim_forget(struct admind_session *s);

/* ---- rights.c */
/* Appends "roles" and "closed" of a verb to its object. */
void admind_rights_put(const struct admin_verb *v, struct buf *b);

/* ---- agent.c: connections to the directory, as admind's own account. */
struct admind_agent {
	struct list link;
	struct dir_agent *agent;
	bool
	    sorts; /* slapd keeps the rest of a sorted list for it, until it is read or the connection ends */
};
struct admind_agent *admind_agent_take(void); /* NULL: all are busy */
void admind_agent_give(struct admind_agent **a);
void admind_agent_close(void);

/* ---- pages.c: a list that waits for its next page, with the connection that has it. */
struct admind_page {
	struct list link;
	char id[14];
	char *account, *what; /* whose, and of which question */
	struct admind_agent *agent;
	struct admin_page page;
	uint64_t until;
};
/* Takes it out; NULL: there is none of this name for this person and question. */
struct admind_page *admind_page_take(struct slice id, const char *account, const char *what);
/* Keeps it for the next request; the oldest goes where there are too many. */
void admind_page_keep(struct admind_page *p);
void admind_page_free(struct admind_page **p);
void admind_page_expire(void);
bool admind_page_end_oldest(void); /* for who needs its connection; false: there is none */
void admind_page_close(void);

/* ---- jobs.c */
void admind_jobs_start(void);
void admind_jobs_soon(void); /* there may be one; also in a fiber */
void admind_jobs_stop(void);

/* ---- turn.c: what runs for each person. */
struct admind_turn {
	struct list link; /* admind.turns */
	const char *account;
};
void admind_turn_init(struct admind_turn *t);
/* False: as much runs for this person as may.  `account` lives until admind_turn_over. */
bool admind_turn_take(struct admind_turn *t, const char *account) MUSTCHECK;
void admind_turn_over(struct admind_turn *t);

/* ---- work.c */
struct admind_ask {
	const struct admin_verb *verb;
	struct slice names[6];
	size_t nnames;
	struct admin_setting *settings; /* heap, its texts in `texts` */
	size_t nsettings;
	struct buf texts;
	struct secret secret;
	bool dry_run, list, created, proved;
	char *version; /* heap, or NULL */
	unsigned limit;
	char *sort, *what; /* what: of the page, without its own name */
	char page[14];
};
void admind_ask_fini(struct admind_ask *ask);
/* Runs the verb as the person; takes *ask over.  HTTP_WAIT, or answered. */
enum http_next admind_work_start(struct admind_session *s, struct admind_ask *ask);
/* The request's session has gone: what runs goes on, and is not told. */
void admind_work_forget(struct admind_session *s);
#endif

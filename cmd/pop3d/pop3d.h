/* pop3d/pop3d.h: what all files of pop3d share: settings, this worker's keepers, a session.
 *
 *	main.c     keys, metrics, one call
 *	session.c  who may connect, what is offered, life
 *	auth.c     the login, until the mailbox is open and locked
 *	drop.c     the messages as they were at login, and which are marked
 *	list.c     STAT, LIST, UIDL, DELE, RSET
 *	retr.c     RETR, TOP
 *	quit.c     QUIT: the one place that changes a mailbox
 *
 * pop3d reads the store through LMDB and asks stored for what QUIT changes; it can write nothing.  The
 * protocol's own matters (lines, order, cursors, time) are pop3/server's. */
#ifndef POP3D_POP3D_H
#define POP3D_POP3D_H
#include "base/list.h"
#include "base/must.h"
#include "daemon/admit.h"
#include "daemon/daemon.h"
#include "daemon/sessions.h"
#include "directory/directory.h"
#include "drop.h"
#include "login/login.h"
#include "login/watch.h"
#include "login/proxy.h"
#include "pop3/server.h"
#include "store/home.h"

struct pop3d_conf {
	int64_t workers;
	int64_t clients;      /* limit.clients: sessions at once, of all workers */
	int64_t per_client;   /* limit.per_client: of one address */
	int64_t failures;     /* auth.failures: wrong passwords on a connection */
	int64_t bad_commands; /* limit.bad_commands: in a row */
	int64_t login_time;   /* timeout.login, ms */
	int64_t idle_time;    /* timeout.idle, ms */
	int64_t auth_delay;   /* auth.delay, ms */
	int64_t login_delay;  /* pop3.login_delay, ms; 0 = none */
	int64_t expire;       /* pop3.expire, days; 0 = never */
	char *uidl;           /* pop3.uidl: pop3_uidl_write */
	bool mark_seen;       /* pop3.mark_seen */
	bool utf8_refuse;     /* pop3.utf8_refuse */
	char **proxies;       /* auth.proxies: names of those that act for users */
	char **hosts;         /* values of mailHost that mean this host */
	bool any_host;
};
extern struct pop3d_conf config;

/* The worker. */
struct pop3d {
	struct loop *loop;
	struct dir *dir;
	struct login_door *door;
	struct store_client *store;
	struct store_homes homes;
	struct list sessions;
	size_t nsessions;
};
extern struct pop3d pop3d;

/* clang-format off */
enum pop3d_metric {
	M_CONNECTIONS, M_SESSIONS, M_TLS, M_LOGINS, M_LOGIN_FAILED, M_IN_USE, M_COMMANDS, M_BAD,
	M_RETRIEVED, M_BYTES, M_DELETED, M_DIRECTORY
};
/* clang-format on */

#define POP3D_SESSION_MAGIC 0x504f5033u

struct pop3d_session {
	uint32_t magic;
	uint8_t failures; /* of login */
	bool loopback;    /* the peer is on this host */
	bool proxy;       /* the peer may act for users: until the login */
	bool demand;      /* ... and nobody else has a session here */
	bool full;        /* limit.per_client of whom it speaks for is reached */
	char sid[14];
	char app[LOGIN_WORD_ID + 1]; /* a proxy's client has shown this application password */
	struct pop3_server pop3;
	struct list link; /* pop3d.sessions; on no list once it has left */
	struct admit admit;
	struct login *login;      /* while it lasts */
	struct login_watch watch; /* from then on */
	char peer[ADDR_TEXT];     /* without port, for logs */
	/* TRANSACTION */
	char *account;           /* uid@domain; NULL before */
	struct store_home *home; /* where it is */
	int lock;                /* the descriptor that holds it, or -1 */
	struct drop *drop;
	uint32_t retrieved; /* messages, for the log */
};

static inline struct pop3d_session *
pop3d_session_of(struct pop3_server *pop3)
{
	return CAST(CONTAINER(pop3, struct pop3d_session, pop3), struct pop3d_session,
	    POP3D_SESSION_MAGIC);
}

/* session.c */
/* A proxy has told of its client: he is the peer from now on. */
void pop3d_session_forwarded(struct pop3d_session *s, const struct login_forward *f);
extern const struct admit_service pop3d_admit;
void pop3d_session_new(struct daemon_listen *l, int fd);
void pop3d_session_drain_all(void);
/* Ends all sessions of an account; how many. */
size_t pop3d_session_end_user(struct slice account);
extern const struct daemon_sessions pop3d_session_verbs;
/* For whom a request to stored is whose answer this op of a session waits for. */
struct store_person pop3d_session_actor(struct op *op);
/* -ERR for what stored or the store says. */
enum pop3_next pop3d_session_no(struct pop3d_session *s, const struct verdict *v);

/* auth.c: the policy's answers to PASS and AUTH. */
enum pop3_next pop3d_auth_login(struct pop3_server *, struct slice name, struct slice password);
enum pop3_next
pop3d_auth_sasl(struct pop3_server *, struct slice mechanism, const struct slice *response);
enum pop3_next pop3d_auth_sasl_line(struct pop3_server *, struct slice response);
enum pop3_next pop3d_cmd_xclient(struct pop3_server *, struct slice arg);

/* list.c: the number of a message that is there and not marked off the front of the argument, which
 * must be a number alone, or, with `more`, one with something behind it; false: *answer is
 * written. */
bool pop3d_message(struct pop3_server *, struct slice *arg, bool more, uint32_t *n,
    enum pop3_next *answer);
extern const struct pop3_command pop3d_commands[]; /* ended by a NULL name */

enum pop3_next pop3d_cmd_retr(struct pop3_server *, struct slice arg); /* retr.c */
enum pop3_next pop3d_cmd_top(struct pop3_server *, struct slice arg);
enum pop3_next pop3d_quit(struct pop3_server *); /* quit.c: the policy's */
#endif

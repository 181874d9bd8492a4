/* mmpd/mmpd.h: what all files of mmpd share: settings, this worker's keepers, a session.
 *
 *	main.c     keys, metrics, one call
 *	session.c  who may connect, and the life of a connection, whatever it speaks
 *	imap.c     IMAP before the login: imap/server with ID
 *	pop3.c     POP3 before the login: pop3/server
 *	submission.c  SMTP before the AUTH: smtp/server
 *	managesieve.c, -client.c  ManageSieve before the login, from both sides
 *	auth.c     the login, by the directory
 *	store.c    the stores: how one gets and logs in there; where they are, and which answer: lib/backend
 *	probe.c    ... and whether one that does not has come back
 *	reach.c    from the login to the user's store, as that user
 *	pair.c     client and store joined: the pump, and its end
 *
 * mmpd keeps nothing of anybody.  The protocol's own matters before the login are the servers' of lib/imap,
 * lib/pop3 and lib/smtp; behind it nothing is parsed.  A relay of submission is a store like others, but
 * which one a user gets is nobody's matter. */
#ifndef MMPD_MMPD_H
#define MMPD_MMPD_H
#include "backend/backend.h"
#include "base/list.h"
#include "base/must.h"
#include "daemon/admit.h"
#include "daemon/daemon.h"
#include "daemon/sessions.h"
#include "directory/directory.h"
#include "imap/server.h"
#include "login/login.h"
#include "login/watch.h"
#include "managesieve/reader.h"
#include "net/line-client.h"
#include "net/splice.h"
#include "pop3/server.h"
#include "smtp/server.h"

enum mmpd_role { MMPD_IMAP, MMPD_POP3, MMPD_SUBMISSION, MMPD_SIEVE, MMPD_ROLES };
enum mmpd_auth { MMPD_EXTERNAL, MMPD_MASTER };
enum mmpd_xclient { MMPD_ONCE, MMPD_ALWAYS };

/* A [host NAME] section; NAME is a value of mailHost, or "*" for those without one of their own. */
struct mmpd_section {
	char *name;
	char *address;            /* a host or a numeric address; empty: NAME itself */
	int64_t port[MMPD_ROLES]; /* 0: that of store.* */
	int tls;                  /* 0: that of store.tls, else enum line_client_tls + 1 */
	int auth;                 /* enum mmpd_auth */
	char *user;               /* MMPD_MASTER: who logs in for others */
	char *password;
	char *certificate_name; /* empty: NAME */
	bool send_proxy;        /* the store's listener expects a PROXY header */
	int xclient;            /* enum mmpd_xclient, of a relay */
};

struct mmpd_conf {
	int64_t workers;
	int64_t clients;      /* limit.clients: sessions at once, of all workers */
	int64_t per_client;   /* limit.per_client: of one address */
	int64_t per_user;     /* limit.per_user: of one user */
	int64_t bad_commands; /* limit.bad_commands: in a row before login */
	int64_t login_time;   /* timeout.login, ms */
	int64_t failures;     /* auth.failures: wrong passwords on a connection */
	int64_t auth_delay;   /* auth.delay, ms */
	int64_t port[MMPD_ROLES];
	int tls;              /* enum line_client_tls */
	int relay_tls;        /* submission.tls: likewise, to relays */
	int sieve_tls;        /* store.sieve_tls: likewise */
	char *sieve;          /* sieve.extensions: told before a store was seen */
	char **relays;        /* submission.relays: host names, tried in turn */
	char **extensions;    /* submission.extensions: what EHLO may tell */
	char *dflt;           /* store.default: the store of users without mailHost */
	char **sources;       /* store.source: local addresses to connect from */
	int64_t connect_time; /* store.connect_timeout, ms: for each address */
	int64_t silence_time; /* store.silence_timeout, ms: to its first octet */
	int64_t answer_time;  /* store.login_timeout, ms */
	int64_t attempts; /* store.attempts: connections on their way to one store, each worker */
	int64_t down_failures; /* store.failures: in a row, then it is taken for dead */
	int64_t retry;         /* store.retry, ms: until it is tried again */
	struct mmpd_section **sections;
};
extern struct mmpd_conf config;

/* The worker. */
struct mmpd {
	struct loop *loop;
	struct dir *dir;
	struct dns *dns;
	struct login_door *door;
	struct backend_set stores;
	struct list sessions;
	size_t nsessions, npairs;
	struct timer drain;
};
extern struct mmpd mmpd;

/* clang-format off */
enum mmpd_metric {
	M_CONNECTIONS, M_SESSIONS, M_PAIRS, M_TLS, M_LOGINS, M_LOGIN_FAILED, M_STORE_FAILED, M_STORE_REFUSED,
	M_STORES_DOWN, M_STORE_DOWNS, M_STORE_SHUNNED, M_STORE_PROBES, M_REFERRALS, M_COMMANDS, M_BAD, M_DIRECTORY
};
/* clang-format on */

#define MMPD_SESSION_MAGIC 0x4d4d5064u

/* ManageSieve before the login, see managesieve.c. */
struct mmpd_sieve {
	struct line_session line;
	struct managesieve_reader in; /* what has come of a command */
	struct tls_ctx *tls_ctx;
	bool exchange; /* the next command is a response of AUTHENTICATE */
	uint8_t early; /* commands before the login */
};

struct mmpd_reach;
struct mmpd_session {
	uint32_t magic;
	uint8_t role;     /* enum mmpd_role */
	uint8_t failures; /* of login */
	bool loopback;    /* the peer is on this host */
	bool left;        /* nobody's any more: memory waits for streams to close */
	bool said_bye;    /* IMAP: the store's last words to the client are a BYE, */
	char last;        /* ... and this is the last octet that the client got */
	uint8_t handles;  /* streams that are open */
	char sid[14];
	char app[LOGIN_WORD_ID + 1]; /* came by this application password */
	union {
		struct imap_server imap;
		struct pop3_server pop3;
		struct smtp_server smtp;
		struct mmpd_sieve sieve;
	};
	struct op op;             /* SMTP, ManageSieve: of the login under way */
	struct deadline patience; /* SMTP: until the login must have succeeded */
	unsigned told;            /* SMTP: extensions of the last EHLO, see submission.c */
	bool asked;          /* the client has said the last octets, and the store must answer */
	struct stream store; /* counted in handles once it is open */
	struct splice pair;  /* once joined */
	bool joined;
	bool dialled;     /* the store's stream is open, and reach.c's */
	struct list link; /* mmpd.sessions; on no list once it has left */
	struct admit admit;
	struct login *login;      /* while it lasts */
	struct login_watch watch; /* from then on */
	struct mmpd_reach *reach; /* likewise */
	char *account;            /* uid@domain, from the password on */
	char *host;               /* ... of the store */
	const char *why;          /* how the pair ended; a literal */
	uint64_t began_ms;
	char peer[ADDR_TEXT]; /* without port, for logs */
};

static inline struct line_session *
mmpd_line(struct mmpd_session *s)
{
	return s->role == MMPD_IMAP ? &s->imap.line :
	    s->role == MMPD_POP3    ? &s->pop3.line :
	    s->role == MMPD_SIEVE   ? &s->sieve.line :
				      &s->smtp.line;
}
/* What the session waits for. */
static inline struct op *
mmpd_op(struct mmpd_session *s)
{
	return s->role == MMPD_IMAP ? &s->imap.op : s->role == MMPD_POP3 ? &s->pop3.op : &s->op;
}
/* Where the server finds the listener's context. */
static inline struct tls_ctx **
mmpd_tls(struct mmpd_session *s)
{
	return s->role == MMPD_IMAP ? &s->imap.tls_ctx :
	    s->role == MMPD_POP3    ? &s->pop3.tls_ctx :
	    s->role == MMPD_SIEVE   ? &s->sieve.tls_ctx :
				      &s->smtp.tls_ctx;
}

/* ---- session.c */
extern const struct admit_service mmpd_admit;
const char *mmpd_protocol(unsigned role); /* "imap" */
void mmpd_session_new(struct daemon_listen *l, int fd);
void mmpd_session_drain_all(void);
/* Ends all sessions of an account; how many. */
size_t mmpd_session_end_user(struct slice account);
extern const struct daemon_sessions mmpd_session_verbs;
/* Of both servers' policies: the session ends; its client's stream is closed. */
/* The password was changed, or the account closed, since the login. */
void mmpd_session_revoked(struct login_watch *w);
void mmpd_session_left(struct mmpd_session *s, const char *why);
void mmpd_session_unref(struct mmpd_session *s);      /* a stream is closed */
void mmpd_session_drop_store(struct mmpd_session *s); /* its stream, when nobody else has it */
void mmpd_session_secured(struct mmpd_session *s, int error, const char *why);
bool mmpd_session_password_ok(struct mmpd_session *s);

/* ---- imap.c, pop3.c: a door each */
/* What a person is told when it does not work; never "wrong password" for what is our fault. */
enum mmpd_refusal {
	MMPD_LIMIT,    /* too many sessions of this user */
	MMPD_NO_STORE, /* the entry has no mailHost */
	MMPD_AWAY,     /* the store does not answer, or not as it should */
	MMPD_SAYS      /* the store's own words, with their code */
};
struct mmpd_door {
	const char *service; /* of mailAllowedServiceAccess */
	const char *greets;  /* how a server's first line begins when it is well */
	/* The limits as they are configured now. */
	void (*limits)(void);
	int (*open)(struct mmpd_session *s, int fd, bool implicit);
	int (*reject)(struct mmpd_session *s, int fd, bool silent);
	/* Ends it when nothing is under way. */
	void (*shutdown)(struct mmpd_session *s);
	/* A mechanism has more to ask the client that waits. */
	void (*challenge)(struct mmpd_session *s, struct slice text);
	/* Answers the login that waits. */
	void (*refused)(struct mmpd_session *s, const struct login_answer *a,
	    enum login_outcome outcome, bool last);
	void (*no)(struct mmpd_session *s, enum mmpd_refusal why, struct slice text);
	/* ... with what the store says to it, and leaves the stream to the pair; false: they do not fit
	 * together, and the session ends. */
	bool (*yes)(struct mmpd_session *s, struct slice text);
	void (*dial)(struct stream *io, const struct line_client_login *login, struct op *op,
	    line_client_done done, void *arg);
};
extern const struct mmpd_door mmpd_imap, mmpd_pop3, mmpd_submission, mmpd_sieve;
extern const struct mmpd_door *const mmpd_doors[MMPD_ROLES];
static inline const struct mmpd_door *
mmpd_door_of(const struct mmpd_session *s)
{
	return mmpd_doors[s->role];
}

/* ---- submission.c */
bool mmpd_submission_check(struct buf *why);
/* Would a relay that has said these keywords believe XCLIENT of the client too? */
bool mmpd_submission_again(struct slice keywords);
void mmpd_submission_forget(void); /* what relays were seen to offer: a reload */

/* ---- managesieve.c */
void mmpd_sieve_forget(void); /* what stores were seen to have: a reload */

/* ---- auth.c: for the doors */
void mmpd_auth_login(struct mmpd_session *s, struct slice name, struct slice password);
bool mmpd_auth_mechanism(struct mmpd_session *s, struct slice mechanism);
enum login_next
mmpd_auth_step(struct mmpd_session *s, const struct slice *response, struct slice *text);

/* ---- probe.c */
/* Asks every store.retry whether it is back, until it is. */
void mmpd_probe_start(struct backend_way *w);
/* ms until it is asked again. */
uint64_t mmpd_probe_due(const struct backend_way *w);

/* ---- store.c */
extern const struct backend_rules mmpd_rules;
/* As it is configured now, its section or what store.* says; strings are good until the next turn. */
struct mmpd_section mmpd_store_own(const struct backend *st);
enum line_client_tls mmpd_store_tls(const struct mmpd_section *own, enum mmpd_role role);
int mmpd_store_port(const struct mmpd_section *own, enum mmpd_role role);
/* Its certificate's name, or whom DNS is asked for. */
const char *mmpd_store_name(const struct backend *st, const struct mmpd_section *own);
const char *mmpd_store_where(const struct backend *st, const struct mmpd_section *own);
bool mmpd_store_check(struct buf *why);

/* ---- reach.c */
/* To the store `host` as s->account; ends in door.yes or door.no. */
void mmpd_reach_start(struct mmpd_session *s, struct slice host);
/* ... to one of submission.relays, another one when that fails. */
void mmpd_reach_relay(struct mmpd_session *s);
void mmpd_reach_free(struct mmpd_reach **r); /* gives it up */
/* The stream to a store that had to be closed first may be used again. */
void mmpd_reach_store_closed(struct mmpd_session *s);
/* One of way.waiting: it has not heard anything, and the store is taken for dead. */
void mmpd_reach_in_vain(struct list *waiting);
/* The next of store.source that is of the address's kind; NULL: any. */
const struct addr *mmpd_reach_source(const struct addr *to, struct addr *from);

/* ---- pair.c */
extern const struct stream_events mmpd_pair_streams; /* of the client's between the doors */
void mmpd_pair_start(struct mmpd_session *s);
/* Ends it with words where the protocol has some; `now`: also in the middle of something. */
bool mmpd_pair_end(struct mmpd_session *s, const char *why, const char *words, bool now);
#endif

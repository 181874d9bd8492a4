/* sieved/sieved.h: what all files of sieved share: settings, this worker's keepers, a session.
 *
 *	main.c     keys, metrics, one call
 *	session.c  who may connect, life, time
 *	command.c  lines, the table of commands, answers, capabilities
 *	auth.c     the login, and its end
 *	script.c   what is done with scripts
 *
 * sieved keeps nothing: scripts are in the directory (rules/rules.h), read and changed as the person. */
#ifndef SIEVED_SIEVED_H
#define SIEVED_SIEVED_H
#include "base/list.h"
#include "base/must.h"
#include "daemon/admit.h"
#include "daemon/daemon.h"
#include "daemon/sessions.h"
#include "directory/directory.h"
#include "login/login.h"
#include "login/watch.h"
#include "login/proxy.h"
#include "managesieve/reader.h"
#include "managesieve/text.h"
#include "net/line-session.h"
#include "rules/news.h"
#include "rules/rules.h"

struct sieved_conf {
	int64_t workers;
	int64_t clients;      /* limit.clients: sessions at once, of all workers */
	int64_t per_client;   /* limit.per_client: of one address */
	int64_t per_user;     /* limit.per_user */
	int64_t bad_commands; /* limit.bad_commands: in a row */
	int64_t login_time;   /* timeout.login, ms */
	int64_t idle_time;    /* timeout.idle, ms */
	int64_t auth_delay;   /* auth.delay, ms */
	int64_t failures;     /* auth.failures: wrong passwords on a connection */
	char **proxies;       /* auth.proxies: names of those that act for users */
	char **hosts;         /* values of mailHost that mean this host */
	bool any_host;
	char *dn;       /* directory.dn: who acts for people there; empty: uid=sieve of ldap.base */
	char *password; /* directory.password */
	int64_t scripts;   /* sieve.scripts: of a person */
	int64_t octets;    /* sieve.size: of one */
	int64_t total;     /* sieve.total: of all of a person's */
	bool programs;     /* sieve.programs */
	int64_t redirects; /* sieve.redirects: as lmtpd has it */
};
extern struct sieved_conf config;

/* The worker. */
struct sieved {
	struct loop *loop;
	struct dir *dir;
	struct login_door *door;
	struct rules_store *rules;
	struct rules_news *news;
	struct rules_limits limits;
	struct list sessions;
	size_t nsessions;
};
extern struct sieved sieved;

/* clang-format off */
enum sieved_metric {
	M_CONNECTIONS, M_SESSIONS, M_TLS, M_LOGINS, M_LOGIN_FAILED, M_COMMANDS, M_BAD,
	M_STORED, M_REFUSED, M_CHANGED, M_AWAY, M_DIRECTORY
};
/* clang-format on */

#define SIEVED_SESSION_MAGIC 0x73696576u

struct sieved_command;
struct sieved_session {
	uint32_t magic;
	uint8_t failures;  /* of login */
	uint8_t early;     /* commands before it */
	bool loopback : 1; /* the peer is on this host */
	bool proxy : 1;    /* the peer may act for users: until the login */
	bool brought : 1;  /* a proxy has logged him in */
	bool demand : 1;   /* ... and nobody else has a session here */
	bool full : 1;     /* limit.per_client of whom it speaks for is reached */
	bool exchange : 1; /* the next string is of AUTHENTICATE */
	bool changing : 1; /* the directory has been asked for a change */
	char sid[14];
	char app[LOGIN_WORD_ID + 1]; /* a proxy's client has shown this application password */
	struct line_session line;
	struct tls_ctx *tls_ctx;          /* STARTTLS is offered when set */
	struct managesieve_reader in;     /* the command in flight, or what has come of it */
	const struct sieved_command *cmd; /* NULL: none */
	struct op op;                     /* what it waits for */
	struct list link;                 /* sieved.sessions */
	struct admit admit;
	struct login *login;      /* while it lasts */
	struct login_watch watch; /* from then on */
	char peer[ADDR_TEXT];     /* without port, for logs */
	/* logged in */
	char *account; /* uid@domain; NULL before */
	char *dn;
	uint32_t changes; /* for the log */
};

static inline struct sieved_session *
sieved_session_of(struct line_session *l)
{
	return CAST(CONTAINER(l, struct sieved_session, line), struct sieved_session,
	    SIEVED_SESSION_MAGIC);
}
static inline struct buf *
sieved_out(struct sieved_session *s)
{
	return stream_out(&s->line.io);
}

/* session.c */
/* The password was changed, or the account closed, since the login. */
void sieved_session_revoked(struct login_watch *w);
/* A proxy has told of its client: he is the peer from now on. */
void sieved_session_forwarded(struct sieved_session *s, const struct login_forward *f);
bool sieved_session_password_ok(const struct sieved_session *s);
void sieved_session_time(struct sieved_session *s);
extern const struct admit_service sieved_admit;
void sieved_session_new(struct daemon_listen *l, int fd);
void sieved_session_drain_all(void);
/* Ends all sessions of an account; how many. */
size_t sieved_session_end_user(struct slice account);
extern const struct daemon_sessions sieved_session_verbs;

/* command.c */
struct sieved_command {
	const char *name;
	enum line_next (*run)(struct sieved_session *);
	/* What its arguments are, a letter each: s a string, n a number; those behind a ? may be left
	 * out. */
	const char *args;
	unsigned states;
	const char *source; /* "RFC 5804 2.6" */
};
enum { SIEVED_BEFORE = 1, SIEVED_IN = 2, SIEVED_ANY = 3 };

enum line_next sieved_command_step(struct line_session *l);
/* The i-th argument, from 1; borrowed until the command is over. */
static inline struct slice
sieved_arg(const struct sieved_session *s, size_t i)
{
	return managesieve_reader_word(&s->in, i);
}
/* Answers.  `code` stands in parentheses as it is, NULL: none.  Each ends the command. */
enum line_next sieved_ok(struct sieved_session *s, const char *text);
enum line_next sieved_no(struct sieved_session *s, const char *code, struct slice text);
/* A command that is none, or malformed: these are counted. */
enum line_next sieved_bad(struct sieved_session *s, struct slice text);
enum line_next sieved_bye(struct sieved_session *s, const char *code, struct slice text);
/* Writes an answer alone: "OK", "NO" or "BYE". */
void sieved_say(struct sieved_session *s, const char *word, const char *code, struct slice text);
/* Its memory goes; what it waits for is given up. */
void sieved_command_over(struct sieved_session *s);
void sieved_capabilities(struct sieved_session *s); /* with its OK: a greeting */

/* auth.c */
enum line_next sieved_cmd_authenticate(struct sieved_session *s);
enum line_next sieved_cmd_unauthenticate(struct sieved_session *s);
enum line_next sieved_cmd_xclient(struct sieved_session *s);
enum line_next sieved_auth_response(struct sieved_session *s); /* the line of an exchange */

/* script.c */
enum line_next sieved_cmd_checkscript(struct sieved_session *s);
enum line_next sieved_cmd_deletescript(struct sieved_session *s);
enum line_next sieved_cmd_getscript(struct sieved_session *s);
enum line_next sieved_cmd_havespace(struct sieved_session *s);
enum line_next sieved_cmd_listscripts(struct sieved_session *s);
enum line_next sieved_cmd_putscript(struct sieved_session *s);
enum line_next sieved_cmd_renamescript(struct sieved_session *s);
enum line_next sieved_cmd_setactive(struct sieved_session *s);
#endif

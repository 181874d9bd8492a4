/* login/login.h: the one door of every daemon that lets people in: mechanism, directory, rules,
 * delays.  SASL (RFC 4422), RFC 4616 PLAIN, LOGIN; who may: rules.h and access.h.  A proxy that has
 * checked the password itself says EXTERNAL (proxy.h): the same rules hold, but no delay.
 *
 *	login_start -> login_step* or login_password -> ... -> done(outcome)
 *
 * The protocols carry the bytes (base64, tags, reply codes: login_answer); what is right, how
 * late a wrong answer comes and whom it counts against is decided here.
 *
 * Guesses are slow by construction: of one name from one address one password is checked at a time
 * in a worker; after a failure nobody tries that pair again, in any worker of any daemon of this
 * host, before its answer is out; and that answer is later the more there were (delay.c).
 *
 * SCRAM-SHA-256 (RFC 5802, 7677) is offered where login.scram says so: scram.c proves by what learn.c has kept of a
 * password that was right.
 *
 * An access token of an authorization server (OAUTHBEARER, XOAUTH2, Bearer of HTTP) is taken where login.oauth says so:
 * token.c; lib/oauth says whether it is good and whose.  It stands for a password and a second factor both, which that server
 * has asked for.
 *
 * Who has a second factor (RFC 6238) gives a code with the password where the service asks for it, and an application
 * password where it does not (factor.c, code.h). */
#ifndef LOGIN_LOGIN_H
#define LOGIN_LOGIN_H
#include "base/secret.h"
#include "directory/directory.h"
#include "login/code.h"
#include "login/rules.h"
#include "net/addr.h"

/* What the logins of a worker share. */
struct login_door;
/* `delay_ms`: auth.delay, read at each failure.  `d` must live longer. */
struct login_door *login_door_new(struct loop *l, struct dir *d, const int64_t *delay_ms);

/* Somebody has a second factor: what becomes of the password? */
enum login_factor {
	LOGIN_FACTOR_APPS,  /* not taken: application passwords alone */
	LOGIN_FACTOR_ASKS,  /* taken with a code (login_code) */
	LOGIN_FACTOR_KNOWN, /* taken: a code was given before */
};
#define LOGIN_APP_ADMIN "admin"
#define LOGIN_APP_NONE  "" /* none is good here: what begins a session of a person */
struct login_request {
	const char *service; /* "imap", "smtp": of mailAllowedServiceAccess */
	const char *app;     /* of tiermailAppService, NULL: `service` */
	enum login_factor factor;
	enum login_purpose purpose; /* LOGIN_READ, LOGIN_SUBMIT */
	struct addr peer;
	bool tls;   /* the session is encrypted */
	bool proxy; /* by login_is_proxy: EXTERNAL is known */
	char by_app[LOGIN_WORD_ID +
	    1];          /* EXTERNAL: the application password that the proxy was shown, or "" */
	uint64_t age_ms; /* how old the entry may be; 0: as remembered, with a password 5 s */
	/* A mechanism has asked the directory, and goes on: called with the session's arg, from the loop, and
	 * instead of `done` until then: the answer goes to login_step.  *text as of LOGIN_CHALLENGE. */
	void (*challenge)(void *arg, struct slice text); /* NULL: no such mechanism is known here */
	char *const *hosts; /* LOGIN_READ: values of mailHost that mean this host; may be NULL */
	bool any_host;
};
/* Who came in.  Borrowed: valid while `done` runs. */
struct login_user {
	struct slice account;        /* uid@domain */
	struct slice dn;             /* of the entry */
	struct slice partition;      /* or empty */
	struct slice language;       /* preferredLanguage, or empty */
	struct slice mailhost;       /* LOGIN_ELSEWHERE: where it is */
	bool has_factor;             /* a second one, which codes are asked for of */
	bool by_app, by_code;        /* came by an application password; has given a code */
	bool by_token;               /* came by a token, */
	int64_t token_until;         /* ... which is good until then, unix seconds; 0: not told */
	char app[LOGIN_WORD_ID + 1]; /* by_app: which one */
	struct store_limits limits;
	int64_t password_at; /* when the password was changed, unix seconds; 0 = not known */
};
struct login_result {
	enum login_outcome outcome;
	struct slice name; /* as it was given; for logs */
	const char *
	    mechanism; /* "SASL", "SCRAM-SHA-256", "EXTERNAL", "password", "app", "OAUTHBEARER", ... */
	struct login_user user; /* LOGIN_OK; its account whenever the password was right */
};
typedef void (*login_done)(void *arg, const struct login_result *);

struct login;
/* A login by somebody; `op` is pending while the directory or a delay is waited for.  The caller
 * frees it: in `done`, or at any time before, after which `done` is not called. */
struct login *login_start(struct login_door *door, const struct login_request *r, struct op *op,
    login_done done, void *arg);
void login_free(struct login **l);

enum login_next {
	LOGIN_CHALLENGE, /* send *text (not base64), give the answer to login_step */
	LOGIN_WAIT,      /* `done` or `challenge` follows */
	LOGIN_MALFORMED, /* the exchange is over: *text says why, 501 or BAD */
};
bool login_mechanism(struct login *l, struct slice name); /* false: there is no such */
/* One response (decoded); NULL when none came with the command.  *text is borrowed until the next
 * step. */
enum login_next login_step(struct login *l, const struct slice *response, struct slice *text);
/* Before the password: the code that came with it, of an authenticator or a recovery code.  Copied. */
void login_code(struct login *l, struct slice code);
/* Instead of a mechanism: LOGIN of IMAP, USER and PASS. */
void login_password(struct login *l, struct slice name, struct slice password);
/* Likewise: a token that came with a request of HTTP (RFC 6750 2.1). */
void login_token(struct login *l, struct slice token);
/* "PLAIN LOGIN", and what login.scram and login.oauth add. */
const char *login_mechanisms(void);
bool login_offers_scram(void);
bool login_offers_oauth(void);
/* For daemon.check: what is wrong with ldap.* and login.*, a line each; false when something is. */
bool login_door_check(struct buf *out);
/* A password was changed a moment ago: as soon as it is settled which one the directory has, its verifier is written
 * (learn.c).  Both are copied; nothing is told. */
void login_learn_later(struct login_door *d, struct slice name, struct slice password);
#endif

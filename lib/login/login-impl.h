/* login/login-impl.h: what login.c, factor.c, scram.c, token.c, learn.c, groups.c and delay.c share.  Not for anybody else. */
#ifndef LOGIN_IMPL_H
#define LOGIN_IMPL_H
#include "base/list.h"
#include "base/map.h"
#include "directory/agent.h"
#include "login/code.h"
#include "login/login.h"
#include "net/op.h"
#include "sasl/sasl.h"

#define LOGIN_MAGIC    0x4c4f4749U
#define LOGIN_FRESH_MS 5000 /* how old what is known of who comes in may be */

enum login_state {
	LOGIN_TALKING,  /* the mechanism wants more */
	LOGIN_LOOKING,  /* the directory is asked who that is: SCRAM */
	LOGIN_QUEUED,   /* another of the same pair is at it */
	LOGIN_PACED,    /* the last failure of the pair is too fresh */
	LOGIN_CHECKING, /* the directory has it */
	LOGIN_DELAYED,  /* refused; the answer waits */
	LOGIN_OVER
};

/* A question to the directory as the daemon's own account, or one change (`attribute`). */
struct login_job {
	char *dn, *assertion; /* heap */
	const char *const *attrs;
	enum dir_how how;
	const char *attribute;
	char value[LOGIN_DIGEST + 1];
	void (*done)(struct login *, const struct dir_outcome *);
};

struct login {
	uint32_t magic;
	enum login_state state;
	struct login_door *door;
	struct login_request request;
	struct op *outer; /* the caller's */
	struct op op;     /* the directory's */
	login_done done;
	void *arg;
	struct list link; /* queue of the pair, or the door's pausing */
	uint64_t until;   /* PACED, DELAYED: monotonic ms */
	struct login_pair *pair;
	enum login_outcome outcome;
	const char *mechanism;
	struct sasl sasl;
	struct arena exchange; /* what the mechanism keeps: wiped */
	char *name;            /* as given; heap */
	struct secret password;
	char *account; /* heap, once the password was right */
	/* factor.c */
	struct secret code;
	struct login_word word;
	struct login_job job;
	struct list reader; /* waits for the door's agent */
	bool by_app, app_serves, by_code;
	/* scram.c */
	enum { LOGIN_SCRAM_NONE, LOGIN_SCRAM_PROOF, LOGIN_SCRAM_PROVED } scram;
	uint64_t looked_ms; /* monotonic */
	int64_t proved_at;  /* when the password was changed that was proved */
	char authzid[256];
	/* token.c */
	enum { LOGIN_TOKEN_NONE, LOGIN_TOKEN_GIVEN, LOGIN_TOKEN_HEARD } token;
	bool by_token;
	int64_t token_until;
};

/* A name and an address. */
struct login_pair {
	struct list queue; /* logins that wait for their turn */
	struct login *turn;
	size_t n;
	char key[]; /* 16 bytes of address, then the name in lower case */
};

struct login_door {
	struct loop *loop;
	struct dir *dir;
	const int64_t *delay_ms;
	struct map pairs;
	struct list pausing; /* in the order of `until` */
	struct timer timer;
	/* factor.c */
	struct dir_agent *agent;
	struct op op;
	struct list readers;
	struct login *reading; /* whose job is under way; NULL when it has gone */
	bool busy;
	struct login_watcher *watcher; /* watch.c; NULL: there was no session yet */
	struct login_learner *learner; /* learn.c; NULL: nothing was learned yet */
	struct oauth *oauth;           /* token.c; NULL: no token was shown yet */
	struct login_grouper *grouper; /* groups.c; NULL: nobody was held yet */
};

/* delay.c: l waits for its turn; login_go follows, now or later. */
void login_queue(struct login *l);
void login_pause(struct login *l, uint64_t ms); /* login_go follows */
void login_leave_queue(struct login *l);        /* the next of the pair has its turn */
/* The failure of l is counted; how late it is to be answered, ms. */
uint64_t login_count(struct login *l);
void login_forgive(struct login *l);
/* How long a login must wait before the pair may be tried again, ms. */
uint64_t login_pace(const struct login *l);
/* Wrong codes of l's account, from anywhere: counted, forgotten; how long nobody may try another, ms. */
void login_code_failed(struct login *l);
void login_code_forgive(struct login *l);
uint64_t login_code_pace(const struct login *l);

/* login.c: a wait begins, of who is called `name` (NULL: that is known). */
void login_wait(struct login *l, const struct slice *name);
void login_move(struct login *l, enum login_state to);
/* A wait is over, and the client has the word: `text` is said. */
void login_challenge(struct login *l, struct slice text);
/* The outcome: told at once, or late when it counts. */
void login_settle(struct login *l, enum login_outcome outcome, const struct dir_answer *a);
/* login.c: the wait is over. */
void login_go(struct login *l);
/* The password goes to the directory. */
void login_ask_password(struct login *l);
/* What was looked at beside the password is right: the rules, of the user as he is now. */
void login_judge_again(struct login *l);
/* It is not. */
void login_answer_factor(struct login *l, enum login_outcome outcome);

/* scram.c: the client has said who he is; it is the turn of his proof. */
void login_scram_name(struct login *l);
void login_scram_looked(struct login *l); /* the time for that is over */
void login_scram_ask(struct login *l);
/* What the password was proved by is still what the directory has. */
bool login_scram_holds(const struct login *l, const struct dir_user *u);
/* "20261201011500Z SCRAM-SHA-256$..." of an entry; false: there is none that may be used. */
bool login_verifier_parse(const struct dir_user *u, struct sasl_verifier *v) MUSTCHECK;
struct slice login_scram_key(void); /* empty: there is none */

/* token.c: a token was given, by SASL or not. */
void login_token_take(struct login *l, struct slice authzid, struct slice token);
void login_token_ask(struct login *l);
/* The token is refused, and the time for that has come: true when the client is to hear why before it is over. */
bool login_token_tell(struct login *l);
void login_token_heard(struct login *l); /* ... and he has: login_go follows */
/* login.c: his turn comes. */
void login_take_turn(struct login *l);

/* learn.c: this password was right for this entry. */
void login_learn(struct login_door *d, const struct dir_user *u, struct slice password);

/* factor.c.  False: the password is none that we have made. */
bool login_app_start(struct login *l);
void login_code_start(struct login *l, struct slice dn);
void login_factor_stop(struct login *l); /* nothing waits, and nothing is kept */
#endif

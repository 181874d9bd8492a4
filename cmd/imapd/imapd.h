/* imapd/imapd.h: what all files of imapd share: settings, this worker's keepers, users.
 *
 * imapd reads the store through LMDB and asks stored for every change; it can write nothing.
 * One loop per worker process; sessions of one worker share the directory, the client of
 * stored, and one reader per partition. */
#ifndef IMAPD_IMAPD_H
#define IMAPD_IMAPD_H
#include "base/list.h"
#include "base/map.h"
#include "daemon/admit.h"
#include "directory/directory.h"
#include "login/groups.h"
#include "net/loop.h"
#include "store/home.h"

struct settings {
	int64_t workers;
	int64_t clients;       /* limit.clients: sessions at once, of all workers */
	int64_t per_client;    /* limit.per_client: of one address */
	int64_t per_user;      /* limit.per_user: of one user */
	int64_t failures;      /* auth.failures: wrong passwords on a connection */
	int64_t bad_commands;  /* limit.bad_commands: in a row before login */
	int64_t line;          /* limit.line: bytes of a command with its literals */
	int64_t append;        /* limit.append: bytes of a message */
	int64_t messages;      /* limit.messages: that one command works on; 0 = all */
	int64_t metadata;      /* limit.metadata: bytes of an annotation */
	bool literal_minus;    /* LITERAL- instead of LITERAL+ */
	int64_t subscriptions; /* limit.subscriptions: names of a user */
	int64_t
	    notify_mailboxes; /* limit.notify_mailboxes: of an account whose names are wanted, and of
				   * others' that one may look at */
	int64_t login_time;   /* timeout.login, ms */
	int64_t idle_time;    /* timeout.idle, ms */
	int64_t progress;     /* timeout.progress, ms */
	int64_t auth_delay;   /* auth.delay, ms */
	char **proxies;       /* auth.proxies: names of those that act for users */
	char **urlauth_hosts;  /* urlauth.hosts: names of this server in URLs, */
	char **urlauth_submit; /* urlauth.submit: accounts of submission servers */
	char **quota_admins;   /* quota.admins: accounts that set limits of others */
	char **hosts;          /* values of mailHost that mean this host */
	bool any_host;
	char *comment, *admin; /* metadata.*: annotations of the server; "" = none */
	char *public_account;  /* whose folders are all people's; "" = nobody's */
	char *sieve_lmtpd;  /* imapsieve.lmtpd: where scripts run; "" = the socket of this host */
	char *sieve_server; /* imapsieve.server: the ManageSieve server's URL; "" = not told */
	char *sieve_script; /* imapsieve.script: of mailboxes without one; "" = none */
	char *learn_address, *learn_password; /* learn.*: learn.h; address "" = none */
	int64_t learn_size, learn_time, learn_per_day;
	char *sieve_junk; /* imapsieve.junk: of what goes to Junk and comes from there; "" = none */
};
extern struct settings conf;

/* An account with sessions in this worker. */
struct user {
	char *account; /* uid@domain */
	uint64_t id;
	struct store_home *part; /* where he is */
	struct store_limits limits;
	struct login_groups *groups; /* he is in */
	unsigned sessions;
	unsigned appending; /* messages that his APPENDs hold, the first of each apart, */
	uint64_t bringing;  /* and bytes of all of them */
};

#define LOOKS_MOST 16 /* accounts that are told apart in a turn */

struct imapd {
	struct loop *loop;
	struct dir *dir;
	struct login_door *door;
	struct store_client *store;
	struct map users; /* account -> struct user */
	struct store_homes homes;
	struct map boxes; /* mailbox id -> struct box, those with a session in IDLE */
	struct list sessions;
	struct list annotated; /* those that are told of annotations: metadata-news.c */
	size_t nsessions;
	size_t guests;         /* of them, those that have somebody else's mailbox selected */
	struct map watched;    /* account id -> struct watched, those that a session listens to */
	struct list listeners; /* struct notify that may mean other people's mailboxes */
	struct later listens;  /* watch.c: some of them are asked for */
	struct later looks;    /* place.c: at the rights of those in mailboxes of these accounts, */
	uint64_t look_at[LOOKS_MOST]; /* 0 = of all */
	size_t nlook_at;
	bool looking; /* some are still marked: view.look */
};
extern struct imapd imapd;

/* clang-format off */
enum metric_id {
	M_CONNECTIONS, M_SESSIONS, M_TLS, M_LOGINS, M_LOGIN_FAILED, M_COMMANDS, M_BAD, M_FETCHED,
	M_APPENDED, M_ANNOTATED, M_IDLING, M_NOTIFYING, M_NOTIFIED, M_NOTIFY_OVERFLOWS, M_URLS_FETCHED,
	M_CONTEXTS, M_EVENTS, M_EVENTS_FAILED, M_LEARNED, M_LEARN_OVER, M_DIRECTORY
};
/* clang-format on */

/* users.c */
/* The user of this account, whose id is so in that partition.  Counts a session; user_drop takes it
 * off. */
struct user *
user_new(struct slice account, uint64_t id, struct store_home *part, struct store_limits limits);
void user_drop(struct user **u);
#endif

/* imapd/imapd.h: what all files of imapd share: settings, this worker's keepers, users.
 *
 * imapd reads the store through LMDB and asks stored for every change; it can write nothing.
 * One loop per worker process; sessions of one worker share the directory, the client of
 * stored, and one reader per partition. */
#ifndef IMAPD_IMAPD_H
#define IMAPD_IMAPD_H
#include "base/list.h"
#include "base/map.h"
#include "directory/directory.h"
#include "net/loop.h"
#include "store/client.h"
#include "store/read.h"

struct settings {
	int64_t workers;
	int64_t clients;        /* limit.clients: connections of a worker */
	int64_t per_user;       /* limit.per_user: of one user in a worker */
	int64_t failures;       /* limit.failures: wrong passwords on a connection */
	int64_t bad_commands;   /* limit.bad_commands: in a row before login */
	int64_t line;           /* limit.line: bytes of a command with its literals */
	int64_t append;         /* limit.append: bytes of a message */
	int64_t login_time;     /* timeout.login, ms */
	int64_t idle_time;      /* timeout.idle, ms */
	int64_t failure_delay;  /* login.failure_delay, ms */
	char **hosts;           /* values of mailHost that mean this host */
	bool any_host;
};
extern struct settings conf;

/* A partition of the store, open for reading. */
struct part {
	char *name;
	struct store_reader *reader;
	struct store_view *view; /* a snapshot begins and ends within one event */
};
/* An account with sessions in this worker. */
struct user {
	char *account; /* uid@domain */
	uint64_t id;
	struct part *part;
	struct store_limits limits;
	unsigned sessions;
};

struct imapd {
	struct loop *loop;
	struct dir *dir;
	struct store_client *store;
	struct map users;     /* account -> struct user */
	struct map parts;     /* name -> struct part */
	struct map boxes;     /* mailbox id -> struct box, those with a session in IDLE */
	struct list sessions;
	size_t nsessions;
};
extern struct imapd imapd;

enum metric_id {
	M_CONNECTIONS, M_SESSIONS, M_TLS, M_LOGINS, M_LOGIN_FAILED, M_COMMANDS, M_BAD, M_FETCHED,
	M_APPENDED, M_IDLING
};

/* users.c */
/* The user of this account when his partition is open and he is known there already; else
 * NULL and user_open_start is needed.  Counts a session; user_drop takes it off. */
struct user *user_find(struct slice account, struct slice partition, struct store_limits limits);
/* From the answer to store_account_start.  NULL when the partition cannot be read. */
struct user *user_open(struct slice account, const struct store_reply *r,
    struct store_limits limits);
void user_drop(struct user **u);
#endif

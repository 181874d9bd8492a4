/* daemon/admit.h: who may come in: counts of sessions, users and failures that all workers and
 * all daemons of a host share.
 *
 * The counts are in one mapped file of rundir, made by whoever comes first.  What a process held
 * is given back when it is found dead, so no leaked count shuts anybody out for ever.  A
 * process that cannot use the file counts for itself and says so (admit_private).
 *
 * Sessions are counted by service ("smtp-relay"), by class within it (a listener's role, hosts
 * that are trusted, the Unix socket), by client address (IPv6: /64) and by account.  Each class
 * keeps a share of limit.clients that no other class can eat. */
#ifndef DAEMON_ADMIT_H
#define DAEMON_ADMIT_H
#include "net/addr.h"

#define ADMIT_CLASSES 4 /* most of one service */

struct admit_class {
	const char *name;
	unsigned share;  /* percent of limit.clients that is kept for it */
	bool by_address; /* limit.per_client holds */
};
/* A daemon's table; the limits are its variables, NULL = there is no such limit, 0 = none. */
struct admit_service {
	const char *name;
	const struct admit_class *classes; /* by class number */
	size_t nclasses;
	const int64_t *clients, *per_client, *per_user;
};
enum admit_answer { ADMIT_OK, ADMIT_FULL, ADMIT_CLIENT_FULL, ADMIT_USER_FULL };

/* What a session holds; zeroed: nothing. */
struct admit {
	int32_t client, user; /* slots, from 1 */
	uint8_t class;        /* from 1 */
	bool shared;          /* counted in rundir's file, not privately */
	bool user_shared;     /* ... and the user */
};

/* In the worker's start: joins the counts of rundir.  Never fails. */
void admit_open(const char *rundir, const struct admit_service *s);
void admit_close(void); /* gives everything back */
/* Counts a session of `class` from `peer` (a Unix socket has no address), or says which limit is
 * reached and counts nothing.  admit_leave follows in the first case. */
enum admit_answer admit_enter(struct admit *a, unsigned class, const struct addr *peer) MUSTCHECK;
/* The same session is now one of `account`; one that was counted before is given back. */
enum admit_answer admit_user(struct admit *a, struct slice account) MUSTCHECK;
/* Nobody's again: the account's session is given back, the others stay counted. */
void admit_user_leave(struct admit *a);
void admit_leave(struct admit *a);
/* Sessions of this service, over all its processes. */
size_t admit_sessions(void);
/* ... in per cent of limit.clients: 0 .. 100, 0 without a limit. */
unsigned admit_load(void);
/* The same of one class, in per cent of what the others leave it. */
unsigned admit_class_load(unsigned class);

/* Counts messages and recipients of an account in the current hour, over all daemons; false (and
 * nothing counted) when that were more than the limits; 0 is no limit. */
bool admit_hourly(struct slice account, int64_t messages, int64_t rcpts, int64_t max_messages,
    int64_t max_rcpts);

/* What was counted so of the account in this hour; either may be NULL. */
void admit_hour(struct slice account, uint32_t *messages, uint32_t *rcpts);

/* Failures (of passwords) under any name, over all services; half of them are forgotten every
 * ADMIT_DECAY_MS.  *ago_ms: since the last one, UINT64_MAX when there is none. */
#define ADMIT_DECAY_MS (15 * 60 * 1000)
void admit_failed(struct slice what);
void admit_forgive(struct slice what);
unsigned admit_failures(struct slice what, uint64_t *ago_ms);
/* Something that may be done once in `ms`, under any name: true, and the time begins anew, when it has
 * not been done for so long; else *left_ms is how long it lasts yet.  What is forgotten when the table
 * is full may be done again. */
bool admit_pause(struct slice what, uint64_t ms, uint64_t *left_ms);
#endif

/* jmapd/jmapd.h: what all files of jmapd share: settings, this worker's keepers, users.
 *
 * jmapd reads the store through LMDB and asks stored for every change; it can write nothing there.  One
 * loop per worker process; sessions of one worker share the directory, the client of stored, and one
 * reader per partition. */
#ifndef JMAPD_JMAPD_H
#define JMAPD_JMAPD_H
#include "base/list.h"
#include "base/map.h"
#include "base/siphash.h"
#include "daemon/admit.h"
#include "directory/modify.h"
#include "login/groups.h"
#include "net/loop.h"
#include "pab/pab.h"
#include "rules/news.h"
#include "rules/rules.h"
#include "store/home.h"
#include "store/watch.h"
#include "submit/submit.h"

struct jmapd_conf {
	int64_t workers;
	int64_t clients;    /* limit.clients: connections at once, of all workers */
	int64_t per_client; /* limit.per_client: of one address */
	int64_t per_user;   /* limit.per_user: of one user */
	int64_t requests;   /* limit.requests: API requests of a user at once, in a worker */
	int64_t request;    /* limit.request: octets of an API request */
	int64_t response;   /* limit.response: octets of its answer */
	int64_t calls;      /* limit.calls: method calls in a request */
	int64_t upload;     /* limit.upload: octets of an upload, and of a message */
	int64_t uploads;    /* limit.uploads: octets that a user has uploaded */
	int64_t get;        /* limit.get: objects that a /get gives */
	int64_t set;        /* limit.set: objects that a /set changes */
	int64_t found;      /* limit.found: messages that one query looks through */
	int64_t recipients; /* limit.recipients: of a message that is sent */
	int64_t idle_time;  /* timeout.idle, ms */
	int64_t head_time;  /* timeout.request, ms */
	int64_t auth_delay; /* auth.delay, ms */
	int64_t failures;   /* auth.failures: wrong passwords on a connection */
	char *submit_relay; /* submit/submit.h */
	int submit_tls;
	int64_t submit_time;
	int64_t hold_most; /* submit.hold_max, ms: how late a message may be sent */
	bool programs;     /* sieve.programs */
	int64_t scripts, script_octets, script_total, script_redirects; /* sieve.*; as sieved's */
	char **proxies; /* auth.proxies: names of those that act for users */
	char *dn;       /* directory.dn: who acts for people there; empty: uid=jmap of ldap.base */
	char *password; /* directory.password; both empty: nobody does */
	char **hosts;   /* values of mailHost that mean this host */
	bool any_host;
};
extern struct jmapd_conf config;

/* An account with sessions in this worker. */
struct jmapd_user {
	char *account;    /* uid@domain */
	char *account_id; /* as clients see it: jmap/id.h */
	uint64_t id;
	struct store_home *home; /* where he is */
	struct store_limits limits;
	struct login_groups *groups; /* he is in */
	struct multi *multi;         /* multi.h; NULL: not asked for yet */
	unsigned sessions;
	unsigned requests; /* API requests that are under way */
	uint64_t uploaded; /* octets that uploads count for, as upload.c saw at: */
	uint64_t looked_ms;
};

#define LISTENING 1024 /* power of two */

struct jmapd {
	struct loop *loop;
	struct dir *dir;
	struct login_door *door;
	struct store_client *store;
	struct submit *submit; /* what users send */
	struct dir_writer
	    *writer;             /* acts for people; NULL: nobody does, and there is no vacation */
	struct pab *pab;         /* address books; NULL: there are none here */
	struct rules_news *news; /* to lmtpd, of what was changed there */
	struct rules_store *rules; /* people's scripts; NULL: as writer */
	struct rules_limits script_limits;
	struct store_homes homes;
	struct map users; /* account -> struct jmapd_user */
	struct list sessions;
	size_t nsessions;
	struct list listeners; /* struct events: EventSources */
	struct list
	    listening[LISTENING]; /* the same, by account: an event looks at its own alone */
	struct list due;          /* of them those that something is due to */
	struct later wakes;       /* of those that something is due to */
	struct siphash_key key;   /* of credentials that a connection remembers */
};
extern struct jmapd jmapd;

/* clang-format off */
enum metric_id {
	M_CONNECTIONS, M_SESSIONS, M_LOGINS, M_LOGIN_FAILED, M_REQUESTS, M_BAD, M_API, M_CALLS,
	M_CALL_ERRORS, M_BYTES, M_LISTENERS, M_UPLOADS, M_CREATED, M_SUBMITTED, M_KEPT, M_UNSENT, M_VACATIONS,
	M_SCRIPTS_CHANGED, M_SCRIPTS_CHECKED, M_SCRIPTS_REFUSED, M_CONTACTS, M_DIRECTORY
};
/* clang-format on */

/* users.c: the user of this account, whose id is so in that partition.  Counts a session;
 * jmapd_user_drop takes it off. */
struct jmapd_user *jmapd_user_new(struct slice account, uint64_t id, struct store_home *home,
    struct store_limits limits);
void jmapd_user_drop(struct jmapd_user **u);
/* Groups matter from now on, if a mailbox names one.  No snapshot may be open. */
void jmapd_groups(void);
#endif

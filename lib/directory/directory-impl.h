/* directory/directory-impl.h: what the files of directory/ share.  Not for anybody else.
 *
 *	ask      a question of a caller: domain, recipient, login or password
 *	fetch    a search; asks that need the same one wait for it together
 *	match    the filter of a search, and which entry is meant
 *	base     whether the directory shows anything at all: else absence proves nothing
 *	binder   a connection that checks passwords, one at a time
 *
 * An ask goes through its steps (lookup.c); each step finds what it needs in the cache or
 * waits on a fetch (fetch.c), a password then on a binder (auth.c).  What is decided goes to
 * the `ready` list and is answered at the end of the loop's turn, so `done` never runs inside
 * the call that asked. */
#ifndef DIRECTORY_IMPL_H
#define DIRECTORY_IMPL_H
#include "base/clock.h"
#include "daemon/daemon.h"
#include "base/secret.h"
#include "directory/cache.h"
#include "directory/conn.h"
#include "mail/outcome.h"

#define DIR_MAGIC    0x64697265U
#define ASK_MAGIC    0x61736b21U
#define FETCH_MAGIC  0x66657463U

#define LOCAL_MAX    256 /* octets of a local part or uid (RFC 5321 has 64, UTF-8 up to 4x) */
#define DOMAIN_MAX   255
#define DN_MAX       1024 /* of a list's member; a longer one is nobody's */
#define PASSWORD_MAX 1024
#define FLIGHT_MAX   64    /* searches outstanding: above 100 slapd would close on us */
#define WAITING_MAX  10000 /* searches and binds queued; more are refused at once */
#define BINDERS_MAX  256
#define AUTH_FRESH_MS                                                                              \
	5000 /* so long after a change of status or password what is remembered lets nobody in */
#define DIR_CLIENT_LEN 16 /* of addr_client_key */

enum ask_kind { ASK_DOMAIN, ASK_RCPT, ASK_ENTRY, ASK_MEMBER, ASK_LOGIN, ASK_AUTH };

/* What we say, made once. */
enum say {
	SAY_OK,
	SAY_NO_USER,
	SAY_NO_DOMAIN,
	SAY_AWAY,
	SAY_BLIND,
	SAY_DOUBLE,
	SAY_WRONG,
	SAY_AUTH_AWAY,
	SAYS
};

struct dir_turns;

struct ask {
	uint32_t magic;
	enum ask_kind kind;
	struct dir *dir;
	struct op *op;
	dir_done done;
	void *arg;
	struct list link; /* ready, waiters of a fetch, binding or padding */
	struct record *domain, *user;
	struct slice local, name; /* of the address or login, lower case, in text or renamed */
	struct secret password;
	char client[DIR_CLIENT_LEN]; /* ASK_AUTH: who tries */
	struct list turn;            /* while queued: among the asks of this client */
	struct dir_turns *turns;
	uint64_t started_us, until; /* padding, binding: monotonic ms */
	uint64_t
	    age; /* of what is remembered, ms: older answers are asked for anew; 0 = any will do */
	struct binder *binder;
	enum say said;
	struct record *home; /* the domain that was asked for, when the catchall answers */
	bool queued, tried;  /* waits for a binder; has lost one */
	bool doubted;        /* what was not found has been doubted once (base.c) */
	char *renamed;       /* heap: local and name when they are not the first ones any more */
	char text[];         /* the first ones */
};

struct fetch {
	uint32_t magic;
	struct list link;      /* waiting, or in flight in the order of `until` */
	struct list waiters;   /* asks */
	struct record *domain; /* of a user search */
	struct record *found;
	int rank;        /* how well `found` fits */
	bool twice, bad; /* two fit alike; one could not be read */
	bool shown;      /* of a proof: something is there */
	int msgid, tries;
	uint64_t until;
	uint64_t sent_us; /* for the metrics */
	/* 'd' domain, 'r' recipient, 'm' member (its DN), 'l' login or 'p' proof, then the name */
	struct slice key;
	struct slice local, name;
	char text[];
};

struct binder {
	struct dir *dir;
	struct conn *conn;
	struct server *server;
	struct ask *ask;         /* whose password is being checked */
	struct dir_turns *turns; /* of that client, also when the ask has gone */
	int msgid;               /* of the bind in progress, 0 = idle */
	uint64_t sent_us, began_at;
	bool was_up;
};

enum dir_base { DIR_BASE_UNKNOWN, DIR_BASE_GOOD, DIR_BASE_BAD };

struct dir {
	uint32_t magic;
	struct loop *loop;
	struct verdict say[SAYS];
	char ***urls;         /* where they are said */
	bool looks;           /* searches: whether it shows domains is looked after (base.c) */
	struct dir *provider; /* where its entries are changed, once that was needed; or NULL */
	struct server *servers;
	size_t nservers;
	struct dns *names; /* for those that are named; made when it is needed first */
	struct cache cache;
	struct proofs proofs;

	struct conn *conn;     /* for searches */
	struct server *server; /* of conn */
	uint64_t began_at, up_at;
	enum dir_base base;  /* does it show domains? (base.c) */
	uint64_t shown_at;   /* when it last did: monotonic ms */
	uint64_t checked_at; /* when it last did not */
	uint64_t told_at;    /* when the log was last told of it */
	char base_why[160];
	int metric;         /* of dir_metric, -1 = none */
	bool scripts;       /* dir_want_scripts */
	bool verifiers;     /* dir_want_verifiers */
	struct map fetches; /* by key: waiting and in flight */
	struct list waiting, flight;
	struct fetch *by_id[FLIGHT_MAX];
	size_t nwaiting, nflight;

	struct binder binders[BINDERS_MAX];
	size_t nbinders, nbinding;
	struct list binding; /* asks that wait for a binder, in the order of `until` */
	struct list bound;   /* asks that have one, likewise */
	struct map clients;  /* by address: struct dir_turns */
	struct list turns;
	uint64_t bind_heard; /* when a binder last got an answer, us */
	struct list padding; /* refusals that wait for their time, in the order of `until` */
	uint64_t bind_us;    /* a recent long bind */

	struct list writers; /* modify.c */
	struct list agents;  /* agent.c */
	struct list by_url;  /* search.c */
	size_t nby_url, nurls_begun;
	struct list ready;
	struct later later;
	struct timer timer;
	uint64_t timer_at;  /* 0 = not armed */
	struct buf scratch; /* for filters and keys */
	struct buf where;   /* the base of a search */
	uint64_t searches, binds, proved, timeouts;
};

/* directory.c: the replica to use now, or NULL when all are to be left alone. */
struct server *dir_server(struct dir *d);
/* Then: may those who ask wait for the next try?  The timer will look after them. */
uint64_t dir_connect_ms(const struct dir *d);
bool dir_server_wait(struct dir *d);
/* Whose servers take changes of its entries: those of ldap.provider, or d itself. */
struct dir *dir_provider(struct dir *d);
/* The resolver to connect to s with, or NULL when s has an address or there can be none. */
struct dns *dir_names(struct dir *d, const struct server *s);
void dir_wake_at(struct dir *d, uint64_t when); /* monotonic ms */

/* lookup.c */
void dir_ask_step(struct ask *a);                 /* something it waited for is there */
void dir_ask_ready(struct ask *a, enum say said); /* answered at the end of this turn */
void dir_ask_say(struct ask *a, enum say say);    /* this is what was found */
void dir_ask_free(struct ask *a);

/* fetch.c: a waits for the search `kind` ('d', 'r', 'm', 'l', 'p'); dir_ask_step or dir_ask_say
 * follows. */
void dir_fetch_join(struct dir *d, struct ask *a, char kind);
void dir_fetch_check(struct dir *d);                /* a proof of the base that nobody waits for */
void dir_fetch_expire(struct dir *d, uint64_t now); /* the timer */
uint64_t dir_fetch_next(struct dir *d);             /* when something expires, UINT64_MAX = never */
void dir_fetch_close(struct dir *d);                /* everything, silently */
void dir_fetch_lost(struct dir *d);                 /* settings changed: hang up ... */
void dir_fetch_resume(struct dir *d);               /* ... and ask again */
/* The key of a search into d->scratch; borrowed until the next. */
struct slice dir_fetch_key(struct dir *d, char kind, struct slice local, struct slice name);

/* How domains lie in the directory: a constant table, by ldap.schema. */
struct dir_schema {
	bool by_dn; /* a domain is found by its DN, made of its name, else by the names it has */
	const char *names[3]; /* attributes with names of a domain; the first is canonical */
	const char *proof;    /* filter of any domain */
};
const struct dir_schema *dir_schema(void); /* match.c */

/* match.c: what a search asks for, and which of its entries is meant. */
const char *dir_match_where(const struct fetch *f, struct buf *b, int *scope); /* its base, in b */
bool dir_match_possible(struct slice name); /* can a domain's entry have this name? */
unsigned dir_match_kinds(const struct dir *d, const struct fetch *f); /* RECORD_ bits */
void dir_match_filter(struct buf *b, const struct fetch *f);
int dir_match_rank(const struct fetch *f, const struct record *r); /* 0 = not at all */

/* base.c: absence is believed only of a directory that has lately shown something.  `domain` NULL
 * is about domains below ldap.base, else about users below that domain. */
bool dir_base_believed(struct dir *d, const struct record *domain);
bool dir_base_hopeless(struct dir *d); /* a moment ago it showed nothing: do not ask again yet */
void dir_base_shown(struct dir *d, struct record *domain);
void dir_base_filter(struct buf *filter, const struct record *domain);
enum say dir_base_result(struct dir *d, struct record *domain, bool shown, int code);
void dir_base_expire(struct dir *d, uint64_t now);
uint64_t dir_base_next(struct dir *d);
void dir_base_status(const struct dir *d, struct buf *out);

/* turns.c: who is next for a binder; the client of a bind is given back when the bind is over. */
void dir_turns_push(struct ask *a, bool front);
void dir_turns_leave(struct ask *a);       /* queued no more */
struct ask *dir_turns_next(struct dir *d); /* borrowed, or NULL */
struct dir_turns *dir_turns_bind(struct ask *a);
void dir_turns_unbind(struct dir *d, struct dir_turns **t);

/* modify.c: a change in libldap's form; the control that asks what stood there before, or NULL. */
struct arena;
struct dir_change;
LDAPMod *dir_change_copy(struct arena *a, const struct dir_change *c);
LDAPControl *dir_pre_read(char **attributes);
/* Settings changed: writers hang up, and connect anew. */
void dir_writers_hang_up(struct dir *d);
void dir_writers_resume(struct dir *d);

/* agent.c: settings changed: agents hang up, and connect anew with their next job. */
void dir_agents_hang_up(struct dir *d);

/* search.c: settings changed, or the end: searches by URL end. */
void dir_searches_hang_up(struct dir *d);
void dir_searches_close(struct dir *d);

/* auth.c */
void dir_auth_begin(struct ask *a);              /* a->user is known, or NULL */
void dir_auth_fail(struct ask *a, enum say say); /* refused, in the time that a bind takes */
void dir_auth_cancel(struct ask *a);
void dir_auth_expire(struct dir *d, uint64_t now);
uint64_t dir_auth_next(struct dir *d);
void dir_auth_hang_up(struct dir *d); /* settings changed: close ... */
void dir_auth_resume(struct dir *d);  /* ... and bind again */
void dir_auth_close(struct dir *d);
void dir_auth_wipe_memory(void); /* libldap wipes what it frees, from now on */
#endif

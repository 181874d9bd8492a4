/* directory/internal.h: what the files of directory/ share.  Not for anybody else.
 *
 *	ask      a question of a caller: domain, recipient, login or password
 *	fetch    a search; asks that need the same one wait for it together
 *	binder   a connection that checks passwords, one at a time
 *
 * An ask goes through its steps (lookup.c); each step finds what it needs in the cache or
 * waits on a fetch (fetch.c), a password then on a binder (auth.c).  What is decided goes to
 * the `ready` list and is answered at the end of the loop's turn, so `done` never runs inside
 * the call that asked. */
#ifndef DIRECTORY_INTERNAL_H
#define DIRECTORY_INTERNAL_H
#include "directory/cache.h"
#include "directory/conn.h"

#define DIR_MAGIC   0x64697265U
#define ASK_MAGIC   0x61736b21U
#define FETCH_MAGIC 0x66657463U

#define LOCAL_MAX    256   /* octets of a local part or uid (RFC 5321 has 64, UTF-8 up to 4x) */
#define DOMAIN_MAX   255
#define PASSWORD_MAX 1024
#define FLIGHT_MAX   64    /* searches outstanding: above 100 slapd would close on us */
#define WAITING_MAX  10000 /* searches and binds queued; more are refused at once */
#define BINDERS_MAX  256

enum ask_kind { ASK_DOMAIN, ASK_RCPT, ASK_LOGIN, ASK_AUTH };

/* What we say, made once. */
enum say { SAY_OK, SAY_NO_USER, SAY_NO_DOMAIN, SAY_AWAY, SAY_DOUBLE, SAY_WRONG, SAY_INACTIVE,
	SAY_AUTH_AWAY, SAYS };

struct ask {
	uint32_t magic;
	enum ask_kind kind;
	struct dir *dir;
	struct op *op;
	dir_done done;
	void *arg;
	struct list link;        /* ready, waiters of a fetch, binding or padding */
	struct record *domain, *user;
	struct slice local, name; /* of the address or login, lower case, in text */
	char *password;
	size_t password_len;
	uint64_t started_us, until; /* padding, binding: monotonic ms */
	struct binder *binder;
	enum say said;
	struct record *home;     /* the domain that was asked for, when the catchall answers */
	bool queued, tried;      /* waits for a binder; has lost one */
	char *text;              /* behind the ask, or a block of its own */
};

struct fetch {
	uint32_t magic;
	struct list link;        /* waiting, or in flight in the order of `until` */
	struct list waiters;     /* asks */
	struct record *domain;   /* of a user search */
	struct record *found;
	int rank;                /* how well `found` fits */
	bool twice, bad;         /* two fit alike; one could not be read */
	int msgid, tries;
	uint64_t until;
	struct slice key;        /* 'd' domain, 'r' recipient or 'l' login, then the name */
	struct slice local, name;
	char text[];
};

struct binder {
	struct dir *dir;
	struct conn *conn;
	struct server *server;
	struct ask *ask;         /* whose password is being checked */
	int msgid;               /* of the bind in progress, 0 = idle */
	uint64_t sent_us, began_at;
	bool was_up;
};

struct dir {
	uint32_t magic;
	struct loop *loop;
	struct verdict say[SAYS];
	struct server *servers;
	size_t nservers;
	struct cache cache;
	struct proofs proofs;

	struct conn *conn;       /* for searches */
	struct server *server;   /* of conn */
	uint64_t began_at, up_at;
	struct map fetches;      /* by key: waiting and in flight */
	struct list waiting, flight;
	struct fetch *by_id[FLIGHT_MAX];
	size_t nwaiting, nflight;

	struct binder binders[BINDERS_MAX];
	size_t nbinders, nbinding;
	struct list binding;     /* asks that wait for a binder, in the order of `until` */
	struct list bound;       /* asks that have one, likewise */
	struct list padding;     /* refusals that wait for their time, in the order of `until` */
	uint64_t bind_us;        /* a recent long bind */

	struct list ready;
	struct later later;
	struct timer timer;
	uint64_t timer_at;       /* 0 = not armed */
	struct buf scratch;      /* for filters and keys */
	uint64_t searches, binds, proved, timeouts;
};

/* directory.c: the replica to use now, or NULL when all are to be left alone. */
struct server *dir_server(struct dir *d);
void dir_wake_at(struct dir *d, uint64_t when); /* monotonic ms */

/* lookup.c */
void ask_step(struct ask *a);                    /* something it waited for is there */
void ask_ready(struct ask *a, enum say said);    /* answered at the end of this turn */
void asks_answer(struct later *later);           /* of dir.later */
void ask_say(struct ask *a, enum say say);       /* this is what was found */
void ask_free(struct ask *a);

/* fetch.c: a waits for the search `kind` ('d', 'r', 'l'); ask_step or ask_say follows. */
void fetch_join(struct dir *d, struct ask *a, char kind);
void fetch_expire(struct dir *d, uint64_t now);  /* the timer */
uint64_t fetch_next(struct dir *d);              /* when something expires, UINT64_MAX = never */
void fetch_close(struct dir *d);                 /* everything, silently */
void fetch_lost(struct dir *d);                  /* settings changed: hang up ... */
void fetch_resume(struct dir *d);                /* ... and ask again */
/* The key of a search into d->scratch; borrowed until the next. */
struct slice fetch_key(struct dir *d, char kind, struct slice local, struct slice name);

/* auth.c */
void auth_begin(struct ask *a);                  /* a->user is known, or NULL */
void auth_fail(struct ask *a, enum say say);     /* refused, in the time that a bind takes */
void auth_cancel(struct ask *a);
void auth_expire(struct dir *d, uint64_t now);
uint64_t auth_next(struct dir *d);
void auth_hang_up(struct dir *d);                /* settings changed: close ... */
void auth_resume(struct dir *d);                 /* ... and bind again */
void auth_close(struct dir *d);
void auth_wipe_memory(void);                     /* libldap wipes what it frees, from now on */
#endif

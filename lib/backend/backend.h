/* backend/backend.h: the hosts behind a multiplexor: where they are, and which of them answer.
 *
 * A worker's own: others need not agree.  The directory names hosts (mailHost), configuration says how they
 * are reached, which is the owner's matter; here are the addresses that DNS gave a name, and for each service
 * of a host (a way) whether it answers, a circuit breaker:
 *
 *	UP --failures, or silence--> DOWN --a probe is greeted--> TRIAL --a success--> UP
 *	                             ^                              |
 *	                             +------- a failure ------------+
 *
 * Who wants to go there says backend_way_enter, and when it is over, once, backend_way_tried.  For the
 * multiplexors (mmpd, memd). */
#ifndef BACKEND_BACKEND_H
#define BACKEND_BACKEND_H
#include "base/list.h"
#include "base/map.h"
#include "net/dns.h"

/* Services of a host, and addresses of it that are tried. */
#define BACKEND_WAYS      4
#define BACKEND_ADDRESSES 8

struct backend_way;
enum backend_event {
	BACKEND_FAILED,  /* not reached, or not understood */
	BACKEND_DOWN,    /* taken for dead */
	BACKEND_UP,      /* ... and not any more */
	BACKEND_SHUNNED, /* somebody was told so at once, or that too many wait */
};
struct backend_rules {
	const char *const *ways; /* the names of the services, for logs: "imap"; nways */
	size_t nways;
	/* Read at each use: tries at once of one way; failures in a row, of one that answers. */
	const int64_t *attempts, *failures;
	void (*event)(enum backend_event); /* for metrics */
	void (*probe)(
	    struct backend_way *w); /* ask from now on whether it is back: backend_way_greeted */
	uint64_t (*due)(const struct backend_way *w); /* ms until it is asked again */
	/* One of the list, which is taken off it, has waited in vain.  NULL: `waiting` is not used. */
	void (*in_vain)(struct list *waiting);
};

enum backend_state { BACKEND_WAY_UP, BACKEND_WAY_DOWN, BACKEND_WAY_TRIAL };
struct backend_way {
	struct backend *host;
	uint8_t role;        /* index of backend_rules.ways */
	uint8_t state;       /* enum backend_state */
	unsigned attempts;   /* tries under way */
	unsigned failures;   /* in a row */
	uint64_t heard_ms;   /* loop_now, when it last answered; 0: never */
	uint64_t down_ms;    /* loop_now, since when it is not up */
	char *why;           /* ... and the reason */
	struct list waiting; /* the owner's: tries that have heard nothing from it yet */
	void *probe; /* the owner's: since it was first down; kept for good, like the host */
};

struct backend {
	struct backend_set *set;
	char *name;         /* lower case */
	struct addr *addrs; /* as DNS has said last */
	size_t naddrs;
	uint64_t fresh_until; /* loop_now: DNS is asked again */
	struct backend_way ways[BACKEND_WAYS];
};

struct backend_set {
	struct loop *loop;
	const struct backend_rules *rules;
	struct map hosts; /* name -> struct backend */
};

/* Before all others. */
void backend_set_init(struct backend_set *set, struct loop *l, const struct backend_rules *rules);
/* The host of this name, made when it is new and there for good; NULL: there are too many names. */
struct backend *backend_get(struct backend_set *set, struct slice name);
/* Need DNS not be asked? */
bool backend_known(const struct backend *b);
/* What DNS has said; false: it has no address, and had none. */
bool backend_found(struct backend *b, const struct dns_answer *a);
/* Copies its addresses with their port to a[BACKEND_ADDRESSES]; how many. */
size_t backend_addresses(const struct backend *b, int port, struct addr *a);
void backend_forget_addresses(struct backend_set *set); /* of all: a reload */
/* Appends a line for each way that was ever asked for. */
void backend_status(const struct backend_set *set, struct buf *out);

/* May one more try to reach it?  Then backend_way_tried follows. */
bool backend_way_enter(struct backend_way *w);
/* Likewise of one that was let in before and has left since (BACKEND_GIVEN_UP): it is not refused. */
void backend_way_return(struct backend_way *w);
enum backend_tried {
	BACKEND_GOOD,
	BACKEND_BAD,
	BACKEND_SILENT, /* it has let us wait and said nothing */
	BACKEND_OURS,   /* this host was short of something, which says nothing of that one */
	BACKEND_GIVEN_UP
};
/* Whose fault is it that there is no connection?  -errno */
enum backend_tried backend_blame(int error);
/* How it went, for a try that began at `began_ms` (loop_now); `why` for the log when it failed. */
void backend_way_tried(struct backend_way *w, enum backend_tried how, uint64_t began_ms,
    struct slice why);
/* Of a probe: it has been greeted. */
void backend_way_greeted(struct backend_way *w);
void backend_way_status(const struct backend_way *w, struct buf *out);
#endif

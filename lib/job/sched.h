/* job/sched.h: the schedule: which message goes to whom, when.  All in memory, no I/O, no clock:
 * jobctl feeds it with events and the time, and asks what to hand out.
 *
 *	channel -> destination -> priority -> messages in order of arrival
 *
 * Fairness: within a priority destinations take turns (a few messages a turn, so that sessions
 * are reused); every eighth choice starts at a lower priority, so that none starves.  A
 * destination's concurrency N grows by one for N answers and shrinks by one at the first of N failures; one
 * that fails a whole cohort is dead for a while: its messages wait without an attempt being counted, one of
 * them probes, and the first success sets all free.  What a rate holds back stays ready: no attempt is
 * counted, and nothing is written down.
 *
 * Nobody can take the last slots of a channel (slots x maxjobs) by being slow.  A destination
 * that has answered lately may use them all; those that are new, together with those that are
 * slow, leave a quarter free, and one of them has an eighth of the rest at most; those that are
 * slow (work is out there and none has come back for SCHED_SLOW_S) get half at most.  Slow is seen while it lasts and not at its end: a host that
 * answered well for a year and now sends a byte a minute is slow half a minute later.
 * A message costs SCHED_ENTRY_SIZE bytes and about 16 of indexes. */
#ifndef JOB_SCHED_H
#define JOB_SCHED_H
#include "base/list.h"
#include "base/map.h"
#include "mta/channels.h"
#include "job/line.h"
#include "job/places.h"

#define SCHED_ID_LEN 15 /* the file's id: message id and copy number */

enum sched_state {
	SCHED_FREE,    /* not an entry */
	SCHED_READY,   /* may go as soon as somebody has room */
	SCHED_WAITING, /* until e->due */
	SCHED_LEASED,  /* somebody works on it */
	SCHED_HELD,    /* until it is released */
};

/* A dead or suspended destination gets nothing until parked_until, but for one message when it comes to that. */
enum dest_state { DEST_ALIVE, DEST_DEAD, DEST_SUSPENDED, DEST_STATES };
#define SCHED_SUSPEND_MOST (7 * 86400)

#define SCHED_SLOW_S       30
enum dest_class { DEST_PROVEN, DEST_NEW, DEST_SLOW, DEST_CLASSES };

/* A bucket of tokens, one for each message that may go now (rate.c). */
struct sched_rate {
	float tokens;
	uint32_t at; /* when that was so, unix seconds; 0: it is full */
};

struct sched_dest;
struct sched_entry {
	struct list link; /* READY: its queue; WAITING: dest->waiting; LEASED: the owner's */
	struct sched_dest *dest;
	struct sched_entry *hash_next;
	uint32_t heap_at; /* place in the heap + 1, 0 = not there */
	uint32_t due;     /* WAITING: when something is to be done, unix seconds */
	uint32_t next;    /* when the next attempt is */
	uint32_t arrival; /* or its release: all periods begin there */
	uint32_t size_k;  /* KiB, rounded up */
	uint32_t lease;   /* LEASED: the owner's number for it */
	uint32_t by; /* to be delivered by then (RFC 2852); 0 = any time, or that was seen to */
	uint16_t attempts, nrcpt;
	uint8_t notices, returns; /* warnings sent; leases that came back without a word */
	uint8_t state : 3, prio : 2, action : 3;
	uint8_t asked : 3,        /* by an operator: JOB_RETURN or JOB_REROUTE; 0 = nothing */
	    check : 1, early : 1, /* early: `arrival` is its release (RFC 4865) */
	    judged : 1;           /* a rule has let it wait: it had its chance */
	uint8_t held_later : 1, delete_later : 1, throttled : 1, actions : 1;
	char id[SCHED_ID_LEN];
};
#define SCHED_ENTRY_SIZE sizeof(struct sched_entry)

struct sched_channel {
	char *name;
	const struct channel *conf; /* borrowed; replaced by sched_configure */
	struct map dests, groups;   /* of struct sched_dest, struct sched_group, by name */
	/* Of destinations that could be served now, per class and priority, in their turn. */
	struct list ring[DEST_CLASSES][3];
	uint64_t turns;           /* the stamp of the youngest in any ring */
	struct list busy;         /* with deliveries out, the one without news for longest first */
	size_t out[DEST_CLASSES]; /* deliveries that are leased */
	size_t nslow;             /* destinations of class DEST_SLOW */
	size_t nstate[DEST_STATES]; /* destinations in this state */
	struct list actions;        /* entries with a notice or expiry due */
	struct list idle;           /* destinations without messages, oldest first */
	size_t ndests, nidle;
	size_t ready, waiting, leased, held; /* entries */
	size_t nactions_out;                 /* leases that are notices or expiries */
	uint32_t picks;
	struct sched_rate rate; /* of conf->rate_total */
	size_t nlimited;        /* destinations that wait for their rate */
	bool stopped;
	bool shut[3]; /* messages of this priority are not delivered now (sched_shut) */
	uint64_t done, retried, expired, noticed, dropped;
	void *owner; /* jobctl's part */
};

/* Destinations with the same MX hosts: they share the channel's concurrency for one destination, its rate, and
 * what their servers say of mail from us. */
struct sched_group {
	size_t ndests;
	uint32_t active;          /* deliveries that are out */
	uint32_t suspended_until; /* or 0, or past */
	struct sched_rate rate;
	struct sched_dest *limited; /* the one that waits for that rate, or NULL */
	/* Those that wait for a place, or behind that one, by priority: first whose turn was not used. */
	struct list early[3], blocked[3];
	uint32_t picks;
	uint32_t name_len;
	char name[]; /* escaped */
};

struct sched_dest {
	struct sched_channel *channel;
	struct sched_group *group; /* or NULL */
	struct list blocked;       /* in group->early or blocked, of blocked_prio */
	struct list ring[3], ready[3], waiting, idle, busy;
	struct list moving; /* its messages are being moved, in slices: move.c */
	uint32_t move_left;
	uint8_t move;
	uint64_t stamp[3]; /* when it got its place in the ring: order over the classes */
	uint32_t news;     /* active: when a delivery began as the only one, or ended */
	uint8_t class;     /* enum dest_class */
	uint8_t blocked_prio;
	bool served; /* has had a message since it was let out last */
	uint32_t nready[3], nwaiting, nheld, active;
	float window, fails; /* concurrency; failed part of a cohort */
	float grown, shrunk; /* parts of the window's next step, up and down */
	struct sched_rate rate;
	bool limited;          /* waits for its rate, until `due` */
	uint8_t state;         /* enum dest_state */
	uint32_t parked_until; /* dead or suspended until then, or 0 */
	uint16_t parks;        /* times in a row */
	uint16_t turn;         /* messages given in this turn */
	uint32_t heap_at, due; /* as for entries */
	uint32_t name_len;
	char name[]; /* escaped */
};

struct sched;
struct sched *sched_new(void);
void sched_free(struct sched **s);
/* Gives every channel its configuration (those that have none get tcp_local's); the set before
 * may be freed afterwards. */
void sched_configure(struct sched *s, const struct channels *c);
struct sched_channel *sched_channel(struct sched *s, struct slice name); /* found or made */
struct sched_channel *sched_channel_find(const struct sched *s, struct slice name);
struct sched_channel *sched_channel_next(const struct sched *s, size_t *at); /* walk from 0 */

/* A message that is in the spool. */
struct sched_msg {
	struct slice channel, dest; /* dest escaped */
	const char *id;             /* SCHED_ID_LEN characters */
	uint64_t size;
	uint32_t nrcpt, attempts, notices;
	int prio;
	int64_t at, next;
	int64_t release; /* the sender wants it kept until then (RFC 4865), 0 = not */
	int64_t by;      /* ... and delivered by then (RFC 2852), 0 = any time */
	bool held, check;
};
/* Returns the new entry, or NULL when it is known already. */
struct sched_entry *sched_add(struct sched *s, const struct sched_msg *m, int64_t now);
struct sched_entry *sched_find(const struct sched *s, const char *id);
struct sched_channel *sched_of(const struct sched_entry *e);

/* The next message for somebody with room, or NULL.  `prefer`: the destination of the session
 * that has just become free, or NULL.  The entry is LEASED; the caller puts e->link on a list of
 * its own.  e->action says what is to be done. */
struct sched_entry *
sched_pick(struct sched *s, struct sched_channel *c, struct sched_dest *prefer, int64_t now);
bool sched_has_work(struct sched_channel *c, int64_t now); /* would sched_pick find something? */
/* Seconds until the next attempt if this one fails. */
uint32_t sched_backoff(const struct sched_entry *e);
/* The lease has ended.  False when the entry is gone (done); else, when it is marked to be
 * deleted or held (delete_later, held_later), the caller does that next. */
bool sched_end(struct sched *s, struct sched_entry *e, const struct job_result *r, int64_t now);
/* The owner went away without a word: nothing was counted. */
void sched_return(struct sched *s, struct sched_entry *e, int64_t now);

/* Operators (operate.c).  None is for LEASED entries: those are marked (held_later, delete_later). */
void sched_hold(struct sched *s, struct sched_entry *e);
/* HELD -> READY, or -> WAITING until its sender wants it to go. */
void sched_release(struct sched *s, struct sched_entry *e, int64_t now);
/* Does it wait for nothing but the time that its sender has named (RFC 4865)? */
bool sched_is_kept(const struct sched_entry *e, int64_t now);
void sched_retry(struct sched *s, struct sched_entry *e, int64_t now); /* WAITING -> READY */
void sched_remove(struct sched *s, struct sched_entry *e);
/* JOB_RETURN or JOB_REROUTE is its next lease, however long it would have waited; of a LEASED entry when that
 * lease has ended, if it is still there.  Not for HELD entries. */
void sched_act(struct sched *s, struct sched_entry *e, enum job_action action, int64_t now);
struct sched_dest *sched_dest_find(const struct sched_channel *c, struct slice name); /* or NULL */
/* The destination, which need not be known yet, gets nothing until then, but for what is on its way: at most
 * SCHED_SUSPEND_MOST from now.  Then one message shows whether it may go on. */
struct sched_dest *sched_suspend(struct sched *s, struct sched_channel *c, struct slice name,
    int64_t until, int64_t now);
/* It may go on, and so may those with the same MX hosts.  False: nothing had hindered it. */
bool sched_resume(struct sched *s, struct sched_dest *d, int64_t now);
/* Messages of this priority stay ready from now on, or may go again: notices and returns are not deliveries. */
void sched_shut(struct sched_channel *c, int prio, bool shut);
/* Walks the destinations of a channel: start with *at = 0; NULL at the end.  Nothing changes meanwhile. */
struct sched_dest *sched_dest_next(const struct sched_channel *c, size_t *at);

/* What is known of a destination that a restart must not forget: p[0] its hosts and its suspension; with `hosts`
 * p[1] that of its hosts.  Returns how many; slices borrow.  Put: it is so (again); false when there is no such
 * channel, or its time is over and nothing else is said.  Known destinations without messages are many only while
 * `keep`: until the spool was read. */
bool
sched_dest_has_mx(const struct sched_dest *d, struct slice mx); /* as its hosts' set is called */
size_t sched_place_get(const struct sched_dest *d, bool hosts, struct job_place p[2]);
bool sched_place_put(struct sched *s, const struct job_place *p, int64_t now);
void sched_places_keep(struct sched *s, bool keep);

/* Moves what is due.  Returns when to be called again (unix seconds), 0 = when something is
 * added.  Bounded work per call: an answer <= now means there is more. */
int64_t sched_tick(struct sched *s, int64_t now);
int64_t sched_next_due(const struct sched *s);
/* The clock was set by so many seconds: what was due in an hour is due in an hour. */
void sched_shift(struct sched *s, int64_t by);

/* Walks all entries: start with *at = 0; NULL at the end.  Anything may change meanwhile: an
 * entry that stays is seen exactly once. */
struct sched_entry *sched_next(const struct sched *s, size_t *at);
size_t sched_count(const struct sched *s);
size_t sched_memory(const struct sched *s); /* bytes, without malloc's own */
const char *sched_state_word(enum sched_state st);
const char *sched_dest_state_word(enum dest_state st);
struct slice sched_dest_name(const struct sched_entry *e);
#endif

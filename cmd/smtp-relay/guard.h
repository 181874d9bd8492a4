/* smtp-relay/guard.h: strangers at mx listeners, before there is a session; tiermail-guard(7).
 *
 *	guard.c         who is looked at, who is let in at once, who is refused, and how
 *	guard-wait.c    those whose turn has not come: what they say too early, how long they wait
 *	guard-lists.c   lists in DNS: asked, counted, and not believed when they list everybody
 *
 * Nobody of relay.networks, of this host or of an authority's certificates is a stranger.  An address that has
 * passed is never kept waiting again; one that was refused is refused from memory. */
#ifndef SMTP_RELAY_GUARD_H
#define SMTP_RELAY_GUARD_H
#include "guard/lists.h"
#include "guard/table.h"
#include "net/dns.h"
#include "relay.h"

/* [dnslist NAME] */
enum guard_asks { GUARD_OF_CLIENT, GUARD_OF_HELO, GUARD_OF_SENDER };
struct guard_list {
	char *name, *zone;
	int asks;       /* enum guard_asks */
	int64_t weight; /* negative: who is on it is welcome */
	char **codes;   /* empty: any */
	/* What a question for what no honest list has was answered with; guard-lists.c. */
	struct op probe;
	uint64_t probed_ms;
	bool judged, lies;
};

/* What the worker has; the tables are those of all workers. */
struct guard {
	struct guard_table *known, *rates;
	struct dns *dns; /* NULL: nothing is to be asked, or it cannot be started */
	struct guard_policy *policy;
	struct list waits;
	size_t nwaits;
};
extern struct guard guard;

void guard_paths(void);
void guard_start(struct loop *l);
void guard_reload(void);
void guard_stop(void); /* the worker drains: nobody waits any more, */
void guard_end(void);  /* and it ends */
bool guard_check(struct buf *why);

/* True: the descriptor is the guard's; it ends, or comes back by relay_session_begin.  False: it may begin. */
bool guard_takes(struct daemon_listen *l, int fd, const struct relay_peer *who);

/* May a client of whom a proxy tells (xclient.c) come in, which has been the session's peer since?  What would be asked of
 * who connects, but for silence.  GUARD_TOLD_NO: *no says why; GUARD_TOLD_WAIT: then(s, NULL, or why not) follows. */
enum guard_told { GUARD_TOLD_YES, GUARD_TOLD_NO, GUARD_TOLD_WAIT };
enum guard_told guard_told(struct session *s, struct verdict *no,
    void (*then)(struct session *, const struct verdict *));

/* Is he of guard.allow? */
bool guard_allows(const struct addr *peer);

/* His session has ended for too many errors. */
void guard_erred(const struct session *s);

/* ---- inside: why somebody is refused */
enum guard_why {
	GUARD_DENIED,
	GUARD_MAPPED,
	GUARD_RATE,
	GUARD_BUSY,
	GUARD_EARLY,
	GUARD_LISTED,
	GUARD_ERRORS
};
/* Says so, closes fd, counts and logs it; `list` of GUARD_LISTED may be NULL.  `text`: of a mapping, or empty. */
void guard_refuse(int fd, const struct addr *peer, enum guard_why why,
    const struct guard_list *list, struct slice text);
/* The same, remembered for guard.block_for. */
void
guard_block(int fd, const struct addr *peer, enum guard_why why, const struct guard_list *list);
/* Has passed; `sure`: all lists have answered. */
void guard_pass(const struct addr *peer, bool sure);

/* guard-wait.c.  False: there is no room for one more. */
bool guard_wait_start(struct daemon_listen *l, int fd, const struct relay_peer *who);
/* Waits for nothing but the time of its refusal. */
bool
guard_tarpit(int fd, const struct addr *peer, enum guard_why why, const struct guard_list *list);
/* The lists are asked anew about one who is let in meanwhile. */
void guard_look_again(const struct addr *peer);

/* guard-lists.c */
struct guard_asked;
struct guard_lists_answer {
	int64_t score;
	const struct guard_list *worst; /* the heaviest of those above 0, or NULL */
	bool all;                       /* none was silent */
};
bool guard_lists_any(enum guard_asks of);
/* Asks them all at once; NULL: there are none for this.  done() is called once, from the loop, within
 * guard.list_wait, unless it is cancelled. */
struct guard_asked *guard_lists_ask(enum guard_asks of, const struct addr *peer,
    struct slice domain, void (*done)(void *arg, const struct guard_lists_answer *), void *arg);
void guard_lists_cancel(struct guard_asked **a);
void guard_lists_reload(void); /* what is being asked is answered by what has come */
const struct guard_list *guard_list_find(uint16_t mark);
uint16_t guard_list_mark(const struct guard_list *l); /* of its name, never below GUARD_MARKS */
#define GUARD_MARKS 2                                 /* those below stand for what is no list */
uint16_t guard_lists_mark(void); /* of what all of them say: another one when a setting is */
#endif

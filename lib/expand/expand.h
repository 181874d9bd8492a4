/* expand/expand.h: an address of an envelope to its legs: who gets the message, by which channel.
 *
 * The road of an address: the rewrite rules (route/), the directory (directory/), and again for each
 * address that a user forwards to and each member of a list.  smtp-relay asks at RCPT and writes the
 * legs into the queue; mtatest prints them.  Asynchronous over the directory, many questions at once,
 * in slices that never hold the loop.  What an entry means for mail: tiermail-directory(7).
 *
 * Bounded: nesting by EXPAND_DEPTH, what is looked at by EXPAND_NODES, what comes out by EXPAND_LEGS,
 * a user's forwarding by EXPAND_FORWARDS; whoever goes round in a circle is left where it closes.
 * What is larger is asked for by expand_walk_start, which gives the legs in pieces.
 * No mistake of ours or of the directory's is a permanent verdict. */
#ifndef EXPAND_EXPAND_H
#define EXPAND_EXPAND_H
#include "directory/directory.h"
#include "directory/search.h"
#include "expand/sums.h"
#include "mail/address.h"
#include "mta/channels.h"

#define EXPAND_DEPTH    20
#define EXPAND_NODES    60000 /* addresses, DNs and URLs looked at for one question */
#define EXPAND_LEGS     15000
#define EXPAND_ALL      300000      /* the same of all questions of a process at once, ... */
#define EXPAND_CLIENT   90000       /* ... and of one client's: the others have their share */
#define EXPAND_FORWARDS 100         /* of one recipient or member, directly or not */
#define EXPAND_FAILED   100         /* that are told of; the others are counted */
#define EXPAND_EDITS    16          /* different changes to a message, for one question */
#define EXPAND_EDIT_MAX 65536       /* octets of what the lists on one way say of changes */
#define EXPAND_EDIT_N   100         /* fields that they add, and that they remove */
#define EXPAND_PIECE    5000        /* legs of a piece of a walk */
#define EXPAND_WALK     500000      /* members of all lists of a walk, and of a message */
#define EXPAND_LATER    "reprocess" /* the channel that expands what is large */

/* The directory as it is asked; each call as net/op.h. */
struct expand_directory {
	void *arg;
	void (*entry)(void *arg, struct slice local, struct slice domain, struct op *op,
	    dir_done done, void *arg2);
	void (*member)(void *arg, struct slice dn, struct op *op, dir_done done, void *arg2);
	void (
	    *search)(void *arg, struct slice url, struct op *op, dir_search_done done, void *arg2);
	void (*search_more)(void *arg, struct op *op);
};
struct expand_directory expand_directory(struct dir *d);

struct expand_params {
	const struct channels *channels;
	struct expand_directory directory;
};

/* All borrowed until expand_start returns. */
struct expand_query {
	const struct address *address;
	const char *source;  /* channel that it comes from, for the rules; lives long */
	struct slice sender; /* envelope sender as MAIL has it; empty: the null sender */
	struct slice auth;   /* account (uid@domain) that has logged in; empty: nobody */
	uint64_t size;       /* as MAIL declares it, 0 = not said */
	bool others; /* there are further recipients: a list with a limit wants to know the size */
	struct slice client; /* who asks, for EXPAND_CLIENT: any octets; empty: it is not counted */
	size_t most;         /* legs above which it is too large, 0 = EXPAND_LEGS */
	bool later; /* what is too large is not refused but has one leg, see expand_leg.later */
	/* Walks alone: the passwords that the message brings. */
	const struct slice *words;
	size_t nwords;
};

/* A word that a message brings to a list, and that its members do not get. */
struct expand_password {
	const char *list;
	struct slice word;
	bool needed; /* else it only goes */
	bool asked;  /* the list is the one that was asked for, not one in it */
};

/* What the lists on the way to a member make of a message, put together: an inner one's text stands outside. */
struct expand_edit {
	const char *list;         /* the nearest that says something: its address */
	struct dir_values add;    /* fields, each as "Name: text" */
	struct dir_values remove; /* names of fields, in lower case */
	struct slice prefix, suffix;
	const struct expand_password *passwords;
	size_t npasswords;
	bool closed;  /* one of them is needed */
	unsigned no;  /* its place among the result's */
	size_t bytes; /* of all of it */
};

struct expand_leg {
	const char *channel, *host;
	const char *address; /* local@domain, the domain in lower case */
	const char *hold;    /* keep it in the queue for this reason; or NULL */
	const char *sender;  /* a list's mgrpErrorsTo: sender of this leg's envelope; or NULL */
	const char *list;    /* the nearest list that it comes from; or NULL */
	const struct expand_edit *edit; /* what the lists on the way make of the message; or NULL */
	/* Where that is closed: further ones of closed lists by which it comes, as bits by their `no`.
	 * It gets the message by the first whose passwords are there. */
	uint32_t others;
	int64_t max_message; /* octets, 0 = no limit of its own */
	bool onward;         /* by forwarding or a list, not the address that was asked for */
	/* Too large, and what decides about it as a whole has been looked at: it is to be expanded in channel
	 * EXPAND_LATER.  `edit` tells of its passwords, and is done there. */
	bool later;
	/* The account whose mailbox it is, by whatever address; or whose program; or NULL. */
	const char *who;
	bool program; /* a program's, by channel pipe: `host` says whose and which (piped(8)) */
};
struct expand_failure {
	const char *address, *via; /* who cannot be reached, and who names them */
	const char *errors_to;     /* the list's by which he comes; or NULL */
	struct verdict v;
};
/* Borrowed while `done` runs. */
struct expand_result {
	struct verdict v; /* OK: there are legs; else why the address is not taken */
	bool ours;        /* the domain is in the directory: relaying is no question */
	/* What the rules made of the address that was asked for, and the channel that they came to, before
	 * anybody was looked up; NULL: that far it has not come. */
	const char *decided, *rewritten;
	const struct expand_leg *legs;
	size_t nlegs;
	const struct expand_failure *failed;
	size_t nfailed, nfailures; /* told of, in all */
	const char *errors_to;     /* of the list that was asked for; or NULL */
	const char *moderator;     /* the list whose moderators get it; or NULL */
	int64_t max_list;          /* least mgrpMsgMaxSize of the lists, 0 = none */
	const struct expand_edit
	    *edit;     /* what the list that was asked for makes of the message; or NULL */
	size_t nedits; /* different ones of the legs */
	const struct expand_edit *edits[EXPAND_EDITS];
	bool password; /* a list that was met has one, whatever came of it */
	bool hit;      /* inside lib/expand: who was looked for has been found */
};

/* A copy in m. */
const struct expand_edit *expand_edit_copy(struct arena *m, const struct expand_edit *from);

struct expand;
typedef void (*expand_done)(void *arg, const struct expand_result *);
struct expand *expand_new(struct loop *l, const struct expand_params *p);
/* Later questions are decided by the new tables.  Those under way may see either. */
void expand_reload(struct expand *e, const struct expand_params *p);
void expand_free(struct expand **e); /* no question is under way */
void expand_start(struct expand *e, const struct expand_query *q, struct op *op, expand_done done,
    void *arg);

/* ---- a list of any length ------------------------------------------------------------------- */

/* The sum of who gets a leg: the same for two that would be one copy too many. */
void expand_leg_sum(unsigned char sum[EXPAND_SUM], const char *who, const char *address);

struct expand_walk;
struct expand_taker {
	/* Legs in hand; borrowed until expand_walk_more, which must follow.  `others` is not used, and
	 * a list whose password is missing has none. */
	void (*piece)(void *arg, const struct expand_leg *legs, size_t n);
	void (*failed)(void *arg, const struct expand_failure *); /* borrowed */
	/* The end: OK when all legs were given, or there were none that `taken` does not have; else why
	 * the address is not taken, or not now. */
	void (*done)(void *arg, const struct verdict *v);
	/* May this one be given, and how: *leg may be changed, with texts in `a`.  False: he has failed, by *no; where
	 * that is TEMP nothing more is given now.  NULL: all may. */
	bool (*may)(void *arg, struct expand_leg *leg, struct arena *a, struct verdict *no);
};
/* Goes through the address and all that it leads to, member by member.  Who is in `taken` is passed over, and
 * who is done with (expand_walk_more) gets into it.  Who comes by several ways gets it by the first one.  What is needed at a time is
 * the lists on the way, the members' names that are still to be looked at, and a piece. */
struct expand_walk *expand_walk_start(struct expand *e, const struct expand_query *q,
    struct expand_sums *taken, const struct expand_taker *taker, void *arg);
/* The first n legs of the piece are done with; the others come again. */
void expand_walk_more(struct expand_walk *w, size_t n);
void expand_walk_cancel(struct expand_walk **w); /* nothing is called any more */
#endif

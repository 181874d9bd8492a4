/* expand/expand-impl.h: what the files of expand/ share; nobody else includes it.
 *
 *	run     one question: what is still to be looked at, what came out     expand.c
 *	node    an address, DN or URL, and who named it
 *	task    a node that is being looked at; at most TASKS of a run at once
 *
 *	leg.c      who is met, and by what terms
 *	address.c  an address through the rules and to the directory
 *	user.c     what a user's entry means        group.c   what a list's does
 *	access.c   may this sender send to a list?   alias.c   a name of the alias file
 *	edit.c     what a list makes of a message    walk.c    a list of any length: a run for each member
 *
 * A node ends once: as legs, as further nodes, or as a failure.  Everything of a run lives in its
 * arena; a task is used again for the next node. */
#ifndef EXPAND_IMPL_H
#define EXPAND_IMPL_H
#include "base/arena.h"
#include "base/list.h"
#include "base/map.h"
#include "expand/expand.h"
#include "mail/outcome.h"
#include "net/loop.h"
#include "route/route.h"

#define RUN_MAGIC  0x65787072U
#define TASK_MAGIC 0x65787074U
#define TASKS      32 /* questions of one run at once; the directory's connection takes 64 */
#define ASKS_MAX   4  /* questions to the directory for one address: one, where rules ask for it */

struct expand {
	struct loop *loop;
	struct expand_params p;
	size_t nnodes; /* of all runs */
	struct list runs;
};

/* A list on the way to a node; each has the one above it. */
struct expand_list {
	const char *name;               /* its address */
	const char *sender;             /* mgrpErrorsTo of it or of a list above; or NULL */
	const struct expand_edit *edit; /* of it and those above; or NULL */
};

enum node_kind { NODE_ADDRESS, NODE_DN, NODE_URL };
struct node {
	struct node *next; /* in the run's queue */
	const struct node *parent;
	struct node *origin; /* the root, or the member of a list, whose forwarding this is */
	enum node_kind kind;
	struct slice text;
	const char *hold; /* because a user or list on the way is on hold; or NULL */
	const struct expand_list *list;
	struct slice id;     /* who it turned out to be: "u" account, "g" DN; to find circles by */
	bool met_free;       /* of the first with its id: one of them was not on hold, ... */
	bool met_plain;      /* ... one had no sender of a list's, and no change, ... */
	bool met_open;       /* ... and one no password that is needed; */
	uint32_t met_closed; /* else the edits of those that need some, as bits */
	struct slice
	    mailbox; /* of the first with its id: the address of his leg; empty: none yet */
	struct slice address; /* of a user with a mailRoutingAddress: where he was found */
	unsigned forwards;    /* of an origin: that it has brought so far */
	unsigned depth;
	bool kept;     /* of a walk, in its arena */
	bool by_admin; /* named by an attribute that users do not write: a fault is temporary */
};

struct run {
	uint32_t magic;
	struct expand *e;
	struct list link; /* of all runs */
	struct arena arena;
	struct node root;
	struct address address;
	const char *source;
	struct slice sender, auth, client;
	uint64_t size;
	size_t most;
	bool others, may_later;

	/* A run of a walk looks at one member; lists that it meets, and legs, are the walk's. */
	struct expand_walk *walk;
	size_t nwalked; /* of them */

	/* Only looking: is this account or address among those who would get it?  No rule of a list
	 * counts then, and no forwarding. */
	bool looking;
	struct slice wanted_account, wanted_address;

	struct node *first, **last; /* to be looked at */
	size_t nnodes, nwaiting;
	struct list busy, idle; /* tasks */
	size_t nbusy;
	struct map seen; /* ids of nodes: the first; "a" and the address of legs: which, from 1 */
	struct expand_leg *legs;
	size_t nlegs, legs_room;
	struct expand_failure *failed; /* made when it is needed */
	struct verdict bad;            /* why the first that failed did; kind 0: none has */
	bool bad_root;                 /* that was the address itself */
	bool unsure;                   /* something failed for now */
	bool unseen;                   /* a DN leads nowhere, as far as we see */
	bool role;                     /* the root is postmaster or abuse of a domain of ours */
	bool decided, starting;
	bool large; /* decided, for this reason */
	struct expand_result result;
	struct op *outer;
	struct later later;
	expand_done done;
	void *arg;
};

enum asked { ASKED_AS_WRITTEN, ASKED_FOR_HOST, ASKED_POSTMASTER };

struct task {
	uint32_t magic;
	struct list link;
	struct run *run;
	struct node *node;
	struct op op;
	struct walk_source *source; /* of a walk: where its members go */
	/* An address. */
	struct address addr;
	struct {
		struct slice domain;
		enum mta_answer answer;
		bool ours; /* the directory has it, whoever routes its mail */
	} known[ASKS_MAX]; /* whether domains are local */
	size_t nknown;
	struct slice wanted;            /* the domain that the rules asked for */
	struct address asked;           /* of whom the directory was asked last */
	const struct dir_answer *found; /* its answer, while it is borrowed */
	struct slice text;              /* what the rules made of the address, written */
	struct slice instead;           /* the address that takes its place; empty: none */
	enum asked at;
	bool role, host; /* postmaster or abuse: somebody must take it; at the host's own name */
	struct access *access;    /* access.c, while it asks; or NULL */
	bool moderated, password; /* of a list: it wants its password */
};

/* expand.c: the run. */
void expand_run_start(struct expand *e, struct run *x, struct op *op, expand_done done, void *arg);
struct run *expand_run_new(struct expand *e);
/* Adds a node that `by` names; its text is copied.  Past a bound the run is decided. */
struct node *expand_node(struct run *x, struct node *by, enum node_kind kind, struct slice text);
/* The same for a member of the list that the task looks at. */
void expand_member(struct task *t, enum node_kind kind, struct slice text, const char *hold);
/* Is it the address that was asked for? */
static inline bool
expand_asked(const struct run *x, const struct node *n)
{
	return n == &x->root && !n->parent;
}
/* The sender that a list gives to what comes by this node; or NULL. */
const char *expand_node_sender(const struct run *x, const struct node *n);
struct arena *expand_keep(struct run *x); /* for what outlives the run in a walk */
void expand_large(struct run *x);         /* the question is too large */
/* This task's node is done with. */
void expand_task_end(struct task *t);
/* The answer to the whole question, whatever else was found: what is under way ends. */
void expand_decide(struct run *x, const struct verdict *v);
/* The node cannot be reached.  Told of, and the last word only when nobody else can be. */
void expand_fail(struct run *x, const struct node *n, struct verdict v);
/* PERM for an address that an administrator has written, unless it is the recipient's own terms (size,
 * senders): TEMP. */
struct verdict expand_blame(const struct run *x, const struct node *n, struct verdict v);
/* Is it the directory as a whole that cannot be asked?  That is no answer about anybody. */
bool expand_away(const struct verdict *v);
/* True: this id is new, or was met on hold or with a list's sender alone and now is not: the better
 * conditions count.  False: it was there; a circle when it is on the way to n. */
bool expand_enter(struct run *x, struct node *n, char kind, struct slice id, bool *circle);
/* A leg of n; once for each address, on the best conditions that it comes with. */
void expand_leg_add(struct run *x, const struct node *n, const char *channel, const char *host,
    struct slice address, const char *hold, int64_t max_message);
/* A leg to a program of piped's list, for `user` of this host, or with an empty one for an alias.  False: there is no
 * such channel, or they cannot be names. */
bool expand_leg_program(struct run *x, const struct node *n, struct slice user,
    struct slice program, struct slice address, const char *hold, int64_t max_message);
const struct verdict *expand_size(const struct run *x, int64_t max, const struct verdict *v);

/* walk.c */
struct arena *expand_walk_arena(struct expand_walk *w);
void expand_walk_member(struct task *t, enum node_kind kind, struct slice text, const char *hold);
void expand_walk_task_end(struct task *t);
void expand_walk_leg(struct run *x, const struct node *n, const struct expand_leg *leg);
bool expand_walk_enter(struct run *x, struct slice key);
bool expand_walk_word(const struct run *x, struct slice word); /* does the message bring it? */

/* address.c */
void expand_address(struct task *t);
void expand_member_found(void *arg, const struct dir_answer *a);
/* Nobody could take the mail of a postmaster: it is kept. */
void expand_keep_role(struct task *t);
/* The node's address cannot be told or taken for now.  Where it is alone the question waits at its
 * sender; of a list it is one of many, and his copy is held where an operator sees it, unless the list
 * itself cannot be told, or the directory is away. */
void expand_temporary(struct task *t, const struct verdict *v);
#define EXPAND_HELD "a member of a list that the directory has no usable entry for"
/* user.c, group.c: the directory has said who it is. */
/* Nobody gets it by this list, or alias.  What is temporary is so for the whole question, for nobody can say
 * whose copies would be missing. */
void expand_list_refused(struct task *t, struct verdict v);
enum node_kind expand_value_kind(struct slice value); /* a URL, a DN or an address */
void expand_user(struct task *t, const struct dir_answer *a);
void expand_group(struct task *t, const struct dir_answer *a);
/* "mailto:" and angle brackets off an address of the directory. */
struct slice expand_plain(struct slice value);

/* edit.c: what the list of this entry makes of a message, behind what those above make of it; *edit is NULL
 * when none of them makes anything.  False: the entry is not to be used, or there are too many. */
bool expand_edit_take(struct task *t, const struct dir_group *g, const struct expand_edit **edit);

/* alias.c: the alias file has the name. */
void expand_alias(struct task *t, const struct mta_alias *alias);

/* access.c: may the sender send to this list?  Answers by expand_group_judged, later or at once. */
enum access_answer { ACCESS_YES, ACCESS_NO, ACCESS_MODERATORS, ACCESS_BROKEN };
void expand_access(struct task *t, const struct dir_group *g);
void expand_access_cancel(struct task *t);
void expand_group_judged(struct task *t, enum access_answer answer, struct slice text);
bool expand_glob(struct slice pattern, struct slice text);
#endif

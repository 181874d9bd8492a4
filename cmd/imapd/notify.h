/* imapd/notify.h: NOTIFY (RFC 5465): what a session wants to hear of (notify.c), the accounts that it listens to
 * (watch.c), the names of their mailboxes (tree.c), and telling (notices.c).
 *
 * Nothing is kept for a mailbox that is watched, and nothing is queued: stored's events say that an account has
 * moved on, and what has happened stands in its change log, which each session reads from where it was.  Only
 * who wants to hear of names needs those that were: they are kept once for an account and a worker. */
#ifndef IMAPD_NOTIFY_H
#define IMAPD_NOTIFY_H
#include "imap/notify.h"
#include "place.h"

#define NOTIFY_NAMES 1024        /* mailboxes and subtrees that a client may name, */
#define NOTIFY_BYTES (64 * 1024) /* and bytes of them */
#define NOTIFY_ATTS  8192        /* bytes of MessageNew's data items */
#define NOTIFY_ACCOUNTS                                                                            \
	256 /* of others, that a session listens to; and that it looks for them at once */
#define NOTIFY_LOOKS   2048
#define NOTIFY_JOURNAL 1024 /* changes of names that wait for a session to be told */
#define NOTIFY_OWN     8    /* changes of its own that a session remembers */

#define NOTIFY_NONE    128 /* beside IMAP_NOTIFY_*: none of what others ask for */

/* ---- an account that somebody listens to: watch.c ---------------------------------------------------- */

struct notify_tree;
struct watched {
	uint64_t account;
	char *name;
	struct store_home *home;
	struct list watchers;     /* struct watching.at */
	struct notify_tree *tree; /* NULL: nobody wants names */
};
/* A session that listens to it. */
struct watching {
	struct list link, at; /* of struct notify, of struct watched */
	struct watched *account;
	struct session *s;
	bool own;
	bool nameless;   /* somebody else has too many folders: their names are not told */
	uint64_t modseq; /* messages: told up to here */
	uint64_t named;  /* names: the same */
	char *prefix;    /* of its mailboxes' names; "" when they are one's own */
	/* Of somebody else, when names are wanted: those mailboxes that could be looked at, ascending. */
	uint64_t *seen;
	size_t nseen;
	char *
	    regrouped; /* his groups are others: his sight is looked at, behind this name; NULL: it has been */
	struct annots_news annots;
	size_t
	    fresh; /* so many of them are to be told, as they have come into sight with the account */
};

/* ---- what a session wants: notify.c ---------------------------------------------------------------- */

struct notify_name {
	struct slice name;       /* as the user calls it */
	uint8_t at, below, next; /* events of itself, of all below it, of those right below it */
};
struct notify {
	struct session *s;
	bool listens; /* not after NOTIFY NONE */
	bool delayed; /* SELECTED-DELAYED */
	bool guests;  /* other people's mailboxes may be meant */
	bool looking; /* ... is being looked for: */
	struct notify_looks {
		size_t part; /* of imapd.homes.parts */
		struct store_home *home;
		uint64_t account; /* the last one there */
		size_t left;      /* so many may still be looked at */
	} looks;
	bool look; /* who shares something with the user is to be looked for again, or ... */
	bool due;  /* one of the accounts has moved on */
	/* Events, by filter: */
	uint8_t selected, personal, inboxes, subscribed, all, top;
	uint8_t any; /* of all of them */
	struct notify_name *names;
	size_t nnames;
	char *text; /* their bytes */
	char *atts; /* MessageNew's data items; NULL: none */
	struct list watches;
	size_t nwatches;
	struct list guest_link; /* imapd.listeners */
	uint64_t
	    asked; /* the account that may share something by now; UINT64_MAX: several; 0: none */
	/* What this session did itself, which it need not hear of (RFC 5465 5). */
	struct notify_own {
		uint64_t mailbox;
		uint32_t first, last; /* UIDs that it brought there */
	} own[NOTIFY_OWN];
	struct notify_deed {
		uint8_t kind;   /* enum notify_kind + 1 */
		uint64_t until; /* the account's counter when it was done */
		char *name;
	} deeds[NOTIFY_OWN];
	unsigned nown, ndeeds;
};

enum notify_kind { NOTIFY_MADE, NOTIFY_GONE, NOTIFY_RENAMED, NOTIFY_CHANGED, NOTIFY_SUBSCRIBED };

/* As if it had never been asked for. */
void notify_end(struct session *s);
/* The events that this session wants of a mailbox; inside a snapshot of its own account. */
unsigned notify_wants(struct session *s, struct slice name, bool own);
/* Is one of the mailboxes whose names begin so among those that are meant?  The same. */
bool notify_means(struct session *s, const struct notify *n, struct slice prefix);
/* Takes a list of data items in parentheses, with nothing that FETCH alone has behind it. */
bool notify_atts(struct imap_in *in);
/* The mailbox that is selected: does what others do there only come with commands that ask for it? */
bool notify_is_quiet(const struct session *s);
/* The session has brought messages, or done something to a name of this account. */
void notify_brought(struct session *s, uint64_t mailbox, const struct store_range *r, size_t n);
void notify_did(struct session *s, const struct place *p, enum notify_kind kind);
bool notify_did_it(struct session *s, enum notify_kind kind, struct slice name, uint64_t modseq);
/* It is too much: the client is told, and NOTIFY NONE holds.			RFC 5465 5.8 */
void notify_overflow(struct session *s, const char *why);

/* ---- watch.c ----------------------------------------------------------------------------------- */

/* Listens to one's own account; those of others are to be looked for.  0, or -E2BIG, -EIO. */
int watch_start(struct session *s, struct notify *n) MUSTCHECK;
void watch_end(struct notify *n);
void watch_event(const struct store_event *ev);
void watch_resync(void);
/* This user is in other groups than before. */
void watch_regroup(struct slice account);
/* A slice: listens to those who share something by now, too.  0; -EAGAIN: it goes on; or as watch_start. */
int watch_look(struct session *s, struct notify *n) MUSTCHECK;
/* Snapshots of the account and of one's own; 0 or -errno. */
int watch_begin(struct session *s, const struct watching *w) MUSTCHECK;
void watch_finish(struct session *s, const struct watching *w);
/* All of an account's counters stand there; 0 or -errno, as watch_start. */
int watch_join(struct session *s, struct notify *n, struct store_home *home, uint64_t account,
    struct slice owner) MUSTCHECK;
/* What a mailbox of an account is called by this session; in its arena. */
struct slice watch_name(struct session *s, const struct watching *w, struct slice folder);
/* Notes whether this mailbox of somebody else can be looked at now; returns whether it could before. */
bool watch_sees(struct watching *w, uint64_t mailbox, bool now);
/* Has this mailbox of the account, by its name there, children that the session can see? */
enum place_children watch_children(const struct watching *w, struct slice folder);
uint32_t watch_rights(const struct watching *w, const struct store_mailbox *m);
/* Somebody else's folders are too many: he must not end what this session hears of others.  The client is told. */
void watch_nameless(struct watching *w);

/* ---- tree.c: the names of an account's mailboxes, and what has happened to them -------------------- */

struct notify_change {
	uint64_t modseq;
	enum notify_kind kind;
	bool attributes; /* CHANGED: other than who may do what */
	uint64_t mailbox;
	char *name, *old; /* heap */
};
struct notify_tree {
	uint64_t modseq;                 /* as of this counter of the account */
	struct map names, subscriptions; /* by mailbox id; by name */
	bool subscribed;                 /* subscriptions are wanted */
	bool broken;                     /* it could not be read whole, and is empty */
	uint64_t walk;                   /* of the last look at the subscriptions */
	uint64_t from;                   /* changes up to here are no longer in ... */
	struct notify_change *journal;   /* ascending */
	size_t njournal;
};
/* Reads all names, if it has not been done or is no longer of use; inside a snapshot.  0, or -E2BIG. */
int tree_start(struct watched *w, bool subscriptions) MUSTCHECK;
void tree_free(struct notify_tree **t);
/* Reads on in the account's log; inside a snapshot of `a`.  0; -EAGAIN: there is more; -ENODATA: the log does
 * not reach back, all has been read again and nobody knows what happened; -E2BIG: there are too many. */
int tree_follow(struct watched *w, const struct store_account *a) MUSTCHECK;
const char *tree_name(const struct notify_tree *t, uint64_t mailbox);

/* ---- notices-metadata.c ------------------------------------------------------------------------- */

/* Does NOTIFY say which annotations are told of? */
bool notify_has_metadata(const struct session *s);
/* The annotations of an account that others have set, inside the snapshots.  IMAP_FULL: it goes on. */
enum imap_next notices_metadata(struct session *s, struct watching *w);

/* ---- notices-groups.c --------------------------------------------------------------------------- */

/* What has come into sight with the session's groups, or has gone, inside the snapshots.  IMAP_NEXT: it is told. */
enum imap_next notices_regrouped(struct session *s, struct watching *w);

/* ---- notices.c ----------------------------------------------------------------------------------- */

/* A mailbox of somebody else, of this name there, may have come into sight, or gone: it is told when it has. */
void notices_guest(struct session *s, struct watching *w, const struct notify_change *c);

/* Something may have to be told: now, or when the command in flight is over. */
void notices_due(struct session *s);
/* A cursor: all that is to be told; IMAP_MORE. */
enum imap_next notices_more(struct imap_server *imap);
/* imap_policy.between */
void notices_between(struct imap_server *imap);
#endif

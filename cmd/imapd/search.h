/* imapd/search.h: SEARCH, SORT and THREAD in flight: finding (search.c) by keys (match.c), walking
 * through what was found (gather.c), and telling (tell.c, sort.c, thread.c). */
#ifndef IMAPD_SEARCH_H
#define IMAPD_SEARCH_H
#include "imap/search.h"
#include "message/match.h"
#include "message/message.h"
#include "message/order.h"
#include "session.h"

/* The message that is looked at, and how far one may look. */
struct imap_candidate {
	const struct message_query *query;
	const struct store_record *rec;
	bool recent;                       /* if a key asks for it */
	struct slice record;               /* the digest, in the map; empty: none, or not yet */
	const struct message_match *match; /* the walk through it */
};

extern const struct imap_key_word match_words[];
extern const size_t match_nwords;
/* Bits of a word that takes a UID: what it leaves lies above or below. */
enum { MATCH_ABOVE = 1, MATCH_BELOW = 2 };

/* Does the message have what the key asks?  IMAP_MATCH_UNKNOWN: the file is needed, or more of
 * it.  Reads nothing but the key and the candidate: any thread. */
enum imap_match match_key(const struct imap_key *k, struct imap_candidate *c);
/* What the keys of a tree ask. */
struct match_needs {
	bool digests; /* one is answered by them */
	bool others;  /* one is not */
	bool recent;
};
/* Readies a tree for this mailbox: sets are resolved, numbers beyond the last message are none,
 * texts go into `q`, keys into the order of their costs. */
struct match_needs
match_prepare(struct imap_key *k, struct message_query *q, const struct view *v, struct arena *a);
/* What of the records the keys of a tree that is ready look at. */
enum store_parts match_parts(const struct imap_key *k);
/* The bits of keywords, which are a snapshot's. */
void match_resolve_keywords(struct imap_key *k, const struct store_mailbox *m);
/* A search in flight.  What a pool thread reads is here: it outlives the session when it must. */
struct searching {
	unsigned refs;      /* the session, and the work on the pool */
	struct arena arena; /* the command's text, keys and answers */
	struct imap_search q;
	struct message_query query;
	struct imap_set all;        /* UIDs to look at: the first set of the query, or everything */
	const struct imap_key *key; /* the tree, without tops that have one child */
	struct match_needs needs;
	enum store_parts parts; /* of the records, that the keys look at */
	size_t range;
	uint32_t at;
	size_t run;            /* of the view */
	uint64_t ends_at;      /* of this slice, monotonic us */
	uint64_t looked, goal; /* messages */
	struct slice text;     /* what the command said, */
	uint64_t since;        /* and for UPDATE how the mailbox was when it began: its counter, */
	uint32_t uidnext;      /* and what is in the view */
	bool quiet;            /* nobody hears how far it is */
	uint64_t heard_ms;     /* when the client last was told how far it is */
	struct session *session; /* on the loop alone */
	struct view *view;       /* of the mailbox that is searched; the session's, or its own */
	bool whole;              /* SORT, THREAD: of all messages or of none (RFC 9738 3.3) */
	bool multi;              /* ESEARCH: one of several mailboxes, and ... */
	struct slice mailbox;    /* its name */
	void *owner;             /* the command's */
	/* the answer */
	bool by_uid;
	struct imap_set found;  /* UIDs or sequence numbers, by_uid */
	struct imap_set listed; /* what an ESEARCH lists of them */
	uint64_t modseq;        /* highest of those found */
	uint64_t first_modseq, last_modseq;
	enum { SEARCH_LOOKS, SEARCH_TELLS } stage;
	size_t told;      /* ranges of them that are written, */
	uint64_t told_to; /* and numbers of the one that is not */
	int error;        /* the message in hand could not be read: -errno */
	bool unreadable;  /* some could not, for good: the answer says NO behind what was found */
	const char *refused;   /* SEARCH_FAILED: why */
	struct gather *gather; /* of SORT and THREAD, while it goes on */
	/* what SORT and THREAD make of it: given back with this */
	void *further;
	void (*further_free)(void *);
	/* the message whose file is read */
	struct imap_candidate c; /* c.rec is `rec` */
	struct store_record rec;
	struct message message;
	struct message_match match;
	bool open;
	uint32_t news; /* match.news when `answer` was found */
	enum imap_match answer;
	struct message_parse *parse; /* on the work pool: it has the file then */
};

#define SEARCH_SLICE_US 5000 /* of the loop, between other sessions' turns */

/* Makes s->imap.data; *own is over a copy of the command's text, which the keys borrow from. */
struct searching *search_new(struct session *s, struct imap_in *in, struct imap_in *own);
/* q->q has been parsed: readies the keys and pulls `more`. */
enum imap_next
search_begin(struct session *s, struct searching *q, enum imap_next (*more)(struct imap_server *));
/* Can a search that has been parsed not be carried out?  Then the answer is given. */
bool search_refused(struct session *s, const struct searching *q, enum imap_next *answer);
enum search_went {
	SEARCH_DONE, /* q->found is whole */
	SEARCH_YIELDS,
	SEARCH_WAITS,
	SEARCH_FAILED /* to be answered by search_refuse */
};
/* The same for a search that nobody waits for: readies the keys; q->all is to be set. */
void search_ready(struct session *s, struct searching *q);
/* One slice. */
enum search_went search_go(struct session *s, struct searching *q);
/* Ends the command, and with it q. */
enum imap_next search_refuse(struct session *s, const struct searching *q);
void search_release(struct searching *q);
/* UPDATE: are its data items such, and is the tag that of no search that is followed already?  And the answer. */
bool search_may_follow(struct session *s, const struct searching *q);
enum imap_next search_cannot_follow(struct session *s);
/* Does "$" become all that was found, or what MIN, MAX and PARTIAL name? */
bool search_saves_all(const struct searching *q);
/* The tagged answer; or when "$" cannot be kept. */
enum imap_next search_not_saved(struct session *s);
enum imap_next search_finish(struct session *s, const struct searching *q, const char *verb);

/* ---- gather.c: the messages that were found, once more, with what puts them in order ------------- */

struct gather {
	/* set by the command */
	unsigned fields; /* of enum message_field, bits */
	bool date;
	/* For each message in the order of UIDs; `o` NULL: neither was asked for. */
	void (*take)(void *arg, const struct store_record *r, const struct message_order *o);
	void *arg;
	/* kept */
	size_t range; /* of q->found, which has UIDs */
	uint32_t at;
	struct store_record rec; /* whose header is read from its file: */
	struct message message;
	bool warm; /* it is open, and in memory */
	struct message_parse *parse;
};
void gather_init(struct gather *g);
/* One slice, as search_go. */
enum search_went gather_go(struct session *s, struct searching *q, struct gather *g);
void gather_fini(struct gather *g);
/* Does work that takes long on `n` messages belong on the pool? */
#define GATHER_MANY 4096

/* tell.c: the whole line.  False: the output is full, again when there is room. */
bool tell_esearch(struct session *s, struct searching *q);
/* tell.c: what was found becomes "$".  False: it cannot be kept. */
bool search_save(struct session *s, struct searching *q);
/* tell.c: pieces of "* ESEARCH (TAG "a") UID COUNT 7 ..." */
void tell_esearch_head(struct session *s);
void tell_item(struct buf *b, const char *name, uint64_t v);
/* "PARTIAL (1:500 " or "PARTIAL (1:500 NIL"; the set and a parenthesis follow. */
void tell_partial(struct buf *b, const struct imap_partial *p, bool empty);
#endif

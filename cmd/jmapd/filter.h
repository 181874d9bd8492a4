/* jmapd/filter.h: the filter of Email/query and SearchSnippet/get (RFC 8621 4.4.1), compiled once and asked of
 * many emails.
 *
 * Conditions of the index are answered inside a snapshot, and kept, so that a file can be read outside of
 * one; texts are asked of the digest first, of the file only where it must be (message/match.h).  Cost: an
 * email costs the conditions, each of them a search of its mailboxes, and a thread its emails, once for a
 * condition; its file its octets plus the texts'. */
#ifndef JMAPD_FILTER_H
#define JMAPD_FILTER_H
#include "email.h"
#include "idset.h"
#include "message/match.h"

#define FILTER_MOST    500 /* conditions and operators */
#define FILTER_THREADS 4   /* of them those that look at whole threads */

enum filter_op { FILTER_AND, FILTER_OR, FILTER_NOT, FILTER_CONDITION };
struct filter_word;
/* What has been found out of threads: each is looked at once, however many of its emails are asked about. */
struct thread_memo {
	struct idset yes, no;
};
struct filter {
	enum filter_op op;
	struct filter *first, *next;
	const struct filter_word *word;
	uint32_t number;     /* of all, from 0 */
	int64_t value;       /* a date, a size, a truth, a flag */
	struct slice text;   /* a keyword */
	uint64_t *mailboxes; /* objectids, in order */
	size_t nmailboxes;
	uint32_t key, nkeys; /* of the texts */
	struct thread_memo *memo;
};

/* The texts of a filter, which a pool thread may read after the call is gone. */
struct filter_texts {
	unsigned refs; /* on the loop alone */
	struct arena arena;
	struct message_query query;
};
struct filters {
	struct filter *root; /* NULL: everything */
	uint32_t n;
	struct filter_texts *texts;
	bool has_texts;
	bool has_places; /* one asks for keywords or mailboxes: multi_go before filters_match */
	uint32_t
	    nthreads; /* conditions that ask for other emails of the thread: some ms each, of the longest */
	struct thread_memo memos[FILTER_THREADS];
	uint64_t mailbox; /* objectid of the one that all must be in; 0: none */
};
/* Compiles the filter into the call's arena; NULL is none.  False: *next is the answer. */
bool filters_read(struct call *c, const struct json_t *v, struct filters *f, enum call_next *next);
void filters_fini(struct filters *f);
void filter_texts_drop(struct filter_texts *t);

/* The email that is looked at. */
struct filter_candidate {
	struct call *c;
	const struct store_record *r;
	struct folder *folder;
	bool snapshot;                     /* is open: the index can be asked */
	uint8_t *known;                    /* enum message_answer of each node */
	struct email *email;               /* made when a condition needs it; NULL: not yet */
	struct arena *arena;               /* for it */
	const struct message_query *query; /* of the texts */
	struct slice digest;               /* the record; n 0: there is none, or not yet */
	const struct message_match *match; /* the walk through the file */
};
enum message_answer filters_match(const struct filters *f, struct filter_candidate *x);
/* The email of a candidate, inside the snapshot. */
struct email *filter_email(struct filter_candidate *x);
/* Has all, or some, of the thread the keyword? */
bool filter_thread_has(struct call *c, uint64_t thread, struct slice keyword, bool all,
    struct thread_memo *memo);
void thread_memo_fini(struct thread_memo *m);

/* snippet.c */
extern const struct jmapd_method snippet_get;
#endif

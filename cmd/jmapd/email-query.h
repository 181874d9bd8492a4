/* jmapd/email-query.h: a query in flight: for Email/query, and for Email/queryChanges, which has one as the first of its
 * state. */
#ifndef JMAPD_EMAIL_QUERY_H
#define JMAPD_EMAIL_QUERY_H
#include "idset.h"
#include "message/parse.h"
#include "query-sort.h"
#include "window.h"

enum query_stage { QUERY_BEGIN, QUERY_WALK, QUERY_SORT, QUERY_SORTED, QUERY_READY };

/* Outlives the call when a pool thread puts it in order. */
struct query_rows {
	struct query_sort sort;
	unsigned refs;
};
struct email_query {
	struct window window;
	struct filters filters;
	struct query_rows *rows;
	bool collapse;
	bool looks_far; /* at the threads and other places of what it walks through */
	bool asks;      /* more than where an email is */
	enum query_stage stage;
	uint64_t modseq;
	uint64_t *mailboxes; /* to walk through */
	size_t nmailboxes, mailbox;
	uint32_t at;
	struct idset seen; /* emails that were asked about, at the first of their places */
	uint8_t *known;
	struct arena scratch; /* of a candidate */
	bool looked;          /* for what is kept of it, query-kept.c */
	/* the email whose file is read */
	struct query_row row;
	struct store_record r;
	struct folder *folder;
	struct message message;
	struct message_match match;
	bool open;
	struct message_parse *parse;
	int error;
};

/* query-kept.c: what was found by the latest queries of this worker, for the next page of one of them.
 *
 * The answer, when the same was asked in this state of the account; false: it is to be found. */
bool query_kept_answer(struct call *c, struct email_query *q, enum call_next *next);
/* Keeps it, when nothing has changed meanwhile. */
void query_kept_put(struct call *c, const struct email_query *q);
/* The part of `n` results that is wanted; of `rows` or, when it is NULL, of ids. */
enum call_next email_query_window(struct call *c, struct email_query *q, uint64_t modseq,
    const struct query_sort *rows, const uint64_t *ids, size_t n);

/* c->data begins with a struct email_query. */
enum call_next email_query_start(struct call *c);
/* DONE: the stage is QUERY_READY, and rows->sort has all that was found, in order; or the call has been answered with
 * an error. */
enum call_next email_query_run(struct call *c);
void email_query_undo(struct call *c);
#endif

/* jmapd/query-sort.h: what emails are put in order by (RFC 8621 4.4.2), as rows of keys. */
#ifndef JMAPD_QUERY_SORT_H
#define JMAPD_QUERY_SORT_H
#include "filter.h"

#define SORT_KEYS 4 /* comparators of a query */

enum sort_by {
	SORT_RECEIVED,
	SORT_SENT,
	SORT_SIZE,
	SORT_FROM,
	SORT_TO,
	SORT_SUBJECT,
	SORT_HAS,
	SORT_ALL,
	SORT_SOME
};
struct sort_key {
	enum sort_by by;
	bool descends;
	struct slice keyword; /* of the last three */
	struct thread_memo memo;
};
struct query_row {
	uint64_t id, thread;
	int64_t key
	    [SORT_KEYS]; /* a number, or where in `texts` the text lies; of those kept the first n */
};
struct query_sort {
	struct sort_key keys[SORT_KEYS];
	size_t n;
	unsigned fields; /* bits of enum message_field that are needed, */
	bool digests;    /* or the date in the digest */
	bool plain;      /* of what records say alone */
	void *owner;     /* the query that waits for it */
	char *rows;      /* heap: query_sort_at */
	size_t nrows, room;
	struct buf texts; /* each with 4 octets of length before it */
	struct arena arena;
	struct buf decoded, single;
};
/* A row as it is kept takes no more than its keys do: 24 octets with one. */
static inline size_t
query_sort_size(const struct query_sort *q)
{
	return offsetof(struct query_row, key) + q->n * sizeof(int64_t);
}
static inline const struct query_row *
query_sort_at(const struct query_sort *q, size_t i)
{
	return (const struct query_row *)(const void *)(q->rows + i * query_sort_size(q));
}
/* Of those that are kept `to` is now what `from`, which is no earlier one, was. */
static inline void
query_sort_move(struct query_sort *q, size_t to, size_t from)
{
	if (to != from)
		memcpy(q->rows + to * query_sort_size(q), query_sort_at(q, from),
		    query_sort_size(q));
}
/* Reads `sort`; false: *next is the answer. */
bool query_sort_read(struct call *c, struct query_sort *q, enum call_next *next);
/* The row of a candidate, inside the snapshot. */
void query_sort_row(struct query_sort *q, struct filter_candidate *x, struct query_row *row);
/* Room for so many. */
void query_sort_reserve(struct query_sort *q, size_t n);
void query_sort_add(struct query_sort *q, const struct query_row *row);
/* Puts the rows in order, and takes out emails that are there twice.  Any thread. */
void query_sort_run(struct query_sort *q);
void query_sort_fini(struct query_sort *q);
#endif

/* imap/sort.h: SORT (RFC 5256 3, with RFC 5957): its grammar, and the sorting itself.  Pure.
 *
 * What is sorted is a table of packed cells, a row for each message in the order of the mailbox, a
 * column for each key.  Memory: 8 bytes for each cell, the octets of texts, and 20 bytes a row while
 * it is sorted. */
#ifndef IMAP_SORT_H
#define IMAP_SORT_H
#include "imap/args.h"
#include "base/buf.h"

enum imap_sort_by {
	IMAP_BY_ARRIVAL,
	IMAP_BY_CC,
	IMAP_BY_DATE,
	IMAP_BY_DISPLAYFROM,
	IMAP_BY_DISPLAYTO,
	IMAP_BY_FROM,
	IMAP_BY_SIZE,
	IMAP_BY_SUBJECT,
	IMAP_BY_TO,
	IMAP_BY_N
};
struct imap_sort_key {
	enum imap_sort_by by;
	bool reverse;
};
/* A key that stands there again decides nothing, so no more than these are kept. */
struct imap_sort {
	struct imap_sort_key keys[IMAP_BY_N];
	unsigned n;
};
/* Takes SP "(" sort-criterion *(SP sort-criterion) ")". */
bool imap_sort_parse(struct imap_in *in, struct imap_sort *s);
static inline bool
imap_sort_is_text(enum imap_sort_by by)
{
	return by != IMAP_BY_ARRIVAL && by != IMAP_BY_DATE && by != IMAP_BY_SIZE;
}

#define IMAP_SORT_TEXT_MAX 65535 /* octets of a cell: what is longer is compared so far */

struct imap_rows {
	const struct imap_sort *by;
	uint64_t *cells;  /* n * by->n: a number, or where a text lies and its length */
	struct buf texts; /* give it a cap: `full` says that the table is none */
	size_t n, room;
};
/* A row is begun, then filled key by key in their order. */
void imap_rows_begin(struct imap_rows *t);
void imap_rows_number(struct imap_rows *t, unsigned key, int64_t v);
/* The text is what was appended to `texts` since it had `from` bytes. */
void imap_rows_text(struct imap_rows *t, unsigned key, size_t from);
void imap_rows_fini(struct imap_rows *t);
/* Two rows by their keys alone: below, above or 0. */
int imap_rows_compare(const struct imap_rows *t, uint32_t a, uint32_t b);

/* Writes the numbers of the rows (from 0) in order to `out`, of t->n.  Costs n log n comparisons at
 * most.  False: stopped() said so, and what is in `out` means nothing. */
bool imap_rows_sort(const struct imap_rows *t, uint32_t *out, bool (*stopped)(void));
#endif

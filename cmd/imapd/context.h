/* imapd/context.h: searches that are kept up to date: CONTEXT=SEARCH, CONTEXT=SORT, RFC 5267 4.3. */
#ifndef IMAPD_CONTEXT_H
#define IMAPD_CONTEXT_H
#include "imap/sort.h"
#include "search.h"

#define CONTEXT_MOST   16    /* of a session */
#define CONTEXT_RANGES 32768 /* of UIDs, in one */
#define CONTEXT_ALL    65536 /* in all of them */
#define CONTEXT_TEXT   8192  /* bytes of a search */
#define CONTEXT_SORTED 65536 /* messages in the orders of a session, 4 bytes each */
#define CONTEXT_COME   2048  /* that come into one at once */
#define CONTEXT_AGAIN  8     /* times that they are looked for, as some have gone meanwhile */

/* The search is over, and UPDATE was asked for: from now on its result is followed, or the client is told that
 * it is not ([NOUPDATE]).  `order` is that of SORT, and taken; NULL: the mailbox's. */
struct context_order;
void context_open(struct session *s, struct searching *q, struct context_order *order);
bool context_has(const struct session *s, struct slice tag);
void contexts_free(struct view *v);
/* Before EXPUNGE: numbers that leave a result, while they mean what they did. */
void contexts_expunge(struct session *s, const struct store_range *gone, size_t n);
/* Behind the news of the mailbox: a cursor that tells what has come into results and what has left them.
 * IMAP_NEXT: that is all. */
enum imap_next contexts_more(struct session *s);

/* "* ESEARCH (TAG "a") UID" */
void context_head(struct session *s, const char *tag, bool uid);

/* ---- context-sort.c: an order that is followed ------------------------------------------------------- */

struct context_order *context_order_new(const struct imap_sort *by, const uint32_t *uids, size_t n);
void context_order_free(struct context_order **o);
size_t context_order_length(const struct context_order *o);
/* These leave it, which is told. */
void context_order_remove(struct session *s, struct context_order *o, const char *tag, bool uid,
    const struct imap_set *gone);

/* Messages that come into it: where they belong is found by a search (s->imap.data) that is gone on with as with any
 * other, but by context_order_place; `leaves` are to be removed before. */
void context_order_begin(struct session *s, const struct context_order *o,
    const struct imap_set *comes, const struct imap_set *leaves);
enum search_went context_order_place(struct session *s, struct searching *q);
/* It is over; the list is in the command's arena.  False: some have gone meanwhile. */
struct context_place {
	uint32_t uid;
	uint32_t before; /* the one behind it; 0: it is the last */
};
bool context_order_over(struct session *s, const struct searching *q, struct context_place **list,
    size_t *n);
/* They are put there, which is told. */
void context_order_insert(struct session *s, struct context_order *o, const char *tag, bool uid,
    const struct context_place *places, size_t n);
#endif

/* jmapd/window.h: the part of a query's result that is wanted (RFC 8620 5.5): position or anchor, limit,
 * calculateTotal; for every /query. */
#ifndef JMAPD_WINDOW_H
#define JMAPD_WINDOW_H
#include "call.h"

/* Comparators of a sort: more say nothing that is new, and each is read at every comparison. */
#define WINDOW_SORT 8

struct window {
	int64_t position, anchor_offset;
	int64_t limit;       /* -1: none */
	struct slice anchor; /* p NULL: none */
	bool total;
};
/* Reads the arguments; false: *next is the answer. */
bool window_read(struct call *c, struct window *w, enum call_next *next);
/* The answer: `n` results, of which the i-th id is written by `write`; `at` is where the anchor was found
 * (only when there is one; n: nowhere). */
enum call_next
window_answer(struct call *c, const struct window *w, uint64_t modseq, bool can_calculate, size_t n,
    size_t at, void (*write)(struct buf *b, const void *list, size_t i), const void *list);
/* The same of a type whose state is no counter: `put_state` writes "queryState" of both. */
enum call_next window_answer_state(struct call *c, const struct window *w,
    void (*put_state)(struct call *c, uint64_t modseq, int64_t more), uint64_t modseq, int64_t more,
    bool can_calculate, size_t n, size_t at,
    void (*write)(struct buf *b, const void *list, size_t i), const void *list);
#endif

/* jmapd/window.c: which part of a result is told.  See window.h. */
#include "window.h"

bool
window_read(struct call *c, struct window *w, enum call_next *next)
{
	*w = (struct window){ .limit = -1, .anchor = { NULL, 0 } };
	if (call_int(c, "position", -JSON_INT_MOST, JSON_INT_MOST, &w->position) &&
	    call_int(c, "anchorOffset", -JSON_INT_MOST, JSON_INT_MOST, &w->anchor_offset) &&
	    call_int(c, "limit", 0, JSON_INT_MOST, &w->limit) &&
	    call_str(c, "anchor", &w->anchor) && call_bool(c, "calculateTotal", &w->total))
		return true;
	*next = call_invalid(c,
	    "position and anchorOffset are whole numbers, limit one that is not negative, anchor "
	    "an id, "
	    "calculateTotal a boolean");
	return false;
}

static void
window_put_state(struct call *c, uint64_t modseq, int64_t more UNUSED)
{
	call_put_state(c, "queryState", modseq);
}

enum call_next
window_answer(struct call *c, const struct window *w, uint64_t modseq, bool can_calculate, size_t n,
    size_t at, void (*write)(struct buf *b, const void *list, size_t i), const void *list)
{
	return window_answer_state(c, w, window_put_state, modseq, 0, can_calculate, n, at, write,
	    list);
}

enum call_next
window_answer_state(struct call *c, const struct window *w,
    void (*put_state)(struct call *c, uint64_t modseq, int64_t more), uint64_t modseq, int64_t more,
    bool can_calculate, size_t n, size_t at,
    void (*write)(struct buf *b, const void *list, size_t i), const void *list)
{
	struct buf *b = call_out(c);
	int64_t all = (int64_t)n, from = w->position, left;

	if (w->anchor.p) {
		if (at >= n)
			return call_error(c, "anchorNotFound", NULL);
		from = (int64_t)at + w->anchor_offset;
		from = from < 0 ? 0 : from;
	} else if (from < 0) {
		from = from + all < 0 ? 0 : from + all;
	}
	left = from < all ? all - from : 0;
	if (w->limit >= 0 && left > w->limit)
		left = w->limit;
	call_answer(c);
	call_put_account(c);
	put_state(c, modseq, more);
	json_put_bool(b, "canCalculateChanges", can_calculate);
	json_put_i64(b, "position", from < all ? from : 0);
	json_put_array(b, "ids");
	for (int64_t i = 0; i < left; i++) {
		json_element(b);
		write(b, list, (size_t)(from + i));
	}
	buf_char(b, ']');
	if (w->total)
		json_put_i64(b, "total", all);
	return call_end(c);
}

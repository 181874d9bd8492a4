/* imapd/sort.c: SORT, RFC 5256 3; SORT=DISPLAY, RFC 5957; ESORT, RFC 5267 3; CONTEXT=SORT begins here.
 *
 *	searching -> gathering -> sorting -> telling
 *
 * Each stage but the third is a cursor on the loop; many rows are sorted on the work pool, as their
 * user's share, told to stop when the session goes.  Memory: the rows (sort-rows.c), and 28 bytes for each
 * message; a mailbox of longer texts than they take is answered NO [LIMIT]. */
#include "context.h"
#include "sort.h"

#include "base/log.h"
#include "base/mem.h"
#include "imap/write.h"
#include "net/work.h"

struct sorted {
	struct imap_sort by;
	struct sort_rows keys;
	uint32_t *order; /* UIDs */
	enum { SORT_SEARCHES, SORT_GATHERS, SORT_SORTS, SORT_BEGINS, SORT_TELLS } stage;
	size_t told, tell_to; /* of `order`: what is listed */
};

static void
sorted_free(void *arg)
{
	struct sorted *w = arg;

	sort_rows_fini(&w->keys);
	mem_free(&w->order);
	mem_release(w);
}

/* ---- sorting ------------------------------------------------------------------------------------ */

/* On a pool thread, or at once. */
static void
sort_run(void *arg)
{
	struct searching *q = arg;
	struct sorted *w = q->further;

	w->order = mem_array(w->keys.rows.n + 1, sizeof(*w->order));
	if (!imap_rows_sort(&w->keys.rows, w->order, work_stopped))
		return; /* nobody will look */
	for (size_t i = 0; i < w->keys.rows.n; i++)
		w->order[i] = w->keys.uids[w->order[i]];
}

static void
sort_drop(void *arg)
{
	search_release(arg);
}

static void
sort_done(void *arg)
{
	struct searching *q = arg;
	struct session *s = q->session;
	struct sorted *w = q->further;

	log_context(s->sid);
	w->stage = SORT_BEGINS;
	search_release(q);
	imap_server_resume(&s->imap, IMAP_PULL);
}

/* ---- telling ------------------------------------------------------------------------------------ */

static uint32_t
sort_number(const struct session *s, uint32_t uid)
{
	return s->imap.uid ? uid : view_seq(s->view, uid);
}

/* " 2 84 882".  False: the output is full. */
static bool
sort_tell_numbers(struct session *s, struct sorted *w)
{
	struct buf *b = session_out(s);

	while (w->told < w->tell_to) {
		char *p = buf_reserve(b, 1 + IMAP_U32_MAX);

		if (b->n >= STREAM_HIGH || !p)
			return false;
		*p++ = ' ';
		p = imap_u32_at(p, sort_number(s, w->order[w->told++]));
		b->n = (size_t)(p - b->p);
	}
	return true;
}

/* "2,84:86,1": a sequence-set in their order (RFC 5267 3.1), so that a range stands for such as follow
 * one another in it. */
static bool
sort_tell_set(struct session *s, struct sorted *w, size_t first)
{
	struct buf *b = session_out(s);

	while (w->told < w->tell_to) {
		uint32_t lo = sort_number(s, w->order[w->told]), hi = lo;

		if (b->n >= STREAM_HIGH)
			return false;
		if (w->told++ > first)
			buf_char(b, ',');
		while (w->told < w->tell_to && sort_number(s, w->order[w->told]) == hi + 1) {
			hi++;
			w->told++;
		}
		buf_u64(b, lo);
		if (hi > lo) {
			buf_char(b, ':');
			buf_u64(b, hi);
		}
	}
	return true;
}

/* Of the messages that are named (RFC 7162 3.1.5 with 4731 3.2). */
static uint64_t
sort_modseq(struct session *s, const struct searching *q, const struct sorted *w)
{
	const struct store_record *r;
	uint64_t modseq = 0;

	if (q->q.ret & (IMAP_RETURN_ALL | IMAP_RETURN_COUNT | IMAP_RETURN_PARTIAL) ||
	    session_snapshot(s) < 0)
		return q->modseq;
	if (q->q.ret & IMAP_RETURN_MIN &&
	    (r = store_get_record(session_reader(s), s->view->mailbox, w->order[0])))
		modseq = r->modseq;
	if (q->q.ret & IMAP_RETURN_MAX &&
	    (r = store_get_record(session_reader(s), s->view->mailbox,
		 w->order[w->keys.rows.n - 1])) &&
	    r->modseq > modseq)
		modseq = r->modseq;
	store_end(session_reader(s));
	return modseq;
}

/* "* SORT 2 84 882 (MODSEQ 7)" */
static bool
sort_tell(struct session *s, struct searching *q, struct sorted *w)
{
	struct buf *b = session_out(s);

	if (w->stage == SORT_BEGINS) {
		w->tell_to = w->keys.rows.n;
		buf_lit(b, "* SORT");
	}
	w->stage = SORT_TELLS;
	if (!sort_tell_numbers(s, w))
		return false;
	if (q->q.modseq && w->keys.rows.n > 0) {
		buf_lit(b, " (MODSEQ ");
		buf_u64(b, q->modseq);
		buf_char(b, ')');
	}
	buf_lit(b, "\r\n");
	return true;
}

/* The rows that are listed: all, or the page that was asked for; from *first on. */
static size_t
sort_listed(const struct searching *q, const struct sorted *w, size_t *first)
{
	uint64_t from = 0, n = w->keys.rows.n;

	if (q->q.ret & IMAP_RETURN_PARTIAL)
		n = imap_partial_span(&q->q.partial, w->keys.rows.n, &from);
	*first = (size_t)from;
	return (size_t)(from + n);
}

/* MIN and MAX are the first and the last in the order (RFC 5267 3). */
static bool
sort_tell_esearch(struct session *s, struct searching *q, struct sorted *w)
{
	struct buf *b = session_out(s);
	size_t n = w->keys.rows.n, first, end = sort_listed(q, w, &first);

	if (q->q.ret == IMAP_RETURN_SAVE) /* RFC 5182 2.1: then nothing is told */
		return true;
	if (w->stage == SORT_BEGINS) {
		w->told = first;
		w->tell_to = end;
		tell_esearch_head(s);
		if (n > 0 && q->q.ret & IMAP_RETURN_MIN)
			tell_item(b, "MIN", sort_number(s, w->order[0]));
		if (n > 0 && q->q.ret & IMAP_RETURN_MAX)
			tell_item(b, "MAX", sort_number(s, w->order[n - 1]));
		if (n > 0 && q->q.ret & IMAP_RETURN_ALL)
			buf_lit(b, " ALL ");
		if (q->q.ret & IMAP_RETURN_PARTIAL)
			tell_partial(b, &q->q.partial, end == first);
	}
	w->stage = SORT_TELLS;
	if (q->q.ret & (IMAP_RETURN_ALL | IMAP_RETURN_PARTIAL) && !sort_tell_set(s, w, first))
		return false;
	if (q->q.ret & IMAP_RETURN_PARTIAL)
		buf_char(b, ')');
	if (q->q.ret & IMAP_RETURN_COUNT)
		tell_item(b, "COUNT", n);
	if (q->q.modseq && n > 0)
		tell_item(b, "MODSEQ", sort_modseq(s, q, w));
	buf_lit(b, "\r\n");
	return true;
}

/* ---- "$" ---------------------------------------------------------------------------------------- */

/* Of a page that is put in the order of UIDs again: so many, as that is done at once. */
#define SAVED_PAGE 65536

/* As search_save(). */
static bool
sort_save(struct session *s, struct searching *q, const struct sorted *w)
{
	struct imap_set set = { 0 };
	size_t n = w->keys.rows.n, first, end = sort_listed(q, w, &first);

	if (search_saves_all(q))
		return view_save(s->view, &q->found);
	if (!(q->q.ret & IMAP_RETURN_PARTIAL))
		end = first;
	if (end - first > SAVED_PAGE)
		return false;
	set.r = arena_array(&q->arena, end - first + 2, sizeof(*set.r));
	for (size_t i = first; i < end; i++)
		set.r[set.n++] = (struct imap_range){ w->order[i], w->order[i] };
	if (n > 0 && q->q.ret & IMAP_RETURN_MIN)
		set.r[set.n++] = (struct imap_range){ w->order[0], w->order[0] };
	if (n > 0 && q->q.ret & IMAP_RETURN_MAX)
		set.r[set.n++] = (struct imap_range){ w->order[n - 1], w->order[n - 1] };
	imap_set_resolve(&set, UINT32_MAX);
	return view_save(s->view, &set);
}

/* ---- the command -------------------------------------------------------------------------------- */

static enum imap_next
sort_more(struct imap_server *imap)
{
	struct session *s = session_of(imap);
	struct searching *q = s->imap.data;
	struct sorted *w = q->further;

	if (w->stage == SORT_SORTS)
		return IMAP_WAIT;
	while (w->stage < SORT_SORTS) {
		switch (w->stage == SORT_SEARCHES ? search_go(s, q) :
						    gather_go(s, q, &w->keys.gather)) {
		case SEARCH_WAITS: return IMAP_WAIT;
		case SEARCH_YIELDS: return IMAP_YIELD;
		case SEARCH_FAILED: return search_refuse(s, q);
		case SEARCH_DONE: break;
		}
		if (w->stage++ == SORT_SEARCHES) {
			sort_rows_begin(&w->keys, &w->by, imap_set_count(&q->found));
			continue;
		}
		if (w->keys.rows.texts.full)
			return imap_server_no(&s->imap, "LIMIT",
			    "The texts to sort by are too long");
		if (w->keys.rows.n >= GATHER_MANY) {
			q->refs++;
			work_start_for(imapd.loop, &s->imap.op, s->user->id, sort_run, sort_done,
			    sort_drop, q);
			return IMAP_WAIT;
		}
		sort_run(q);
		w->stage = SORT_BEGINS;
	}
	if (!(q->q.esearch ? sort_tell_esearch(s, q, w) : sort_tell(s, q, w)))
		return IMAP_FULL;
	if (q->q.ret & IMAP_RETURN_SAVE && !q->unreadable && !sort_save(s, q, w))
		return search_not_saved(s);
	if (q->q.update)
		context_open(s, q, context_order_new(&w->by, w->order, w->keys.rows.n));
	return search_finish(s, q, "SORT");
}

enum imap_next
cmd_sort(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);
	struct imap_in own;
	struct searching *q = search_new(s, in, &own);
	struct sorted *w = mem_new(sizeof(*w));

	gather_init(&w->keys.gather);
	q->by_uid = q->whole = true;
	q->further = w;
	q->further_free = sorted_free;
	if (!imap_search_parse_options(&own, &q->q) || !imap_sort_parse(&own, &w->by) ||
	    !imap_search_parse_program(&own, match_words, match_nwords, &q->q))
		return imap_server_syntax(&s->imap, &own);
	if (q->q.update && !search_may_follow(s, q))
		return search_cannot_follow(s);
	return search_begin(s, q, sort_more);
}

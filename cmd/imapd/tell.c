/* imapd/tell.c: SEARCH and its answer: RFC 3501 6.4.4 and 7.2.5; ESEARCH, RFC 4731; MODSEQ, RFC 7162
 * 3.1.5; and the parts of ESEARCH that SORT has too (RFC 5267 3).
 *
 * Finding is search.c's.  An answer is a cursor over ranges of numbers that stops where the output is
 * full, however many there are. */
#include "context.h"
#include "limit.h"
#include "notify.h"
#include "search.h"

#include "imap/write.h"

/* Of a range, between two looks at the room. */
#define NUMBERS_STEP 64

/* Numbers of the answer, as many as the output takes.  False: it is full. */
static bool
tell_numbers(struct buf *b, struct searching *q)
{
	for (; q->told < q->found.n; q->told++, q->told_to = 0) {
		const struct imap_range *r = &q->found.r[q->told];
		uint64_t n = q->told_to > r->lo ? q->told_to : r->lo;

		while (n <= r->hi) {
			uint64_t end = r->hi - n < NUMBERS_STEP ? r->hi + 1ull : n + NUMBERS_STEP;
			char *p = buf_reserve(b, (size_t)(end - n) * (1 + IMAP_U32_MAX));

			if (b->n >= STREAM_HIGH || !p) {
				q->told_to = n;
				return false;
			}
			for (; n < end; n++) {
				*p++ = ' ';
				p = imap_u32_at(p, (uint32_t)n);
			}
			b->n = (size_t)(p - b->p);
		}
	}
	return true;
}

/* What is listed, as a sequence set. */
static bool
tell_set(struct buf *b, struct searching *q)
{
	for (; q->told < q->listed.n; q->told++) {
		struct imap_set one = { .r = &q->listed.r[q->told], .n = 1 };

		if (b->n >= STREAM_HIGH)
			return false;
		if (q->told > 0)
			buf_char(b, ',');
		imap_set_write(b, &one);
	}
	return true;
}

/* "* SEARCH 1 2 3 (MODSEQ 7)".  False: the output is full. */
static bool
tell_search(struct session *s, struct searching *q)
{
	struct buf *b = session_out(s);

	if (q->stage == SEARCH_LOOKS)
		buf_lit(b, "* SEARCH");
	q->stage = SEARCH_TELLS;
	if (!tell_numbers(b, q))
		return false;
	if (q->q.modseq && q->found.n > 0) {
		buf_lit(b, " (MODSEQ ");
		buf_u64(b, q->modseq);
		buf_char(b, ')');
	}
	buf_lit(b, "\r\n");
	return true;
}

void
tell_item(struct buf *b, const char *name, uint64_t v)
{
	buf_char(b, ' ');
	buf_str(b, name);
	buf_char(b, ' ');
	buf_u64(b, v);
}

void
tell_esearch_head(struct session *s)
{
	struct buf *b = session_out(s);

	buf_lit(b, "* ESEARCH (TAG ");
	imap_write_string(b, s->imap.tag);
	buf_char(b, ')');
	if (s->imap.uid)
		buf_lit(b, " UID");
}

/* What was found where.						RFC 7377 2.1 */
static void
tell_multi_head(struct session *s, const struct searching *q)
{
	struct buf *b = session_out(s);

	buf_lit(b, "* ESEARCH (TAG ");
	imap_write_string(b, s->imap.tag);
	buf_lit(b, " MAILBOX ");
	session_write_mailbox(s, q->mailbox);
	tell_item(b, "UIDVALIDITY", q->view->uidvalidity);
	buf_lit(b, ") UID");
}

static void
esearch_begin(struct session *s, struct searching *q)
{
	struct buf *b = session_out(s);
	unsigned ret = q->q.ret;

	if (q->multi)
		tell_multi_head(s, q);
	else
		tell_esearch_head(s);
	if (q->found.n == 0)
		return;
	if (ret & IMAP_RETURN_MIN)
		tell_item(b, "MIN", q->found.r[0].lo);
	if (ret & IMAP_RETURN_MAX)
		tell_item(b, "MAX", q->found.r[q->found.n - 1].hi);
	if (ret & IMAP_RETURN_ALL)
		buf_lit(b, " ALL ");
}

void
tell_partial(struct buf *b, const struct imap_partial *p, bool empty)
{
	buf_lit(b, " PARTIAL (");
	buf_slice(b, p->text);
	buf_str(b, empty ? " NIL" : " ");
}

/* What is listed: all that was found, or the page that was asked for. */
static void
esearch_list(struct searching *q)
{
	uint64_t from, n;

	q->listed = q->found;
	if (!(q->q.ret & IMAP_RETURN_PARTIAL))
		return;
	n = imap_partial_span(&q->q.partial, imap_set_count(&q->found), &from);
	imap_set_cut(&q->found, from, n, &q->arena, &q->listed);
}

/* RFC 7162 3.1.5 with 4731 3.2: the highest MODSEQ of the messages that are named. */
static uint64_t
esearch_modseq(const struct searching *q)
{
	uint64_t modseq = 0;

	if (q->q.ret & (IMAP_RETURN_ALL | IMAP_RETURN_COUNT | IMAP_RETURN_PARTIAL))
		return q->modseq;
	if (q->q.ret & IMAP_RETURN_MIN)
		modseq = q->first_modseq;
	if (q->q.ret & IMAP_RETURN_MAX && q->last_modseq > modseq)
		modseq = q->last_modseq;
	return modseq;
}

bool
tell_esearch(struct session *s, struct searching *q)
{
	struct buf *b = session_out(s);

	if (q->stage == SEARCH_LOOKS) {
		esearch_list(q);
		if (q->q.ret == IMAP_RETURN_SAVE) /* RFC 5182 2.1: then nothing is told */
			return true;
		esearch_begin(s, q);
		if (q->q.ret & IMAP_RETURN_PARTIAL)
			tell_partial(b, &q->q.partial, q->listed.n == 0);
	}
	q->stage = SEARCH_TELLS;
	if (q->q.ret & (IMAP_RETURN_ALL | IMAP_RETURN_PARTIAL) && !tell_set(b, q))
		return false;
	if (q->q.ret & IMAP_RETURN_PARTIAL)
		buf_char(b, ')');
	if (q->q.ret & IMAP_RETURN_COUNT)
		tell_item(b, "COUNT", imap_set_count(&q->found));
	if (q->q.modseq && q->found.n > 0)
		tell_item(b, "MODSEQ", esearch_modseq(q));
	buf_lit(b, "\r\n");
	return true;
}

/* ---- "$" ---------------------------------------------------------------------------------------- */

bool
search_saves_all(const struct searching *q)
{
	unsigned ret = q->q.ret;

	return ret & (IMAP_RETURN_ALL | IMAP_RETURN_COUNT) ||
	    !(ret & (IMAP_RETURN_MIN | IMAP_RETURN_MAX | IMAP_RETURN_PARTIAL));
}

/* What RFC 5182 2.1 (table 1) and RFC 9394 3.2 (table 1) say, as UIDs. */
bool
search_save(struct session *s, struct searching *q)
{
	struct imap_set set = { 0 };

	if (search_saves_all(q)) {
		set = q->found;
	} else if (q->found.n > 0) {
		set.r = arena_array(&q->arena, q->listed.n + 2, sizeof(*set.r));
		if (q->q.ret & IMAP_RETURN_PARTIAL) {
			set.n = q->listed.n;
			memcpy(set.r, q->listed.r, set.n * sizeof(*set.r));
		}
		if (q->q.ret & IMAP_RETURN_MIN)
			set.r[set.n++] = (struct imap_range){ q->found.r[0].lo, q->found.r[0].lo };
		if (q->q.ret & IMAP_RETURN_MAX) {
			uint32_t hi = q->found.r[q->found.n - 1].hi;

			set.r[set.n++] = (struct imap_range){ hi, hi };
		}
		imap_set_resolve(&set, UINT32_MAX);
	}
	if (!q->by_uid)
		(void)view_uids(s->view, &set, false, &q->arena);
	return view_save(s->view, &set);
}

/* ---- the command ------------------------------------------------------------------------------- */

static enum imap_next
search_more(struct imap_server *imap)
{
	struct session *s = session_of(imap);
	struct searching *q = s->imap.data;

	if (q->stage == SEARCH_LOOKS)
		switch (search_go(s, q)) {
		case SEARCH_WAITS: return IMAP_WAIT;
		case SEARCH_YIELDS: return IMAP_YIELD;
		case SEARCH_FAILED: return search_refuse(s, q);
		case SEARCH_DONE: break;
		}
	if (!(q->q.esearch ? tell_esearch(s, q) : tell_search(s, q)))
		return IMAP_FULL;
	if (q->q.ret & IMAP_RETURN_SAVE && !q->unreadable && !search_save(s, q))
		return search_not_saved(s);
	if (q->q.update)
		context_open(s, q, NULL);
	return search_finish(s, q, "SEARCH");
}

enum imap_next
search_not_saved(struct session *s)
{
	return imap_server_no(&s->imap, "NOTSAVED", "The result is in too many pieces to be saved");
}

enum imap_next
search_finish(struct session *s, const struct searching *q, const char *verb)
{
	if (q->unreadable)
		return imap_server_no(&s->imap, "SERVERBUG", "Some messages cannot be read");
	return imap_server_finish(&s->imap, "OK", "%s%s%s completed", limit_code(s, true),
	    s->imap.uid ? "UID " : "", verb);
}

bool
search_may_follow(struct session *s, const struct searching *q)
{
	struct imap_in in = { .s = q->q.update_atts, .arena = &s->imap.arena };

	return !context_has(s, s->imap.tag) &&
	    (!q->q.update_atts.p || (notify_atts(&in) && in.s.n == 0));
}

enum imap_next
search_cannot_follow(struct session *s)
{
	return imap_server_bad(&s->imap, "Not these data items, or not this tag again");
}

enum imap_next
cmd_search(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);
	struct imap_in own;
	struct searching *q = search_new(s, in, &own);

	if (!imap_search_parse(&own, match_words, match_nwords, &q->q))
		return imap_server_syntax(&s->imap, &own);
	/* RFC 6855 3: "SHOULD reject the command with a BAD response" */
	if (q->q.charset && s->enabled & SESSION_UTF8)
		return imap_server_bad(imap, "CHARSET is not for UTF8=ACCEPT");
	if (q->q.update && !search_may_follow(s, q))
		return search_cannot_follow(s);
	/* RFC 9051 6.4.4: without RETURN as with RETURN (ALL) */
	if (s->enabled & SESSION_REV2 && !q->q.esearch) {
		q->q.esearch = true;
		q->q.ret = IMAP_RETURN_ALL;
	}
	return search_begin(s, q, search_more);
}

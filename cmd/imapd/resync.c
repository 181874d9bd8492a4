/* imapd/resync.c: which messages have gone since a client was last here: VANISHED (EARLIER) of SELECT
 * and UID FETCH, RFC 7162 3.2.5, 3.2.6, 3.2.10.
 *
 * A cursor in front of FETCH's (fetch.c), over the tombstones in the account's change log.  Cost: the
 * log's rows behind the client's modseq, in slices of time, then the ranges found plus those asked for
 * plus the view's runs.  Where the log does not reach back, or has more ranges than are kept, what is
 * told is all that is not there, as the RFC allows (3.2.5.1: "MAY send UIDs of messages that were not
 * in the client's list"); the client's sequence match data then says from where on.  Nothing can fail.
 * What must stay true: a UID that is in the view is never told here, for EXISTS has counted it. */
#include "fetch.h"

/* Ranges that are kept: sorting them takes some 3 ms. */
#define RESYNC_MOST 32768
/* Rows of the log between two looks at the clock. */
#define RESYNC_STEP 64

uint32_t
resync_there(const struct view *v, const struct imap_set *seqs, const struct imap_set *uids)
{
	size_t i = seqs->n, k = uids->n;
	uint32_t seq = 0, uid = 0; /* the last numbers of the ranges in hand that are left */

	for (;;) {
		uint32_t n, least;

		if (seq == 0 && i > 0)
			seq = seqs->r[--i].hi;
		if (uid == 0 && k > 0)
			uid = uids->r[--k].hi;
		if (seq == 0 || uid == 0)
			return 0;
		n = seq - seqs->r[i].lo < uid - uids->r[k].lo ? seq - seqs->r[i].lo :
								uid - uids->r[k].lo;
		least = uid - n;
		for (size_t at = view_find(v, uid) + 1; at-- > 0;) {
			const struct run *run = &v->runs[at < v->nruns ? at : 0];
			uint32_t top = run->last < uid ? run->last : uid;

			if (at >= v->nruns || run->first > uid)
				continue;
			if (top < least)
				break;
			if (run->seq + (top - run->first) == seq - (uid - top))
				return top;
		}
		seq = seq - n == seqs->r[i].lo ? 0 : seq - n - 1;
		uid = least == uids->r[k].lo ? 0 : least - 1;
	}
}

void
resync_fini(struct resync *r)
{
	buf_fini(&r->gone);
}

/* Everything that is not there. */
static void
resync_all(const struct session *s, struct resync *r)
{
	struct store_range all = { r->there + 1, s->view->uidnext - 1 };

	buf_clear(&r->gone);
	if (all.first <= all.last)
		buf_add(&r->gone, &all, sizeof(all));
	r->stage = RESYNC_TELLS;
}

/* Does the log still reach back?  Its oldest rows may go between two slices. */
static bool
resync_logged(struct session *s, struct resync *r)
{
	struct store_view *v = session_reader(s);
	struct store_account a;
	struct store_mailbox m;

	if (store_get_mailbox(v, s->view->mailbox, &m) < 0 ||
	    store_find_account(v, m.account_name, &a) < 0)
		return false;
	r->walk.account = a.id;
	r->walk.tombstones = true; /* each slice has a snapshot of its own */
	return a.changes_from != UINT64_MAX && r->since >= m.vanished_from &&
	    r->since >= a.vanished_from;
}

static bool
resync_row(const struct session *s, struct resync *r)
{
	const struct store_change_walk *c = &r->walk;

	if (c->kind != STORE_CHANGE_GONE || c->mailbox != s->view->mailbox)
		return true;
	if (r->gone.n / sizeof(struct store_range) + c->count > RESYNC_MOST)
		return false;
	for (size_t i = 0; i < c->count; i++) {
		struct store_gone g = store_change_gone(c, i);
		struct store_range range = { g.first, g.last };

		buf_add(&r->gone, &range, sizeof(range));
	}
	return true;
}

static enum imap_next
resync_look(struct session *s, struct resync *r)
{
	if (!resync_logged(s, r)) {
		resync_all(s, r);
		return IMAP_NEXT;
	}
	/* What was expunged behind the view's state is in the view, and told as news. */
	for (unsigned n = 1;
	     store_change_next(session_reader(s), &r->walk) && r->walk.modseq <= s->view->modseq;
	     n++) {
		if (!resync_row(s, r)) {
			resync_all(s, r);
			return IMAP_NEXT;
		}
		if (n % RESYNC_STEP == 0 && line_session_spent(&s->imap.line))
			return IMAP_YIELD;
	}
	r->stage = RESYNC_TELLS;
	return IMAP_NEXT;
}

static struct store_range *
resync_runs(const struct view *v, struct arena *a)
{
	struct store_range *runs = arena_array(a, v->nruns + 1, sizeof(*runs));

	for (size_t i = 0; i < v->nruns; i++)
		runs[i] = (struct store_range){ v->runs[i].first, v->runs[i].last };
	return runs;
}

/* Of what was found: what the client asked about, and has not in its view. */
static void
resync_result(struct session *s, struct resync *r)
{
	struct imap_set found = { .r = (struct imap_range *)(void *)r->gone.p,
		.n = r->gone.n / sizeof(*found.r) };
	struct buf rest = { 0 }, asked = { 0 }, gone = { 0 }, left = { 0 };
	const struct store_range *runs = resync_runs(s->view, &s->imap.arena);

	(void)imap_set_resolve(&found, UINT32_MAX);
	store_uids_split((const void *)found.r, found.n, (const void *)r->among.r, r->among.n,
	    &rest, &asked);
	store_uids_split((const void *)asked.p, asked.n / sizeof(*runs), runs, s->view->nruns,
	    &gone, &left);
	r->nvanished = gone.n / sizeof(*r->vanished);
	r->vanished = arena_array(&s->imap.arena, r->nvanished + 1, sizeof(*r->vanished));
	if (gone.n > 0)
		memcpy(r->vanished, gone.p, gone.n);
	buf_fini(&rest);
	buf_fini(&asked);
	buf_fini(&gone);
	buf_fini(&left);
	buf_fini(&r->gone);
}

enum imap_next
resync_more(struct session *s, struct resync *r)
{
	enum imap_next next = IMAP_NEXT;

	if (r->stage == RESYNC_BEGINS) {
		r->walk.since = r->since;
		r->stage = RESYNC_LOOKS;
	}
	if (r->stage == RESYNC_LOOKS) {
		if (session_snapshot(s) < 0) {
			resync_all(s, r); /* by the view alone; FETCH says what is the matter */
		} else {
			next = resync_look(s, r);
			store_end(session_reader(s));
		}
		if (next != IMAP_NEXT)
			return next;
		resync_result(s, r);
	}
	if (!view_vanished(s, true, r->vanished, r->nvanished, &r->told))
		return IMAP_FULL;
	r->stage = RESYNC_OVER;
	return IMAP_NEXT;
}

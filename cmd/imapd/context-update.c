/* imapd/context-update.c: bringing searches that are followed up to date: RFC 5267 4.3; with data items, RFC 5465 7.
 *
 * Owns: the cursor.  Called behind all news of the selected mailbox.  Can fail: messages that cannot be read, too many
 * that come: then the result is no longer followed, which is told.  Must stay true: changes of a result are told behind
 * those of the mailbox, and it is then what the search finds now.  Cost: the search over what has changed since, by the
 * account's log, and the ranges of the result; both yield. */
#include "context-impl.h"

#include "fetch.h"

/* The cursor, in the arena. */
struct updating {
	struct list *at;
	enum { UPDATE_BEGINS, UPDATE_SEARCHES, UPDATE_PLACES, UPDATE_FETCHES, UPDATE_TELLS } stage;
	struct imap_set changed; /* messages that are looked at */
	uint64_t modseq;
	uint32_t uidnext;
	struct imap_set added, removed;
	struct context_place *places; /* of `added`, in an order */
	size_t nplaces;
	unsigned again;
};

/* ---- looking again ---------------------------------------------------------------------------------- */

/* What is no longer in the view, and what there is to look at.  False: nothing. */
static bool
update_begin(struct session *s, struct updating *u, struct context *c)
{
	struct view *v = s->view;
	struct buf changed = { 0 };
	struct store_mailbox m;
	int rc = -1;

	u->changed = (struct imap_set){ 0 };
	if (session_snapshot(s) < 0)
		return false;
	if (store_get_mailbox(session_reader(s), v->mailbox, &m) == 0) {
		u->modseq = m.highestmodseq;
		u->uidnext = v->uidnext;
		rc = c->uidnext > 1 ? store_changed_uids(session_reader(s), v->mailbox, c->modseq,
					  c->uidnext - 1, &changed) :
				      0;
	}
	store_end(session_reader(s));
	if (rc == 0)
		u->changed = context_set_of(s, (const void *)changed.p,
		    changed.n / sizeof(struct store_range));
	buf_fini(&changed);
	if (v->uidnext > c->uidnext)
		imap_set_add(&u->changed, &s->imap.arena, c->uidnext, v->uidnext - 1);
	view_present(v, &u->changed, &s->imap.arena);
	return rc == 0;
}

static bool
context_is_new(struct session *s, const struct context *c)
{
	struct store_mailbox m;
	bool same = false;

	if (session_snapshot(s) < 0)
		return true;
	same = store_get_mailbox(session_reader(s), s->view->mailbox, &m) < 0 ||
	    (m.highestmodseq == c->modseq && s->view->uidnext == c->uidnext);
	store_end(session_reader(s));
	return same;
}

static void
context_added(struct session *s, const struct updating *u, const struct context *c)
{
	if (!c->order)
		context_tell(s, c, "ADDTO", &u->added);
	else if (u->added.n > 0)
		context_order_insert(s, c->order, c->tag, c->uid, u->places, u->nplaces);
}

/* Readies the search over what has changed. */
static bool
update_search(struct session *s, struct updating *u, const struct context *c)
{
	struct imap_in in = { .s = slice_str(c->text), .arena = &s->imap.arena }, own;
	struct searching *q = search_new(s, &in, &own);
	struct imap_sort by;
	bool good;

	q->by_uid = true;
	q->quiet = true;
	q->q = (struct imap_search){ 0 };
	if (c->order)
		good = imap_search_parse_options(&own, &q->q) && imap_sort_parse(&own, &by) &&
		    imap_search_parse_program(&own, match_words, match_nwords, &q->q);
	else
		good = imap_search_parse(&own, match_words, match_nwords, &q->q);
	if (!good)
		return false;
	search_ready(s, q);
	q->all = imap_set_copy(&u->changed, &q->arena);
	return true;
}

static void
update_end_search(struct session *s)
{
	s->imap.undo(&s->imap);
	s->imap.undo = NULL;
	s->imap.data = NULL;
}

/* Only what is there still: of a message that is expunged EXPUNGE is told first.		RFC 5465 5.3 */
static void
update_there(struct session *s, struct imap_set *uids)
{
	struct buf runs = { 0 };
	struct imap_set now, gone;
	struct store_mailbox m;

	if (uids->n == 0 || session_snapshot(s) < 0)
		return;
	if (store_get_mailbox(session_reader(s), s->view->mailbox, &m) == 0)
		store_uid_runs(session_reader(s), &m, &runs);
	store_end(session_reader(s));
	now = context_set_of(s, (const void *)runs.p, runs.n / sizeof(struct store_range));
	buf_fini(&runs);
	context_set_split(s, uids, &now, &gone, uids);
}

/* The search has found of u->changed what belongs to the result. */
static void
update_compare(struct session *s, struct updating *u, const struct context *c,
    const struct imap_set *found)
{
	struct imap_set all = context_set(s, c), both, none;

	context_set_split(s, found, &all, &u->added, &both);
	context_set_split(s, &u->changed, found, &none, &both);
	context_set_split(s, &none, &all, &both, &u->removed);
	update_there(s, &u->removed);
}

/* RFC 5465 7: data items of new messages that belong to the result.  False: there are none. */
static bool
update_fetch(struct session *s, const struct updating *u, const struct context *c)
{
	struct imap_in in = { .arena = &s->imap.arena };
	struct imap_set new = { 0 }, rest;
	struct fetch *f;

	if (!c->atts || u->uidnext <= c->uidnext)
		return false;
	imap_set_add(&new, &s->imap.arena, c->uidnext, u->uidnext - 1);
	f = arena_new(&s->imap.arena, sizeof(*f));
	fetch_init(f);
	context_set_split(s, &u->added, &new, &rest, &f->uids);
	in.s = slice_str(arena_str(&s->imap.arena, c->atts));
	if (f->uids.n == 0 ||
	    !imap_fetch_parse(&in, fetch_items, fetch_nitems, FETCH_MODSEQ, &f->want))
		return false;
	fetch_unasked(s, f);
	return true;
}

/* False: the result has become too many pieces. */
static bool
update_tell(struct session *s, const struct updating *u, struct context *c)
{
	struct imap_set all = context_set(s, c), left, went, now = { 0 };

	context_removed(s, c, &u->removed);
	context_added(s, u, c);
	context_set_split(s, &all, &u->removed, &left, &went);
	now.n = left.n + u->added.n;
	now.r = arena_array(&s->imap.arena, now.n + 1, sizeof(*now.r));
	if (left.n > 0)
		memcpy(now.r, left.r, left.n * sizeof(*now.r));
	if (u->added.n > 0)
		memcpy(now.r + left.n, u->added.r, u->added.n * sizeof(*now.r));
	imap_set_resolve(&now, UINT32_MAX);
	c->modseq = u->modseq;
	c->uidnext = u->uidnext;
	return context_keep(s, c, &now);
}

/* What the view has no more leaves the result.  False: the context has ended. */
static bool
update_gone(struct session *s, struct context *c)
{
	struct imap_set all = context_set(s, c), there = all, left, went;

	view_present(s->view, &there, &s->imap.arena);
	context_set_split(s, &all, &there, &went, &left);
	if (went.n == 0)
		return true;
	context_removed(s, c, &went);
	return context_keep(s, c, &left) || (context_end(s, c, CONTEXT_TOO_MANY), false);
}

/* IMAP_NEXT: there is nothing to look at; IMAP_PULL: the search begins. */
static enum imap_next
update_start(struct session *s, struct updating *u, struct context *c)
{
	if ((c->uid && !update_gone(s, c)) || context_is_new(s, c) || !update_begin(s, u, c))
		return IMAP_NEXT;
	if (!update_search(s, u, c)) {
		update_end_search(s);
		context_end(s, c, "The search cannot be repeated");
		return IMAP_NEXT;
	}
	u->stage = UPDATE_SEARCHES;
	return IMAP_PULL;
}

/* What has changed is known: it can be told. */
static enum imap_next
update_found(struct session *s, struct updating *u, const struct context *c)
{
	u->stage = update_fetch(s, u, c) ? UPDATE_FETCHES : UPDATE_TELLS;
	return IMAP_PULL;
}

/* Some come into an order: where do they belong? */
static enum imap_next
update_come(struct session *s, struct updating *u, struct context *c)
{
	uint64_t n = imap_set_count(&u->added);

	if (n > CONTEXT_COME || contexts_sorted(s->view) + n > CONTEXT_SORTED) {
		context_end(s, c, CONTEXT_TOO_LONG);
		return IMAP_NEXT;
	}
	context_order_begin(s, c->order, &u->added, &u->removed);
	u->stage = UPDATE_PLACES;
	return IMAP_PULL;
}

static enum imap_next
update_look(struct session *s, struct updating *u, struct context *c)
{
	struct searching *q = s->imap.data;
	bool failed = false;

	switch (search_go(s, q)) {
	case SEARCH_WAITS: return IMAP_WAIT;
	case SEARCH_YIELDS: return IMAP_YIELD;
	case SEARCH_FAILED: failed = true; break;
	case SEARCH_DONE: failed = q->unreadable; break;
	}
	if (!failed)
		update_compare(s, u, c, &q->found);
	update_end_search(s);
	if (failed) {
		context_end(s, c, "Some messages cannot be read");
		return IMAP_NEXT;
	}
	return c->order && u->added.n > 0 ? update_come(s, u, c) : update_found(s, u, c);
}

/* A slice of it. */
static enum imap_next
update_places(struct session *s, struct updating *u, struct context *c)
{
	struct searching *q = s->imap.data;
	const char *why = NULL;
	bool over = false;

	switch (context_order_place(s, q)) {
	case SEARCH_WAITS: return IMAP_WAIT;
	case SEARCH_YIELDS: return IMAP_YIELD;
	case SEARCH_FAILED: why = q->refused; break;
	case SEARCH_DONE:
		why = q->unreadable ? "Some messages cannot be read" : NULL;
		over = context_order_over(s, q, &u->places, &u->nplaces);
		break;
	}
	update_end_search(s);
	if (!why && !over && ++u->again == CONTEXT_AGAIN)
		why = "The mailbox changes too quickly";
	if (why) {
		context_end(s, c, why);
		return IMAP_NEXT;
	}
	if (over)
		return update_found(s, u, c);
	u->stage = UPDATE_BEGINS; /* with what is there now */
	return IMAP_PULL;
}

static enum imap_next
update_items(struct session *s, struct updating *u)
{
	enum imap_next next = fetch_step(&s->imap);

	if (next != IMAP_NEXT)
		return next;
	update_end_search(s);
	u->stage = UPDATE_TELLS;
	return IMAP_PULL;
}

/* One step with one context.  IMAP_NEXT: it is over with; IMAP_PULL: another step. */
static enum imap_next
update_step(struct session *s, struct updating *u, struct context *c)
{
	switch (u->stage) {
	case UPDATE_BEGINS: return update_start(s, u, c);
	case UPDATE_SEARCHES: return update_look(s, u, c);
	case UPDATE_PLACES: return update_places(s, u, c);
	case UPDATE_FETCHES: return update_items(s, u);
	case UPDATE_TELLS: break;
	}
	if (!update_tell(s, u, c))
		context_end(s, c, CONTEXT_TOO_MANY);
	return IMAP_NEXT;
}

enum imap_next
contexts_more(struct session *s)
{
	struct updating *u = s->updating;

	if (list_empty(&s->view->contexts))
		return IMAP_NEXT;
	if (!u) {
		u = s->updating = arena_new(&s->imap.arena, sizeof(*u));
		u->at = s->view->contexts.next;
	}
	while (u->at != &s->view->contexts) {
		struct context *c = CONTAINER(u->at, struct context, link);
		struct list *behind = u->at->next;
		enum imap_next next = update_step(s, u, c);

		if (next == IMAP_PULL)
			continue;
		if (next != IMAP_NEXT)
			return next;
		u->at = behind;
		u->stage = UPDATE_BEGINS;
		u->again = 0;
		if (session_out(s)->n >= STREAM_HIGH && behind != &s->view->contexts)
			return IMAP_FULL;
	}
	s->updating = NULL;
	return IMAP_NEXT;
}

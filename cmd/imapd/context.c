/* imapd/context.c: searches that are kept up to date: CONTEXT=SEARCH, RFC 5267 4.3; with data items, RFC 5465 7.
 *
 * Owns: view.contexts, each a search as the client wrote it and the UIDs that it has found.  Called when such a search
 * is over, and behind all news of the selected mailbox.  Can fail: bounds, and messages that cannot be read: then the
 * result is no longer followed, which is told.  Must stay true: a result is that of the search over the messages that
 * the client knows, as of the context's counter; its changes are told behind those of the mailbox, but for the numbers
 * that EXPUNGE takes away.  Cost: the search over what has changed since, by the account's log, and the ranges of
 * the result; both yield. */
#include "context.h"

#include "base/mem.h"
#include "fetch.h"
#include "search.h"
#include "notify.h"

#define TOO_MANY "The result is in too many pieces to be followed"

struct context {
	struct list link;
	char *tag, *text, *atts;
	bool uid;
	struct store_range *r; /* what is found: UIDs */
	size_t n;
	uint64_t modseq;  /* of the mailbox, as of this */
	uint32_t uidnext; /* messages from here on have not been looked at */
};

/* The cursor, in the arena. */
struct updating {
	struct list *at;
	enum { UPDATE_BEGINS, UPDATE_SEARCHES, UPDATE_FETCHES, UPDATE_TELLS } stage;
	struct imap_set changed; /* messages that are looked at */
	uint64_t modseq;
	uint32_t uidnext;
	struct imap_set added, removed;
};

static void
context_free(struct context *c)
{
	list_remove(&c->link);
	metric_add(M_CONTEXTS, -1);
	mem_release(c->tag);
	mem_release(c->text);
	mem_release(c->atts);
	mem_release(c->r);
	mem_release(c);
}

void
contexts_free(struct view *v)
{
	struct context *c;

	list_each(c, &v->contexts, struct context, link) context_free(c);
}

static struct context *
context_find(const struct session *s, struct slice tag)
{
	struct context *c;

	list_each(c, &s->view->contexts, struct context, link)
	{
		if (slice_eq(slice_str(c->tag), tag))
			return c;
	}
	return NULL;
}

bool
context_has(const struct session *s, struct slice tag)
{
	return context_find(s, tag);
}

void
context_refuse(struct session *s, struct slice tag, const char *why)
{
	struct buf *b = session_out(s);

	buf_lit(b, "* NO [NOUPDATE ");
	imap_write_string(b, tag);
	buf_printf(b, "] %s\r\n", why);
}

/* Ends one that cannot be followed any more. */
static void
context_end(struct session *s, struct context *c, const char *why)
{
	context_refuse(s, slice_str(c->tag), why);
	context_free(c);
}

/* ---- sets ----------------------------------------------------------------------------------------- */

static struct imap_set
set_of(struct session *s, const struct store_range *r, size_t n)
{
	struct imap_set set = { 0 };

	for (size_t i = 0; i < n; i++)
		imap_set_add(&set, &s->imap.arena, r[i].first, r[i].last);
	return set;
}

/* `a` in two: what is not in `b`, and what is. */
static void
set_split(struct session *s, const struct imap_set *a, const struct imap_set *b,
    struct imap_set *without, struct imap_set *with)
{
	struct buf out = { 0 }, in = { 0 };

	store_uids_split((const void *)a->r, a->n, (const void *)b->r, b->n, &out, &in);
	*without = set_of(s, (const void *)out.p, out.n / sizeof(struct store_range));
	*with = set_of(s, (const void *)in.p, in.n / sizeof(struct store_range));
	buf_fini(&out);
	buf_fini(&in);
}

static struct imap_set
context_set(struct session *s, const struct context *c)
{
	return set_of(s, c->r, c->n);
}

static size_t
contexts_ranges(const struct view *v, const struct context *but)
{
	struct context *c;
	size_t n = 0;

	list_each(c, &v->contexts, struct context, link) n += c != but ? c->n : 0;
	return n;
}

/* False: there are too many ranges to be kept. */
static bool
context_keep(struct session *s, struct context *c, const struct imap_set *uids)
{
	if (uids->n > CONTEXT_RANGES || contexts_ranges(s->view, c) + uids->n > CONTEXT_ALL)
		return false;
	c->r = mem_grow(c->r, uids->n + 1, sizeof(*c->r));
	c->n = uids->n;
	for (size_t i = 0; i < uids->n; i++)
		c->r[i] = (struct store_range){ uids->r[i].lo, uids->r[i].hi };
	return true;
}

/* ---- begin ---------------------------------------------------------------------------------------- */

static const char *
context_cannot(const struct session *s, const struct searching *q)
{
	size_t n = 0;

	for (const struct list *l = s->view->contexts.next; l != &s->view->contexts; l = l->next)
		n++;
	return n == CONTEXT_MOST             ? "Too many searches are followed" :
	    q->q.seqs || q->q.saved          ? "A set that changes its meaning cannot be followed" :
	    q->text.n > CONTEXT_TEXT         ? "The search is too long to be followed" :
	    q->q.update_atts.n > NOTIFY_ATTS ? "There are too many data items" :
	    q->unreadable                    ? "Some messages cannot be read" :
					       NULL;
}

void
context_open(struct session *s, struct searching *q)
{
	const char *why = context_cannot(s, q);
	struct imap_set uids = q->found;
	struct context *c;

	if (why) {
		context_refuse(s, s->imap.tag, why);
		return;
	}
	if (!q->by_uid)
		(void)view_uids(s->view, &uids, false, &q->arena);
	c = mem_new(sizeof(*c));
	list_push(&s->view->contexts, &c->link);
	metric_add(M_CONTEXTS, 1);
	c->tag = mem_strn(s->imap.tag.p, s->imap.tag.n);
	c->text = mem_strn(q->text.p, q->text.n);
	c->uid = s->imap.uid;
	c->modseq = q->since;
	c->uidnext = q->uidnext;
	if (q->q.update_atts.p)
		c->atts = mem_strn(q->q.update_atts.p, q->q.update_atts.n);
	if (!context_keep(s, c, &uids))
		context_end(s, c, TOO_MANY);
}

/* CANCELUPDATE "tag" ...							RFC 5267 4.3.5 */
enum imap_next
cmd_cancelupdate(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);
	struct slice *tags = arena_array(&imap->arena, CONTEXT_MOST, sizeof(*tags));
	size_t n = 0;

	do {
		if (n == CONTEXT_MOST)
			return imap_server_bad(imap, "Too many tags");
		if (!imap_space(in) || !imap_string(in, &tags[n++]))
			return imap_server_syntax(imap, in);
	} while (imap_next_is(in, ' '));
	if (!imap_end(in))
		return imap_server_syntax(imap, in);
	for (size_t i = 0; i < n; i++)
		if (!context_has(s, tags[i]))
			return imap_server_no(imap, NULL, "No search with this tag is followed");
	for (size_t i = 0; i < n; i++) {
		struct context *c = context_find(s, tags[i]);

		if (c) /* a tag may stand there twice */
			context_free(c);
	}
	return imap_server_finish(imap, "OK", "CANCELUPDATE completed");
}

/* ---- telling -------------------------------------------------------------------------------------- */

/* "* ESEARCH (TAG "a") UID ADDTO (0 7:9)": position 0 is the order of the mailbox (RFC 5267 4.3.3).  A set of as
 * many ranges as a context has at most, so that the line is bounded. */
static void
context_tell(struct session *s, const struct context *c, const char *what,
    const struct imap_set *uids)
{
	struct buf *b = session_out(s);
	struct imap_set set = *uids;

	if (set.n == 0)
		return;
	if (!c->uid) {
		set = (struct imap_set){ 0 };
		for (size_t i = 0; i < uids->n; i++) {
			struct store_range r = { uids->r[i].lo, uids->r[i].hi };

			view_add_seqs(s->view, &r, &set, &s->imap.arena);
		}
	}
	buf_lit(b, "* ESEARCH (TAG ");
	imap_write_string(b, slice_str(c->tag));
	buf_printf(b, ")%s %s (0 ", c->uid ? " UID" : "", what);
	imap_set_write(b, &set);
	buf_lit(b, ")\r\n");
}

/* What is gone leaves the result. */
static void
context_leaves(struct session *s, struct context *c, const struct imap_set *gone, bool tell)
{
	struct imap_set all = context_set(s, c), left, went;

	set_split(s, &all, gone, &left, &went);
	if (went.n == 0)
		return;
	if (tell)
		context_tell(s, c, "REMOVEFROM", &went);
	if (!context_keep(s, c, &left))
		context_end(s, c, TOO_MANY);
}

void
contexts_expunge(struct session *s, const struct store_range *gone, size_t n)
{
	struct imap_set set = { 0 };
	struct context *c;

	if (list_empty(&s->view->contexts))
		return;
	set = set_of(s, gone, n);
	list_each(c, &s->view->contexts, struct context, link)
	{
		if (!c->uid)
			context_leaves(s, c, &set, true);
	}
}

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
	if (store_begin(session_reader(s)) < 0)
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
		u->changed =
		    set_of(s, (const void *)changed.p, changed.n / sizeof(struct store_range));
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

	if (store_begin(session_reader(s)) < 0)
		return true;
	same = store_get_mailbox(session_reader(s), s->view->mailbox, &m) < 0 ||
	    (m.highestmodseq == c->modseq && s->view->uidnext == c->uidnext);
	store_end(session_reader(s));
	return same;
}

/* Readies the search over what has changed. */
static bool
update_search(struct session *s, struct updating *u, const struct context *c)
{
	struct imap_in in = { .s = slice_str(c->text), .arena = &s->imap.arena }, own;
	struct searching *q = search_new(s, &in, &own);

	q->by_uid = true;
	q->quiet = true;
	q->q = (struct imap_search){ 0 };
	if (!imap_search_parse(&own, match_words, match_nwords, &q->q))
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

	if (uids->n == 0 || store_begin(session_reader(s)) < 0)
		return;
	if (store_get_mailbox(session_reader(s), s->view->mailbox, &m) == 0)
		store_uid_runs(session_reader(s), &m, &runs);
	store_end(session_reader(s));
	now = set_of(s, (const void *)runs.p, runs.n / sizeof(struct store_range));
	buf_fini(&runs);
	set_split(s, uids, &now, &gone, uids);
}

/* The search has found of u->changed what belongs to the result. */
static void
update_compare(struct session *s, struct updating *u, const struct context *c,
    const struct imap_set *found)
{
	struct imap_set all = context_set(s, c), both, none;

	set_split(s, found, &all, &u->added, &both);
	set_split(s, &u->changed, found, &none, &both);
	set_split(s, &none, &all, &both, &u->removed);
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
	set_split(s, &u->added, &new, &rest, &f->uids);
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

	context_tell(s, c, "REMOVEFROM", &u->removed);
	context_tell(s, c, "ADDTO", &u->added);
	set_split(s, &all, &u->removed, &left, &went);
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
	set_split(s, &all, &there, &went, &left);
	if (went.n == 0)
		return true;
	context_tell(s, c, "REMOVEFROM", &went);
	return context_keep(s, c, &left) || (context_end(s, c, TOO_MANY), false);
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
	u->stage = update_fetch(s, u, c) ? UPDATE_FETCHES : UPDATE_TELLS;
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
	case UPDATE_FETCHES: return update_items(s, u);
	case UPDATE_TELLS: break;
	}
	if (!update_tell(s, u, c))
		context_end(s, c, TOO_MANY);
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
		if (session_out(s)->n >= STREAM_HIGH && behind != &s->view->contexts)
			return IMAP_FULL;
	}
	s->updating = NULL;
	return IMAP_NEXT;
}

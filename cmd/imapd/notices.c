/* imapd/notices.c: telling what nobody has asked for just now: in IDLE (RFC 2177), and with NOTIFY (RFC 5465 5) at any
 * time between two commands.
 *
 * Owns: nothing; a cursor over what there is to tell, in the command's arena: news of the selected mailbox, the new
 * messages' data items, names, then STATUS of others.  Called by the events of watch.c and idle.c, and behind each
 * command.  Can fail: the log of an account may not reach back, which is told as an overflow.  Must stay true: what is
 * told moves the session on in its accounts' logs, and what stops in the middle goes on there; rights are those of now.
 * Cost: the rows of the log since then, and for each mailbox in them a look at its record; in slices. */
#include "context.h"
#include "notify.h"

#include <errno.h>

#include "base/mem.h"
#include "fetch.h"
#include "metadata.h"

#define ROWS_TURN  1024 /* of the log, and */
#define BOXES_TURN 64   /* mailboxes in them, between two looks at room and time */

struct telling {
	enum {
		TELL_BEGINS,
		TELL_SELECTED,
		TELL_MESSAGES,
		TELL_ITEMS,
		TELL_CONTEXTS,
		TELL_NAMES,
		TELL_OTHERS,
		TELL_OVER
	} stage;
	bool synced; /* the selected mailbox has been told of */
	struct sync sync;
	struct list *at; /* of notify.watches */
	bool followed;   /* names: the tree of that account is as new as can be */
};

/* ---- the selected mailbox ------------------------------------------------------------------------ */

static enum imap_next
tell_begin(struct session *s, struct telling *t)
{
	struct notify *n = s->notify;
	int rc = n && (n->look || n->looking) ? watch_look(s, n) : 0;

	if (rc == -EAGAIN)
		return IMAP_YIELD;
	if (rc == -E2BIG) /* what cannot be read is looked for with the next event */
		notify_overflow(s, "Too many share their mailboxes");
	n = s->notify;
	t->stage = TELL_SELECTED;
	s->stale = false;
	t->sync.expunge = idle_is_on(s) || !n || !n->delayed;
	t->sync.uid = s->notify;
	t->sync.arrivals = n && !(n->selected & IMAP_NOTIFY_FLAGS);
	if (!n)
		return IMAP_NEXT;
	n->due = false;
	return IMAP_NEXT;
}

static enum imap_next
tell_selected(struct session *s, struct telling *t)
{
	enum imap_next next = IMAP_NEXT;

	t->synced = s->view && (s->notify ? s->notify->selected > 0 : idle_is_on(s));
	if (t->synced)
		next = view_sync(s, &t->sync);
	if (next == IMAP_NEXT && idle_is_on(s) && !notify_has_metadata(s))
		next = metadata_news(s);
	if (next == IMAP_NEXT)
		t->stage = TELL_MESSAGES;
	return next;
}

/* RFC 5465 5.2: "followed by an unsolicited FETCH response"; not of what came from this session. */
static enum imap_next
tell_messages(struct session *s, struct telling *t)
{
	struct view *v = s->view;
	struct imap_in in = { .arena = &s->imap.arena };
	struct fetch *f;
	uint32_t from = v ? v->untold : 0;

	t->stage = TELL_CONTEXTS;
	if (!from || !s->notify || !s->notify->atts)
		return IMAP_NEXT;
	v->untold = 0;
	f = arena_new(&s->imap.arena, sizeof(*f));
	fetch_init(f);
	in.s = slice_str(arena_str(&s->imap.arena, s->notify->atts));
	if (!imap_fetch_parse(&in, fetch_items, fetch_nitems, FETCH_MODSEQ, &f->want))
		return IMAP_NEXT; /* it has been parsed before */
	view_not_brought(v, from, &f->uids, &s->imap.arena);
	fetch_unasked(s, f);
	t->stage = TELL_ITEMS;
	return IMAP_NEXT;
}

static enum imap_next
tell_items(struct session *s, struct telling *t)
{
	enum imap_next next = fetch_step(&s->imap);

	if (next != IMAP_NEXT)
		return next;
	s->imap.undo(&s->imap);
	s->imap.undo = NULL;
	s->imap.data = NULL;
	t->stage = TELL_CONTEXTS;
	return IMAP_NEXT;
}

/* Behind EXISTS and FETCH: RFC 5465 5.1, 5.2, 7. */
static enum imap_next
tell_contexts(struct session *s, struct telling *t)
{
	enum imap_next next = t->synced ? contexts_more(s) : IMAP_NEXT;

	if (next == IMAP_NEXT)
		t->stage = TELL_NAMES;
	return next;
}

/* ---- STATUS ------------------------------------------------------------------------------------- */

/* What has happened in a mailbox. */
struct heard {
	uint64_t mailbox;
	unsigned events;
};

/* RFC 5465 5.1, 5.2, 5.3 */
static unsigned
heard_items(const struct session *s, unsigned events)
{
	unsigned items = 0;

	if (events & (IMAP_NOTIFY_NEW | IMAP_NOTIFY_GONE))
		items |= IMAP_STATUS_BIT(STATUS_MESSAGES) | IMAP_STATUS_BIT(STATUS_UIDNEXT);
	if (events & IMAP_NOTIFY_FLAGS)
		items |= IMAP_STATUS_BIT(STATUS_UIDVALIDITY) | IMAP_STATUS_BIT(STATUS_UNSEEN);
	if (s->condstore)
		items |= IMAP_STATUS_BIT(STATUS_HIGHESTMODSEQ);
	return items;
}

static void
tell_status(struct session *s, const struct watching *w, const struct heard *h)
{
	struct store_view *v = w->account->home->view;
	struct store_mailbox m;
	struct slice name;
	unsigned events;

	/* Of the selected one SELECTED alone speaks (3.1). */
	if ((s->view && s->view->mailbox == h->mailbox) || store_get_mailbox(v, h->mailbox, &m) < 0)
		return;
	if (w->own && place_is_shared(m.name))
		return; /* cannot be reached by this name */
	name = watch_name(s, w, m.name);
	events = notify_wants(s, name, w->own) & h->events;
	if (!events)
		return;
	if (!w->own && (~watch_rights(w, &m) & (STORE_R_LOOKUP | STORE_R_READ)))
		return; /* RFC 5465 3.1 */
	if (status_write(s, v, name, h->mailbox, heard_items(s, events)) == 0)
		metric_add(M_NOTIFIED, 1);
}

/* ---- names --------------------------------------------------------------------------------------- */

/* A mailbox of the account by its name there.  False: it is not there, or not to be looked at. */
static bool
folder_now(const struct watching *w, struct slice folder, struct store_mailbox *m)
{
	struct store_view *v = w->account->home->view;
	uint64_t id;

	return store_find_mailbox(v, w->account->account, folder, &id) == 0 &&
	    store_get_mailbox(v, id, m) == 0 && watch_rights(w, m) & STORE_R_LOOKUP;
}

/* "* LIST (...) "/" name", as it is now.						RFC 5465 5.4 */
static void
tell_list(struct session *s, const struct watching *w, struct slice folder, const char *old,
    bool subscription)
{
	struct buf *b = session_out(s);
	struct slice name = watch_name(s, w, folder);
	struct store_mailbox m;
	bool guest = subscription && place_is_shared(folder), there;
	const char *gap = "";

	/* A subscription to somebody else's says nothing about whether that is there. */
	there = !guest && folder_now(w, folder, &m);
	buf_lit(b, "* LIST (");
	if (!there && !guest) {
		buf_lit(b, "\\NonExistent");
		gap = " ";
	} else if (there) {
		enum place_children children = watch_children(w, folder);

		if (m.attrs & STORE_NOSELECT) {
			buf_lit(b, "\\Noselect");
			gap = " ";
		}
		if (children != PLACE_UNKNOWN) {
			buf_str(b, gap);
			buf_str(b,
			    children == PLACE_CHILDREN ? "\\HasChildren" : "\\HasNoChildren");
			gap = " ";
		}
	}
	if (subscription && store_subscribed(session_own(s), s->user->id, name)) {
		buf_str(b, gap);
		buf_lit(b, "\\Subscribed");
	}
	buf_lit(b, ") \"/\" ");
	session_write_mailbox(s, name);
	if (old) {
		buf_lit(b, " (\"OLDNAME\" (");
		session_write_mailbox(s, watch_name(s, w, slice_str(old)));
		buf_lit(b, "))");
	}
	buf_lit(b, "\r\n");
	metric_add(M_NOTIFIED, 1);
}

static bool
wants_name(struct session *s, const struct watching *w, struct slice folder)
{
	return notify_wants(s, watch_name(s, w, folder), w->own) & IMAP_NOTIFY_NAMES;
}

/* What is made or deleted, and what is right above it: "are considered to be affected". */
static void
tell_affected(struct session *s, const struct watching *w, struct slice folder)
{
	struct slice up = slice(folder.p, slice_rfind(folder, STORE_SEPARATOR));
	struct store_mailbox m;

	if (wants_name(s, w, folder))
		tell_list(s, w, folder, NULL, false);
	if (up.n < folder.n && wants_name(s, w, up) && (w->own || folder_now(w, up, &m)))
		tell_list(s, w, up, NULL, false);
}

static void
tell_renamed(struct session *s, const struct watching *w, const struct notify_change *c)
{
	struct slice name = slice_str(c->name);

	if (wants_name(s, w, name) || wants_name(s, w, slice_str(c->old)))
		tell_list(s, w, name, c->old, false);
}

/* Of somebody else: what comes into sight, what goes, and nothing else. */
void
notices_guest(struct session *s, struct watching *w, const struct notify_change *c)
{
	struct slice name = slice_str(c->name);
	struct store_mailbox m;
	bool now = c->kind != NOTIFY_GONE && folder_now(w, name, &m) && m.id == c->mailbox;
	bool before = watch_sees(w, c->mailbox, now);

	if (now && before && c->kind == NOTIFY_RENAMED)
		tell_renamed(s, w, c);
	else if (now != before)
		tell_affected(s, w, c->kind == NOTIFY_RENAMED && before ? slice_str(c->old) : name);
	else if (now && c->attributes)
		tell_affected(s, w, name);
}

static void
tell_change(struct session *s, struct watching *w, const struct notify_change *c)
{
	struct slice name = slice_str(c->name);
	struct store_mailbox m;

	if (notify_did_it(s, c->kind, w->own ? name : watch_name(s, w, name), c->modseq)) {
		if (!w->own)
			(void)watch_sees(w, c->mailbox,
			    c->kind != NOTIFY_GONE && folder_now(w, name, &m));
		return;
	}
	if (c->kind == NOTIFY_SUBSCRIBED) {
		if (w->own &&
		    notify_wants(s, name, !place_is_shared(name)) & IMAP_NOTIFY_SUBSCRIPTIONS)
			tell_list(s, w, name, NULL, true);
	} else if (!w->own)
		notices_guest(s, w, c);
	else if (c->kind == NOTIFY_RENAMED)
		tell_renamed(s, w, c);
	else if (c->kind == NOTIFY_GONE ? !folder_now(w, name, &m) :
					  c->kind == NOTIFY_MADE || c->attributes)
		tell_affected(s, w,
		    name); /* what is gone and there again is told when it was made */
}

/* A mailbox that has come into sight with its account: also what it had by then, of which the log says nothing to
 * this session. */
static void
tell_fresh_one(struct session *s, const struct watching *w, struct slice folder)
{
	struct store_mailbox m;

	if (!folder_now(w, folder, &m))
		return;
	if (wants_name(s, w, folder))
		tell_list(s, w, folder, NULL, false);
	if (m.exists > 0 && m.highestmodseq <= w->modseq)
		tell_status(s, w, &(struct heard){ m.id, IMAP_NOTIFY_NEW });
}

/* All of an account that has come into sight with it. */
static enum imap_next
tell_fresh(struct session *s, struct watching *w)
{

	for (; w->fresh > 0 && s->notify->any & IMAP_NOTIFY_NAMES; w->fresh--) {
		const char *name = w->fresh <= w->nseen ?
		    tree_name(w->account->tree, w->seen[w->fresh - 1]) :
		    NULL;

		if (session_out(s)->n >= STREAM_HIGH)
			return IMAP_FULL;
		if (line_session_spent(&s->imap.line))
			return IMAP_YIELD;
		if (name)
			tell_fresh_one(s, w, slice_str(name));
	}
	w->fresh = 0;
	return IMAP_NEXT;
}

/* What the journal has behind w->named. */
static enum imap_next
tell_journal(struct session *s, struct watching *w)
{
	const struct notify_tree *t = w->account->tree;

	for (size_t i = 0; i < t->njournal; i++) {
		const struct notify_change *c = &t->journal[i];

		if (c->modseq <= w->named)
			continue;
		tell_change(s, w, c);
		if (i + 1 < t->njournal && t->journal[i + 1].modseq == c->modseq)
			continue;
		w->named = c->modseq;
		if (session_out(s)->n >= STREAM_HIGH)
			return IMAP_FULL;
		if (line_session_spent(&s->imap.line))
			return IMAP_YIELD;
	}
	w->named = t->modseq;
	return IMAP_NEXT;
}

/* The names of one account, inside the snapshots.  False: its log does not reach back. */
static bool
tell_account_names(struct session *s, struct telling *t, struct watching *w, enum imap_next *next)
{
	struct store_account a;
	int rc = store_find_account(w->account->home->view, slice_str(w->account->name), &a);

	*next = IMAP_NEXT;
	if (rc < 0 || w->nameless)
		return true; /* it can be read another time, or never */
	rc = t->followed ? 0 : tree_follow(w->account, &a);
	if (rc == -EAGAIN)
		*next = IMAP_YIELD;
	else if (rc == -E2BIG && !w->own)
		watch_nameless(w);
	if (rc == -EAGAIN || w->nameless)
		return true;
	t->followed = true;
	if (rc < 0 || w->named < w->account->tree->from)
		return false;
	*next = tell_fresh(s, w);
	if (*next == IMAP_NEXT)
		*next = notices_regrouped(s, w);
	if (*next == IMAP_NEXT)
		*next = tell_journal(s, w);
	return true;
}

/* ---- messages of other mailboxes --------------------------------------------------------------------- */

/* Has the session itself brought all of what came?			RFC 5465 5: "SHOULD omit" */
static bool
own_arrivals(const struct session *s, const struct store_change_walk *c)
{
	for (size_t i = 0; i < c->count; i++) {
		struct store_range r = store_change_range(c, i);
		size_t k = 0;

		while (k < NOTIFY_OWN &&
		    (s->notify->own[k].mailbox != c->mailbox || s->notify->own[k].first > r.first ||
			s->notify->own[k].last < r.last))
			k++;
		if (k == NOTIFY_OWN)
			return false;
	}
	return true;
}

static unsigned
row_events(const struct session *s, const struct store_change_walk *c)
{
	if (c->kind == STORE_CHANGE_NEW)
		return own_arrivals(s, c) ? 0 : IMAP_NOTIFY_NEW;
	return c->kind == STORE_CHANGE_FLAGS ? IMAP_NOTIFY_FLAGS :
	    c->kind == STORE_CHANGE_GONE     ? IMAP_NOTIFY_GONE :
					       0;
}

/* Reads on in the log; w->modseq moves on.  How many mailboxes; *more: they are not all. */
static size_t
hear(struct session *s, struct watching *w, const struct store_account *a, struct heard *h,
    bool *more)
{
	struct store_change_walk c = { .account = w->account->account,
		.since = w->modseq,
		.has_newest = true,
		.newest = a->news };
	size_t n = 0;

	*more = false;
	for (size_t rows = 0; store_change_next(w->account->home->view, &c); rows++) {
		unsigned events = row_events(s, &c);
		size_t i = 0;

		if (rows >= ROWS_TURN && c.modseq > w->modseq) {
			*more = true;
			return n;
		}
		while (events && i < n && h[i].mailbox != c.mailbox)
			i++;
		if (events && i == BOXES_TURN) {
			*more = true;
			return n;
		}
		if (events && i == n)
			h[n++] = (struct heard){ .mailbox = c.mailbox };
		if (events)
			h[i].events |= events;
		w->modseq = c.modseq;
	}
	w->modseq = a->modseq;
	return n;
}

/* The messages of one account, inside the snapshots.  False: its log does not reach back. */
static bool
tell_account(struct session *s, struct watching *w, enum imap_next *next)
{
	struct heard h[BOXES_TURN];
	struct store_account a;
	bool more = false;
	size_t n;

	*next = IMAP_NEXT;
	if (store_find_account(w->account->home->view, slice_str(w->account->name), &a) < 0 ||
	    a.modseq == w->modseq)
		return true;
	if (w->modseq < a.changes_from || w->modseq < a.vanished_from)
		return false;
	n = hear(s, w, &a, h, &more);
	for (size_t i = 0; i < n; i++)
		tell_status(s, w, &h[i]);
	if (more)
		*next = session_out(s)->n >= STREAM_HIGH ? IMAP_FULL : IMAP_YIELD;
	return true;
}

/* ---- the cursor ------------------------------------------------------------------------------------- */

/* Goes through the accounts once: for names, or for messages. */
static enum imap_next
tell_accounts(struct session *s, struct telling *t, bool names)
{
	const unsigned wants = names ? IMAP_NOTIFY_NAMES | IMAP_NOTIFY_SUBSCRIPTIONS : ~0u;
	struct notify *n = s->notify;

	if (!t->at)
		t->at = n->watches.next;
	while (n->any & wants && t->at != &n->watches) {
		struct watching *w = CONTAINER(t->at, struct watching, link);
		enum imap_next next = IMAP_NEXT;
		bool reaches;

		if (watch_begin(s, w) < 0)
			break; /* logged; the next event will tell */
		if (names)
			reaches = tell_account_names(s, t, w, &next);
		else
			reaches = tell_account(s, w, &next);
		if (!names && reaches && next == IMAP_NEXT && notify_has_metadata(s))
			next = notices_metadata(s, w);
		watch_finish(s, w);
		if (!reaches) {
			notify_overflow(s, "More has happened than is remembered");
			t->stage = TELL_OVER;
			return IMAP_NEXT;
		}
		if (next != IMAP_NEXT)
			return next;
		t->at = t->at->next;
		t->followed = false;
		if (session_out(s)->n >= STREAM_HIGH)
			return IMAP_FULL;
	}
	t->at = NULL;
	t->stage = names ? TELL_OTHERS : TELL_OVER;
	return IMAP_NEXT;
}

static enum imap_next
tell_step(struct session *s, struct telling *t)
{
	switch (t->stage) {
	case TELL_BEGINS: return tell_begin(s, t);
	case TELL_SELECTED: return tell_selected(s, t);
	case TELL_MESSAGES: return tell_messages(s, t);
	case TELL_ITEMS: return tell_items(s, t);
	case TELL_CONTEXTS: return tell_contexts(s, t);
	case TELL_NAMES:
	case TELL_OTHERS:
		if (s->notify)
			return tell_accounts(s, t, t->stage == TELL_NAMES);
		t->stage = TELL_OVER;
		break;
	case TELL_OVER: break;
	}
	return IMAP_NEXT;
}

static bool
notices_left(const struct session *s)
{
	const struct notify *n = s->notify;

	if (idle_is_on(s) && s->stale)
		return true;
	return n &&
	    (n->due || n->look || n->looking ||
		(n->selected && s->view && (s->stale || (n->atts && s->view->untold))));
}

enum imap_next
notices_more(struct imap_server *imap)
{
	struct session *s = session_of(imap);
	struct telling *t = s->telling;

	if (!t)
		t = s->telling = arena_new(&imap->arena, sizeof(*t));
	while (t->stage != TELL_OVER) {
		enum imap_next next = tell_step(s, t);

		if (next != IMAP_NEXT)
			return next;
	}
	s->telling = NULL;
	arena_reset(&imap->arena);
	return notices_left(s) ? IMAP_PULL : IMAP_MORE;
}

void
notices_between(struct imap_server *imap)
{
	struct session *s = session_of(imap);

	if (s->notify && notices_left(s))
		(void)imap_server_interject(imap, notices_more);
}

void
notices_due(struct session *s)
{
	if (!idle_is_on(s)) {
		if (s->notify)
			(void)imap_server_interject(&s->imap, notices_more);
	} else if (!s->imap.more && s->imap.cmd && s->imap.cmd->run == cmd_idle) {
		s->imap.more = notices_more;
		line_session_wake(&s->imap.line);
	}
}

/* imapd/metadata-news.c: what others have set is told, RFC 5464 4.4.2.
 *
 * Owns: imapd.annotated, the sessions that have said ENABLE METADATA.  Called by stored's events, before a
 * tagged answer and in IDLE, and by NOTIFY (notices-metadata.c), which tells the same of more accounts.  Can fail: the
 * snapshot; then it is told the next time.  Must stay true: nobody is told of what he may not read, nor of what this
 * session has set itself; a session is woken for its own account, and for the mailbox of somebody else that it has
 * selected; a walk that stops and goes on in other snapshots tells what was there in its first, each once, and what has
 * been set meanwhile is for the walk behind it.  Costs a walk over the annotations of an account
 * (STORE_ANNOT_ACCOUNT), without their values, once for any number of changes; it stops between mailboxes. */
#include "metadata.h"

void
metadata_watch(struct session *s)
{
	if (!list_empty(&s->annots_link))
		return;
	list_push(&imapd.annotated, &s->annots_link);
}

void
metadata_unwatch(struct session *s)
{
	list_remove(&s->annots_link);
	memset(s->annots, 0, sizeof(s->annots));
}

static void
metadata_due(struct session *s, struct session_annots *n, const struct store_event *ev)
{
	if (ev->modseq <= n->news.told || (ev->modseq == n->own && ev->mailbox == n->own_mailbox))
		return;
	if (!n->news.told)
		n->news.told = ev->modseq - 1;
	n->news.due = true;
	idle_wake(s);
}

void
metadata_event(const struct store_event *ev)
{
	struct session *s;

	list_each(s, &imapd.annotated, struct session, annots_link)
	{
		if (s->user->id == ev->account)
			metadata_due(s, &s->annots[0], ev);
		else if (s->view && s->view->owner && s->view->account == ev->account &&
		    s->view->mailbox == ev->mailbox) {
			if (s->annots[1].mailbox != ev->mailbox) /* of another account, perhaps */
				s->annots[1].news = (struct annots_news){ 0 };
			s->annots[1].mailbox = ev->mailbox;
			metadata_due(s, &s->annots[1], ev);
		}
	}
}

/* ---- a walk ------------------------------------------------------------------------------------ */

/* Goes on with one, or begins it.  False: there is nothing to be told. */
static bool
annots_begin(struct annots_news *n, struct store_view *v, struct slice account,
    struct store_annot_walk *walk)
{
	struct store_account a;

	if (!n->until && !n->due)
		return false;
	if (store_find_account(v, account, &a) < 0)
		return false;
	if (!n->until) {
		n->due = false; /* what is set from now on is for another walk */
		n->until = a.modseq;
		n->from = 0;
	}
	store_annot_walk_account(walk, a.id, n->from);
	walk->heads = true;
	return true;
}

static bool
annots_is_new(const struct session *s, const struct annots_news *n, const struct store_annot *a)
{
	const struct session_annots *own = s->annots;

	if (a->modseq <= n->told || a->modseq > n->until || store_annot_is_secret(a->name) ||
	    (a->login.n && !slice_eq(a->login, slice_str(s->user->account))))
		return false;
	return !(a->modseq == own[0].own && a->mailbox == own[0].own_mailbox) &&
	    !(a->modseq == own[1].own && a->mailbox == own[1].own_mailbox);
}

/* "* METADATA name", if the mailbox has one that is told. */
static bool
annots_open(struct session *s, uint64_t mailbox, annots_name_fn *name_of, void *arg)
{
	struct slice name = S("");

	if (!name_of(s, arg, mailbox, &name))
		return false;
	buf_lit(session_out(s), "* METADATA ");
	session_write_mailbox(s, name);
	return true;
}

enum imap_next
annots_tell(struct session *s, struct annots_news *n, struct store_view *v, struct slice account,
    annots_name_fn *name_of, void *arg)
{
	struct buf *b = session_out(s);
	struct store_annot_walk walk;
	uint64_t at = UINT64_MAX;
	struct store_annot a;
	bool open = false;

	if (!annots_begin(n, v, account, &walk))
		return IMAP_NEXT;
	while (store_annot_next(v, &walk, &a)) {
		if (!annots_is_new(s, n, &a))
			continue;
		if (a.mailbox != at) {
			bool first = at == UINT64_MAX;

			if (open)
				buf_lit(b, "\r\n");
			at = n->from = a.mailbox;
			if (b->n >= STREAM_HIGH)
				return IMAP_FULL;
			if (!first && line_session_spent(&s->imap.line))
				return IMAP_YIELD;
			open = annots_open(s, a.mailbox, name_of, arg);
		}
		if (open) {
			buf_char(b, ' ');
			imap_entry_write(b, !a.login.n, a.name);
		}
	}
	if (open)
		buf_lit(b, "\r\n");
	n->told = n->until;
	n->until = 0;
	return IMAP_NEXT;
}

/* ---- to who has said ENABLE METADATA ------------------------------------------------------------ */

/* Of one's own account; no name is the server's. */
static bool
own_name(struct session *s, void *arg, uint64_t mailbox, struct slice *name)
{
	struct store_mailbox m;

	(void)arg;
	if (!mailbox)
		return true;
	if (store_get_mailbox(session_own(s), mailbox, &m) < 0)
		return false;
	*name = m.name;
	return true;
}

/* Of the selected mailbox of somebody else, while it may be looked at. */
static bool
guest_name(struct session *s, void *arg, uint64_t mailbox, struct slice *name)
{
	struct store_view *v = session_reader(s);
	struct store_mailbox m;
	struct buf b = { 0 };

	(void)arg;
	if (mailbox != s->view->mailbox || store_get_mailbox(v, mailbox, &m) < 0 ||
	    !metadata_may(store_rights(v, &m, session_person(s))))
		return false;
	place_prefix(s, m.account_name, &b);
	buf_slice(&b, m.name);
	*name = arena_slice(&s->imap.arena, buf_get(&b));
	buf_fini(&b);
	return true;
}

static enum imap_next
metadata_news_own(struct session *s)
{
	struct annots_news *n = &s->annots[0].news;
	enum imap_next next;

	if ((!n->due && !n->until) || store_begin(session_own(s)) < 0)
		return IMAP_NEXT;
	next = annots_tell(s, n, session_own(s), slice_str(s->user->account), own_name, NULL);
	store_end(session_own(s));
	return next;
}

static enum imap_next
metadata_news_guest(struct session *s)
{
	struct annots_news *n = &s->annots[1].news;
	enum imap_next next;

	if (!n->due && !n->until)
		return IMAP_NEXT;
	if (!s->view || !s->view->owner || s->view->mailbox != s->annots[1].mailbox) {
		*n = (struct annots_news){ 0 }; /* it is no longer selected */
		return IMAP_NEXT;
	}
	if (session_snapshot(s) < 0)
		return IMAP_NEXT;
	next = annots_tell(s, n, session_reader(s), slice_str(s->view->owner), guest_name, NULL);
	store_end(session_reader(s));
	return next;
}

enum imap_next
metadata_news(struct session *s)
{
	enum imap_next next;

	if (list_empty(&s->annots_link))
		return IMAP_NEXT;
	next = metadata_news_own(s);
	return next == IMAP_NEXT ? metadata_news_guest(s) : next;
}

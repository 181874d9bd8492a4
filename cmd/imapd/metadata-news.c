/* imapd/metadata-news.c: what others have set is told, RFC 5464 4.4.2.
 *
 * Owns: imapd.annotated, the sessions that have said ENABLE METADATA.  Called by stored's events, before a
 * tagged answer and in IDLE.  Can fail: the snapshot; then it is told the next time.  Must stay true: nobody
 * is told of what he may not read, nor of what this session has set itself; a session is woken for its own
 * account, and for the mailbox of somebody else that it has selected.  Costs a walk over the annotations of
 * an account (annot.h bounds them), once for any number of changes, and stops between mailboxes. */
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
	if (ev->modseq <= n->told || (ev->modseq == n->own && ev->mailbox == n->own_mailbox))
		return;
	if (!n->due) {
		n->due = true;
		n->since = ev->modseq - 1;
		n->from = 0;
		n->mailbox = ev->mailbox;
	} else if (ev->mailbox < n->from) /* telling has stopped behind it */
		n->from = ev->mailbox;
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
			if (s->annots[1].mailbox != ev->mailbox)
				s->annots[1].told = 0; /* of another account, perhaps */
			metadata_due(s, &s->annots[1], ev);
		}
	}
}

/* The name by which this user knows the mailbox; empty for the server.  False: it is gone. */
static bool
metadata_name(struct session *s, struct store_view *v, uint64_t mailbox, struct buf *name)
{
	struct store_mailbox m;

	buf_clear(name);
	if (!mailbox)
		return true;
	if (store_get_mailbox(v, mailbox, &m) < 0)
		return false;
	if (!slice_eq(m.account_name, slice_str(s->user->account)))
		place_prefix(s, m.account_name, name);
	buf_slice(name, m.name);
	return true;
}

/* "* METADATA name entry entry", for each mailbox of the walk.  IMAP_FULL: n->from is where it goes on. */
static enum imap_next
metadata_tell(struct session *s, struct session_annots *n, struct store_view *v,
    struct store_annot_walk *w)
{
	struct buf *b = session_out(s), name = { 0 };
	enum imap_next next = IMAP_NEXT;
	bool open = false, known = false, whole = n->from == 0;
	struct store_annot a;
	uint64_t seen = 0;

	while (next == IMAP_NEXT && store_annot_next(v, w, &a)) {
		seen = a.modseq > seen ? a.modseq : seen;
		if (a.modseq <= n->since || (a.modseq == n->own && a.mailbox == n->own_mailbox) ||
		    (a.login.n && !slice_eq(a.login, slice_str(s->user->account))))
			continue;
		if (!known || a.mailbox != n->from) {
			if (open)
				buf_lit(b, "\r\n");
			open = false;
			known = true;
			n->from = a.mailbox;
			if (b->n >= STREAM_HIGH)
				next = IMAP_FULL;
			else if (metadata_name(s, v, a.mailbox, &name)) {
				buf_lit(b, "* METADATA ");
				session_write_mailbox(s, buf_get(&name));
				open = true;
			}
		}
		if (open) {
			buf_char(b, ' ');
			imap_entry_write(b, !a.login.n, a.name);
		}
	}
	if (open)
		buf_lit(b, "\r\n");
	buf_fini(&name);
	n->due = next != IMAP_NEXT;
	if (!n->due && whole && seen > n->told) /* one snapshot had all of them */
		n->told = seen;
	return next;
}

static enum imap_next
metadata_news_own(struct session *s)
{
	struct store_annot_walk w;
	enum imap_next next;

	if (!s->annots[0].due || store_begin(session_own(s)) < 0)
		return IMAP_NEXT;
	store_annot_walk_account(&w, s->user->id, s->annots[0].from);
	next = metadata_tell(s, &s->annots[0], session_own(s), &w);
	store_end(session_own(s));
	return next;
}

/* Of the selected mailbox, when it is somebody else's and may still be looked at. */
static enum imap_next
metadata_news_guest(struct session *s)
{
	struct store_annot_walk w;
	struct store_mailbox m;
	enum imap_next next = IMAP_NEXT;

	if (!s->annots[1].due)
		return IMAP_NEXT;
	s->annots[1].due = false;
	if (!s->view || !s->view->owner || s->view->mailbox != s->annots[1].mailbox ||
	    store_begin(session_reader(s)) < 0)
		return IMAP_NEXT;
	if (store_get_mailbox(session_reader(s), s->view->mailbox, &m) == 0 &&
	    metadata_may(store_rights(session_reader(s), &m, slice_str(s->user->account)))) {
		store_annot_walk(&w, s->view->account, s->view->mailbox);
		next = metadata_tell(s, &s->annots[1], session_reader(s), &w);
	}
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

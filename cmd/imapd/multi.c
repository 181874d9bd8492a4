/* imapd/multi.c: ESEARCH: a search in several mailboxes, RFC 7377.
 *
 * A walk over the account's folders in the order of their names; each that is wanted is searched by search.c,
 * one at a time, through a view of its own (the selected one through the session's), and its answer told
 * before the next one begins.  Called by the command table.  Can fail: as SEARCH does, and where a mailbox is
 * damaged, which is told behind all answers.  What must stay true: what is told are UIDs, with the
 * mailbox and UIDVALIDITY they are of; a search owns its view, and both end with the command or the session.
 * Cost: the folders times the bytes of the names in the command, and the searches; all yield.  Memory: one
 * search.  The keys are parsed anew for each mailbox, as their sets and texts belong to one search. */
#include <errno.h>

#include "imap/sources.h"
#include "search.h"

struct multi {
	struct imap_sources from;
	bool in;           /* IN was given */
	struct slice rest; /* options and keys, in the command's text */
	struct store_folder at;
	char name[STORE_NAME_MAX]; /* of `at`, between two slices of time */
	bool unreadable;           /* messages, or a mailbox */
};

static enum imap_next multi_walk(struct imap_server *imap);

static void
multi_view_free(void *arg)
{
	struct view *v = arg;

	view_free(&v);
}

static bool
multi_parse(struct session *s, const struct multi *m, struct searching *q, struct imap_in *own)
{
	if (!imap_search_parse(own, match_words, match_nwords, &q->q))
		return false;
	if (!q->q.esearch)
		q->q.ret = IMAP_RETURN_ALL;
	q->q.esearch = true;
	q->by_uid = true;
	q->multi = true;
	if (q->q.charset && s->enabled & SESSION_UTF8)
		own->why = "CHARSET is not for UTF8=ACCEPT";
	/* RFC 7377 2.1: both are of the selected mailbox */
	else if (q->q.seqs && !imap_sources_selected_alone(&m->from))
		own->why = "Numbers are for the selected mailbox alone";
	else if (q->q.update)
		own->why = "UPDATE is for SEARCH";
	else if (q->q.ret & IMAP_RETURN_SAVE && !imap_sources_selected_alone(&m->from))
		own->why = "SAVE is for the selected mailbox alone";
	return !own->why;
}

/* The search is over; the walk has the command again. */
static void
multi_end(struct imap_server *imap, struct multi *m)
{
	imap->undo(imap);
	imap->undo = NULL;
	imap->data = m;
}

static enum imap_next
multi_more(struct imap_server *imap)
{
	struct session *s = session_of(imap);
	struct searching *q = imap->data;
	struct multi *m = q->owner;

	if (q->stage == SEARCH_LOOKS)
		switch (search_go(s, q)) {
		case SEARCH_WAITS: return IMAP_WAIT;
		case SEARCH_YIELDS: return IMAP_YIELD;
		case SEARCH_FAILED: return search_refuse(s, q);
		case SEARCH_DONE: break;
		}
	/* Of many mailboxes those are told in which something was found. */
	if ((q->found.n > 0 || !m->in) && !tell_esearch(s, q))
		return IMAP_FULL;
	m->unreadable = m->unreadable || q->unreadable;
	if (q->q.ret & IMAP_RETURN_SAVE && !q->unreadable && !search_save(s, q))
		return search_not_saved(s);
	multi_end(imap, m);
	return imap_server_pull(imap, multi_walk);
}

/* The mailbox of m->at.  Ends the snapshot. */
static enum imap_next
multi_begin(struct session *s, struct multi *m, struct view *v)
{
	struct imap_in in = { .s = m->rest }, own;
	struct searching *q = search_new(s, &in, &own);

	q->owner = m;
	q->view = v;
	if (v != s->view) {
		q->further = v;
		q->further_free = multi_view_free;
	}
	q->mailbox = arena_slice(&q->arena, m->at.name);
	store_end(session_reader(s));
	if (!multi_parse(s, m, q, &own)) /* it has been parsed before */
		return imap_server_syntax(&s->imap, &own);
	return search_begin(s, q, multi_more);
}

static bool
multi_wants(struct session *s, const struct multi *m)
{
	const struct store_folder *f = &m->at;

	if (f->attrs & STORE_NOSELECT)
		return false;
	return m->from.personal ||
	    (m->from.selected && s->view && f->mailbox == s->view->mailbox) ||
	    (m->from.inboxes && slice_eq(f->name, S("INBOX"))) ||
	    (m->from.subscribed && store_subscribed(session_reader(s), s->user->id, f->name)) ||
	    imap_sources_named(&m->from, f->name);
}

/* The view of m->at; NULL: it cannot be read.  One without a row is damaged too: this snapshot has its name. */
static struct view *
multi_view(struct session *s, struct multi *m)
{
	struct store_mailbox box;
	struct view *v;
	int rc;

	if (s->view && m->at.mailbox == s->view->mailbox)
		return s->view;
	rc = m->at.mailbox ? store_get_mailbox(session_reader(s), m->at.mailbox, &box) : -EBADMSG;
	if (rc < 0) {
		m->unreadable = true;
		return NULL;
	}
	view_open(session_reader(s), &box, true, &v);
	return v;
}

static enum imap_next
multi_over(struct imap_server *imap, const struct multi *m)
{
	if (m->unreadable)
		return imap_server_no(imap, "SERVERBUG", "Some messages cannot be read");
	return imap_server_finish(imap, "OK", "ESEARCH completed");
}

/* A cursor: to the next mailbox that is searched. */
static enum imap_next
multi_walk(struct imap_server *imap)
{
	struct session *s = session_of(imap);
	struct multi *m = imap->data;
	struct view *v = NULL;
	bool more = true;

	if (session_out(s)->n >= STREAM_HIGH)
		return IMAP_FULL;
	if (session_snapshot(s) < 0)
		return imap_server_no(imap, "UNAVAILABLE", "The mail store cannot be read");
	while (!v && !line_session_spent(&imap->line)) {
		more = store_next_folder(session_reader(s), &m->at);
		if (!more)
			break;
		if (multi_wants(s, m))
			v = multi_view(s, m);
	}
	if (more && m->at.name.n && m->at.name.p != m->name) { /* the name is the snapshot's */
		memcpy(m->name, m->at.name.p, m->at.name.n);
		m->at.name.p = m->name;
	}
	if (v)
		return multi_begin(s, m, v);
	store_end(session_reader(s));
	return more ? IMAP_YIELD : multi_over(imap, m);
}

/* ESEARCH [IN (source ...)] [RETURN (...)] [CHARSET x] key ...		RFC 7377 5 */
enum imap_next
cmd_esearch(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);
	struct multi *m = arena_new(&imap->arena, sizeof(*m));
	struct slice before = in->s;
	struct searching *q;
	struct imap_in own;
	enum imap_next answer = IMAP_NEXT;

	if (!imap_space(in))
		return imap_server_syntax(imap, in);
	m->in = imap_word(in, "IN");
	m->from.selected = true;
	if (!m->in)
		in->s = before;
	else if (!imap_space(in) || !imap_sources_parse(in, &m->from))
		return imap_server_syntax(imap, in);
	if (imap_sources_selected_alone(&m->from) && !s->view)
		return imap_server_bad(imap, "No mailbox is selected");
	if (s->view && s->view->owner) /* the walk is over one's own */
		return imap_server_no(imap, "CANNOT", "Not with somebody else's mailbox selected");
	m->rest = in->s;
	q = search_new(s, in, &own);
	if (!multi_parse(s, m, q, &own))
		return imap_server_syntax(imap, &own);
	if (search_refused(s, q, &answer))
		return answer;
	multi_end(imap, m);
	if (s->view)
		view_arrivals(s);
	m->at.account = s->user->id;
	return imap_server_pull(imap, multi_walk);
}

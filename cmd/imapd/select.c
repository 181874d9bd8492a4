/* imapd/select.c: SELECT, EXAMINE, CLOSE, UNSELECT: RFC 3501 6.3.1, 6.3.2, 6.4.2, RFC 3691,
 * RFC 7162 3.1.8 (CONDSTORE parameter), 3.2.5 (QRESYNC), 3.2.8, 3.2.11 (CLOSED), RFC 8474 4.2 (MAILBOXID).
 *
 * Owns: s->view's beginning and end.  Called by the command table.  Can fail: the mailbox is gone or
 * cannot be read, two answers.  Must stay true: what is said comes from one snapshot, and \Recent from
 * stored's answer.  A mailbox of any size costs its record, and the look for its first unseen
 * message from where that was last known. */
#include <errno.h>

#include "fetch.h"
#include "base/mem.h"
#include "imap/select.h"
#include "place.h"

/* Leaves the selected mailbox. */
static void
deselect(struct session *s)
{
	session_deselect(s);
	if (s->imap.state == IMAP_SELECTED)
		s->imap.state = IMAP_AUTH;
}

struct selecting {
	struct imap_select want;
	struct place place;
	bool readonly, examine;
};

static const char *
select_done(const struct selecting *sel)
{
	return !sel->readonly ? "[READ-WRITE] SELECT completed" :
	    sel->examine      ? "[READ-ONLY] EXAMINE completed" :
				"[READ-ONLY] SELECT completed";
}

/* What the mailbox has been through since the client knew it: VANISHED (EARLIER), then the messages that
 * have changed, in front of the tagged answer.				RFC 7162 3.2.5 */
static enum imap_next
select_resync(struct session *s, const struct selecting *sel)
{
	struct view *v = s->view;
	struct fetch *f = arena_new(&s->imap.arena, sizeof(*f));
	struct resync *r = arena_new(&s->imap.arena, sizeof(*r));
	uint64_t since = sel->want.modseq;

	if (sel->want.some)
		r->among = sel->want.known;
	else if (v->uidnext > 1)
		imap_set_add(&r->among, &s->imap.arena, 1, v->uidnext - 1);
	r->since = since;
	r->there = resync_there(v, &sel->want.seqs, &sel->want.uids);
	fetch_init(f);
	f->want.items =
	    IMAP_FETCH_BIT(FETCH_UID) | IMAP_FETCH_BIT(FETCH_FLAGS) | IMAP_FETCH_BIT(FETCH_MODSEQ);
	f->want.changedsince = true;
	f->want.since = since;
	f->until = v->modseq;
	f->uids = r->among;
	f->resync = r;
	f->answer = select_done(sel);
	return fetch_changed(s, f);
}

/* What IMAP4rev1 has and IMAP4rev2 not.					RFC 3501 6.3.1 */
static void
select_tell_old(struct session *s, const struct store_mailbox *m)
{
	uint32_t unseen;

	imap_server_untagged(&s->imap, "%u RECENT", view_count_recent(s->view));
	if (s->imap.uidonly) /* UNSEEN would be a number */
		return;
	unseen = store_first_unseen(session_reader(s), m);
	if (unseen && (unseen = view_seq(s->view, unseen)))
		imap_server_untagged(&s->imap, "OK [UNSEEN %u] First unseen message", unseen);
}

/* The name as it is here, when it was not said so with OLDNAME.		RFC 9051 6.3.2, 7.3.1 */
static void
select_tell_name(struct session *s, const struct selecting *sel)
{
	struct buf *b = session_out(s);

	buf_lit(b, "* LIST () \"/\" ");
	session_write_mailbox(s, sel->place.name);
	if (!slice_eq(sel->place.name, sel->want.mailbox)) {
		buf_lit(b, " (\"OLDNAME\" (");
		session_write_mailbox(s, sel->want.mailbox);
		buf_lit(b, "))");
	}
	buf_lit(b, "\r\n");
}

static void
select_as_guest(struct session *s, const struct place *p)
{
	if (p->own)
		return;
	s->view->home = p->home;
	s->view->owner = mem_strn(p->owner.p, p->owner.n);
	s->view->account = p->account;
	s->view->rights = p->rights;
	imapd.guests++;
}

/* All that SELECT says, from the open snapshot, which ends. */
static enum imap_next
select_tell(struct session *s, const struct store_mailbox *m, const struct selecting *sel,
    uint32_t recent_lo, uint32_t recent_hi)
{
	const bool readonly = sel->readonly, rev2 = s->enabled & SESSION_REV2;
	struct buf *b = session_out(s);

	view_open(sel->place.home->view, m, readonly, &s->view);
	select_as_guest(s, &sel->place);
	if (rev2) { /* RFC 9051 appendix E: \Recent is gone; it is left to others */
		recent_lo = 0;
	} else if (recent_lo == 0 && m->recent > 0) { /* EXAMINE looks and takes nothing */
		recent_lo = m->recent_from;
		recent_hi = m->uidnext - 1;
	}
	if (recent_lo > 0)
		view_recent_add(s->view, recent_lo, recent_hi);
	s->imap.state = IMAP_SELECTED;
	s->imap.readonly = readonly;
	idle_listen(s);

	view_flags_announce(s, m, readonly);
	buf_lit(b, "* ");
	buf_u64(b, s->view->exists);
	buf_lit(b, " EXISTS\r\n");
	if (rev2)
		select_tell_name(s, sel);
	else
		select_tell_old(s, m);
	buf_lit(b, "* OK [UIDVALIDITY ");
	buf_u64(b, m->uidvalidity);
	buf_lit(b, "] UIDs valid\r\n* OK [UIDNEXT ");
	buf_u64(b, m->uidnext);
	buf_lit(b, "] Predicted next UID\r\n* OK [HIGHESTMODSEQ ");
	buf_u64(b, m->highestmodseq);
	buf_lit(b, "] Highest\r\n* OK [MAILBOXID ");
	session_write_mailboxid(b, m);
	buf_lit(b, "] Its id\r\n");
	if (!s->view->owner) /* RFC 4467 8 */
		buf_lit(b, "* OK [URLMECH INTERNAL] URLs can be authorized\r\n");
	store_end(session_reader(s));
	/* Of another UIDVALIDITY the client knows nothing, and all of it is to be ignored (3.2.5.1). */
	if (sel->want.qresync && sel->want.uidvalidity == s->view->uidvalidity &&
	    sel->want.modseq < s->view->modseq)
		return select_resync(s, sel);
	return imap_server_finish(&s->imap, "OK", "%s", select_done(sel));
}

static void
recent_reserved(void *arg, const struct store_reply *r)
{
	struct session *s = arg;
	struct selecting *sel = s->imap.data;
	struct store_mailbox m;
	uint32_t lo = 0, hi = 0;
	enum imap_next next;
	int rc;

	if (r->verdict.kind == OK) {
		lo = r->nuids ? r->uids[0].first : 1;
		hi = r->nuids ? r->uids[0].last : 0;
	}
	if ((rc = place_open(&sel->place, STORE_R_READ, false, &m)) < 0)
		next = reply_no_mailbox(&s->imap, rc, "NONEXISTENT");
	else
		next = select_tell(s, &m, sel, lo, hi);
	imap_server_resume(&s->imap, next);
}

static enum imap_next
do_select(struct session *s, struct imap_in *in, bool readonly)
{
	struct selecting *sel = arena_new(&s->imap.arena, sizeof(*sel));
	struct store_mailbox m = { 0 };
	int r;

	if (!imap_select_parse(in, &sel->want))
		return imap_server_syntax(&s->imap, in);
	/* RFC 7162 3.2.5: "MUST return a tagged BAD" */
	if (sel->want.qresync && !(s->enabled & SESSION_QRESYNC))
		return imap_server_bad(&s->imap, "QRESYNC is not enabled");
	if (sel->want.seqs.n > 0 && s->imap.uidonly)
		return imap_server_bad(&s->imap, "[UIDREQUIRED] Messages have UIDs only");
	sel->readonly = sel->examine = readonly;
	s->condstore = s->condstore || sel->want.condstore; /* the answer has HIGHESTMODSEQ */
	if (s->imap.state == IMAP_SELECTED)
		imap_server_untagged(&s->imap, "OK [CLOSED] The previous mailbox is closed");
	deselect(s);
	if (sel->want.bad_name || place_parse(s, sel->want.mailbox, &sel->place) < 0)
		return imap_server_no(&s->imap, "CANNOT", "Not a mailbox name");
	r = place_open(&sel->place, STORE_R_READ, false, &m);
	if (r < 0)
		return reply_no_mailbox(&s->imap, r, "NONEXISTENT");
	/* RFC 4314 5.2: nothing could be changed */
	if (!(sel->place.rights & (STORE_R_FLAGS | STORE_R_INSERT | STORE_R_EXPUNGE)))
		sel->readonly = readonly = true;
	if (!(m.attrs & STORE_NOSELECT) && (readonly || m.recent == 0 || s->enabled & SESSION_REV2))
		return select_tell(s, &m, sel, readonly ? 0 : 1, 0);
	store_end(sel->place.home->view);
	if (m.attrs & STORE_NOSELECT)
		return imap_server_no(&s->imap, "NONEXISTENT", "This name holds no messages");
	s->imap.data = sel;
	store_reserve_start(imapd.store, sel->place.mailbox, &s->imap.op, recent_reserved, s);
	return IMAP_WAIT;
}

enum imap_next
cmd_select(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);

	return do_select(s, in, false);
}

enum imap_next
cmd_examine(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);

	return do_select(s, in, true);
}

/* UNSELECT							RFC 3691 */
enum imap_next
cmd_unselect(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);

	if (!imap_end(in))
		return imap_server_syntax(&s->imap, in);
	deselect(s);
	return imap_server_finish(&s->imap, "OK", "UNSELECT completed");
}

struct closing {
	uint64_t
	    alone; /* the counter behind it when nobody else changes the account; 0 = somebody has */
};

static void
closed(void *arg, const struct store_reply *r)
{
	struct session *s = arg;
	const struct closing *close = s->imap.data;
	uint64_t known;

	/* RFC 4314 4: without the right, which may just have gone, nothing goes, and nothing is said. */
	if (r->verdict.kind != OK && r->code != STORE_NOMAILBOX && r->code != STORE_FORBIDDEN) {
		imap_server_resume(&s->imap, reply_no_store(s, r, "NONEXISTENT"));
		return;
	}
	session_log_deed(s, "close", r, slice(NULL, 0));
	/* RFC 7162 3.2.8.  Where others were in between, what they did has not been told, and the number
	 * is the one up to which all has: the client hears of its own once more. */
	known = r->modseq == close->alone ? r->modseq : s->view->synced;
	deselect(s);
	imap_server_resume(&s->imap,
	    s->enabled & SESSION_QRESYNC && r->nuids > 0 ?
		imap_server_finish(&s->imap, "OK", "[HIGHESTMODSEQ %llu] CLOSE completed",
		    (unsigned long long)known) :
		imap_server_finish(&s->imap, "OK", "CLOSE completed"));
}

/* CLOSE: expunges without a word.				RFC 3501 6.4.2 */
enum imap_next
cmd_close(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);
	struct store_account account = { 0 };
	struct store_mailbox m = { 0 };
	struct closing *close;
	bool some;

	if (!imap_end(in))
		return imap_server_syntax(&s->imap, in);
	some = !s->view->readonly && s->view->rights & STORE_R_EXPUNGE && session_snapshot(s) == 0;
	if (some) {
		some = store_get_mailbox(session_reader(s), s->view->mailbox, &m) == 0 &&
		    m.deleted > 0;
		(void)!store_find_account(session_reader(s), slice_str(session_owner(s)), &account);
		store_end(session_reader(s));
	}
	if (some) {
		close = arena_new(&imap->arena, sizeof(*close));
		close->alone = m.highestmodseq == s->view->synced ? account.modseq + 1 : 0;
		imap->data = close;
		store_expunge_start(imapd.store, s->view->mailbox, NULL, 0, false, &s->imap.op,
		    closed, s);
		return IMAP_WAIT;
	}
	deselect(s);
	return imap_server_finish(&s->imap, "OK", "CLOSE completed");
}

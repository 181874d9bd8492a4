/* imapd/replace.c: REPLACE and UID REPLACE, RFC 8508.
 *
 * An APPEND of one message (append.c does all of that) whose end is another request to stored: the new
 * message comes and the old one goes, or nothing happens.  Called by the command table and by append.c.  Can
 * fail: as APPEND does, and the message may be gone.  What must stay true: a number means the message that
 * the client was told of, so it is looked up when the command comes, before anything is awaited; and the
 * client hears of the new UID before it hears that the old one is gone (RFC 8508 4.3). */
#include "append.h"

/* REPLACE number mailbox [flags] [date] {size}			RFC 8508 3.2, 3.3 */
static bool
replace_find(struct session *s, struct append *a, uint32_t number, struct imap_refusal *no)
{
	const struct view *v = s->view;
	struct imap_set one = { 0 };

	if (number == 0)
		number = s->imap.uid ? view_last_uid(v) : v->exists;
	if (number == 0)
		*no = (struct imap_refusal){ IMAP_NO, "NONEXISTENT", "The mailbox is empty" };
	else if (s->imap.uid)
		a->replaces = number;
	else {
		imap_set_add(&one, &s->imap.arena, number, number);
		if (view_uids(v, &one, false, &s->imap.arena) && one.n == 1)
			a->replaces = one.r[0].lo;
		else
			*no = (struct imap_refusal){ IMAP_BAD, NULL, "No such message" };
	}
	return !no->text;
}

static enum imap_next
replace_first(struct imap_server *imap, struct imap_in *in, uint64_t literal)
{
	struct append *a = append_enter(imap);
	struct imap_refusal no = { IMAP_BAD, NULL, NULL };
	uint32_t number;

	a->announced = literal;
	if (!imap_replace_parse(in, &number, &a->want))
		no.text = literal == APPEND_OVER && !a->want.catenate ? "Literal expected" :
		    in->why                                           ? in->why :
									"Syntax error";
	else if (replace_find(session_of(imap), a, number, &no))
		return append_first(imap, in, literal);
	return append_refuse(imap, &no);
}

enum imap_next
replace_begin(struct imap_server *imap, struct imap_in *in, uint64_t size)
{
	struct append *a = imap->data;

	if (!a)
		return replace_first(imap, in, size);
	return catenate_is_open(a) ? catenate_go_on(imap, in, size) : append_next(imap, in, size);
}

enum imap_next
cmd_replace(struct imap_server *imap, struct imap_in *in)
{
	return replace_first(imap, in, APPEND_OVER);
}

static void
replaced(void *arg, const struct store_reply *r)
{
	struct session *s = arg;
	const struct append *a = s->imap.data;

	if (r->verdict.kind != OK) {
		imap_server_resume(&s->imap, reply_no_store(s, r, "TRYCREATE"));
		return;
	}
	if (r->nuids == 0) {
		imap_server_resume(&s->imap,
		    imap_server_no(&s->imap,
			view_seq(s->view, a->replaces) ? "EXPUNGEISSUED" : "NONEXISTENT",
			"The message to be replaced is not there"));
		return;
	}
	metric_add(M_APPENDED, 1);
	notify_brought(s, a->place.mailbox, r->uids, 1);
	session_log_deed(s, "replace", r, a->want.mailbox);
	imap_server_untagged(&s->imap, "OK [APPENDUID %u %u] Replacement is stored", r->uidvalidity,
	    r->uids[0].first);
	if (s->condstore && r->modseq)
		imap_server_resume(&s->imap,
		    imap_server_finish(&s->imap, "OK", "[HIGHESTMODSEQ %llu] REPLACE completed",
			(unsigned long long)r->modseq));
	else
		imap_server_resume(&s->imap,
		    imap_server_finish(&s->imap, "OK", "REPLACE completed"));
}

void
replace_submit(struct session *s, struct append *a)
{
	store_replace_start(imapd.store, s->view->mailbox, a->replaces, a->place.mailbox, a->store,
	    a->place.limits, &s->imap.op, replaced, s);
}

/* REPLACE: a message comes and another one goes, both or neither (RFC 8508).
 *
 * Called by the writer's thread within its batch.  It is an APPEND to `mailbox2` and an EXPUNGE of one
 * message of `mailbox`, in one transaction and one frame of the log: a kill shows one of the two states,
 * never both messages and never none.  The one that goes is looked for first, and what can fail on the way
 * in fails before it is touched.  One message for one, so there is nothing to slice.  The account is asked for
 * the room that the new message needs beyond the old one, so that a draft can be saved at the limit. */
#include "store/writer/writer-impl.h"

static enum edit
replace_look(void *arg, struct store_record *rec)
{
	*(struct store_record *)arg = *rec;
	return EDIT_KEEP;
}

static bool
replace_has_room(struct writer *w, struct store_job *j, const struct wbox *from, struct wbox *to,
    const struct store_record *old)
{
	uint64_t bytes = writer_append_bytes(&j->req), messages = 1;
	struct verdict v;

	if (from->acct == to->acct && from != to &&
	    writer_over_folder(w, to, bytes, messages, &v)) {
		writer_reply_fail(j, STORE_OVERQUOTA, v);
		return false;
	}
	if (from->acct == to->acct) {
		if (bytes <= old->size) /* what is used does not grow, whatever the limit */
			return true;
		bytes -= old->size;
		messages = 0;
	}
	if (!writer_over_quota(w, to, &j->req.limits, bytes, messages, false, &v))
		return true;
	writer_reply_fail(j, STORE_OVERQUOTA, v);
	return false;
}

void
writer_run_replace(struct writer *w, struct store_job *j)
{
	struct wbox *from = writer_box_selectable(w, j, j->req.mailbox);
	struct wbox *to = from ? writer_box_selectable(w, j, j->req.mailbox2) : NULL;
	struct store_record old = { 0 };
	struct buf gone = { 0 };

	if (!to)
		return;
	writer_box_walk(w, from, j->req.ranges, 1, replace_look, &old);
	if (!old.uid) { /* somebody else was first: the answer names no UID, and nothing has come */
		writer_reply_ok(j);
		return;
	}
	if (!replace_has_room(w, j, from, to, &old) || !writer_append_all(w, j, to))
		return;
	writer_expunge_records(w, from, j->req.ranges, 1, true, &gone);
	buf_fini(&gone);
	writer_reply_ok(j);
	j->reply.modseq = from->d.highestmodseq;
	j->reply.bytes = to->acct->d.bytes;
	j->reply.messages = to->acct->d.messages;
}

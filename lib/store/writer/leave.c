/* LEAVE: somebody's login is no more, or is another, and what he has in a mailbox of somebody else goes, or goes over.
 *
 * Called by the writer's thread within its batch, once for each mailbox in which storectl has found something.  What it is:
 * the rights that the mailbox gives him or takes from him, what he has seen, his own annotations.  Whoever gets the login
 * next finds none of it.  Of whom has both names at once, the new one's rights are added to, and what he has seen under it
 * stays.  Costs a few rows, and one for each 1,024 messages that he has marked. */
#include "base/log.h"
#include "store/watch.h"
#include "store/writer/runs-impl.h"
#include "store/writer/writer-impl.h"

void
writer_run_leave(struct writer *w, struct store_job *j)
{
	struct slice from = j->req.name, to = j->req.name2;
	struct wbox *b;
	int rc = writer_box_find(w, j->req.mailbox, &b);
	bool rights;

	if (rc < 0) {
		writer_reply_no_box(j, rc);
		return;
	}
	if (!slice_eq(from, slice_str(b->acct->name)) && !slice_eq(from, to)) {
		if (slice_eq(to, slice_str(b->acct->name)))
			to = slice(NULL, 0); /* the owner has all that, as an owner has it */
		rights = writer_acl_leave(w, b, from, to);
		writer_seen_leave(w, b, from, to);
		writer_annot_leave(w, b, from, to);
		if (rights) {
			writer_event_add(w, STORE_EV_LIST, b->acct->d.id, b->id,
			    ++b->acct->d.modseq);
			writer_account_dirty(w, b->acct);
		}
		log_event(LOG_INFO, "store_leave", "account=%s folder=%s login=%s to=%s",
		    log_str(b->acct->name), log_str(b->name), log_value(from), log_value(to));
	}
	writer_reply_ok(j);
	j->reply.mailbox = b->id;
	j->reply.account = b->acct->d.id;
}

/* FREEZE: an account that nobody changes, while the last of it is copied to another host, and when it is there.
 *
 * Called by the writer's thread.  Who moves an account holds it, from before the first copy to the end of the
 * connection: of two who would move it the second is told so before it has done anything, and nobody else freezes,
 * marks or thaws it, or gives it another name.  Who holds what is a list in memory, so that it ends with stored, and
 * by cmd/stored when the client goes; what has been moved, or comes, says so in its row.  Requests that change a
 * mailbox ask here, in one place, for whose it is; those that look after an account as a whole do not. */
#include <errno.h>

#include "base/log.h"
#include "store/writer/writer-impl.h"

struct held {
	uint64_t account, holder; /* store_job.holder */
	bool frozen;
};

static struct held *
held_find(const struct writer *w, uint64_t account)
{
	struct held *list = (void *)w->held.p;

	for (size_t i = 0; i < w->held.n / sizeof(*list); i++)
		if (list[i].account == account)
			return &list[i];
	return NULL;
}

static struct held *
held_take(struct writer *w, uint64_t account, uint64_t holder)
{
	const struct held new = { .account = account, .holder = holder };
	struct held *h = held_find(w, account);

	if (h)
		return h;
	buf_add(&w->held, &new, sizeof(new));
	return held_find(w, account);
}

static void
held_drop(struct writer *w, struct held *h)
{
	*h = ((struct held *)(void *)w->held.p)[w->held.n / sizeof(*h) - 1];
	w->held.n -= sizeof(*h);
}

bool
writer_is_frozen(const struct writer *w, const struct wacct *a)
{
	const struct held *h = w->held.n ? held_find(w, a->d.id) : NULL;

	return a->d.moved_at || (h && h->frozen);
}

struct verdict
writer_verdict_frozen(const struct wacct *a)
{
	return a->d.moved_at ? verdict(OUT_STORE_MOVED) : verdict(OUT_STORE_MOVING);
}

static bool
frozen_box(struct writer *w, struct store_job *j, uint64_t mailbox)
{
	struct wbox *b;

	if (!mailbox || writer_box_find(w, mailbox, &b) < 0 || !writer_is_frozen(w, b->acct))
		return false;
	writer_reply_fail(j, STORE_FAILED, writer_verdict_frozen(b->acct));
	return true;
}

/* Those that take an account away, or its name: not while somebody moves it, nor the name of one that is elsewhere. */
static bool
frozen_whole(struct writer *w, struct store_job *j)
{
	bool rename = j->req.verb == STORE_V_RENAME_ACCOUNT;
	struct wacct *a;

	if (writer_account_find(w, j->req.name, &a) < 0 ||
	    !(held_find(w, a->d.id) || (rename && a->d.moved_at)))
		return false;
	writer_reply_fail(j, STORE_FAILED, writer_verdict_frozen(a));
	return true;
}

bool
writer_reply_if_frozen(struct writer *w, struct store_job *j)
{
	const struct store_request *r = &j->req;
	struct wacct *a;
	int rc;

	if (r->verb == STORE_V_ERASE || r->verb == STORE_V_RENAME_ACCOUNT)
		return frozen_whole(w, j);
	if (frozen_box(w, j, r->mailbox) || frozen_box(w, j, r->mailbox2))
		return true;
	if (r->verb == STORE_V_KNOW)
		rc = writer_account_find(w, r->name, &a);
	else
		rc = r->account ? writer_account_by_id(w, r->account, &a) : -ENOENT;
	if (rc < 0 || !writer_is_frozen(w, a))
		return false;
	writer_reply_fail(j, STORE_FAILED, writer_verdict_frozen(a));
	return true;
}

/* ---- the request ------------------------------------------------------------------------------ */

static uint32_t
freeze_note(struct writer *w, struct wacct *a, uint32_t at, bool yes)
{
	if (!at == !yes)
		return at;
	writer_account_dirty(w, a);
	return yes ? (uint32_t)w->now : 0;
}

/* May it be?  Else the reply is set. */
static bool
freeze_refused(struct writer *w, struct store_job *j, const struct wacct *a, enum store_freeze how)
{
	const struct held *h = held_find(w, a->d.id);
	bool mine = h && h->holder == j->holder;

	if (h && !mine)
		writer_reply_fail(j, STORE_CANNOT, verdict(OUT_STORE_MOVING));
	else if (how == STORE_FROZEN && writer_is_frozen(w, a))
		writer_reply_fail(j, STORE_CANNOT, writer_verdict_frozen(a));
	else if (how == STORE_MOVED && !(mine && h->frozen)) /* stored was started anew */
		writer_reply_fail(j, STORE_CANNOT, verdict(OUT_STORE_THAWED));
	else if (how == STORE_COMING && a->d.messages && !a->d.coming_at)
		writer_reply_fail(j, STORE_CANNOT, verdict(OUT_STORE_USED));
	else
		return false;
	return true;
}

/* The end of a connection takes back what began with it, and nothing that stays. */
static void
freeze_ends(struct writer *w, struct store_job *j)
{
	struct held *h = held_find(w, j->req.account);

	if (h && h->holder == j->holder) {
		if (h->frozen)
			log_event(LOG_INFO, "store_freeze", "id=%llx state=thawed",
			    (unsigned long long)h->account);
		held_drop(w, h);
	}
	writer_reply_ok(j);
}

void
writer_run_freeze(struct writer *w, struct store_job *j)
{
	static const char *const states[] = { "thawed", "frozen", "moved", "held", "coming",
		"come" };
	enum store_freeze how = (enum store_freeze)j->req.use;
	struct wacct *a;
	int rc;

	if (j->ends) {
		freeze_ends(w, j);
		return;
	}
	if ((rc = writer_account_by_id(w, j->req.account, &a)) < 0) {
		writer_reply_no_box(j, rc);
		return;
	}
	if (freeze_refused(w, j, a, how))
		return;
	if (how == STORE_COMING || how == STORE_COME)
		a->d.coming_at = freeze_note(w, a, a->d.coming_at, how == STORE_COMING);
	else {
		if (how != STORE_HELD)
			a->d.moved_at = freeze_note(w, a, a->d.moved_at, how == STORE_MOVED);
		held_take(w, a->d.id, j->holder)->frozen = how == STORE_FROZEN;
	}
	log_event(LOG_INFO, "store_freeze", "account=%s state=%s", log_str(a->name), states[how]);
	writer_reply_ok(j);
	j->reply.modseq = a->d.modseq;
	j->reply.bytes = a->d.bytes;
	j->reply.messages = a->d.messages;
}

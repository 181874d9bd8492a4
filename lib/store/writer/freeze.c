/* FREEZE: an account that nobody changes, while the last of it is copied to another host, and when it is there.
 *
 * Called by the writer's thread.  What is being moved is a list in memory, so that it ends with stored, and by
 * cmd/stored when the client goes that has asked for it; what has been moved says so in its row.  Requests that
 * change a mailbox ask here, in one place, for whose it is; those that look after an account as a whole do not. */
#include <errno.h>

#include "base/log.h"
#include "store/writer/writer-impl.h"

static size_t
frozen_at(const struct writer *w, uint64_t id)
{
	const uint64_t *list = (const void *)w->frozen.p;
	size_t i = 0, n = w->frozen.n / sizeof(*list);

	while (i < n && list[i] != id)
		i++;
	return i < n ? i : SIZE_MAX;
}

bool
writer_is_frozen(const struct writer *w, const struct wacct *a)
{
	return a->d.moved_at || (w->frozen.n && frozen_at(w, a->d.id) != SIZE_MAX);
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

bool
writer_reply_if_frozen(struct writer *w, struct store_job *j)
{
	const struct store_request *r = &j->req;
	struct wacct *a;

	if (r->verb == STORE_V_ERASE || r->verb == STORE_V_RENAME_ACCOUNT)
		return false;
	if (frozen_box(w, j, r->mailbox) || frozen_box(w, j, r->mailbox2))
		return true;
	if (!r->account || writer_account_by_id(w, r->account, &a) < 0 || !writer_is_frozen(w, a))
		return false;
	writer_reply_fail(j, STORE_FAILED, writer_verdict_frozen(a));
	return true;
}

static void
frozen_set(struct writer *w, uint64_t id, bool yes)
{
	size_t at = frozen_at(w, id);

	if (yes && at == SIZE_MAX)
		buf_add(&w->frozen, &id, sizeof(id));
	else if (!yes && at != SIZE_MAX) {
		uint64_t *list = (void *)w->frozen.p;

		list[at] = list[w->frozen.n / sizeof(id) - 1];
		w->frozen.n -= sizeof(id);
	}
}

void
writer_run_freeze(struct writer *w, struct store_job *j)
{
	static const char *const states[] = { "thawed", "frozen", "moved" };
	enum store_freeze how = (enum store_freeze)j->req.use;
	uint32_t moved_at;
	struct wacct *a;
	int rc = writer_account_by_id(w, j->req.account, &a);

	if (rc < 0) {
		writer_reply_no_box(j, rc);
		return;
	}
	if (how == STORE_FROZEN && writer_is_frozen(w, a)) { /* by somebody else */
		writer_reply_fail(j, STORE_CANNOT, writer_verdict_frozen(a));
		return;
	}
	if (how == STORE_MOVED &&
	    !writer_is_frozen(w, a)) { /* it was, before stored was started anew */
		writer_reply_fail(j, STORE_CANNOT, verdict(OUT_STORE_THAWED));
		return;
	}
	moved_at = how == STORE_MOVED ? (uint32_t)w->now : 0;
	/* The end of a connection takes back what began with it, and nothing that stays. */
	if (!j->ends && !a->d.moved_at != !moved_at) {
		a->d.moved_at = moved_at;
		writer_account_dirty(w, a);
	}
	frozen_set(w, a->d.id, how == STORE_FROZEN);
	log_event(LOG_INFO, "store_freeze", "account=%s state=%s", log_str(a->name),
	    states[a->d.moved_at ? STORE_MOVED : how]);
	writer_reply_ok(j);
	j->reply.modseq = a->d.modseq;
	j->reply.bytes = a->d.bytes;
	j->reply.messages = a->d.messages;
}

/* EXPUNGE: rows go, tombstones come, and the files are left to the purger.
 *
 * Called by the writer's thread within its batch, also by MOVE, RENAME of INBOX and DELETE; EXPUNGE
 * may take several, see long.c: messages go one by one, so that each slice is whole.  Nothing
 * here can fail but LMDB, which fails the batch.  A message leaves the index, the counts, the runs of
 * UIDs and the account's usage in one transaction, and enters the queue of the purger there. */
#include <errno.h>
#include "store/writer/writer-impl.h"

/* ---- EXPUNGE ------------------------------------------------------------------------------------ */

struct expunging {
	struct writer *w;
	struct wbox *b;
	bool any;
	struct buf gone;  /* struct store_range */
	struct buf items; /* struct store_purge_item */
	struct buf threads;
	uint32_t first; /* uid */
};

static enum edit
expunge_one(void *arg, struct store_record *rec)
{
	struct expunging *e = arg;
	struct store_purge_item item = { rec->uid, rec->emailid };
	struct wbox *b = e->b;

	if (!e->any && !(rec->flags & STORE_DELETED))
		return EDIT_KEEP;
	writer_range_add(&e->gone, rec->uid);
	buf_add(&e->items, &item, sizeof(item));
	writer_change_thread(&e->threads, rec);
	b->d.exists--;
	b->d.bytes -= rec->size;
	writer_use(e->w, b->acct, -(int64_t)rec->size, -1);
	if (rec->uid >= b->d.recent_from)
		b->d.recent--;
	if (rec->flags & STORE_DELETED)
		b->d.deleted--;
	if (!(rec->flags & STORE_SEEN))
		b->d.unseen--;
	return EDIT_DROP;
}

bool
writer_expunge_from(struct writer *w, struct wbox *b, uint32_t *uid,
    const struct store_range *ranges, size_t n, bool any, struct buf *gone)
{
	struct expunging e = { .w = w, .b = b, .any = any };
	const struct store_range *first;
	bool whole = true;

	if (any || b->d.deleted)
		whole = writer_box_walk_from(w, b, uid, ranges, n, expunge_one, &e);
	if (e.gone.n) {
		writer_box_touch(w, b);
		writer_account_dirty(w, b->acct);
		writer_change_gone(w, b, (const void *)e.items.p,
		    e.items.n / sizeof(struct store_purge_item), buf_get(&e.threads));
		writer_purge_add(w, b->id, (const void *)e.items.p,
		    e.items.n / sizeof(struct store_purge_item));
		first = (const void *)e.gone.p;
		writer_box_runs_remove(w, b, first, e.gone.n / sizeof(*first));
		if (b->d.first_unseen >= first->first)
			writer_box_find_unseen(w, b);
		w->stats.expunged += e.items.n / sizeof(struct store_purge_item);
		buf_slice(gone, buf_get(&e.gone));
	}
	buf_fini(&e.items);
	buf_fini(&e.threads);
	buf_fini(&e.gone);
	return whole;
}

void
writer_expunge_records(struct writer *w, struct wbox *b, const struct store_range *ranges, size_t n,
    bool any, struct buf *gone)
{
	(void)writer_expunge_from(w, b, NULL, ranges, n, any, gone);
}

static bool
expunge_slice(struct writer *w, struct wlong *l)
{
	struct store_job *j = l->job;
	struct wbox *b = writer_box_selectable(w, j, j->req.mailbox);

	if (!b)
		return true;
	l->account = b->acct->d.id;
	if (!writer_expunge_from(w, b, &l->uid, l->ranges, l->nranges, j->req.options & STORE_ANY,
		&l->uids))
		return false;
	writer_reply_ok(j);
	j->reply.modseq = b->d.highestmodseq;
	j->reply.uids = writer_ranges_keep(&j->arena, &l->uids, &j->reply.nuids);
	j->reply.bytes = b->acct->d.bytes;
	j->reply.messages = b->acct->d.messages;
	return true;
}

void
writer_run_expunge(struct writer *w, struct store_job *j)
{
	writer_long_run(w, j, expunge_slice, j->req.mailbox, 0);
}

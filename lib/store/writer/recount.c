/* Counting: everything that is a sum is summed up again, for one account.
 *
 * Called by the writer's thread within its batches: RECOUNT, and MEND for a mailbox whose record is lost
 * (damaged.c), in slices (long.c) of blocks.  What was counted in one slice must still be so in the last
 * one, so nothing else of the account is done meanwhile, no mail either: it waits, others' does not.
 * The arrivals go into blocks with the first slice, and the blocks' rows are mended as they are met, which
 * can be done twice; a mailbox's counts change in one transaction, when all of its messages have been
 * counted, and the account's usage with it by as much.  A kill in between thus leaves each as it was or as
 * it is right, and the request unanswered: it is asked again.  A mailbox that is damaged would be missing in
 * the sums: then those stay. */
#include <errno.h>

#include "base/mem.h"
#include "store/writer/writer-impl.h"

/* ---- a mailbox --------------------------------------------------------------------------------- */

struct counting {
	struct wcount *c;
	uint64_t named; /* keywords that have a name */
};

static void
count_run(struct wcount *c, uint32_t uid)
{
	if (!c->runs_many)
		writer_range_add(&c->runs, uid);
	if (c->runs.n > STORE_RUNS * sizeof(struct store_range)) {
		c->runs_many = true;
		buf_clear(&c->runs);
	}
}

static enum edit
count_one(void *arg, struct store_record *rec)
{
	const struct counting *g = arg;
	struct store_disk_mailbox *d = &g->c->d;

	d->exists++;
	d->bytes += rec->size;
	if (rec->uid >= d->recent_from)
		d->recent++;
	if (rec->flags & STORE_DELETED)
		d->deleted++;
	if (!(rec->flags & STORE_SEEN)) {
		if (d->unseen++ == 0)
			d->first_unseen = rec->uid;
	}
	if (rec->uid >= d->uidnext)
		d->uidnext = rec->uid + 1;
	if (rec->modseq > d->highestmodseq)
		d->highestmodseq = rec->modseq;
	count_run(g->c, rec->uid);
	if (!(rec->keywords & ~g->named))
		return EDIT_KEEP;
	rec->keywords &= g->named;
	return EDIT_CHANGED;
}

void
writer_count_begin(struct wcount *c, const struct wbox *b)
{
	c->begun = true;
	c->mended = c->counted = c->runs_many = false;
	c->block = c->uid = 0;
	buf_clear(&c->runs);
	c->d = b->d;
	c->d.exists = c->d.unseen = c->d.deleted = c->d.recent = c->d.first_unseen = 0;
	c->d.bytes = 0;
}

bool
writer_count(struct writer *w, struct wcount *c, struct wbox *b, uint64_t named)
{
	struct counting g = { c, named };

	if (!c->mended && !writer_box_mend(w, b, &c->block))
		return false;
	c->mended = true;
	if (!c->counted && !writer_box_walk_from(w, b, &c->uid, NULL, 0, count_one, &g))
		return false;
	c->counted = true;
	return true;
}

void
writer_count_take(struct writer *w, struct wcount *c, struct wbox *b)
{
	struct store_disk_mailbox *d = &b->d;

	d->exists = c->d.exists;
	d->unseen = c->d.unseen;
	d->deleted = c->d.deleted;
	d->recent = c->d.recent;
	d->first_unseen = c->d.first_unseen;
	d->bytes = c->d.bytes;
	if (c->d.uidnext > d->uidnext)
		d->uidnext = c->d.uidnext;
	mem_free(&b->runs);
	b->nruns = b->runs_room = 0;
	if (c->runs_many)
		b->nruns = STORE_RUNS_UNKNOWN;
	else if (c->runs.n) {
		b->nruns = b->runs_room = (uint16_t)(c->runs.n / sizeof(*b->runs));
		b->runs = mem_array(b->nruns, sizeof(*b->runs));
		memcpy(b->runs, c->runs.p, c->runs.n);
	}
	if (c->d.highestmodseq > b->acct->d.modseq)
		b->acct->d.modseq = c->d.highestmodseq;
	writer_box_touch(w, b);
	c->begun = false;
}

void
writer_count_fini(struct wcount *c)
{
	buf_fini(&c->runs);
	buf_fini(&c->name);
}

/* ---- RECOUNT ----------------------------------------------------------------------------------- */

/* The mailbox in hand, or the next one: 0; -ENOENT: there is none; or it is damaged. */
static int
recount_box(struct writer *w, struct wcount *c, struct wacct *a, struct wbox **b)
{
	uint8_t key[8 + STORE_NAME_MAX + 1];
	MDB_val k = { writer_name_key(key, a->d.id, buf_get(&c->name)), key }, d;
	MDB_cursor *cursor;
	int rc;

	if (c->mailbox)
		return writer_box_find(w, c->mailbox, b) < 0 ? -EBADMSG : 0;
	if (w->error || (w->error = mdb_cursor_open(w->txn, w->env->dbi[STORE_T_NAME], &cursor)))
		return -EIO;
	key[k.mv_size++] = 0; /* behind the last one: no name has a NUL */
	if (c->name.n == 0)
		k.mv_size = 8;
	rc = mdb_cursor_get(cursor, &k, &d, MDB_SET_RANGE);
	if (rc || k.mv_size <= 8 || store_get64(k.mv_data) != a->d.id)
		rc = -ENOENT;
	else {
		buf_clear(&c->name);
		buf_add(&c->name, (char *)k.mv_data + 8, k.mv_size - 8);
		rc = writer_box_named(w, a, buf_get(&c->name), b);
		rc = rc == -ENOENT ? -EBADMSG : rc;
	}
	mdb_cursor_close(cursor);
	return rc;
}

static uint64_t
usage_moved(uint64_t usage, uint64_t from, uint64_t to)
{
	return usage + to > from ? usage + to - from : 0;
}

static void
recount_use(struct writer *w, struct wacct *a, uint64_t bytes, uint64_t messages)
{
	writer_use(w, a, (int64_t)(bytes - a->d.bytes), (int64_t)(messages - a->d.messages));
}

static void
recount_take(struct writer *w, struct wcount *c, struct wacct *a, struct wbox *b)
{
	recount_use(w, a, usage_moved(a->d.bytes, b->d.bytes, c->d.bytes),
	    usage_moved(a->d.messages, b->d.exists, c->d.exists));
	writer_count_take(w, c, b);
	writer_account_dirty(w, a);
	c->bytes += b->d.bytes;
	c->messages += b->d.exists;
	c->mailboxes++;
	c->mailbox = 0;
}

static bool
recount_slice(struct writer *w, struct wlong *l)
{
	struct wcount *c = &l->count;
	struct store_job *j = l->job;
	struct wacct *a;
	struct wbox *b;
	int rc = writer_account_by_id(w, j->req.account, &a);

	if (rc == 0) {
		l->account = a->d.id;
		l->alone = true;
	}
	while (rc == 0 && (rc = recount_box(w, c, a, &b)) == 0) {
		if (!c->begun)
			writer_count_begin(c, b);
		c->mailbox = b->id;
		if (!writer_count(w, c, b, UINT64_MAX))
			return false;
		recount_take(w, c, a, b);
		if (writer_long_over(w))
			return false;
	}
	if (rc != -ENOENT || !l->alone) {
		writer_reply_no_box(j, rc);
		return true;
	}
	recount_use(w, a, c->bytes, c->messages);
	a->d.mailboxes = c->mailboxes;
	writer_account_dirty(w, a);
	writer_reply_ok(j);
	j->reply.bytes = a->d.bytes;
	j->reply.messages = a->d.messages;
	return true;
}

void
writer_run_recount(struct writer *w, struct store_job *j)
{
	writer_long_run(w, j, recount_slice, 0, 0);
}

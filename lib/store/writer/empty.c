/* What a deleted mailbox leaves: its messages, which go in slices.
 *
 * Called by the writer's thread within its batches.  DELETE takes away name, record and usage of a large
 * mailbox at once, and puts a row into `intent` (STORE_INTENT_EMPTY): with that the mailbox is gone for
 * everybody, and its name free.  The messages' rows, and those of who has seen them, to which nothing leads any more, become rows of the
 * purge and tombstones here, by a long job (long.c) that nobody waits for and that is no account's.  Its
 * last slice for a mailbox puts the directory behind its files, and drops the row.
 *
 * A kill or a power cut between slices leaves the row, and with it what is still to be done: each slice
 * is whole, drops what it has taken, and begins at the first block that is there.  The start looks for
 * rows.  A batch that fails ends the job; the next good one that somebody asked for begins it again, so
 * that a full disk does not make the writer turn for ever.  The end of stored does not wait for it. */
#include <errno.h>
#include <stdio.h>

#include "store/writer/writer-impl.h"

#define MESSAGE_US 4 /* of a message that goes: as many as fit into a slice go with DELETE itself */

/* ---- rows ---------------------------------------------------------------------------------- */

/* A row of `intent`: which mailbox, whose. */
struct empty_row {
	uint64_t number, mailbox;
	char account[STORE_ACCOUNT_MAX + 1];
};

/* The first one whose number is not below `from`. */
static bool
row_find(struct writer *w, uint64_t from, struct empty_row *r)
{
	uint8_t key[8];
	MDB_val k = { sizeof(key), key }, d;
	struct slice account;
	MDB_cursor *c;

	r->mailbox = 0;
	if (w->error || (w->error = mdb_cursor_open(w->txn, w->env->dbi[STORE_T_INTENT], &c)))
		return false;
	store_be64(key, from);
	for (int rc = mdb_cursor_get(c, &k, &d, MDB_SET_RANGE);
	     rc == 0 && k.mv_size == sizeof(key) && !r->mailbox;
	     rc = mdb_cursor_get(c, &k, &d, MDB_NEXT)) {
		r->mailbox = store_intent_empties(slice(d.mv_data, d.mv_size), &account);
		r->number = store_get64(k.mv_data);
		if (r->mailbox)
			slice_cstr(account, r->account, sizeof(r->account));
	}
	mdb_cursor_close(c);
	return r->mailbox != 0;
}

/* ---- DELETE ---------------------------------------------------------------------------------- */

bool
writer_empty_later(struct writer *w, struct wbox *b)
{
	char id[20];

	if ((uint64_t)b->d.exists * MESSAGE_US <= w->config->slice_us && !writer_seen_is_long(w, b))
		return false;
	writer_box_flush_tail(w, b);
	snprintf(id, sizeof(id), "%llx", (unsigned long long)b->id);
	writer_intent_add(w, STORE_INTENT_EMPTY, id, b->acct->name);
	writer_use(w, b->acct, -(int64_t)b->d.bytes, -(int64_t)b->d.exists);
	writer_account_dirty(w, b->acct);
	w->empty_due = true;
	return true;
}

/* ---- slices ---------------------------------------------------------------------------------- */

struct emptying {
	struct buf items, threads;
};

static enum edit
empty_one(void *arg, struct store_record *rec)
{
	struct store_purge_item item = { rec->uid, rec->emailid };
	struct emptying *e = arg;

	buf_add(&e->items, &item, sizeof(item));
	writer_change_thread(&e->threads, rec);
	return EDIT_DROP;
}

/* Messages from l->uid on until the slice is over: false. */
static bool
empty_some(struct writer *w, struct wlong *l, const struct empty_row *r, struct wacct *a)
{
	/* Like the mailbox that was: no record of it is written. */
	struct wbox b = { .id = r->mailbox, .acct = a, .gone = true };
	struct emptying e = { 0 };
	const struct store_purge_item *item;
	size_t n;
	bool whole = writer_box_walk_from(w, &b, &l->uid, NULL, 0, empty_one, &e);

	item = (const void *)e.items.p;
	n = e.items.n / sizeof(*item);
	if (n && !a->gone) { /* else there is nobody to be told */
		writer_box_touch(w, &b);
		writer_change_gone(w, &b, item, n, buf_get(&e.threads));
	}
	if (n) {
		writer_purge_add(w, b.id, item, n);
		w->stats.expunged += n;
	}
	buf_fini(&e.items);
	buf_fini(&e.threads);
	return whole && writer_seen_forget_slice(w, r->mailbox);
}

static bool
empty_slice(struct writer *w, struct wlong *l)
{
	const struct store_purge_item directory = { 0, 0 };
	struct empty_row r;
	struct wacct erased = { .gone = true }, *a;
	uint8_t key[8];
	int rc;

	while (row_find(w, l->row, &r)) {
		rc = writer_account_find(w, slice_str(r.account), &a);
		if (rc < 0 && rc != -ENOENT) {
			l->row = r.number + 1; /* its record is damaged: when it is mended */
			l->uid = 0;
			continue;
		}
		if (!empty_some(w, l, &r, rc == 0 ? a : &erased))
			return false;
		writer_purge_add(w, r.mailbox, &directory, 1);
		store_be64(key, r.number);
		writer_row_del(w, STORE_T_INTENT, key, sizeof(key));
		l->uid = 0;
		if (writer_long_over(w))
			return false;
	}
	w->empty_due = false;
	return true;
}

/* ---- life ------------------------------------------------------------------------------------ */

void
writer_empty_load(struct writer *w)
{
	struct empty_row r;

	w->empty_due = row_find(w, 0, &r);
}

void
writer_empty_begin(struct writer *w)
{
	struct wlong *l;

	if (!w->empty_due)
		return;
	list_each(l, &w->longs, struct wlong, link) if (l->slice == empty_slice) return;
	writer_long_aside(w, empty_slice);
}

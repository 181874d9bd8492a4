/* ERASE: an account goes, with all that it has.
 *
 * Called by the writer's thread within its batches.  A long job that has the account to itself: folder after
 * folder goes as DELETE lets it go, those below another before that one, in slices; INBOX and the account's own
 * record go with the last, which is also when the answer comes.  So a kill in between leaves an account that has
 * fewer folders and is whole, and ERASE asked again does the rest.  Messages of large mailboxes become rows of the
 * purge behind the answer (empty.c), and files go when they are due, so that nobody waits for a million of either.
 * Mail that comes while it goes waits, and makes a new account.
 *
 * The directory of the account follows those of its folders, as if it were a deleted mailbox's. */
#include "base/log.h"
#include "store/writer/writer-impl.h"

/* ---- an account leaves the writer's memory ---------------------------------------------------- */

static void
erase_forget(struct writer *w, struct wacct *a)
{
	struct store_known known = { .id = a->d.id, .name = slice_str(a->name), .gone = true };

	writer_row_del(w, STORE_T_ACCOUNT, a->name, strlen(a->name));
	writer_domain_leave(w, a);
	map_take(&w->accounts, slice_str(a->name));
	map_take(&w->accounts_by_id, map_key(a->key));
	a->gone = true;
	buf_add(&w->gone_accounts, &a, sizeof(struct wacct *));
	buf_add(&w->new_accounts, &known, sizeof(known));
}

/* ---- what it has ------------------------------------------------------------------------------ */

/* The last folder in the order of names that is not INBOX, so that none below it is left: 0; -ENOENT: INBOX is
 * alone; or it is damaged. */
static int
erase_next(struct writer *w, struct wacct *a, struct wbox **b)
{
	uint8_t key[8];
	MDB_val k = { sizeof(key), key }, d;
	MDB_cursor *c;
	int rc;

	*b = NULL;
	if (w->error || (w->error = mdb_cursor_open(w->txn, w->env->dbi[STORE_T_NAME], &c)))
		return -EIO;
	store_be64(key, a->d.id + 1);
	rc = mdb_cursor_get(c, &k, &d, MDB_SET_RANGE);
	rc = mdb_cursor_get(c, &k, &d, rc == 0 ? MDB_PREV : MDB_LAST);
	if (rc == 0 && k.mv_size == 13 && memcmp((char *)k.mv_data + 8, "INBOX", 5) == 0)
		rc = mdb_cursor_get(c, &k, &d, MDB_PREV);
	if (rc || k.mv_size <= 8 || store_get64(k.mv_data) != a->d.id)
		rc = -ENOENT;
	else {
		rc = writer_box_named(w, a, slice((char *)k.mv_data + 8, k.mv_size - 8), b);
		rc = rc == -ENOENT ? -EBADMSG : rc;
	}
	mdb_cursor_close(c);
	return rc;
}

/* The rows of a table whose keys begin with the account's id, until the slice is over: false. */
static bool
erase_rows(struct writer *w, enum store_table t, uint64_t account)
{
	uint8_t key[8];
	MDB_val k = { sizeof(key), key }, d;
	MDB_cursor *c;
	bool over = false;

	if (w->error || (w->error = mdb_cursor_open(w->txn, w->env->dbi[t], &c)))
		return true;
	store_be64(key, account);
	for (int rc = mdb_cursor_get(c, &k, &d, MDB_SET_RANGE);
	     rc == 0 && !over && !w->error && k.mv_size >= 8 && store_get64(k.mv_data) == account;
	     rc = mdb_cursor_get(c, &k, &d, MDB_NEXT)) {
		writer_row_del_here(w, t, c, &k);
		over = writer_long_over(w);
	}
	mdb_cursor_close(c);
	return !over;
}

/* Its change log, its subscriptions and threads; whoever looks back is told that the log does not reach so far. */
static bool
erase_log(struct writer *w, struct wacct *a)
{
	if (a->d.changes_from != a->d.modseq) {
		a->nnews = 0;
		a->d.changes_from = a->d.vanished_from = a->d.modseq;
		writer_account_dirty(w, a);
	}
	return erase_rows(w, STORE_T_CHANGE, a->d.id) && erase_rows(w, STORE_T_SUB, a->d.id) &&
	    erase_rows(w, STORE_T_MARK, a->d.id) && erase_rows(w, STORE_T_REF, a->d.id) &&
	    erase_rows(w, STORE_T_THREAD, a->d.id);
}

static void
erase_directory(struct writer *w, const struct wacct *a)
{
	const struct store_purge_item directory = { 0, 0 };
	uint64_t id = NEW_ID(w, mailbox);
	struct buf from = { 0 }, to = { 0 };

	store_account_dir(&from, slice_str(a->name));
	store_deleted_dir(&to, id);
	writer_intent_add(w, STORE_INTENT_TREE, buf_cstr(&from), buf_cstr(&to));
	writer_purge_add(w, id, &directory, 1);
	buf_fini(&from);
	buf_fini(&to);
}

/* INBOX and the account.  What INBOX still wrote into the change log is as little as one folder's. */
static void
erase_last(struct writer *w, struct wacct *a, struct wbox *inbox)
{
	uint64_t id = a->d.id;

	writer_box_delete(w, inbox, false);
	a->nnews = 0;
	while (!w->error && !erase_rows(w, STORE_T_CHANGE, id))
		;
	while (!w->error && !erase_rows(w, STORE_T_ANNOT, id))
		;
	erase_directory(w, a);
	erase_forget(w, a);
	w->stats.erased++;
}

/* ---- the request ------------------------------------------------------------------------------ */

/* Finds the account of this name and id, which may have changed hands.  False: the reply is set. */
static bool
erase_find(struct writer *w, struct wlong *l, struct wacct **a)
{
	struct store_job *j = l->job;
	int rc = writer_account_find(w, j->req.name, a);

	if (rc == 0 && (*a)->d.id != j->req.account)
		rc = -ENOENT;
	if (rc < 0) {
		writer_reply_no_box(j, rc);
		return false;
	}
	if (!l->alone && j->req.options & STORE_UNUSED && (*a)->d.messages) {
		writer_reply_fail(j, STORE_CANNOT, verdict(OUT_STORE_USED));
		return false;
	}
	if (!l->alone) { /* the first slice */
		l->count.bytes = (*a)->d.bytes;
		l->count.messages = (*a)->d.messages;
	}
	l->account = (*a)->d.id;
	l->alone = l->moves = true;
	return true;
}

static bool
erase_slice(struct writer *w, struct wlong *l)
{
	struct store_job *j = l->job;
	struct wacct *a;
	struct wbox *b, *inbox = NULL;
	int rc;

	if (!erase_find(w, l, &a))
		return true;
	while ((rc = erase_next(w, a, &b)) == 0 && !writer_moves_many(w->files)) {
		writer_box_delete(w, b, false);
		if (writer_long_over(w))
			return false;
	}
	if (rc == -ENOENT) {
		if (!erase_log(w, a))
			return false;
		rc = writer_box_inbox(w, a, &inbox);
	}
	if (rc < 0)
		writer_reply_no_box(j, rc);
	else if (!inbox)
		writer_reply_fail(j, STORE_FAILED, verdict(OUT_STORE_UNMOVED));
	else {
		log_event(LOG_INFO, "store_account",
		    "account=%s id=%llx state=erased messages=%llu bytes=%llu", log_str(a->name),
		    (unsigned long long)a->d.id, (unsigned long long)l->count.messages,
		    (unsigned long long)l->count.bytes);
		erase_last(w, a, inbox);
		writer_reply_ok(j);
		j->reply.bytes = l->count.bytes;
		j->reply.messages = l->count.messages;
	}
	return true;
}

void
writer_run_erase(struct writer *w, struct store_job *j)
{
	writer_long_run(w, j, erase_slice, 0, 0);
}

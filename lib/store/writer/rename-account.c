/* RENAME-ACCOUNT: an account gets another name, because its person has another login.
 *
 * Called by the writer's thread, alone in its batch.  The name is in the account's row, in the record of each of
 * its mailboxes, in the keys of the owner's private annotations, in what is still to be emptied of it, and in the
 * path of its directory: all change in one batch, and the directory moves after the commit as those of folders do
 * (intent.c), with all that is in it.  Ids, UIDs and modseqs stay.  What others give to the old name is theirs, and
 * is not touched here.  Costs a row for each folder, of which an account has at most 10,000. */
#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "store/writer/writer-impl.h"

/* All mailboxes of the account, in memory: struct wbox *.  0, or one of them is damaged. */
static int
account_boxes(struct writer *w, struct wacct *a, struct buf *boxes)
{
	uint8_t key[8];
	MDB_val k = { sizeof(key), key }, d;
	MDB_cursor *c;
	int found = 0;

	if (w->error || (w->error = mdb_cursor_open(w->txn, w->env->dbi[STORE_T_NAME], &c)))
		return -EIO;
	store_be64(key, a->d.id);
	for (int rc = mdb_cursor_get(c, &k, &d, MDB_SET_RANGE);
	     rc == 0 && found == 0 && k.mv_size > 8 && store_get64(k.mv_data) == a->d.id;
	     rc = mdb_cursor_get(c, &k, &d, MDB_NEXT)) {
		struct wbox *b;

		found = writer_box_named(w, a, slice((char *)k.mv_data + 8, k.mv_size - 8), &b);
		buf_add(boxes, &b, sizeof(struct wbox *));
	}
	mdb_cursor_close(c);
	return found == -ENOENT ? -EBADMSG : found;
}

/* Its deleted mailboxes that are still to be emptied: rows that say whose they were. */
static void
rename_empties(struct writer *w, struct slice from, const char *to)
{
	struct buf ids = { 0 };
	MDB_cursor *c;
	MDB_val k, d;

	if (w->error || (w->error = mdb_cursor_open(w->txn, w->env->dbi[STORE_T_INTENT], &c)))
		return;
	while (!w->error && mdb_cursor_get(c, &k, &d, MDB_NEXT) == 0) {
		struct slice account = { 0 };
		uint64_t id = store_intent_empties(slice(d.mv_data, d.mv_size), &account);

		if (!id || !slice_eq(account, from))
			continue;
		buf_add(&ids, &id, sizeof(id));
		writer_row_del_here(w, STORE_T_INTENT, c, &k);
	}
	mdb_cursor_close(c);
	for (size_t at = 0; at < ids.n; at += sizeof(uint64_t)) {
		char hex[20];
		uint64_t id;

		memcpy(&id, ids.p + at, sizeof(id));
		snprintf(hex, sizeof(hex), "%llx", (unsigned long long)id);
		writer_intent_add(w, STORE_INTENT_EMPTY, hex, to);
	}
	buf_fini(&ids);
}

static void
rename_directory(struct writer *w, const char *from, const char *to)
{
	struct buf a = { 0 }, b = { 0 };

	store_account_dir(&a, slice_str(from));
	store_account_dir(&b, slice_str(to));
	writer_intent_add(w, STORE_INTENT_TREE, buf_cstr(&a), buf_cstr(&b));
	buf_fini(&a);
	buf_fini(&b);
}

static void
rename_known(struct writer *w, struct slice name, uint64_t id, uint64_t inbox, bool gone)
{
	const struct store_known known = { .id = id, .inbox = inbox, .name = name, .gone = gone };

	buf_add(&w->new_accounts, &known, sizeof(known));
}

static void
rename_all(struct writer *w, struct store_job *j, struct wacct *a, const struct buf *boxes)
{
	struct wbox *const *b = (void *)boxes->p;
	char *from = a->name, *to = mem_strn(j->req.name2.p, j->req.name2.n);

	rename_directory(w, from, to);
	rename_empties(w, slice_str(from), to);
	writer_annot_rename(w, a, slice_str(from), slice_str(to));
	writer_row_del(w, STORE_T_ACCOUNT, from, strlen(from));
	map_take(&w->accounts, slice_str(from));
	writer_domain_leave(w, a);
	a->name = to;
	writer_domain_enter(w, a);
	map_put(&w->accounts, slice_str(a->name), a);
	writer_account_dirty(w, a);
	for (size_t i = 0; i < boxes->n / sizeof(*b); i++) {
		char *name = mem_str(b[i]->name);

		writer_box_set_name(b[i], name);
		writer_box_dirty(w, b[i]);
		mem_free(&name);
	}
	/* The request's, which live until the answer has been sent. */
	rename_known(w, j->req.name, a->d.id, 0, true);
	rename_known(w, slice_str(a->name), a->d.id, a->inbox ? a->inbox->id : 0, false);
	log_event(LOG_INFO, "store_account", "account=%s id=%llx state=renamed to=%s",
	    log_str(from), (unsigned long long)a->d.id, log_str(to));
	mem_free(&from);
	w->stats.renamed++;
}

/* Does another account have the name, or a directory at either path a move before it?  Then the reply is set. */
static bool
rename_stands_in_the_way(struct writer *w, struct store_job *j, const struct wacct *a)
{
	struct buf from = { 0 }, to = { 0 };
	struct wacct *other;
	bool unmoved;
	int rc = writer_account_find(w, j->req.name2, &other);

	if (rc == 0) {
		writer_reply_fail(j, STORE_EXISTS, verdict(OUT_STORE_ACCOUNT_EXISTS));
		return true;
	}
	if (rc != -ENOENT) {
		writer_reply_no_box(j, rc);
		return true;
	}
	store_account_dir(&from, slice_str(a->name));
	store_account_dir(&to, j->req.name2);
	unmoved = writer_account_unmoved(w->files, buf_cstr(&from)) ||
	    writer_account_unmoved(w->files, buf_cstr(&to));
	buf_fini(&from);
	buf_fini(&to);
	if (unmoved)
		writer_reply_fail(j, STORE_FAILED, verdict(OUT_STORE_UNMOVED));
	return unmoved;
}

void
writer_run_rename_account(struct writer *w, struct store_job *j)
{
	struct buf boxes = { 0 };
	struct wacct *a;
	struct wbox *inbox;
	int rc = writer_account_find(w, j->req.name, &a);

	if (rc == 0 && a->d.id != j->req.account)
		rc = -ENOENT;
	if (rc == 0)
		rc = account_boxes(w, a, &boxes);
	if (rc == 0)
		rc = writer_box_inbox(w, a, &inbox);
	if (rc < 0)
		writer_reply_no_box(j, rc);
	else if (!rename_stands_in_the_way(w, j, a)) {
		rename_all(w, j, a, &boxes);
		writer_reply_ok(j);
		j->reply.account = a->d.id;
		j->reply.bytes = a->d.bytes;
		j->reply.messages = a->d.messages;
	}
	buf_fini(&boxes);
}

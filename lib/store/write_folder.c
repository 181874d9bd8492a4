/* Accounts and folders: making, deleting, renaming, subscribing; and the directories that
 * follow them.
 *
 * A rename of directories cannot be part of an LMDB transaction.  The transaction that
 * changes the names therefore writes an intent {from, to}; after its commit the directories
 * are moved, and the next batch drops the intent.  After a crash between the two the move is
 * made at start.  Readers that look in between wait for a moment (store_open_message). */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "store/write_private.h"

#define FOLDERS_MOST 10000 /* of an account */

/* ---- accounts ---------------------------------------------------------------------------------- */

static void
sub_put(struct store_part *p, struct wacct *a, struct slice name, bool yes)
{
	uint8_t key[8 + STORE_NAME_MAX + 1], value = STORE_VERSION;
	size_t n = name_key(key, a->d.id, name);

	if (yes)
		row_put(p, STORE_T_SUB, key, n, &value, 1, 0);
	else
		row_del(p, STORE_T_SUB, key, n);
}

struct wacct *
acct_prepare(struct store_part *p, struct slice name)
{
	static const struct {
		const char *name;
		enum store_special use;
	} folders[] = {
		{ "INBOX", STORE_USE_NONE }, { "Sent", STORE_USE_SENT }, { "Drafts", STORE_USE_DRAFTS },
		{ "Junk", STORE_USE_JUNK }, { "Trash", STORE_USE_TRASH }, { "Archive", STORE_USE_ARCHIVE },
	};
	struct wacct *a = acct_find(p, name);
	struct store_known known;

	if (a)
		return a;
	a = acct_new(p, name);
	for (size_t i = 0; i < NELEM(folders); i++) {
		struct wbox *b = box_new(p, a, folders[i].name, folders[i].use);
		int rc = make_box_dir(p, b);

		if (rc < 0)
			log_event(LOG_ERROR, "store_mkdir", "dir=%s error=%s", log_str(b->dir),
			    log_str(strerror(-rc)));
		sub_put(p, a, slice_str(folders[i].name), true);
		if (i == 0)
			a->inbox = b;
	}
	known = (struct store_known){ .id = a->d.id, .inbox = a->inbox->id };
	known.name = slice(mem_str(a->name), strlen(a->name));
	buf_add(&p->new_accounts, &known, sizeof(known));
	log_event(LOG_INFO, "store_account", "account=%s id=%llx", log_str(a->name),
	    (unsigned long long)a->d.id);
	return a;
}

void
run_account(struct store_part *p, struct store_job *j)
{
	struct wacct *a = acct_prepare(p, j->req.name);
	struct wbox *b = a ? box_inbox(p, a) : NULL;

	if (!b) {
		reply_fail(j, STORE_FAILED, verdict(TEMP, 451, "4.3.0", "mailbox is damaged"));
		return;
	}
	reply_ok(j);
	j->reply.account = a->d.id;
	j->reply.mailbox = b->id;
	j->reply.bytes = a->d.bytes;
	j->reply.messages = a->d.messages;
	j->reply.partition = slice_str(p->name);
	j->reply.path = slice_str(p->path);
}

/* ---- CREATE -------------------------------------------------------------------------------------- */

static bool
good_name(struct store_job *j, struct slice name, char canonical[STORE_NAME_MAX + 1])
{
	if (store_name_check(name, canonical) == 0)
		return true;
	reply_fail(j, STORE_BADNAME, verdict(PERM, 550, "5.2.0", "not a valid mailbox name"));
	return false;
}

/* The folders above `name`, those that are missing. */
static void
make_parents(struct store_part *p, struct wacct *a, const char *name)
{
	for (const char *s = strchr(name, STORE_SEPARATOR); s; s = strchr(s + 1, STORE_SEPARATOR)) {
		struct slice above = slice(name, (size_t)(s - name));

		if (!box_named(p, a, above)) {
			char *copy = mem_strn(above.p, above.n);

			(void)!make_box_dir(p, box_new(p, a, copy, STORE_USE_NONE));
			mem_free(&copy);
		}
	}
}

static bool
account_ok(struct store_part *p, struct store_job *j, struct wacct **a)
{
	*a = acct_by_id(p, j->req.account);
	if (!*a)
		reply_no_mailbox(j);
	return *a != NULL;
}

void
run_create(struct store_part *p, struct store_job *j)
{
	char name[STORE_NAME_MAX + 1];
	struct wacct *a;
	struct wbox *b;
	int rc;

	if (!account_ok(p, j, &a) || !good_name(j, j->req.name, name))
		return;
	b = box_named(p, a, slice_str(name));
	if (b && !(b->d.attrs & STORE_NOSELECT)) {
		reply_fail(j, STORE_EXISTS, verdict(PERM, 550, "5.2.0", "mailbox exists"));
		return;
	}
	if (a->d.mailboxes >= FOLDERS_MOST) {
		reply_fail(j, STORE_LIMIT, verdict(PERM, 550, "5.2.0", "too many mailboxes"));
		return;
	}
	if (b) {
		b->d.attrs &= (uint8_t)~STORE_NOSELECT;
		b->d.special = j->req.how;
		b->d.uidvalidity = next_uidvalidity(p, a);
		name_put(p, b);
		event_add(p, STORE_EV_LIST, a->d.id, b->id, box_touch(p, b));
	} else {
		make_parents(p, a, name);
		b = box_new(p, a, name, (enum store_special)j->req.how);
	}
	rc = make_box_dir(p, b);
	if (rc < 0) /* made again with the first message */
		log_event(LOG_ERROR, "store_mkdir", "dir=%s error=%s", log_str(b->dir),
		    log_str(strerror(-rc)));
	reply_ok(j);
	j->reply.account = a->d.id;
	j->reply.mailbox = b->id;
	j->reply.uidvalidity = b->d.uidvalidity;
	j->reply.modseq = b->d.highestmodseq;
}

/* ---- DELETE --------------------------------------------------------------------------------------- */

static bool
has_children(struct store_part *p, struct wacct *a, const char *name)
{
	uint8_t key[8 + STORE_NAME_MAX + 1];
	size_t n = name_key(key, a->d.id, slice_str(name));
	MDB_cursor *c;
	MDB_val k, d;
	bool found = false;

	key[n++] = STORE_SEPARATOR;
	k = (MDB_val){ n, key };
	if (p->error || (p->error = mdb_cursor_open(p->txn, p->dbi[STORE_T_NAME], &c)))
		return false;
	if (mdb_cursor_get(c, &k, &d, MDB_SET_RANGE) == 0)
		found = k.mv_size > n && memcmp(k.mv_data, key, n) == 0;
	mdb_cursor_close(c);
	return found;
}

static void
tombs_drop(struct store_part *p, uint64_t mailbox)
{
	uint8_t key[20] = { 0 };
	MDB_cursor *c;
	MDB_val k, d;

	store_be64(key, mailbox);
	k = (MDB_val){ sizeof(key), key };
	if (p->error || (p->error = mdb_cursor_open(p->txn, p->dbi[STORE_T_TOMB], &c)))
		return;
	while (!p->error && mdb_cursor_get(c, &k, &d, MDB_SET_RANGE) == 0 && k.mv_size == 20 &&
	    store_get64(k.mv_data) == mailbox) {
		row_del_here(p, STORE_T_TOMB, c, &k);
		k = (MDB_val){ sizeof(key), key };
	}
	mdb_cursor_close(c);
}

/* The messages go the way of expunged ones.  The directory is moved aside, so that the name is
 * free at once, and goes when the purge has emptied it. */
static void
delete_box(struct store_part *p, struct wbox *b, bool keep_name)
{
	struct store_purge_item directory = { 0, 0 };
	struct buf gone = { 0 }, to = { 0 };
	uint64_t id = b->id;

	expunge_records(p, b, NULL, 0, true, &gone);
	buf_fini(&gone);
	tombs_drop(p, id);
	purge_add(p, id, &directory, 1);
	store_deleted_dir(&to, id);
	intent_add(p, keep_name ? STORE_INTENT_MESSAGES : STORE_INTENT_TREE, b->dir, buf_cstr(&to));
	buf_fini(&to);
	if (keep_name) {
		struct wacct *a = b->acct;
		char *name = mem_str(b->name);

		/* A new mailbox takes the bare name: the old id is gone with its messages. */
		box_forget(p, b);
		b = box_new(p, a, name, STORE_USE_NONE);
		b->d.attrs |= STORE_NOSELECT;
		name_put(p, b);
		mem_free(&name);
	} else
		box_forget(p, b);
}

void
run_delete(struct store_part *p, struct store_job *j)
{
	char name[STORE_NAME_MAX + 1];
	struct wacct *a;
	struct wbox *b;
	bool children;

	if (!account_ok(p, j, &a) || !good_name(j, j->req.name, name))
		return;
	b = box_named(p, a, slice_str(name));
	if (!b) {
		reply_no_mailbox(j);
		return;
	}
	children = has_children(p, a, name);
	if (strcmp(name, "INBOX") == 0 || (children && b->d.attrs & STORE_NOSELECT)) {
		reply_fail(j, STORE_CANNOT, verdict(PERM, 550, "5.2.0", children ?
		    "mailbox has inferior names" : "INBOX cannot be deleted"));
		return;
	}
	j->reply.modseq = b->d.highestmodseq;
	delete_box(p, b, children);
	reply_ok(j);
}

/* ---- RENAME ---------------------------------------------------------------------------------------- */

static void
rename_box(struct store_part *p, struct wbox *b, const char *to)
{
	name_del(p, b->acct, b->name);
	box_set_name(p, b, to);
	name_put(p, b);
	box_touch(p, b);
}

/* The names below `from`, and their ids, before anything is changed. */
static void
children_of(struct store_part *p, struct wacct *a, const char *from, struct buf *ids)
{
	uint8_t key[8 + STORE_NAME_MAX + 1];
	size_t n = name_key(key, a->d.id, slice_str(from));
	MDB_cursor *c;
	MDB_val k, d;
	int rc;

	key[n++] = STORE_SEPARATOR;
	k = (MDB_val){ n, key };
	if (p->error || (p->error = mdb_cursor_open(p->txn, p->dbi[STORE_T_NAME], &c)))
		return;
	for (rc = mdb_cursor_get(c, &k, &d, MDB_SET_RANGE);
	     rc == 0 && k.mv_size > n && memcmp(k.mv_data, key, n) == 0;
	     rc = mdb_cursor_get(c, &k, &d, MDB_NEXT)) {
		struct store_disk_name row;

		if (d.mv_size != sizeof(row))
			continue;
		memcpy(&row, d.mv_data, sizeof(row));
		buf_add(ids, &row.mailbox, 8);
	}
	mdb_cursor_close(c);
}

/* Do all names still fit when the beginning `from` becomes `to`? */
static bool
names_fit(struct store_part *p, const struct buf *ids, size_t from_len, size_t to_len)
{
	for (size_t at = 0; at < ids->n; at += 8) {
		uint64_t id;
		struct wbox *b;

		memcpy(&id, ids->p + at, 8);
		b = box_find(p, id);
		if (!b || strlen(b->name) - from_len + to_len > STORE_NAME_MAX)
			return false;
	}
	return true;
}

static void
rename_tree(struct store_part *p, struct wbox *b, const char *to, const struct buf *ids)
{
	size_t from_len = strlen(b->name);
	char *old_dir = mem_str(b->dir);

	rename_box(p, b, to);
	for (size_t at = 0; at < ids->n; at += 8) {
		uint64_t id;
		struct wbox *child;
		char *name;

		memcpy(&id, ids->p + at, 8);
		child = box_find(p, id);
		if (!child)
			continue;
		name = mem_printf("%s%s", to, child->name + from_len);
		rename_box(p, child, name);
		mem_free(&name);
	}
	intent_add(p, STORE_INTENT_TREE, old_dir, b->dir);
	event_add(p, STORE_EV_LIST, b->acct->d.id, b->id, b->d.highestmodseq);
	mem_free(&old_dir);
}

/* RFC 3501 6.3.5: renaming INBOX moves its messages and leaves INBOX empty. */
static void
rename_inbox(struct store_part *p, struct store_job *j, struct wbox *inbox, struct wbox *to)
{
	const struct store_limits none = { 0, 0 };
	struct buf uids = { 0 }, gone = { 0 };
	uint32_t first;

	if (copy_records(p, j, inbox, NULL, 0, to, &none, &uids, &first)) {
		expunge_records(p, inbox, NULL, 0, true, &gone);
		reply_ok(j);
	}
	buf_fini(&uids);
	buf_fini(&gone);
}

void
run_rename(struct store_part *p, struct store_job *j)
{
	char from[STORE_NAME_MAX + 1], to[STORE_NAME_MAX + 1];
	struct buf ids = { 0 };
	struct wacct *a;
	struct wbox *b;
	size_t n;

	if (!account_ok(p, j, &a) || !good_name(j, j->req.name, from) || !good_name(j, j->req.name2, to))
		return;
	b = box_named(p, a, slice_str(from));
	if (!b) {
		reply_no_mailbox(j);
		return;
	}
	if (box_named(p, a, slice_str(to))) {
		reply_fail(j, STORE_EXISTS, verdict(PERM, 550, "5.2.0", "mailbox exists"));
		return;
	}
	if (strcmp(from, "INBOX") == 0) {
		make_parents(p, a, to);
		rename_inbox(p, j, b, box_new(p, a, to, STORE_USE_NONE));
		return;
	}
	n = strlen(from);
	if (strncmp(from, to, n) == 0 && to[n] == STORE_SEPARATOR) {
		reply_fail(j, STORE_CANNOT,
		    verdict(PERM, 550, "5.2.0", "a mailbox cannot be moved into itself"));
		return;
	}
	children_of(p, a, from, &ids);
	if (!names_fit(p, &ids, n, strlen(to)))
		reply_fail(j, STORE_BADNAME, verdict(PERM, 550, "5.2.0", "mailbox name is too long"));
	else {
		make_parents(p, a, to);
		rename_tree(p, b, to, &ids);
		reply_ok(j);
		j->reply.mailbox = b->id;
	}
	buf_fini(&ids);
}

/* ---- SUBSCRIBE ---------------------------------------------------------------------------------------- */

void
run_subscribe(struct store_part *p, struct store_job *j)
{
	char name[STORE_NAME_MAX + 1];
	struct wacct *a;

	if (!account_ok(p, j, &a) || !good_name(j, j->req.name, name))
		return;
	sub_put(p, a, slice_str(name), j->req.how);
	event_add(p, STORE_EV_LIST, a->d.id, 0, ++a->d.modseq);
	acct_dirty(p, a);
	reply_ok(j);
}

/* ---- intents ------------------------------------------------------------------------------------------- */

void
intent_add(struct store_part *p, enum store_intent kind, const char *from, const char *to)
{
	struct store_disk_intent d = { STORE_VERSION, (uint8_t)kind, (uint16_t)strlen(from),
		(uint16_t)strlen(to) };
	uint64_t number = p->next_intent++;
	uint8_t key[8];

	store_be64(key, number);
	buf_clear(&p->scratch);
	buf_add(&p->scratch, &d, sizeof(d));
	buf_add(&p->scratch, from, d.from_len);
	buf_add(&p->scratch, to, d.to_len);
	row_put(p, STORE_T_INTENT, key, 8, p->scratch.p, p->scratch.n, 0);
}

static bool
intent_run(struct store_part *p, struct slice row)
{
	struct store_disk_intent d;
	char *from, *to;
	int rc;

	if (row.n < sizeof(d))
		return true;
	memcpy(&d, row.p, sizeof(d));
	if (row.n != sizeof(d) + d.from_len + d.to_len)
		return true;
	from = mem_strn(row.p + sizeof(d), d.from_len);
	to = mem_strn(row.p + sizeof(d) + d.from_len, d.to_len);
	rc = move_dir(p, (enum store_intent)d.kind, from, to);
	if (rc < 0)
		log_event(LOG_ERROR, "store_move", "from=%s to=%s error=%s", log_str(from), log_str(to),
		    log_str(strerror(-rc)));
	mem_free(&from);
	mem_free(&to);
	return rc == 0 || rc == -ENOTEMPTY || rc == -EEXIST;
}

/* Each intent is run in the order of its number; the rows go with the next batch, when the
 * moves are on disk. */
void
intents_run(struct store_part *p)
{
	MDB_txn *txn;
	MDB_cursor *c;
	MDB_val k, d;
	bool any = false;

	if (mdb_txn_begin(p->env, NULL, MDB_RDONLY, &txn) != 0)
		return;
	if (mdb_cursor_open(txn, p->dbi[STORE_T_INTENT], &c) == 0) {
		while (mdb_cursor_get(c, &k, &d, MDB_NEXT) == 0) {
			uint64_t number = store_get64(k.mv_data);

			if (!intent_run(p, slice(d.mv_data, d.mv_size)))
				continue;
			any = true;
			buf_add(&p->done_intents, &number, 8);
		}
		mdb_cursor_close(c);
	}
	mdb_txn_abort(txn);
	if (any && p->c.sync && syncfs(p->syncfd) < 0) {
		log_event(LOG_ERROR, "store_sync", "error=%s", log_str(strerror(errno)));
		buf_clear(&p->done_intents);
	}
}

/* In the batch after: the moves are durable, drop the rows. */
void
intents_drop(struct store_part *p)
{
	for (size_t at = 0; at < p->done_intents.n; at += 8) {
		uint8_t key[8];
		uint64_t number;

		memcpy(&number, p->done_intents.p + at, 8);
		store_be64(key, number);
		row_del(p, STORE_T_INTENT, key, 8);
	}
}

/* Accounts and folders: making, deleting, renaming, subscribing.
 *
 * Called by the writer's thread within its batches.  DELETE and RENAME move directories, which no
 * transaction can: they write an intent, and intent.c makes the move behind the commit.  A name whose
 * directory waits for an earlier move is refused until then: what came into it would go along.  A record
 * on the way that is damaged refuses a job whole, before anything has been changed. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "store/acl.h"
#include "store/writer/writer-impl.h"

#define FOLDERS_MOST 10000 /* of an account */
#define GUESTS_MOST  1000  /* of it, while others than its owner make folders */

/* ---- accounts ---------------------------------------------------------------------------------- */

static void
sub_put(struct writer *w, struct wacct *a, struct slice name, bool yes)
{
	uint8_t key[8 + STORE_NAME_MAX + 1], value = STORE_VERSION;
	size_t n = writer_name_key(key, a->d.id, name);

	if (yes)
		writer_row_put(w, STORE_T_SUB, key, n, &value, 1, 0);
	else
		writer_row_del(w, STORE_T_SUB, key, n);
}

int
writer_account_prepare(struct writer *w, struct slice name, struct wacct **out)
{
	static const struct {
		const char *name;
		enum store_special use;
		/* clang-format off */
	} folders[] = {
		{ "INBOX", STORE_USE_NONE }, { "Sent", STORE_USE_SENT }, { "Drafts", STORE_USE_DRAFTS },
		{ "Junk", STORE_USE_JUNK }, { "Trash", STORE_USE_TRASH }, { "Archive", STORE_USE_ARCHIVE },
	};
	/* clang-format on */
	struct store_known known;
	struct wacct *a;
	int found = writer_account_find(w, name, out);

	if (found != -ENOENT)
		return found;
	a = *out = writer_account_new(w, name);
	for (size_t i = 0; i < NELEM(folders); i++) {
		struct wbox *b = writer_box_new(w, a, folders[i].name, folders[i].use);
		int rc = writer_make_box_dir(w->files, b);

		if (rc < 0)
			log_event(LOG_ERROR, "store_mkdir", "dir=%s error=%s", log_str(b->dir),
			    log_str(strerror(-rc)));
		sub_put(w, a, slice_str(folders[i].name), true);
		if (i == 0)
			a->inbox = b;
	}
	known = (struct store_known){ .id = a->d.id, .inbox = a->inbox->id };
	known.name = slice_str(a->name);
	buf_add(&w->new_accounts, &known, sizeof(known));
	log_event(LOG_INFO, "store_account", "account=%s id=%llx", log_str(a->name),
	    (unsigned long long)a->d.id);
	return 0;
}

void
writer_run_account(struct writer *w, struct store_job *j)
{
	struct store_known known;
	struct wacct *a;
	struct wbox *b;
	int rc = writer_account_prepare(w, j->req.name, &a);

	if (rc == 0)
		rc = writer_box_inbox(w, a, &b);
	if (rc < 0) {
		writer_reply_no_box(j, rc);
		return;
	}
	known = (struct store_known){ .id = a->d.id, .inbox = b->id };
	known.name = slice_str(a->name);
	buf_add(&w->new_accounts, &known, sizeof(known));
	writer_reply_ok(j);
	j->reply.account = a->d.id;
	j->reply.mailbox = b->id;
	j->reply.bytes = a->d.bytes;
	j->reply.messages = a->d.messages;
	j->reply.partition = slice_str(w->config->name);
	j->reply.path = slice_str(w->config->path);
}

/* ---- CREATE -------------------------------------------------------------------------------------- */

static bool
good_name(struct store_job *j, struct slice name, char canonical[STORE_NAME_MAX + 1])
{
	int r = store_name_check(name, canonical);

	if (r == -ENAMETOOLONG)
		writer_reply_fail(j, STORE_LIMIT, verdict(OUT_STORE_NAME_LONG));
	else if (r < 0)
		writer_reply_fail(j, STORE_BADNAME, verdict(OUT_STORE_NAME_BAD));
	return r == 0;
}

/* The same for a name that is to be given. */
static bool
good_new_name(struct store_job *j, struct slice name, char canonical[STORE_NAME_MAX + 1])
{
	if (store_name_new_ok(name))
		return good_name(j, name, canonical);
	writer_reply_fail(j, STORE_BADNAME, verdict(OUT_STORE_NAME_BAD));
	return false;
}

/* Is none of the folders above `name` damaged?  Before any of them is made: a job is refused whole. */
static int
parents_look(struct writer *w, struct wacct *a, const char *name)
{
	int rc = 0;

	for (const char *s = strchr(name, STORE_SEPARATOR); s && (rc == 0 || rc == -ENOENT);
	     s = strchr(s + 1, STORE_SEPARATOR)) {
		struct wbox *b;

		rc = writer_box_named(w, a, slice(name, (size_t)(s - name)), &b);
	}
	return rc == -ENOENT ? 0 : rc;
}

/* The folders above `name`, those that are missing; parents_look has been asked. */
static void
writer_folder_make_parents(struct writer *w, struct wacct *a, const char *name)
{
	for (const char *s = strchr(name, STORE_SEPARATOR); s; s = strchr(s + 1, STORE_SEPARATOR)) {
		struct slice above = slice(name, (size_t)(s - name));
		struct wbox *b;

		if (writer_box_named(w, a, above, &b) == -ENOENT) {
			char *copy = mem_strn(above.p, above.n);

			b = writer_box_new(w, a, copy, STORE_USE_NONE);
			writer_acl_inherit(w, b);
			(void)!writer_make_box_dir(w->files, b);
			mem_free(&copy);
		}
	}
}

static bool
account_ok(struct writer *w, struct store_job *j, struct wacct **a)
{
	int rc = writer_account_by_id(w, j->req.account, a);

	if (rc < 0)
		writer_reply_no_box(j, rc);
	return rc == 0;
}

/* Would its directory stand where another one is still to be moved from or to?  Then it is refused. */
static bool
name_unmoved(struct writer *w, struct store_job *j, const struct wacct *a, const char *name)
{
	struct buf dir = { 0 };
	bool unmoved;

	store_folder_dir(&dir, slice_str(a->name), slice_str(name));
	unmoved = writer_path_unmoved(w->files, buf_cstr(&dir));
	buf_fini(&dir);
	if (unmoved)
		writer_reply_fail(j, STORE_FAILED, verdict(OUT_STORE_UNMOVED));
	return unmoved;
}

static bool
moves_many(struct writer *w, struct store_job *j)
{
	bool many = writer_moves_many(w->files);

	if (many)
		writer_reply_fail(j, STORE_FAILED, verdict(OUT_STORE_UNMOVED));
	return many;
}

/* Would folders that are made for this name, itself or only those above it, be too many? */
static bool
folders_many(struct writer *w, struct store_job *j, struct wacct *a, const char *name, bool itself)
{
	bool guest = j->req.actor.n && !slice_eq(j->req.actor, slice_str(a->name));
	size_t n = itself;

	for (const char *s = strchr(name, STORE_SEPARATOR); s; s = strchr(s + 1, STORE_SEPARATOR)) {
		struct wbox *b;

		n += writer_box_named(w, a, slice(name, (size_t)(s - name)), &b) == -ENOENT;
	}
	if (n == 0 || a->d.mailboxes + n <= (guest ? GUESTS_MOST : FOLDERS_MOST))
		return writer_reply_if_acl_many(w, j, a, name, itself);
	writer_reply_fail(j, STORE_LIMIT, verdict(OUT_STORE_BOXES_MANY));
	return true;
}

void
writer_run_create(struct writer *w, struct store_job *j)
{
	char name[STORE_NAME_MAX + 1];
	struct wacct *a;
	struct wbox *b;
	int rc;

	if (!account_ok(w, j, &a) || !good_new_name(j, j->req.name, name) ||
	    writer_reply_unless_named(w, j, a, name, true, STORE_R_CREATE))
		return;
	rc = writer_box_named(w, a, slice_str(name), &b);
	if (rc == -ENOENT)
		rc = parents_look(w, a, name);
	if (rc < 0) {
		writer_reply_no_box(j, rc);
		return;
	}
	if (name_unmoved(w, j, a, name))
		return;
	if (b && !(b->d.attrs & STORE_NOSELECT)) {
		writer_reply_fail(j, STORE_EXISTS, verdict(OUT_STORE_EXISTS));
		return;
	}
	if (!b && folders_many(w, j, a, name, true))
		return;
	if (b) {
		b->d.attrs &= (uint8_t)~STORE_NOSELECT;
		b->d.special = j->req.use;
		b->d.uidvalidity = writer_next_uidvalidity(w, a);
		writer_name_put(w, b);
		writer_event_add(w, STORE_EV_LIST, a->d.id, b->id, writer_box_touch(w, b));
	} else {
		writer_folder_make_parents(w, a, name);
		b = writer_box_new(w, a, name, (enum store_special)j->req.use);
		writer_acl_inherit(w, b);
	}
	rc = writer_make_box_dir(w->files, b);
	if (rc < 0) /* made again with the first message */
		log_event(LOG_ERROR, "store_mkdir", "dir=%s error=%s", log_str(b->dir),
		    log_str(strerror(-rc)));
	writer_reply_ok(j);
	j->reply.account = a->d.id;
	j->reply.mailbox = b->id;
	j->reply.uidvalidity = b->d.uidvalidity;
	j->reply.modseq = b->d.highestmodseq;
}

int
writer_folder_for_mail(struct writer *w, struct store_job *j, struct wacct *a, const char *name,
    enum store_special use, struct wbox **b)
{
	struct store_reply kept = j->reply;
	int rc = parents_look(w, a, name);
	bool no;

	if (rc < 0)
		return rc;
	/* As for CREATE, but that what is said goes to nobody: the mail has another place. */
	no = !store_name_new_ok(slice_str(name)) || name_unmoved(w, j, a, name) ||
	    folders_many(w, j, a, name, true);
	j->reply = kept;
	if (no)
		return -ENOENT;
	writer_folder_make_parents(w, a, name);
	*b = writer_box_new(w, a, name, writer_use_find(w, a, use) ? STORE_USE_NONE : use);
	writer_acl_inherit(w, *b);
	rc = writer_make_box_dir(w->files, *b);
	if (rc < 0) /* made again with the first message */
		log_event(LOG_ERROR, "store_mkdir", "dir=%s error=%s", log_str((*b)->dir),
		    log_str(strerror(-rc)));
	return 0;
}

/* ---- DELETE --------------------------------------------------------------------------------------- */

static bool
writer_folder_has_children(struct writer *w, struct wacct *a, const char *name)
{
	uint8_t key[8 + STORE_NAME_MAX + 1];
	size_t n = writer_name_key(key, a->d.id, slice_str(name));
	MDB_cursor *c;
	MDB_val k, d;
	bool found = false;

	key[n++] = STORE_SEPARATOR;
	k = (MDB_val){ n, key };
	if (w->error || (w->error = mdb_cursor_open(w->txn, w->env->dbi[STORE_T_NAME], &c)))
		return false;
	if (mdb_cursor_get(c, &k, &d, MDB_SET_RANGE) == 0)
		found = k.mv_size > n && memcmp(k.mv_data, key, n) == 0;
	mdb_cursor_close(c);
	return found;
}

/* The messages go the way of expunged ones, many of them later (empty.c).  The directory is moved aside, so that the name is
 * free at once, and goes when the purge has emptied it. */
void
writer_box_delete(struct writer *w, struct wbox *b, bool keep_name)
{
	struct store_purge_item directory = { 0, 0 };
	struct buf gone = { 0 }, to = { 0 };
	uint64_t id = b->id;

	if (!writer_empty_later(w, b)) {
		writer_expunge_records(w, b, NULL, 0, true, &gone);
		buf_fini(&gone);
		writer_purge_add(w, id, &directory, 1);
	}
	store_deleted_dir(&to, id);
	writer_intent_add(w, keep_name ? STORE_INTENT_MESSAGES : STORE_INTENT_TREE, b->dir,
	    buf_cstr(&to));
	buf_fini(&to);
	if (keep_name) {
		struct wacct *a = b->acct;
		char *name = mem_str(b->name);

		/* A new mailbox takes the bare name: the old id is gone with its messages. */
		writer_box_forget(w, b);
		b = writer_box_new(w, a, name, STORE_USE_NONE);
		b->d.attrs |= STORE_NOSELECT;
		writer_name_put(w, b);
		mem_free(&name);
	} else
		writer_box_forget(w, b);
}

/* A deleted name that stayed for the folders below it goes with the last of them: else it could be
 * neither used nor deleted. */
static void
prune_superiors(struct writer *w, struct wacct *a, const char *name)
{
	char *up = mem_str(name), *end;

	while ((end = strrchr(up, STORE_SEPARATOR))) {
		struct wbox *b;

		*end = '\0';
		if (writer_box_named(w, a, slice_str(up), &b) < 0 ||
		    !(b->d.attrs & STORE_NOSELECT) || writer_folder_has_children(w, a, up))
			break;
		writer_box_delete(w, b, false);
	}
	mem_free(&up);
}

/* What the request says of the mailbox that is to go; false: it has been answered. */
static bool
delete_as_asked(struct store_job *j, const struct wbox *b, bool children)
{
	if (j->req.mailbox && j->req.mailbox != b->id) {
		writer_reply_no_box(j, -ENOENT);
		return false;
	}
	if (children && j->req.options & STORE_LEAF) {
		writer_reply_fail(j, STORE_CANNOT, verdict(OUT_STORE_INFERIORS));
		return false;
	}
	if (b->d.exists > b->d.deleted && j->req.options & STORE_EMPTY) {
		writer_reply_fail(j, STORE_CANNOT, verdict(OUT_STORE_BOX_USED));
		return false;
	}
	return true;
}

void
writer_run_delete(struct writer *w, struct store_job *j)
{
	char name[STORE_NAME_MAX + 1];
	struct wacct *a;
	struct wbox *b;
	bool children;
	int rc;

	if (!account_ok(w, j, &a) || !good_name(j, j->req.name, name) ||
	    writer_reply_unless_named(w, j, a, name, false, STORE_R_DROP) || moves_many(w, j))
		return;
	rc = writer_box_named(w, a, slice_str(name), &b);
	if (rc < 0) {
		writer_reply_no_box(j, rc);
		return;
	}
	children = writer_folder_has_children(w, a, name);
	if (!delete_as_asked(j, b, children))
		return;
	if (strcmp(name, "INBOX") == 0 || (children && b->d.attrs & STORE_NOSELECT)) {
		writer_reply_fail(j, STORE_CANNOT,
		    children ? verdict(OUT_STORE_INFERIORS) : verdict(OUT_STORE_INBOX));
		return;
	}
	j->reply.modseq = b->d.highestmodseq;
	writer_box_delete(w, b, children);
	if (!children)
		prune_superiors(w, a, name);
	writer_reply_ok(j);
}

/* ---- RENAME ---------------------------------------------------------------------------------------- */

static void
rename_box(struct writer *w, struct wbox *b, const char *to)
{
	writer_name_del(w, b->acct, b->name);
	writer_box_set_name(b, to);
	writer_name_put(w, b);
	writer_box_touch(w, b);
}

/* The names below `from`, and their ids, before anything is changed. */
static void
children_of(struct writer *w, struct wacct *a, const char *from, struct buf *ids)
{
	uint8_t key[8 + STORE_NAME_MAX + 1];
	size_t n = writer_name_key(key, a->d.id, slice_str(from));
	MDB_cursor *c;
	MDB_val k, d;
	int rc;

	key[n++] = STORE_SEPARATOR;
	k = (MDB_val){ n, key };
	if (w->error || (w->error = mdb_cursor_open(w->txn, w->env->dbi[STORE_T_NAME], &c)))
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

/* Do all names still fit when the beginning `from` becomes `to`?  0, -ENAMETOOLONG, or one of them
 * is damaged. */
static int
names_fit(struct writer *w, const struct buf *ids, size_t from_len, size_t to_len)
{
	for (size_t at = 0; at < ids->n; at += 8) {
		uint64_t id;
		struct wbox *b;

		memcpy(&id, ids->p + at, 8);
		if (writer_box_find(w, id, &b) < 0)
			return -EBADMSG;
		if (strlen(b->name) - from_len + to_len > STORE_NAME_MAX)
			return -ENAMETOOLONG;
	}
	return 0;
}

static void
rename_tree(struct writer *w, struct wbox *b, const char *to, const struct buf *ids)
{
	size_t from_len = strlen(b->name);
	char *old_dir = mem_str(b->dir);

	rename_box(w, b, to);
	for (size_t at = 0; at < ids->n; at += 8) {
		uint64_t id;
		struct wbox *child;
		char *name;

		memcpy(&id, ids->p + at, 8);
		if (writer_box_find(w, id, &child) < 0)
			continue;
		name = mem_printf("%s%s", to, child->name + from_len);
		rename_box(w, child, name);
		mem_free(&name);
	}
	writer_intent_add(w, STORE_INTENT_TREE, old_dir, b->dir);
	writer_event_add(w, STORE_EV_LIST, b->acct->d.id, b->id, b->d.highestmodseq);
	mem_free(&old_dir);
}

void
writer_run_rename(struct writer *w, struct store_job *j)
{
	char from[STORE_NAME_MAX + 1], to[STORE_NAME_MAX + 1];
	struct buf ids = { 0 };
	struct wacct *a;
	struct wbox *b, *other;
	size_t n;
	int rc;

	if (!account_ok(w, j, &a) || !good_name(j, j->req.name, from) ||
	    !good_new_name(j, j->req.name2, to) ||
	    writer_reply_unless_named(w, j, a, from, false, STORE_R_DROP) ||
	    writer_reply_unless_named(w, j, a, to, true, STORE_R_CREATE) || moves_many(w, j))
		return;
	rc = writer_box_named(w, a, slice_str(from), &b);
	if (rc < 0) {
		writer_reply_no_box(j, rc);
		return;
	}
	rc = writer_box_named(w, a, slice_str(to), &other);
	if (rc == 0) {
		writer_reply_fail(j, STORE_EXISTS, verdict(OUT_STORE_EXISTS));
		return;
	}
	if (rc == -ENOENT)
		rc = parents_look(w, a, to);
	if (rc < 0) {
		writer_reply_no_box(j, rc);
		return;
	}
	if ((strcmp(from, "INBOX") == 0 && writer_reply_unless_owner(j, a)) ||
	    folders_many(w, j, a, to, false))
		return;
	if (strcmp(from, "INBOX") == 0) {
		writer_folder_make_parents(w, a, to);
		/* RFC 3501 6.3.5: renaming INBOX moves its messages and leaves INBOX empty. */
		writer_move_all(w, j, b, writer_box_new(w, a, to, STORE_USE_NONE));
		return;
	}
	n = strlen(from);
	if (strncmp(from, to, n) == 0 && to[n] == STORE_SEPARATOR) {
		writer_reply_fail(j, STORE_CANNOT, verdict(OUT_STORE_INTO_ITSELF));
		return;
	}
	children_of(w, a, from, &ids);
	rc = names_fit(w, &ids, n, strlen(to));
	if (rc == -EBADMSG)
		writer_reply_no_box(j, rc);
	else if (rc < 0)
		writer_reply_fail(j, STORE_LIMIT, verdict(OUT_STORE_NAME_LONG));
	else {
		writer_folder_make_parents(w, a, to);
		rename_tree(w, b, to, &ids);
		prune_superiors(w, a, from);
		writer_reply_ok(j);
		j->reply.mailbox = b->id;
	}
	buf_fini(&ids);
}

/* ---- SUBSCRIBE ---------------------------------------------------------------------------------------- */

void
writer_run_subscribe(struct writer *w, struct store_job *j)
{
	char name[STORE_NAME_MAX + 1];
	struct wacct *a;

	if (!account_ok(w, j, &a) || writer_reply_unless_owner(j, a) ||
	    !good_name(j, j->req.name, name))
		return;
	sub_put(w, a, slice_str(name), j->req.yes);
	writer_event_add(w, STORE_EV_LIST, a->d.id, 0, ++a->d.modseq);
	writer_account_dirty(w, a);
	writer_reply_ok(j);
}

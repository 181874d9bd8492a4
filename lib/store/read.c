/* Reading a partition: the map, snapshots, accounts, folders.  Messages are in read_msg.c.
 *
 * LMDB is opened with MDB_NOTLS: a reader slot belongs to a transaction, not to a thread, so
 * that one thread can own many views and a view can move between threads. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "store/read_private.h"

static struct list readers = { &readers, &readers };

int
store_errno(int rc)
{
	if (rc == 0)
		return 0;
	if (rc > 0)
		return -rc; /* LMDB passes errno on */
	switch (rc) {
	case MDB_NOTFOUND: return -ENOENT;
	case MDB_READERS_FULL: return -EUSERS;
	case MDB_MAP_FULL: return -ENOSPC;
	case MDB_MAP_RESIZED: return -EAGAIN;
	default: return -EIO;
	}
}

/* A table that was opened in a read transaction lives on only if that one is committed. */
static int
open_tables(struct store_reader *r)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(r->env, NULL, MDB_RDONLY, &txn);

	if (rc)
		return rc;
	for (size_t i = 0; i < STORE_TABLES; i++) {
		rc = mdb_dbi_open(txn, store_table_names[i], 0, &r->dbi[i]);
		if (rc) {
			mdb_txn_abort(txn);
			return rc;
		}
	}
	return mdb_txn_commit(txn);
}

static void
reader_free(struct store_reader *r)
{
	if (r->env)
		mdb_env_close(r->env);
	if (r->dirfd >= 0)
		close(r->dirfd);
	mem_free(&r->path);
	mem_free(&r);
}

int
store_reader_open(const char *path, struct store_reader **out, char **why)
{
	struct store_reader *r;
	char *index;
	int rc;

	*out = NULL;
	list_each(r, &readers, struct store_reader, link)
		if (strcmp(r->path, path) == 0) {
			r->refs++;
			*out = r;
			return 0;
		}
	r = mem_new(sizeof(*r));
	r->path = mem_str(path);
	r->refs = 1;
	index = mem_printf("%s/index", path);
	r->dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rc = r->dirfd < 0 ? errno : mdb_env_create(&r->env);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(r->env, STORE_TABLES + 4);
	if (rc == 0)
		rc = mdb_env_open(r->env, index, MDB_RDONLY | MDB_NOTLS, 0640);
	if (rc == 0)
		rc = open_tables(r);
	if (rc) {
		*why = mem_printf("%s: %s", r->dirfd < 0 ? path : index, mdb_strerror(rc));
		mem_free(&index);
		reader_free(r);
		return store_errno(rc);
	}
	mem_free(&index);
	list_push(&readers, &r->link);
	*out = r;
	return 0;
}

void
store_reader_close(struct store_reader **rp)
{
	struct store_reader *r = *rp;

	*rp = NULL;
	if (!r || --r->refs > 0)
		return;
	list_remove(&r->link);
	reader_free(r);
}

/* ---- snapshots ---------------------------------------------------------------------------- */

struct store_view *
store_view_new(struct store_reader *r)
{
	struct store_view *v = mem_new(sizeof(*v));

	v->r = r;
	return v;
}

void
store_view_free(struct store_view **vp)
{
	struct store_view *v = *vp;

	*vp = NULL;
	if (!v)
		return;
	store_end(v);
	for (size_t i = 0; i < NELEM(v->cursors); i++)
		if (v->cursors[i])
			mdb_cursor_close(v->cursors[i]);
	if (v->txn)
		mdb_txn_abort(v->txn);
	mem_free(&v);
}

static int
begin_once(struct store_view *v)
{
	if (v->txn)
		return mdb_txn_renew(v->txn);
	return mdb_txn_begin(v->r->env, NULL, MDB_RDONLY, &v->txn);
}

int
store_begin(struct store_view *v)
{
	int rc;

	must(!v->begun);
	rc = begin_once(v);
	if (rc == MDB_READERS_FULL) {
		int dead;

		mdb_reader_check(v->r->env, &dead);
		rc = begin_once(v);
	}
	/* The administrator has enlarged the map and restarted stored: follow, if nobody in this
	 * process stands in the old one. */
	if (rc == MDB_MAP_RESIZED && __atomic_load_n(&v->r->begun, __ATOMIC_ACQUIRE) == 0 &&
	    mdb_env_set_mapsize(v->r->env, 0) == 0)
		rc = begin_once(v);
	if (rc) {
		log_event(LOG_ERROR, "store_snapshot", "path=%s error=%s", log_str(v->r->path),
		    log_str(mdb_strerror(rc)));
		return store_errno(rc);
	}
	__atomic_add_fetch(&v->r->begun, 1, __ATOMIC_ACQ_REL);
	v->begun = true;
	v->bound = 0;
	v->blocks = NULL;
	v->last = NULL;
	return 0;
}

void
store_end(struct store_view *v)
{
	if (!v->begun)
		return;
	mdb_txn_reset(v->txn);
	v->begun = false;
	__atomic_sub_fetch(&v->r->begun, 1, __ATOMIC_ACQ_REL);
}

int
store_refresh(struct store_view *v)
{
	store_end(v);
	return store_begin(v);
}

bool
store_begun(const struct store_view *v)
{
	return v->begun;
}

/* The view's cursor on a table, bound to this snapshot at first use. */
MDB_cursor *
store_cursor(struct store_view *v, enum store_table t)
{
	int rc = 0;

	must(v->begun);
	if (!v->cursors[t])
		rc = mdb_cursor_open(v->txn, v->r->dbi[t], &v->cursors[t]);
	else if (!(v->bound & 1u << t))
		rc = mdb_cursor_renew(v->txn, v->cursors[t]);
	v->bound |= 1u << t;
	must(rc == 0);
	return v->cursors[t];
}

struct slice
store_fetch(struct store_view *v, enum store_table t, const void *key, size_t n)
{
	MDB_val k = { n, UNCONST(key) }, d;

	must(v->begun);
	if (mdb_get(v->txn, v->r->dbi[t], &k, &d) != 0)
		return slice(NULL, 0);
	return slice(d.mv_data, d.mv_size);
}

/* ---- accounts and folders ------------------------------------------------------------------- */

int
store_find_account(struct store_view *v, struct slice name, struct store_account *a)
{
	struct store_disk_account d;
	struct slice value;

	if (store_account_check(name) < 0)
		return -ENOENT;
	value = store_fetch(v, STORE_T_ACCOUNT, name.p, name.n);
	if (!value.p)
		return -ENOENT;
	if (value.n != sizeof(d))
		return -EBADMSG;
	memcpy(&d, value.p, sizeof(d));
	if (d.version != STORE_VERSION)
		return -EBADMSG;
	*a = (struct store_account){ .id = d.id, .modseq = d.modseq, .bytes = d.bytes,
		.messages = d.messages, .mailboxes = d.mailboxes, .created_at = d.created_at };
	return 0;
}

bool
store_next_account(struct store_view *v, struct slice *name, struct store_account *a)
{
	MDB_cursor *c = store_cursor(v, STORE_T_ACCOUNT);
	char before[STORE_ACCOUNT_MAX];
	MDB_val k = { name->n, before }, d;
	int rc;

	if (name->n > sizeof(before))
		return false;
	if (name->n)
		memcpy(before, name->p, name->n);
	rc = mdb_cursor_get(c, &k, &d, name->n ? MDB_SET_RANGE : MDB_FIRST);
	if (rc == 0 && name->n && k.mv_size == name->n && memcmp(k.mv_data, before, name->n) == 0)
		rc = mdb_cursor_get(c, &k, &d, MDB_NEXT);
	if (rc != 0)
		return false;
	*name = slice(k.mv_data, k.mv_size);
	if (store_find_account(v, *name, a) < 0)
		*a = (struct store_account){ 0 };
	return true;
}

static size_t
name_key(uint8_t *key, uint64_t account, struct slice name)
{
	size_t n = name.n > STORE_NAME_MAX ? STORE_NAME_MAX : name.n;

	store_be64(key, account);
	if (n)
		memcpy(key + 8, name.p, n);
	return 8 + n;
}

int
store_find_mailbox(struct store_view *v, uint64_t account, struct slice name, uint64_t *id)
{
	uint8_t key[8 + STORE_NAME_MAX];
	struct store_disk_name d;
	struct slice value;

	if (name.n == 0 || name.n > STORE_NAME_MAX)
		return -ENOENT;
	value = store_fetch(v, STORE_T_NAME, key, name_key(key, account, name));
	if (value.n != sizeof(d))
		return -ENOENT;
	memcpy(&d, value.p, sizeof(d));
	*id = d.mailbox;
	return 0;
}

int
store_get_mailbox(struct store_view *v, uint64_t id, struct store_mailbox *m)
{
	uint8_t key[8];
	struct slice value;

	store_be64(key, id);
	value = store_fetch(v, STORE_T_MAILBOX, key, 8);
	if (!value.p)
		return -ENOENT;
	return store_mailbox_parse(value, id, true, m);
}

/* Steps to the first row of the account behind `name` ("" = its first).  False at the end. */
static bool
next_name(struct store_view *v, enum store_table t, uint64_t account, struct slice name,
    MDB_val *k, MDB_val *d)
{
	MDB_cursor *c = store_cursor(v, t);
	uint8_t key[8 + STORE_NAME_MAX];
	int rc;

	k->mv_size = name_key(key, account, name);
	k->mv_data = key;
	rc = mdb_cursor_get(c, k, d, MDB_SET_RANGE);
	if (rc == 0 && name.n && k->mv_size == 8 + name.n &&
	    memcmp(k->mv_data, key, k->mv_size) == 0)
		rc = mdb_cursor_get(c, k, d, MDB_NEXT);
	return rc == 0 && k->mv_size > 8 && memcmp(k->mv_data, key, 8) == 0;
}

/* Is there a folder below `name`?  Children need not follow their parent directly ("a b"
 * sorts between "a" and "a/c"), so that this is a search of its own. */
static bool
has_children(struct store_view *v, uint64_t account, struct slice name)
{
	uint8_t key[8 + STORE_NAME_MAX + 1];
	size_t n = name_key(key, account, name);
	MDB_val k, d;

	key[n++] = STORE_SEPARATOR;
	k = (MDB_val){ n, key };
	return mdb_cursor_get(store_cursor(v, STORE_T_NAME), &k, &d, MDB_SET_RANGE) == 0 &&
	    k.mv_size > n && memcmp(k.mv_data, key, n) == 0;
}

bool
store_next_folder(struct store_view *v, struct store_folder *f)
{
	struct store_disk_name row;
	MDB_val k, d;

	if (!next_name(v, STORE_T_NAME, f->account, f->name, &k, &d) || d.mv_size != sizeof(row))
		return false;
	memcpy(&row, d.mv_data, sizeof(row));
	f->name = slice((const char *)k.mv_data + 8, k.mv_size - 8);
	f->mailbox = row.mailbox;
	f->attrs = row.attrs;
	f->special = row.special;
	f->children = has_children(v, f->account, f->name);
	return true;
}

bool
store_next_subscription(struct store_view *v, struct store_folder *f)
{
	MDB_val k, d;

	if (!next_name(v, STORE_T_SUB, f->account, f->name, &k, &d))
		return false;
	f->name = slice((const char *)k.mv_data + 8, k.mv_size - 8);
	return true;
}

bool
store_subscribed(struct store_view *v, uint64_t account, struct slice name)
{
	uint8_t key[8 + STORE_NAME_MAX];

	if (name.n == 0 || name.n > STORE_NAME_MAX)
		return false;
	return store_fetch(v, STORE_T_SUB, key, name_key(key, account, name)).p != NULL;
}

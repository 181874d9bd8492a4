/* Reading a partition: the map, snapshots, accounts, folders.  Messages are in read-msg.c.
 *
 * Owns the list of open partitions of the process; called by everybody who reads: imapd, storectl,
 * check.  LMDB is opened with MDB_NOTLS: a reader slot belongs to a transaction, not to a thread, so
 * that one thread can own many views and a view can move between threads.  What is not there is
 * -ENOENT, what is damaged -EBADMSG, what cannot be read another -errno: never one for the other. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "store/damage.h"
#include "store/env.h"
#include "store/lockfile.h"
#include "store/read-impl.h"
#include "store/steady.h"

#define TRIES 8 /* to open an index whose files are being made or replaced */

static struct list readers = { &readers, &readers };

static int
reader_errno(int rc)
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

/* The tables that are there: more than we know, or fewer, when the store is not of our version.  A
 * table that was opened in a read transaction lives on only if that one is committed. */
static int
store_open_tables(struct store_reader *r, char **why)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(r->env, NULL, MDB_RDONLY, &txn);

	if (rc)
		return rc;
	rc = store_env_format(txn, &r->format, why);
	if (rc == 0 && r->format.major == 0)
		rc = MDB_NOTFOUND; /* stored has not begun yet */
	for (enum store_table t = 0; t < STORE_TABLES && rc == 0; t++)
		if (r->format.tables & 1u << t) {
			rc = mdb_dbi_open(txn, store_tables[t].name, 0, &r->dbi[t]);
			if (rc == MDB_NOTFOUND && store_tables[t].optional) {
				r->format.tables &= ~(1u << t);
				rc = 0;
			}
		}
	if (rc) {
		mdb_txn_abort(txn);
		return rc;
	}
	return mdb_txn_commit(txn);
}

static void
store_reader_free(struct store_reader *r)
{
	if (r->env)
		mdb_env_close(r->env);
	store_steady_unwatch(r->steady);
	if (r->dirfd >= 0)
		close(r->dirfd);
	mem_free(&r->path);
	mem_free(&r);
}

/* The files that the index's names lead to now. */
static struct store_index_files
index_files(const struct store_reader *r)
{
	struct stat data, lock, steady;

	return (struct store_index_files){
		fstatat(r->dirfd, "index/data.mdb", &data, 0) == 0 ? data.st_ino : 0,
		fstatat(r->dirfd, "index/lock.mdb", &lock, 0) == 0 ? lock.st_ino : 0,
		fstatat(r->dirfd, "index/steady", &steady, 0) == 0 ? steady.st_ino : 0,
	};
}

static bool
index_is_same(struct store_index_files a, struct store_index_files b)
{
	return a.data == b.data && a.lock == b.lock && a.steady == b.steady;
}

bool
store_reader_current(const struct store_reader *r)
{
	return index_is_same(index_files(r), r->files) &&
	    !(r->steady && store_steady_is_suspect(r->steady));
}

/* Opens the files that the names lead to at its beginning and at its end: -EAGAIN, they have been replaced
 * meanwhile, or made. */
static int
reader_open(const char *path, struct store_reader **out, char **why)
{
	struct store_reader *r = mem_new(sizeof(*r));
	struct store_index_files before = { 0 };
	char *index = mem_printf("%s/index", path), *reason = NULL;
	int rc;

	r->path = mem_str(path);
	r->refs = 1;
	r->dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rc = r->dirfd < 0 ? errno : store_damage_emptied(index) ? STORE_SHORT : 0;
	if (rc == 0)
		before = index_files(r);
	r->steady = store_steady_watch(index, &r->files.steady);
	if (rc == 0)
		rc = store_steady_trust(index);
	if (rc == 0)
		rc = mdb_env_create(&r->env);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(r->env, STORE_TABLES + 4);
	if (rc == 0)
		rc = mdb_env_open(r->env, index, MDB_RDONLY | MDB_NOTLS, 0640);
	if (rc == 0)
		rc = store_damage_look(r->env);
	if (rc == 0)
		rc = store_open_tables(r, &reason);
	if (rc && r->env && !reason) {
		mdb_env_close(r->env);
		r->env = NULL;
		reason = store_lockfile_blame(index, rc);
	}
	r->files.data = before.data;
	r->files.lock = before.lock;
	if (rc == 0 && !index_is_same(index_files(r), r->files))
		rc = EAGAIN;
	if (rc) {
		*why = mem_printf("%s: %s", r->dirfd < 0 ? path : index,
		    reason ? reason : store_damage_text(rc));
		mem_free(&reason);
		store_reader_free(r);
	} else
		*out = r;
	mem_free(&index);
	return reader_errno(rc);
}

int
store_reader_open(const char *path, struct store_reader **out, char **why)
{
	struct store_reader *r;
	char *reason = NULL;
	int rc = -EAGAIN;

	*out = NULL;
	list_each(r, &readers, struct store_reader, link) if (strcmp(r->path, path) == 0)
	{
		r->refs++;
		*out = r;
		return 0;
	}
	for (int i = 0; i < TRIES && rc == -EAGAIN; i++) {
		mem_free(&reason);
		rc = reader_open(path, out, &reason);
	}
	if (rc == 0)
		list_push(&readers, &(*out)->link);
	else
		*why = reason;
	return rc;
}

void
store_reader_close(struct store_reader **rp)
{
	struct store_reader *r = *rp;

	*rp = NULL;
	if (!r || --r->refs > 0)
		return;
	list_remove(&r->link);
	store_reader_free(r);
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

/* What is in memory may be whole, but pages of it are read again from a disk that did not take them. */
static int
begin_suspect(struct store_reader *r)
{
	if (!r->suspect)
		log_event(LOG_ERROR, "store_snapshot", "path=%s error=%s", log_str(r->path),
		    log_str(store_damage_text(STORE_SUSPECT)));
	r->suspect = true;
	return -EIO;
}

int
store_begin(struct store_view *v)
{
	int rc;

	must(!v->begun);
	if (v->r->steady && store_steady_is_suspect(v->r->steady))
		return begin_suspect(v->r);
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
		return reader_errno(rc);
	}
	__atomic_add_fetch(&v->r->begun, 1, __ATOMIC_ACQ_REL);
	v->begun = true;
	v->bound = 0;
	v->blocks = NULL;
	v->walk.n = v->last.n = 0;
	v->arrivals.known = false;
	v->as.n = 0;
	v->as.known = false;
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

/* 0, -ENOENT, or what is wrong with the index. */
static int
fetch_row(struct store_view *v, enum store_table t, const void *key, size_t n, struct slice *value)
{
	MDB_val k = { n, UNCONST(key) }, d = { 0, NULL };
	int rc;

	must(v->begun);
	rc = mdb_get(v->txn, v->r->dbi[t], &k, &d);
	*value = rc == 0 ? slice(d.mv_data, d.mv_size) : slice(NULL, 0);
	return reader_errno(rc);
}

struct slice
store_fetch(struct store_view *v, enum store_table t, const void *key, size_t n)
{
	struct slice value;

	return fetch_row(v, t, key, n, &value) == 0 ? value : slice(NULL, 0);
}

/* ---- accounts and folders ------------------------------------------------------------------- */

int
store_find_account(struct store_view *v, struct slice name, struct store_account *a)
{
	struct store_disk_account d;
	struct store_news_list news;
	struct slice value;
	int rc;

	if (store_account_check(name) < 0)
		return -ENOENT;
	rc = fetch_row(v, STORE_T_ACCOUNT, name.p, name.n, &value);
	if (rc < 0)
		return rc;
	if (!store_account_crc_ok(value) || store_account_parse(value, &d, &news) < 0)
		return -EBADMSG;
	*a = (struct store_account){ .id = d.id,
		.modseq = d.modseq,
		.bytes = d.bytes,
		.messages = d.messages,
		.mailboxes = d.mailboxes,
		.created_at = d.created_at,
		.warned = d.warned,
		.refused = d.over_since,
		.orphan_since = d.orphan_since,
		.moved_at = d.moved_at,
		.coming_at = d.coming_at,
		.threads_at = d.threads_at,
		.changes_from = store_has(v, STORE_T_CHANGE) ? d.changes_from : UINT64_MAX,
		.vanished_from = d.vanished_from,
		.news = news };
	for (size_t i = 0; i < STORE_LOGINS; i++)
		a->logins[i] = d.logins[i];
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
	int rc;

	if (name.n == 0 || name.n > STORE_NAME_MAX)
		return -ENOENT;
	rc = fetch_row(v, STORE_T_NAME, key, name_key(key, account, name), &value);
	if (rc < 0)
		return rc;
	if (store_value_read(value, sizeof(d), &d, sizeof(d)) < 0)
		return -EBADMSG;
	*id = d.mailbox;
	return 0;
}

int
store_get_mailbox(struct store_view *v, uint64_t id, struct store_mailbox *m)
{
	uint8_t key[8];
	struct slice value;
	int rc;

	store_be64(key, id);
	rc = fetch_row(v, STORE_T_MAILBOX, key, 8, &value);
	if (rc == 0)
		rc = store_mailbox_parse(value, id, true, m);
	if (rc == 0 && v->as.n)
		store_seen_mailbox(v, m);
	return rc;
}

/* Steps to the first row of the account behind `name` ("" = its first).  False at the end. */
static bool
next_name(struct store_view *v, enum store_table t, uint64_t account, struct slice name, MDB_val *k,
    MDB_val *d)
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
store_has_children(struct store_view *v, uint64_t account, struct slice name)
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
	struct store_disk_name row = { 0 };
	MDB_val k, d;

	if (!next_name(v, STORE_T_NAME, f->account, f->name, &k, &d))
		return false;
	if (d.mv_size >= sizeof(row)) /* a damaged one leads nowhere, and the walk goes on */
		memcpy(&row, d.mv_data, sizeof(row));
	f->name = slice((const char *)k.mv_data + 8, k.mv_size - 8);
	f->mailbox = row.mailbox;
	f->attrs = row.attrs;
	f->special = row.special;
	f->children = store_has_children(v, f->account, f->name);
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
	return store_fetch(v, STORE_T_SUB, key, name_key(key, account, name)).p;
}

bool
store_mark_next(struct store_view *v, struct store_mark_walk *m)
{
	uint8_t key[8 + sizeof(m->key)];
	MDB_val k = { sizeof(key), key }, d;
	struct store_disk_mark row;
	MDB_cursor *c;
	int rc;

	if (!store_has(v, STORE_T_MARK))
		return false;
	c = store_cursor(v, STORE_T_MARK);
	store_be64(key, m->account);
	memcpy(key + 8, m->key, sizeof(m->key));
	rc = mdb_cursor_get(c, &k, &d, MDB_SET_RANGE);
	if (rc == 0 && m->began && k.mv_size == sizeof(key) &&
	    memcmp(k.mv_data, key, sizeof(key)) == 0)
		rc = mdb_cursor_get(c, &k, &d, MDB_NEXT);
	m->began = true;
	for (; rc == 0 && k.mv_size >= 8 && store_get64(k.mv_data) == m->account;
	     rc = mdb_cursor_get(c, &k, &d, MDB_NEXT)) {
		if (k.mv_size != sizeof(key) || /* how many there are, or one that is damaged */
		    store_value_read(slice(d.mv_data, d.mv_size), sizeof(row), &row, sizeof(row)) <
			0)
			continue;
		memcpy(m->key, (const char *)k.mv_data + 8, sizeof(m->key));
		m->until = row.until;
		return true;
	}
	return false;
}

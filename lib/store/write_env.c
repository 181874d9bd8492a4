/* The LMDB environment of a partition, and rows within a batch. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/write_private.h"

static int
make_dir(const char *path)
{
	if (mkdir(path, 0750) == 0 || errno == EEXIST)
		return 0;
	return errno;
}

/* 16 bits of the partition's name, so that the ids of a store's partitions differ. */
static uint64_t
tag_of(const char *name)
{
	uint32_t crc = crc32c(0, name, strlen(name));

	return (uint64_t)((crc ^ crc >> 16) & 0x7fff) << 48;
}

static int
ids_load(struct store_part *p)
{
	struct slice v = row_get(p, STORE_T_META, "ids", 3);
	uint64_t tag = tag_of(p->name);

	if (v.p && v.n != sizeof(p->ids))
		return MDB_INVALID;
	if (v.p) {
		memcpy(&p->ids, v.p, sizeof(p->ids));
		return p->ids.version == STORE_VERSION ? 0 : MDB_VERSION_MISMATCH;
	}
	p->ids = (struct store_disk_ids){ .version = STORE_VERSION, .account = tag | 1,
		.mailbox = tag | 1, .email = tag | 1, .thread = tag | 1, .tag = tag };
	p->ids_dirty = p->fresh = true;
	return 0;
}

/* The number behind the last row of a queue table. */
static uint64_t
next_number(struct store_part *p, enum store_table t, size_t at)
{
	MDB_cursor *c;
	MDB_val k, d;
	uint64_t n = 1;

	if (mdb_cursor_open(p->txn, p->dbi[t], &c) != 0)
		return 1;
	/* In `purge` the number is the second half of the key: the largest is not at the end. */
	for (int rc = mdb_cursor_get(c, &k, &d, at ? MDB_FIRST : MDB_LAST); rc == 0;
	     rc = at ? mdb_cursor_get(c, &k, &d, MDB_NEXT) : MDB_NOTFOUND)
		if (k.mv_size == at + 8 && store_get64((char *)k.mv_data + at) >= n)
			n = store_get64((char *)k.mv_data + at) + 1;
	mdb_cursor_close(c);
	return n;
}

static int
open_tables(struct store_part *p)
{
	int rc = mdb_txn_begin(p->env, NULL, 0, &p->txn);

	if (rc)
		return rc;
	for (size_t i = 0; i < STORE_TABLES && rc == 0; i++)
		rc = mdb_dbi_open(p->txn, store_table_names[i], MDB_CREATE, &p->dbi[i]);
	if (rc == 0)
		rc = ids_load(p);
	if (rc == 0) {
		p->next_purge = next_number(p, STORE_T_PURGE, 8);
		p->next_dupe = next_number(p, STORE_T_DUPE, 0);
		p->next_intent = next_number(p, STORE_T_INTENT, 0);
		dup_load(p);
		row_put(p, STORE_T_META, "ids", 3, &p->ids, sizeof(p->ids), 0);
		rc = p->error;
	}
	if (rc) {
		mdb_txn_abort(p->txn);
		p->txn = NULL;
		return rc;
	}
	rc = mdb_txn_commit(p->txn);
	p->txn = NULL;
	return rc;
}

/* Is it the index itself, not a permission or a full disk? */
static bool
damaged(int rc)
{
	return rc == MDB_CORRUPTED || rc == MDB_INVALID || rc == MDB_VERSION_MISMATCH ||
	    rc == MDB_PAGE_NOTFOUND || rc == MDB_INCOMPATIBLE || rc == EIO;
}

int
env_open(struct store_part *p, char **why)
{
	char *index = mem_printf("%s/index", p->path);
	char *lock = mem_printf("%s/lock.mdb", index);
	int rc = make_dir(p->path);

	if (rc == 0)
		rc = make_dir(index);
	if (rc == 0)
		rc = mdb_env_create(&p->env);
	if (rc == 0)
		rc = mdb_env_set_mapsize(p->env, p->c.map_size);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(p->env, STORE_TABLES + 4);
	if (rc == 0)
		rc = mdb_env_set_maxreaders(p->env, p->c.max_readers);
	if (rc == 0)
		rc = mdb_env_open(p->env, index,
		    MDB_NOTLS | MDB_NORDAHEAD | (p->c.sync ? 0 : MDB_NOSYNC), 0640);
	if (rc == 0) {
		int dead;

		/* Readers take their slots in the lock file: LMDB makes it as the data file. */
		if (chmod(lock, 0660) < 0)
			log_event(LOG_WARN, "store_mode", "path=%s error=%s", log_str(lock),
			    log_str(strerror(errno)));
		mdb_reader_check(p->env, &dead);
		rc = open_tables(p);
	}
	if (rc)
		*why = mem_printf("%s: %s%s", index, mdb_strerror(rc), damaged(rc) ?
		    ": storectl recover makes the index again from a snapshot and the log" : "");
	mem_free(&lock);
	mem_free(&index);
	return rc > 0 ? -rc : rc < 0 ? -EIO : 0;
}

void
env_close(struct store_part *p)
{
	if (p->env)
		mdb_env_close(p->env);
	p->env = NULL;
}

/* ---- rows --------------------------------------------------------------------------------- */

void
row_put(struct store_part *p, enum store_table t, const void *key, size_t nkey, const void *value,
    size_t n, unsigned flags)
{
	MDB_val k = { nkey, UNCONST(key) }, d = { n, UNCONST(value) };

	log_op(p, OPLOG_PUT, t, slice(key, nkey), slice(value, n));
	if (!p->error)
		p->error = mdb_put(p->txn, p->dbi[t], &k, &d, flags);
}

void
row_put_logged(struct store_part *p, enum store_table t, const void *key, size_t nkey, const void *value,
    size_t n)
{
	MDB_val k = { nkey, UNCONST(key) }, d = { n, UNCONST(value) };

	if (!p->error)
		p->error = mdb_put(p->txn, p->dbi[t], &k, &d, 0);
}

struct slice
row_get(struct store_part *p, enum store_table t, const void *key, size_t nkey)
{
	MDB_val k = { nkey, UNCONST(key) }, d;
	int rc;

	if (p->error)
		return slice(NULL, 0);
	rc = mdb_get(p->txn, p->dbi[t], &k, &d);
	if (rc == 0)
		return slice(d.mv_data, d.mv_size);
	if (rc != MDB_NOTFOUND)
		p->error = rc;
	return slice(NULL, 0);
}

void
row_del(struct store_part *p, enum store_table t, const void *key, size_t nkey)
{
	MDB_val k = { nkey, UNCONST(key) };
	int rc;

	if (p->error)
		return;
	log_op(p, OPLOG_DEL, t, slice(key, nkey), slice(NULL, 0));
	rc = mdb_del(p->txn, p->dbi[t], &k, NULL);
	if (rc && rc != MDB_NOTFOUND)
		p->error = rc;
}

void
row_del_here(struct store_part *p, enum store_table t, MDB_cursor *c, const MDB_val *k)
{
	if (p->error)
		return;
	log_op(p, OPLOG_DEL, t, slice(k->mv_data, k->mv_size), slice(NULL, 0));
	p->error = mdb_cursor_del(c, 0);
}

uint64_t
new_id(struct store_part *p, size_t counter_at)
{
	uint64_t id, next;

	memcpy(&id, (char *)&p->ids + counter_at, sizeof(id));
	next = id + 1;
	memcpy((char *)&p->ids + counter_at, &next, sizeof(next));
	p->ids_dirty = true;
	return id;
}

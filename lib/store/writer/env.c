/* The LMDB environment of a partition, and rows within a batch.
 *
 * Called by the writer's thread (the opening before there is one).  A row that cannot be written
 * leaves its LMDB code in w->error, where it stays until the batch ends and fails: so the requests
 * need not look after each row.  Every row that is written is also an operation of the log. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/damage.h"
#include "store/env.h"
#include "store/config.h"
#include "store/lockfile.h"
#include "store/writer/writer-impl.h"

static int
make_dir(const char *path)
{
	if (mkdir(path, 0750) == 0 || errno == EEXIST)
		return 0;
	return errno;
}

/* May this program write it?  Before any table is made. */
static int
format_look(struct writer *w, struct store_format *f, char **why)
{
	int rc = store_env_format(w->txn, f, why);

	if (rc || f->major == 0 || f->major == STORE_MAJOR)
		return rc;
	*why = mem_printf("the index has format %u, this program writes format %u: "
			  "run storectl upgrade",
	    f->major, STORE_MAJOR);
	return EPROTO;
}

static int
writer_env_open_tables(struct writer *w, char **why)
{
	int rc = mdb_txn_begin(w->env->lmdb, NULL, 0, &w->txn);
	struct store_format f;

	if (rc)
		return rc;
	rc = format_look(w, &f, why);
	if (rc == 0)
		rc = store_env_tables(w->txn, STORE_MAJOR, w->env->dbi);
	if (rc == 0)
		rc = writer_ids_load(w);
	if (rc == 0)
		rc = writer_intents_look(w, why);
	w->older = f.older;
	/* Else nothing is written, for which a full disk may have no room. */
	if (rc == 0 && w->fresh)
		rc = store_env_mark(w->txn, w->env->dbi[STORE_T_META], w->now, 0);
	if (rc == 0 && w->fresh) {
		writer_ids_put(w);
		rc = w->error;
	}
	if (rc)
		mdb_txn_abort(w->txn);
	else
		rc = mdb_txn_commit(w->txn);
	w->txn = NULL;
	return rc;
}

int
writer_env_ready(struct writer *w, char **why)
{
	char *reason = NULL;
	int rc = writer_env_open_tables(w, &reason);

	if (rc)
		*why = mem_printf("%s/index: %s", w->config->path,
		    reason ? reason : store_damage_text(rc));
	mem_free(&reason);
	return rc > 0 ? -rc : rc < 0 ? -EIO : 0;
}

void
writer_batch_number(struct writer *w)
{
	struct store_format f = { 0 };
	struct buf row = { 0 };
	char *why = NULL;

	w->ids.batch++;
	w->oplog.numbered = true;
	if (!w->error && w->oplog.unmarked)
		w->error = store_env_format(w->txn, &f, &why);
	if (!w->error && w->oplog.unmarked) {
		store_format_write(&row, f.created_at, f.upgraded_at);
		writer_row_put(w, STORE_T_META, "format", 6, row.p, row.n, 0);
	}
	writer_ids_put(w);
	buf_fini(&row);
	mem_free(&why);
}

/* What the loading has changed is a batch as any other: what follows builds on it, and so must the log. */
static int
mend_commit(struct writer *w)
{
	int rc;

	writer_batch_number(w);
	rc = w->error;
	if (rc == 0)
		rc = -writer_oplog_append(w);
	if (rc == 0)
		rc = -writer_sync_batch(w->files, &w->oplog);
	if (rc)
		mdb_txn_abort(w->txn);
	else
		rc = mdb_txn_commit(w->txn);
	if (rc)
		writer_oplog_undo(w);
	else
		w->oplog.unmarked = false;
	return rc;
}

/* Does the index still say that its rows are of older versions?  The log may have told it better.  `now`:
 * that is set right before anything else; else with the first batch that there is room for. */
static int
older_look(struct writer *w, bool now, char **why)
{
	struct store_format f;
	int rc = store_env_format(w->txn, &f, why);

	/* Rows of today's versions are to come, which an older program must not pass over: neither in the
	 * index nor when it makes one again from the log. */
	if (rc == 0 && f.older) {
		w->oplog.unmarked = true;
		w->oplog.changed |= now;
	}
	return rc;
}

/* `clear`: hidden rows go, and the index is marked, which is a batch.  An LMDB code or errno. */
static int
env_load(struct writer *w, bool clear, char **why)
{
	int rc = mdb_txn_begin(w->env->lmdb, NULL, 0, &w->txn);

	if (rc)
		return rc;
	w->error = 0;
	w->now = clock_now();
	writer_files_begin(w->files, w->now);
	writer_oplog_begin(w);
	rc = writer_ids_load(w);
	w->found_batch = w->ids.batch;
	if (rc == 0)
		rc = older_look(w, clear, why);
	if (rc == 0) {
		writer_dup_load(w);
		writer_pending_load(w, clear);
		writer_empty_load(w);
		if (clear)
			writer_seen_configured(w);
		rc = w->error;
	}
	if (rc == 0 && w->oplog.changed)
		rc = mend_commit(w);
	else
		mdb_txn_abort(w->txn);
	w->txn = NULL;
	writer_forget_all(w);
	buf_clear(&w->events); /* nobody listens yet */
	return rc;
}

int
writer_env_load(struct writer *w, char **why)
{
	int rc = env_load(w, true, why);

	if (rc == ENOSPC || rc == EDQUOT || rc == MDB_MAP_FULL) {
		log_event(LOG_WARN, "store_hidden", "partition=%s error=%s",
		    log_str(w->config->name), log_str(mdb_strerror(rc)));
		rc = env_load(w, false, why);
	}
	w->error = 0;
	return rc > 0 ? -rc : rc < 0 ? -EIO : 0;
}

/* LMDB would begin anew in an empty file.  Where there are users it is one that has lost its content. */
static bool
is_emptied(const struct writer *w, const char *index)
{
	struct stat users;

	return store_damage_emptied(index) && fstatat(w->files->dirfd, "=user", &users, 0) == 0;
}

/* Between the two renames of an upgrade there is no index, but a whole new one and the old one.  An
 * index made now would hide both, and the next upgrade would find nothing to do. */
static bool
upgrade_stopped(const struct writer *w)
{
	int at = w->files->dirfd;

	return faccessat(at, "index/data.mdb", F_OK, 0) < 0 &&
	    (faccessat(at, "index.new/data.mdb", F_OK, 0) == 0 ||
		faccessat(at, "index.v1/data.mdb", F_OK, 0) == 0);
}

static int
env_open_size(struct writer *w, const char *index, uint64_t size)
{
	int rc = mdb_env_create(&w->env->lmdb);

	if (rc == 0)
		rc = mdb_env_set_mapsize(w->env->lmdb, size);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(w->env->lmdb, STORE_TABLES + 4);
	if (rc == 0)
		rc = mdb_env_set_maxreaders(w->env->lmdb, w->config->max_readers);
	if (rc == 0)
		rc = mdb_env_open(w->env->lmdb, index,
		    MDB_NOTLS | MDB_NORDAHEAD | (w->config->sync ? 0 : MDB_NOSYNC), 0640);
	return rc;
}

/* With a map as large as may be; where memory may not be addressed that far, a smaller one. */
static int
env_open_map(struct writer *w, const char *index)
{
	uint64_t size = store_map_size(w->config->path, w->config->map_size);
	int rc = env_open_size(w, index, size);

	while (rc == ENOMEM && !w->config->map_size && size / 2 >= STORE_MAP_LEAST) {
		size /= 2;
		writer_env_close(w->env);
		rc = env_open_size(w, index, size);
	}
	return rc;
}

/* Takes both mutexes of the lock file once, for readers and for the writer.  Only this is watched: what
 * follows reads the index, which may take its time. */
static int
lock_try(MDB_env *lmdb, const char *index, pid_t holder)
{
	MDB_txn *txn;
	int rc, dead;

	if (holder)
		store_lockfile_watch(index, holder);
	rc = mdb_reader_check(lmdb, &dead);
	if (rc == 0)
		rc = mdb_txn_begin(lmdb, NULL, 0, &txn);
	if (rc == 0)
		mdb_txn_abort(txn);
	if (holder)
		store_lockfile_watch_end();
	return rc;
}

int
writer_env_open(struct writer *w, char **why)
{
	char *index = mem_printf("%s/index", w->config->path);
	char *lock = mem_printf("%s/lock.mdb", index), *reason = NULL;
	pid_t holder = store_lockfile_holder(index);
	int rc = make_dir(w->config->path);

	if (rc == 0 && upgrade_stopped(w)) {
		reason = mem_str("an upgrade was interrupted: run storectl upgrade again");
		rc = ENOENT;
	}
	if (rc == 0)
		rc = make_dir(index);
	if (rc == 0 && is_emptied(w, index))
		rc = STORE_SHORT;
	if (rc == 0)
		rc = -writer_steady_prepare(w->config, &w->oplog.here, &w->oplog.doubt, &reason);
	if (rc == 0)
		rc = env_open_map(w, index);
	if (rc == 0)
		rc = lock_try(w->env->lmdb, index, holder);
	if (rc == 0)
		rc = store_damage_look(w->env->lmdb);
	if (rc == 0) {
		/* Readers take their slots in the lock file: LMDB makes it as the data file. */
		if (chmod(lock, 0660) < 0)
			log_event(LOG_WARN, "store_mode", "path=%s error=%s", log_str(lock),
			    log_str(strerror(errno)));
	}
	if (rc && holder && !reason) {
		writer_env_close(w->env);
		reason = store_lockfile_blame(index, rc);
	}
	if (rc)
		*why = mem_printf("%s: %s", index, reason ? reason : store_damage_text(rc));
	mem_free(&reason);
	mem_free(&lock);
	mem_free(&index);
	return rc > 0 ? -rc : rc < 0 ? -EIO : 0;
}

void
writer_env_close(struct part_env *env)
{
	if (env->lmdb)
		mdb_env_close(env->lmdb);
	env->lmdb = NULL;
}

/* ---- rows --------------------------------------------------------------------------------- */

void
writer_row_put_unlogged(struct writer *w, enum store_table t, const void *key, size_t nkey,
    const void *value, size_t n, unsigned flags)
{
	MDB_val k = { nkey, UNCONST(key) }, d = { n, UNCONST(value) };

	if (w->error)
		return;
	w->error = mdb_put(w->txn, w->env->dbi[t], &k, &d, flags);
	/* The end was only hoped for: ids that came with a user from elsewhere may be larger. */
	if (w->error == MDB_KEYEXIST && flags & MDB_APPEND)
		w->error = mdb_put(w->txn, w->env->dbi[t], &k, &d, flags & ~(unsigned)MDB_APPEND);
}

void
writer_row_put(struct writer *w, enum store_table t, const void *key, size_t nkey,
    const void *value, size_t n, unsigned flags)
{
	writer_oplog_op(w, OPLOG_PUT, t, slice(key, nkey), slice(value, n));
	writer_row_put_unlogged(w, t, key, nkey, value, n, flags);
}

void
writer_row_put_roomy(struct writer *w, enum store_table t, struct slice key, struct slice value,
    size_t room)
{
	writer_oplog_op(w, OPLOG_PUT, t, key, value);
	writer_row_put_unlogged(w, t, key.p, key.n, value.p, room, 0);
}

struct slice
writer_row_get(struct writer *w, enum store_table t, const void *key, size_t nkey)
{
	MDB_val k = { nkey, UNCONST(key) }, d;
	int rc;

	if (w->error)
		return slice(NULL, 0);
	rc = mdb_get(w->txn, w->env->dbi[t], &k, &d);
	if (rc == 0)
		return slice(d.mv_data, d.mv_size);
	if (rc != MDB_NOTFOUND)
		w->error = rc;
	return slice(NULL, 0);
}

void
writer_row_del(struct writer *w, enum store_table t, const void *key, size_t nkey)
{
	MDB_val k = { nkey, UNCONST(key) };
	int rc;

	if (w->error)
		return;
	writer_oplog_op(w, OPLOG_DEL, t, slice(key, nkey), slice(NULL, 0));
	rc = mdb_del(w->txn, w->env->dbi[t], &k, NULL);
	if (rc && rc != MDB_NOTFOUND)
		w->error = rc;
}

void
writer_row_del_here(struct writer *w, enum store_table t, MDB_cursor *c, const MDB_val *k)
{
	if (w->error)
		return;
	writer_oplog_op(w, OPLOG_DEL, t, slice(k->mv_data, k->mv_size), slice(NULL, 0));
	w->error = mdb_cursor_del(c, 0);
}

/* The road back after an index is lost: snapshot, then the log.  The new index grows in
 * index.new and takes its place only when it is complete and synced. */
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/oplog.h"
#include "store/recover.h"
#include "store/snapshot.h"

#define TXN_BYTES (16u * 1024 * 1024) /* of operations in one transaction */

struct work {
	struct store_recover *r;
	int dirfd, logfd;
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi[STORE_TABLES];
	size_t pending;        /* bytes in txn */
	struct buf block;
	char **why;
};

static void
tell(struct work *w, const char *fmt, ...) PRINTF(2, 3);

static void
tell(struct work *w, const char *fmt, ...)
{
	struct buf b = { 0 };
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	w->r->tell(w->r->arg, buf_cstr(&b));
	buf_fini(&b);
}

/* Of LMDB or errno, to -errno; the first reason stays. */
static int
fail(struct work *w, int rc, const char *what)
{
	if (!*w->why)
		*w->why = mem_printf("%s: %s", what, mdb_strerror(rc));
	return rc > 0 ? -rc : -EIO;
}

static void
remove_index(int at, const char *name)
{
	static const char *const files[] = { "data.mdb", "lock.mdb" };
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; fd >= 0 && i < NELEM(files); i++)
		unlinkat(fd, files[i], 0);
	if (fd >= 0)
		close(fd);
	unlinkat(at, name, AT_REMOVEDIR);
}

/* ---- the beginning ----------------------------------------------------------------------------- */

static int
copy_file(const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	int rc = in < 0 || out < 0 ? errno : 0;
	ssize_t n = 1;

	while (rc == 0 && n > 0) {
		char bytes[65536];

		n = read(in, bytes, sizeof(bytes));
		if (n < 0 || (n > 0 && write(out, bytes, (size_t)n) != n))
			rc = errno ? errno : EIO;
	}
	if (in >= 0)
		close(in);
	if (out >= 0 && close(out) < 0 && rc == 0)
		rc = errno;
	return rc;
}

/* Puts the newest snapshot that is good into index.new; none is good: leaves it empty. */
static void
take_snapshot(struct work *w, const char *data)
{
	size_t n;
	struct snapshot *list = snapshot_list(w->r->snapshots, &n);

	for (size_t i = n; i-- > 0 && w->r->from == 0;) {
		char *path = mem_printf("%s/%s", w->r->snapshots, list[i].name);
		uint64_t batch = 0;
		int rc = copy_file(path, data);

		if (rc == 0)
			rc = snapshot_look(data, &batch);
		if (rc == 0) {
			w->r->from = w->r->batch = batch;
			tell(w, "snapshot %s with batch %llu", path, (unsigned long long)batch);
		} else {
			tell(w, "snapshot %s is no good: %s", path, mdb_strerror(rc));
			unlink(data);
		}
		mem_free(&path);
	}
	snapshot_list_free(&list, n);
}

static int
open_new(struct work *w)
{
	char *index = mem_printf("%s/index.new", w->r->path), *data = mem_printf("%s/data.mdb", index);
	int rc;

	remove_index(w->dirfd, "index.new");
	rc = mkdirat(w->dirfd, "index.new", 0750) < 0 ? errno : 0;
	if (rc == 0) {
		take_snapshot(w, data);
		rc = mdb_env_create(&w->env);
	}
	if (rc == 0)
		rc = mdb_env_set_mapsize(w->env, w->r->map_size);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(w->env, STORE_TABLES + 4);
	if (rc == 0)
		rc = mdb_env_open(w->env, index, MDB_NOSYNC | MDB_NOLOCK, 0640);
	if (rc == 0)
		rc = mdb_txn_begin(w->env, NULL, 0, &w->txn);
	for (size_t i = 0; i < STORE_TABLES && rc == 0; i++)
		rc = mdb_dbi_open(w->txn, store_table_names[i], MDB_CREATE, &w->dbi[i]);
	rc = rc ? fail(w, rc, index) : 0;
	mem_free(&data);
	mem_free(&index);
	return rc;
}

/* ---- the log -------------------------------------------------------------------------------------- */

static int
apply(struct work *w, const struct oplog_op *op)
{
	MDB_val k = { op->key.n, (void *)(uintptr_t)op->key.p }, d = { 0 };
	struct slice value = op->value;
	int rc;

	if (op->kind == OPLOG_RECORDS || op->kind == OPLOG_GONE) {
		rc = mdb_get(w->txn, w->dbi[op->table], &k, &d);
		if (rc && rc != MDB_NOTFOUND)
			return rc;
		value = rc ? slice(NULL, 0) : slice(d.mv_data, d.mv_size);
		if (oplog_block_change(op, value, &w->block) < 0)
			return EBADMSG;
		value = buf_get(&w->block);
	}
	if (op->kind == OPLOG_DEL || (op->kind != OPLOG_PUT && value.n == 0)) {
		rc = mdb_del(w->txn, w->dbi[op->table], &k, NULL);
		return rc == MDB_NOTFOUND ? 0 : rc;
	}
	d = (MDB_val){ value.n, (void *)(uintptr_t)value.p };
	return mdb_put(w->txn, w->dbi[op->table], &k, &d, 0);
}

static int
replay(struct work *w, const struct oplog_frame *f)
{
	struct slice ops = f->ops;
	struct oplog_op op;
	int more = 1, rc = 0;

	while (rc == 0 && (more = oplog_op_parse(&ops, &op)) > 0)
		rc = apply(w, &op);
	if (rc == 0 && more < 0)
		rc = EBADMSG;
	w->pending += f->size;
	if (rc == 0 && w->pending > TXN_BYTES) {
		rc = mdb_txn_commit(w->txn);
		w->txn = NULL;
		w->pending = 0;
		if (rc == 0)
			rc = mdb_txn_begin(w->env, NULL, 0, &w->txn);
	}
	w->r->batch = f->batch;
	w->r->at = f->at;
	w->r->batches++;
	return rc ? fail(w, rc, "a batch of the log") : 0;
}

/* Batches are missing between the last one and `next`.  False: stop. */
static bool
hole(struct work *w, const char *segment, uint64_t next)
{
	tell(w, "%s: batches %llu to %llu are missing or damaged", segment,
	    (unsigned long long)w->r->batch + 1, (unsigned long long)next - 1);
	w->r->holes++;
	return w->r->force;
}

static int
replay_bytes(struct work *w, const char *segment, struct slice bytes, bool last)
{
	struct oplog_frame f;
	size_t at = 0, skipped;

	while (oplog_next(bytes, &at, &f, &skipped)) {
		int rc;

		if (f.batch <= w->r->batch)
			continue;
		if (f.batch != w->r->batch + 1 && !hole(w, segment, f.batch)) {
			*w->why = mem_str("the log has a hole");
			return -EUCLEAN;
		}
		rc = replay(w, &f);
		if (rc < 0)
			return rc;
	}
	if (last && at < bytes.n)
		tell(w, "%s: the last %zu bytes are an unfinished or damaged batch: left out", segment,
		    bytes.n - at);
	return 0;
}

static int
replay_segment(struct work *w, uint32_t number, bool last)
{
	char name[32];
	struct stat st;
	void *map = NULL;
	int fd, rc = 0;

	snprintf(name, sizeof(name), OPLOG_SEGMENT, number);
	fd = openat(w->logfd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		rc = fail(w, errno, name);
	else if (st.st_size > 0) {
		map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (map == MAP_FAILED)
			rc = fail(w, errno, name);
		else {
			rc = replay_bytes(w, name, slice(map, (size_t)st.st_size), last);
			munmap(map, (size_t)st.st_size);
		}
	}
	if (fd >= 0)
		close(fd);
	return rc;
}

static int
replay_all(struct work *w)
{
	uint32_t *segments = NULL;
	size_t n = 0;
	int rc = 0;

	w->logfd = openat(w->dirfd, "log", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (w->logfd >= 0)
		segments = oplog_segments(w->logfd, &n);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = replay_segment(w, segments[i], i == n - 1);
	mem_free(&segments);
	if (rc == 0 && w->r->batch == 0)
		rc = fail(w, ENOENT, "there is neither a good snapshot nor a log");
	return rc;
}

/* ---- the end ------------------------------------------------------------------------------------------ */

/* Whoever runs this: the files belong to whom the partition belongs. */
static void
give(int at, const char *name, const struct stat *owner)
{
	if (geteuid() == 0)
		(void)!fchownat(at, name, owner->st_uid, owner->st_gid, 0);
}

static int
finish_new(struct work *w)
{
	char *path = NULL, *why = NULL;
	struct stat owner;
	uint64_t batch;
	int rc = mdb_txn_commit(w->txn);

	w->txn = NULL;
	if (rc == 0)
		rc = mdb_env_sync(w->env, 1);
	if (rc == 0 && fstat(w->dirfd, &owner) < 0)
		rc = errno;
	if (rc)
		return fail(w, rc, "index.new");
	give(w->dirfd, "index.new", &owner);
	give(w->dirfd, "index.new/data.mdb", &owner);
	/* The next recovery need not come by this log's damage again. */
	if (snapshot_make(w->env, w->r->snapshots, &path, &batch, &why) == 0) {
		give(AT_FDCWD, path, &owner);
		give(AT_FDCWD, w->r->snapshots, &owner);
	} else
		tell(w, "no snapshot of the new index: %s", why);
	mem_free(&path);
	mem_free(&why);
	return 0;
}

/* The old index to SNAPSHOTS/bad, the new one in its place. */
static int
install(struct work *w)
{
	char *bad = mem_printf("%s/bad", w->r->snapshots);
	int rc = 0;

	remove_index(w->dirfd, "index.bad");
	if (renameat(w->dirfd, "index", w->dirfd, "index.bad") < 0 && errno != ENOENT)
		rc = fail(w, errno, "index");
	if (rc == 0 && renameat(w->dirfd, "index.new", w->dirfd, "index") < 0)
		rc = fail(w, errno, "index.new");
	if (rc == 0 && fsync(w->dirfd) < 0)
		rc = fail(w, errno, w->r->path);
	if (rc == 0 && faccessat(w->dirfd, "index.bad", F_OK, 0) == 0) {
		remove_index(AT_FDCWD, bad);
		if (renameat(w->dirfd, "index.bad", AT_FDCWD, bad) == 0)
			tell(w, "the old index is %s", bad);
		else
			tell(w, "the old index is %s/index.bad", w->r->path);
	}
	mem_free(&bad);
	return rc;
}

int
store_recover(struct store_recover *r, char **why)
{
	struct work w = { .r = r, .dirfd = -1, .logfd = -1, .why = why };
	int rc = 0;

	*why = NULL;
	w.dirfd = open(r->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (w.dirfd < 0)
		rc = fail(&w, errno, r->path);
	else if (flock(w.dirfd, LOCK_EX | LOCK_NB) < 0) {
		*why = mem_printf("%s: stored is at work here; stop it first", r->path);
		rc = -EBUSY;
	}
	if (rc == 0) {
		rc = open_new(&w);
		if (rc == 0)
			rc = replay_all(&w);
		if (rc == 0)
			rc = finish_new(&w);
		if (w.txn)
			mdb_txn_abort(w.txn);
		if (w.env)
			mdb_env_close(w.env);
		if (rc == 0)
			rc = install(&w);
		if (rc < 0)
			remove_index(w.dirfd, "index.new");
	}
	if (w.logfd >= 0)
		close(w.logfd);
	if (w.dirfd >= 0)
		close(w.dirfd);
	buf_fini(&w.block);
	return rc;
}

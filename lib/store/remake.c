/* An index is made again beside the old one, and takes its place when it is whole.
 *
 * Called by recover.c and upgrade.c under the partition's lock.  Everything on disk can fail; the first
 * reason is kept and told.  The new index grows without syncs and is nothing until it is finished:
 * synced, with its directory, and given to whom the partition belongs.  Between the two renames there
 * is no index, but the old one under its other name and a whole new one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/holder.h"
#include "store/remake.h"
#include "store/snapshot.h"

#define INDEX_NEW "index.new"

void
store_remake_tell(const struct store_remake *m, const char *fmt, ...)
{
	struct buf b = { 0 };
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	m->tell(m->arg, buf_cstr(&b));
	buf_fini(&b);
}

int
store_remake_fail(struct store_remake *m, int rc, const char *what)
{
	if (!*m->why)
		*m->why = mem_printf("%s: %s", what, mdb_strerror(rc));
	return rc > 0 ? -rc : -EIO;
}

/* ---- files ---------------------------------------------------------------------------------- */

void
store_remake_remove(int at, const char *index)
{
	static const char *const files[] = { "data.mdb", "lock.mdb", "steady", "steady.new" };
	int fd = openat(at, index, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; fd >= 0 && i < NELEM(files); i++)
		unlinkat(fd, files[i], 0);
	if (fd >= 0)
		close(fd);
	unlinkat(at, index, AT_REMOVEDIR);
}

bool
store_remake_there(const struct store_remake *m, const char *name)
{
	return faccessat(m->dirfd, name, F_OK, 0) == 0;
}

/* Whoever runs this: the files belong to whom the partition belongs. */
static void
remake_give(int at, const char *name, const struct stat *owner)
{
	if (geteuid() == 0)
		(void)!fchownat(at, name, owner->st_uid, owner->st_gid, 0);
}

int
store_remake_begin(struct store_remake *m)
{
	char *who = NULL;
	int rc;

	m->made = false;
	m->env = NULL;
	m->txn = NULL;
	*m->why = NULL;
	m->dirfd = open(m->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (m->dirfd < 0)
		return store_remake_fail(m, errno, m->path);
	if ((rc = store_holder_lock(m->dirfd, "storectl", &who)) < 0) {
		*m->why = mem_printf("%s: %s; stop it first", m->path, who ? who : strerror(-rc));
		mem_free(&who);
		return -EBUSY;
	}
	return 0;
}

int
store_remake_dir(struct store_remake *m)
{
	store_remake_remove(m->dirfd, INDEX_NEW);
	m->made = true;
	return mkdirat(m->dirfd, INDEX_NEW, 0750) < 0 ? store_remake_fail(m, errno, INDEX_NEW) : 0;
}

int
store_remake_open(struct store_remake *m, uint64_t map_size)
{
	char *index = mem_printf("%s/%s", m->path, INDEX_NEW);
	int rc = mdb_env_create(&m->env);

	if (rc == 0)
		rc = mdb_env_set_mapsize(m->env, map_size);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(m->env, STORE_TABLES + 4);
	if (rc == 0)
		rc = mdb_env_open(m->env, index, MDB_NOSYNC | MDB_NOLOCK, 0640);
	if (rc == 0)
		rc = mdb_txn_begin(m->env, NULL, 0, &m->txn);
	rc = rc ? store_remake_fail(m, rc, index) : 0;
	mem_free(&index);
	return rc;
}

static int
dir_sync(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 || fsync(fd) < 0 ? errno : 0;

	if (fd >= 0)
		close(fd);
	return rc;
}

int
store_remake_finish(struct store_remake *m)
{
	char *snapshot = NULL, *why = NULL;
	struct stat owner;
	uint64_t batch;
	int rc = mdb_txn_commit(m->txn);

	m->txn = NULL;
	if (rc == 0)
		rc = mdb_env_sync(m->env, 1);
	if (rc == 0 && fstat(m->dirfd, &owner) < 0)
		rc = errno;
	if (rc == 0) {
		remake_give(m->dirfd, INDEX_NEW, &owner);
		remake_give(m->dirfd, INDEX_NEW "/data.mdb", &owner);
		rc = dir_sync(m->dirfd, INDEX_NEW);
	}
	if (rc)
		return store_remake_fail(m, rc, INDEX_NEW);
	/* The next recovery need not go by what lies behind. */
	if (store_snapshot_make(m->env, m->snapshots, &snapshot, &batch, &why) == 0) {
		remake_give(AT_FDCWD, snapshot, &owner);
		remake_give(AT_FDCWD, m->snapshots, &owner);
	} else
		store_remake_tell(m, "no snapshot of the new index: %s", why);
	mem_free(&snapshot);
	mem_free(&why);
	mdb_env_close(m->env);
	m->env = NULL;
	return 0;
}

int
store_remake_install(struct store_remake *m, const char *aside)
{
	if (store_remake_there(m, "index")) {
		store_remake_remove(m->dirfd, aside);
		if (renameat(m->dirfd, "index", m->dirfd, aside) < 0)
			return store_remake_fail(m, errno, "index");
	}
	/* From here on it is all there is: it stays whatever happens. */
	m->made = false;
	if (renameat(m->dirfd, INDEX_NEW, m->dirfd, "index") < 0)
		return store_remake_fail(m, errno, INDEX_NEW);
	return fsync(m->dirfd) < 0 ? store_remake_fail(m, errno, m->path) : 0;
}

void
store_remake_end(struct store_remake *m)
{
	if (m->txn)
		mdb_txn_abort(m->txn);
	if (m->env)
		mdb_env_close(m->env);
	if (m->made)
		store_remake_remove(m->dirfd, INDEX_NEW);
	if (m->dirfd >= 0)
		close(m->dirfd);
	m->txn = NULL;
	m->env = NULL;
	m->dirfd = -1;
}

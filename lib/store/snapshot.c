/* Copies of an index: their names, making one, looking whether one is good, removing old ones.
 *
 * Called by stored's snapshot thread and by recovery, outside of the writer's transactions.
 * What can fail is the disk: then the reason is told and the older copies stay.  A copy has its
 * name only when it is synced and was read back; one that is looked at is opened without locks,
 * as nobody else writes it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "base/civil.h"
#include "base/clock.h"
#include "base/mem.h"
#include "store/damage.h"
#include "store/snapshot.h"

/* ---- names -------------------------------------------------------------------------------------- */

static bool
name_parse(const char *name, struct snapshot *s)
{
	struct civil c = { 0 };
	unsigned long long batch;
	int year, end = 0;

	if (sscanf(name, "%4d%2d%2dT%2d%2d%2dZ-%llu.mdb%n", &year, &c.month, &c.day, &c.hour,
		&c.minute, &c.second, &batch, &end) != 7 ||
	    end == 0 || name[end])
		return false;
	c.year = year;
	s->at = civil_to_unix(&c);
	s->batch = batch;
	return true;
}

static int
cmp_snapshot(const void *a, const void *b)
{
	const struct snapshot *x = a, *y = b;

	if (x->batch != y->batch)
		return x->batch < y->batch ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

struct snapshot *
store_snapshot_list(const char *dir, size_t *n)
{
	DIR *d = opendir(dir);
	struct snapshot *list = NULL, s;

	*n = 0;
	for (struct dirent *e; d && (e = readdir(d));) {
		if (!name_parse(e->d_name, &s))
			continue;
		s.name = mem_str(e->d_name);
		list = mem_grow(list, *n + 1, sizeof(*list));
		list[(*n)++] = s;
	}
	if (d)
		closedir(d);
	if (*n)
		qsort(list, *n, sizeof(*list), cmp_snapshot);
	return list;
}

void
store_snapshot_list_free(struct snapshot **list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		mem_free(&(*list)[i].name);
	mem_free(list);
}

uint64_t
store_snapshot_newest(const char *dir)
{
	size_t n = 0;
	struct snapshot *list = dir ? store_snapshot_list(dir, &n) : NULL;
	uint64_t batch = n ? list[n - 1].batch : 0;

	store_snapshot_list_free(&list, n);
	return batch;
}

/* ---- making -------------------------------------------------------------------------------------- */

int
store_snapshot_look(const char *path, uint64_t *batch)
{
	MDB_env *env = NULL;
	MDB_txn *txn = NULL;
	MDB_dbi dbi;
	MDB_val k = { 3, (void *)(uintptr_t) "ids" }, d;
	struct store_disk_ids ids;
	int rc = mdb_env_create(&env);

	if (rc == 0)
		rc = mdb_env_set_maxdbs(env, STORE_TABLES + 4);
	if (rc == 0)
		rc = mdb_env_open(env, path, MDB_NOSUBDIR | MDB_RDONLY | MDB_NOLOCK, 0640);
	if (rc == 0)
		rc = store_damage_look(env);
	if (rc == 0)
		rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
	if (rc == 0)
		rc = mdb_dbi_open(txn, store_tables[STORE_T_META].name, 0, &dbi);
	if (rc == 0)
		rc = mdb_get(txn, dbi, &k, &d);
	if (rc == 0 &&
	    store_value_read(slice(d.mv_data, d.mv_size), STORE_IDS_V1, &ids, sizeof(ids)) < 0)
		rc = MDB_INVALID;
	if (rc == 0) {
		*batch = ids.batch;
		rc = ids.version == STORE_VERSION ? 0 : MDB_VERSION_MISMATCH;
	}
	if (txn)
		mdb_txn_abort(txn);
	if (env)
		mdb_env_close(env);
	return rc;
}

static int
sync_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	if (fd < 0)
		return errno;
	rc = fsync(fd) < 0 ? errno : 0;
	close(fd);
	return rc;
}

/* An LMDB code or errno. */
static int
copy_to(MDB_env *env, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640), rc;

	if (fd < 0)
		return errno;
	rc = mdb_env_copyfd2(env, fd, MDB_CP_COMPACT);
	if (rc == MDB_INCOMPATIBLE && ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0)
		rc = mdb_env_copyfd2(env, fd, 0); /* it has pages that nothing leads to */
	if (rc == 0 && fsync(fd) < 0)
		rc = errno;
	if (close(fd) < 0 && rc == 0)
		rc = errno;
	return rc;
}

int
store_snapshot_make(MDB_env *env, const char *dir, char **path, uint64_t *batch, char **why)
{
	struct civil c = civil_from_unix(clock_now());
	char *time = mem_printf("%04d%02d%02dT%02d%02d%02dZ", (int)c.year, c.month, c.day, c.hour,
	    c.minute, c.second);
	char *new = mem_printf("%s/%s.new", dir, time);
	int rc;

	*path = NULL;
	(void)!files_make_dirs(dir, 0750); /* what is missing shows when a file is opened there */
	rc = copy_to(env, new);
	if (rc == 0)
		rc = store_snapshot_look(new, batch);
	if (rc == 0) {
		*path = mem_printf("%s/%s-%llu.mdb", dir, time, (unsigned long long)*batch);
		rc = rename(new, *path) < 0 ? errno : sync_dir(dir);
	}
	if (rc) {
		*why = mem_printf("%s: %s", new, mdb_strerror(rc));
		unlink(new);
		mem_free(path);
	}
	mem_free(&new);
	mem_free(&time);
	return rc > 0 ? -rc : rc < 0 ? -EIO : 0;
}

uint64_t
store_snapshot_prune(const char *dir)
{
	DIR *d = opendir(dir);
	struct snapshot *list;
	size_t n;
	uint64_t oldest = 0;

	for (struct dirent *e; d && (e = readdir(d));)
		if (slice_ends(slice_str(e->d_name), S(".new")))
			unlinkat(dirfd(d), e->d_name, 0);
	list = store_snapshot_list(dir, &n);
	for (size_t i = 0; d && i + SNAPSHOTS_KEPT < n; i++)
		unlinkat(dirfd(d), list[i].name, 0);
	if (n)
		oldest = list[n > SNAPSHOTS_KEPT ? n - SNAPSHOTS_KEPT : 0].batch;
	if (d)
		closedir(d);
	store_snapshot_list_free(&list, n);
	return oldest;
}

/* The road back after an index is lost: snapshot, then the log.
 *
 * Called by storectl recover while stored is away, under the partition's lock.  What can fail is
 * everything on disk; the first reason is kept and told.  The new index grows in index.new and
 * takes its place only when it is complete and synced; until then the old one is untouched.  A
 * hole in the log stops it unless it is forced, and so does an index that opens and has more than the
 * new one would: batches are not in the log when it was not kept, or has gone.  Numbers that others may
 * have seen are not given again. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/files.h"
#include "base/mem.h"
#include "store/damage.h"
#include "store/env.h"
#include "store/config.h"
#include "store/recover.h"
#include "store/remake.h"
#include "store/replay.h"
#include "store/snapshot.h"
#include "store/steady.h"

struct work {
	struct store_recover *r;
	struct store_remake new;
	struct store_replay replay; /* has the tables; the transaction is that of `new` */
};

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
		rc = n < 0 ? errno : n > 0 ? -files_write(out, bytes, (size_t)n) : 0;
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
	struct snapshot *list = store_snapshot_list(w->r->snapshots, &n);

	for (size_t i = n; i-- > 0 && w->r->from == 0;) {
		char *path = mem_printf("%s/%s", w->r->snapshots, list[i].name);
		uint64_t batch = 0;
		int rc = copy_file(path, data);

		if (rc == 0)
			rc = store_snapshot_look(data, &batch);
		if (rc == 0) {
			w->r->from = w->r->batch = batch;
			store_remake_tell(&w->new, "snapshot %s with batch %llu", path,
			    (unsigned long long)batch);
		} else {
			store_remake_tell(&w->new, "snapshot %s is no good: %s", path,
			    store_damage_text(rc));
			unlink(data);
		}
		mem_free(&path);
	}
	store_snapshot_list_free(&list, n);
}

static int
tables_open(struct work *w, unsigned major)
{
	w->replay.major = major;
	return store_env_tables(w->new.txn, major, w->replay.dbi);
}

static int
open_new(struct work *w)
{
	char *data = mem_printf("%s/index.new/data.mdb", w->r->path);
	struct store_format f;
	int rc = store_remake_dir(&w->new);

	if (rc == 0) {
		take_snapshot(w, data);
		rc = store_remake_open(&w->new, store_map_size(w->r->path, w->r->map_size));
	}
	if (rc == 0) {
		rc = store_env_format(w->new.txn, &f, w->new.why);
		if (rc == 0 && f.major)
			rc = tables_open(w, f.major);
		rc = rc ? store_remake_fail(&w->new, rc, "index.new") : 0;
	}
	mem_free(&data);
	return rc;
}

/* ---- the log -------------------------------------------------------------------------------------- */

/* What the index that was says of message files: the batch of its last steady point, 0 when that is not known,
 * and whether a sync has failed since. */
static void
files_known(struct work *w)
{
	char *index = mem_printf("%s/index", w->r->path);
	struct store_steady s;
	int rc = store_steady_read(index, &s);

	mem_free(&index);
	w->replay.synced = rc == 0 ? s.batch : 0;
	w->replay.doubt = rc == 0 && s.suspect;
}

/* Files that stored had not synced, and those that were made again: no steady point will do it. */
static int
files_sync(struct work *w)
{
	return syncfs(w->new.dirfd) < 0 ? store_remake_fail(&w->new, errno, "sync") : 0;
}

static int
digests_all(struct work *w)
{
	int rc = 0;

	if (w->r->digest && w->replay.major == STORE_MAJOR)
		rc = store_digests_make(&w->replay, w->r->digest, &w->r->digests);
	return rc ? store_remake_fail(&w->new, rc, "index.new") : 0;
}

static int
replay_all(struct work *w)
{
	struct store_replay *p = &w->replay;
	int rc;

	files_known(w);
	p->dirfd = w->new.dirfd;
	p->logfd = openat(w->new.dirfd, "log", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	p->env = w->new.env;
	p->txn = w->new.txn;
	p->batch = w->r->batch;
	p->force = w->r->force;
	p->tell = w->r->tell;
	p->arg = w->r->arg;
	p->why = w->new.why;
	rc = store_replay(p);
	if (rc == 0)
		rc = digests_all(w);
	if (p->logfd >= 0)
		close(p->logfd);
	w->new.txn = p->txn;
	w->r->batch = p->batch;
	w->r->batches = p->batches;
	w->r->holes = p->holes;
	w->r->at = p->at;
	if (rc == 0 && p->batch == 0)
		rc = store_remake_fail(&w->new, ENOENT,
		    "there is neither a good snapshot nor a log");
	return rc;
}

/* What was lost behind the end of the log may have been seen by others: numbers of batches come
 * again, but in another epoch. */
static int
epoch_next(struct work *w)
{
	MDB_val k = { 3, (void *)(uintptr_t) "ids" }, d;
	struct store_disk_ids ids;
	int rc = mdb_get(w->new.txn, w->replay.dbi[STORE_T_META], &k, &d);

	if (rc || w->replay.major < 2)
		return rc;
	if (store_value_read(slice(d.mv_data, d.mv_size), STORE_IDS_V1, &ids, sizeof(ids)) < 0)
		return MDB_INVALID;
	ids.log++;
	d = (MDB_val){ sizeof(ids), &ids };
	return mdb_put(w->new.txn, w->replay.dbi[STORE_T_META], &k, &d, 0);
}

/* ---- the index that is there -------------------------------------------------------------------- */

/* Its last batch, 0: it is of no use.  It may be damaged in any way, and LMDB then ends the process: so
 * another one looks. */
static uint64_t
batch_of_index(const char *data)
{
	const struct rlimit no_core = { 0, 0 };
	uint64_t batch = 0;
	int fds[2], null;
	pid_t pid;

	if (pipe(fds) < 0)
		return 0;
	pid = fork();
	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL);
		(void)!setrlimit(RLIMIT_CORE, &no_core);
		null = open("/dev/null", O_WRONLY);
		if (null >= 0)
			dup2(null, STDERR_FILENO);
		if (store_snapshot_look(data, &batch) == 0 &&
		    write(fds[1], &batch, sizeof(batch)) < 0)
			_exit(1);
		_exit(0);
	}
	close(fds[1]);
	if (pid < 0 || read(fds[0], &batch, sizeof(batch)) != (ssize_t)sizeof(batch))
		batch = 0;
	close(fds[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return batch;
}

/* Has it batches that the new one has not?  After a power cut it counts as far as its steady point. */
static int
check_newer(struct work *w)
{
	char *index = mem_printf("%s/index", w->r->path);
	char *data = mem_printf("%s/data.mdb", index);
	int rc = store_steady_trust(index);
	bool is_torn = rc == STORE_TORN || rc == STORE_SUSPECT;
	uint64_t batch = is_torn ? w->replay.synced : rc == 0 ? batch_of_index(data) : 0;

	mem_free(&data);
	mem_free(&index);
	if (batch <= w->r->batch)
		return 0;
	store_remake_tell(&w->new,
	    "the index that is there has batch %llu, a snapshot and the log lead to batch %llu",
	    (unsigned long long)batch, (unsigned long long)w->r->batch);
	if (w->r->force)
		return 0;
	*w->new.why =
	    mem_printf("%llu batches that the index has and the log has not would be lost "
		       "(log = no, or the log was moved away): start stored with that "
		       "index; if it is damaged, --force does without them",
		(unsigned long long)(batch - w->r->batch));
	return -EEXIST;
}

/* Its tables are those of its steady point; what came behind has gone with the log. */
static int
rewound_mark(struct work *w, const char *index)
{
	char *steady = mem_printf("%s/steady", index);
	MDB_env *env = NULL;
	int rc = mdb_env_create(&env);

	if (rc == 0)
		rc = mdb_env_set_mapsize(env, store_map_size(w->r->path, w->r->map_size));
	if (rc == 0)
		rc = mdb_env_set_maxdbs(env, STORE_TABLES + 4);
	if (rc == 0)
		rc = mdb_env_open(env, index, MDB_NOLOCK, 0640);
	if (rc == 0)
		rc = mdb_txn_begin(env, NULL, 0, &w->new.txn);
	if (rc == 0)
		rc = store_env_tables(w->new.txn, STORE_MAJOR, w->replay.dbi);
	w->replay.major = STORE_MAJOR;
	if (rc == 0)
		rc = epoch_next(w);
	if (rc == 0) {
		rc = mdb_txn_commit(w->new.txn);
		w->new.txn = NULL;
	}
	if (rc == 0 && unlink(steady) < 0)
		rc = errno;
	if (w->new.txn)
		mdb_txn_abort(w->new.txn);
	w->new.txn = NULL;
	if (env)
		mdb_env_close(env);
	mem_free(&steady);
	return rc;
}

/* After a power cut, and without the log that was to be done again: the steady point is the newest that
 * there is, newer than any snapshot.  1: it is in place; 0: nothing of the kind; -errno. */
static int
recover_point(struct work *w)
{
	char *index = mem_printf("%s/index", w->r->path);
	struct store_steady s;
	int rc = store_steady_read(index, &s), trust = store_steady_trust(index);

	if (rc < 0 || (trust != STORE_TORN && trust != STORE_SUSPECT) || !s.logged ||
	    !store_replay_is_lost(w->r->path, &s))
		rc = 0;
	else if (!w->r->force) {
		*w->new.why = mem_printf("the power was cut, and the log that has what came behind "
					 "batch %llu is not there: put back %s/log; --force goes "
					 "on without it",
		    (unsigned long long)s.batch, w->r->path);
		rc = -EEXIST;
	} else {
		rc = -store_steady_rewind(index, &s);
		if (rc == 0)
			rc = rewound_mark(w, index);
		if (rc)
			rc = store_remake_fail(&w->new, rc, index);
		else {
			store_remake_tell(&w->new,
			    "the index is as of batch %llu; what came behind is lost: run storectl "
			    "reconstruct for each account, mail is found by its files",
			    (unsigned long long)s.batch);
			w->r->batch = s.batch;
			rc = 1;
		}
	}
	mem_free(&index);
	return rc;
}

/* ---- the end ------------------------------------------------------------------------------------------ */

/* The old index to SNAPSHOTS/bad. */
static void
keep_bad(struct work *w)
{
	char *bad = mem_printf("%s/bad", w->r->snapshots);

	store_remake_remove(AT_FDCWD, bad);
	if (renameat(w->new.dirfd, "index.bad", AT_FDCWD, bad) == 0)
		store_remake_tell(&w->new, "the old index is %s", bad);
	else
		store_remake_tell(&w->new, "the old index is %s/index.bad", w->r->path);
	mem_free(&bad);
}

/* Frames that the new index cannot follow must not be taken for its own. */
static void
keep_log(struct work *w)
{
	char *name = mem_printf("log-%llu", (unsigned long long)w->r->batch);

	store_remake_tell(&w->new, "the log was followed to batch %llu, where its format changes",
	    (unsigned long long)w->r->batch);
	if (renameat(w->new.dirfd, "log", w->new.dirfd, name) < 0)
		store_remake_tell(&w->new, "%s/log: %s; move it away", w->r->path, strerror(errno));
	else
		store_remake_tell(&w->new, "the log is %s/%s", w->r->path, name);
	store_remake_tell(&w->new,
	    "run storectl upgrade, start stored, and run storectl reconstruct "
	    "for each account");
	mem_free(&name);
}

static int
recover_run(struct work *w)
{
	int rc = recover_point(w);

	if (rc)
		return rc < 0 ? rc : 0;
	rc = open_new(w);
	if (rc == 0)
		rc = replay_all(w);
	if (rc == 0)
		rc = check_newer(w);
	if (rc == 0) {
		rc = epoch_next(w);
		rc = rc ? store_remake_fail(&w->new, rc, "index.new") : 0;
	}
	if (rc == 0)
		rc = files_sync(w);
	if (rc == 0)
		rc = store_remake_finish(&w->new);
	if (rc == 0)
		rc = store_remake_install(&w->new, "index.bad");
	if (rc == 0 && store_remake_there(&w->new, "index.bad"))
		keep_bad(w);
	if (rc == 0 && w->replay.left)
		keep_log(w);
	return rc;
}

int
store_recover(struct store_recover *r, char **why)
{
	struct work w = { .r = r,
		.new = { .path = r->path,
		    .snapshots = r->snapshots,
		    .tell = r->tell,
		    .arg = r->arg,
		    .why = why } };
	int rc = store_remake_begin(&w.new);

	if (rc == 0)
		rc = recover_run(&w);
	w.replay.txn = NULL; /* that of `new` */
	store_replay_fini(&w.replay);
	store_remake_end(&w.new);
	return rc;
}

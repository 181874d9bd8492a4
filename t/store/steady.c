/* Steady points: the file with two slots, and an index that is put back to one. */
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/damage.h"
#include "store/steady.h"
#include "store/writer/writer-impl.h"
#include "../tap.h"

static char dir[] = "/tmp/tiermail-t-XXXXXX", path[64];
static MDB_env *env;

static void
env_open(void)
{
	if (mdb_env_create(&env) || mdb_env_set_mapsize(env, 64 << 20) ||
	    mdb_env_open(env, dir, MDB_NOTLS | MDB_NOSYNC, 0640))
		abort();
}

/* A commit that makes `key` n long. */
static void
put(const char *key, size_t n)
{
	MDB_txn *txn;
	MDB_dbi dbi;
	MDB_val k = { strlen(key), (void *)(uintptr_t)key }, d = { n, mem_new(n) };

	if (mdb_txn_begin(env, NULL, 0, &txn) || mdb_dbi_open(txn, NULL, 0, &dbi) ||
	    mdb_put(txn, dbi, &k, &d, 0) || mdb_txn_commit(txn))
		abort();
	mem_free(&d.mv_data);
}

/* The length of a value; -1: there is none. */
static long
get(const char *key)
{
	MDB_txn *txn;
	MDB_dbi dbi;
	MDB_val k = { strlen(key), (void *)(uintptr_t)key }, d;
	long n = -1;

	if (mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) || mdb_dbi_open(txn, NULL, 0, &dbi))
		abort();
	if (mdb_get(txn, dbi, &k, &d) == 0)
		n = (long)d.mv_size;
	mdb_txn_abort(txn);
	return n;
}

static void
test_file(void)
{
	struct store_steady s = { .txn = 7, .batch = 9, .page = 4096 }, got;
	const void *points;
	uint64_t ino;
	int fd;

	eq(store_steady_read(dir, &got), -ENOENT, "there is none");
	eq(store_steady_trust(dir), 0, "an index without one is trusted");
	fd = open(path, O_RDWR | O_CREAT, 0640);
	eq(store_steady_read(dir, &got), -ENOENT, "an empty file is none");
	ok(!store_steady_watch(dir, &ino) && ino == 0, "nor is there anything to watch");
	eq(store_steady_write(fd, &s), 0, "written");
	s.txn = 8;
	s.suspect = true;
	eq(store_steady_write(fd, &s), 0, "and another one");
	ok(store_steady_read(dir, &got) == 0 && got.txn == 8 && got.seq == 2 && got.suspect &&
		!got.clean && got.batch == 9,
	    "the newer one is read");
	points = store_steady_watch(dir, &ino);
	ok(points && ino && store_steady_is_suspect(points), "which is seen in memory");
	eq(store_steady_trust(dir), STORE_SUSPECT, "an index that could not be synced is not read");
	eq(store_steady_boot(s.boot), 0, "also under this kernel");
	eq(store_steady_write(fd, &s), 0, "which has a name");
	eq(store_steady_trust(dir), STORE_SUSPECT, "and knows what was written to it");
	s.suspect = false;
	memset(s.boot, 1, 16);
	s.logged = true;
	eq(store_steady_write(fd, &s), 0, "of another boot");
	ok(!store_steady_is_suspect(points), "not suspect any more");
	store_steady_unwatch(points);
	ok(store_steady_read(dir, &got) == 0 && got.logged && !got.damaged, "with its log");
	s.logged = false;
	eq(store_steady_trust(dir), STORE_TORN, "the index is not trusted");
	memset(s.boot, 0, 16);
	eq(store_steady_write(fd, &s), 0, "of a kernel without a name");
	eq(store_steady_trust(dir), STORE_TORN, "which is nobody's");
	eq(store_steady_boot(s.boot), 0, "ours has one");
	eq(store_steady_write(fd, &s), 0, "of this boot");
	eq(store_steady_trust(dir), 0, "it is");
	memset(s.boot, 1, 16);
	s.clean = true;
	eq(store_steady_write(fd, &s), 0, "of another, but nothing was written since");
	eq(store_steady_trust(dir), 0, "it is too");
	if (pwrite(fd, "x", 1, 4096 + 40) != 1) /* slot 1 has the seventh */
		abort();
	ok(store_steady_read(dir, &got) == 0 && got.seq == 6 && got.damaged,
	    "a torn one leaves the one before, and is told");
	if (pwrite(fd, "x", 1, 40) != 1)
		abort();
	eq(store_steady_read(dir, &got), -EBADMSG, "both torn is told");
	eq(store_steady_trust(dir), STORE_TORN, "and not trusted");
	close(fd);
	unlink(path);
	mkdir(path, 0700);
	ok(store_steady_read(dir, &got) == -EISDIR, "one that cannot be read is not a missing one");
	rmdir(path);
}

static void
test_rewind(void)
{
	struct store_steady s = { 0 }, older = { 0 };
	MDB_txn *pin;
	char data[80];
	int status;
	struct stat before, after;

	env_open();
	put("a", 10);
	if (mdb_txn_begin(env, NULL, MDB_RDONLY, &pin))
		abort();
	eq(store_steady_take(env, pin, &older), 0, "a point");
	mdb_txn_abort(pin);
	put("a", 20000);
	put("b", 20000);
	if (mdb_txn_begin(env, NULL, MDB_RDONLY, &pin))
		abort();
	eq(store_steady_take(env, pin, &s), 0, "a later one, held");
	ok(s.txn == older.txn + 2, "of its transaction");
	for (int i = 0; i < 20; i++) { /* pages of it are freed and must not be used again */
		put("a", 30000);
		put("c", (size_t)(i + 1) * 1000);
	}
	eq(store_steady_take(env, pin, &older), -EAGAIN, "not of one that is not the newest");
	if (fork() == 0) /* locks are a process's */
		_exit(store_steady_rewind(dir, &s) == -EBUSY ? 0 : 1);
	ok(wait(&status) > 0 && status == 0, "nothing is put back under who has it open");
	ok(get("a") == 30000 && get("c") == 20000, "and nothing has changed");
	mdb_txn_abort(pin);
	mdb_env_close(env);

	eq(store_steady_rewind(dir, &s), 0, "put back");
	env_open();
	ok(get("a") == 20000 && get("b") == 20000 && get("c") == -1, "all is as it was then");
	put("d", 5);
	ok(get("d") == 5 && get("a") == 20000, "and it goes on from there");
	mdb_env_close(env);
	eq(store_steady_rewind(dir, &s), 0, "as often as needed");
	env_open();
	eq(get("d"), -1, "with the same end");
	mdb_env_close(env);

	older = s;
	older.txn = 0;
	eq(store_steady_rewind(dir, &older), -EBADMSG, "before the first commit there is nothing");
	older.txn = s.txn + 50;
	memcpy(older.meta + 144, &older.txn, sizeof(older.txn));
	snprintf(data, sizeof(data), "%s/data.mdb", dir);
	stat(data, &before);
	eq(store_steady_rewind(dir, &older), -ENOENT,
	    "a file that is older than the point is another one");
	stat(data, &after);
	ok(before.st_mtim.tv_sec == after.st_mtim.tv_sec &&
		before.st_mtim.tv_nsec == after.st_mtim.tv_nsec,
	    "and stays as it is");
	if (truncate(data, 4096) < 0)
		abort();
	eq(store_steady_rewind(dir, &s), -EBADMSG, "one without meta pages is LMDB's to refuse");
	unlink(data);
	snprintf(data, sizeof(data), "%s/lock.mdb", dir);
	unlink(data);
}

static void
nobody(void *arg)
{
	(void)arg;
}

/* A point that could not be taken between two commits is taken soon, also when nothing follows. */
static void
test_again(void)
{
	struct store_queue q = { .steady_used = 0 };

	writer_queue_init(&q, nobody, NULL);
	writer_queue_steady_again(&q);
	alarm(120); /* else it waits for a change that may never come */
	ok(writer_queue_steady_wait(&q, 0), "what could not be taken is wanted again");
	alarm(0);
	writer_queue_fini(&q);
}

/* On a full disk the pages that a point keeps are needed at once, to expunge something. */
static void
test_full(void)
{
	struct store_queue q = { .steady_used = 0 };
	struct writer w = { .failing = ENOSPC };
	struct list jobs, work;

	list_init(&jobs);
	list_init(&work);
	writer_queue_init(&q, nobody, NULL);
	writer_queue_finish(&q, &jobs, &work, false, &w);
	alarm(120); /* else it waits for a change, and then for an hour */
	ok(writer_queue_steady_wait(&q, 3600000),
	    "a batch that the disk had no room for wants a point");
	alarm(0);
	writer_queue_fini(&q);
}

/* A frame that can only be cut off takes the zeros behind it along: they are no room on disk any more. */
static void
test_undo(void)
{
	const struct store_part_config config = { .name = "x", .sync = false, .log = true };
	struct writer w = { .config = &config, .ids = { .batch = 8 } };
	const struct rlimit most = { 1000, RLIM_INFINITY }, any = { RLIM_INFINITY, RLIM_INFINITY };
	struct stat st;

	w.oplog = (struct wlog){ .fd = open(path, O_RDWR | O_CREAT, 0640),
		.numbered = true,
		.before = 1000,
		.at = 1500,
		.written = 1500,
		.size = 5000,
		.stable = 5000 };
	signal(SIGXFSZ, SIG_IGN);
	if (w.oplog.fd < 0 || ftruncate(w.oplog.fd, 5000) < 0 || setrlimit(RLIMIT_FSIZE, &most) < 0)
		abort();
	writer_oplog_undo(&w);
	if (setrlimit(RLIMIT_FSIZE, &any) < 0)
		abort();
	fstat(w.oplog.fd, &st);
	ok(st.st_size == 1000 && w.ids.batch == 7, "nothing can be written: the frame is cut off");
	ok(w.oplog.at == 1000 && w.oplog.size == 1000 && w.oplog.stable == 1000,
	    "and what follows needs a whole sync");
	close(w.oplog.fd);
	unlink(path);
}

int
main(void)
{
	if (!mkdtemp(dir))
		abort();
	snprintf(path, sizeof(path), "%s/steady", dir);
	test_file();
	test_rewind();
	test_again();
	test_full();
	test_undo();
	eq(rmdir(dir), 0, "nothing else was made");
	return done();
}

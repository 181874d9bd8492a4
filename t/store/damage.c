/* An index that is healthy, and written to while it is looked at, is not taken for one that is cut
 * off: its file is shorter than its last page says in one moment, and the pages that are missing are
 * in use, and written, in the next. */
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

#include "../tap.h"
#include "base/must.h"
#include "store/damage.h"

typedef int begin_fn(MDB_env *, MDB_txn *, unsigned, MDB_txn **);

static MDB_env *env;
static int commits; /* to be done when somebody begins to read */

static int
begin(MDB_env *e, MDB_txn *parent, unsigned flags, MDB_txn **txn)
{
	static begin_fn *real;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "mdb_txn_begin");
	return real(e, parent, flags, txn);
}

/* A value of some pages, which stays or is taken back at once: then its pages are free, and those at
 * the end of the file are not written. */
static void
commit_value(unsigned n, size_t pages, bool stays)
{
	static char big[64 * 4096];
	MDB_val key = { sizeof(n), &n }, value = { pages * 4096, big };
	MDB_txn *txn;
	MDB_dbi dbi;

	must(begin(env, NULL, 0, &txn) == 0);
	must(mdb_dbi_open(txn, NULL, 0, &dbi) == 0);
	must(mdb_put(txn, dbi, &key, &value, 0) == 0);
	must(stays || mdb_del(txn, dbi, &key, NULL) == 0);
	must(mdb_txn_commit(txn) == 0);
}

/* LMDB's: the writer is quicker than the reader. */
int
mdb_txn_begin(MDB_env *e, MDB_txn *parent, unsigned flags, MDB_txn **txn)
{
	static unsigned n = 100;

	for (; flags & MDB_RDONLY && commits > 0; commits--)
		commit_value(n++, 8, true);
	return begin(e, parent, flags, txn);
}

int
main(void)
{
	char dir[] = "/tmp/damage.XXXXXX", file[64];

	must(mkdtemp(dir));
	must(mdb_env_create(&env) == 0);
	must(mdb_env_set_mapsize(env, 16u << 20) == 0);
	must(mdb_env_open(env, dir, MDB_NOSYNC, 0600) == 0);
	for (unsigned i = 10; i < 20;
	     i++) /* so that there are free pages, which a commit is to list */
		commit_value(i, 1, true);
	commit_value(2, 60, false);
	eq(store_damage_look(env), 0, "pages that were taken and given back are not missing");
	commits = 1;
	eq(store_damage_look(env), 0, "nor are they when they are used meanwhile");
	eq(commits, 0, "which they were");
	commit_value(3, 60, false);
	commits = 3;
	eq(store_damage_look(env), 0, "again and again");
	snprintf(file, sizeof(file), "%s/data.mdb", dir);
	must(truncate(file, 8 * 4096) == 0);
	eq(store_damage_look(env), STORE_SHORT, "a file that is cut off is");
	mdb_env_close(env);
	(void)unlink(file);
	snprintf(file, sizeof(file), "%s/lock.mdb", dir);
	(void)unlink(file);
	(void)rmdir(dir);
	done();
	return 0;
}

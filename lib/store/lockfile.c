/* Is it the lock file that is wrong, and not the index?  See lockfile.h.
 *
 * Called by the writer's opening and by readers.  The layout of the file is LMDB's own business and
 * differs from build to build; so nothing here reads it.  Whether it is to blame is found by leaving
 * it out: an index that opens well without it is good.  What must stay true: nothing here removes or
 * empties a lock file.  Readers that live on keep the old one, and a writer that does not see them
 * uses pages again that they are reading. */
#include "store/lockfile.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "store/damage.h"
#include "store/format.h"

#define PATIENCE                                                                                   \
	5 /* seconds; readers hold its mutex for microseconds, and another writer there is none */

static char *
lock_path(const char *index)
{
	return mem_printf("%s/lock.mdb", index);
}

pid_t
store_lockfile_holder(const char *index)
{
	char *path = lock_path(index);
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	/* Every process that has it open holds a lock on its first byte. */
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1 };
	pid_t pid = 0;

	if (fd >= 0) {
		if (fcntl(fd, F_GETLK, &l) == 0 && l.l_type != F_UNLCK)
			pid = l.l_pid;
		close(fd);
	}
	mem_free(&path);
	return pid;
}

/* Does the index open without it? */
static bool
is_index_good(const char *index)
{
	MDB_env *env = NULL;
	int rc = mdb_env_create(&env);

	if (rc == 0)
		rc = mdb_env_set_maxdbs(env, STORE_TABLES + 4);
	if (rc == 0)
		rc = mdb_env_open(env, index, MDB_RDONLY | MDB_NOTLS | MDB_NOLOCK, 0640);
	if (rc == 0)
		rc = store_damage_look(env);
	if (env)
		mdb_env_close(env);
	return rc == 0;
}

char *
store_lockfile_blame(const char *index, int rc)
{
	/* What LMDB says of its magic and version, of a file that is too short, and of a mutex. */
	bool may_be = rc == MDB_INVALID || rc == MDB_VERSION_MISMATCH || rc == EINVAL;
	pid_t pid = may_be ? store_lockfile_holder(index) : 0;

	if (!pid || !is_index_good(index))
		return NULL;
	return mem_printf("lock.mdb is damaged and in use by process %ld: stop all that read the "
			  "store, then start stored; the index itself is good",
	    (long)pid);
}

/* ---- a mutex that nobody gives back --------------------------------------------------------------- */

static const char *watched;
static pid_t watched_holder;

/* The thread waits in the kernel, inside LMDB: it holds no lock of stdio or the log. */
static void
on_alarm(int sig)
{
	(void)sig;
	log_event(LOG_ERROR, "store_lock", "index=%s holder=%ld error=%s", log_str(watched),
	    (long)watched_holder,
	    log_str("lock.mdb is damaged, or who holds it does not go on: stop all that read the "
		    "store, then start stored; the index itself is good"));
	_exit(EX_TEMPFAIL);
}

void
store_lockfile_watch(const char *index, pid_t holder)
{
	struct sigaction sa = { .sa_handler = on_alarm };

	watched = index;
	watched_holder = holder;
	sigemptyset(&sa.sa_mask);
	sigaction(SIGALRM, &sa, NULL);
	alarm(PATIENCE);
}

void
store_lockfile_watch_end(void)
{
	alarm(0);
	signal(SIGALRM, SIG_DFL);
	watched = NULL;
}

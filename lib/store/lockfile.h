/* store/lockfile.h: index/lock.mdb, where LMDB's readers and its writer meet.
 *
 * When nobody has it open LMDB makes it anew, whatever was in it.  When somebody has, it is believed:
 * what is wrong with it then is told as such, because the index beside it is as good as before. */
#ifndef STORE_LOCKFILE_H
#define STORE_LOCKFILE_H
#include <sys/types.h>
#include "base/attr.h"

/* A process that has it open, 0 = none.  Only while we have not: closing the file that this looks at
 * would give up LMDB's own lock on it. */
pid_t store_lockfile_holder(const char *index);
/* The index could not be opened, for this code, and is closed again: is that the lock file's fault
 * alone?  Words for it (heap), or NULL. */
char *store_lockfile_blame(const char *index, int rc) MUSTCHECK;
/* From now until store_lockfile_watch_end the process ends with words when the opening does not come
 * to its end: a mutex in the file says that it is held by somebody who will never give it back.  The
 * caller owns SIGALRM meanwhile.  `index` lives as long. */
void store_lockfile_watch(const char *index, pid_t holder);
void store_lockfile_watch_end(void);
#endif

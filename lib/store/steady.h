/* store/steady.h: the last state of an index that is known to be on disk (tiermail-store(5)).
 *
 * The log is what commits a batch; the index follows without syncs of its own.  PATH/index/steady
 * says which transaction of the index was synced last, and has LMDB's meta page of it: after a
 * power cut or a crash the index is put back to that, and what the log has behind it is done again.  An
 * index without the file was synced with each commit: made by storectl, or by a stored that keeps no log. */
#ifndef STORE_STEADY_H
#define STORE_STEADY_H
#include <lmdb.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/attr.h"

#define STEADY_META 152 /* bytes of a page with LMDB's head of a page and its meta */

struct store_steady {
	uint64_t seq;              /* ascending; the file has the last two */
	uint64_t txn, batch;       /* of the index; batch: the last one in it */
	bool clean;                /* nothing was written to the index since */
	bool suspect;              /* a sync of the index has failed since */
	bool logged;               /* the log has a frame of `batch` or a later one */
	bool damaged;              /* read: the file's other point is of no use */
	uint8_t boot[16];          /* of the kernel under which it was written */
	uint32_t page;             /* bytes of a page */
	uint8_t meta[STEADY_META]; /* of the transaction */
};

/* Opens the file for writing, made if need be, and as large as it ever gets: who maps it before the first
 * point has that one, too.  The descriptor, or -errno. */
int store_steady_open(const char *path, int flags) MUSTCHECK;
/* The newest point that the directory `index` has: 0, -ENOENT, -EBADMSG (none is whole), -errno. */
int store_steady_read(const char *index, struct store_steady *s) MUSTCHECK;
/* Writes s as the next one to the file open as fd, and syncs it.  0 or -errno; then the former one
 * is as good as before. */
int store_steady_write(int fd, struct store_steady *s) MUSTCHECK;
/* May the index be read as it is?  0, errno, or (damage.h) STORE_TORN: the power was cut, or STORE_SUSPECT:
 * it could not be synced, and stored has not been started since.  For everybody who opens an index
 * and is not its writer. */
int store_steady_trust(const char *index) MUSTCHECK;
/* The same while it is open, for a reader: the file's points, mapped; NULL: there are none.  *ino is the
 * file's, 0 then. */
const void *store_steady_watch(const char *index, uint64_t *ino);
bool store_steady_is_suspect(const void *points); /* some loads of memory */
void store_steady_unwatch(const void *points);
/* The id of the running kernel.  0; -ENOENT: it is not known, and zeros. */
int store_steady_boot(uint8_t boot[16]) MUSTCHECK;
/* Was the point written under this kernel?  Then what was written since is there, synced or not. */
bool store_steady_same_boot(const struct store_steady *s);

/* Takes down the meta page of the transaction `txn`, which the caller holds, and checks that LMDB's
 * file looks as we know it.  0; -EAGAIN: the writer has gone on meanwhile, take a newer one;
 * -ENOTSUP: this is another layout. */
int store_steady_take(MDB_env *env, MDB_txn *txn, struct store_steady *s) MUSTCHECK;
/* Puts the index back to the point, when nobody has it open.  0; -ENOENT: the file is not the one of
 * this point, but an older one that somebody has put there, and stays; -EBUSY: somebody has it
 * open; -EBADMSG: its meta pages, or the point's, are no good; -errno. */
int store_steady_rewind(const char *index, const struct store_steady *s) MUSTCHECK;
#endif

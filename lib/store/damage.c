/* Indexes that are cut off or damaged.
 *
 * Owns what is done about a SIGBUS of an index.  Called by everybody who opens an index: the writer, readers, check,
 * recover.  LMDB looks at its two meta pages and no further, so a file that a full disk, a copy or a
 * careless hand has cut off opens well and kills at the first read behind its end.  What must stay
 * true: a healthy file is never refused.  It may be shorter than its last page number says, because
 * pages that were allocated and given back in one transaction are never written; those are in
 * LMDB's list of free pages, and only others count as missing. */
#include "store/damage.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mapped.h"
#include "base/mem.h"
#include "base/slice.h"

#define FREE_DBI   0 /* LMDB's own table of free pages: values are {count, page numbers} */
#define LOOKS_MOST 1000

/* ---- while it runs ---------------------------------------------------------------------------- */

static __thread sigjmp_buf *guarded; /* where to go on after a bad read, NULL = nowhere */

/* The file that is mapped at `at`, from the kernel's list; "" when it is none. */
static void
name_of_map(const void *at, char *name, size_t cap)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[4400];

	name[0] = 0;
	while (f && fgets(line, sizeof(line), f)) {
		unsigned long from, to;
		const char *path = strchr(line, '/');

		if (path && sscanf(line, "%lx-%lx", &from, &to) == 2 && (unsigned long)at >= from &&
		    (unsigned long)at < to)
			snprintf(name, cap, "%.*s", (int)strcspn(path, "\n"), path);
	}
	if (f)
		fclose(f);
}

/* The signal comes from our own read of the map, so no lock of stdio or the log is held by this
 * thread; should another hold one, the alarm ends it. */
static void
on_bus_error(int sig, siginfo_t *info, void *context)
{
	char name[4096];

	(void)sig;
	(void)context;
	if (guarded)
		siglongjmp(*guarded, 1);
	signal(SIGALRM, SIG_DFL);
	alarm(2);
	name_of_map(info->si_addr, name, sizeof(name));
	log_event(LOG_ERROR, "store_cut", "file=%s error=%s", log_str(name),
	    log_str(slice_ends(slice_str(name), S(".mdb")) ?
		    "it is cut off or cannot be read: stop stored, run storectl recover" :
		    "it is cut off or cannot be read"));
	_exit(EX_IOERR);
}

/* ---- when it is opened --------------------------------------------------------------------------- */

struct free_walk {
	MDB_txn *txn;
	MDB_cursor *cursor;
};

/* How many of the pages from..to transaction `txnid` has left in the list of free ones, or an LMDB code
 * as *rc; EAGAIN when it is not the newest any more. */
static size_t
count_free(struct free_walk *w, MDB_env *env, size_t txnid, size_t from, size_t to, int *rc)
{
	MDB_val k, d;
	size_t n = 0;

	*rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &w->txn);
	if (*rc)
		return 0;
	*rc = mdb_txn_id(w->txn) == txnid ? mdb_cursor_open(w->txn, FREE_DBI, &w->cursor) : EAGAIN;
	if (*rc == 0) {
		while ((*rc = mdb_cursor_get(w->cursor, &k, &d, MDB_NEXT)) == 0) {
			size_t count = d.mv_size / sizeof(size_t), id;

			for (size_t i = 1; i < count; i++) {
				memcpy(&id, (const char *)d.mv_data + i * sizeof(id), sizeof(id));
				n += id >= from && id <= to;
			}
		}
		if (*rc == MDB_NOTFOUND)
			*rc = 0;
	}
	return n;
}

/* Reads nothing of the file, so that it may follow a jump out of count_free. */
static void
free_walk_end(struct free_walk *w)
{
	if (w->cursor)
		mdb_cursor_close(w->cursor);
	if (w->txn)
		mdb_txn_abort(w->txn);
	*w = (struct free_walk){ 0 };
}

bool
store_damage_emptied(const char *index)
{
	char *data = mem_printf("%s/data.mdb", index);
	struct stat st;
	bool emptied = stat(data, &st) == 0 && st.st_size == 0;

	mem_free(&data);
	return emptied;
}

/* Its last page, its length and its free pages must be of one transaction: EAGAIN when a writer has
 * come between. */
static int
damage_look_once(MDB_env *env)
{
	static __thread struct free_walk walk; /* known behind the jump */
	MDB_envinfo info;
	MDB_stat st;
	struct stat file;
	sigjmp_buf jump;
	size_t have, free_ones;
	int fd, rc = mdb_env_info(env, &info);

	if (rc == 0)
		rc = mdb_env_stat(env, &st);
	if (rc == 0)
		rc = mdb_env_get_fd(env, &fd);
	if (rc == 0 && fstat(fd, &file) < 0)
		rc = errno;
	if (rc)
		return rc;
	have = (size_t)file.st_size / st.ms_psize;
	if (have > info.me_last_pgno)
		return 0;
	/* The list of free pages may be in the part that is gone. */
	if (sigsetjmp(jump, 1)) {
		guarded = NULL;
		free_walk_end(&walk);
		return STORE_SHORT;
	}
	guarded = &jump;
	free_ones = count_free(&walk, env, info.me_last_txnid, have, info.me_last_pgno, &rc);
	guarded = NULL;
	free_walk_end(&walk);
	if (rc)
		return rc;
	return free_ones < info.me_last_pgno - have + 1 ? STORE_SHORT : 0;
}

int
store_damage_look(MDB_env *env)
{
	int rc = EAGAIN;

	mapped_others(on_bus_error);
	for (int i = 0; i < LOOKS_MOST && rc == EAGAIN; i++)
		rc = damage_look_once(env);
	return rc == EAGAIN ? 0 : rc; /* somebody writes all the time: it lives */
}

/* ---- in words --------------------------------------------------------------------------------------- */

const char *
store_damage_text(int rc)
{
	static __thread char text[300];
	/* Is it the index itself, not a permission or a full disk? */
	bool damaged = rc == STORE_SHORT || rc == MDB_CORRUPTED || rc == MDB_INVALID ||
	    rc == MDB_VERSION_MISMATCH || rc == MDB_PAGE_NOTFOUND || rc == MDB_INCOMPATIBLE ||
	    rc == MDB_BAD_TXN || rc == MDB_BAD_DBI || rc == MDB_PANIC || rc == MDB_NOTFOUND ||
	    rc == EIO;

	snprintf(text, sizeof(text), "%s%s",
	    rc == STORE_SHORT       ? "the file is cut off: pages at its end are missing" :
		rc == STORE_TORN    ? "the power was cut: start stored first" :
		rc == STORE_SUSPECT ? "its disk has failed: restart stored, which puts it back" :
				      mdb_strerror(rc),
	    damaged ? ": storectl recover makes the index again from a snapshot and the log" : "");
	return text;
}

/* The index as LMDB and the kernel see it: see stats.h.
 *
 * Called by storectl.  Reads by a reader of its own (a snapshot of some ms) and by a map of the file that nobody touches:
 * mincore() looks at the page tables of the file, so that looking brings nothing into memory.  Can fail: the index
 * cannot be opened; then why is said.  What must stay true: nothing is written, no lock is waited for. */
#include "store/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/read-impl.h"

#define PIECE (UINT64_C(64) << 20) /* bytes that mincore() is asked for at once */

/* A line of mdb_reader_list: pid, thread, txnid or "-". */
struct stats_readers {
	uint64_t oldest; /* 0 = none */
};

static int
stats_reader_line(const char *line, void *arg)
{
	struct stats_readers *r = arg;
	const char *last = strrchr(line, ' ');
	char *end;
	unsigned long long txn = last ? strtoull(last + 1, &end, 10) : 0;

	if (txn && (!r->oldest || txn < r->oldest))
		r->oldest = txn;
	return 0;
}

static uint64_t
stats_rows(struct store_view *v, enum store_table t)
{
	MDB_stat st;

	return store_has(v, t) && mdb_stat(v->txn, v->r->dbi[t], &st) == 0 ? st.ms_entries : 0;
}

/* Bytes of pages on LMDB's own list of what is free: its first table. */
static uint64_t
stats_free(struct store_view *v, uint64_t page)
{
	uint64_t pages = 0;
	MDB_cursor *c;
	MDB_val k, d;

	if (mdb_cursor_open(v->txn, 0, &c) != 0)
		return 0;
	while (mdb_cursor_get(c, &k, &d, MDB_NEXT) == 0)
		if (d.mv_size >= sizeof(size_t)) {
			size_t n;

			memcpy(&n, d.mv_data, sizeof(n));
			pages += n;
		}
	mdb_cursor_close(c);
	return pages * page;
}

static int
stats_index(struct store_reader *r, struct store_stats *s)
{
	struct store_view *v = store_view_new(r);
	struct stats_readers readers = { 0 };
	MDB_envinfo info;
	MDB_stat st;
	int rc = store_begin(v);

	if (rc == 0 && (mdb_env_info(r->env, &info) != 0 || mdb_env_stat(r->env, &st) != 0))
		rc = -EIO;
	if (rc == 0) {
		s->page = st.ms_psize;
		s->used = (info.me_last_pgno + 1) * s->page;
		s->most = info.me_mapsize;
		s->batches = mdb_txn_id(v->txn);
		s->readers_most = info.me_maxreaders;
		s->readers = info.me_numreaders;
		s->accounts = stats_rows(v, STORE_T_ACCOUNT);
		s->mailboxes = stats_rows(v, STORE_T_MAILBOX);
		s->free = stats_free(v, s->page);
		(void)mdb_reader_list(r->env, stats_reader_line, &readers);
		s->oldest =
		    readers.oldest && readers.oldest < s->batches ? s->batches - readers.oldest : 0;
	}
	store_end(v);
	store_view_free(&v);
	return rc;
}

/* Bytes of the first `size` of the file that are in memory. */
static int
stats_resident(int fd, uint64_t size, uint64_t *resident)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	unsigned char *in = mem_array(PIECE / page, 1);
	int rc = 0;

	*resident = 0;
	for (uint64_t at = 0; rc == 0 && at < size; at += PIECE) {
		size_t n = (size_t)(size - at < PIECE ? size - at : PIECE);
		void *map = mmap(NULL, n, PROT_READ, MAP_SHARED, fd, (off_t)at);

		if (map == MAP_FAILED) {
			rc = -errno;
			break;
		}
		if (mincore(map, n, in) < 0)
			rc = -errno;
		for (size_t i = 0; rc == 0 && i < (n + page - 1) / page; i++)
			*resident += in[i] & 1 ? page : 0;
		(void)munmap(map, n);
	}
	mem_free(&in);
	return rc;
}

/* Before anything of it is read: a look at the first pages brings others with them. */
static int
stats_cache(const char *path, struct store_stats *s)
{
	char *name = mem_printf("%s/index/data.mdb", path);
	int fd = open(name, O_RDONLY | O_CLOEXEC), rc = fd < 0 ? -errno : 0;
	struct stat st;

	mem_free(&name);
	if (rc == 0 && fstat(fd, &st) < 0)
		rc = -errno;
	if (rc == 0)
		rc = stats_resident(fd, (uint64_t)st.st_size, &s->resident);
	if (fd >= 0)
		close(fd);
	return rc;
}

int
store_stats(const char *path, bool cache, struct store_stats *s, char **why)
{
	struct store_reader *r;
	int rc;

	*s = (struct store_stats){ 0 };
	*why = NULL;
	rc = cache ? stats_cache(path, s) : 0;
	if (rc == 0) {
		rc = store_reader_open(path, &r, why);
		if (rc < 0)
			return rc;
		rc = stats_index(r, s);
		store_reader_close(&r);
	}
	if (rc < 0)
		*why = mem_str(strerror(-rc));
	if (s->resident > s->used)
		s->resident = s->used;
	return rc;
}

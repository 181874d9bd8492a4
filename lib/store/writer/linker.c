/* The linker: files of copies, made after the answer.
 *
 * Owns struct linker and its thread.  It reads the rows of `pending` that the writer has committed,
 * makes their links, syncs them, and has the writer drop the rows; a crash in between means that the
 * same links are looked for again.  Links come in small pieces, each under the lock that keeps the
 * directories in their places, and are synced every few milliseconds, so that no batch meets many
 * of them in its own sync.  What fails is told once and tried again; until then readers have the
 * source.  A copy whose mailbox is gone needs no file; one whose source is gone, which the purge
 * prevents, is told: the check will find it too. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/pending.h"
#include "store/writer/writer-impl.h"

#define PIECE     64    /* links under the lock: about a millisecond */
#define ROUND_US  20000 /* of links between two syncs */
#define RETRY_MS  1000  /* after a failure, and twice as long each time */
#define RETRY_MAX 300000

/* As much of a mailbox as links need. */
struct link_box {
	struct wbox box;
	struct wacct acct;
};

/* 0, -ENOENT: it has been deleted, and its files stand aside; or -EIO, with nothing to finish. */
static int
link_box_init(struct linker *g, MDB_txn *txn, struct link_box *b, uint64_t id)
{
	struct store_mailbox m;
	struct buf dir = { 0 };
	uint8_t key[8];
	MDB_val k = { sizeof(key), key }, d;
	int rc;

	store_be64(key, id);
	rc = mdb_get(txn, g->env->dbi[STORE_T_MAILBOX], &k, &d);
	if (rc == MDB_NOTFOUND) {
		m.account_name = slice(NULL, 0);
		store_deleted_dir(&dir, id);
	} else if (rc || !store_mailbox_crc_ok(slice(d.mv_data, d.mv_size)) ||
	    store_mailbox_parse(slice(d.mv_data, d.mv_size), id, false, &m) < 0)
		return -EIO; /* a name that is damaged may be that of another folder */
	else
		store_folder_dir(&dir, m.account_name, m.name);
	*b = (struct link_box){ .acct = { .name = mem_strn(m.account_name.p, m.account_name.n) } };
	b->box = (struct wbox){ .id = id, .acct = &b->acct, .dir = buf_take(&dir) };
	return rc ? -ENOENT : 0;
}

static void
link_box_fini(struct link_box *b)
{
	mem_free(&b->acct.name);
	mem_free(&b->box.dir);
}

/* The next row from `key` on that is shown; its slices point into g->value.  1, 0 at the end, -errno. */
static int
linker_next(struct linker *g, uint8_t key[12], struct store_pending *p)
{
	MDB_txn *txn;
	MDB_cursor *c;
	MDB_val k = { 12, key }, d;
	bool found = false;
	int error = mdb_txn_begin(g->env->lmdb, NULL, MDB_RDONLY, &txn);

	if (error)
		return error > 0 ? -error : -EIO;
	if (mdb_cursor_open(txn, g->env->dbi[STORE_T_PENDING], &c) == 0) {
		for (int rc = mdb_cursor_get(c, &k, &d, MDB_SET_RANGE); rc == 0 && !found;
		     rc = mdb_cursor_get(c, &k, &d, MDB_NEXT)) {
			if (k.mv_size != 12)
				continue;
			memcpy(key, k.mv_data, 12);
			buf_clear(&g->value);
			buf_add(&g->value, d.mv_data, d.mv_size);
			found = store_pending_parse(slice((char *)key, 12), buf_get(&g->value),
				    p) == 0 &&
			    p->shown;
		}
		mdb_cursor_close(c);
	}
	mdb_txn_abort(txn);
	return found;
}

static bool
linker_has_file(struct linker *g, const struct wbox *b, uint32_t uid)
{
	struct buf path = { 0 };
	struct stat st;
	bool there;

	buf_str(&path, b->dir);
	store_message_name(&path, uid);
	there = fstatat(g->files.dirfd, buf_cstr(&path), &st, AT_SYMLINK_NOFOLLOW) == 0;
	buf_fini(&path);
	return there;
}

/* Both mailboxes, where the directories are now: 0, -ENXIO: the copies' is deleted; or -EIO. */
static int
link_boxes(struct linker *g, const struct store_pending *p, struct link_box *from,
    struct link_box *to)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(g->env->lmdb, NULL, MDB_RDONLY, &txn) ? -EIO : 0;

	if (rc < 0)
		return rc;
	rc = link_box_init(g, txn, from, p->source);
	if (rc != -EIO) {
		rc = link_box_init(g, txn, to, p->mailbox);
		if (rc == -ENOENT)
			link_box_fini(to);
		if (rc < 0)
			link_box_fini(from);
	}
	mdb_txn_abort(txn);
	return rc == -ENOENT ? -ENXIO : rc;
}

/* The links of n neighbours: 0, or as link_boxes, or -errno. */
static int
link_piece(struct linker *g, const struct store_pending *p, uint32_t uid, size_t n, uint32_t to_uid)
{
	struct link_box from, to;
	uint32_t uids[PIECE];
	int rc;

	for (size_t i = 0; i < n; i++)
		uids[i] = uid + (uint32_t)i;
	writer_names_lock(g->shared);
	rc = link_boxes(g, p, &from, &to);
	if (rc == 0 &&
	    (writer_path_unmoved(g->shared, from.box.dir) ||
		writer_path_unmoved(g->shared, to.box.dir))) {
		link_box_fini(&from);
		link_box_fini(&to);
		rc = -EBUSY;
	}
	if (rc == 0) {
		for (size_t at = 0; rc == 0 && at < n; at++) {
			g->files.nlinks = 0;
			rc = writer_link_messages(&g->files, &from.box, uids + at, n - at, &to.box,
			    to_uid + (uint32_t)at);
			at += g->files.nlinks;
			if (rc != -ENOENT)
				continue;
			/* The source is gone: this one may have been linked before that. */
			if (!linker_has_file(g, &to.box, to_uid + (uint32_t)at))
				log_event(LOG_ERROR, "store_unlinked", "mailbox=%llx uid=%u",
				    (unsigned long long)p->mailbox, to_uid + (uint32_t)at);
			rc = 0;
		}
		link_box_fini(&from);
		link_box_fini(&to);
	}
	writer_names_unlock(g->shared);
	return rc;
}

static int
link_row(struct linker *g, const struct store_pending *p)
{
	uint32_t to_uid = p->first;
	int rc = 0;

	for (size_t i = 0; i < store_pending_runs(p) && rc == 0; i++) {
		struct store_gone run = store_pending_run(p, i);
		uint64_t left = (uint64_t)run.last - run.first + 1;

		while (left && rc == 0) {
			size_t n = left < PIECE ? (size_t)left : PIECE;

			rc = link_piece(g, p, run.first, n, to_uid);
			run.first += (uint32_t)n;
			to_uid += (uint32_t)n;
			left -= n;
			if (!writer_queue_link_on(g->queue))
				return rc ? rc : -EINTR;
		}
	}
	return rc == -ENXIO ? 0 : rc;
}

/* Rows are dropped when their links are on disk.  0 or -errno: they stay, and all their links are
 * looked for again, since the next sync would not say a second time that these had failed. */
static int
round_end(struct linker *g)
{
	struct store_work *work;
	int rc;

	if (g->done.n == 0)
		return 0;
	if (g->files.sync && syncfs(g->files.syncfd) < 0) {
		rc = -errno;
		buf_clear(&g->done);
		return rc;
	}
	work = mem_new(sizeof(*work));
	list_init(&work->link);
	buf_slice(&work->linked, buf_get(&g->done));
	buf_clear(&g->done);
	return writer_queue_work(g->queue, work, true) ? 0 : -EIO;
}

/* All rows that there are: 0, or -errno of what could not be done. */
static int
linker_pass(struct linker *g)
{
	uint64_t until = clock_mono_us() + ROUND_US;
	struct store_pending p;
	uint8_t key[12] = { 0 };
	int failed = 0, more = 0, rc;

	buf_clear(&g->done);
	writer_files_begin(&g->files, clock_now());
	while (writer_queue_link_on(g->queue) && (more = linker_next(g, key, &p)) > 0) {
		rc = link_row(g, &p);
		if (rc == 0)
			buf_add(&g->done, key, 12);
		else
			failed = rc;
		store_be32(key + 8, store_get32((char *)key + 8) + 1);
		if (clock_mono_us() < until)
			continue;
		rc = round_end(g);
		failed = rc ? rc : failed;
		until = clock_mono_us() + ROUND_US;
	}
	rc = round_end(g);
	writer_files_begin(&g->files, clock_now());
	return rc ? rc : more < 0 ? more : failed;
}

void *
writer_linker_main(void *arg)
{
	struct linker *g = arg;
	uint64_t wait = 0;

	while (writer_queue_link_wait(g->queue, wait))
		wait = linker_pass(g) == 0 ? 0 :
		    wait == 0              ? RETRY_MS :
		    wait * 2 < RETRY_MAX   ? wait * 2 :
					     RETRY_MAX;
	return NULL;
}

int
writer_linker_open(struct linker *g, struct part_files *of)
{
	g->shared = of;
	g->files.sync = of->sync;
	g->files.dirfd = of->dirfd;
	/* One of its own: the kernel tells a failed write-back once to each. */
	g->files.syncfd = openat(of->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return g->files.syncfd < 0 ? -errno : 0;
}

void
writer_linker_close(struct linker *g)
{
	if (g->files.syncfd >= 0)
		close(g->files.syncfd);
	g->files.syncfd = -1;
	buf_fini(&g->files.scratch);
	buf_fini(&g->files.from);
	mem_free(&g->files.links);
	buf_fini(&g->value);
	buf_fini(&g->done);
}

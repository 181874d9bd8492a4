/* The purge: expunged messages lose their files later, slowly, on a thread of its own.
 *
 * It reads the due rows of `purge` and unlinks the files; the writer drops the rows and the cache
 * records of contents that lose their last name.  A crash in between only means that the same
 * files are looked for again.  So does a file that cannot be removed: its row stays, and is tried
 * again, less and less often. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/pending.h"
#include "store/writer/writer-impl.h"

#define ROW_ITEMS  120    /* a row stays below half a page */
#define SLICE_ROWS 20     /* rows in one go, before the writer is told */
#define RETRY_MOST 300000 /* ms between two tries of what cannot be removed */

void
writer_purge_add(struct writer *w, uint64_t mailbox, const struct store_purge_item *items, size_t n)
{
	while (n) {
		size_t part = n < ROW_ITEMS ? n : ROW_ITEMS;
		struct store_disk_purge head = { .version = STORE_VERSION,
			.count = (uint16_t)part,
			.mailbox = mailbox };
		uint8_t key[16];

		store_be64(key, (uint64_t)w->now + w->config->cleanup_age);
		store_be64(key + 8, w->next_purge++);
		buf_clear(&w->scratch);
		buf_add(&w->scratch, &head, sizeof(head));
		buf_add(&w->scratch, items, part * sizeof(*items));
		writer_row_put(w, STORE_T_PURGE, key, sizeof(key), w->scratch.p, w->scratch.n, 0);
		items += part;
		n -= part;
	}
}

/* The writer's part. */
void
writer_purge_done(struct writer *w, const struct store_work *work)
{
	struct slice keys = buf_get(&work->keys), emails = buf_get(&work->emails);

	for (; keys.n >= 16; keys = slice_from(keys, 16)) {
		writer_places_drop(w, writer_row_get(w, STORE_T_PURGE, keys.p, 16));
		writer_row_del(w, STORE_T_PURGE, keys.p, 16);
	}
	for (; emails.n >= 8; emails = slice_from(emails, 8)) {
		uint64_t id;
		uint8_t key[8];

		memcpy(&id, emails.p, 8);
		store_be64(key, id);
		writer_row_del(w, STORE_T_CACHE, key, 8);
	}
	w->stats.purged += work->gone;
}

/* ---- the thread ----------------------------------------------------------------------------------
 * A slice of rows goes in three steps, so that a crash between any two leaves nothing: look at
 * the files, to know which contents lose their last name; have the writer drop their cache
 * records; unlink the files.  Then the writer drops the rows. */

struct purge_name { /* of a file */
	uint64_t ino, email, nlink;
};

/* Where the mailbox's files are: 0; -ENOENT: it is deleted; -EBADMSG: its record is damaged, and the
 * name in it may be another folder's. */
static int
mailbox_dir(const struct part_env *env, MDB_txn *txn, uint64_t id, struct buf *dir)
{
	struct store_mailbox m;
	uint8_t key[8];
	MDB_val k = { sizeof(key), key }, d;

	int rc;

	store_be64(key, id);
	rc = mdb_get(txn, env->dbi[STORE_T_MAILBOX], &k, &d);
	if (rc == MDB_NOTFOUND) {
		store_deleted_dir(dir, id);
		return -ENOENT;
	}
	if (rc || !store_mailbox_crc_ok(slice(d.mv_data, d.mv_size)) ||
	    store_mailbox_parse(slice(d.mv_data, d.mv_size), id, false, &m) < 0)
		return -EBADMSG;
	store_folder_dir(dir, m.account_name, m.name);
	return 0;
}

/* Does a message of the index have this file?  Then something is wrong with the row, and the file
 * stays. */
static bool
purge_is_live(const struct part_env *env, MDB_txn *txn, uint64_t mailbox, uint32_t uid)
{
	uint8_t key[12];
	MDB_val k = { sizeof(key), key }, box = { 8, key }, d;
	uint32_t uids;

	store_be64(key, mailbox);
	store_be32(key + 8, uid / STORE_BLOCK);
	if (mdb_get(txn, env->dbi[STORE_T_MAILBOX], &box, &d) == 0 &&
	    store_mailbox_arrived(slice(d.mv_data, d.mv_size), uid))
		uids = store_uid_bit(uid);
	else if (mdb_get(txn, env->dbi[STORE_T_INDEX], &k, &d) != 0)
		return false;
	else
		uids = store_block_uids(slice(d.mv_data, d.mv_size));
	if (uids & store_uid_bit(uid))
		log_event(LOG_WARN, "store_live", "mailbox=%llx uid=%u",
		    (unsigned long long)mailbox, uid);
	return uids == 0 || uids & store_uid_bit(uid); /* 0: who knows */
}

/* Told once for all that fail until one pass has had no failure. */
static void
purge_failed(struct purger *g, const char *path, int error)
{
	if (!g->failing)
		log_event(LOG_ERROR, "store_unlink", "path=%s error=%s", log_str(path),
		    log_str(strerror(error)));
	g->failing = g->pass_failed = true;
	g->row_failed = true;
}

/* A deleted mailbox's directory, and what is left in it. */
static void
purge_directory(struct purger *g, const char *path)
{
	writer_remove_tree(g->files->dirfd, path);
	if (faccessat(g->files->dirfd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		purge_failed(g, path, ENOTEMPTY);
}

static void
look_or_unlink(struct purger *g, const struct buf *dir, const struct store_purge_item *item,
    bool look)
{
	struct buf path = { 0 };
	struct stat st;

	buf_slice(&path, buf_get(dir));
	store_message_name(&path, item->uid);
	if (look && fstatat(g->files->dirfd, buf_cstr(&path), &st, AT_SYMLINK_NOFOLLOW) == 0) {
		struct purge_name n = { st.st_ino, item->emailid, st.st_nlink };

		buf_add(&g->files_seen, &n, sizeof(n));
	} else if (!look && unlinkat(g->files->dirfd, buf_cstr(&path), 0) == 0)
		g->gone++;
	else if (!look && errno != ENOENT)
		purge_failed(g, buf_cstr(&path), errno);
	buf_fini(&path);
}

/* Are there copies from or in the mailbox whose files are still to be made?  Then its files stay. */
static bool
purge_is_pending(const struct part_env *env, MDB_txn *txn, uint64_t mailbox)
{
	struct store_pending p;
	MDB_cursor *c;
	MDB_val k, d;
	bool found = false;

	if (mdb_cursor_open(txn, env->dbi[STORE_T_PENDING], &c) != 0)
		return true;
	while (!found && mdb_cursor_get(c, &k, &d, MDB_NEXT) == 0)
		found = store_pending_parse(slice(k.mv_data, k.mv_size),
			    slice(d.mv_data, d.mv_size), &p) < 0 ||
		    p.mailbox == mailbox || p.source == mailbox;
	mdb_cursor_close(c);
	return found;
}

/* A directory goes with all in it, so not before the rows of its messages, which come first. */
static bool
purge_row_has_directory(struct slice row, size_t count)
{
	struct store_purge_item item;

	for (size_t i = 0; i < count; i++) {
		memcpy(&item, row.p + sizeof(struct store_disk_purge) + i * sizeof(item),
		    sizeof(item));
		if (item.uid == 0)
			return true;
	}
	return false;
}

static void
purge_row(struct purger *g, MDB_txn *txn, struct slice row, bool look)
{
	struct store_disk_purge head;
	struct buf dir = { 0 };
	int where;

	if (row.n < sizeof(head))
		return;
	memcpy(&head, row.p, sizeof(head));
	if (row.n != sizeof(head) + head.count * sizeof(struct store_purge_item))
		return;
	g->row_waits = purge_is_pending(g->env, txn, head.mailbox) ||
	    (g->pass_waits && purge_row_has_directory(row, head.count));
	g->pass_waits |= g->row_waits;
	if (g->row_waits)
		return;
	where = mailbox_dir(g->env, txn, head.mailbox, &dir);
	if (where == -EBADMSG) {
		if (!look) /* until it is mended */
			purge_failed(g, "a damaged mailbox", EBADMSG);
		return;
	}
	/* Not there yet, or not away: what is not found is not gone. */
	g->row_waits = writer_path_unmoved(g->files, buf_cstr(&dir));
	g->pass_waits |= g->row_waits;
	for (size_t i = 0; i < head.count && !g->row_waits; i++) {
		struct store_purge_item item;

		memcpy(&item, row.p + sizeof(head) + i * sizeof(item), sizeof(item));
		if (item.uid) {
			if (!purge_is_live(g->env, txn, head.mailbox, item.uid))
				look_or_unlink(g, &dir, &item, look);
		} else if (where == -ENOENT && !look)
			purge_directory(g, buf_cstr(&dir));
	}
	buf_fini(&dir);
}

/* One row: to look, the next due one from `key` on; else that of `key`.  The lock keeps
 * directories where the snapshot says they are.  Returns whether there was one. */
static bool
purge_one(struct purger *g, uint8_t key[16], bool look)
{
	MDB_txn *txn;
	MDB_cursor *c;
	MDB_val k = { 16, key }, d;
	bool due = false;

	g->row_waits = g->row_failed = false;
	writer_names_lock(g->files);
	if (mdb_txn_begin(g->env->lmdb, NULL, MDB_RDONLY, &txn) == 0) {
		if (mdb_cursor_open(txn, g->env->dbi[STORE_T_PURGE], &c) == 0) {
			due = mdb_cursor_get(c, &k, &d, look ? MDB_SET_RANGE : MDB_SET_KEY) == 0 &&
			    k.mv_size == 16 && store_get64(k.mv_data) <= (uint64_t)clock_now();
			if (due) {
				memcpy(key, k.mv_data, 16);
				purge_row(g, txn, slice(d.mv_data, d.mv_size), look);
			}
			mdb_cursor_close(c);
		}
		mdb_txn_abort(txn);
	}
	writer_names_unlock(g->files);
	return due;
}

static int
cmp_ino(const void *a, const void *b)
{
	const struct purge_name *x = a, *y = b;

	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

/* The contents of which every name is in this slice. */
static void
find_last_names(struct purger *g)
{
	struct purge_name *n = (void *)g->files_seen.p;
	size_t count = g->files_seen.n / sizeof(*n);

	if (count)
		qsort(n, count, sizeof(*n), cmp_ino);
	for (size_t i = 0, same; i < count; i += same) {
		for (same = 1; i + same < count && n[i + same].ino == n[i].ino; same++)
			;
		if (same >= n[i].nlink)
			buf_add(&g->emails, &n[i].email, 8);
	}
	buf_clear(&g->files_seen);
}

/* Hands the writer rows and contents to drop; with `wait`, returns when that is committed (or
 * has failed: false). */
static bool
tell_writer(struct purger *g, struct slice keys, struct slice emails, bool wait)
{
	struct store_work *work = mem_new(sizeof(*work));

	list_init(&work->link);
	buf_slice(&work->keys, keys);
	buf_slice(&work->emails, emails);
	work->gone = g->gone;
	return writer_queue_work(g->queue, work, wait);
}

/* The rows from `after` on, as many as make a slice; returns how many.  The writer drops those of
 * which nothing is left. */
static int
purge_slice(struct purger *g, uint8_t after[16])
{
	struct buf gone = { 0 };
	int rows = 0;

	buf_clear(&g->keys);
	buf_clear(&g->emails);
	g->gone = 0;
	while (rows < SLICE_ROWS && purge_one(g, after, true)) {
		if (!g->row_waits)
			buf_add(&g->keys, after, 16);
		store_be64(after + 8, store_get64(after + 8) + 1);
		rows++;
	}
	find_last_names(g);
	if (g->emails.n && !tell_writer(g, slice(NULL, 0), buf_get(&g->emails), true))
		return 0;
	for (size_t at = 0; at < g->keys.n; at += 16) {
		uint8_t key[16];

		memcpy(key, g->keys.p + at, 16);
		if (purge_one(g, key, false) && !g->row_failed && !g->row_waits)
			buf_add(&gone, key, 16);
	}
	if (gone.n)
		(void)tell_writer(g, buf_get(&gone), slice(NULL, 0), false);
	buf_fini(&gone);
	return rows;
}

void *
writer_purge_main(void *arg)
{
	struct purger *g = arg;
	uint64_t idle = g->config->cleanup_age < 10 ? 200 : 5000, wait = idle;
	uint8_t after[16] = { 0 };

	while (writer_queue_purge_pause(g->queue, 0)) {
		uint64_t began = clock_mono_ms(), due_ms, took;
		int rows = purge_slice(g, after);

		took = clock_mono_ms() - began;
		due_ms = g->config->purge_rate ? g->gone * 1000ull / g->config->purge_rate : 0;
		if (rows < SLICE_ROWS) {
			/* From the beginning, when the rows that are done have been dropped. */
			wait = !g->pass_failed    ? idle :
			    wait * 2 < RETRY_MOST ? wait * 2 :
						    RETRY_MOST;
			g->failing = g->pass_failed;
			g->pass_failed = g->pass_waits = false;
			due_ms = due_ms > wait ? due_ms : wait;
			if (!writer_queue_purge_pause(g->queue, due_ms))
				break;
			memset(after, 0, sizeof(after));
		} else if (due_ms > took && !writer_queue_purge_pause(g->queue, due_ms - took))
			break;
	}
	buf_fini(&g->files_seen);
	buf_fini(&g->keys);
	buf_fini(&g->emails);
	return NULL;
}

/* The purge: expunged messages lose their files later, slowly, on a thread of its own.
 *
 * It reads the due rows of `purge` and unlinks the files; the writer drops the rows and the cache
 * records of contents that lose their last name.  A crash in between only means that the same
 * files are looked for again. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/write_private.h"

#define ROW_ITEMS  120  /* a row stays below half a page */
#define SLICE_ROWS 20   /* rows in one go, before the writer is told */

void
purge_add(struct store_part *p, uint64_t mailbox, const struct store_purge_item *items, size_t n)
{
	while (n) {
		size_t part = n < ROW_ITEMS ? n : ROW_ITEMS;
		struct store_disk_purge head = { .version = STORE_VERSION, .count = (uint16_t)part,
			.mailbox = mailbox };
		uint8_t key[16];

		store_be64(key, (uint64_t)p->now + p->c.cleanup_age);
		store_be64(key + 8, p->next_purge++);
		buf_clear(&p->scratch);
		buf_add(&p->scratch, &head, sizeof(head));
		buf_add(&p->scratch, items, part * sizeof(*items));
		row_put(p, STORE_T_PURGE, key, sizeof(key), p->scratch.p, p->scratch.n, 0);
		items += part;
		n -= part;
	}
}

/* The writer's part: req.name holds the keys of the rows, req.name2 the contents that are gone. */
void
run_purged(struct store_part *p, struct store_job *j)
{
	struct slice keys = j->req.name, emails = j->req.name2;

	for (; keys.n >= 16; keys = slice_from(keys, 16))
		row_del(p, STORE_T_PURGE, keys.p, 16);
	for (; emails.n >= 8; emails = slice_from(emails, 8)) {
		uint64_t id;
		uint8_t key[8];

		memcpy(&id, emails.p, 8);
		store_be64(key, id);
		row_del(p, STORE_T_CACHE, key, 8);
	}
	p->stats.purged += j->req.count;
	reply_ok(j);
}

/* ---- the thread ----------------------------------------------------------------------------------
 * A slice of rows goes in three steps, so that a crash between any two leaves nothing: look at
 * the files, to know which contents lose their last name; have the writer drop their cache
 * records; unlink the files.  Then the writer drops the rows. */

struct purging {
	struct store_part *p;
	struct buf keys, emails;
	struct buf files;       /* struct name */
	uint32_t gone;          /* files unlinked */
};
struct name {                   /* of a file */
	uint64_t ino, email, nlink;
};

/* Where the mailbox's files are; false when the mailbox is deleted. */
static bool
mailbox_dir(struct store_part *p, MDB_txn *txn, uint64_t id, struct buf *dir)
{
	struct store_mailbox m;
	uint8_t key[8];
	MDB_val k = { sizeof(key), key }, d;

	store_be64(key, id);
	if (mdb_get(txn, p->dbi[STORE_T_MAILBOX], &k, &d) == 0 &&
	    store_mailbox_parse(slice(d.mv_data, d.mv_size), id, false, &m) == 0) {
		store_folder_dir(dir, m.account_name, m.name);
		return true;
	}
	store_deleted_dir(dir, id);
	return false;
}

static void
look_or_unlink(struct purging *g, const struct buf *dir, const struct store_purge_item *item, bool look)
{
	struct buf path = { 0 };
	struct stat st;

	buf_slice(&path, buf_get(dir));
	store_message_name(&path, item->uid);
	if (look && fstatat(g->p->dirfd, buf_cstr(&path), &st, AT_SYMLINK_NOFOLLOW) == 0) {
		struct name n = { st.st_ino, item->emailid, st.st_nlink };

		buf_add(&g->files, &n, sizeof(n));
	} else if (!look && unlinkat(g->p->dirfd, buf_cstr(&path), 0) == 0)
		g->gone++;
	else if (!look && errno != ENOENT)
		log_event(LOG_ERROR, "store_unlink", "path=%s error=%s", log_str(buf_cstr(&path)),
		    log_str(strerror(errno)));
	buf_fini(&path);
}

static void
purge_row(struct purging *g, MDB_txn *txn, struct slice row, bool look)
{
	struct store_disk_purge head;
	struct buf dir = { 0 };
	bool live;

	if (row.n < sizeof(head))
		return;
	memcpy(&head, row.p, sizeof(head));
	if (row.n != sizeof(head) + head.count * sizeof(struct store_purge_item))
		return;
	live = mailbox_dir(g->p, txn, head.mailbox, &dir);
	for (size_t i = 0; i < head.count; i++) {
		struct store_purge_item item;

		memcpy(&item, row.p + sizeof(head) + i * sizeof(item), sizeof(item));
		if (item.uid)
			look_or_unlink(g, &dir, &item, look);
		else if (!live && !look)
			remove_tree(g->p->dirfd, buf_cstr(&dir));
	}
	buf_fini(&dir);
}

/* One row: to look, the next due one from `key` on; else that of `key`.  The lock keeps
 * directories where the snapshot says they are.  Returns whether there was one. */
static bool
purge_one(struct purging *g, uint8_t key[16], bool look)
{
	struct store_part *p = g->p;
	MDB_txn *txn;
	MDB_cursor *c;
	MDB_val k = { 16, key }, d;
	bool due = false;

	pthread_mutex_lock(&p->names);
	if (mdb_txn_begin(p->env, NULL, MDB_RDONLY, &txn) == 0) {
		if (mdb_cursor_open(txn, p->dbi[STORE_T_PURGE], &c) == 0) {
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
	pthread_mutex_unlock(&p->names);
	return due;
}

static int
cmp_ino(const void *a, const void *b)
{
	const struct name *x = a, *y = b;

	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

/* The contents of which every name is in this slice. */
static void
find_last_names(struct purging *g)
{
	struct name *n = (void *)g->files.p;
	size_t count = g->files.n / sizeof(*n);

	if (count)
		qsort(n, count, sizeof(*n), cmp_ino);
	for (size_t i = 0, same; i < count; i += same) {
		for (same = 1; i + same < count && n[i + same].ino == n[i].ino; same++)
			;
		if (same >= n[i].nlink)
			buf_add(&g->emails, &n[i].email, 8);
	}
	buf_clear(&g->files);
}

/* Hands the writer rows and contents to drop; with `wait`, returns when that is committed (or
 * has failed: false). */
static bool
tell_writer(struct purging *g, struct slice keys, struct slice emails, bool wait)
{
	struct store_part *p = g->p;
	struct store_job *j = store_job_new();
	bool good = true;

	j->req.verb = STORE_V_PURGED;
	j->req.name = arena_slice(&j->arena, keys);
	j->req.name2 = arena_slice(&j->arena, emails);
	j->req.count = g->gone;
	pthread_mutex_lock(&p->lock);
	p->purge_told++;
	pthread_mutex_unlock(&p->lock);
	store_part_submit(p, j);
	pthread_mutex_lock(&p->lock);
	while (wait && p->purge_heard < p->purge_told)
		pthread_cond_wait(&p->purge_wake, &p->lock);
	good = !p->purge_failed;
	pthread_mutex_unlock(&p->lock);
	return good;
}

/* The rows from `after` on, as many as make a slice; returns how many. */
static int
purge_slice(struct purging *g, uint8_t after[16])
{
	int rows = 0;

	buf_clear(&g->keys);
	buf_clear(&g->emails);
	g->gone = 0;
	while (rows < SLICE_ROWS && purge_one(g, after, true)) {
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
		(void)purge_one(g, key, false);
	}
	if (rows)
		(void)tell_writer(g, buf_get(&g->keys), slice(NULL, 0), false);
	return rows;
}

/* Waits for ms or the end.  True: go on. */
static bool
pause_for(struct store_part *p, uint64_t ms)
{
	struct timespec at;
	bool on;

	clock_gettime(CLOCK_REALTIME, &at);
	at.tv_sec += (time_t)(ms / 1000);
	at.tv_nsec += (long)(ms % 1000) * 1000000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_sec++;
		at.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&p->lock);
	if (!p->stop_purge && ms)
		pthread_cond_timedwait(&p->purge_wake, &p->lock, &at);
	on = !p->stop_purge;
	pthread_mutex_unlock(&p->lock);
	return on;
}

void *
purge_main(void *arg)
{
	struct store_part *p = arg;
	struct purging g = { .p = p };
	uint64_t idle = p->c.cleanup_age < 10 ? 200 : 5000;
	uint8_t after[16] = { 0 };

	while (pause_for(p, 0)) {
		uint64_t began = clock_mono_ms(), due_ms, took;
		int rows = purge_slice(&g, after);

		took = clock_mono_ms() - began;
		due_ms = p->c.purge_rate ? g.gone * 1000ull / p->c.purge_rate : 0;
		if (rows < SLICE_ROWS) {
			/* From the beginning, when the rows that are done have been dropped. */
			due_ms = due_ms > idle ? due_ms : idle;
			if (!pause_for(p, due_ms))
				break;
			memset(after, 0, sizeof(after));
		} else if (due_ms > took && !pause_for(p, due_ms - took))
			break;
	}
	buf_fini(&g.files);
	buf_fini(&g.keys);
	buf_fini(&g.emails);
	return NULL;
}

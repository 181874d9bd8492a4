/* The purge: expunged messages lose their files later, slowly, on a thread of its own.
 *
 * It reads the due rows of `purge`, unlinks the files, and hands the writer a job that drops
 * the rows and the cache records of contents that lost their last name.  A crash in between
 * only means that the same files are looked for again. */
#include <errno.h>
#include <fcntl.h>
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
		char *row;

		store_be64(key, (uint64_t)p->now + p->c.cleanup_age);
		store_be64(key + 8, p->next_purge++);
		row = row_reserve(p, STORE_T_PURGE, key, sizeof(key),
		    sizeof(head) + part * sizeof(*items), 0);
		if (!row)
			return;
		memcpy(row, &head, sizeof(head));
		memcpy(row + sizeof(head), items, part * sizeof(*items));
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

/* ---- the thread ---------------------------------------------------------------------------------- */

struct purging {
	struct store_part *p;
	struct buf keys, emails;
	uint32_t files;
};

/* Where the mailbox's files are; false in `live` when the mailbox is deleted. */
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
purge_file(struct purging *g, const struct buf *dir, const struct store_purge_item *item)
{
	struct buf path = { 0 };
	struct stat st;
	uint64_t email = item->emailid;

	buf_slice(&path, buf_get(dir));
	store_message_name(&path, item->uid);
	if (fstatat(g->p->dirfd, buf_cstr(&path), &st, AT_SYMLINK_NOFOLLOW) == 0) {
		if (st.st_nlink == 1)
			buf_add(&g->emails, &email, 8);
		if (unlinkat(g->p->dirfd, buf_cstr(&path), 0) < 0)
			log_event(LOG_ERROR, "store_unlink", "path=%s error=%s",
			    log_str(buf_cstr(&path)), log_str(strerror(errno)));
		g->files++;
	}
	buf_fini(&path);
}

static void
purge_row(struct purging *g, MDB_txn *txn, struct slice row)
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
			purge_file(g, &dir, &item);
		else if (!live)
			remove_tree(g->p->dirfd, buf_cstr(&dir));
	}
	buf_fini(&dir);
}

/* One due row behind `after`.  The lock keeps directories where the snapshot says they are.
 * Returns whether there was one. */
static bool
purge_next(struct purging *g, uint8_t after[16])
{
	struct store_part *p = g->p;
	MDB_txn *txn;
	MDB_cursor *c;
	MDB_val k = { 16, after }, d;
	bool due = false;

	pthread_mutex_lock(&p->names);
	if (mdb_txn_begin(p->env, NULL, MDB_RDONLY, &txn) == 0) {
		if (mdb_cursor_open(txn, p->dbi[STORE_T_PURGE], &c) == 0) {
			due = mdb_cursor_get(c, &k, &d, MDB_SET_RANGE) == 0 && k.mv_size == 16 &&
			    store_get64(k.mv_data) <= (uint64_t)clock_now();
			if (due) {
				memcpy(after, k.mv_data, 16);
				buf_add(&g->keys, after, 16);
				purge_row(g, txn, slice(d.mv_data, d.mv_size));
				store_be64(after + 8, store_get64(after + 8) + 1);
			}
			mdb_cursor_close(c);
		}
		mdb_txn_abort(txn);
	}
	pthread_mutex_unlock(&p->names);
	return due;
}

static void
tell_writer(struct purging *g)
{
	struct store_job *j;

	if (g->keys.n) {
		j = store_job_new();
		j->req.verb = STORE_V_PURGED;
		j->req.name = arena_slice(&j->arena, buf_get(&g->keys));
		j->req.name2 = arena_slice(&j->arena, buf_get(&g->emails));
		j->req.count = g->files;
		store_part_submit(g->p, j);
	}
	buf_clear(&g->keys);
	buf_clear(&g->emails);
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
		int rows = 0;

		g.files = 0;
		while (rows < SLICE_ROWS && purge_next(&g, after))
			rows++;
		tell_writer(&g);
		took = clock_mono_ms() - began;
		due_ms = p->c.purge_rate ? g.files * 1000ull / p->c.purge_rate : 0;
		if (rows < SLICE_ROWS) {
			/* From the beginning, when the rows that are done have been dropped. */
			due_ms = due_ms > idle ? due_ms : idle;
			if (!pause_for(p, due_ms))
				break;
			memset(after, 0, sizeof(after));
		} else if (due_ms > took && !pause_for(p, due_ms - took))
			break;
	}
	buf_fini(&g.keys);
	buf_fini(&g.emails);
	return NULL;
}

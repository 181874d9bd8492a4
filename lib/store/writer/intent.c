/* Moves of directories, which no transaction can make.
 *
 * Owns the rows of `intent` that are renames, and struct unmoved.  The transaction that renames or
 * deletes folders writes an intent {from, to}; after its commit the directories are moved here, and the
 * next batch drops the row.  After a crash between the two the move is made at start.  Readers that look
 * in between wait for a moment (store_open_message).
 *
 * A move that fails, as disks do, stays, is told once and tried again every second.  Until then nothing may be made at either of its paths, or it would go along or be
 * taken for what is there already: mail for it waits, copies from it too, the purge and SETTLE leave it
 * alone, and later moves of the account queue behind it.  Where something stands at the new path all the
 * same, the two are put together name by name; of two files with one name that is the message whose size
 * the index says, and the other one goes to =aside.
 *
 * A row of a kind that is not known is a newer program's: then stored does not start, for it would move
 * what it must not, or leave what it must.  One that is damaged is told at each start and kept. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/files.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/writer/writer-impl.h"

#define AGAIN_MS     1000 /* between two tries of what has failed */
#define UNMOVED_MOST 200  /* then no folder is renamed or deleted: bounds what each link asks */

/* ---- what waits ------------------------------------------------------------------------------ */

/* A move that has not been made yet. */
struct unmoved {
	char *from, *to;
	bool tree; /* else the messages alone */
};

static void
unmoved_add(struct part_files *f, const struct store_intent *i)
{
	struct unmoved u = { mem_strn(i->from.p, i->from.n), mem_strn(i->to.p, i->to.n),
		i->kind == STORE_INTENT_TREE };

	buf_add(&f->unmoved, &u, sizeof(u));
}

void
writer_unmoved_fini(struct part_files *f)
{
	struct unmoved *u = (void *)f->unmoved.p;

	for (size_t i = 0; i < f->unmoved.n / sizeof(*u); i++) {
		mem_free(&u[i].from);
		mem_free(&u[i].to);
	}
	buf_fini(&f->unmoved);
}

/* Is `path` the directory, or below it? */
static bool
path_within(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

bool
writer_path_unmoved(const struct part_files *f, const char *path)
{
	const struct unmoved *u = (const void *)f->unmoved.p;

	for (size_t i = 0; i < f->unmoved.n / sizeof(*u); i++)
		if (u[i].tree ? path_within(path, u[i].from) || path_within(path, u[i].to) :
				strcmp(path, u[i].from) == 0 || path_within(path, u[i].to))
			return true;
	return f->moves_unknown;
}

bool
writer_account_unmoved(const struct part_files *f, const char *dir)
{
	const struct unmoved *u = (const void *)f->unmoved.p;

	for (size_t i = 0; i < f->unmoved.n / sizeof(*u); i++)
		if (path_within(u[i].from, dir) || path_within(u[i].to, dir))
			return true;
	return f->moves_unknown;
}

bool
writer_moves_many(const struct part_files *f)
{
	return f->moves_unknown || f->unmoved.n / sizeof(struct unmoved) >= UNMOVED_MOST;
}

/* The account's part of a path: =user/hh/hh/=account. */
static size_t
account_part(const char *path)
{
	size_t n = 0;

	for (int parts = 0; path[n]; n++)
		if (path[n] == '/' && ++parts == 4)
			break;
	return n;
}

/* Must it wait for one of the same account? */
static bool
is_behind(const struct part_files *f, const char *from)
{
	const struct unmoved *u = (const void *)f->unmoved.p;
	size_t n = account_part(from);

	for (size_t i = 0; i < f->unmoved.n / sizeof(*u); i++)
		if (account_part(u[i].from) == n && strncmp(u[i].from, from, n) == 0)
			return true;
	return false;
}

/* ---- rows -------------------------------------------------------------------------------------- */

void
writer_intent_add(struct writer *w, enum store_intent_kind kind, const char *from, const char *to)
{
	struct store_disk_intent d = { STORE_VERSION, (uint8_t)kind, (uint16_t)strlen(from),
		(uint16_t)strlen(to) };
	uint64_t number = w->next_intent++;
	uint8_t key[8];

	store_be64(key, number);
	buf_clear(&w->scratch);
	buf_add(&w->scratch, &d, sizeof(d));
	buf_add(&w->scratch, from, d.from_len);
	buf_add(&w->scratch, to, d.to_len);
	writer_row_put(w, STORE_T_INTENT, key, 8, w->scratch.p, w->scratch.n, 0);
}

int
writer_intents_look(struct writer *w, char **why)
{
	MDB_cursor *c;
	MDB_val k, d;
	int rc = mdb_cursor_open(w->txn, w->env->dbi[STORE_T_INTENT], &c);

	if (rc)
		return rc;
	while (rc == 0 && mdb_cursor_get(c, &k, &d, MDB_NEXT) == 0) {
		uint64_t number = k.mv_size == 8 ? store_get64(k.mv_data) : 0;
		struct slice row = slice(d.mv_data, d.mv_size);
		struct store_intent i;

		switch (store_intent_parse(row, &i)) {
		case -EPROTO:
			*why = mem_printf("row %llu of table intent is of version %u and kind %u, "
					  "which this program does not know: it needs a newer one",
			    (unsigned long long)number, (unsigned char)row.p[0],
			    (unsigned char)row.p[1]);
			rc = EPROTO;
			break;
		case -EBADMSG:
			log_event(LOG_ERROR, "store_intent", "partition=%s number=%llu",
			    log_str(w->config->name), (unsigned long long)number);
			break;
		default: break;
		}
	}
	mdb_cursor_close(c);
	return rc;
}

bool
writer_intents_wait(struct writer *w)
{
	size_t n = 0;
	MDB_cursor *c;
	MDB_val k, d;

	if (w->error || (w->error = mdb_cursor_open(w->txn, w->env->dbi[STORE_T_INTENT], &c)))
		return true;
	while (mdb_cursor_get(c, &k, &d, MDB_NEXT) == 0)
		n += !store_intent_empties(slice(d.mv_data, d.mv_size), &(struct slice){ 0 });
	mdb_cursor_close(c);
	return n > w->done_intents.n / sizeof(uint64_t);
}

/* ---- two files with one name --------------------------------------------------------------------- */

/* The message that belongs at a path, =user/hh/hh/=account/=folder/.../hh/UID.msg: its mailbox and UID,
 * and its size, 0 when the index has none. */
static uint32_t
message_at(struct writer *w, const char *path, uint64_t *mailbox, uint32_t *uid)
{
	struct store_record room[STORE_BLOCK];
	struct buf account = { 0 }, folder = { 0 };
	struct slice rest = slice_str(path), part = { 0 };
	uint32_t size = 0;
	uint64_t v;
	struct wacct *a;
	struct wbox *b;
	uint8_t key[12];
	bool good = true;

	*mailbox = *uid = 0;
	for (int i = 0; slice_cut(&rest, '/', &part); i++) {
		struct buf *name = i == 3 ? &account : &folder;

		if (i < 3 || !slice_starts(part, S("=")))
			continue;
		if (i > 4)
			buf_char(&folder, STORE_SEPARATOR);
		good &= store_component_parse(part, name) == 0;
	}
	if (slice_ends(part, S(".msg")) &&
	    slice_u64(slice(part.p, part.n - 4), UINT32_MAX, &v) == 0)
		*uid = (uint32_t)v;
	if (good && *uid && writer_account_find(w, buf_get(&account), &a) == 0 &&
	    writer_box_named(w, a, buf_get(&folder), &b) == 0) {
		size_t n;

		*mailbox = b->id;
		writer_block_key(key, b->id, *uid / STORE_BLOCK);
		n = store_block_records(writer_row_get(w, STORE_T_INDEX, key, sizeof(key)),
		    *uid / STORE_BLOCK, room);
		for (size_t i = 0; i < n; i++)
			if (room[i].uid == *uid)
				size = room[i].size;
		for (size_t i = 0; i < b->narrivals; i++)
			if (b->arrivals[i].uid == *uid)
				size = b->arrivals[i].size;
	}
	buf_fini(&account);
	buf_fini(&folder);
	return size;
}

static int
move_onto(struct writer *w, const char *from, const struct stat *a, const char *to,
    const struct stat *b)
{
	struct part_files *f = w->files;
	struct wbox box = { 0 };
	uint32_t uid, size;
	int rc;

	if (a->st_ino == b->st_ino && a->st_dev == b->st_dev)
		return unlinkat(f->dirfd, from, 0) < 0 ? -errno : 0;
	size = message_at(w, to, &box.id, &uid);
	if (!size || a->st_size != size || b->st_size == size)
		return writer_file_set_aside(f, &box, uid, from);
	rc = writer_file_set_aside(f, &box, uid, to);
	return rc == 0 && renameat(f->dirfd, from, f->dirfd, to) < 0 ? -errno : rc;
}

/* ---- moving ---------------------------------------------------------------------------------------- */

static int move_tree(struct writer *w, const char *from, const char *to);

static int
move_entry(struct writer *w, const char *from, const char *to)
{
	int at = w->files->dirfd;
	struct stat a, b;

	if (fstatat(at, from, &a, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (S_ISDIR(a.st_mode))
		return move_tree(w, from, to);
	if (fstatat(at, to, &b, AT_SYMLINK_NOFOLLOW) == 0)
		return move_onto(w, from, &a, to, &b);
	return errno != ENOENT || renameat(at, from, at, to) < 0 ? -errno : 0;
}

/* As deep as folders are. */
static int
move_into(struct writer *w, const char *from, const char *to)
{
	int at = w->files->dirfd, fd = openat(at, from, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d) {
		rc = -errno;
		if (fd >= 0)
			close(fd);
		return rc;
	}
	for (struct dirent *e; rc == 0 && (errno = 0, e = readdir(d));) {
		char *a, *b;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		a = mem_printf("%s/%s", from, e->d_name);
		b = mem_printf("%s/%s", to, e->d_name);
		rc = move_entry(w, a, b);
		mem_free(&a);
		mem_free(&b);
	}
	if (rc == 0)
		rc = -errno; /* of readdir */
	closedir(d);
	return rc == 0 && unlinkat(at, from, AT_REMOVEDIR) < 0 ? -errno : rc;
}

/* 0 also when there is nothing at `from`: it has been moved before a crash. */
static int
move_tree(struct writer *w, const char *from, const char *to)
{
	int at = w->files->dirfd;

	if (renameat(at, from, at, to) == 0 || errno == ENOENT)
		return 0;
	return errno == ENOTEMPTY || errno == EEXIST ? move_into(w, from, to) : -errno;
}

static int
move_make(struct writer *w, const struct store_intent *i, const char *from, const char *to)
{
	char *above = mem_str(to), *slash = strrchr(above, '/');
	int rc;

	if (i->kind == STORE_INTENT_TREE && slash)
		*slash = '\0';
	rc = files_make_dirs_at(w->files->dirfd, above, 0750);
	mem_free(&above);
	if (rc == 0 && i->kind == STORE_INTENT_TREE)
		return move_tree(w, from, to);
	for (unsigned hh = 0; hh < 256 && rc == 0; hh++) {
		char *a = mem_printf("%s/%02x", from, hh), *b = mem_printf("%s/%02x", to, hh);

		rc = move_tree(w, a, b);
		mem_free(&a);
		mem_free(&b);
	}
	return rc;
}

/* ---- all rows ------------------------------------------------------------------------------------ */

/* One row.  True: it is done, and can go. */
static bool
intent_run(struct writer *w, uint64_t number, struct slice row)
{
	struct store_intent i;
	char *from, *to;
	int rc = -EBUSY;

	if (store_intent_parse(row, &i) < 0 || i.kind == STORE_INTENT_EMPTY)
		return false;
	from = mem_strn(i.from.p, i.from.n);
	to = mem_strn(i.to.p, i.to.n);
	if (!is_behind(w->files, from)) {
		rc = move_make(w, &i, from, to);
		if (rc < 0 && number >= w->moves_told) {
			log_event(LOG_ERROR, "store_move", "from=%s to=%s error=%s", log_str(from),
			    log_str(to), log_str(strerror(-rc)));
			w->moves_told = number + 1;
		}
	}
	if (rc < 0)
		unmoved_add(w->files, &i);
	mem_free(&from);
	mem_free(&to);
	return rc == 0;
}

/* In the order of their numbers. */
static int
intents_each(struct writer *w)
{
	MDB_cursor *c;
	MDB_val k, d;
	int rc = mdb_cursor_open(w->txn, w->env->dbi[STORE_T_INTENT], &c);

	if (rc)
		return rc;
	while ((rc = mdb_cursor_get(c, &k, &d, MDB_NEXT)) == 0) {
		uint64_t number = k.mv_size == 8 ? store_get64(k.mv_data) : 0;

		if (number && intent_run(w, number, slice(d.mv_data, d.mv_size)))
			buf_add(&w->done_intents, &number, 8);
	}
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

/* The writer's own transaction takes no place of a reader, of which there may be none left. */
void
writer_intents_run(struct writer *w)
{
	struct part_files *f = w->files;
	size_t before = f->unmoved.n;
	int rc;

	writer_unmoved_fini(f);
	w->moves_at = clock_mono_ms();
	w->error = 0;
	rc = mdb_txn_begin(w->env->lmdb, NULL, 0, &w->txn);
	if (rc == 0) {
		rc = intents_each(w);
		mdb_txn_abort(w->txn);
	}
	w->txn = NULL;
	w->error = 0;
	f->moves_unknown = rc != 0;
	if (rc)
		log_event(LOG_ERROR, "store_move", "error=%s", log_str(mdb_strerror(rc)));
	if (w->done_intents.n && w->config->sync && syncfs(f->syncfd) < 0) {
		log_event(LOG_ERROR, "store_sync", "error=%s", log_str(strerror(errno)));
		buf_clear(&w->done_intents);
	}
	if (before && !f->unmoved.n && !rc)
		log_event(LOG_INFO, "store_move", "unmoved=0");
	w->stats.unmoved = f->unmoved.n / sizeof(struct unmoved);
}

uint64_t
writer_intents_due(const struct writer *w)
{
	uint64_t since = clock_mono_ms() - w->moves_at;

	if (!w->files->unmoved.n && !w->files->moves_unknown)
		return UINT64_MAX;
	return since < AGAIN_MS ? AGAIN_MS - since : 0;
}

/* In the batch after: the moves are durable, drop the rows. */
void
writer_intents_drop(struct writer *w)
{
	for (size_t at = 0; at < w->done_intents.n; at += 8) {
		uint8_t key[8];
		uint64_t number;

		memcpy(&number, w->done_intents.p + at, 8);
		store_be64(key, number);
		writer_row_del(w, STORE_T_INTENT, key, 8);
	}
}

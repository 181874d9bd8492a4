/* The message files that frames of the operation log speak of.
 *
 * The last frame may be whole on disk while the message files that were synced with it are not; it says
 * which they are, and when one of them is missing or has other bytes the batch was never answered and
 * never happened.  (One that a steady point has was synced: a file of it that is gone was lost since,
 * and costs no other message.)  Its files that are not whole are set aside; others stay where they are, and are
 * found when their UIDs are given out.
 * Files that were not synced at all have their bytes in the journal of bodies, which was synced before
 * the frame: such a batch was answered as far as the disk can tell, and those of them that are not whole
 * are made again.  That is done before the last batch, since moves of directories are on disk when a
 * later batch is begun, and only then; and once more behind it.
 * What can fail is the disk. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc.h"
#include "base/files.h"
#include "base/mem.h"
#include "store/block.h"
#include "store/pending.h"
#include "store/replay-impl.h"

/* ---- one file ---------------------------------------------------------------------------------------- */

struct replay_files {
	struct store_replay *r;
	bool (*each)(struct replay_files *l, const struct oplog_file *f);
	uint64_t mailbox; /* in hand */
	const uint8_t *key;
	struct buf path;               /* of the file in hand */
	const struct oplog_body *body; /* of that; NULL: it was synced with its frame */
	struct buf bytes;              /* what the journal has of it */
};

/* Has the index a message with this UID?  It may have gone in the same batch. */
static bool
record_is_there(struct store_replay *r, const uint8_t mailbox[8], uint32_t uid)
{
	uint8_t key[12];
	MDB_val k = { sizeof(key), key }, box = { 8, key }, d;

	memcpy(key, mailbox, 8);
	store_be32(key + 8, uid / STORE_BLOCK);
	if (mdb_get(r->txn, r->dbi[STORE_T_INDEX], &k, &d) == 0 &&
	    store_block_uids(slice(d.mv_data, d.mv_size)) & store_uid_bit(uid))
		return true;
	return mdb_get(r->txn, r->dbi[STORE_T_MAILBOX], &box, &d) == 0 &&
	    store_mailbox_arrived(slice(d.mv_data, d.mv_size), uid);
}

#define REPLAY_SECTOR 512

/* Are there bytes that were never written?  A message has no sector of zeros, and no zero at its end. */
static bool
bytes_are_torn(const char *bytes, size_t n, bool end)
{
	static const char zeros[REPLAY_SECTOR];

	for (; n >= REPLAY_SECTOR; bytes += REPLAY_SECTOR, n -= REPLAY_SECTOR)
		if (memcmp(bytes, zeros, REPLAY_SECTOR) == 0)
			return true;
	return end && n > 0 && bytes[n - 1] == '\0';
}

/* What a power cut leaves of a file that was not synced is none, or other bytes.  Under the same kernel the
 * disk can only have been away, which leaves none, a short one, or zeros where bytes never came; no more is
 * asked then, since the checksum is only what a client has said, and would cost an answered batch after
 * each kill. */
enum file_state { FILE_TORN, FILE_WHOLE, FILE_UNREADABLE };
static enum file_state
file_state_of(const struct store_replay *r, const char *path, const struct oplog_file *want)
{
	int fd = openat(r->dirfd, path, O_RDONLY | O_CLOEXEC);
	char bytes[65536];
	bool torn = false;
	uint64_t size = 0;
	uint32_t crc = 0;
	ssize_t n = 0;

	if (fd < 0)
		return errno != ENOENT && errno != ENOTDIR ? FILE_UNREADABLE : FILE_TORN;
	while (want->checked && (n = read(fd, bytes, sizeof(bytes))) > 0) {
		crc = crc32c(crc, bytes, (size_t)n);
		size += (uint64_t)n;
		torn |= bytes_are_torn(bytes, (size_t)n, size >= want->size);
	}
	close(fd);
	if (n < 0 || !want->checked)
		return n < 0 ? FILE_UNREADABLE : FILE_WHOLE;
	return size == want->size && (crc == want->crc || (r->here && !torn)) ? FILE_WHOLE :
										FILE_TORN;
}

/* One that is there and cannot be read says nothing: an answered batch would go with it. */
static bool
file_is_whole(const struct store_replay *r, const char *path, const struct oplog_file *want)
{
	return file_state_of(r, path, want) != FILE_TORN;
}

/* Does a copy whose own file is still to be made have this one? */
static bool
is_source(struct replay_files *l, uint32_t uid)
{
	struct store_replay *r = l->r;
	struct store_pending p;
	MDB_cursor *c;
	MDB_val k, d;
	bool found = false;

	if (mdb_cursor_open(r->txn, r->dbi[STORE_T_PENDING], &c) != 0)
		return false;
	while (!found && mdb_cursor_get(c, &k, &d, MDB_NEXT) == 0) {
		if (store_pending_parse(slice(k.mv_data, k.mv_size), slice(d.mv_data, d.mv_size),
			&p) < 0 ||
		    p.source != l->mailbox)
			continue;
		for (size_t i = 0; !found && i < store_pending_runs(&p); i++) {
			struct store_gone run = store_pending_run(&p, i);

			found = uid >= run.first && uid <= run.last;
		}
	}
	mdb_cursor_close(c);
	return found;
}

/* Has the journal its bytes?  Then they are in l->bytes. */
static bool
body_is_kept(struct replay_files *l)
{
	struct store_replay *r = l->r;
	const struct oplog_body *b = l->body;
	char *p;

	if (!r->bodiesfd)
		r->bodiesfd = openat(r->logfd, OPLOG_BODIES_FILE, O_RDONLY | O_CLOEXEC) + 1;
	if (!b || !r->bodiesfd || b->size > OPLOG_BODY_MOST)
		return false;
	buf_clear(&l->bytes);
	p = buf_reserve(&l->bytes, b->size);
	if (!p || pread(r->bodiesfd - 1, p, b->size, (off_t)b->at) != (ssize_t)b->size ||
	    crc32c(0, p, b->size) != b->crc)
		return false;
	l->bytes.n = b->size;
	return true;
}

/* Not as the frame says?  One whose message has gone in the same batch may have been purged since; while it is
 * there, or has a copy that needs it, it tells as much as others. */
static bool
file_is_torn(struct replay_files *l, const struct oplog_file *f)
{
	const char *path = buf_cstr(&l->path);

	if (file_is_whole(l->r, path, f) || body_is_kept(l))
		return false;
	if (!record_is_there(l->r, l->key, f->uid) &&
	    faccessat(l->r->dirfd, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && !is_source(l, f->uid))
		return false;
	store_replay_tell(l->r, "batch %llu was never answered: %s is not whole",
	    (unsigned long long)l->r->end.batch, path);
	return true;
}

/* The batch is void: what is of no message and not whole must not be taken for one later. */
static bool
file_set_aside(struct replay_files *l, const struct oplog_file *f)
{
	const char *path = buf_cstr(&l->path);
	char *to;

	if (record_is_there(l->r, l->key, f->uid) || file_is_whole(l->r, path, f) ||
	    faccessat(l->r->dirfd, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	to = mem_printf("=aside/%016llx-%u-void-%llu.msg", (unsigned long long)l->mailbox, f->uid,
	    (unsigned long long)l->r->end.batch);
	if ((mkdirat(l->r->dirfd, "=aside", 0750) < 0 && errno != EEXIST) ||
	    renameat(l->r->dirfd, path, l->r->dirfd, to) < 0)
		store_replay_tell(l->r, "%s: %s", path, strerror(errno));
	else
		store_replay_tell(l->r, "%s is %s now", path, to);
	mem_free(&to);
	return false;
}

/* ---- the files of a frame ------------------------------------------------------------------------------ */

/* The directory of the mailbox with this key; false: it has none. */
static bool
replay_mailbox_dir(struct store_replay *r, const void *key, struct buf *dir)
{
	MDB_val k = { 8, (void *)(uintptr_t)key }, d;
	struct store_mailbox m;

	if (mdb_get(r->txn, r->dbi[STORE_T_MAILBOX], &k, &d) != 0 ||
	    store_mailbox_parse(slice(d.mv_data, d.mv_size), store_get64(key), false, &m) < 0)
		return false;
	store_folder_dir(dir, m.account_name, m.name);
	return true;
}

static bool
file_of_op(struct replay_files *l, struct slice dir, const struct oplog_file *f,
    const struct oplog_body *b)
{
	l->body = b;
	buf_clear(&l->path);
	buf_slice(&l->path, dir);
	store_message_name(&l->path, f->uid);
	return l->each(l, f);
}

static struct oplog_file
file_of_body(const struct oplog_body *b)
{
	return (struct oplog_file){ .uid = b->uid, .size = b->size, .crc = b->crc, .checked = 1 };
}

/* `each` until it says true. */
static bool
files_of_op(struct replay_files *l, const struct oplog_op *op)
{
	struct buf dir = { 0 };
	struct oplog_file f;
	struct oplog_body b;
	size_t n = op->kind == OPLOG_FILES ? sizeof(f) : sizeof(b);
	bool stop = false;

	if (op->key.n != 8 || !replay_mailbox_dir(l->r, op->key.p, &dir))
		return false; /* deleted in the same batch, or made in one that is void */
	l->mailbox = store_get64(op->key.p);
	l->key = (const uint8_t *)op->key.p;
	for (size_t at = 0; !stop && at + n <= op->value.n; at += n) {
		if (op->kind == OPLOG_FILES)
			memcpy(&f, op->value.p + at, n);
		else {
			memcpy(&b, op->value.p + at, n);
			f = file_of_body(&b);
		}
		stop = file_of_op(l, buf_get(&dir), &f, op->kind == OPLOG_FILES ? NULL : &b);
	}
	buf_fini(&dir);
	return stop;
}

/* True when `each` has said so of one. */
static bool
files_of_frame(struct store_replay *r, const struct oplog_frame *f,
    bool (*each)(struct replay_files *l, const struct oplog_file *f))
{
	struct replay_files l = { .r = r, .each = each };
	struct slice ops = f->ops;
	struct oplog_op op;
	bool stop = false;

	while (!stop && store_oplog_op_parse(&ops, &op) > 0)
		stop = (op.kind == OPLOG_FILES || op.kind == OPLOG_BODIES) && files_of_op(&l, &op);
	buf_fini(&l.path);
	buf_fini(&l.bytes);
	return stop;
}

bool
store_replay_files_torn(struct store_replay *r, const struct oplog_frame *f)
{
	return files_of_frame(r, f, file_is_torn);
}

void
store_replay_files_aside(struct store_replay *r, const struct oplog_frame *f)
{
	(void)files_of_frame(r, f, file_set_aside);
}

/* ---- files that are made again ----------------------------------------------------------------------- */

struct replay_body {
	uint8_t key[8]; /* of the mailbox */
	struct oplog_body body;
};

void
store_replay_bodies_note(struct store_replay *r, const struct oplog_frame *f)
{
	struct slice ops = f->ops;
	struct oplog_op op;

	if (f->batch <= r->synced)
		return;
	while (store_oplog_op_parse(&ops, &op) > 0)
		for (size_t at = 0; op.kind == OPLOG_BODIES && op.key.n == 8 &&
		     at + sizeof(struct oplog_body) <= op.value.n;
		     at += sizeof(struct oplog_body)) {
			struct replay_body b;

			memcpy(b.key, op.key.p, 8);
			memcpy(&b.body, op.value.p + at, sizeof(b.body));
			buf_add(&r->bodies, &b, sizeof(b));
		}
}

/* Whoever runs this: what is made belongs to whom the partition belongs. */
static void
replay_give(const struct store_replay *r, const char *path)
{
	struct stat owner;

	if (geteuid() == 0 && fstat(r->dirfd, &owner) == 0)
		(void)!fchownat(r->dirfd, path, owner.st_uid, owner.st_gid, AT_SYMLINK_NOFOLLOW);
}

/* The directories above it. */
static int
body_dirs(const struct store_replay *r, const char *path)
{
	char *dir = mem_str(path);
	int rc = 0;

	for (char *s = dir; rc == 0 && (s = strchr(s, '/')); *s++ = '/') {
		*s = '\0';
		if (mkdirat(r->dirfd, dir, 0750) == 0)
			replay_give(r, dir);
		else if (errno != EEXIST)
			rc = -errno;
	}
	mem_free(&dir);
	return rc;
}

/* Beside its place, then there: a crash leaves the one that was, or the new one. */
static int
body_put(struct replay_files *l)
{
	const struct timespec times[2] = { { l->body->date, 0 }, { l->body->date, 0 } };
	const char *path = buf_cstr(&l->path);
	char *new = mem_printf("%s.new", path);
	int rc = body_dirs(l->r, path), fd = -1;

	if (rc == 0) {
		fd = openat(l->r->dirfd, new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
		rc = fd < 0 ? -errno : files_write(fd, l->bytes.p, l->bytes.n);
	}
	if (rc == 0 && futimens(fd, times) < 0)
		rc = -errno;
	if (fd >= 0 && close(fd) < 0 && rc == 0)
		rc = -errno;
	if (rc == 0)
		replay_give(l->r, new);
	if (rc == 0 && renameat(l->r->dirfd, new, l->r->dirfd, path) < 0)
		rc = -errno;
	if (rc < 0 && fd >= 0)
		unlinkat(l->r->dirfd, new, 0);
	mem_free(&new);
	return rc;
}

/* One that somebody can still want: of a message, or of one that has been expunged and not purged, which then
 * has some file, or of a copy. */
static int
body_restore(struct replay_files *l, const struct replay_body *b)
{
	struct store_replay *r = l->r;
	const struct oplog_file want = file_of_body(&b->body);
	enum file_state state = FILE_TORN;
	const char *path;
	int rc;

	buf_clear(&l->path);
	if (!replay_mailbox_dir(r, b->key, &l->path))
		return 0;
	store_message_name(&l->path, b->body.uid);
	path = buf_cstr(&l->path);
	l->body = &b->body;
	l->key = b->key;
	l->mailbox = store_get64(b->key);
	if (!r->doubt)
		state = file_state_of(r, path, &want);
	if (state == FILE_WHOLE ||
	    (!record_is_there(r, b->key, b->body.uid) &&
		faccessat(r->dirfd, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
		!is_source(l, b->body.uid)))
		return 0;
	if (!body_is_kept(l)) {
		store_replay_tell(r, "%s is not whole, and %s does not have it", path,
		    OPLOG_BODIES_FILE);
		return 0;
	}
	rc = body_put(l);
	if (rc < 0 && state == FILE_UNREADABLE) {
		store_replay_tell(r, "%s: %s", path, strerror(-rc));
		return 0; /* as any other that cannot be read */
	}
	if (rc < 0) /* an answered message: it waits there until there is room */
		return store_replay_fail(r, -rc, path);
	r->restored++;
	return 0;
}

int
store_replay_bodies_restore(struct store_replay *r)
{
	struct replay_files l = { .r = r };
	size_t before = r->restored;
	int rc = 0;

	for (size_t at = 0; rc == 0 && at < r->bodies.n; at += sizeof(struct replay_body)) {
		struct replay_body b;

		memcpy(&b, r->bodies.p + at, sizeof(b));
		rc = body_restore(&l, &b);
	}
	buf_clear(&r->bodies);
	buf_fini(&l.path);
	buf_fini(&l.bytes);
	if (r->restored > before)
		store_replay_tell(r, "%zu message files were made again", r->restored - before);
	return rc;
}

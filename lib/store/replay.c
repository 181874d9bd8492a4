/* Frames of the operation log to rows of the index.
 *
 * The log is walked twice: first to know where it ends and where epochs begin, then to do it.  Every
 * frame but the last was answered or is followed by one that was written after its sync: it is done.
 * The last one may be whole on disk while the message files that were synced with it are not; it says
 * which they are, and when one of them is missing or has other bytes the batch was never answered and
 * never happened.  (One that a steady point has was synced: a file of it that is gone was lost since,
 * and costs no other message.)  Its files that are not whole are set aside; others stay where they are, and are
 * found when their UIDs are given out.
 * What can fail is LMDB, and a log that has holes or belongs to another index. */
#include "store/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc.h"
#include "base/mem.h"
#include "store/block.h"
#include "store/env.h"
#include "store/pending.h"

#define TXN_BYTES (16u * 1024 * 1024) /* of operations in one transaction */

static void replay_tell(struct store_replay *r, const char *fmt, ...) PRINTF(2, 3);

static void
replay_tell(struct store_replay *r, const char *fmt, ...)
{
	struct buf b = { 0 };
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	r->tell(r->arg, buf_cstr(&b));
	buf_fini(&b);
}

/* Of LMDB or errno, to -errno; the first reason stays. */
static int
replay_fail(struct store_replay *r, int rc, const char *what)
{
	if (!*r->why)
		*r->why = mem_printf("%s: %s", what, mdb_strerror(rc));
	return rc > 0 ? -rc : -EIO;
}

/* What was done so far, committed: an LMDB code. */
static int
replay_commit(struct store_replay *r)
{
	int rc = mdb_txn_commit(r->txn);

	r->txn = NULL;
	r->pending = 0;
	return rc ? rc : mdb_txn_begin(r->env, NULL, 0, &r->txn);
}

/* ---- one operation --------------------------------------------------------------------------------- */

static int
replay_op(struct store_replay *r, const struct oplog_op *op, unsigned record)
{
	MDB_val k = { op->key.n, (void *)(uintptr_t)op->key.p }, d = { 0 };
	struct slice value = op->value;
	struct store_format f;
	char *why = NULL;
	int rc;

	/* One that we do not know is optional: else the format, which was logged before it, was refused. */
	if (op->table >= STORE_TABLES || op->kind == OPLOG_FILES)
		return 0;
	if (!store_table_in(op->table, r->major))
		return EBADMSG;
	if (op->kind > OPLOG_DEL) {
		rc = mdb_get(r->txn, r->dbi[op->table], &k, &d);
		if (rc && rc != MDB_NOTFOUND)
			return rc;
		value = rc ? slice(NULL, 0) : slice(d.mv_data, d.mv_size);
		if (store_oplog_block_change(op, record, value, &r->block) < 0)
			return EBADMSG;
		value = buf_get(&r->block);
	}
	if (op->kind == OPLOG_DEL || (op->kind != OPLOG_PUT && value.n == 0)) {
		rc = mdb_del(r->txn, r->dbi[op->table], &k, NULL);
		return rc == MDB_NOTFOUND ? 0 : rc;
	}
	/* Of a newer program, whose rows follow: they must not be taken for ours. */
	if (op->table == STORE_T_META && slice_eq(op->key, S("format")) &&
	    store_format_check(value, &f, &why) < 0) {
		if (*r->why)
			mem_free(&why);
		else
			*r->why = why;
		return EPROTO;
	}
	d = (MDB_val){ value.n, (void *)(uintptr_t)value.p };
	return mdb_put(r->txn, r->dbi[op->table], &k, &d, 0);
}

/* ---- the files of the last frame ------------------------------------------------------------------- */

struct replay_files {
	struct store_replay *r;
	bool (*each)(struct replay_files *l, const struct oplog_file *f);
	uint64_t mailbox; /* in hand */
	const uint8_t *key;
	struct buf path; /* of the file in hand */
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
 * each kill.  One that is there and cannot be read says nothing: an answered batch would go with it. */
static bool
file_is_whole(const struct store_replay *r, const char *path, const struct oplog_file *want)
{
	int fd = openat(r->dirfd, path, O_RDONLY | O_CLOEXEC);
	char bytes[65536];
	bool torn = false;
	uint64_t size = 0;
	uint32_t crc = 0;
	ssize_t n = 0;

	if (fd < 0)
		return errno != ENOENT && errno != ENOTDIR;
	while (want->checked && (n = read(fd, bytes, sizeof(bytes))) > 0) {
		crc = crc32c(crc, bytes, (size_t)n);
		size += (uint64_t)n;
		torn |= bytes_are_torn(bytes, (size_t)n, size >= want->size);
	}
	close(fd);
	if (n < 0 || !want->checked)
		return true;
	return size == want->size && (crc == want->crc || (r->here && !torn));
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

/* Not as the frame says?  One whose message has gone in the same batch may have been purged since; while it is
 * there, or has a copy that needs it, it tells as much as others. */
static bool
file_is_torn(struct replay_files *l, const struct oplog_file *f)
{
	const char *path = buf_cstr(&l->path);

	if (file_is_whole(l->r, path, f))
		return false;
	if (!record_is_there(l->r, l->key, f->uid) &&
	    faccessat(l->r->dirfd, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && !is_source(l, f->uid))
		return false;
	replay_tell(l->r, "batch %llu was never answered: %s is not whole",
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
		replay_tell(l->r, "%s: %s", path, strerror(errno));
	else
		replay_tell(l->r, "%s is %s now", path, to);
	mem_free(&to);
	return false;
}

/* `each` until it says true. */
static bool
files_of_op(struct replay_files *l, const struct oplog_op *op)
{
	struct store_replay *r = l->r;
	MDB_val k = { op->key.n, (void *)(uintptr_t)op->key.p }, d;
	struct buf dir = { 0 };
	struct store_mailbox m;
	bool stop = false;

	if (op->key.n != 8 || mdb_get(r->txn, r->dbi[STORE_T_MAILBOX], &k, &d) != 0 ||
	    store_mailbox_parse(slice(d.mv_data, d.mv_size), store_get64(op->key.p), false, &m) < 0)
		return false; /* deleted in the same batch, or made in one that is void */
	l->mailbox = store_get64(op->key.p);
	l->key = (const uint8_t *)op->key.p;
	store_folder_dir(&dir, m.account_name, m.name);
	for (size_t at = 0; !stop && at + sizeof(struct oplog_file) <= op->value.n;
	     at += sizeof(struct oplog_file)) {
		struct oplog_file f;

		memcpy(&f, op->value.p + at, sizeof(f));
		buf_clear(&l->path);
		buf_slice(&l->path, buf_get(&dir));
		store_message_name(&l->path, f.uid);
		stop = l->each(l, &f);
	}
	buf_fini(&dir);
	return stop;
}

/* The files that were synced together with this frame; true when `each` has said so of one. */
static bool
files_of_frame(struct store_replay *r, const struct oplog_frame *f,
    bool (*each)(struct replay_files *l, const struct oplog_file *f))
{
	struct replay_files l = { .r = r, .each = each };
	struct slice ops = f->ops;
	struct oplog_op op;
	bool stop = false;

	while (!stop && store_oplog_op_parse(&ops, &op) > 0)
		stop = op.kind == OPLOG_FILES && files_of_op(&l, &op);
	buf_fini(&l.path);
	return stop;
}

/* ---- one frame -------------------------------------------------------------------------------------- */

static unsigned
frame_major(const struct oplog_frame *f)
{
	return f->epoch ? STORE_MAJOR : 1;
}

/* Without a snapshot: the format is what the log says. */
static int
tables_as_logged(struct store_replay *r, const struct oplog_frame *f)
{
	int rc;

	r->major = frame_major(f);
	rc = store_env_tables(r->txn, r->major, r->dbi);
	if (rc == 0 && r->major == STORE_MAJOR)
		rc = store_env_mark(r->txn, r->dbi[STORE_T_META], f->at, 0);
	return rc;
}

static int
replay_ops(struct store_replay *r, const struct oplog_frame *f)
{
	struct slice ops = f->ops;
	struct oplog_op op;
	int more = 1, rc = 0;

	while (rc == 0 && (more = store_oplog_op_parse(&ops, &op)) > 0)
		rc = replay_op(r, &op, f->record);
	r->pending += f->size;
	return rc == 0 && more < 0 ? EBADMSG : rc;
}

/* `last`: its files are looked at, and it may be found void. */
static int
replay_frame(struct store_replay *r, const struct oplog_frame *f, bool last)
{
	int rc = 0;

	if (r->major == 0)
		rc = tables_as_logged(r, f);
	if (rc == 0 && (r->pending > TXN_BYTES || (last && r->pending)))
		rc = replay_commit(r);
	if (rc == 0)
		rc = replay_ops(r, f);
	if (rc == 0 && last && f->batch > r->synced && files_of_frame(r, f, file_is_torn)) {
		r->end.is_void = true;
		mdb_txn_abort(r->txn);
		r->txn = NULL;
		rc = mdb_txn_begin(r->env, NULL, 0, &r->txn);
		if (rc)
			return replay_fail(r, rc, "the index");
		(void)files_of_frame(r, f, file_set_aside);
		return 0;
	}
	if (rc)
		return replay_fail(r, rc, "a batch of the log");
	r->batch = f->batch;
	r->at = f->at;
	r->batches++;
	return 0;
}

/* ---- epochs: a recovery begins one, and what the log has behind that is void --------------------- */

struct epoch {
	uint64_t epoch, first; /* batch */
};

/* Has a later epoch begun at this batch or before it? */
static bool
is_void(const struct store_replay *r, const struct oplog_frame *f)
{
	if (r->epoch && f->epoch < r->epoch)
		return true;
	for (size_t at = 0; at < r->epochs.n; at += sizeof(struct epoch)) {
		struct epoch e;

		memcpy(&e, r->epochs.p + at, sizeof(e));
		if (e.epoch > f->epoch && e.first <= f->batch)
			return true;
	}
	return false;
}

/* ---- segments ---------------------------------------------------------------------------------------- */

/* The first walk: epochs, and the end. */
static int
segment_look(struct store_replay *r, uint32_t number, struct slice bytes)
{
	struct store_log_end *end = &r->end;
	struct oplog_frame f;
	size_t at = 0, skipped;
	uint64_t epoch = UINT64_MAX;

	end->segment = number;
	end->at = 0;
	end->damaged = false;
	while (store_oplog_next(bytes, &at, &f, &skipped)) {
		end->at = at;
		end->damaged |= skipped > 0;
		end->batch = f.batch;
		end->epoch = f.epoch;
		end->in = number;
		end->from = at - f.size;
		end->size = f.size;
		if (f.epoch == epoch)
			continue;
		epoch = f.epoch;
		buf_add(&r->epochs, &(struct epoch){ f.epoch, f.batch }, sizeof(struct epoch));
	}
	return 0;
}

/* Batches are missing between the last one and `next`.  False: stop. */
static bool
hole(struct store_replay *r, uint32_t number, uint64_t next)
{
	replay_tell(r, OPLOG_SEGMENT ": batches %llu to %llu are missing or damaged", number,
	    (unsigned long long)r->batch + 1, (unsigned long long)next - 1);
	r->holes++;
	return r->force;
}

/* What is behind the last frame and is not room for the next ones. */
static bool
is_blank(struct slice bytes)
{
	return bytes.n == 0 || (bytes.p[0] == 0 && memcmp(bytes.p, bytes.p + 1, bytes.n - 1) == 0);
}

/* A frame of another format than the index: an upgrade lies between, which changes ids, so that the
 * log cannot be followed over it.  What it has from there on is left out, if that is wanted. */
static int
frame_of_other_format(struct store_replay *r, const struct oplog_frame *f)
{
	if (r->left)
		return 0;
	if (!r->force) {
		*r->why = mem_printf("the log goes on in format %u behind batch %llu, and there is "
				     "no good "
				     "snapshot of that format: storectl recover --force makes "
				     "the index as it was "
				     "then, in format %u; after it storectl upgrade and "
				     "storectl reconstruct bring "
				     "back the mail that has come since, without flags",
		    frame_major(f), (unsigned long long)r->batch, r->major);
		return -EPROTO;
	}
	r->left = true;
	return 0;
}

static int
segment_replay(struct store_replay *r, uint32_t number, struct slice bytes)
{
	struct oplog_frame f;
	size_t at = 0, skipped;

	while (store_oplog_next(bytes, &at, &f, &skipped)) {
		bool last = number == r->end.in && at - f.size == r->end.from;
		int rc;

		if (f.batch <= r->batch || is_void(r, &f))
			continue;
		if (r->major && frame_major(&f) != r->major) {
			rc = frame_of_other_format(r, &f);
			if (rc < 0)
				return rc;
			continue;
		}
		if (r->epoch && f.epoch != r->epoch) {
			*r->why = mem_str("the log is that of a later index");
			return -EUCLEAN;
		}
		if (f.batch != r->batch + 1 && !hole(r, number, f.batch)) {
			*r->why = mem_str("the log has a hole");
			return -EUCLEAN;
		}
		rc = replay_frame(r, &f, last);
		if (rc < 0)
			return rc;
	}
	if (number == r->end.segment && !is_blank(slice_from(bytes, at)))
		replay_tell(r,
		    OPLOG_SEGMENT ": the last %zu bytes are an unfinished or damaged batch: left "
				  "out",
		    number, bytes.n - at);
	return 0;
}

static int
with_segment(struct store_replay *r, uint32_t number,
    int (*fn)(struct store_replay *r, uint32_t number, struct slice bytes))
{
	char name[32];
	struct stat st;
	void *map = NULL;
	int fd, rc = 0;

	snprintf(name, sizeof(name), OPLOG_SEGMENT, number);
	fd = openat(r->logfd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		rc = replay_fail(r, errno, name);
	else if (st.st_size == 0)
		rc = fn(r, number, slice(NULL, 0));
	else {
		map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (map == MAP_FAILED)
			rc = replay_fail(r, errno, name);
		else {
			rc = fn(r, number, slice(map, (size_t)st.st_size));
			munmap(map, (size_t)st.st_size);
		}
	}
	if (fd >= 0)
		close(fd);
	return rc;
}

/* Segments that end before the index's last batch need no look.  The last one is always looked at,
 * and one with frames: it says what the last batch is. */
static size_t
first_needed(struct store_replay *r, const uint32_t *segments, size_t n)
{
	size_t i = n ? n - 1 : 0;

	while (i > 0) {
		uint64_t batch = store_oplog_first_batch(r->logfd, segments[i]);

		if (batch && batch <= r->batch)
			break;
		i--;
	}
	return r->epoch ? i : 0;
}

int
store_replay(struct store_replay *r)
{
	uint32_t *segments = NULL;
	size_t n = 0, first;
	int rc = 0;

	if (r->logfd >= 0)
		segments = store_oplog_segments(r->logfd, &n);
	first = first_needed(r, segments, n);
	for (size_t i = first; i < n && rc == 0; i++)
		rc = with_segment(r, segments[i], segment_look);
	for (size_t i = first; i < n && rc == 0; i++)
		rc = with_segment(r, segments[i], segment_replay);
	mem_free(&segments);
	return rc;
}

int
store_replay_last(int logfd, uint64_t *batch)
{
	char *why = NULL;
	struct store_replay r = { .logfd = logfd, .why = &why };
	size_t n = 0;
	uint32_t *segments = store_oplog_segments(logfd, &n);
	int rc = n ? 0 : -ENOENT;

	for (size_t i = n; i-- > 0 && rc == 0 && r.end.batch == 0;)
		rc = with_segment(&r, segments[i], segment_look);
	*batch = r.end.batch;
	mem_free(&segments);
	mem_free(&why);
	store_replay_fini(&r);
	return rc;
}

/* A segment without a frame is no sign: the next one was to come into it. */
bool
store_replay_is_lost(const char *path, const struct store_steady *s)
{
	char *log = mem_printf("%s/log", path);
	int fd = open(log, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t batch = 0;
	int rc = fd < 0 ? -errno : store_replay_last(fd, &batch);

	if (fd >= 0)
		close(fd);
	mem_free(&log);
	return rc == -ENOENT || (rc == 0 && batch && batch < s->batch);
}

void
store_replay_fini(struct store_replay *r)
{
	if (r->txn)
		mdb_txn_abort(r->txn);
	r->txn = NULL;
	buf_fini(&r->epochs);
	buf_fini(&r->block);
}

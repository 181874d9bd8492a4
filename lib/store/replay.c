/* Frames of the operation log to rows of the index.
 *
 * The log is walked twice: first to know where it ends and where epochs begin, then to do it.  Every
 * frame but the last was answered or is followed by one that was written after its sync: it is done.
 * Whether the last one ever was, its files say: replay-files.c, which also makes files again.
 * What can fail is LMDB, and a log that has holes or belongs to another index. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/env.h"
#include "store/replay-impl.h"

#define TXN_BYTES (16u * 1024 * 1024) /* of operations in one transaction */

void
store_replay_tell(struct store_replay *r, const char *fmt, ...)
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
int
store_replay_fail(struct store_replay *r, int rc, const char *what)
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
	if (op->table >= STORE_TABLES || op->kind == OPLOG_FILES || op->kind == OPLOG_BODIES)
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
	/* Where they were linked: what the last batch moves has not been moved yet. */
	if (rc == 0 && last && store_replay_bodies_restore(r) < 0)
		return -EIO;
	if (rc == 0)
		rc = replay_ops(r, f);
	if (rc == 0 && last && f->batch > r->synced && store_replay_files_torn(r, f)) {
		r->end.is_void = true;
		mdb_txn_abort(r->txn);
		r->txn = NULL;
		rc = mdb_txn_begin(r->env, NULL, 0, &r->txn);
		if (rc)
			return store_replay_fail(r, rc, "the index");
		store_replay_files_aside(r, f);
		return 0;
	}
	if (rc == 0)
		store_replay_bodies_note(r, f);
	if (rc)
		return store_replay_fail(r, rc, "a batch of the log");
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
	store_replay_tell(r, OPLOG_SEGMENT ": batches %llu to %llu are missing or damaged", number,
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

		if (is_void(r, &f))
			continue;
		if (f.batch <= r->batch) {
			/* A snapshot has it, and may be newer than the last steady point. */
			if (r->synced)
				store_replay_bodies_note(r, &f);
			continue;
		}
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
		store_replay_tell(r,
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
		rc = store_replay_fail(r, errno, name);
	else if (st.st_size == 0)
		rc = fn(r, number, slice(NULL, 0));
	else {
		map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (map == MAP_FAILED)
			rc = store_replay_fail(r, errno, name);
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
	if (rc == 0)
		rc = store_replay_bodies_restore(r);
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
	if (r->bodiesfd)
		close(r->bodiesfd - 1);
	r->bodiesfd = 0;
	buf_fini(&r->epochs);
	buf_fini(&r->block);
	buf_fini(&r->bodies);
}

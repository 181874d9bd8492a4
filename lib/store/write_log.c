/* The operation log, written: a frame for each batch, before the batch's sync.
 *
 * The log is the road back when the index is lost, not the commit itself.  It has no sync of its
 * own (that would cost small batches a tenth and more): the syncfs of a large batch covers it, the
 * kernel writes the rest, and after a power cut it may end some batches before the index.  A log
 * that cannot be written fails no batch, but leaves a hole, and a snapshot is made soon, from
 * which the log leads on.  A frame of a batch that was not committed is cut off again, at once
 * or at the next start. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "store/snapshot.h"
#include "store/write_private.h"

#define BUFFER_KEEP (1024 * 1024)

static void
complain(struct store_part *p, const char *what, int error)
{
	log_event(LOG_ERROR, "store_log", "partition=%s segment=%u problem=%s error=%s", log_str(p->name),
	    p->log.segment, what, log_str(error ? strerror(error) : ""));
}

/* ---- opening ----------------------------------------------------------------------------------- */

/* What the end of a segment holds. */
struct tail {
	uint64_t batch;        /* of the last frame; 0 = there is none */
	uint64_t start, end;   /* of that frame */
	uint64_t size;         /* of the file */
	bool damaged;          /* something before it is no frame */
};

static int
tail_read(int dirfd, uint32_t segment, struct tail *t)
{
	char name[32];
	struct stat st;
	int fd, rc = 0;

	*t = (struct tail){ 0 };
	snprintf(name, sizeof(name), OPLOG_SEGMENT, segment);
	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		rc = -errno;
	else if (st.st_size > 0) {
		void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		size_t at = 0, skipped;
		struct oplog_frame f;

		t->size = (uint64_t)st.st_size;
		if (map == MAP_FAILED)
			rc = -errno;
		else {
			while (oplog_next(slice(map, (size_t)st.st_size), &at, &f, &skipped)) {
				t->damaged |= skipped > 0;
				t->batch = f.batch;
				t->start = at - f.size;
				t->end = at;
			}
			munmap(map, (size_t)st.st_size);
		}
	}
	if (fd >= 0)
		close(fd);
	return rc;
}

static int
segment_open(struct store_part *p, uint32_t segment, bool new)
{
	char name[32];
	int rc = 0;

	snprintf(name, sizeof(name), OPLOG_SEGMENT, segment);
	p->log.fd = openat(p->log.dirfd, name, O_WRONLY | O_CLOEXEC | (new ? O_CREAT | O_EXCL : 0), 0640);
	if (p->log.fd < 0)
		return -errno;
	p->log.segment = segment;
	if (new && p->c.sync)
		rc = fsync(p->log.dirfd) < 0 ? -errno : 0;
	return rc;
}

static void
segment_close(struct store_part *p)
{
	if (p->log.fd < 0)
		return;
	if (p->c.sync && fdatasync(p->log.fd) < 0)
		complain(p, "sync", errno);
	close(p->log.fd);
	p->log.fd = -1;
}

/* Cuts a segment off behind `end`: what a crash left there. */
static int
tail_cut(struct store_part *p, uint32_t segment, uint64_t end)
{
	int rc = segment_open(p, segment, false);

	if (rc == 0 && ftruncate(p->log.fd, (off_t)end) < 0)
		rc = -errno;
	p->log.at = end;
	return rc;
}

/* The number from which the log can go on, into the index: a snapshot must hold it. */
static int
number_from(struct store_part *p, uint64_t batch)
{
	int rc = mdb_txn_begin(p->env, NULL, 0, &p->txn);

	if (rc)
		return rc > 0 ? -rc : -EIO;
	p->ids.batch = batch;
	row_put(p, STORE_T_META, "ids", 3, &p->ids, sizeof(p->ids), 0);
	rc = p->error;
	if (rc)
		mdb_txn_abort(p->txn);
	else
		rc = mdb_txn_commit(p->txn);
	p->txn = NULL;
	return rc > 0 ? -rc : rc < 0 ? -EIO : 0;
}

/* No batch was ever committed here. */
static bool
untouched(struct store_part *p)
{
	MDB_txn *txn;
	MDB_stat st = { .ms_entries = 1 };

	if (p->ids.batch || mdb_txn_begin(p->env, NULL, MDB_RDONLY, &txn) != 0)
		return false;
	(void)!mdb_stat(txn, p->dbi[STORE_T_ACCOUNT], &st);
	mdb_txn_abort(txn);
	return st.ms_entries == 0;
}

/* The log begins anew: not with the first batch that ever was, unless that is true, and not with
 * numbers that a snapshot of another index has. */
static int
log_anew(struct store_part *p)
{
	uint64_t newest = snapshot_newest(p->c.snapshots);

	if (newest == 0 && untouched(p))
		return 0;
	p->snap_due = true;
	if (p->ids.batch && newest <= p->ids.batch)
		return 0;
	return number_from(p, (newest > p->ids.batch ? newest : p->ids.batch) + 1);
}

static int
refuse(struct store_part *p, uint64_t last, char **why)
{
	*why = mem_printf("%s/index: %s (batch %llu, the log has batch %llu): storectl recover makes it "
	    "again; to go on with it as it is, move the directory log away", p->path,
	    p->fresh ? "the index is gone" : "the index is older than the log",
	    (unsigned long long)p->ids.batch, (unsigned long long)last);
	return -EUCLEAN;
}

/* Where the numbers of batches and the frames stand to each other. */
static int
log_match(struct store_part *p, const uint32_t *segments, size_t n, char **why)
{
	struct tail t = { 0 }, end = { 0 };
	size_t i = n;
	int rc = 0;

	while (i > 0 && t.batch == 0 && rc == 0) {
		rc = tail_read(p->log.dirfd, segments[--i], &t);
		if (i == n - 1)
			end = t;
	}
	if (rc < 0)
		return rc;
	if (t.batch > p->ids.batch + 1 || (p->fresh && t.batch))
		return refuse(p, t.batch, why);
	if ((t.batch < p->ids.batch || t.batch == 0) && (rc = log_anew(p)) < 0)
		return rc;
	if (t.batch > p->ids.batch) { /* its frame was written, it was not committed */
		if ((rc = tail_cut(p, segments[i], t.start)) < 0)
			return rc;
		segment_close(p);
		if (i == n - 1)
			end.end = t.start;
	}
	if (n == 0)
		return 0;
	if (!end.damaged)
		return tail_cut(p, segments[n - 1], end.end);
	p->log.segment = segments[n - 1];
	complain(p, "damaged", 0);
	p->snap_due = true;
	return 0;
}

int
log_open(struct store_part *p, char **why)
{
	uint32_t *segments = NULL;
	size_t n = 0;
	int rc = 0;

	if (!p->c.log)
		return 0;
	if ((mkdirat(p->dirfd, "log", 0750) < 0 && errno != EEXIST) ||
	    (p->log.dirfd = openat(p->dirfd, "log", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		rc = -errno;
	if (rc == 0) {
		segments = oplog_segments(p->log.dirfd, &n);
		rc = log_match(p, segments, n, why);
		mem_free(&segments);
	}
	if (rc < 0 && !*why)
		*why = mem_printf("%s/log: %s", p->path, strerror(-rc));
	return rc;
}

void
log_close(struct store_part *p)
{
	segment_close(p);
	if (p->log.dirfd >= 0)
		close(p->log.dirfd);
	p->log.fd = p->log.dirfd = -1;
	buf_fini(&p->log.b);
}

/* ---- a batch ---------------------------------------------------------------------------------------- */

void
log_begin(struct store_part *p)
{
	p->log.changed = p->log.numbered = false;
	p->log.before = p->log.at;
	if (p->log.b.room > BUFFER_KEEP)
		buf_fini(&p->log.b);
	oplog_begin(&p->log.b);
}

void
log_op(struct store_part *p, enum oplog_kind kind, enum store_table t, struct slice key,
    struct slice value)
{
	const struct oplog_op op = { kind, t, key, value };

	p->log.changed = true;
	if (p->c.log && !p->error)
		oplog_op_write(&p->log.b, &op);
}

/* The file as it was before the frame.  If that cannot be had, the log would tell of what has
 * not happened: better to stop, the next start cuts it. */
static void
cut(struct store_part *p)
{
	must(p->log.fd < 0 || ftruncate(p->log.fd, (off_t)p->log.before) == 0);
	p->log.at = p->log.before;
}

static int
write_frame(struct store_part *p)
{
	struct wlog *l = &p->log;
	size_t done = 0;
	int rc = 0;

	if (l->fd >= 0 && l->at >= p->c.log_segment)
		segment_close(p);
	if (l->fd < 0) {
		l->at = l->before = 0;
		rc = segment_open(p, l->segment + 1, true);
	}
	while (rc == 0 && done < l->b.n) {
		ssize_t n = pwrite(l->fd, l->b.p + done, l->b.n - done, (off_t)(l->at + done));

		if (n > 0)
			done += (size_t)n;
		else if (n == 0 || errno != EINTR)
			rc = n == 0 ? -EIO : -errno;
	}
	if (rc == 0)
		l->at += done;
	return rc;
}

void
log_append(struct store_part *p)
{
	int rc;

	if (!p->c.log || !p->log.numbered)
		return;
	if (p->log.b.n - sizeof(struct oplog_head) > OPLOG_MOST)
		rc = -EFBIG;
	else {
		oplog_finish(&p->log.b, p->ids.batch, p->now);
		rc = write_frame(p);
	}
	if (rc < 0) {
		cut(p);
		if (!p->log.lost)
			complain(p, "write", -rc);
		snapshot_want(p);
	} else if (p->log.lost)
		log_event(LOG_INFO, "store_log", "partition=%s segment=%u problem=%s", log_str(p->name),
		    p->log.segment, "over");
	p->log.lost = rc < 0;
}

void
log_undo(struct store_part *p)
{
	if (!p->log.numbered)
		return;
	p->ids.batch--;
	if (p->log.at > p->log.before)
		cut(p);
}

/* ---- segments that are not needed any more ------------------------------------------------------------ */

/* The batch of the first frame, or 0. */
static uint64_t
first_batch(int dirfd, uint32_t segment)
{
	struct oplog_head h = { 0 };
	char name[32];
	int fd;

	snprintf(name, sizeof(name), OPLOG_SEGMENT, segment);
	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || pread(fd, &h, sizeof(h), 0) != (ssize_t)sizeof(h) || h.magic != OPLOG_MAGIC)
		h.batch = 0;
	if (fd >= 0)
		close(fd);
	return h.batch;
}

void
log_trim(struct store_part *p, uint64_t batch)
{
	uint32_t *segments;
	size_t n;

	if (p->log.dirfd < 0)
		return;
	segments = oplog_segments(p->log.dirfd, &n);
	for (size_t i = 0; i + 1 < n; i++) {
		uint64_t next = first_batch(p->log.dirfd, segments[i + 1]);
		char name[32];

		/* The next one must begin where the snapshot ends, or before. */
		if (next == 0 || next > batch + 1)
			break;
		snprintf(name, sizeof(name), OPLOG_SEGMENT, segments[i]);
		if (unlinkat(p->log.dirfd, name, 0) < 0)
			complain(p, "unlink", errno);
	}
	mem_free(&segments);
}

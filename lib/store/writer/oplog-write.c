/* The operation log, written: the frame of a batch is what commits it.
 *
 * A frame is written before the batch's one sync, which covers it and the message files; then the
 * batch has happened, whatever becomes of the index: the next start does it again.  So an error of
 * the log fails the batch, and a frame whose batch has failed must not come back: it is overwritten
 * with zeros.  Should the disk refuse that as well, and the power be cut before the next batch has
 * taken its place, a batch comes back that was answered with a temporary error.
 *
 * Segments grow by zeros, some hundred frames ahead, so that a frame changes neither the size of the
 * file nor its blocks, and its sync is one flush of the disk.  Behind the last frame is nothing but
 * zeros, never what a frame there once was: whoever can have bytes put into frames could else have
 * one of his own found behind a damaged one. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "store/replay.h"
#include "store/snapshot.h"
#include "store/writer/writer-impl.h"

#define BUFFER_KEEP (1024 * 1024)
#define AHEAD       (1024 * 1024) /* bytes of zeros that a segment grows by */

static void
writer_oplog_complain(struct writer *w, const char *what, int error)
{
	log_event(LOG_ERROR, "store_log", "partition=%s segment=%u problem=%s error=%s",
	    log_str(w->config->name), w->oplog.segment, what,
	    log_str(error ? strerror(error) : ""));
}

/* ---- segments ---------------------------------------------------------------------------------- */

static int
segment_open(struct writer *w, uint32_t segment, bool new)
{
	char name[32];
	int rc = 0;

	snprintf(name, sizeof(name), OPLOG_SEGMENT, segment);
	w->oplog.fd =
	    openat(w->oplog.dirfd, name, O_WRONLY | O_CLOEXEC | (new ? O_CREAT | O_EXCL : 0), 0640);
	if (w->oplog.fd < 0)
		return -errno;
	w->oplog.segment = segment;
	w->oplog.size = w->oplog.stable = 0;
	if (new && w->config->sync)
		rc = fsync(w->oplog.dirfd) < 0 ? -errno : 0;
	return rc;
}

/* What is in it has been synced; the zeros at its end go. */
static void
segment_close(struct writer *w)
{
	if (w->oplog.fd < 0)
		return;
	if (w->oplog.size > w->oplog.at && ftruncate(w->oplog.fd, (off_t)w->oplog.at) < 0)
		writer_oplog_complain(w, "cut", errno);
	close(w->oplog.fd);
	w->oplog.fd = -1;
}

/* Room for n bytes from `at` on; on a full disk no more than them, so that who expunges still can. */
static int
segment_grow(struct wlog *l, size_t n)
{
	static const char zeros[65536];
	int rc = 0;

	if (l->at + n <= l->size)
		return 0;
	for (uint64_t end = l->at + n + AHEAD; rc == 0 && l->size < end;) {
		size_t more = end - l->size < sizeof(zeros) ? end - l->size : sizeof(zeros);

		rc = files_write_at(l->fd, zeros, more, l->size);
		if (rc == 0)
			l->size += more;
	}
	/* A piece that was written in part is blank, and is written again. */
	return l->at + n <= l->size || rc == -ENOSPC || rc == -EDQUOT ? 0 : rc;
}

/* ---- opening ----------------------------------------------------------------------------------- */

/* Cuts a segment off behind `end`, and goes on there. */
static int
tail_cut(struct writer *w, uint32_t segment, uint64_t end)
{
	int rc = segment_open(w, segment, false);

	if (rc == 0 && ftruncate(w->oplog.fd, (off_t)end) < 0)
		rc = -errno;
	if (rc == 0 && w->config->sync && fdatasync(w->oplog.fd) < 0)
		rc = -errno;
	w->oplog.at = w->oplog.size = w->oplog.stable = end;
	return rc;
}

/* The number from which the log can go on, into the index: a snapshot must hold it. */
static int
number_from(struct writer *w, uint64_t batch)
{
	int rc = mdb_txn_begin(w->env->lmdb, NULL, 0, &w->txn);

	if (rc)
		return rc > 0 ? -rc : -EIO;
	w->ids.batch = batch;
	writer_ids_put(w);
	rc = w->error;
	if (rc)
		mdb_txn_abort(w->txn);
	else
		rc = mdb_txn_commit(w->txn);
	w->txn = NULL;
	return rc > 0 ? -rc : rc < 0 ? -EIO : 0;
}

/* No batch was ever committed here. */
static bool
untouched(struct writer *w)
{
	MDB_txn *txn;
	MDB_stat st = { .ms_entries = 1 };

	if (w->ids.batch || mdb_txn_begin(w->env->lmdb, NULL, MDB_RDONLY, &txn) != 0)
		return false;
	(void)!mdb_stat(txn, w->env->dbi[STORE_T_ACCOUNT], &st);
	mdb_txn_abort(txn);
	return st.ms_entries == 0;
}

/* The log begins anew: not with the first batch that ever was, unless that is true, and not with
 * numbers that a snapshot of another index has. */
static int
log_anew(struct writer *w)
{
	uint64_t newest = store_snapshot_newest(w->config->snapshots);

	if (newest == 0 && untouched(w))
		return 0;
	writer_queue_snap_want(w->queue);
	if (w->ids.batch && newest <= w->ids.batch)
		return 0;
	return number_from(w, (newest > w->ids.batch ? newest : w->ids.batch) + 1);
}

static int
writer_oplog_refuse(struct writer *w, const char *what, uint64_t last, char **why)
{
	mem_free(why);
	*why = mem_printf("%s/index: %s (batch %llu, the log has batch %llu): storectl recover "
			  "makes it "
			  "again; to go on with it as it is, move the directory log away",
	    w->config->path, what, (unsigned long long)w->ids.batch, (unsigned long long)last);
	return -EUCLEAN;
}

static void
redo_tell(void *arg, const char *line)
{
	const struct writer *w = arg;

	log_event(LOG_WARN, "store_redo", "partition=%s found=%s", log_str(w->config->name),
	    log_str(line));
}

/* What the log has behind the index is done again; r->end is the end of the log. */
static int
log_redo(struct writer *w, struct store_replay *r, char **why)
{
	uint64_t from = w->ids.batch;
	int rc;

	*r = (struct store_replay){ .dirfd = w->files->dirfd,
		.logfd = w->oplog.dirfd,
		.env = w->env->lmdb,
		.major = STORE_MAJOR,
		.epoch = w->ids.log ? w->ids.log : 1,
		.batch = w->fresh ? UINT64_MAX : from, /* fresh: only look */
		.here = w->oplog.here,
		.doubt = w->oplog.doubt,
		.tell = redo_tell,
		.arg = w,
		.why = why };
	memcpy(r->dbi, w->env->dbi, sizeof(r->dbi));
	rc = mdb_txn_begin(r->env, NULL, 0, &r->txn);
	rc = rc ? -EIO : store_replay(r);
	if (rc == 0 && r->batches) {
		rc = mdb_txn_commit(r->txn) == 0 ? 0 : -EIO;
		r->txn = NULL;
	}
	store_replay_fini(r);
	if (rc == -EUCLEAN)
		return writer_oplog_refuse(w, "the index is older than the log", r->end.batch, why);
	if (rc == 0 && w->fresh && r->end.batch)
		return writer_oplog_refuse(w, "the index is gone", r->end.batch, why);
	if (rc == 0 && r->batches) {
		w->ids.batch = r->batch;
		w->stats.redone = r->batches;
		w->stats.restored = r->restored;
		log_event(LOG_INFO, "store_redo",
		    "partition=%s from=%llu to=%llu batches=%llu files=%zu",
		    log_str(w->config->name), (unsigned long long)from,
		    (unsigned long long)r->batch, (unsigned long long)r->batches, r->restored);
	}
	return rc;
}

/* Where the log goes on. */
static int
log_continue(struct writer *w, const struct store_log_end *end)
{
	int rc = 0;

	if (end->batch < w->ids.batch || end->batch == 0) {
		/* Who replays it begins with what may be older, or with nothing. */
		w->oplog.unmarked = true;
		rc = log_anew(w);
		if (rc < 0)
			return rc;
	}
	if (end->segment == 0)
		return 0;
	w->oplog.unmarked |= end->is_void; /* it may have been the first */
	if (end->is_void) {                /* it must not be found again behind others */
		rc = tail_cut(w, end->in, end->from);
		if (rc < 0 || (end->in == end->segment && !end->damaged))
			return rc;
		segment_close(w);
	}
	if (!end->damaged)
		return tail_cut(w, end->segment, end->at);
	w->oplog.segment = end->segment;
	writer_oplog_complain(w, "damaged", 0);
	writer_queue_snap_want(w->queue);
	return 0;
}

/* Where no log is kept, one that is there is done all the same: the index may have been left behind. */
int
writer_oplog_open(struct writer *w, char **why)
{
	struct store_replay r = { .batches = 0 };
	int rc = 0;

	if (w->config->log && mkdirat(w->files->dirfd, "log", 0750) < 0 && errno != EEXIST)
		rc = -errno;
	if (rc == 0) {
		w->oplog.dirfd = openat(w->files->dirfd, "log", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (w->oplog.dirfd < 0 && errno == ENOENT && !w->config->log)
			return 0;
		rc = w->oplog.dirfd < 0 ? -errno : log_redo(w, &r, why);
	}
	if (rc == 0 && w->config->log)
		rc = log_continue(w, &r.end);
	if (rc == 0 && w->config->log)
		rc = writer_bodies_open(w->files, w->oplog.dirfd, w->config->log_bodies);
	else if (rc == 0 && r.end.is_void)
		rc = tail_cut(w, r.end.in, r.end.from);
	w->oplog.unlogged = r.end.batch < w->ids.batch ? w->ids.batch : 0;
	if (!w->config->log)
		writer_oplog_close(w);
	if (rc < 0 && !*why)
		*why = mem_printf("%s/log: %s", w->config->path, strerror(-rc));
	return rc;
}

void
writer_oplog_close(struct writer *w)
{
	segment_close(w);
	if (w->oplog.dirfd >= 0)
		close(w->oplog.dirfd);
	w->oplog.fd = w->oplog.dirfd = -1;
	buf_fini(&w->oplog.b);
}

/* ---- a batch ---------------------------------------------------------------------------------------- */

void
writer_oplog_begin(struct writer *w)
{
	w->oplog.changed = w->oplog.numbered = false;
	w->oplog.before = w->oplog.written = w->oplog.at;
	if (w->oplog.b.room > BUFFER_KEEP)
		buf_fini(&w->oplog.b);
	store_oplog_begin(&w->oplog.b);
}

void
writer_oplog_op(struct writer *w, enum oplog_kind kind, enum store_table t, struct slice key,
    struct slice value)
{
	const struct oplog_op op = { kind, t, key, value };

	w->oplog.changed = true;
	if (w->config->log && !w->error)
		store_oplog_op_write(&w->oplog.b, &op);
}

static int
write_frame(struct writer *w)
{
	struct wlog *l = &w->oplog;
	int rc = 0;

	if (l->fd >= 0 && l->at >= w->config->log_segment)
		segment_close(w);
	if (l->fd < 0) {
		l->at = l->before = l->written = 0;
		rc = segment_open(w, l->segment + 1, true);
	}
	if (rc == 0)
		rc = segment_grow(l, l->b.n);
	if (rc == 0) {
		l->written = l->at + l->b.n; /* or some of it */
		rc = files_write_at(l->fd, l->b.p, l->b.n, l->at);
	}
	if (rc == 0)
		l->at = l->written;
	if (l->size < l->at)
		l->size = l->at; /* there was no room for zeros */
	return rc;
}

/* What the log says of a link. */
static void
frame_file(const struct part_files *f, const struct wlink *l, struct buf *list)
{
	struct wbody b;

	if (!f->bodies.written) {
		buf_add(list, &l->file, sizeof(l->file));
		return;
	}
	memcpy(&b, f->bodies.list.p + (l->body - 1) * sizeof(b), sizeof(b));
	buf_add(list, &(struct oplog_body){ l->uid, b.size, b.crc, b.at, b.date },
	    sizeof(struct oplog_body));
}

/* The message files that share the frame's sync, or are in the journal of bodies. */
static void
frame_files(struct writer *w)
{
	const struct part_files *f = w->files;
	struct buf list = { 0 };
	uint8_t key[8];

	for (size_t i = 0; i < f->nlinks; i++) {
		const struct wlink *l = &f->links[i];

		if (l->uid)
			frame_file(f, l, &list);
		if (list.n == 0 || (i + 1 < f->nlinks && f->links[i + 1].box == l->box))
			continue;
		store_be64(key, l->box->id);
		writer_oplog_op(w, f->bodies.written ? OPLOG_BODIES : OPLOG_FILES, STORE_T_MAILBOX,
		    slice((char *)key, sizeof(key)), buf_get(&list));
		buf_clear(&list);
	}
	buf_fini(&list);
}

int
writer_oplog_append(struct writer *w)
{
	int rc;

	if (!w->config->log || !w->oplog.numbered)
		return 0;
	frame_files(w);
	if (w->oplog.b.n - sizeof(struct oplog_head) > OPLOG_MOST)
		return -EFBIG;
	store_oplog_finish(&w->oplog.b, w->ids.batch, w->now, w->ids.log, w->ids.batch - 1);
	rc = write_frame(w);
	if (rc < 0 && !w->oplog.lost)
		writer_oplog_complain(w, "write", -rc);
	else if (rc == 0 && w->oplog.lost)
		log_event(LOG_INFO, "store_log", "partition=%s segment=%u problem=%s",
		    log_str(w->config->name), w->oplog.segment, "over");
	w->oplog.lost = rc < 0;
	return rc;
}

/* Nothing of the frame stays.  When not even that can be had, the log would tell of what has not
 * happened: better to stop, since the next start does what the log says, and nobody has been told
 * anything else. */
void
writer_oplog_undo(struct writer *w)
{
	static const char zeros[65536];
	struct wlog *l = &w->oplog;
	int rc = 0;

	if (!l->numbered)
		return;
	w->ids.batch--;
	for (uint64_t at = l->before; l->fd >= 0 && rc == 0 && at < l->written;) {
		size_t n = l->written - at < sizeof(zeros) ? l->written - at : sizeof(zeros);

		rc = files_write_at(l->fd, zeros, n, at);
		at += n;
	}
	must(rc == 0 || ftruncate(l->fd, (off_t)l->before) == 0);
	if (rc < 0)
		l->size = l->stable = l->before;
	else if (l->size < l->written)
		l->size = l->written;
	if (l->written > l->before && w->config->sync && fdatasync(l->fd) < 0)
		writer_oplog_complain(w, "sync", errno);
	l->at = l->written = l->before;
}

/* ---- segments that are not needed any more ------------------------------------------------------------ */

void
writer_oplog_trim(int log_dirfd, const char *partition, uint64_t batch)
{
	uint32_t *segments;
	size_t n;

	if (log_dirfd < 0)
		return;
	segments = store_oplog_segments(log_dirfd, &n);
	for (size_t i = 0; i + 1 < n; i++) {
		uint64_t next = store_oplog_first_batch(log_dirfd, segments[i + 1]);
		char name[32];

		/* The next one must begin where the snapshot ends, or before. */
		if (next == 0 || next > batch + 1)
			break;
		snprintf(name, sizeof(name), OPLOG_SEGMENT, segments[i]);
		if (unlinkat(log_dirfd, name, 0) < 0)
			log_event(LOG_ERROR, "store_log",
			    "partition=%s segment=%u problem=unlink error=%s", log_str(partition),
			    segments[i], log_str(strerror(errno)));
	}
	mem_free(&segments);
}

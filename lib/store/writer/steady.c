/* The thread that syncs the index from time to time, and says up to where: steady points.
 *
 * Between two points commits of LMDB are not synced: the log has committed the batch before.  A point
 * is one transaction of the index whose pages are all on disk, and stay there: it is held, as a
 * reader would, until the next point is recorded, and LMDB writes over no page that a reader sees.  So
 * there is at any moment one state to come back to after a power cut, and the log behind it.
 * The files of messages that are in the journal of bodies (bodies.c) are synced with it.
 * Pages that are freed meanwhile are not used again, which the index pays with room: what is
 * written to it in a second or two.
 * Called by the opening, then the thread's own.  A sync of the index that fails is the end: the
 * kernel tells it once, and no later sync would say which pages are missing.  Every batch then fails until
 * stored is started anew, which goes back to the last point.  A point that cannot be recorded
 * is tried again, the former one being as good as before.  Where there is no log, or LMDB is not the
 * one that we know, every commit is synced, and there are no points. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "store/replay.h"
#include "store/writer/threads-impl.h"

#define TRIES   100   /* to take a point between two commits */
#define WAITS   50    /* for readers that let go of a suspect index, */
#define WAIT_US 50000 /* so long each */

static void
steady_complain(const char *partition, const char *what, int error)
{
	log_event(LOG_ERROR, "store_steady", "partition=%s problem=%s error=%s", log_str(partition),
	    what, log_str(strerror(error)));
}

/* ---- before the index is open ------------------------------------------------------------------ */

/* Readers let go of a suspect index when its stored ends. */
static int
rewind_patiently(const char *index, const struct store_steady *s, bool is_whole)
{
	int rc = store_steady_rewind(index, s);

	for (int i = 0; rc == -EBUSY && !is_whole && i < WAITS; i++) {
		usleep(WAIT_US);
		rc = store_steady_rewind(index, s);
	}
	return rc;
}

static int
rewind_index(const struct store_part_config *c, const char *index, const struct store_steady *s,
    char **why)
{
	/* All that was written is there, if the disk has not been away: LMDB's newest state is whole. */
	bool is_whole = store_steady_same_boot(s) && !s->suspect;
	bool is_lost = store_replay_is_lost(c->path, s);
	const char *problem = "unclean";
	int rc = 0;

	if (is_lost && !is_whole && s->logged) {
		*why = mem_printf("the index is as of batch %llu, and the log that has what came "
				  "behind it is not there: put back %s/log; to go on without it, "
				  "storectl recover --force",
		    (unsigned long long)s->batch, c->path);
		return -EUCLEAN;
	}
	if (is_lost)
		problem = "log";
	if (!is_lost || !is_whole)
		rc = rewind_patiently(index, s, is_whole);
	if (rc == -EBUSY && is_whole) {
		problem = "in_use";
		rc = 0;
	} else if (rc == -EBUSY)
		*why = mem_str("the index must be put back, but programs have it open: stop them, "
			       "imapd first of all");
	else if (rc == -EBADMSG)
		*why = mem_str("its meta pages are damaged: storectl recover makes the index again "
			       "from a snapshot and the log");
	else if (rc == -ENOENT) /* somebody has put another index there */
		return 0;
	if (rc == 0)
		log_event(is_lost ? LOG_WARN : LOG_INFO, "store_steady",
		    "partition=%s problem=%s batch=%llu", log_str(c->name), problem,
		    (unsigned long long)s->batch);
	return rc;
}

/* Under the same kernel all that was written should be there, but a disk that was away and has come back
 * has only what was synced.  So the index goes back to its point whenever it was not closed well, and
 * what LMDB has newest is taken only where somebody has it open already, or where the log is gone. */
int
writer_steady_prepare(const struct store_part_config *c, bool *here, bool *doubt, char **why)
{
	char *index = mem_printf("%s/index", c->path);
	struct store_steady s;
	int rc = store_steady_read(index, &s);

	*here = rc == 0 && !s.suspect && store_steady_same_boot(&s);
	*doubt = rc == 0 && s.suspect;
	if (rc == -EBADMSG)
		*why = mem_str("the file steady is damaged: storectl recover makes the index "
			       "again from a snapshot and the log");
	else if (rc == 0 && s.damaged)
		log_event(LOG_WARN, "store_steady", "partition=%s problem=%s batch=%llu",
		    log_str(c->name), "slot", (unsigned long long)s.batch);
	if (rc == -ENOENT || (rc == 0 && s.clean))
		rc = 0;
	else if (rc == 0)
		rc = rewind_index(c, index, &s, why);
	mem_free(&index);
	return rc;
}

/* ---- points --------------------------------------------------------------------------------------- */

/* The number of the last batch in this transaction; before the tables are open: 0. */
static uint64_t
batch_of(const struct steadier *s, MDB_txn *txn)
{
	MDB_val k = { 3, UNCONST("ids") }, d;
	struct store_disk_ids ids;

	if (!s->ready || mdb_get(txn, s->env->dbi[STORE_T_META], &k, &d) != 0 ||
	    store_value_read(slice(d.mv_data, d.mv_size), STORE_IDS_V1, &ids, sizeof(ids)) < 0)
		return 0;
	return ids.batch;
}

/* A snapshot, in a place of the reader table that is kept for the next one: a full table stops the
 * start and nothing else.  0 or -errno. */
static int
point_begin(struct steadier *s, MDB_txn **txn)
{
	int rc, dead;

	*txn = s->spare;
	s->spare = NULL;
	if (*txn)
		rc = mdb_txn_renew(*txn);
	else {
		rc = mdb_txn_begin(s->env->lmdb, NULL, MDB_RDONLY, txn);
		if (rc == MDB_READERS_FULL && mdb_reader_check(s->env->lmdb, &dead) == 0 && dead)
			rc = mdb_txn_begin(s->env->lmdb, NULL, MDB_RDONLY, txn);
		if (rc)
			*txn = NULL;
	}
	return rc == MDB_READERS_FULL ? -EUSERS : rc > 0 ? -rc : rc < 0 ? -EIO : 0;
}

/* It is over; its place stays ours. */
static void
point_end(struct steadier *s, MDB_txn *txn)
{
	if (!txn)
		return;
	if (s->spare)
		mdb_txn_abort(s->spare);
	mdb_txn_reset(txn);
	s->spare = txn;
}

/* The newest transaction that can be taken down: held, with its meta page. */
static int
point_take(struct steadier *s, MDB_txn **txn, struct store_steady *point)
{
	int rc = -EAGAIN;

	for (int i = 0; i < TRIES && rc == -EAGAIN; i++) {
		rc = point_begin(s, txn);
		if (rc == 0)
			rc = store_steady_take(s->env->lmdb, *txn, point);
		if (rc < 0)
			point_end(s, *txn);
	}
	if (rc == 0) {
		point->batch = batch_of(s, *txn);
		point->clean = point->suspect = false;
		if (s->log_known)
			point->logged = point->batch > s->unlogged;
		rc = store_steady_boot(point->boot) < 0 ? -ENOTSUP : 0;
		if (rc < 0)
			point_end(s, *txn);
	}
	return rc;
}

int
writer_steady_point(struct steadier *s)
{
	struct store_steady point = s->last;
	MDB_txn *txn;
	int rc;

	if (!s->on)
		return 0;
	rc = point_take(s, &txn, &point);
	if (rc < 0)
		return rc;
	rc = -writer_bodies_steady(s->files);
	if (rc == 0)
		rc = mdb_env_sync(s->env->lmdb, 1);
	if (rc) {
		rc = rc > 0 ? rc : EIO;
		writer_queue_steady_done(s->queue, 0, rc);
		s->last.suspect = true;
		(void)!store_steady_write(s->fd, &s->last);
	} else
		rc = -store_steady_write(s->fd, &point);
	if (rc) {
		point_end(s, txn);
		return -rc;
	}
	point_end(s, s->pin);
	s->pin = txn;
	s->last = point;
	writer_queue_steady_done(s->queue, point.batch, 0);
	return 0;
}

void
writer_steady_log(struct steadier *s, uint64_t unlogged)
{
	s->log_known = true;
	s->unlogged = unlogged;
}

/* Who has how many places of the reader table. */
struct holders {
	long pid[8];
	unsigned n[8];
};

static int
holders_on_line(const char *line, void *arg)
{
	struct holders *h = arg;
	char *end;
	long pid = strtol(line, &end, 10);

	if (end == line || pid <= 0) /* a headline */
		return 0;
	for (size_t i = 0; i < NELEM(h->pid); i++)
		if (h->pid[i] == pid || h->pid[i] == 0) {
			h->pid[i] = pid;
			h->n[i]++;
			break;
		}
	return 0;
}

char *
writer_steady_full(const struct steadier *s)
{
	struct holders h = { .pid = { 0 } };
	struct buf b = { 0 };

	(void)!mdb_reader_list(s->env->lmdb, holders_on_line, &h);
	buf_str(&b, "all places for snapshots of the index are taken (");
	for (size_t i = 0; i < NELEM(h.pid) && h.pid[i]; i++)
		buf_printf(&b, "%sprocess %ld has %u", i ? ", " : "", h.pid[i], h.n[i]);
	buf_str(&b,
	    "): stop who has so many; with max_readers there are more once nobody has the "
	    "index open");
	return buf_take(&b);
}

/* ---- life --------------------------------------------------------------------------------------------- */

static int
sync_directory(const char *index)
{
	int fd = open(index, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = fd < 0 ? -errno : 0;

	if (rc == 0 && fsync(fd) < 0)
		rc = -errno;
	if (fd >= 0)
		close(fd);
	return rc;
}

static void
steady_release(struct steadier *s)
{
	if (s->pin)
		mdb_txn_abort(s->pin);
	if (s->spare)
		mdb_txn_abort(s->spare);
	if (s->fd >= 0)
		close(s->fd);
	s->pin = s->spare = NULL;
	s->fd = -1;
}

/* A point would be believed later, and would be wrong. */
static int
steady_forget(struct steadier *s)
{
	char *index = mem_printf("%s/index", s->config->path);
	char *path = mem_printf("%s/steady", index);
	int rc = unlink(path) < 0 ? (errno == ENOENT ? 0 : -errno) : 0;

	if (rc == 0 && s->config->sync)
		rc = sync_directory(index);
	steady_release(s);
	s->on = false;
	mem_free(&path);
	mem_free(&index);
	return rc;
}

static int
steady_file_open(struct steadier *s)
{
	char *index = mem_printf("%s/index", s->config->path);
	char *path = mem_printf("%s/steady", index);
	int rc;

	(void)!store_steady_read(index, &s->last);
	s->fd = store_steady_open(path, 0);
	rc = s->fd < 0 ? s->fd : sync_directory(index);
	mem_free(&path);
	mem_free(&index);
	return rc;
}

/* Both slots of the new file have the point, whose pages are held: whichever of the two files a power cut
 * leaves leads to the same state, and the next point is taken when the new name is on disk. */
int
writer_steady_renew(struct steadier *s)
{
	struct store_steady point = s->last;
	char *index, *path, *new;
	int fd, rc = 0;

	if (!s->on)
		return 0;
	index = mem_printf("%s/index", s->config->path);
	path = mem_printf("%s/steady", index);
	new = mem_printf("%s/steady.new", index);
	fd = store_steady_open(new, O_TRUNC);
	rc = fd < 0 ? fd : 0;
	for (int slot = 0; slot < 2 && rc == 0; slot++)
		rc = store_steady_write(fd, &point);
	if (rc == 0 && fsync(fd) < 0)
		rc = -errno;
	if (rc == 0 && rename(new, path) < 0)
		rc = -errno;
	if (rc == 0) {
		close(s->fd);
		s->fd = fd;
		s->last = point;
		rc = sync_directory(index);
	} else if (fd >= 0) {
		close(fd);
		unlink(new);
	}
	mem_free(&new);
	mem_free(&path);
	mem_free(&index);
	return rc;
}

int
writer_steady_open(struct steadier *s)
{
	MDB_envinfo info;
	int rc;

	if (!s->on)
		return steady_forget(s);
	rc = steady_file_open(s);
	if (rc < 0 || mdb_env_info(s->env->lmdb, &info) != 0 || info.me_last_txnid == 0)
		return rc; /* a new one has nothing to come back to */
	rc = writer_steady_point(s);
	if (rc != -ENOTSUP)
		return rc;
	log_event(LOG_WARN, "store_steady", "partition=%s problem=%s lmdb=%s",
	    log_str(s->config->name), "layout", log_str(mdb_version(NULL, NULL, NULL)));
	return steady_forget(s);
}

/* The second place of the reader table, before anybody else can have the last one. */
static int
spare_take(struct steadier *s)
{
	MDB_txn *txn;
	int rc = s->on && !s->spare ? point_begin(s, &txn) : 0;

	if (rc == 0 && s->on && !s->spare)
		point_end(s, txn);
	return rc;
}

int
writer_steady_begin(struct steadier *s)
{
	int rc;

	s->ready = true;
	rc = writer_steady_point(s);
	if (rc == -ENOTSUP)
		return steady_forget(s);
	if (rc == 0)
		rc = spare_take(s);
	return rc < 0 || !s->on ? rc : -mdb_env_set_flags(s->env->lmdb, MDB_NOSYNC, 1);
}

int
writer_steady_end(struct steadier *s)
{
	int rc = 0;

	if (!s->on)
		return 0;
	rc = mdb_env_set_flags(s->env->lmdb, MDB_NOSYNC, 0);
	if (rc == 0)
		rc = mdb_env_sync(s->env->lmdb, 1);
	if (rc)
		return rc > 0 ? -rc : -EIO;
	return steady_forget(s);
}

void
writer_steady_close(struct steadier *s, bool clean)
{
	if (s->on && clean && s->pin && !writer_queue_unsteady(s->queue)) {
		int rc = writer_steady_point(s);

		if (rc == 0) {
			s->last.clean = true;
			rc = store_steady_write(s->fd, &s->last);
		}
		if (rc < 0)
			steady_complain(s->config->name, "close", -rc);
	}
	steady_release(s);
}

void *
writer_steady_main(void *arg)
{
	struct steadier *s = arg;
	bool failing = false;

	while (s->on && writer_queue_steady_wait(s->queue, s->config->steady_interval)) {
		int rc = writer_steady_point(s);

		if (rc == -EAGAIN) { /* the writer is too quick: next time */
			writer_queue_steady_again(s->queue);
			continue;
		}
		if (rc == -EUSERS && !failing) {
			char *who = writer_steady_full(s);

			log_event(LOG_ERROR, "store_steady", "partition=%s problem=%s error=%s",
			    log_str(s->config->name), "readers", log_str(who));
			mem_free(&who);
		} else if (rc < 0 && !failing)
			steady_complain(s->config->name,
			    writer_queue_unsteady(s->queue) ? "sync" : "write", -rc);
		else if (rc == 0 && failing)
			log_event(LOG_INFO, "store_steady", "partition=%s problem=%s",
			    log_str(s->config->name), "over");
		failing = rc < 0;
		writer_queue_steady_tell(s->queue);
		if (writer_queue_unsteady(s->queue))
			break;
		if (failing)
			writer_queue_steady_again(s->queue);
	}
	return NULL;
}

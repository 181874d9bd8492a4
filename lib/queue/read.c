/* read.c: working on a queued message.
 *
 * The lock comes first, then the look at the header: a file that was finished and recycled
 * between the lease and the lock is noticed by its header or by its name having gone, and is
 * reported as -ENOENT, never as damage. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/files.h"
#include "base/clock.h"
#include "base/crc.h"
#include "base/mem.h"
#include "base/must.h"
#include "queue/queue-impl.h"
#include "queue/cut.h"

#define FIRST_READ   4096  /* to look at the envelope */
#define WORK_READ    16384 /* and to send a small message at once */
#define JOURNAL_MAX  (16 * 1024 * 1024)
#define JOURNAL_STEP (4 * 1024 * 1024) /* longer than what is written at once */
#define CHECK_READ   (128 * 1024)

/* What the header does not show. */
struct reader {
	struct qread r;
	struct qjob job;
	struct buf lines; /* journal lines to be written */
	struct buf head;  /* the beginning of the file, when that is all of the message */
	ino_t ino;
	dev_t dev;
	uint32_t noticed;
	const char *report; /* its state, to be written; NULL = none */
	bool attempt, keep;
	bool torn; /* something stands behind the journal's last good line */
	int64_t next_at;
	char path[QUEUE_PATH_MAX];
};

static struct reader *
impl(struct qread *r)
{
	return CONTAINER(r, struct reader, r);
}

static void
qread_reader_free(struct reader *i)
{
	if (i->r.fd >= 0)
		(void)close(i->r.fd); /* and the lock goes */
	arena_reset(&i->r.arena);
	buf_fini(&i->lines);
	buf_fini(&i->head);
	mem_free(&i);
}

/* ---- open ------------------------------------------------------------------------------ */

static int
read_at(int fd, struct buf *b, size_t n, uint64_t at)
{
	while (n > 0) {
		char *p = buf_reserve(b, n);
		ssize_t got = pread(fd, p, n, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			return 0;
		b->n += (size_t)got;
		at += (uint64_t)got;
		n -= (size_t)got;
	}
	return 0;
}

static int
check_body(int fd, const struct qenv *env, const char **why)
{
	struct buf b = { 0 };
	uint64_t at = 0;
	uint32_t crc = 0;
	int e = 0;

	while (e == 0 && at < env->body_len) {
		uint64_t left = env->body_len - at;

		buf_clear(&b);
		e = read_at(fd, &b, left < CHECK_READ ? left : CHECK_READ, env->header_len + at);
		if (e == 0 && b.n == 0)
			break;
		crc = crc32c(crc, b.p, b.n);
		at += b.n;
	}
	buf_fini(&b);
	if (e == 0 && (at < env->body_len || crc != env->body_crc)) {
		*why = "checksum of the message is wrong";
		return -EBADMSG;
	}
	return e;
}

/* What is behind the last good line is overwritten by the next one, so a journal is read to its end or the
 * message is not worked on. */
static int
read_journal(struct reader *i, uint64_t size, enum qbad *bad, const char **why)
{
	struct qread *r = &i->r;
	uint64_t at = r->env.header_len + r->env.body_len, n = size - at;
	struct buf b = { 0 };
	size_t good = 0;
	int e = 0;

	r->journal_at = at;
	if (n > 0 && (e = read_at(r->fd, &b, n < JOURNAL_MAX ? n : JOURNAL_MAX, at)) == 0)
		good = qjournal_parse(buf_get(&b), r->id, &r->arena, &r->env);
	r->journal_at += good;
	i->torn = n > good;
	buf_fini(&b);
	if (n > JOURNAL_MAX && good > JOURNAL_MAX - JOURNAL_STEP) {
		*bad = QBAD_DAMAGED;
		*why = "its journal is too long to be read";
		e = -EBADMSG;
	}
	return e;
}

/* The name's countdown may be ahead of the journal, never the other way round for long: the
 * larger number counts. */
static int
qread_load(struct reader *i, uint64_t size, int flags, enum qbad *bad, const char **why)
{
	struct qread *r = &i->r;
	struct buf *head = &i->head;
	size_t first = flags & QREAD_LOCK ? WORK_READ : FIRST_READ;
	uint64_t need;
	int e;

	*bad = QBAD_NONE;
	e = read_at(r->fd, head, size < first ? size : first, 0);
	need = e == 0 ? qenv_header_len(buf_get(head)) : 0;
	if (need > head->n && need <= size)
		e = read_at(r->fd, head, need - head->n, head->n);
	if (e == 0 && (*bad = qenv_parse(buf_get(head), size, r->id, &r->arena, &r->env, why)))
		e = -EBADMSG;
	if (e == 0 && head->n >= r->env.header_len + r->env.body_len)
		r->body = head->p + r->env.header_len;
	else
		buf_fini(head);
	if (e == 0 && flags & QREAD_CHECK) {
		e = check_body(r->fd, &r->env, why);
		if (e == -EBADMSG)
			*bad = QBAD_DAMAGED;
	}
	return e < 0 ? e : read_journal(i, size, bad, why);
}

/* Takes fd.  On an error *out is set all the same, for the caller to look at and free. */
static int
attach(int fd, const char *name, int flags, struct reader **out, enum qbad *bad, const char **why)
{
	struct reader *i = *out = mem_new(sizeof(*i));
	struct stat st;
	uint32_t attempts;
	bool held;
	int e;

	*bad = QBAD_NONE;
	i->r.fd = fd;
	list_init(&i->job.link);
	if (!queue_name_parse(slice_str(name), i->r.id, &attempts, &held))
		return -EINVAL;
	if (fstat(fd, &st) < 0)
		return -errno;
	i->ino = st.st_ino;
	i->dev = st.st_dev;
	if (!S_ISREG(st.st_mode)) {
		*bad = QBAD_DAMAGED;
		*why = "not a file";
		return -EBADMSG;
	}
	if ((e = qread_load(i, (uint64_t)st.st_size, flags, bad, why)) < 0)
		return e;
	(void)snprintf(i->r.name, sizeof(i->r.name), "%s", name);
	i->r.body_at = i->r.env.header_len;
	if (i->r.env.attempts < attempts)
		i->r.env.attempts = attempts;
	return 0;
}

int
qread_open_fd(int fd, const char *name, int flags, struct qread **out, enum qbad *bad,
    const char **why)
{
	struct reader *i;
	int e = attach(fd, name, flags, &i, bad, why);

	*out = e < 0 ? NULL : &i->r;
	if (e < 0)
		qread_reader_free(i);
	return e;
}

int
qread_open_image(struct queue *q, const char *channel, const char *name, struct slice image,
    struct qread **out, const char **why)
{
	struct reader *i = mem_new(sizeof(*i));
	struct qread *r = &i->r;
	uint32_t attempts;
	bool held;

	*out = NULL;
	*why = "its name";
	r->fd = -1;
	list_init(&i->job.link);
	buf_slice(&i->head, image);
	if (!queue_name_parse(slice_str(name), r->id, &attempts, &held) ||
	    qenv_parse(buf_get(&i->head), image.n, r->id, &r->arena, &r->env, why) != QBAD_NONE ||
	    r->env.header_len + r->env.body_len != image.n) {
		qread_reader_free(i);
		return -EBADMSG;
	}
	r->q = q;
	r->body_at = r->env.header_len;
	r->body = i->head.p + r->body_at;
	(void)snprintf(r->name, sizeof(r->name), "%s", name);
	(void)snprintf(r->channel, sizeof(r->channel), "%s", channel);
	*out = r;
	return 0;
}

/* Does the name still lead to what we have open?  0, -ENOENT when it leads elsewhere or nowhere,
 * or another -errno: then nobody knows, and "gone" would make its message forgotten. */
static int
still_there(struct queue *q, const char *path, const struct reader *i)
{
	struct stat there;

	if (fstatat(q->root, path, &there, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return there.st_ino == i->ino && there.st_dev == i->dev ? 0 : -ENOENT;
}

/* Looking at a message is no news about its file: without O_NOATIME each one that is sent has its
 * inode written once more.  It is for those who own the file; others do without from then on. */
static int
open_work(struct queue *q, const char *path, int flags)
{
	int how = (flags & QREAD_LOCK ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	int fd = openat(q->root, path, how | (q->atime ? 0 : O_NOATIME));

	if (fd < 0 && errno == EPERM && !q->atime) {
		q->atime = true;
		fd = openat(q->root, path, how);
	}
	return fd < 0 ? -errno : fd;
}

static int
open_name(struct queue *q, const char *channel, const char *name, int flags, struct reader **out,
    const char **why)
{
	char path[QUEUE_PATH_MAX];
	enum qbad bad;
	int fd, e;

	*out = NULL;
	queue_file_path(path, channel, name);
	if ((fd = open_work(q, path, flags)) < 0)
		return fd;
	if (flags & QREAD_LOCK && flock(fd, LOCK_EX | LOCK_NB) < 0) {
		(void)close(fd);
		return -EBUSY;
	}
	e = attach(fd, name, flags, out, &bad, why);
	/* Recycled, or renamed by who had the lock before us. */
	if (e == -EBADMSG || (e == 0 && flags & QREAD_LOCK)) {
		int there = still_there(q, path, *out);

		e = there < 0 ? there : e;
	}
	return e;
}

/* Its master may have counted an attempt, in the name, and died before it told anybody. */
static int
open_renamed(struct queue *q, const char *channel, const char *name, int flags, struct reader **out,
    const char **why)
{
	char id[QUEUE_FILE_ID_LEN + 1], other[QUEUE_NAME_LEN + 4];
	uint32_t attempts, found;
	bool held;
	int e;

	*out = NULL;
	if (!queue_name_parse(slice_str(name), id, &attempts, &held) || held)
		return -ENOENT;
	if ((e = queue_find(q, channel, id, &found, &held)) < 0)
		return e;
	if (held || found == attempts)
		return -ENOENT;
	return open_name(q, channel, queue_name(other, id, found, false), flags, out, why);
}

int
qread_open(struct queue *q, const char *channel, const char *name, int flags, struct qread **out,
    const char **why)
{
	struct reader *i;
	int e;

	*out = NULL;
	*why = "";
	if (strlen(name) < 2 + QUEUE_FILE_ID_LEN)
		return -EINVAL;
	e = open_name(q, channel, name, flags, &i, why);
	if (e == -ENOENT && flags & QREAD_LOCK) {
		if (i)
			qread_reader_free(i);
		e = open_renamed(q, channel, name, flags, &i, why);
	}
	if (e < 0) {
		if (i)
			qread_reader_free(i);
		return e;
	}
	i->r.q = q;
	i->r.locked = flags & QREAD_LOCK;
	(void)snprintf(i->r.channel, sizeof(i->r.channel), "%s", channel);
	*out = &i->r;
	return 0;
}

void
qread_close(struct qread **r)
{
	if (!*r)
		return;
	qread_reader_free(impl(*r));
	*r = NULL;
}

/* ---- results --------------------------------------------------------------------------- */

void
qread_result(struct qread *r, size_t n, enum qstate state, const struct verdict *v, const char *mta)
{
	struct qrcpt *rc;

	must(n < r->env.nrcpt);
	rc = &r->env.rcpts[n];
	rc->state = state;
	rc->deferred = state == QSTATE_PENDING;
	rc->changed = true;
	rc->at = clock_now();
	if (v) {
		if (!rc->last)
			rc->last = arena_new(&r->arena, sizeof(*rc->last));
		*rc->last = *v;
	}
	rc->mta = mta ? arena_str(&r->arena, mta) : NULL;
}

bool
qread_done(const struct qread *r)
{
	return qenv_pending(&r->env) == 0;
}

void
qread_noticed(struct qread *r, uint32_t n)
{
	impl(r)->noticed = n;
	r->env.notices = n;
}

void
qread_report(struct qread *r, enum qreport state, const char *id)
{
	static const char *const words[] = { [QREPORT_NONE] = "shown",
		[QREPORT_TRIED] = "tried",
		[QREPORT_QUEUED] = "queued" };
	struct reader *i = impl(r);

	r->env.report = state;
	r->env.reports += state == QREPORT_QUEUED;
	i->report = words[state];
	memcpy(r->env.report_id, id, sizeof(r->env.report_id));
}

void
qread_members(struct qread *r, struct slice sums)
{
	qjournal_members(&impl(r)->lines, r->id, sums);
}

void
qread_told(struct qread *r, const char *to)
{
	qjournal_told(&impl(r)->lines, r->id, to, clock_now());
}

void
qread_finish(struct qread **rp)
{
	struct qread *r = *rp;
	char path[QUEUE_PATH_MAX];

	must(r->locked);
	queue_file_path(path, r->channel, r->name);
	(void)queue_unplace(r->q, path, r->fd, r->journal_at, r->env.header_len + r->env.body_len);
	qread_close(rp);
}

/* ---- on the committer's thread ------------------------------------------------------------ */

static int
qread_prepare(struct qjob *j)
{
	struct reader *i = CONTAINER(j, struct reader, job);
	struct qread *r = &i->r;
	char next[QUEUE_PATH_MAX], name[QUEUE_NAME_LEN + 4];
	int e;

	/* What stands behind the last good line is torn; overwritten in part, lines of it could begin where
	 * ours end. */
	if (i->torn && ftruncate(r->fd, (off_t)r->journal_at) < 0)
		return -errno;
	i->torn = true;
	if ((e = files_write_at(r->fd, i->lines.p, i->lines.n, r->journal_at)) < 0)
		return e;
	i->torn = false;
	r->journal_at += i->lines.n;
	buf_clear(&i->lines);
	if (!i->attempt)
		return 0;
	queue_file_path(i->path, r->channel, r->name);
	queue_name(name, r->id, r->env.attempts, false);
	queue_file_path(next, r->channel, name);
	if (strcmp(next, i->path) != 0 && renameat(j->q->root, i->path, j->q->root, next) < 0)
		return -errno;
	memcpy(r->name, name, sizeof(name));
	return 0;
}

/* The new name is not worth a flush of its own: the journal has the number too. */
static int
qread_sync_one(struct qjob *j)
{
	struct reader *i = CONTAINER(j, struct reader, job);

	return fdatasync(i->r.fd) < 0 ? -errno : 0;
}

static void
qread_settle(struct qjob *j)
{
	(void)j;
}

static void
qread_answer(struct qjob *j)
{
	struct reader *i = CONTAINER(j, struct reader, job);
	struct verdict v = queue_commit_verdict(j->error);
	void (*done)(void *, const struct verdict *) = j->done;
	void *arg = j->arg;

	if (!i->keep)
		qread_reader_free(i);
	else if (j->error)
		buf_clear(&i->lines); /* what they say has not come to pass */
	if (done)
		done(arg, &v);
}

static void
qread_start(struct reader *i, struct op *op, void (*done)(void *arg, const struct verdict *v),
    void *arg)
{
	qjournal_rcpts(&i->lines, i->r.id, &i->r.env);
	if (i->noticed)
		qjournal_notice(&i->lines, i->r.id, i->noticed, clock_now());
	i->noticed = 0;
	if (i->report)
		qjournal_report(&i->lines, i->r.id, i->r.env.report_id, i->report);
	i->report = NULL;
	if (i->attempt)
		qjournal_attempt(&i->lines, i->r.id, i->r.env.attempts, i->next_at);
	qjournal_step(&i->lines, i->r.id);
	i->job.q = i->r.q;
	i->job.weight = 1;
	i->job.prepare = qread_prepare;
	i->job.sync = qread_sync_one;
	i->job.settle = qread_settle;
	i->job.answer = qread_answer;
	queue_commit_start(&i->job, op, done, arg);
}

void
qread_defer_start(struct qread **rp, bool attempt, int64_t next_at, struct op *op,
    void (*done)(void *arg, const struct verdict *v), void *arg)
{
	struct reader *i = impl(*rp);

	must(i->r.locked);
	*rp = NULL;
	i->keep = false;
	i->attempt = attempt;
	i->next_at = next_at;
	if (attempt && i->r.env.attempts < QUEUE_ATTEMPTS)
		i->r.env.attempts++;
	qread_start(i, op, done, arg);
}

void
qread_mark_start(struct qread *r, struct op *op, void (*done)(void *arg, const struct verdict *v),
    void *arg)
{
	struct reader *i = impl(r);

	must(i->r.locked);
	i->keep = true;
	i->attempt = false;
	qread_start(i, op, done, arg);
}

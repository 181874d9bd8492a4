/* write.c: putting a message into the queue.
 *
 *	session's loop                     committer's thread
 *	qwrite_begin, qwrite_body
 *	  (small: memory; large: tmp/)
 *	qwrite_commit_start  ------------> put(): tmp/ file(s): header, body; rename into place
 *	                                   one sync for everybody
 *	announce, done       <------------ or unlink(), TEMP
 *
 * The copies for further destinations take their body from memory, or from the first file by
 * copy_file_range. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/crc.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/random.h"
#include "queue/impl.h"
#include "queue/write.h"

#define TARGETS_MAX     (36 * 36) /* what two digits of the copy number can tell apart */
#define WRITEBACK_EVERY (4 * 1024 * 1024) /* so that the final sync of a large body is short */

/* One file: a channel, a destination, and some of the recipients. */
struct target {
	const char *channel, *dest;
	const char *hold;          /* why the file is made as .HELD, or NULL */
	uint32_t *pick;
	size_t npick;
	char id[QUEUE_FILE_ID_LEN + 1];
	char path[QUEUE_PATH_MAX]; /* its place */
	int fd;
	bool placed;
};

struct qwriter {
	struct qjob job;
	struct arena arena;
	struct qenv env;
	struct target *target;
	size_t ntarget;
	struct buf body;           /* not yet written */
	uint64_t size, written;    /* of the body: all; what is in the file */
	uint64_t flushed;          /* handed to write-back */
	uint32_t crc;
	int error;
	/* A large body's file, for target 0. */
	int fd;
	size_t head_len;
	uint64_t old_size;
	char tmp[TMP_NAME_LEN];
};

/* ---- begin ----------------------------------------------------------------------------- */

static const char *
copy_str(struct arena *a, const char *s)
{
	return s ? arena_str(a, s) : NULL;
}

static void
copy_env(struct qwriter *w, const struct qenv *from)
{
	struct arena *a = &w->arena;
	struct qenv *e = &w->env;

	*e = *from;
	e->source = copy_str(a, from->source);
	e->sender = copy_str(a, from->sender);
	e->envid = copy_str(a, from->envid);
	e->auth = copy_str(a, from->auth);
	e->client = copy_str(a, from->client);
	e->helo = copy_str(a, from->helo);
	e->rcpts = arena_array(a, from->nrcpt, sizeof(*e->rcpts));
	for (size_t i = 0; i < from->nrcpt; i++) {
		const struct qrcpt *r = &from->rcpts[i];

		must(r->addr && r->channel && r->dest);
		e->rcpts[i] = (struct qrcpt){
			.addr = arena_str(a, r->addr),
			.orcpt = copy_str(a, r->orcpt),
			.final = copy_str(a, r->final),
			.notify = r->notify,
			.channel = r->channel,
			.dest = r->dest,
			.hold = copy_str(a, r->hold),
		};
	}
	if (e->qid[0] == '\0')
		random_id(e->qid);
	if (e->arrival_ms == 0)
		e->arrival_ms = clock_now_ms();
}

static struct target *
target_for(struct qwriter *w, const struct qrcpt *r)
{
	struct target *t;

	/* From the end: neighbours usually go the same way. */
	for (size_t i = w->ntarget; i-- > 0;) {
		t = &w->target[i];
		if (strcmp(t->dest, r->dest) == 0 && strcmp(t->channel, r->channel) == 0 &&
		    !t->hold == !r->hold)
			return t;
	}
	if (w->ntarget == TARGETS_MAX) {
		w->error = -EMSGSIZE;
		return &w->target[0];
	}
	t = &w->target[w->ntarget];
	t->channel = arena_str(&w->arena, r->channel);
	t->dest = arena_str(&w->arena, r->dest);
	t->hold = r->hold;
	t->pick = arena_array(&w->arena, w->env.nrcpt, sizeof(*t->pick));
	t->fd = -1;
	/* Copy numbers 00 01 .. zz. */
	memcpy(t->id, w->env.qid, QUEUE_ID_LEN);
	t->id[QUEUE_ID_LEN] = "0123456789abcdefghijklmnopqrstuvwxyz"[w->ntarget / 36];
	t->id[QUEUE_ID_LEN + 1] = "0123456789abcdefghijklmnopqrstuvwxyz"[w->ntarget % 36];
	w->ntarget++;
	return t;
}

static size_t
count_targets(const struct qenv *env)
{
	return env->nrcpt < TARGETS_MAX ? env->nrcpt : TARGETS_MAX;
}

struct qwriter *
qwrite_begin(struct queue *q, const struct qenv *env)
{
	struct qwriter *w = mem_new(sizeof(*w));

	must(env->nrcpt > 0);
	w->fd = -1;
	w->job.q = q;
	list_init(&w->job.link);
	copy_env(w, env);
	w->target = arena_array(&w->arena, count_targets(env), sizeof(*w->target));
	for (size_t i = 0; i < w->env.nrcpt; i++) {
		struct target *t = target_for(w, &w->env.rcpts[i]);

		w->env.rcpts[i].channel = t->channel;
		w->env.rcpts[i].dest = t->dest;
		t->pick[t->npick++] = (uint32_t)i;
	}
	return w;
}

const char *
qwrite_qid(const struct qwriter *w)
{
	return w->env.qid;
}

uint64_t
qwrite_size(const struct qwriter *w)
{
	return w->size;
}

/* ---- body ------------------------------------------------------------------------------ */

static int
spill_open(struct qwriter *w)
{
	struct buf head = { 0 };
	int e;

	w->fd = tmp_open(w->job.q, w->tmp, &w->old_size);
	if (w->fd < 0)
		return w->fd;
	qenv_write(&head, &w->env, w->target[0].id, w->target[0].pick, w->target[0].npick);
	w->head_len = head.n;
	buf_clear(&head);
	qenv_write_blank(&head, w->head_len);
	e = write_all(w->fd, head.p, head.n, 0);
	buf_fini(&head);
	return e;
}

static int
spill(struct qwriter *w)
{
	int e;

	if (w->fd < 0 && (e = spill_open(w)) < 0)
		return e;
	if ((e = write_all(w->fd, w->body.p, w->body.n, w->head_len + w->written)) < 0)
		return e;
	w->written += w->body.n;
	buf_clear(&w->body);
	if (w->written - w->flushed >= WRITEBACK_EVERY) {
		(void)sync_file_range(w->fd, (off_t)w->flushed,
		    (off_t)(w->written - w->flushed), SYNC_FILE_RANGE_WRITE);
		w->flushed = w->written;
	}
	return 0;
}

int
qwrite_body(struct qwriter *w, const void *p, size_t n)
{
	if (w->error)
		return w->error;
	w->crc = crc32c(w->crc, p, n);
	w->size += n;
	buf_add(&w->body, p, n);
	if (w->body.n > QWRITE_MEMORY)
		w->error = spill(w);
	return w->error;
}

/* ---- on the committer's thread ------------------------------------------------------------ */

static void
target_close(struct target *t)
{
	if (t->fd >= 0)
		(void)close(t->fd);
	t->fd = -1;
}

static int
copy_body(int from, uint64_t from_at, int to, uint64_t to_at, uint64_t n)
{
	off64_t in = (off64_t)from_at, out = (off64_t)to_at;

	while (n > 0) {
		ssize_t got = copy_file_range(from, &in, to, &out, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		n -= (uint64_t)got;
	}
	return 0;
}

static int
write_parts(int fd, const struct buf *head, const struct buf *body)
{
	struct iovec iov[2] = { { head->p, head->n }, { body->p, body->n } };
	ssize_t n = pwritev(fd, iov, 2, 0);

	if (n == (ssize_t)(head->n + body->n))
		return 0;
	if (n < 0 && errno != EINTR)
		return -errno;
	/* A short write: the plain way finds out why. */
	if (write_all(fd, head->p, head->n, 0) < 0)
		return -errno;
	return write_all(fd, body->p, body->n, head->n);
}

/* The first line of the journal of a file that begins its life held. */
static int
write_held(struct qwriter *w, struct target *t, uint64_t at)
{
	struct buf b = { 0 };
	int e;

	qjournal_held(&b, t->id, slice_str(t->hold), w->env.arrival_ms / 1000);
	e = write_all(t->fd, b.p, b.n, at);
	if (e == 0 && ftruncate(t->fd, (off_t)(at + b.n)) < 0)
		e = -errno;
	buf_fini(&b);
	return e;
}

/* Header and body of target t in a file of tmp/ named `tmp`; cuts off what is older. */
static int
fill(struct qwriter *w, struct target *t, char tmp[TMP_NAME_LEN], struct buf *head)
{
	uint64_t old = w->old_size;
	bool first = t == &w->target[0];
	int e;

	buf_clear(head);
	qenv_write(head, &w->env, t->id, t->pick, t->npick);
	if (head->n > QUEUE_HEADER_MAX)
		return -EMSGSIZE;
	qenv_seal(head->p, head->n, w->size, w->crc);
	if (first && w->fd >= 0) {
		must(head->n == w->head_len);
		t->fd = w->fd;
		w->fd = -1;
		memcpy(tmp, w->tmp, TMP_NAME_LEN);
		e = write_all(t->fd, w->body.p, w->body.n, w->head_len + w->written);
		if (e == 0)
			e = write_all(t->fd, head->p, head->n, 0);
	} else {
		if ((t->fd = tmp_open(w->job.q, tmp, &old)) < 0)
			return t->fd;
		if (w->size == w->body.n)
			e = write_parts(t->fd, head, &w->body);
		else if ((e = write_all(t->fd, head->p, head->n, 0)) == 0)
			e = copy_body(w->target[0].fd, w->head_len, t->fd, head->n, w->size);
	}
	if (e == 0 && t->hold)
		e = write_held(w, t, head->n + w->size);
	else if (e == 0 && old > head->n + w->size && ftruncate(t->fd, (off_t)(head->n + w->size)) < 0)
		e = -errno;
	return e;
}

static int
put(struct qwriter *w, struct target *t, struct buf *head)
{
	char name[QUEUE_NAME_LEN + 4], tmp[TMP_NAME_LEN] = "";
	int e;

	e = fill(w, t, tmp, head);
	if (e == 0) {
		queue_file_path(t->path, t->channel, queue_name(name, t->id, 0, t->hold != NULL));
		e = queue_place(w->job.q, tmp, t->path);
	}
	t->placed = e == 0;
	if (e < 0 && tmp[0])
		(void)unlinkat(w->job.q->tmp, tmp, 0);
	/* Only fdatasync needs the descriptor, and copies need that of the first file. */
	if (w->job.q->use_syncfs && t != &w->target[0])
		target_close(t);
	return e;
}

static int
prepare(struct qjob *j)
{
	struct qwriter *w = CONTAINER(j, struct qwriter, job);
	struct buf head = { 0 };
	int e = w->error;

	for (size_t i = 0; e == 0 && i < w->ntarget; i++)
		e = put(w, &w->target[i], &head);
	buf_fini(&head);
	if (j->q->use_syncfs)
		target_close(&w->target[0]);
	return e;
}

static int
sync_one(struct qjob *j)
{
	struct qwriter *w = CONTAINER(j, struct qwriter, job);
	char dir[QUEUE_PATH_MAX];

	for (size_t i = 0; i < w->ntarget; i++) {
		struct target *t = &w->target[i];
		int fd, e;

		if (fdatasync(t->fd) < 0)
			return -errno;
		slice_cstr(slice(t->path, slice_rfind(slice_str(t->path), '/')), dir, sizeof(dir));
		fd = openat(j->q->root, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		e = fsync(fd) < 0 ? -errno : 0;
		(void)close(fd);
		if (e)
			return e;
	}
	return 0;
}

static void
settle(struct qjob *j)
{
	struct qwriter *w = CONTAINER(j, struct qwriter, job);

	for (size_t i = 0; i < w->ntarget; i++) {
		struct target *t = &w->target[i];

		if (j->error && t->placed)
			(void)unlinkat(j->q->root, t->path, 0);
		target_close(t);
	}
}

/* ---- end ------------------------------------------------------------------------------------ */

static void
qwriter_free(struct qwriter *w)
{
	if (w->fd >= 0) {
		(void)unlinkat(w->job.q->tmp, w->tmp, 0);
		(void)close(w->fd);
	}
	buf_fini(&w->body);
	arena_reset(&w->arena);
	mem_free(&w);
}

static void
announce(struct qwriter *w)
{
	struct queue *q = w->job.q;
	struct qfile f = { .size = w->size, .prio = w->env.prio,
		.arrival_at = w->env.arrival_ms / 1000 };

	for (size_t i = 0; q->announce && i < w->ntarget; i++) {
		f.channel = w->target[i].channel;
		f.dest = w->target[i].dest;
		f.nrcpt = (uint32_t)w->target[i].npick;
		queue_name(f.name, w->target[i].id, 0, w->target[i].hold != NULL);
		q->announce(q->announce_arg, &f);
	}
}

static void
answer(struct qjob *j)
{
	struct qwriter *w = CONTAINER(j, struct qwriter, job);
	struct verdict v = commit_verdict(j->error);
	void (*done)(void *, const struct verdict *) = j->done;
	void *arg = j->arg;

	if (j->error == 0)
		announce(w);
	qwriter_free(w);
	if (done)
		done(arg, &v);
}

static void
set_job(struct qwriter *w)
{
	w->job.prepare = prepare;
	w->job.sync = sync_one;
	w->job.settle = settle;
	w->job.answer = answer;
	w->job.weight = w->ntarget;
}

void
qwrite_commit_start(struct qwriter **wp, struct op *op,
    void (*done)(void *arg, const struct verdict *v), void *arg)
{
	struct qwriter *w = *wp;

	*wp = NULL;
	set_job(w);
	commit_start(&w->job, op, done, arg);
}

struct verdict
qwrite_commit(struct qwriter **wp)
{
	struct qwriter *w = *wp;
	struct verdict v;

	*wp = NULL;
	set_job(w);
	commit_now(&w->job);
	v = commit_verdict(w->job.error);
	if (w->job.error == 0)
		announce(w);
	qwriter_free(w);
	return v;
}

void
qwrite_abort(struct qwriter **wp)
{
	if (*wp == NULL)
		return;
	qwriter_free(*wp);
	*wp = NULL;
}

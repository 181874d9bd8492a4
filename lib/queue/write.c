/* write.c: putting a message into the queue.
 *
 *	session's loop                     committer's thread
 *	qwrite_begin, qwrite_body
 *	  (small: memory; large: a file)
 *	qwrite_commit_start  ------------> qwrite_put(): pool/ or tmp/ file(s): header, body; name
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
#include "base/files.h"
#include "base/clock.h"
#include "base/crc.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/random.h"
#include "queue/write-impl.h"

#define TARGETS_FIRST   16                /* files that there is room for at first */
#define WRITEBACK_EVERY (4 * 1024 * 1024) /* so that the final sync of a large body is short */

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
	e->known = arena_slice(a, from->known);
	e->auth = copy_str(a, from->auth);
	e->client = copy_str(a, from->client);
	e->helo = copy_str(a, from->helo);
	e->release_asked = copy_str(a, from->release_asked);
	e->language = copy_str(a, from->language);
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
			.sender = r->sender,
			.body = r->body,
			.part = r->part,
			.sent = r->sent,
			.release_at = r->release_at,
			.archive = r->archive,
			.again = r->again,
		};
	}
	if (e->qid[0] == '\0')
		random_id(e->qid);
	if (e->arrival_ms == 0)
		e->arrival_ms = clock_now_ms();
}

/* channel, dest, sender and hold, each with a NUL, the body, the part and the release; one that is absent is told from one
 * that is empty. */
static struct slice
target_key(struct buf *b, const struct qrcpt *r)
{
	const char *const parts[] = { r->channel, r->dest, r->sender, r->hold };

	buf_clear(b);
	for (size_t i = 0; i < NELEM(parts); i++) {
		buf_str(b, parts[i] ? parts[i] : "-");
		buf_char(b, parts[i] ? '\0' : '\1');
	}
	buf_u64(b, r->body);
	buf_u64(b, r->part);
	buf_char(b, r->sent ? 's' : r->archive ? 'a' : '-');
	buf_u64(b, (uint64_t)r->release_at);
	return buf_get(b);
}

static struct target *
target_new(struct qwriter *w, const struct qrcpt *r, struct slice key)
{
	struct target *t;

	if (w->ntarget == w->room) {
		struct target *more = arena_array(&w->arena, w->room * 2, sizeof(*more));

		memcpy(more, w->target, w->room * sizeof(*more));
		w->target = more;
		w->room *= 2;
	}
	t = &w->target[w->ntarget];
	t->channel = arena_str(&w->arena, r->channel);
	t->dest = arena_str(&w->arena, r->dest);
	t->sender = copy_str(&w->arena, r->sender);
	t->hold = r->hold;
	t->held = r->hold || w->env.aside;
	t->body = r->body;
	t->release_at = r->release_at ? r->release_at : w->env.release_at;
	t->by_at = qenv_by_at(&w->env, r);
	if (w->bodies[r->body].first == SIZE_MAX)
		w->bodies[r->body].first = w->ntarget;
	t->key = arena_slice(&w->arena, key);
	t->fd = -1;
	queue_copy_id(t->id, w->ntarget ? w->target[w->ntarget - 1].id : w->env.qid, w->ntarget);
	w->ntarget++;
	return t;
}

/* The number of the target that r belongs to. */
static size_t
target_for(struct qwriter *w, const struct qrcpt *r, struct buf *scratch)
{
	struct slice key = target_key(scratch, r);
	size_t at = w->ntarget ? w->ntarget - 1 : 0;

	/* Neighbours usually go the same way. */
	if (w->ntarget == 0 || !slice_eq(w->target[at].key, key))
		at = (size_t)(uintptr_t)map_get(&w->by_key, key) - 1;
	if (at < w->ntarget && w->target[at].npick < QUEUE_FILE_RCPTS)
		return at;
	at = w->ntarget;
	(void)target_new(w, r, key);
	(void)map_put(&w->by_key, w->target[at].key, (void *)(uintptr_t)(at + 1));
	return at;
}

static void
target_pick(struct qwriter *w, struct target *t, size_t i)
{
	if (t->npick == t->room) {
		size_t room = t->room ? t->room * 2 : 4;
		uint32_t *more = arena_array(&w->arena, room, sizeof(*more));

		if (t->npick)
			memcpy(more, t->pick, t->npick * sizeof(*more));
		t->pick = more;
		t->room = room;
	}
	t->pick[t->npick++] = (uint32_t)i;
}

static void
bodies_init(struct qwriter *w)
{
	w->nbodies = 1;
	for (size_t i = 0; i < w->env.nrcpt; i++)
		if (w->env.rcpts[i].body >= w->nbodies)
			w->nbodies = w->env.rcpts[i].body + 1;
	must(w->nbodies <= QUEUE_BODIES + QUEUE_ARCHIVES);
	w->bodies = arena_array(&w->arena, w->nbodies, sizeof(*w->bodies));
	for (unsigned i = 0; i < w->nbodies; i++) {
		w->bodies[i].first = SIZE_MAX;
		w->bodies[i].fd = -1;
	}
}

struct qwriter *
qwrite_begin(struct queue *q, const struct qenv *env)
{
	struct qwriter *w = mem_new(sizeof(*w));
	struct buf scratch = { 0 };

	must(env->nrcpt > 0);
	w->job.q = q;
	list_init(&w->job.link);
	copy_env(w, env);
	bodies_init(w);
	w->room = env->nrcpt < TARGETS_FIRST ? env->nrcpt : TARGETS_FIRST;
	w->target = arena_array(&w->arena, w->room, sizeof(*w->target));
	for (size_t i = 0; i < w->env.nrcpt; i++) {
		struct qrcpt *r = &w->env.rcpts[i];
		size_t at = target_for(w, r, &scratch); /* it may move the array */
		struct target *t = &w->target[at];

		r->channel = t->channel;
		r->dest = t->dest;
		r->sender = t->sender;
		target_pick(w, t, i);
	}
	w->env.files = (uint32_t)w->ntarget;
	buf_fini(&scratch);
	map_fini(&w->by_key);
	return w;
}

/* ---- body ------------------------------------------------------------------------------ */

static int
spill_open(struct qwriter *w, struct wbody *q)
{
	const struct target *t = &w->target[q->first];
	struct buf head = { 0 };
	int e;

	q->fd = queue_new_open(w->job.q, UINT64_MAX, q->tmp, &q->old_size);
	if (q->fd < 0)
		return q->fd;
	qenv_write(&head, &w->env, t->id, t->pick, t->npick);
	q->head_len = head.n;
	buf_clear(&head);
	qenv_write_blank(&head, q->head_len);
	e = files_write_at(q->fd, head.p, head.n, 0);
	buf_fini(&head);
	return e;
}

static int
qwrite_spill(struct qwriter *w, struct wbody *q)
{
	int e;

	if (q->fd < 0 && (e = spill_open(w, q)) < 0)
		return e;
	if ((e = files_write_at(q->fd, q->bytes.p, q->bytes.n, q->head_len + q->written)) < 0)
		return e;
	q->written += q->bytes.n;
	buf_clear(&q->bytes);
	if (q->written - q->flushed >= WRITEBACK_EVERY) {
		e = files_set_out(q->fd, q->flushed, q->written - q->flushed);
		q->flushed = q->written;
	}
	return e;
}

int
qwrite_body_of(struct qwriter *w, unsigned body, const void *p, size_t n)
{
	struct wbody *q = body < w->nbodies ? &w->bodies[body] : NULL;

	if (w->error || !q || q->first == SIZE_MAX)
		return w->error; /* nobody gets this one */
	q->crc = crc32c(q->crc, p, n);
	q->size += n;
	buf_add(&q->bytes, p, n);
	if (q->bytes.n > QWRITE_MEMORY / w->nbodies)
		w->error = qwrite_spill(w, q);
	return w->error;
}

int
qwrite_body(struct qwriter *w, const void *p, size_t n)
{
	for (unsigned i = 0; i < w->nbodies; i++)
		(void)qwrite_body_of(w, i, p, n);
	return w->error;
}

/* ---- on the committer's thread ------------------------------------------------------------ */

/* The two words have one length, so a header that space was left for keeps it. */
void
qwrite_eightbit(struct qwriter *w, bool eightbit)
{
	must(w->env.body != QBODY_BINARY);
	w->env.body = eightbit ? QBODY_8BIT : QBODY_7BIT;
}

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
	if (files_write_at(fd, head->p, head->n, 0) < 0)
		return -errno;
	return files_write_at(fd, body->p, body->n, head->n);
}

/* The first lines of the journal of a file that begins its life held. */
static int
write_held(struct qwriter *w, struct target *t, uint64_t at)
{
	struct buf b = { 0 };
	int e;

	if (t->hold)
		qjournal_held(&b, t->id, slice_str(t->hold), w->env.arrival_ms / 1000);
	if (w->env.aside)
		qjournal_held(&b, t->id, S(QUEUE_ASIDE), w->env.arrival_ms / 1000);
	e = files_write_at(t->fd, b.p, b.n, at);
	if (e == 0 && ftruncate(t->fd, (off_t)(at + b.n)) < 0)
		e = -errno;
	buf_fini(&b);
	return e;
}

/* Header and body of target t in a file named `tmp`; cuts off what is older. */
static int
qwrite_fill(struct qwriter *w, struct target *t, char tmp[TMP_NAME_LEN], struct buf *head)
{
	struct wbody *q = &w->bodies[t->body];
	struct target *first = &w->target[q->first];
	uint64_t old = q->old_size;
	int e;

	buf_clear(head);
	qenv_write(head, &w->env, t->id, t->pick, t->npick);
	if (head->n > QUEUE_HEADER_MAX)
		return -EMSGSIZE;
	qenv_seal(head->p, head->n, q->size, q->crc);
	if (t == first && q->fd >= 0) {
		must(head->n == q->head_len);
		t->fd = q->fd;
		q->fd = -1;
		memcpy(tmp, q->tmp, TMP_NAME_LEN);
		e = files_write_at(t->fd, q->bytes.p, q->bytes.n, q->head_len + q->written);
		if (e == 0)
			e = files_write_at(t->fd, head->p, head->n, 0);
	} else {
		/* What is to be held stays for long, and under a name that may be there already. */
		t->fd =
		    queue_new_open(w->job.q, t->held ? UINT64_MAX : head->n + q->size, tmp, &old);
		if (t->fd < 0)
			return t->fd;
		if (q->size == q->bytes.n)
			e = write_parts(t->fd, head, &q->bytes);
		else if ((e = files_write_at(t->fd, head->p, head->n, 0)) == 0)
			e = copy_body(first->fd, q->head_len, t->fd, head->n, q->size);
	}
	if (e == 0 && t->held)
		e = write_held(w, t, head->n + q->size);
	else if (e == 0 && old > head->n + q->size &&
	    ftruncate(t->fd, (off_t)(head->n + q->size)) < 0)
		e = -errno;
	return e;
}

static int
qwrite_put(struct qwriter *w, struct target *t, struct buf *head)
{
	char name[QUEUE_NAME_LEN + 4], tmp[TMP_NAME_LEN] = "";
	int e;

	e = qwrite_fill(w, t, tmp, head);
	if (e == 0) {
		queue_file_path(t->path, t->channel, queue_name(name, t->id, 0, t->held));
		e = queue_place(w->job.q, tmp, t->path);
	}
	t->placed = e == 0;
	if (e < 0 && tmp[0])
		queue_new_drop(w->job.q, tmp);
	/* Only fdatasync needs the descriptor, and copies need that of the first file with their body. */
	if (w->job.q->use_syncfs && t != &w->target[w->bodies[t->body].first])
		target_close(t);
	return e;
}

static int
qwrite_prepare(struct qjob *j)
{
	struct qwriter *w = CONTAINER(j, struct qwriter, job);
	struct buf head = { 0 };
	int e = w->error;

	for (size_t i = 0; e == 0 && i < w->ntarget; i++)
		e = qwrite_put(w, &w->target[i], &head);
	buf_fini(&head);
	for (unsigned i = 0; i < w->nbodies && j->q->use_syncfs; i++)
		if (w->bodies[i].first != SIZE_MAX)
			target_close(&w->target[w->bodies[i].first]);
	return e;
}

static int
qwrite_sync_one(struct qjob *j)
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
qwrite_settle(struct qjob *j)
{
	struct qwriter *w = CONTAINER(j, struct qwriter, job);

	/* From the last one down, as who goes on after a kill finds what is left by counting up (aside.c). */
	for (size_t i = w->ntarget; i-- > 0;) {
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
	for (unsigned i = 0; i < w->nbodies; i++) {
		struct wbody *q = &w->bodies[i];

		if (q->fd >= 0)
			queue_new_forget(w->job.q, q->fd, q->tmp);
		buf_fini(&q->bytes);
	}
	arena_reset(&w->arena);
	mem_free(&w);
}

static void
qwrite_announce(struct qwriter *w)
{
	struct queue *q = w->job.q;
	struct qfile f = { .prio = w->env.prio };

	f.arrival_at = w->env.arrival_ms / 1000;
	for (size_t i = 0; q->announce && i < w->ntarget; i++) {
		f.size = w->bodies[w->target[i].body].size;
		f.channel = w->target[i].channel;
		f.release_at = w->target[i].release_at;
		f.by_at = w->target[i].by_at;
		f.dest = w->target[i].dest;
		f.nrcpt = (uint32_t)w->target[i].npick;
		queue_name(f.name, w->target[i].id, 0, w->target[i].held);
		q->announce(q->announce_arg, &f);
	}
}

static void
qwrite_answer(struct qjob *j)
{
	struct qwriter *w = CONTAINER(j, struct qwriter, job);
	struct verdict v = queue_commit_verdict(j->error);
	void (*done)(void *, const struct verdict *) = j->done;
	void *arg = j->arg;

	if (j->error == 0)
		qwrite_announce(w);
	qwriter_free(w);
	if (done)
		done(arg, &v);
}

void
qwrite_commit_start(struct qwriter **wp, struct op *op,
    void (*done)(void *arg, const struct verdict *v), void *arg)
{
	struct qwriter *w = *wp;

	*wp = NULL;
	w->job.prepare = qwrite_prepare;
	w->job.sync = qwrite_sync_one;
	w->job.settle = qwrite_settle;
	w->job.answer = qwrite_answer;
	w->job.weight = w->ntarget;
	w->job.elsewhere = !w->env.inside;
	queue_commit_start(&w->job, op, done, arg);
}

void
qwrite_abort(struct qwriter **wp)
{
	if (!*wp)
		return;
	qwriter_free(*wp);
	*wp = NULL;
}

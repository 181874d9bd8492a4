/* pool.c: files for new messages, and files kept for them.
 *
 * Making and removing a file costs several times what a link more or less does, and renaming one
 * from folder to folder lies between: so the files of small messages live in pool/ for good.  A
 * writer overwrites one there and links it to its place in the queue; who is done with the message
 * removes that name.  A file whose only name is its slot is free: the kernel counts, and no
 * process has to tell another.  Slots are shared between processes by flock(2) alone: who has
 * locked the file that a slot's name leads to, and then found it free, may write it.
 *
 * Each process goes round in a ring of slots of its own choice, as few as its messages under way
 * need, so that their pages and inodes stay warm; it makes those that are not there.  Messages up
 * to POOL_SMALL_MAX and to POOL_FILE_MAX have slots of their own, so that the pool holds at most
 * POOL_SLOTS_SMALL * POOL_SMALL_MAX + POOL_SLOTS_BIG * POOL_FILE_MAX bytes (192 MiB); whatever
 * finds no slot, is larger or is to be held gets a file in tmp/ that is renamed and in the end
 * removed.
 *
 * Where no more is free than the pool may hold, files are emptied when they are done with: whoever looks
 * for room would miss what they keep.
 *
 * The old bytes in a recycled file are no danger: it is only ever linked into the queue after
 * it was overwritten and cut to length, and what a power cut leaves is recognised by the ids and
 * checksums in header and journal (env.c). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/must.h"
#include "base/random.h"
#include "net/work.h"
#include "queue/queue-impl.h"

#define POOL_SLOTS_SMALL 4096
#define POOL_SMALL_MAX   (32 * 1024)
#define POOL_SLOTS_BIG   256
#define POOL_FILE_MAX    (256 * 1024)
#define POOL_BYTES       (POOL_SLOTS_SMALL * POOL_SMALL_MAX + POOL_SLOTS_BIG * POOL_FILE_MAX)

#define TAKE_TRIES       3  /* slots in use that are met before the pool counts as full */
#define REST_TAKES       32 /* takes that do not look into a full pool */
#define RING_MIN         16 /* slots; a power of two, as all rings are */
#define RING_ROUNDS      64 /* rounds without a slot in use before a ring gets smaller */

static const struct pool_class {
	uint64_t most;
	uint32_t first, slots;
} pool_classes[POOL_CLASSES] = {
	{ POOL_SMALL_MAX, 0, POOL_SLOTS_SMALL },
	{ POOL_FILE_MAX, POOL_SLOTS_SMALL, POOL_SLOTS_BIG },
};

void
queue_pool_init(struct queue *q)
{
	for (size_t i = 0; i < POOL_CLASSES; i++) {
		q->rings[i].size = RING_MIN;
		q->rings[i].base =
		    (uint32_t)random_below(pool_classes[i].slots / RING_MIN) * RING_MIN;
	}
}

/* Locks a file that was opened by `name` as ours, if no other name leads to it.  False when
 * somebody was quicker: a sweep of tmp/, another writer, or its message is still in the queue.
 * The count comes from the name: then the one link is this name, whoever removes slots meanwhile. */
static bool
pool_own(struct queue *q, int fd, const char *name, struct stat *st)
{
	struct stat there;

	return flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, st) == 0 &&
	    fstatat(q->root, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	    there.st_ino == st->st_ino && there.st_nlink == 1 && S_ISREG(st->st_mode);
}

/* What the ring has learnt: slots in use make it larger, and a full pool is left alone for a
 * while; many rounds without one make it smaller. */
static void
ring_learn(struct pool_ring *r, const struct pool_class *c, bool free)
{
	if (free) {
		if (++r->good < RING_ROUNDS * r->size)
			return;
		r->good = 0;
		if (r->size > RING_MIN)
			r->size /= 2;
		return;
	}
	r->good = 0;
	if (r->size < c->slots) {
		r->at = r->size; /* the new half first */
		r->size *= 2;
	} else {
		r->rest = REST_TAKES;
	}
}

static void
slot_name(char name[TMP_NAME_LEN], uint32_t slot)
{
	memcpy(name, "pool/s0000", sizeof("pool/s0000"));
	for (size_t i = sizeof("pool/s0000") - 2; slot > 0; slot /= 16)
		name[i--] = "0123456789abcdef"[slot % 16];
}

/* A free file of the pool, locked, its name to `name`; -1 when there is none.  With pool_lock
 * held. */
static int
ring_take(struct queue *q, size_t class, char name[TMP_NAME_LEN], struct stat *st)
{
	const struct pool_class *c = &pool_classes[class];
	struct pool_ring *r = &q->rings[class];
	int fd;

	if (r->rest) {
		r->rest--;
		return -1;
	}
	for (int i = 0; i < TAKE_TRIES; i++) {
		uint32_t slot = c->first + (r->base + r->at++ % r->size) % c->slots;

		slot_name(name, slot);
		fd = openat(q->root, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
		    0660);
		if (fd < 0)
			return -1; /* the other way says why */
		if (pool_own(q, fd, name, st)) {
			ring_learn(r, c, true);
			return fd;
		}
		(void)close(fd);
	}
	ring_learn(r, c, false);
	return -1;
}

static int
pool_take(struct queue *q, uint64_t size, char name[TMP_NAME_LEN], struct stat *st)
{
	size_t class = 0;
	int fd;

	while (class < POOL_CLASSES && size > pool_classes[class].most)
		class ++;
	if (class == POOL_CLASSES)
		return -1;
	must(pthread_mutex_lock(&q->pool_lock) == 0);
	fd = ring_take(q, class, name, st);
	must(pthread_mutex_unlock(&q->pool_lock) == 0);
	return fd;
}

int
queue_new_open(struct queue *q, uint64_t size, char name[TMP_NAME_LEN], uint64_t *old_size)
{
	struct stat st;
	int fd = pool_take(q, size, name, &st);

	if (fd >= 0) {
		*old_size = (uint64_t)st.st_size;
		if (st.st_size)
			q->st.recycled++;
		else
			q->st.created++;
		return fd;
	}
	for (int tries = 0; tries < 8; tries++) {
		(void)snprintf(name, TMP_NAME_LEN, "tmp/%s.%x", q->run, q->seq++);
		fd = openat(q->root, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_CREAT, 0660);
		if (fd < 0)
			return -errno;
		if (pool_own(q, fd, name, &st)) {
			*old_size = (uint64_t)st.st_size;
			q->st.created++;
			return fd;
		}
		(void)close(fd);
	}
	return -EAGAIN;
}

static bool
pool_is_slot(const char *name)
{
	return slice_starts(slice_str(name), S("pool/"));
}

/* The new name of a file: a slot keeps its own. */
static int
pool_name(struct queue *q, const char *from, const char *path)
{
	int e = pool_is_slot(from) ? linkat(q->root, from, q->root, path, 0) :
				     renameat(q->root, from, q->root, path);

	return e < 0 ? -errno : 0;
}

int
queue_place(struct queue *q, const char *from, const char *path)
{
	int e = pool_name(q, from, path);

	if (e != -ENOENT)
		return e;
	queue_make_dirs(q, path);
	return pool_name(q, from, path);
}

bool
queue_new_stays(const char *name)
{
	return pool_is_slot(name);
}

void
queue_new_drop(struct queue *q, const char *name)
{
	if (!queue_new_stays(name))
		(void)unlinkat(q->root, name, 0);
}

static bool
pool_is_short(int fd)
{
	struct statvfs st;

	return fstatvfs(fd, &st) == 0 && (uint64_t)st.f_bavail * (uint64_t)st.f_frsize < POOL_BYTES;
}

int
queue_unplace(struct queue *q, const char *path, int fd, uint64_t size, uint64_t keep)
{
	if (unlinkat(q->root, path, 0) < 0)
		return -errno;
	if (size && pool_is_short(fd))
		keep = 0;
	/* What was added since it was written would let the pool grow beyond its bound. */
	if (size > keep)
		(void)!ftruncate(fd, (off_t)keep);
	return 0;
}

/* A spilled body that nobody wants.  The time that a file system takes to free it grows with its length,
 * so it goes beside the loop; the writer and the queue may be gone by then. */
struct wdrop {
	struct op op;
	int dir, fd;
	char tmp[TMP_NAME_LEN];
};

static void
wdrop_run(void *arg)
{
	struct wdrop *d = arg;

	if (d->dir >= 0)
		(void)unlinkat(d->dir, d->tmp, 0);
	(void)close(d->fd);
}

static void
wdrop_done(void *arg)
{
	struct wdrop *d = arg;

	if (d->dir >= 0)
		(void)close(d->dir);
	mem_free(&d);
}

void
queue_new_forget(struct queue *q, int fd, const char tmp[TMP_NAME_LEN])
{
	struct wdrop *d = mem_new(sizeof(*d));

	d->fd = fd;
	d->dir = queue_new_stays(tmp) ? -1 : fcntl(q->root, F_DUPFD_CLOEXEC, 0);
	memcpy(d->tmp, tmp, sizeof(d->tmp));
	if (q->loop) {
		work_start(q->loop, &d->op, wdrop_run, wdrop_done, wdrop_done, d);
		return;
	}
	wdrop_run(d);
	wdrop_done(d);
}

/* queue.c: opening the queue directory, names of files in it, and what is done to whole files:
 * hold, release, delete, set aside.
 *
 * Called by smtp-relay, jobctl, channel-master and mailq.  What fails is -errno of the disk;
 * -ENOENT also means that somebody was quicker.  A file's name says whether it is held and how
 * often it was tried, so each change is one rename; what is written into it besides is for
 * people.  Nobody deletes a file that another has locked. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <dirent.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/files.h"
#include "base/clock.h"
#include "base/crc.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/random.h"
#include "queue/queue-impl.h"
#include "queue/read.h"
#include "queue/scan.h"

#define DELETED_KEEP 4096 /* bytes of a deleted message's file that stay, if it is a pooled one */
#define DIR_FLAGS    (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

/* Files and folders are for the group too as far as the umask lets them: daemons that run as users of
 * their own share the queue by a common group. */
static int
queue_open_dir(int at, const char *path, bool make)
{
	int fd;

	if (make && mkdirat(at, path, 0770) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(at, path, DIR_FLAGS);
	return fd < 0 ? -errno : fd;
}

int
queue_open(const char *path, bool make, struct queue **out)
{
	struct queue *q = mem_new(sizeof(*q));
	int fd;

	q->root = q->tmp = q->pool = -1;
	q->path = mem_str(path);
	list_init(&q->todo);
	list_init(&q->elsewhere);
	list_init(&q->answered);
	must(pthread_mutex_init(&q->lock, NULL) == 0 && pthread_cond_init(&q->more, NULL) == 0);
	must(pthread_mutex_init(&q->pool_lock, NULL) == 0);
	random_id(q->run);
	queue_pool_init(q);
	if ((fd = queue_open_dir(AT_FDCWD, path, make)) < 0)
		goto fail;
	q->root = fd;
	/* A program that only looks needs neither tmp nor pool. */
	if ((fd = queue_open_dir(q->root, "tmp", make)) < 0 && make)
		goto fail;
	q->tmp = fd;
	if ((fd = queue_open_dir(q->root, "pool", make)) < 0 && make)
		goto fail;
	q->pool = fd;
	*out = q;
	return 0;
fail:
	queue_close(&q);
	*out = NULL;
	return fd;
}

const char *
queue_path(const struct queue *q)
{
	return q->path;
}

void
queue_announce(struct queue *q, void (*fn)(void *arg, const struct qfile *f), void *arg)
{
	q->announce = fn;
	q->announce_arg = arg;
}

void
queue_get_stats(const struct queue *q, struct queue_stats *st)
{
	*st = (struct queue_stats){ q->st.commits, q->st.batches, q->st.syncfs, q->st.fdatasync,
		q->st.errors, q->st.created, q->st.recycled };
}

/* ---- names and places ------------------------------------------------------------------ */

unsigned
queue_spread(const char *id)
{
	return crc32c(0, id, QUEUE_FILE_ID_LEN) % QUEUE_SPREAD;
}

void
queue_file_path(char dst[QUEUE_PATH_MAX], const char *channel, const char *name)
{
	static const char hex[] = "0123456789abcdef";
	unsigned hh = queue_spread(name + 2);
	size_t n = strnlen(channel, 64), len = strnlen(name, 30);

	memcpy(dst, channel, n);
	dst[n] = '/';
	dst[n + 1] = hex[hh >> 4];
	dst[n + 2] = hex[hh & 15];
	dst[n + 3] = '/';
	memcpy(dst + n + 4, name, len);
	dst[n + 4 + len] = '\0';
}

/* The folders of a file; when they cannot be made, the rename says why. */
void
queue_make_dirs(struct queue *q, const char *path)
{
	const char *end = strrchr(path, '/');
	char dir[QUEUE_PATH_MAX];

	slice_cstr(slice(path, end ? (size_t)(end - path) : 0), dir, sizeof(dir));
	q->dir_made = true; /* perhaps not the last of them, and perhaps by another process */
	(void)!files_make_dirs_at(q->root, dir, 0770);
}

/* A live writer holds a lock on its file in tmp/; what can be locked belongs to nobody.  (A
 * writer that has not got so far notices that its file was taken away, pool.c.) */
static bool
sweep_one(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	bool gone;

	if (fd < 0)
		return false;
	gone = flock(fd, LOCK_EX | LOCK_NB) == 0 && unlinkat(dir, name, 0) == 0;
	(void)close(fd);
	return gone;
}

/* Removes those of a folder's files that `mine` and nobody has locked. */
static size_t
sweep_dir(struct queue *q, const char *path, bool (*mine)(const char *name))
{
	int fd = openat(q->root, path, DIR_FLAGS);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	size_t n = 0;

	if (!d) {
		if (fd >= 0)
			(void)close(fd);
		return 0;
	}
	while ((e = readdir(d)))
		if (e->d_name[0] != '.' && mine(e->d_name))
			n += sweep_one(dirfd(d), e->d_name);
	(void)closedir(d);
	return n;
}

static bool
sweep_all(const char *name)
{
	(void)name;
	return true;
}

/* Files that an older version kept: it renamed them to and fro. */
static bool
sweep_former(const char *name)
{
	return *name != 's';
}

size_t
queue_sweep(struct queue *q)
{
	size_t n = sweep_dir(q, "tmp", sweep_all);

	if (n)
		log_event(LOG_INFO, "queue_sweep", "files=%zu", n);
	(void)sweep_dir(q, "pool", sweep_former);
	return n;
}

int
queue_find(struct queue *q, const char *channel, const char *id, uint32_t *attempts, bool *held)
{
	struct buf names = { 0 };
	const struct qname *n;
	int e = qscan_dir(q, channel, queue_spread(id), &names);

	n = (const struct qname *)(const void *)names.p;
	if (e == 0)
		e = -ENOENT;
	for (size_t i = 0; i < names.n / sizeof(*n); i++) {
		if (memcmp(n[i].id, id, QUEUE_FILE_ID_LEN) != 0)
			continue;
		*attempts = n[i].attempts;
		*held = n[i].held;
		e = 0;
	}
	buf_fini(&names);
	return e;
}

/* ---- whole files ----------------------------------------------------------------------- */

int
queue_journal_held(struct queue *q, const char *path, struct slice why)
{
	const char *name = strrchr(path, '/') + 1;
	struct buf b = { 0 };
	struct stat st;
	int fd = openat(q->root, path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK),
	    e = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		e = -errno;
	if (why.n)
		qjournal_held(&b, name + 2, why, clock_now());
	else
		qjournal_released(&b, name + 2, clock_now());
	if (e == 0 && write(fd, b.p, b.n) != (ssize_t)b.n) {
		e = -EIO;
		/* Behind half a line nobody would read the next one. */
		if (ftruncate(fd, st.st_size) < 0)
			log_event(LOG_ERROR, "queue_journal", "file=%s error=%s", log_str(path),
			    log_str(strerror(errno)));
	}
	(void)close(fd);
	buf_fini(&b);
	return e;
}

static int
move_name(struct queue *q, const char *from, const char *to)
{
	return renameat(q->root, from, q->root, to) == 0 ? 0 : -errno;
}

/* May a file be touched by others than the master whose it is?  0, -EAGAIN while it is aside, or -errno when
 * that cannot be said. */
static int
queue_settled(struct queue *q, const char *channel, const char *name)
{
	struct qread *r;
	const char *why;
	int e = qread_open(q, channel, name, QREAD_LOOK, &r, &why);

	if (e == 0 && r->env.aside)
		e = -EAGAIN;
	qread_close(&r);
	return e == -EBADMSG ? 0 : e; /* damaged: nobody shows it */
}

int
queue_hold(struct queue *q, const char *channel, const char *id, uint32_t attempts,
    struct slice why)
{
	char from[QUEUE_PATH_MAX], to[QUEUE_PATH_MAX], name[QUEUE_NAME_LEN + 4];
	int e;

	queue_file_path(from, channel, queue_name(name, id, attempts, false));
	queue_file_path(to, channel, queue_name(name, id, attempts, true));
	if ((e = move_name(q, from, to)) < 0)
		return e;
	/* The name is what holds it; the reason is for people, unless the last one says that it is aside. */
	if (why.n && (e = queue_journal_held(q, to, why)) < 0) {
		log_event(LOG_WARN, "queue_journal", "file=%s error=%s", log_str(to),
		    log_str(strerror(-e)));
		if (queue_settled(q, channel, name) == -EAGAIN) {
			(void)move_name(q, to, from);
			return e;
		}
	}
	return 0;
}

int
queue_release(struct queue *q, const char *channel, const char *id, uint32_t attempts)
{
	char from[QUEUE_PATH_MAX], to[QUEUE_PATH_MAX], name[QUEUE_NAME_LEN + 4];
	int e;

	queue_name(name, id, attempts, true);
	queue_file_path(from, channel, name);
	if ((e = queue_settled(q, channel, name)) < 0)
		return e;
	queue_file_path(to, channel, queue_name(name, id, attempts, false));
	return move_name(q, from, to);
}

int
queue_delete(struct queue *q, const char *channel, const char *name)
{
	char path[QUEUE_PATH_MAX];
	struct stat st;
	int fd, e = 0;

	if (slice_ends(slice_str(name), S(".HELD")) && (e = queue_settled(q, channel, name)) < 0)
		return e;
	queue_file_path(path, channel, name);
	fd = openat(q->root, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		e = -EBUSY;
	else if (fstat(fd, &st) < 0)
		e = -errno;
	else
		e = queue_unplace(q, path, fd, (uint64_t)st.st_size, DELETED_KEEP);
	(void)close(fd);
	return e;
}

int
queue_set_aside(struct queue *q, const char *channel, const char *name, const char *why)
{
	char id[QUEUE_FILE_ID_LEN + 1], path[QUEUE_PATH_MAX];
	uint32_t attempts;
	bool held;
	int e;

	if (!queue_name_parse(slice_str(name), id, &attempts, &held) || held)
		return -EINVAL;
	e = queue_hold(q, channel, id, attempts, slice_str(why));
	queue_file_path(path, channel, name);
	log_event(LOG_ERROR, "queue_held", "file=%s why=%s result=%s", log_str(path), log_str(why),
	    log_str(e < 0 ? strerror(-e) : "ok"));
	return e;
}

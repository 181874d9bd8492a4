/* scan.c: walking the spool, and what is done to files that a crash or a bad disk has left.
 *
 * Blocking; called by jobctl on a thread of the pool, and by mailq.  A file can be finished,
 * renamed or recycled while it is looked at: it is judged only when the name still leads to it.
 * What was never finished was never acknowledged and goes; what is damaged is held with a
 * reason; what is no file of ours stays and is logged. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "queue/queue-impl.h"
#include "queue/scan.h"

static DIR *
open_at(struct queue *q, const char *path)
{
	int fd = openat(q->root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d;

	if (fd < 0)
		return NULL;
	if (!(d = fdopendir(fd)))
		(void)close(fd);
	return d;
}

static bool
is_channel(DIR *d, const struct dirent *e)
{
	struct stat st;

	if (e->d_name[0] == '.' || strlen(e->d_name) > 64 || strcmp(e->d_name, "tmp") == 0 ||
	    strcmp(e->d_name, "pool") == 0)
		return false;
	return fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

char **
queue_channels(struct queue *q)
{
	DIR *d = open_at(q, ".");
	char **list = mem_array(1, sizeof(*list));
	struct dirent *e;
	size_t n = 0;

	while (d && (e = readdir(d))) {
		if (!is_channel(d, e))
			continue;
		list = mem_grow(list, n + 2, sizeof(*list));
		list[n++] = mem_str(e->d_name);
		list[n] = NULL;
	}
	if (d)
		(void)closedir(d);
	return list;
}

void
queue_channels_free(char ***list)
{
	for (char **p = *list; p && *p; p++)
		free(*p);
	free(*list);
	*list = NULL;
}

/* Only files are opened: a FIFO of that name would hold the scan up for ever. */
static bool
is_file(DIR *d, const struct dirent *e)
{
	struct stat st;

	if (e->d_type != DT_UNKNOWN)
		return e->d_type == DT_REG;
	return fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

int
qscan_dir(struct queue *q, const char *channel, unsigned hh, struct buf *out)
{
	char path[QUEUE_PATH_MAX];
	struct dirent *e;
	DIR *d;

	(void)snprintf(path, sizeof(path), "%.64s/%02x", channel, hh);
	if (!(d = open_at(q, path)))
		return errno == ENOENT ? 0 : -errno;
	while ((e = readdir(d))) {
		struct qname n;

		if (e->d_name[0] == '.')
			continue;
		if (queue_name_parse(slice_str(e->d_name), n.id, &n.attempts, &n.held) &&
		    queue_spread(n.id) == hh && is_file(d, e))
			buf_add(out, &n, sizeof(n));
		else
			log_event(LOG_WARN, "queue_foreign", "dir=%s name=%s", log_str(path),
			    log_str(e->d_name));
	}
	(void)closedir(d);
	return 0;
}

/* A file that was never finished was never acknowledged: it goes, unless somebody works on it
 * or the name leads elsewhere by now. */
static void
remove_torn(struct queue *q, const char *path, const char *why)
{
	int fd = openat(q->root, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	bool gone;

	if (fd < 0)
		return;
	gone = flock(fd, LOCK_EX | LOCK_NB) == 0 && unlinkat(q->root, path, 0) == 0;
	(void)close(fd);
	if (gone)
		log_event(LOG_WARN, "queue_torn", "file=%s why=%s", log_str(path), log_str(why));
}

int
qscan_file(struct queue *q, const char *channel, const struct qname *n, struct qread **r)
{
	char path[QUEUE_PATH_MAX], name[QUEUE_NAME_LEN + 4];
	const char *why = "";
	enum qbad bad = QBAD_NONE;
	struct stat a, b;
	int fd, e;

	*r = NULL;
	queue_file_path(path, channel, queue_name(name, n->id, n->attempts, n->held));
	fd = openat(q->root, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0) {
		e = -errno;
		if (e != -ENOENT)
			log_event(LOG_ERROR, "queue_unreadable", "file=%s error=%s", log_str(path),
			    log_str(strerror(-e)));
		return e;
	}
	if (fstat(fd, &a) < 0) {
		(void)close(fd);
		return -errno;
	}
	e = qread_open_fd(fd, name, QREAD_LOOK, r, &bad, &why);
	if (e == 0) {
		(*r)->q = q;
		(void)snprintf((*r)->channel, sizeof((*r)->channel), "%s", channel);
		return 0;
	}
	if (e != -EBADMSG || n->held)
		return e;
	if (fstatat(q->root, path, &b, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (a.st_ino != b.st_ino)
		return -ENOENT; /* finished and recycled while we looked */
	if (bad == QBAD_TORN)
		remove_torn(q, path, why);
	else if (queue_set_aside(q, channel, name, why) == -ENOENT)
		return -ENOENT;
	return -EBADMSG;
}

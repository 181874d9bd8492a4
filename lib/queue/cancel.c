/* cancel.c: a message that its sender has wanted kept for later (RFC 4865), and wants no more.
 *
 * Called by jobctl on a work thread, since it waits for the disk; jobctl has taken the files out of its schedule
 * before.  Fails with -errno of the disk, or because a master has locked a file.  Must stay true: no answer that it
 * is gone before the names are gone for good, and never a part of the recipients: the first file, held and with
 * the reason in it, is what says that it is under way, so it is the first to change and the last to go. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "queue/queue-impl.h"

#define FSYNC_MOST 4 /* folders that are synced one by one; for more all of the file system is */

static int
sync_folder(struct queue *q, const struct queue_cancel *f)
{
	char name[QUEUE_NAME_LEN + 4], path[QUEUE_PATH_MAX];
	int fd, e;

	queue_file_path(path, f->channel, queue_name(name, f->id, 0, f->held));
	*strrchr(path, '/') = '\0';
	fd = openat(q->root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	e = fsync(fd) < 0 ? -errno : 0;
	(void)close(fd);
	return e;
}

static int
sync_folders(struct queue *q, const struct queue_cancel *files, size_t n)
{
	int e = 0;

	if (n > FSYNC_MOST)
		return syncfs(q->root) < 0 ? -errno : 0;
	for (size_t i = 0; i < n && e == 0; i++)
		e = sync_folder(q, &files[i]);
	return e;
}

static int
cancel_remove(struct queue *q, const struct queue_cancel *files, size_t n, bool *begun)
{
	char name[QUEUE_NAME_LEN + 4];

	for (size_t i = n; i-- > 0;) {
		const struct queue_cancel *f = &files[i];
		int e = queue_delete(q, f->channel, queue_name(name, f->id, 0, f->held));

		if (e < 0 && e != -ENOENT)
			return e;
		*begun = true;
		if (i == 1 && (e = sync_folders(q, files + 1, n - 1)) < 0)
			return e;
	}
	return sync_folder(q, files);
}

int
queue_cancel(struct queue *q, struct queue_cancel *files, size_t n)
{
	bool begun = files->held;
	int e = 0;

	if (!files->held) {
		e = queue_hold(q, files->channel, files->id, 0, S(QUEUE_CANCELLED));
		if (e < 0)
			return e;
		files->held = true;
		e = sync_folder(q, files);
	}
	if (e == 0)
		e = cancel_remove(q, files, n, &begun);
	if (e < 0 && !begun && queue_release(q, files->channel, files->id, 0) == 0)
		files->held = false;
	return e;
}

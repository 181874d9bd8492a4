/* piped/mbox.c: a message behind the others in a user's mailbox file.
 *
 * Runs in a process of its own that is the user already (child.c), so that whatever the folder has in store
 * (links, other people's files) can be had as that user alone.  Both locks that other programs know are
 * taken: FILE.lock, made by link(2), and fcntl(2), in the order that Debian's policy names.  What can fail leaves the
 * file as it was: it is cut back to where it ended, and only a message that is on the disk is one.  What it
 * says goes the way of any program's words: a line on standard output, an exit code of sysexits.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/files.h"
#include "base/mem.h"
#include "format.h"
#include "piped.h"

#define PIECE   65536
#define STEP_MS 50        /* between two looks at a lock; the run's time is the limit */
#define STALE   (10 * 60) /* seconds: FILE.lock of a program that has died, as others do */

static uint64_t give_up_ms; /* a lock that is not had by then is not waited for */

/* Before the run's time is over, which would leave what we have made so far.  False: it is time. */
static bool
mbox_pause(void)
{
	const struct timespec step = { .tv_nsec = STEP_MS * 1000000L };

	(void)nanosleep(&step, NULL);
	return clock_mono_ms() < give_up_ms;
}

static int
mbox_fail(const char *what, int error)
{
	printf("%s: %s\n", what, strerror(error));
	(void)fflush(stdout);
	return EX_TEMPFAIL; /* whatever it is: the file is the host's business, not the sender's */
}

/* ---- FILE.lock ------------------------------------------------------------------------------------------- */

static void
lock_look(const char *lock)
{
	struct stat st;

	if (lstat(lock, &st) == 0 && time(NULL) - st.st_mtime > STALE)
		(void)unlink(lock);
}

/* A file of our own becomes the lock by a second name: link(2) fails when there is one, also over NFS.  0
 * or -errno. */
static int
lock_take(const char *path, const char *lock)
{
	char *own = mem_printf("%s.%ld.%ld", path, (long)getpid(), (long)time(NULL));
	int fd = open(own, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600), rc = 0;
	struct stat st;

	if (fd < 0) {
		rc = -errno;
	} else {
		/* Over NFS it may have been done although it is said to have failed. */
		while (rc == 0 && link(own, lock) < 0) {
			rc = errno == EEXIST ? 0 : -errno;
			if (stat(own, &st) == 0 && st.st_nlink == 2)
				break;
			lock_look(lock);
			if (rc == 0 && !mbox_pause())
				rc = -EAGAIN;
		}
		(void)close(fd);
		(void)unlink(own);
	}
	mem_free(&own);
	return rc;
}

/* ---- the file ----------------------------------------------------------------------------------------------- */

/* The file that the name means when it is locked, which is the user's and nobody else's.  fd or -errno. */
static int
mbox_lock(const char *path, uid_t uid)
{
	struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct stat st, now;

	for (;;) {
		int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
		int rc;

		if (fd < 0)
			return -errno;
		while (fcntl(fd, F_SETLK, &all) < 0 && (errno == EAGAIN || errno == EACCES))
			if (!mbox_pause()) {
				(void)close(fd);
				return -EAGAIN;
			}
		rc = fstat(fd, &st) < 0 || lstat(path, &now) < 0 ? errno : 0;
		if (rc == 0 && (!S_ISREG(st.st_mode) || st.st_nlink != 1 || st.st_uid != uid))
			rc = EPERM;
		if (rc == 0 && st.st_ino == now.st_ino && st.st_dev == now.st_dev)
			return fd;
		(void)close(fd);
		if (rc && rc != ENOENT)
			return -rc;
		/* Another program has put a new file in its place meanwhile. */
	}
}

static int
mbox_write(int fd, const struct order *o, int body)
{
	static char piece[PIECE];
	struct buf out = { 0 };
	struct format f;
	off_t at = 0;
	ssize_t n;
	int rc;

	format_init(&f, false, true);
	format_from_line(&f, o->sender, &out);
	format_field(&f, "Return-Path: <", o->sender, ">", &out);
	format_field(&f, "Delivered-To: ", o->recipient, "", &out);
	do {
		do
			n = pread(body, piece, sizeof(piece), at);
		while (n < 0 && errno == EINTR);
		if (n < 0) {
			rc = -errno;
			break;
		}
		at += n;
		format_add(&f, slice(piece, (size_t)n), &out);
		if (n == 0)
			format_end(&f, &out);
		rc = files_write(fd, out.p, out.n);
		buf_clear(&out);
	} while (rc == 0 && n > 0);
	buf_fini(&out);
	return rc;
}

/* A new file's name is on the disk only when its folder is. */
static int
folder_sync(const char *path)
{
	char *folder = mem_str(path);
	int fd, rc;

	*strrchr(folder, '/') = '\0';
	fd = open(*folder ? folder : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rc = fd < 0 || fsync(fd) < 0 ? -errno : 0;
	if (fd >= 0)
		(void)close(fd);
	mem_free(&folder);
	return rc == -EACCES ? 0 : rc; /* a folder that the user may not read */
}

/* A writer that was stopped in the middle has left half a line: ours begins a new one. */
static int
mbox_line_end(int fd, off_t end)
{
	char last;

	if (end == 0 || pread(fd, &last, 1, end - 1) != 1 || last == '\n')
		return 0;
	return files_write(fd, "\n", 1);
}

static int
mbox_append(int fd, const struct order *o, int body, const char *path)
{
	off_t end = lseek(fd, 0, SEEK_END);
	int rc = end < 0 ? -errno : mbox_line_end(fd, end);

	if (rc == 0)
		rc = mbox_write(fd, o, body);

	if (rc == 0 && fsync(fd) < 0)
		rc = -errno;
	if (rc == 0 && end == 0)
		rc = folder_sync(path);
	if (rc < 0 && end >= 0 && (ftruncate(fd, end) < 0 || fsync(fd) < 0))
		printf("half a message may stand at %lld: ", (long long)end);
	return rc;
}

int
mbox_deliver(const struct order *o, int body, const char *path, uid_t uid)
{
	char *lock = mem_printf("%s.lock", path);
	int fd, rc;

	give_up_ms = clock_mono_ms() + (uint64_t)pconf.native_time * 3 / 4;
	rc = lock_take(path, lock);
	if (rc < 0) {
		rc = mbox_fail("the mailbox cannot be locked", -rc);
		mem_free(&lock);
		return rc;
	}
	fd = mbox_lock(path, uid);
	if (fd < 0) {
		rc = mbox_fail("the mailbox cannot be opened", -fd);
	} else {
		rc = mbox_append(fd, o, body, path);
		rc = rc < 0 ? mbox_fail("the mailbox cannot be written", -rc) : 0;
		(void)close(fd);
	}
	(void)unlink(lock);
	mem_free(&lock);
	return rc;
}

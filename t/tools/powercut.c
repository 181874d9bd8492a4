/* powercut: what a program does to its files, written down, so that a power cut can be played.
 *
 *	LD_PRELOAD=powercut.so POWERCUT_TRACE=file POWERCUT_ROOT=dir [POWERCUT_BOOT=uuid] program
 *
 * A library in front of libc.  Every change of a file or a name below POWERCUT_ROOT goes to the
 * trace, in the order in which it happened and with its bytes, and so do the beginning and the
 * end of every sync; t/tools/powercut.py reads that and makes the directory as a cut at any
 * moment could have left it.  The bytes of an unnamed file are taken when it gets its first name:
 * another process may have written them.  What is written through a map is not seen.
 * POWERCUT_BOOT is the answer to who asks for the kernel's boot id.  Without POWERCUT_TRACE that
 * is all.  A program that shuts itself in later can still use it: everything is opened before. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/attr.h"

#define BOOT_ID   "/proc/sys/kernel/random/boot_id"
#define TRACE_FD  900 /* where nobody looks for a free one */
#define BOOT_FD   901
#define FD_PREFIX "/proc/self/fd/"

enum op {
	OP_CREATE = 1, /* path is a new file, ino */
	OP_UNNAMED,    /* ino is a new file without a name */
	OP_WRITE,      /* bytes of ino, at off */
	OP_SIZE,       /* ino has off bytes now */
	OP_LINK,       /* path is a name of ino */
	OP_RENAME,     /* path to path2 */
	OP_UNLINK,
	OP_MKDIR,
	OP_RMDIR,
	OP_BEGIN, /* off: the number of a sync, n: what kind (enum sync), ino: of what; from, len */
	OP_END,   /* off: its number, n: 0 or errno */
	OP_ALLOC, /* ino has at least off bytes now */
};
enum sync { SYNC_FSYNC = 1, SYNC_FDATASYNC, SYNC_FS, SYNC_RANGE, SYNC_DIR };

struct record { /* then path, path2, bytes */
	uint32_t op, flags;
	uint64_t stamp, ino, off, n, from, len;
	uint32_t npath, npath2;
};
#define FLAG_DSYNC 1

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char root[4096];
static size_t nroot;
static dev_t device;
static bool tracing;
static uint64_t syncs;

/* ---- the trace ------------------------------------------------------------------------------ */

static uint64_t
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* The lock is held: the order of the records is the order of what they tell. */
static void
put(struct record r, const char *path, const char *path2, const struct iovec *iov, int n)
{
	struct iovec all[1026] = { { &r, sizeof(r) } };
	int saved = errno, k = 1;
	ssize_t len = sizeof(r);

	r.stamp = now();
	r.npath = path ? (uint32_t)strlen(path) : 0;
	r.npath2 = path2 ? (uint32_t)strlen(path2) : 0;
	all[k++] = (struct iovec){ (void *)(uintptr_t)path, r.npath };
	all[k++] = (struct iovec){ (void *)(uintptr_t)path2, r.npath2 };
	for (int i = 0; i < n; i++)
		all[k++] = iov[i];
	for (int i = 1; i < k; i++)
		len += (ssize_t)all[i].iov_len;
	if (syscall(SYS_writev, TRACE_FD, all, k) != len)
		abort();
	errno = saved;
}

static bool
below(const char *path)
{
	return tracing && strncmp(path, root, nroot) == 0 &&
	    (path[nroot] == '/' || path[nroot] == '\0');
}

/* The path that a call means, whole. */
static const char *
whole(char out[8192], int at, const char *path)
{
	char dir[4096] = ".", link[64];
	ssize_t n;

	if (path[0] == '/') {
		snprintf(out, 8192, "%s", path);
		return out;
	}
	if (at == AT_FDCWD)
		n = getcwd(dir, sizeof(dir)) ? (ssize_t)strlen(dir) : -1;
	else {
		snprintf(link, sizeof(link), FD_PREFIX "%d", at);
		n = readlink(link, dir, sizeof(dir) - 1);
	}
	dir[n < 0 ? 0 : n] = '\0';
	snprintf(out, 8192, "%s/%s", dir, path);
	return out;
}

/* A file of ours by its descriptor: not a socket, not on another disk. */
static bool
ours(int fd, struct stat *st)
{
	return tracing && fstat(fd, st) == 0 && S_ISREG(st->st_mode) && st->st_dev == device;
}

static uint64_t
size_now(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static void
put_write(int fd, uint64_t ino, uint64_t off, const struct iovec *iov, int n, size_t done)
{
	struct iovec some[1024];
	int k = 0;

	for (size_t left = done; k < n && k < 1024 && left > 0; k++) {
		some[k] = iov[k];
		if (some[k].iov_len > left)
			some[k].iov_len = left;
		left -= some[k].iov_len;
	}
	put((struct record){ .op = OP_WRITE,
		.ino = ino,
		.off = off,
		.n = done,
		.flags = (int)syscall(SYS_fcntl, fd, F_GETFL) & O_DSYNC ? FLAG_DSYNC : 0 },
	    NULL, NULL, some, k);
}

/* All bytes of a file that gets its first name. */
static void
put_content(int fd, const struct stat *st)
{
	char *p;

	if (st->st_size == 0)
		return;
	p = malloc((size_t)st->st_size);
	if (!p || syscall(SYS_pread64, fd, p, (size_t)st->st_size, 0) != st->st_size)
		abort();
	put_write(fd, st->st_ino, 0, &(struct iovec){ p, (size_t)st->st_size }, 1,
	    (size_t)st->st_size);
	free(p);
}

/* ---- opening --------------------------------------------------------------------------------- */

__attribute__((constructor)) static void
begin(void)
{
	const char *trace = getenv("POWERCUT_TRACE"), *dir = getenv("POWERCUT_ROOT"),
		   *boot = getenv("POWERCUT_BOOT");
	struct stat st;
	int fd;

	if (boot) {
		fd = memfd_create("boot_id", MFD_CLOEXEC);
		if (fd < 0 || dprintf(fd, "%s\n", boot) < 0 || dup3(fd, BOOT_FD, O_CLOEXEC) < 0)
			abort();
		close(fd);
	}
	if (!trace || !dir || !realpath(dir, root) || stat(root, &st) < 0)
		return;
	nroot = strlen(root);
	device = st.st_dev;
	fd = (int)syscall(SYS_openat, AT_FDCWD, trace, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
	    0640);
	if (fd < 0 || dup3(fd, TRACE_FD, O_CLOEXEC) < 0)
		abort();
	close(fd);
	tracing = true;
}

static int
boot_open(void)
{
	int fd = fcntl(BOOT_FD, F_DUPFD_CLOEXEC, 0);

	if (fd >= 0)
		lseek(fd, 0, SEEK_SET);
	return fd;
}

static int
opened(int at, const char *path, int flags, mode_t mode)
{
	char full[8192];
	struct stat st;
	bool was, unnamed = (flags & O_TMPFILE) == O_TMPFILE;
	int fd;

	if (strcmp(path, BOOT_ID) == 0 && fcntl(BOOT_FD, F_GETFD) >= 0)
		return boot_open();
	if (!(flags & (O_CREAT | O_TRUNC)) && !unnamed)
		return (int)syscall(SYS_openat, at, path, flags, mode);
	if (!below(whole(full, at, path)))
		return (int)syscall(SYS_openat, at, path, flags, mode);
	pthread_mutex_lock(&lock);
	was = faccessat(at, path, F_OK, 0) == 0;
	fd = (int)syscall(SYS_openat, at, path, flags, mode);
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		if (unnamed)
			put((struct record){ .op = OP_UNNAMED, .ino = st.st_ino }, NULL, NULL, NULL,
			    0);
		else if (!was)
			put((struct record){ .op = OP_CREATE, .ino = st.st_ino }, full, NULL, NULL,
			    0);
		else if (flags & O_TRUNC)
			put((struct record){ .op = OP_SIZE, .ino = st.st_ino }, NULL, NULL, NULL,
			    0);
	}
	pthread_mutex_unlock(&lock);
	return fd;
}

/* Names that libc gives the same call under. */
#define OPEN(name)                                                                                 \
	int name(const char *path, int flags, ...);                                                \
	int name(const char *path, int flags, ...)                                                 \
	{                                                                                          \
		va_list ap;                                                                        \
		mode_t mode;                                                                       \
                                                                                                   \
		va_start(ap, flags);                                                               \
		mode = va_arg(ap, mode_t);                                                         \
		va_end(ap);                                                                        \
		return opened(AT_FDCWD, path, flags, mode);                                        \
	}
#define OPENAT(name)                                                                               \
	int name(int at, const char *path, int flags, ...);                                        \
	int name(int at, const char *path, int flags, ...)                                         \
	{                                                                                          \
		va_list ap;                                                                        \
		mode_t mode;                                                                       \
                                                                                                   \
		va_start(ap, flags);                                                               \
		mode = va_arg(ap, mode_t);                                                         \
		va_end(ap);                                                                        \
		return opened(at, path, flags, mode);                                              \
	}
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int at, const char *path, int flags);
int __openat64_2(int at, const char *path, int flags);
int
__open_2(const char *path, int flags)
{
	return opened(AT_FDCWD, path, flags, 0);
}
int
__open64_2(const char *path, int flags)
{
	return opened(AT_FDCWD, path, flags, 0);
}
int
__openat_2(int at, const char *path, int flags)
{
	return opened(at, path, flags, 0);
}
int
__openat64_2(int at, const char *path, int flags)
{
	return opened(at, path, flags, 0);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

/* off < 0: where the descriptor stands. */
static ssize_t
written(int fd, const struct iovec *iov, int n, off_t off)
{
	struct stat st;
	bool mine = ours(fd, &st);
	ssize_t done;
	off_t at = off;

	if (mine) {
		pthread_mutex_lock(&lock);
		if (off < 0)
			at = lseek(fd, 0, SEEK_CUR);
	}
	done = off < 0 ? syscall(SYS_writev, fd, iov, n) : syscall(SYS_pwritev, fd, iov, n, off, 0);
	if (mine) {
		if (done > 0)
			put_write(fd, st.st_ino, (uint64_t)at, iov, n, (size_t)done);
		pthread_mutex_unlock(&lock);
	}
	return done;
}

ssize_t
write(int fd, const void *p, size_t n)
{
	return written(fd, &(struct iovec){ (void *)(uintptr_t)p, n }, 1, -1);
}
ssize_t
writev(int fd, const struct iovec *iov, int n)
{
	return written(fd, iov, n, -1);
}
#define PWRITE(name)                                                                               \
	ssize_t name(int fd, const void *p, size_t n, off_t off)                                   \
	{                                                                                          \
		return written(fd, &(struct iovec){ (void *)(uintptr_t)p, n }, 1, off);            \
	}                                                                                          \
	extern int pwrite_of_##name
PWRITE(pwrite);
PWRITE(pwrite64);
#define PWRITEV(name)                                                                              \
	ssize_t name(int fd, const struct iovec *iov, int n, off_t off)                            \
	{                                                                                          \
		return written(fd, iov, n, off);                                                   \
	}                                                                                          \
	extern int pwritev_of_##name
PWRITEV(pwritev);
PWRITEV(pwritev64);

static int
resized(int fd, off_t size)
{
	struct stat st;
	bool mine = ours(fd, &st);
	int rc;

	if (mine)
		pthread_mutex_lock(&lock);
	rc = (int)syscall(SYS_ftruncate, fd, size);
	if (mine) {
		if (rc == 0)
			put((struct record){ .op = OP_SIZE,
				.ino = st.st_ino,
				.off = (uint64_t)size },
			    NULL, NULL, NULL, 0);
		pthread_mutex_unlock(&lock);
	}
	return rc;
}
int
ftruncate(int fd, off_t size)
{
	return resized(fd, size);
}
int
ftruncate64(int fd, off_t size)
{
	return resized(fd, size);
}

static int
allocated(int fd, int mode, off_t off, off_t n)
{
	struct stat st;
	bool mine = ours(fd, &st);
	int rc;

	if (mine)
		pthread_mutex_lock(&lock);
	rc = (int)syscall(SYS_fallocate, fd, mode, off, n);
	if (mine) {
		if (rc == 0)
			put((struct record){ .op = OP_ALLOC,
				.ino = st.st_ino,
				.off = size_now(fd) },
			    NULL, NULL, NULL, 0);
		pthread_mutex_unlock(&lock);
	}
	return rc;
}
int
fallocate(int fd, int mode, off_t off, off_t n)
{
	return allocated(fd, mode, off, n);
}
int
fallocate64(int fd, int mode, off_t off, off_t n)
{
	return allocated(fd, mode, off, n);
}
int
posix_fallocate(int fd, off_t off, off_t n)
{
	return allocated(fd, 0, off, n) < 0 ? errno : 0;
}
int
posix_fallocate64(int fd, off_t off, off_t n)
{
	return allocated(fd, 0, off, n) < 0 ? errno : 0;
}

/* ---- names ----------------------------------------------------------------------------------- */

int
linkat(int from_at, const char *from, int to_at, const char *to, int flags)
{
	char full[8192];
	struct stat st = { 0 };
	int fd = -1, rc;

	if (!below(whole(full, to_at, to)))
		return (int)syscall(SYS_linkat, from_at, from, to_at, to, flags);
	pthread_mutex_lock(&lock);
	if (strncmp(from, FD_PREFIX, strlen(FD_PREFIX)) == 0)
		fd = atoi(from + strlen(FD_PREFIX));
	else if (flags & AT_EMPTY_PATH && !*from)
		fd = from_at;
	rc = fd >= 0 ? fstat(fd, &st) : fstatat(from_at, from, &st, 0);
	if (rc == 0 && fd >= 0 && st.st_nlink == 0)
		put_content(fd, &st);
	rc = (int)syscall(SYS_linkat, from_at, from, to_at, to, flags);
	if (rc == 0)
		put((struct record){ .op = OP_LINK, .ino = st.st_ino }, full, NULL, NULL, 0);
	pthread_mutex_unlock(&lock);
	return rc;
}
int
link(const char *from, const char *to)
{
	return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int
renameat(int from_at, const char *from, int to_at, const char *to)
{
	char a[8192], b[8192];
	bool mine;
	int rc;

	(void)whole(a, from_at, from);
	(void)whole(b, to_at, to);
	mine = below(a) || below(b);

	if (mine)
		pthread_mutex_lock(&lock);
	rc = (int)syscall(SYS_renameat2, from_at, from, to_at, to, 0);
	if (mine) {
		if (rc == 0)
			put((struct record){ .op = OP_RENAME }, a, b, NULL, 0);
		pthread_mutex_unlock(&lock);
	}
	return rc;
}
int
rename(const char *from, const char *to)
{
	return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

/* A call about one name, written down as `op` when it succeeds. */
static int
named(enum op op, int at, const char *path, long nr, long arg)
{
	char full[8192];
	bool mine = below(whole(full, at, path));
	int rc;

	if (mine)
		pthread_mutex_lock(&lock);
	rc = (int)syscall(nr, at, path, arg);
	if (mine) {
		if (rc == 0)
			put((struct record){ .op = op }, full, NULL, NULL, 0);
		pthread_mutex_unlock(&lock);
	}
	return rc;
}
int
unlinkat(int at, const char *path, int flags)
{
	return named(flags & AT_REMOVEDIR ? OP_RMDIR : OP_UNLINK, at, path, SYS_unlinkat, flags);
}
int
unlink(const char *path)
{
	return named(OP_UNLINK, AT_FDCWD, path, SYS_unlinkat, 0);
}
int
rmdir(const char *path)
{
	return named(OP_RMDIR, AT_FDCWD, path, SYS_unlinkat, AT_REMOVEDIR);
}
int
mkdirat(int at, const char *path, mode_t mode)
{
	return named(OP_MKDIR, at, path, SYS_mkdirat, (long)mode);
}
int
mkdir(const char *path, mode_t mode)
{
	return named(OP_MKDIR, AT_FDCWD, path, SYS_mkdirat, (long)mode);
}

/* ---- syncs ----------------------------------------------------------------------------------- */

static int
synced(int fd, enum sync kind, long nr, long off, long n, long flags)
{
	struct stat st;
	bool mine = tracing && fstat(fd, &st) == 0 && st.st_dev == device;
	char link[64], path[4096] = "";
	uint64_t number = 0;
	int rc;

	if (mine) {
		if (S_ISDIR(st.st_mode)) {
			snprintf(link, sizeof(link), FD_PREFIX "%d", fd);
			(void)!readlink(link, path, sizeof(path) - 1);
			if (kind != SYNC_FS)
				kind = SYNC_DIR;
		}
		pthread_mutex_lock(&lock);
		number = ++syncs;
		put((struct record){ .op = OP_BEGIN,
			.ino = st.st_ino,
			.off = number,
			.n = kind,
			.from = (uint64_t)off,
			.len = (uint64_t)n,
			.flags = (uint32_t)flags },
		    path, NULL, NULL, 0);
		pthread_mutex_unlock(&lock);
	}
	rc = (int)syscall(nr, fd, off, n, flags);
	if (mine) {
		pthread_mutex_lock(&lock);
		put((struct record){ .op = OP_END,
			.off = number,
			.n = rc == 0 ? 0 : (uint64_t)errno },
		    NULL, NULL, NULL, 0);
		pthread_mutex_unlock(&lock);
	}
	return rc;
}
int
fsync(int fd)
{
	return synced(fd, SYNC_FSYNC, SYS_fsync, 0, 0, 0);
}
int
fdatasync(int fd)
{
	return synced(fd, SYNC_FDATASYNC, SYS_fdatasync, 0, 0, 0);
}
int
syncfs(int fd)
{
	return synced(fd, SYNC_FS, SYS_syncfs, 0, 0, 0);
}
int
sync_file_range(int fd, off_t off, off_t n, unsigned flags)
{
	return synced(fd, SYNC_RANGE, SYS_sync_file_range, off, n, (long)flags);
}

/* base/files.c: see files.h. */
#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

static int
make_one(const char *path, mode_t mode)
{
	struct stat st;

	if (mkdir(path, mode) == 0)
		return chmod(path, mode) < 0 ? -errno : 0;
	if (errno == EEXIST || errno == EROFS || errno == EACCES)
		return stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? 0 : -errno;
	return -errno;
}

int
files_make_dirs(const char *path, mode_t mode)
{
	char *part = mem_str(path);
	int rc = 0;

	for (char *s = *part ? strchr(part + 1, '/') : NULL; rc == 0 && s; s = strchr(s + 1, '/')) {
		*s = '\0';
		rc = make_one(part, mode);
		*s = '/';
	}
	if (rc == 0)
		rc = make_one(part, mode);
	mem_free(&part);
	return rc;
}

int
files_make_dirs_at(int at, const char *path, mode_t mode)
{
	char *copy;
	int rc = 0;

	if (mkdirat(at, path, mode) == 0 || errno == EEXIST)
		return 0;
	if (errno != ENOENT)
		return -errno;
	copy = mem_str(path);
	for (char *s = copy; rc == 0 && (s = strchr(s, '/')); *s++ = '/') {
		*s = '\0';
		if (mkdirat(at, copy, mode) < 0 && errno != EEXIST)
			rc = -errno;
	}
	if (rc == 0 && mkdirat(at, path, mode) < 0 && errno != EEXIST)
		rc = -errno;
	mem_free(&copy);
	return rc;
}

int
files_write_at(int fd, const void *p, size_t n, uint64_t at)
{
	const char *s = p;

	while (n > 0) {
		ssize_t w = pwrite(fd, s, n, (off_t)at);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return w < 0 ? -errno : -EIO;
		s += w;
		at += (uint64_t)w;
		n -= (size_t)w;
	}
	return 0;
}

int
files_write(int fd, const void *p, size_t n)
{
	const char *s = p;

	while (n > 0) {
		ssize_t w = write(fd, s, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return w < 0 ? -errno : -EIO;
		s += w;
		n -= (size_t)w;
	}
	return 0;
}

int
files_set_out(int fd, uint64_t at, uint64_t n)
{
	if (sync_file_range(fd, (off_t)at, (off_t)n, SYNC_FILE_RANGE_WRITE) == 0)
		return 0;
	return errno == EIO || errno == ENOSPC || errno == EDQUOT ? -errno : 0;
}

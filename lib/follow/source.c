/* follow/source.c: where lines come from.
 *
 * Owns the list of files and, for standard input, a copy of it without a name, because it is read more than
 * once.  Called by follow.c.  Can fail: files that cannot be read, a full disk under the copy.  Must stay true: no
 * more than SOURCE_PIECE octets of a file are in memory, however large it is. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "base/mem.h"
#include "follow/follow-impl.h"

#define SOURCE_PIECE (256 * 1024)

static int
source_sorry(struct follow *f, const char *path, int rc)
{
	buf_printf(&f->why, "%s: %s\n", path, strerror(-rc));
	return rc;
}

static void
source_put(struct follow *f, const char *path, const char *host, int fd)
{
	f->sources = mem_grow(f->sources, f->nsources + 1, sizeof(*f->sources));
	f->sources[f->nsources++] =
	    (struct follow_source){ .path = mem_str(path), .host = mem_str(host), .fd = fd };
}

/* ---- standard input ---------------------------------------------------------------------------------------- */

static int
source_spool(int from, int to)
{
	char *piece = mem_grow(NULL, SOURCE_PIECE, 1);
	ssize_t n;
	int rc = 0;

	while (rc == 0 && (n = read(from, piece, SOURCE_PIECE)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		rc = n < 0 ? -errno : files_write(to, piece, (size_t)n);
	}
	mem_free(&piece);
	return rc;
}

static int
source_add_input(struct follow *f)
{
	const char *tmp = getenv("TMPDIR");
	int fd = open(tmp && *tmp ? tmp : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), rc;

	if (fd < 0)
		return source_sorry(f, tmp && *tmp ? tmp : "/tmp", -errno);
	if ((rc = source_spool(STDIN_FILENO, fd)) < 0) {
		(void)close(fd);
		return source_sorry(f, "standard input", rc);
	}
	source_put(f, "standard input", "", fd);
	return 0;
}

/* ---- files and folders ---------------------------------------------------------------------------------------- */

/* "imapd.log", and "imapd.log.1" after it was turned over. */
static bool
source_is_log(const char *name)
{
	const char *dot = strstr(name, ".log");

	if (!dot || dot == name)
		return false;
	dot += strlen(".log");
	if (*dot == '\0')
		return true;
	return *dot == '.' && dot[1] && strspn(dot + 1, "0123456789") == strlen(dot + 1);
}

static int
source_add_folder(struct follow *f, const char *path, const char *host)
{
	struct dirent **names;
	int n = scandir(path, &names, NULL, alphasort), rc = 0;

	if (n < 0)
		return source_sorry(f, path, -errno);
	for (int i = 0; i < n; i++) {
		const char *name = names[i]->d_name;
		char *below = mem_printf("%s/%s", path, name);
		struct stat st;

		if (rc == 0 && *name != '.' && stat(below, &st) == 0) {
			if (S_ISDIR(st.st_mode) && !*host)
				rc = source_add_folder(f, below, name);
			else if (S_ISREG(st.st_mode) && source_is_log(name))
				source_put(f, below, host, -1);
		}
		mem_free(&below);
		free(names[i]);
	}
	free(names);
	return rc;
}

int
follow_join(struct follow *f, const char *path)
{
	struct stat st;

	if (strcmp(path, "-") == 0)
		return source_add_input(f);
	if (stat(path, &st) < 0)
		return source_sorry(f, path, -errno);
	if (S_ISDIR(st.st_mode))
		return source_add_folder(f, path, "");
	source_put(f, path, "", -1);
	return 0;
}

/* ---- lines ------------------------------------------------------------------------------------------------------ */

/* Gives the whole lines of all[0..n]; how many octets that were. */
static size_t
source_lines(struct follow *f, const struct follow_source *s, struct slice all, bool last,
    bool *skip, follow_each *each)
{
	struct slice rest = all;

	for (;;) {
		size_t n = slice_find(rest, '\n');
		struct follow_line line = { .text = slice_sub(rest, 0, n), .host = s->host };

		if (n == rest.n && !(last && n > 0))
			break;
		line.at = f->lines++;
		if (!*skip && n <= FOLLOW_LINE)
			each(f, &line);
		*skip = false;
		rest = slice_from(rest, n + 1);
	}
	return all.n - rest.n;
}

static int
source_read_fd(struct follow *f, const struct follow_source *s, int fd, follow_each *each)
{
	char *piece = mem_grow(NULL, SOURCE_PIECE, 1);
	size_t have = 0;
	bool skip = false; /* in the middle of a line without end */
	ssize_t n;

	do {
		size_t took;

		n = read(fd, piece + have, SOURCE_PIECE - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		have += (size_t)n;
		took = source_lines(f, s, slice(piece, have), n == 0, &skip, each);
		have -= took;
		memmove(piece, piece + took, have);
		if (have == SOURCE_PIECE) {
			skip = true;
			have = 0;
		}
	} while (n != 0 && !follow_stopped(f));
	mem_free(&piece);
	return n < 0 ? source_sorry(f, s->path, -errno) : 0;
}

/* A file that has been turned over to nothing meanwhile is no mistake. */
static int
source_read_one(struct follow *f, const struct follow_source *s, follow_each *each)
{
	int fd = s->fd >= 0 ? s->fd : open(s->path, O_RDONLY | O_CLOEXEC), rc;

	if (fd < 0)
		return errno == ENOENT ? 0 : source_sorry(f, s->path, -errno);
	if (s->fd >= 0 && lseek(fd, 0, SEEK_SET) < 0)
		return source_sorry(f, s->path, -errno);
	rc = source_read_fd(f, s, fd, each);
	if (s->fd < 0)
		(void)close(fd);
	return rc;
}

int
follow_read(struct follow *f, follow_each *each)
{
	int rc = 0;

	f->lines = 0;
	for (size_t i = 0; i < f->nsources && rc == 0 && !follow_stopped(f); i++)
		rc = source_read_one(f, &f->sources[i], each);
	return rc;
}

void
follow_sources_fini(struct follow *f)
{
	for (size_t i = 0; i < f->nsources; i++) {
		mem_free(&f->sources[i].path);
		mem_free(&f->sources[i].host);
		if (f->sources[i].fd >= 0)
			(void)close(f->sources[i].fd);
	}
	mem_free(&f->sources);
}

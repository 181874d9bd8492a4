/* Folders that are made with those above them, and writes that go on until all is written. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "../tap.h"

static char dir[] = "/tmp/tiermail-files-XXXXXX";

static unsigned
mode_of(int at, const char *path)
{
	struct stat st;

	return fstatat(at, path, &st, 0) < 0 || !S_ISDIR(st.st_mode) ? 0 : st.st_mode & 0777;
}

static void
test_make_dirs(int at)
{
	char path[100];

	umask(027);
	snprintf(path, sizeof(path), "%s/one/two", dir);
	eq(files_make_dirs(path, 0755), 0, "folders are made");
	ok(mode_of(at, "one") == 0755 && mode_of(at, "one/two") == 0755, "whatever the umask says");
	eq(files_make_dirs(path, 0700), 0, "one that is there is good");
	eq(mode_of(at, "one/two"), 0755, "and stays as it is");
	eq(files_make_dirs_at(at, "a/b/c", 0770), 0, "below a descriptor");
	ok(mode_of(at, "a") == 0750 && mode_of(at, "a/b/c") == 0750, "the umask counts");
	eq(files_make_dirs_at(at, "a/b/d", 0770), 0, "only the last is missing");
	eq(files_make_dirs_at(at, "a/b/d", 0770), 0, "none is");
	close(openat(at, "a/file", O_CREAT | O_WRONLY, 0600));
	eq(files_make_dirs_at(at, "a/file/x/y", 0770), -ENOTDIR, "a file is in the way");
	snprintf(path, sizeof(path), "%s/a/file/x", dir);
	eq(files_make_dirs(path, 0750), -EEXIST, "by its whole path: the file is what there is");
}

static void
test_write(int at)
{
	int fd = openat(at, "w", O_CREAT | O_RDWR, 0600), in[2];
	char got[16] = "";

	eq(files_write(fd, "abcdef", 6), 0, "written where it stands");
	eq(files_write_at(fd, "XY", 2, 2), 0, "and at an offset");
	eq(files_write(fd, "g", 1), 0, "which moves nothing");
	eq(pread(fd, got, 15, 0), 7, "all of it");
	is(got, "abXYefg", "in its place");
	eq(files_write_at(fd, "", 0, 99), 0, "nothing is nothing");
	close(fd);
	eq(files_write(fd, "x", 1), -EBADF, "an error is told");
	if (pipe(in) == 0) {
		eq(files_write_at(in[1], "x", 1, 0), -ESPIPE, "by the other too");
		close(in[0]);
		close(in[1]);
	}
}

int
main(void)
{
	char command[100];
	int at;

	if (!mkdtemp(dir) || (at = open(dir, O_RDONLY | O_DIRECTORY)) < 0)
		abort();
	test_make_dirs(at);
	test_write(at);
	close(at);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ok(system(command) == 0, "cleaned up");
	return done();
}

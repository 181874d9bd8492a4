/* t/fuzz/standalone.c: a main for fuzz targets without libFuzzer: replays files, and all files
 * of directories, named on the command line, so that a corpus is a regression test. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static size_t files;

static void
replay_file(const char *path, size_t size)
{
	uint8_t *data = malloc(size ? size : 1); /* exact, so that a sanitizer sees the end */
	FILE *f = fopen(path, "rb");

	if (!data || !f || fread(data, 1, size, f) != size) {
		perror(path);
		exit(1);
	}
	fclose(f);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	files++;
}

static void
replay(const char *path)
{
	struct dirent *e;
	struct stat st;
	DIR *d;

	if (stat(path, &st) < 0) {
		perror(path);
		exit(1);
	}
	if (!S_ISDIR(st.st_mode)) {
		replay_file(path, (size_t)st.st_size);
		return;
	}
	d = opendir(path);
	while (d && (e = readdir(d))) {
		char below[4096];

		if (e->d_name[0] == '.')
			continue;
		snprintf(below, sizeof below, "%s/%s", path, e->d_name);
		replay(below);
	}
	if (d)
		closedir(d);
}

int
main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		replay(argv[i]);
	printf("replayed %zu files\n", files);
	return 0;
}

/* sieveload: what a script costs: sieveload SCRIPT FOLDER [ROUNDS]
 *
 * Compiles the script once and runs it on each file of the folder, as a delivery agent does: the file is
 * mapped, the actions are counted.  Says how much processor time a message has taken, and the run alone. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "mail/header.h"
#include "sieve/sieve.h"

static int
load_message(void *arg, struct slice *all)
{
	*all = *(struct slice *)arg;
	return 0;
}

static struct slice
load_map(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *p = fd >= 0 && fstat(fd, &st) == 0 && st.st_size ?
	    mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0) :
	    MAP_FAILED;

	if (fd >= 0)
		close(fd);
	return p == MAP_FAILED ? (struct slice){ 0 } : slice(p, (size_t)st.st_size);
}

static uint64_t load_runs_us; /* of the runs alone */

static size_t
load_one(const struct sieve_program *p, const char *path)
{
	struct slice all = load_map(path);
	struct sieve_host host = { .message = load_message,
		.spam = -1,
		.now = clock_now(),
		.arg = &all };
	struct sieve_result result = { 0 };
	size_t n;

	if (!all.p)
		return 0;
	host.header = slice_sub(all, 0, header_len(all));
	host.size = all.n;
	sieve_run(p, &host, &result);
	n = result.nactions;
	load_runs_us += result.cpu_us;
	sieve_result_fini(&result);
	munmap((void *)(uintptr_t)all.p, all.n);
	return n;
}

int
main(int argc, char **argv)
{
	struct sieve_options options = { .name = argc > 1 ? argv[1] : NULL };
	struct sieve_errors errors = { 0 };
	struct sieve_program *p = NULL;
	struct slice text = { 0 };
	size_t messages = 0, actions = 0;
	uint64_t start, compiled;
	int rounds = argc > 3 ? atoi(argv[3]) : 1;

	if (argc < 3) {
		fprintf(stderr, "usage: sieveload SCRIPT FOLDER [ROUNDS]\n");
		return 64;
	}
	start = clock_thread_us();
	text = load_map(argv[1]);
	p = text.p ? sieve_compile(text, &options, &errors) : NULL;
	compiled = clock_thread_us();
	if (!p) {
		fprintf(stderr, "sieveload: %s: %s\n", argv[1],
		    errors.first ? errors.first->text : "cannot be read");
		return 78;
	}
	for (int i = 0; i < rounds; i++) {
		DIR *d = opendir(argv[2]);

		for (struct dirent *e; d && (e = readdir(d));) {
			char path[4096];

			snprintf(path, sizeof(path), "%s/%s", argv[2], e->d_name);
			if (e->d_name[0] != '.') {
				actions += load_one(p, path);
				messages++;
			}
		}
		if (d)
			closedir(d);
	}
	printf("messages=%zu actions=%zu compile_us=%llu us_per_message=%.1f us_per_run=%.1f\n",
	    messages, actions, (unsigned long long)(compiled - start),
	    messages ? (double)(clock_thread_us() - compiled) / (double)messages : 0.0,
	    messages ? (double)load_runs_us / (double)messages : 0.0);
	sieve_program_free(&p);
	sieve_errors_fini(&errors);
	return 0;
}

/* sievebench: what a script costs per message, without a store around it; for t/sieve/bench.
 *
 *	sievebench SCRIPT FOLDER
 * compiles the script once and runs it on every file of FOLDER/cur, which is read each time.  Prints one line of
 * key=value figures: messages, actions, and the processor's time of all of it, the compiling apart. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "mail/header.h"
#include "sieve/sieve.h"

static struct slice message;

static uint64_t
cpu_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void
read_file(int folder, const char *name, struct buf *b)
{
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = 1;

	buf_clear(b);
	while (fd >= 0 && n > 0) {
		n = read(fd, buf_reserve(b, 65536), 65536);
		b->n += n > 0 ? (size_t)n : 0;
	}
	if (fd < 0 || n < 0) {
		perror(name);
		exit(1);
	}
	(void)close(fd);
}

static int
bench_message(void *arg, struct slice *all)
{
	(void)arg;
	*all = message;
	return 0;
}

static bool
bench_envelope(void *arg, enum sieve_envelope part, size_t i, struct slice *value)
{
	(void)arg;
	*value = part == SIEVE_FROM ? S("sender@example.org") : S("user@example.org");
	return i == 0 && (part == SIEVE_FROM || part == SIEVE_TO);
}

static size_t
run(const struct sieve_program *p, const struct buf *b)
{
	struct sieve_result result = { 0 };
	struct sieve_host host = { .message = bench_message,
		.envelope = bench_envelope,
		.size = b->n,
		.spam = -1,
		.now = 1796000000 };
	size_t n;

	message = buf_get(b);
	host.header = slice_sub(message, 0, header_len(message));
	sieve_run(p, &host, &result);
	n = result.nactions;
	sieve_result_fini(&result);
	return n;
}

int
main(int argc, char **argv)
{
	struct sieve_options o = { .name = "bench" };
	struct sieve_errors errors = { 0 };
	struct sieve_program *p;
	struct buf b = { 0 };
	size_t messages = 0, actions = 0;
	uint64_t began = cpu_us(), compiled;
	int fd;
	DIR *dir;

	if (argc != 3)
		return 2;
	read_file(AT_FDCWD, argv[1], &b);
	p = sieve_compile(buf_get(&b), &o, &errors);
	compiled = cpu_us();
	(void)snprintf(buf_reserve(&b, strlen(argv[2]) + 8), strlen(argv[2]) + 8, "%s/cur",
	    argv[2]);
	fd = open(b.p + b.n, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!p || !dir) {
		(void)fprintf(stderr, "sievebench: the script has errors, or there is no folder\n");
		return 1;
	}
	for (const struct dirent *e; (e = readdir(dir)); messages++) {
		if (*e->d_name == '.') {
			messages--;
			continue;
		}
		read_file(fd, e->d_name, &b);
		actions += run(p, &b);
	}
	(void)printf("messages=%zu actions=%zu compile_us=%llu run_us=%llu\n", messages, actions,
	    (unsigned long long)(compiled - began), (unsigned long long)(cpu_us() - compiled));
	sieve_program_free(&p);
	(void)closedir(dir);
	buf_fini(&b);
	return 0;
}

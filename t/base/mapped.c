/* Maps of files that are cut off under who reads them. */
#include "base/mapped.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../tap.h"

#define MANY 3000 /* more than are known to the handler at a time */

static size_t page;

static int
file_of(size_t n)
{
	FILE *f = tmpfile();
	int fd = f ? dup(fileno(f)) : -1;

	if (fd < 0)
		abort();
	fclose(f);
	for (size_t i = 0; i < n; i++)
		if (write(fd, "x", 1) != 1)
			abort();
	return fd;
}

static size_t
count(const struct mapped *m)
{
	const volatile char *p = m->p;
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++)
		n += p[i] == 'x';
	return n;
}

static void *
count_apart(void *arg)
{
	return (void *)(uintptr_t)count(arg);
}

/* What the process dies of when it reads a map of its own of a file that is cut off. */
static int
end_of_others(void (*fn)(int sig, siginfo_t *info, void *context))
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		int fd = file_of(2 * page);
		volatile char *p = mmap(NULL, 2 * page, PROT_READ, MAP_PRIVATE, fd, 0);

		if (fn)
			mapped_others(fn);
		if ((void *)(uintptr_t)p == MAP_FAILED || ftruncate(fd, 0) < 0)
			_exit(99);
		_exit(p[page]);
	}
	waitpid(pid, &status, 0);
	return status;
}

static void
leave(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)info;
	(void)context;
	_exit(7);
}

int
main(void)
{
	static struct mapped many[MANY];
	struct mapped m, whole, none = { 0 };
	pthread_t thread;
	void *n;
	int fd, other, status;
	bool all = true;

	page = (size_t)sysconf(_SC_PAGESIZE);
	fd = file_of(8 * page);
	other = file_of(7 * page + 5);
	eq(mapped_open(&m, fd, 8 * page), 0, "a map");
	eq(mapped_open(&whole, other, 7 * page + 5), 0, "another");
	ok(count(&m) == 8 * page && !mapped_cut(&m), "reads as the file");
	ok(ftruncate(fd, (off_t)page + 1) == 0, "cut off");
	eq((long long)count(&m), (long long)page + 1, "what is missing reads as zeros");
	ok(mapped_cut(&m), "and it is known");
	ok(!mapped_cut(&whole) && count(&whole) == 7 * page + 5, "the other one is as it was");
	ok(ftruncate(other, 0) == 0, "that one too");
	pthread_create(&thread, NULL, count_apart, &whole);
	pthread_join(thread, &n);
	ok((size_t)n == 0 && mapped_cut(&whole), "in another thread");
	mapped_close(&m);
	mapped_close(&whole);
	ok(!m.p && !mapped_cut(&m), "closed");
	mapped_close(&none);
	ok(mapped_open(&m, -1, 10) < 0, "no file");

	eq(mapped_open(&m, fd, page), 0, "a small file");
	ok(m.read && count(&m) == page && !mapped_cut(&m), "is read");
	mapped_close(&m);
	eq(mapped_open(&m, fd, 2 * page), 0, "one that is smaller than it was");
	ok(m.read && count(&m) == page + 1 && mapped_cut(&m), "and is known to be");
	mapped_close(&m);

	if (ftruncate(fd, 0) < 0 || ftruncate(fd, (off_t)(8 * page)) < 0)
		abort();
	eq(mapped_open(&m, fd, 8 * page), 0, "a new map in the old place");
	ok(!m.read && !mapped_cut(&m), "knows nothing of it");
	mapped_close(&m);
	for (size_t i = 0; i < MANY; i++)
		all &= mapped_open(&many[i], fd, 8 * page) == 0;
	ok(all, "more maps than places: each is made");
	for (size_t i = 0; i < MANY; i++)
		mapped_close(&many[i]);
	all = true;
	for (size_t i = 0; i < MANY; i++) {
		all &= mapped_open(&m, fd, 8 * page) == 0 && m.place;
		mapped_close(&m);
	}
	ok(all, "and the places come back");

	status = end_of_others(NULL);
	ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS, "other maps end the process");
	status = end_of_others(leave);
	ok(WIFEXITED(status) && WEXITSTATUS(status) == 7, "or as somebody has said");
	close(fd);
	close(other);
	return done();
}

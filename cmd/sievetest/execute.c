/* execute.c: programs that a script waits for (vnd.dovecot.execute, vnd.dovecot.filter).
 *
 * None is run unless --program says which file it is: it is told of, and has ended well: execute's has written nothing,
 * filter's the message that it was given.  One that is asked for runs as the user of this tool, with its arguments and
 * never by a shell, for EXECUTE_MS at most.  What it reads and writes is in memory files. */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/files.h"
#include "sievetest.h"

#define EXECUTE_MS      30000 /* as at a delivery */
#define EXECUTE_LOOK_MS 10

extern char **environ;

static struct world_run *
world_run_add(const struct sieve_execute *x)
{
	struct arena *a = &sievetest.arena;
	struct world_run *w = arena_new(a, sizeof(*w));
	struct slice *args = arena_array(a, x->nargs + 1, sizeof(*args));

	for (size_t i = 0; i < x->nargs; i++)
		args[i] = arena_slice(a, x->args[i]);
	w->filters = x->filters;
	w->name = arena_slice(a, x->name);
	w->args = args;
	w->nargs = x->nargs;
	w->octets = x->input.n;
	*sievetest.last_run = w;
	sievetest.last_run = &w->next;
	return w;
}

/* 0, or an error number. */
static int
execute_spawn(pid_t *pid, const char *path, const struct sieve_execute *x, int in, int out)
{
	char **argv = arena_array(&sievetest.arena, x->nargs + 2, sizeof(*argv));
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	int e;

	argv[0] = arena_cstr(&sievetest.arena, x->name);
	for (size_t i = 0; i < x->nargs; i++)
		argv[i + 1] = arena_cstr(&sievetest.arena, x->args[i]);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP); /* what it starts ends with it */
	e = posix_spawn(pid, path, &files, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	return e;
}

/* Its exit code; -1: a signal, or too late. */
static int
execute_wait(pid_t pid)
{
	struct timespec pause = { .tv_nsec = EXECUTE_LOOK_MS * 1000000L };
	int status = 0;

	for (int ms = 0; waitpid(pid, &status, WNOHANG) == 0; ms += EXECUTE_LOOK_MS) {
		if (ms >= EXECUTE_MS) {
			(void)kill(-pid, SIGKILL);
			(void)waitpid(pid, &status, 0);
			return -1;
		}
		(void)nanosleep(&pause, NULL);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* False: more than `most`, or it cannot be read. */
static bool
execute_output(int fd, size_t most, struct buf *out)
{
	char piece[65536];
	ssize_t n;

	for (off_t at = 0; (n = pread(fd, piece, sizeof(piece), at)) > 0; at += n) {
		buf_add(out, piece, (size_t)n);
		if (out->n > most)
			return false;
	}
	return n == 0;
}

static int
execute_file(const char *path, const struct sieve_execute *x, struct buf *out)
{
	int in = memfd_create("in", MFD_CLOEXEC), to = memfd_create("out", MFD_CLOEXEC);
	int status = -1, e = in < 0 || to < 0 ? errno : 0;
	pid_t pid;

	if (e == 0)
		e = -files_write(in, x->input.p, x->input.n);
	if (e == 0 && lseek(in, 0, SEEK_SET) == 0)
		e = execute_spawn(&pid, path, x, in, to);
	if (e)
		fprintf(stderr, "sievetest: %s: %s\n", path, strerror(e));
	else
		status = execute_wait(pid);
	if (status == 0 && out && !execute_output(to, x->most, out))
		status = -1;
	if (in >= 0)
		(void)close(in);
	if (to >= 0)
		(void)close(to);
	return status;
}

int
world_execute(void *arg, const struct sieve_execute *x, struct buf *out)
{
	const struct world_pair *p = world_pair_find(sievetest.programs, x->name);
	struct world_run *w = world_run_add(x);

	(void)arg;
	if (p) {
		w->ran = true;
		w->status =
		    execute_file(p->value.p, x, out); /* the rest of an argument: a string */
		return w->status ? 1 : 0;
	}
	if (x->filters)
		buf_slice(out, x->input);
	return 0;
}

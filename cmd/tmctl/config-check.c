/* tmctl/config-check.c: what a daemon's own program says of its configuration (-n).
 *
 * Owns the process as long as it runs.  Called by config.c and config-set.c.  Can fail: the program is not there, or does
 * not end in time.  The program is looked for beside this one, as it was built or installed; tmctl-serve is `tmctl serve`,
 * and storectl-serve likewise. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "conf/paths.h"
#include "tmctl.h"

#define CHECK_MS 30000
#define SERVE    "-serve" /* of the name of a daemon that is a verb of a tool */

static bool
confcheck_is_verb(const char *daemon)
{
	return slice_ends(slice_str(daemon), S(SERVE));
}

/* The daemons are in sbin, tmctl in bin, and both in one folder where they were built. */
static char *
confcheck_find(const char *daemon)
{
	size_t verb = confcheck_is_verb(daemon) ? strlen(SERVE) : 0;
	int len = (int)(strlen(daemon) - verb);
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	struct slice self = slice(exe, n > 0 ? (size_t)n : 0);
	struct slice here = slice_sub(self, 0, slice_rfind(self, '/'));
	char *tries[] = { mem_printf(SFMT "/%.*s", SARG(here), len, daemon),
		mem_printf(SFMT "/../sbin/%.*s", SARG(here), len, daemon),
		mem_printf("%s/../sbin/%.*s", conf_path_bin, len, daemon) };
	char *found = NULL;

	for (size_t i = 0; i < NELEM(tries); i++) {
		if (!found && access(tries[i], X_OK) == 0)
			found = tries[i];
		else
			mem_free(&tries[i]);
	}
	return found;
}

static int
confcheck_spawn(const char *program, bool verb, const char *file, const int out[2],
    const int why[2], pid_t *pid)
{
	char serve[] = "serve", n[] = "-n", c[] = "-c";
	char *name = mem_str(program), *path = mem_str(file ? file : "");
	char *argv[] = { name, n, file ? c : NULL, path, NULL, NULL };
	posix_spawn_file_actions_t files;
	int rc;

	if (verb) {
		memmove(argv + 2, argv + 1, 3 * sizeof(*argv));
		argv[1] = serve;
	}
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, out[1], 1);
	posix_spawn_file_actions_adddup2(&files, why[1], 2);
	rc = posix_spawn(pid, program, &files, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	mem_free(&name);
	mem_free(&path);
	return -rc;
}

/* Both of its outputs until it closes them.  False when it takes too long. */
static bool
confcheck_hear(int fd_out, int fd_why, struct buf *out, struct buf *why)
{
	struct pollfd p[] = { { .fd = fd_out, .events = POLLIN },
		{ .fd = fd_why, .events = POLLIN } };
	struct buf *to[] = { out, why };
	uint64_t until = clock_mono_ms() + CHECK_MS, now;

	while ((p[0].fd >= 0 || p[1].fd >= 0) && (now = clock_mono_ms()) < until) {
		int ready = poll(p, 2, (int)(until - now));

		if (ready < 0 && errno != EINTR)
			return false;
		if (ready <= 0)
			continue;
		for (int i = 0; i < 2; i++) {
			ssize_t n;

			if (p[i].fd < 0 || !p[i].revents)
				continue;
			n = read(p[i].fd, buf_reserve(to[i], 16384), 16384);
			if (n > 0)
				to[i]->n += (size_t)n;
			else if (n == 0 || errno != EINTR)
				p[i].fd = -1;
		}
	}
	return p[0].fd < 0 && p[1].fd < 0;
}

static int
confcheck_run(const char *program, bool verb, const char *file, struct buf *out, struct buf *why)
{
	int o[2], w[2], status = 0;
	bool whole;
	pid_t pid;

	if (pipe2(o, O_CLOEXEC) < 0)
		return EX_OSERR;
	if (pipe2(w, O_CLOEXEC) < 0 || confcheck_spawn(program, verb, file, o, w, &pid) < 0) {
		(void)close(o[0]);
		(void)close(o[1]);
		return EX_OSERR;
	}
	(void)close(o[1]);
	(void)close(w[1]);
	whole = confcheck_hear(o[0], w[0], out, why);
	(void)close(o[0]);
	(void)close(w[0]);
	if (!whole) {
		buf_printf(why, "%s -n takes longer than %d s\n", program, CHECK_MS / 1000);
		(void)kill(pid, SIGKILL);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EX_SOFTWARE;
}

int
config_check(const char *daemon, const char *dir, struct buf *out, struct buf *why)
{
	char *program = confcheck_find(daemon);
	const char *shared_path = program_conf_file();
	char *file = dir ? mem_printf("%s/tiermail.conf", dir) :
	    shared_path  ? mem_str(shared_path) :
			   NULL;
	int rc = EX_UNAVAILABLE;

	if (program)
		rc = confcheck_run(program, confcheck_is_verb(daemon), file, out, why);
	else
		buf_printf(why, "there is no program %s\n", daemon);
	mem_free(&program);
	mem_free(&file);
	return rc;
}

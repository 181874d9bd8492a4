/* storectl receive: a command that an operator of another host has asked for.
 *
 * serve.c has judged who asks (serve-verb.c).  Called by receive.c, in a process of its own; the command is another one,
 * for it may end wherever it likes.  Owns that and two pipes from it.  Can fail: the start.  Must stay true: what it says
 * arrives in the order of each of its outputs, and when nobody hears it any more it is ended. */
#include "serve.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sysexits.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/kv.h"
#include "base/mem.h"
#include "base/must.h"

#define RUN_WORDS 32
#define RUN_PIECE 4096  /* a longer line goes in several */
#define RUN_MS    10000 /* without a word: a sign that it is at work */

int
storectl_spawn(char *const *words, const int fds[3], pid_t *pid)
{
	char *argv[RUN_WORDS + 4] = { mem_str("storectl"), mem_str("-c"),
		mem_str(program_conf_file() ? program_conf_file() : "") };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int e;

	for (size_t i = 0; words[i] && i < RUN_WORDS; i++)
		argv[3 + i] = words[i];
	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	must(posix_spawn_file_actions_init(&files) == 0 && posix_spawnattr_init(&attr) == 0);
	for (int to = 0; to < 3; to++)
		must(posix_spawn_file_actions_adddup2(&files, fds[to], to) == 0);
	must(posix_spawnattr_setsigmask(&attr, &none) == 0);
	must(posix_spawnattr_setsigdefault(&attr, &all) == 0);
	must(posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF) == 0);
	e = posix_spawn(pid, "/proc/self/exe", &files, &attr, argv, environ);
	(void)posix_spawn_file_actions_destroy(&files);
	(void)posix_spawnattr_destroy(&attr);
	for (size_t i = 0; i < 3; i++)
		mem_free(&argv[i]);
	return -e;
}

/* ---- what it says ------------------------------------------------------------------------------ */

static bool
asked_write(struct slice bytes)
{
	while (bytes.n > 0) {
		ssize_t n = write(STDOUT_FILENO, bytes.p, bytes.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		bytes = slice_from(bytes, (size_t)n);
	}
	return true;
}

struct asked_pipe {
	char letter;
	struct buf in;
};

/* The whole lines of what has come; at its end, or when a piece is full, the rest, too. */
static bool
asked_lines(struct asked_pipe *p, bool all)
{
	struct slice rest = buf_get(&p->in), line;
	struct buf out = { 0 };
	bool good;

	while (rest.n > 0 && (slice_find(rest, '\n') < rest.n || all || rest.n >= RUN_PIECE)) {
		(void)slice_cut(&rest, '\n', &line);
		buf_printf(&out, "%c " SFMT "\n", p->letter, SARG(line));
	}
	buf_cut(&p->in, p->in.n - rest.n);
	good = asked_write(buf_get(&out));
	buf_fini(&out);
	return good;
}

/* False: it has ended. */
static bool
asked_read(struct asked_pipe *p, int fd, bool *heard)
{
	ssize_t n = read(fd, buf_reserve(&p->in, RUN_PIECE), RUN_PIECE);

	if (n < 0 && errno == EINTR)
		return true;
	p->in.n += n > 0 ? (size_t)n : 0;
	*heard = asked_lines(p, n <= 0);
	return n > 0;
}

/* Until both have ended.  False: nobody hears it. */
static bool
asked_pass(const int from[2])
{
	struct asked_pipe pipes[2] = { { .letter = 'o' }, { .letter = 'e' } };
	struct pollfd fds[3] = { { from[0], POLLIN, 0 }, { from[1], POLLIN, 0 },
		{ STDOUT_FILENO, 0, 0 } };
	bool heard = true;

	while (heard && (fds[0].fd >= 0 || fds[1].fd >= 0)) {
		int n = poll(fds, NELEM(fds), RUN_MS);

		if (n == 0)
			heard = asked_write(S("w\n"));
		else if (n > 0 && fds[2].revents)
			heard = false;
		for (int i = 0; n > 0 && heard && i < 2; i++)
			if (fds[i].fd >= 0 && fds[i].revents &&
			    !asked_read(&pipes[i], fds[i].fd, &heard))
				fds[i].fd = -1;
	}
	buf_fini(&pipes[0].in);
	buf_fini(&pipes[1].in);
	return heard;
}

/* ---- the command ------------------------------------------------------------------------------- */

static int
asked_end(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return EX_OSERR;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EX_SOFTWARE;
}

static int
asked_words(char *const *words)
{
	int out[2], err[2], none, rc;
	pid_t pid = 0;

	must(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	if ((none = open("/dev/null", O_RDONLY | O_CLOEXEC)) < 0 || pipe2(out, O_CLOEXEC) < 0)
		return EX_OSERR;
	if (pipe2(err, O_CLOEXEC) < 0)
		return EX_OSERR;
	rc = storectl_spawn(words, (const int[3]){ none, out[1], err[1] }, &pid);
	(void)close(none);
	(void)close(out[1]);
	(void)close(err[1]);
	if (rc < 0) {
		fprintf(stderr, "storectl: %s\n", strerror(-rc));
		return EX_OSERR;
	}
	if (!asked_pass((const int[2]){ out[0], err[0] }))
		(void)kill(pid, SIGTERM);
	(void)close(out[0]);
	(void)close(err[0]);
	return asked_end(pid);
}

int
storectl_run_asked(struct slice rest)
{
	char *words[RUN_WORDS + 1] = { NULL };
	struct slice key, value;
	size_t n = 0;
	int rc = 0;

	while (rc == 0 && kv_next(&rest, &key, &value)) {
		if (n == RUN_WORDS) {
			rc = EX_USAGE;
			break;
		}
		words[n] = mem_new(value.n + 1);
		rc = kv_cstr(value, words[n++], value.n + 1) < 0 ? EX_USAGE : 0;
	}
	rc = rc ? rc : asked_words(words);
	for (size_t i = 0; i < n; i++)
		mem_free(&words[i]);
	return rc;
}

/* rules/load.c: scripts of the administrator's files, and of whoever runs some: read, and compiled.
 *
 * Called by smtp-relay (channels' scripts, recipients') and lmtpd (all others), on a thread or not: there is no state here.
 * Can fail: the file, or what is in it, each told in one line.  Must stay true: nothing that a path names holds a daemon
 * up, a FIFO as little as a file without end. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rules/rules.h"

#define PIECE 4096

static int
load_read(int fd, size_t most, struct buf *text)
{
	ssize_t n = 1;

	while (n > 0 && text->n <= most) {
		n = read(fd, buf_reserve(text, PIECE), PIECE);
		if (n > 0)
			text->n += (size_t)n;
		else if (n < 0 && errno == EINTR)
			n = 1;
	}
	return n < 0 ? -errno : 0;
}

bool
rules_file_read(const char *path, size_t most, struct buf *text, struct buf *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int e = fd < 0 ? -errno : 0;
	struct stat st;
	bool file = true;

	if (e == 0 && fstat(fd, &st) < 0)
		e = -errno;
	if (e == 0) {
		file = S_ISREG(st.st_mode) || S_ISCHR(st.st_mode) || S_ISDIR(st.st_mode);
		e = file ? load_read(fd, most, text) : 0;
	}
	if (fd >= 0)
		(void)close(fd);
	if (e < 0)
		buf_printf(why, "%s: %s", path, strerror(-e));
	else if (!file)
		buf_printf(why, "%s: it is no file", path);
	else if (text->n > most)
		buf_printf(why, "%s: more than %zu octets", path, most);
	return e == 0 && file && text->n <= most;
}

struct sieve_program *
rules_compile(struct slice text, const struct sieve_options *o, struct buf *why)
{
	struct sieve_errors errors = { 0 };
	struct sieve_program *p = sieve_compile(text, o, &errors);

	if (!p && errors.first)
		sieve_error_write(why, errors.first);
	else if (!p)
		buf_printf(why, "%s: it cannot be compiled", o->name ? o->name : "script");
	sieve_errors_fini(&errors);
	return p;
}

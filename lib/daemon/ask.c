/* daemon/ask.c: see daemon/ask.h.
 *
 * Owns a connection from question to answer.  Blocks, with a limit for each step and one for all.  Can fail: all of it; an
 * answer that was cut off is none.  Other hosts are asked through link.c. */
#include "daemon/ask.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "conf/shared.h"
#include "daemon/link.h"
#include "daemon/program.h"
#include "daemon/remote.h"
#include "net/connect-unix.h"

#define STEP_MS 60000               /* for who has set no limit, and within one */
#define ANSWER  (256 * 1024 * 1024) /* octets of one daemon */

/* ---- on this host ------------------------------------------------------------------------------------ */

/* "+OCTETS", and so many of them: a daemon that dies, or gives up on who does not read, has said less. */
static int
ask_whole(struct slice all, struct buf *answer)
{
	struct slice head = S("");
	uint64_t n;

	if (!slice_starts(all, S("error: "))) { /* of a daemon that does not know of "+" */
		if (!slice_cut(&all, '\n', &head) || !slice_starts(head, S("+")) ||
		    slice_u64(slice_from(head, 1), ANSWER, &n) < 0 || n != all.n)
			return -ECONNRESET;
	}
	buf_slice(answer, all);
	return 0;
}

static int
ask_say(int fd, struct slice line, uint64_t until)
{
	while (line.n > 0) {
		int rc = daemon_link_wait(fd, POLLOUT, STEP_MS, until);
		ssize_t n;

		if (rc < 0)
			return rc;
		if ((n = send(fd, line.p, line.n, MSG_NOSIGNAL | MSG_DONTWAIT)) < 0)
			return -errno;
		line = slice_from(line, (size_t)n);
	}
	return 0;
}

static int
ask_hear(int fd, struct buf *all, uint64_t until)
{
	ssize_t n = 1;

	while (n > 0) {
		int rc = daemon_link_wait(fd, POLLIN, STEP_MS, until);

		if (rc < 0)
			return rc;
		if ((n = recv(fd, buf_reserve(all, 65536), 65536, MSG_DONTWAIT)) < 0)
			return -errno;
		all->n += (size_t)n;
		if (all->n > ANSWER)
			return -EMSGSIZE;
	}
	return 0;
}

/* A process that accepts nobody, stopped perhaps, has its queue full sooner or later: the kernel does not say when
 * there is room, so that it is tried again. */
static int
ask_connect(const char *daemon, const char *kind, uint64_t until)
{
	const struct timespec moment = { .tv_nsec = 20 * 1000000 };
	char *path = mem_printf("%s/%s.%s", shared.rundir, daemon, kind);
	int fd;

	while ((fd = connect_unix(path, SOCK_STREAM | SOCK_NONBLOCK)) == -EAGAIN) {
		if (clock_mono_ms() >= until) {
			fd = -ETIMEDOUT;
			break;
		}
		nanosleep(&moment, NULL);
	}
	mem_free(&path);
	return fd;
}

/* Who may not control a daemon of another user may still tell it to forget, being of the group. */
static int
ask_here(const char *daemon, struct slice line, uint64_t until, struct buf *answer)
{
	uint64_t in = until ? until : clock_mono_ms() + STEP_MS;
	int fd = ask_connect(daemon, "ctl", in), rc;
	struct buf said = { 0 };
	struct slice user;

	if (fd == -EACCES && daemon_forget_parse(slice_trim(line), &user))
		fd = ask_connect(daemon, "news", in);
	if (fd < 0)
		return fd;
	buf_printf(&said, "+" SFMT, SARG(line));
	rc = ask_say(fd, buf_get(&said), until);
	buf_clear(&said);
	if (rc == 0 && (rc = ask_hear(fd, &said, until)) == 0)
		rc = ask_whole(buf_get(&said), answer);
	buf_fini(&said);
	(void)close(fd);
	return rc;
}

/* ---- on another one ---------------------------------------------------------------------------------- */

static int
ask_there(const char *host, const char *daemon, struct slice line, uint64_t until,
    struct buf *answer, char **why)
{
	int port = daemon_remote_port(daemon), rc;
	struct daemon_link *l;

	if (!port) {
		*why = mem_str("it has no place on other hosts");
		return -EPROTO;
	}
	rc = daemon_link_open(host, host, port, until, &l, why);
	if (rc < 0)
		return rc;
	rc = daemon_link_write(l, line, why);
	while (rc == 0 && answer->n <= ANSWER) {
		ssize_t n = daemon_link_read(l, buf_reserve(answer, 65536), 65536, why);

		if (n <= 0) {
			daemon_link_close(&l);
			return (int)n;
		}
		answer->n += (size_t)n;
	}
	daemon_link_close(&l);
	return rc < 0 ? rc : -EMSGSIZE;
}

int
daemon_ask(const char *host, const char *daemon, struct slice text, int ms, struct buf *answer,
    char **why)
{
	uint64_t until = ms ? clock_mono_ms() + (uint64_t)ms : 0;
	struct buf line = { 0 };
	int rc;

	*why = NULL;
	buf_printf(&line, SFMT "\n", SARG(text));
	rc = host ? ask_there(host, daemon, buf_get(&line), until, answer, why) :
		    ask_here(daemon, buf_get(&line), until, answer);
	buf_fini(&line);
	return rc;
}

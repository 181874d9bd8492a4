/* script.h: a dialogue with a server of ours, played by a thread against the server's own loop.
 *
 * For unit tests of lib/smtp and lib/imap, beside tap.h.  A script is played twice, every group of
 * octets at once and byte by byte, because a server must not care how its input was cut.  The test
 * gives `serve`, which opens its server on a descriptor and runs its loop until the session is over;
 * what the server's owner saw it writes into script_events. */
#ifndef SCRIPT_H
#define SCRIPT_H
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/buf.h"
#include "tap.h"

#define SCRIPT_PATIENCE_MS 60000 /* an answer that has not come by then does not come */

static struct buf script_events;

struct script_step {
	const char *send, *expect; /* the whole of what comes, not a part */
};

struct script_client {
	const struct script_step *steps;
	size_t n;
	int fd;
	bool bytewise;
	struct buf got; /* in the step that failed */
	int failed;     /* index of the step, n when more came than was expected, or -1 */
};

/* The server's end of a new pair of sockets; *fd is the client's.  The caller closes both. */
static inline int
script_pair(int *fd)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		abort();
	*fd = fds[1];
	return fds[0];
}

static inline void
script_say(const struct script_client *p, struct slice s)
{
	for (size_t n = p->bytewise ? 1 : s.n; s.n; s = slice_from(s, n))
		if (send(p->fd, s.p, n, MSG_NOSIGNAL) < 0)
			return;
}

static inline void
script_hear(struct script_client *p, size_t want)
{
	struct pollfd pfd = { .fd = p->fd, .events = POLLIN };
	char c[4096];

	buf_clear(&p->got);
	while (p->got.n < want) {
		size_t most = want - p->got.n < sizeof(c) ? want - p->got.n : sizeof(c);
		ssize_t n = poll(&pfd, 1, SCRIPT_PATIENCE_MS) == 1 ? read(p->fd, c, most) : 0;

		if (n <= 0)
			break;
		buf_add(&p->got, c, (size_t)n);
	}
}

/* The client's thread: says a group, hears what is expected, goes on, and hangs up. */
static inline void *
script_play(void *arg)
{
	struct script_client *p = arg;
	char c;

	for (size_t i = 0; i < p->n && p->failed < 0; i++) {
		script_say(p, slice_str(p->steps[i].send));
		script_hear(p, strlen(p->steps[i].expect));
		if (!slice_eq(buf_get(&p->got), slice_str(p->steps[i].expect)))
			p->failed = (int)i;
	}
	shutdown(p->fd, SHUT_WR);
	if (p->failed < 0 && read(p->fd, &c, 1) > 0)
		p->failed = (int)p->n;
	return NULL;
}

/* `want` is what script_events must hold at the end; NULL: anything. */
static inline void
script_run(const char *name, const struct script_step *steps, size_t n, const char *want,
    void (*serve)(int fd))
{
	for (int mode = 0; mode < 2; mode++) {
		struct script_client p = { .steps = steps, .n = n, .bytewise = mode, .failed = -1 };
		const char *how = mode ? "byte by byte" : "at once";
		int fd = script_pair(&p.fd);
		pthread_t thread;

		buf_clear(&script_events);
		pthread_create(&thread, NULL, script_play, &p);
		serve(fd);
		pthread_join(thread, NULL);
		close(p.fd);
		if (!ok(p.failed < 0, "%s, %s: dialogue", name, how))
			printf("# step %d got: %s\n", p.failed, buf_cstr(&p.got));
		if (want)
			is(buf_cstr(&script_events), want, "%s, %s: events", name, how);
		buf_fini(&p.got);
	}
	buf_fini(&script_events);
}

/* SCRIPT(name, want, serve, { "say", "hear" }, ...) */
#define SCRIPT_RUN(name, want, serve, ...)                                                         \
	do {                                                                                       \
		static const struct script_step steps_[] = { __VA_ARGS__ };                        \
		script_run(name, steps_, NELEM(steps_), want, serve);                              \
	} while (0)
#endif

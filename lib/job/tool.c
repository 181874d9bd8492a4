/* tool.c: asking jobctl from a tool: a blocking socket and a buffer; of another host, the buffer alone.
 *
 * Called by mailq and jobctl-ctl, one question at a time.  What fails is the connection (-EPIPE,
 * -ETIMEDOUT when nothing comes in the given time) or the question (-EREMOTEIO, with jobctl's
 * words in the line).  A line lives until the next one is asked for. */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/mem.h"
#include "daemon/ask.h"
#include "job/tool.h"
#include "net/connect-unix.h"

struct job_tool {
	int fd, timeout_ms;
	const char *host; /* NULL: this one */
	char *why;        /* of a question to another one */
	struct buf in;
	size_t at; /* what has been handed out of `in` */
};

int
job_tool_open(const char *path, int timeout_ms, struct job_tool **out)
{
	struct job_tool *t;
	int fd;

	*out = NULL;
	fd = connect_unix(path, SOCK_STREAM);
	if (fd < 0)
		return fd;
	t = mem_new(sizeof(*t));
	t->fd = fd;
	t->timeout_ms = timeout_ms;
	*out = t;
	return 0;
}

struct job_tool *
job_tool_host(const char *host)
{
	struct job_tool *t = mem_new(sizeof(*t));

	t->fd = -1;
	t->host = host;
	return t;
}

/* What the daemon's remote door refuses comes as jobctl's own words would. */
static void
job_tool_refused(struct job_tool *t)
{
	struct slice why = slice_trim(slice_from(buf_get(&t->in), strlen("error: ")));
	struct buf said = { 0 };

	buf_lit(&said, "error");
	kv_put(&said, "why", why);
	buf_char(&said, '\n');
	buf_fini(&t->in);
	t->in = said;
}

static int
job_tool_ask_host(struct job_tool *t, struct slice line)
{
	char *question = mem_printf("queue " SFMT, SARG(line));
	int e;

	mem_free(&t->why);
	buf_clear(&t->in);
	t->at = 0;
	e = daemon_ask(t->host, "jobctl", slice_str(question), 0, &t->in, &t->why);
	if (e == 0 && slice_starts(buf_get(&t->in), S("error: ")))
		job_tool_refused(t);
	mem_free(&question);
	return e;
}

const char *
job_tool_error(const struct job_tool *t, int error)
{
	return t->why ? t->why : strerror(-error);
}

int
job_tool_ask(struct job_tool *t, struct slice line)
{
	struct buf b = { 0 };
	size_t at = 0;
	int e = 0;

	if (t->host)
		return job_tool_ask_host(t, line);
	buf_slice(&b, line);
	buf_char(&b, '\n');
	while (at < b.n) {
		ssize_t n = send(t->fd, b.p + at, b.n - at, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			e = -errno;
			break;
		}
		at += (size_t)n;
	}
	buf_fini(&b);
	return e;
}

/* More input; 0 or -errno (-EPIPE at the end of file). */
static int
more(struct job_tool *t)
{
	struct pollfd p = { .fd = t->fd, .events = POLLIN };
	ssize_t n;
	char *room;

	if (t->host)
		return -EPIPE;
	buf_cut(&t->in, t->at);
	t->at = 0;
	do
		n = poll(&p, 1, t->timeout_ms);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n == 0 ? -ETIMEDOUT : -errno;
	room = buf_reserve(&t->in, 65536);
	do
		n = read(t->fd, room, 65536);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n == 0 ? -EPIPE : -errno;
	t->in.n += (size_t)n;
	return 0;
}

int
job_tool_line(struct job_tool *t, struct slice *line)
{
	struct slice rest, verb;
	int e;

	for (;;) {
		rest = slice_from(buf_get(&t->in), t->at);
		*line = slice(rest.p, slice_find(rest, '\n'));
		if (line->n < rest.n)
			break;
		if ((e = more(t)) < 0)
			return e;
	}
	t->at += line->n + 1;
	verb = job_verb(*line, &rest);
	if (slice_eq(verb, S("ok")))
		return 0;
	return slice_eq(verb, S("error")) ? -EREMOTEIO : 1;
}

void
job_tool_close(struct job_tool **t)
{
	if (!*t)
		return;
	if ((*t)->fd >= 0)
		(void)close((*t)->fd);
	mem_free(&(*t)->why);
	buf_fini(&(*t)->in);
	mem_free(t);
}

/* t/tools/testd.c: a tiny daemon on the skeleton, for t/daemon/skeleton.t and whole.t: echoes lines, counts
 * them, has one key of its own. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/mem.h"
#include "daemon/program.h"
#include "net/stream.h"

struct session {
	struct stream io;
	struct list link;
	struct daemon_listen *at;
};

static int64_t nworkers;
static char *greeting;
static struct list sessions;
static int nsessions;

enum { LINES, OPEN };
static const struct metric metrics[] = {
	[LINES] = { "test_lines", COUNTER, "Lines echoed." },
	[OPEN] = { "test_sessions", GAUGE, "Sessions open." },
	{ 0 },
};

static const struct conf_key keys[] = {
	{ "workers", CONF_INT, &nworkers, "2", 0, 16, RESTART, NULL, "Worker processes." },
	{ "greeting", CONF_STR, &greeting, "hello", 0, 0, RELOAD, NULL, "The first line." },
};
static const struct conf_schema schema = { keys, NELEM(keys), NULL, 0 };

static void
on_input(struct stream *s)
{
	struct slice line;
	int rc;

	while ((rc = stream_line(s, 1000, &line, NULL)) == 1) {
		if (slice_eq(line, S("crash")))
			abort();
		buf_printf(stream_out(s), "%d " SFMT "\n", daemon_worker(), SARG(line));
		metric_add(LINES, 1);
	}
	stream_flush(s);
	if (rc < 0 || stream_eof(s))
		stream_finish(s);
}

static void
greet(struct stream *s)
{
	buf_printf(stream_out(s), "%s\n", greeting);
	stream_flush(s);
	stream_start(s);
}

static void
on_secured(struct stream *s, int error, const char *why UNUSED)
{
	if (error)
		stream_close(s);
	else
		greet(s);
}

static void
on_closed(struct stream *s)
{
	struct session *x = s->data;

	list_remove(&x->link);
	nsessions--;
	metric_set(OPEN, nsessions);
	free(x);
	if (daemon_draining() && list_empty(&sessions))
		daemon_drained();
}

static const struct stream_events events = { .input = on_input,
	.secured = on_secured,
	.closed = on_closed };

static int
test_start(struct loop *l UNUSED)
{
	list_init(&sessions);
	return 0;
}

static void
test_accept(struct daemon_listen *at, int fd)
{
	struct session *x = mem_new(sizeof(*x));

	x->at = at;
	stream_init(&x->io, daemon_loop(), &events, x);
	if (stream_open(&x->io, fd) < 0) {
		close(fd);
		free(x);
		return;
	}
	list_push(&sessions, &x->link);
	metric_set(OPEN, ++nsessions);
	if (at->tls != TLS_IMPLICIT)
		greet(&x->io);
	else if (stream_tls_accept(&x->io, at->tls_ctx) < 0)
		stream_close(&x->io);
}

static void
test_drain(void)
{
	if (list_empty(&sessions))
		daemon_drained();
}

static void
test_status(struct buf *out)
{
	buf_printf(out, "sessions=%d greeting=%s\n", nsessions, greeting);
}

static bool
test_control(struct slice line, struct buf *out)
{
	if (!slice_eq(line, S("big")) && !slice_eq(line, S("huge")))
		return false;
	for (int i = 0; i < (slice_eq(line, S("huge")) ? 2000000 : 40000); i++)
		buf_printf(out, "%07d\n", i);
	return true;
}

static bool
test_check(struct buf *why)
{
	if (strcmp(greeting, "rude") != 0)
		return true;
	buf_str(why, "greeting must not be rude\n");
	return false;
}

int
main(int argc, char **argv)
{
	static struct program testd = {
		.name = "testd",
		.file = "testd.conf",
		.schema = &schema,
		.roles = "echo|other",
		.listens = true,
		.workers = &nworkers,
		.metrics = metrics,
		.start = test_start,
		.accept = test_accept,
		.drain = test_drain,
		.status = test_status,
		.control = test_control,
		.check = test_check,
	};

	if (getenv("TESTD_NAME")) /* one that has a place for other hosts */
		testd.name = getenv("TESTD_NAME");
	return program_run(&testd, argc, argv);
}

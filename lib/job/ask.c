/* ask.c: one question to jobctl: see ask.h.
 *
 * Owns its connection, from connecting to the answer, and itself: the owner has the op alone, and may cancel it.
 * A silent jobctl is given up after the time that the owner has named, connecting included.  Must stay true:
 * `done` is called once, from the loop, and never when the op was cancelled. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/must.h"
#include "job/ask.h"
#include "net/connect.h"
#include "net/stream.h"

#define ASK_MAGIC 0x4a41534b

struct job_ask {
	uint32_t magic;
	struct loop *loop;
	struct op connecting, *op; /* op: the owner's, or NULL when it was cancelled or is done */
	struct stream io;
	struct buf line;
	uint32_t ms;
	void (*done)(void *arg, int e, struct slice rest);
	void *arg;
};

static void
job_ask_free(struct job_ask *a)
{
	buf_fini(&a->line);
	a->magic = 0;
	mem_free(&a);
}

static void
job_ask_on_closed(struct stream *s)
{
	job_ask_free(CAST(s->data, struct job_ask, ASK_MAGIC));
}

static void
job_ask_answer(struct job_ask *a, int e, struct slice rest)
{
	struct op *op = a->op;

	a->op = NULL;
	if (!op)
		return;
	op_done(op);
	a->done(a->arg, e, rest);
}

static void
job_ask_on_input(struct stream *s)
{
	struct job_ask *a = CAST(s->data, struct job_ask, ASK_MAGIC);
	struct slice line, rest = { 0 }, verb;
	int n = stream_line(s, JOB_LINE_MAX, &line, NULL), e = -EPROTO;

	if (n == 0 && !stream_eof(s))
		return;
	if (n > 0) {
		verb = job_verb(line, &rest);
		e = slice_eq(verb, S("ok")) ? 0 : slice_eq(verb, S("error")) ? -EREMOTEIO : e;
	}
	job_ask_answer(a, e, rest);
	stream_close(s);
}

static void
job_ask_on_timeout(struct stream *s)
{
	job_ask_answer(CAST(s->data, struct job_ask, ASK_MAGIC), -ETIMEDOUT, slice(NULL, 0));
	stream_close(s);
}

static const struct stream_events job_ask_events = {
	.input = job_ask_on_input,
	.timeout = job_ask_on_timeout,
	.closed = job_ask_on_closed,
};

static void
job_ask_on_connected(void *arg, int fd)
{
	struct job_ask *a = CAST(arg, struct job_ask, ASK_MAGIC);
	int e = fd;

	if (fd >= 0) {
		stream_init(&a->io, a->loop, &job_ask_events, a);
		if ((e = stream_open(&a->io, fd)) == 0) {
			stream_limit(&a->io, a->ms);
			buf_slice(stream_out(&a->io), buf_get(&a->line));
			stream_flush(&a->io);
			stream_start(&a->io);
			return;
		}
		(void)close(fd);
	}
	job_ask_answer(a, e, slice(NULL, 0));
	job_ask_free(a);
}

static void
job_ask_cancel(struct op *op)
{
	struct job_ask *a = CAST(op->impl, struct job_ask, ASK_MAGIC);

	a->op = NULL;
	if (!op_pending(&a->connecting)) {
		stream_close(&a->io);
		return;
	}
	op_cancel(&a->connecting);
	job_ask_free(a);
}

void
job_ask_start(struct loop *l, const char *path, struct slice line, uint32_t ms, struct op *op,
    void (*done)(void *arg, int e, struct slice rest), void *arg)
{
	struct job_ask *a = mem_new(sizeof(*a));
	char text[sizeof(struct sockaddr_un)];
	struct addr to;

	a->magic = ASK_MAGIC;
	a->loop = l;
	a->op = op;
	a->ms = ms;
	a->done = done;
	a->arg = arg;
	buf_slice(&a->line, line);
	buf_char(&a->line, '\n');
	op->cancel = job_ask_cancel;
	op->impl = a;
	(void)snprintf(text, sizeof(text), "unix:%s", path);
	if (addr_parse(slice_str(text), &to) < 0)
		to = (struct addr){ .sa.sa_family =
					AF_UNIX }; /* connecting says that nobody is there */
	connect_start(l, &to, NULL, ms, &a->connecting, job_ask_on_connected, a);
}

/* feed.c: a feeder's connection to jobctl.  What cannot be sent is dropped: the files are in the
 * spool, and jobctl scans it when the feeder says hello again.
 *
 * Owns the connection and makes it again, later each time, sooner when mail comes.  Called by
 * smtp-relay from its loop, for which nothing fails.  A jobctl that does not read is left, so
 * what waits is bounded. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "job/feed.h"
#include "net/connect.h"
#include "net/stream.h"

#define FEED_MAGIC   0x46454544
#define RETRY_FIRST  100
#define RETRY_MOST   5000
#define BACKLOG_MOST (4 * 1024 * 1024) /* jobctl hangs: reconnect, which makes it scan */

struct job_feed {
	uint32_t magic;
	struct loop *loop;
	struct addr addr;
	char *who;
	struct op op; /* connecting */
	struct stream io;
	struct timer retry;
	struct later flush;
	uint32_t wait_ms;
	bool open, connected, ending;
};

static void feed_connect(struct job_feed *f);

static void
feed_free(struct job_feed *f)
{
	mem_free(&f->who);
	mem_free(&f);
}

static void
job_feed_timer_gone(struct timer *t)
{
	feed_free(CONTAINER(t, struct job_feed, retry));
}

static void
retry_fired(struct timer *t)
{
	feed_connect(CONTAINER(t, struct job_feed, retry));
}

static void
retry_later(struct job_feed *f)
{
	timer_start(&f->retry, f->wait_ms, 0);
	f->wait_ms = f->wait_ms * 2 > RETRY_MOST ? RETRY_MOST : f->wait_ms * 2;
}

/* ---- the stream ------------------------------------------------------------------------- */

static void
job_feed_on_closed(struct stream *s)
{
	struct job_feed *f = CAST(s->data, struct job_feed, FEED_MAGIC);

	f->open = false;
	if (f->ending)
		timer_close(&f->retry, job_feed_timer_gone);
	else
		retry_later(f);
}

static void
feed_lost(struct job_feed *f, const char *why)
{
	if (!f->connected)
		return;
	f->connected = false;
	later_cancel(&f->flush);
	if (!f->ending)
		log_event(LOG_WARN, "job_lost", "error=%s", log_str(why));
	stream_close(&f->io);
}

/* jobctl says nothing to feeders except why it refuses a line. */
static void
job_feed_on_input(struct stream *s)
{
	struct job_feed *f = CAST(s->data, struct job_feed, FEED_MAGIC);
	enum line_end ending;
	struct slice line;
	int n;

	while ((n = stream_line(s, JOB_LINE_MAX, &line, &ending)) > 0)
		log_event(LOG_WARN, "job_says", "line=%s", log_value(line));
	if (n < 0 || stream_eof(s))
		feed_lost(f, n < 0 ? "bad line" : "closed");
}

static const struct stream_events events = {
	.input = job_feed_on_input,
	.closed = job_feed_on_closed,
};

/* ---- connecting ------------------------------------------------------------------------- */

static void
job_feed_on_connected(void *arg, int fd)
{
	struct job_feed *f = CAST(arg, struct job_feed, FEED_MAGIC);
	struct job_hello h = { .who = slice_str(f->who), .pid = (uint32_t)getpid() };

	if (fd < 0) {
		retry_later(f);
		return;
	}
	stream_init(&f->io, f->loop, &events, f);
	if (stream_open(&f->io, fd) < 0) {
		(void)close(fd);
		retry_later(f);
		return;
	}
	f->open = f->connected = true;
	f->wait_ms = RETRY_FIRST;
	job_hello_write(stream_out(&f->io), &h);
	stream_flush(&f->io);
	stream_start(&f->io);
}

static void
feed_connect(struct job_feed *f)
{
	connect_start(f->loop, &f->addr, NULL, 5000, &f->op, job_feed_on_connected, f);
}

struct job_feed *
job_feed_new(struct loop *l, const char *path, const char *who)
{
	struct job_feed *f = mem_new(sizeof(*f));
	char text[sizeof(f->addr.un.sun_path) + 8];

	f->magic = FEED_MAGIC;
	f->loop = l;
	f->who = mem_str(who);
	f->wait_ms = RETRY_FIRST;
	(void)snprintf(text, sizeof(text), "unix:%s", path);
	if (addr_parse(slice_str(text), &f->addr) < 0)
		log_event(LOG_ERROR, "job_path", "path=%s", log_str(path));
	timer_init(&f->retry, l, retry_fired);
	later_init(&f->flush);
	feed_connect(f);
	return f;
}

/* ---- sending ----------------------------------------------------------------------------- */

static void
job_feed_flush_now(struct later *t)
{
	struct job_feed *f = CONTAINER(t, struct job_feed, flush);

	if (!f->connected)
		return;
	stream_flush(&f->io);
	if (stream_backlog(&f->io) > BACKLOG_MOST)
		feed_lost(f, "jobctl does not read");
}

/* Mail has come: jobctl may be back, and finds by our hello what it was not told. */
static void
feed_hurry(struct job_feed *f)
{
	if (f->open || f->ending || op_pending(&f->op))
		return;
	timer_stop(&f->retry);
	feed_connect(f);
}

void
job_feed_send(struct job_feed *f, const struct job_new *n)
{
	if (!f->connected) {
		feed_hurry(f);
		return;
	}
	job_new_write(stream_out(&f->io), n);
	later_run(&f->flush, f->loop, job_feed_flush_now);
}

bool
job_feed_connected(const struct job_feed *f)
{
	return f->connected;
}

void
job_feed_close(struct job_feed **fp)
{
	struct job_feed *f = *fp;

	*fp = NULL;
	if (!f)
		return;
	f->ending = true;
	op_cancel(&f->op);
	timer_stop(&f->retry);
	later_cancel(&f->flush);
	if (f->connected) {
		f->connected = false;
		stream_finish(&f->io);
	} else if (!f->open) {
		timer_close(&f->retry, job_feed_timer_gone);
	}
}

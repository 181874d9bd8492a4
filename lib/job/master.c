/* master.c: a master's connection to jobctl.  One connection, for life: when it is lost the
 * leases are back with jobctl, and the master finishes what it does and leaves.
 *
 * Called by channel-master.  Opening fails with -errno; from then on the end comes as `lost`,
 * once.  Results that jobctl asked for are still sent when it only said "leave", and are dropped
 * when the line is broken: the files say it too. */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "job/master.h"
#include "net/connect-unix.h"
#include "net/stream.h"

#define MASTER_MAGIC 0x4d415354

struct job_master {
	uint32_t magic;
	struct loop *loop;
	const struct job_master_events *ev;
	void *arg;
	struct stream io;
	struct later flush;
	uint32_t leases;
	bool closing, lost, broken;
};

static void
job_master_on_closed(struct stream *s)
{
	struct job_master *m = CAST(s->data, struct job_master, MASTER_MAGIC);

	if (m->closing)
		mem_free(&m);
}

static void
lose(struct job_master *m, int error)
{
	if (m->lost || m->closing)
		return;
	m->lost = true;
	m->broken = error != 0;
	stream_stop(&m->io);
	m->ev->lost(m->arg, error);
}

/* One line of jobctl.  False when nothing more may be read. */
static bool
job_master_take_line(struct job_master *m, struct slice line)
{
	struct slice rest, verb = job_verb(line, &rest);
	struct job_work w;
	const char *why;

	if (slice_eq(verb, S("work"))) {
		if (job_work_parse(rest, &w, &why) < 0) {
			log_event(LOG_ERROR, "job_line", "why=%s line=%s", log_str(why),
			    log_value(line));
			lose(m, -EBADMSG);
			return false;
		}
		m->leases++;
		m->ev->work(m->arg, &w);
		return !m->closing;
	}
	if (slice_eq(verb, S("halt")) || slice_eq(verb, S("go"))) {
		m->ev->halt(m->arg, slice_eq(verb, S("halt")));
		return !m->closing;
	}
	if (slice_eq(verb, S("leave"))) {
		lose(m, 0);
		return false;
	}
	log_event(LOG_WARN, "job_says", "line=%s", log_value(line));
	return true;
}

static void
job_master_on_input(struct stream *s)
{
	struct job_master *m = CAST(s->data, struct job_master, MASTER_MAGIC);
	enum line_end ending;
	struct slice line;
	int n = 0;

	/* The stream is only closed behind this loop: a handler that closes us sets closing. */
	while (!m->closing && !m->lost && (n = stream_line(s, JOB_LINE_MAX, &line, &ending)) > 0)
		if (!job_master_take_line(m, line))
			return;
	if (m->closing || m->lost)
		return;
	if (n < 0 || stream_eof(s))
		lose(m, n < 0 ? n : -EPIPE);
}

static const struct stream_events events = {
	.input = job_master_on_input,
	.closed = job_master_on_closed,
};

int
job_master_open(struct loop *l, const char *path, const char *channel, uint32_t slots,
    const struct job_master_events *ev, void *arg, struct job_master **out)
{
	struct job_hello h = { .channel = slice_str(channel),
		.who = S("channel-master"),
		.pid = (uint32_t)getpid(),
		.slots = slots };
	struct job_master *m;
	int fd, e;

	fd = connect_unix(path, SOCK_STREAM);
	if (fd < 0)
		return fd;
	m = mem_new(sizeof(*m));
	m->magic = MASTER_MAGIC;
	m->loop = l;
	m->ev = ev;
	m->arg = arg;
	later_init(&m->flush);
	stream_init(&m->io, l, &events, m);
	if ((e = stream_open(&m->io, fd)) < 0) {
		(void)close(fd);
		mem_free(&m);
		return e;
	}
	job_hello_write(stream_out(&m->io), &h);
	stream_flush(&m->io);
	stream_start(&m->io);
	*out = m;
	return 0;
}

static void
job_master_flush_now(struct later *t)
{
	struct job_master *m = CONTAINER(t, struct job_master, flush);

	stream_flush(&m->io);
}

void
job_master_end(struct job_master *m, const struct job_result *r)
{
	must(m->leases > 0);
	m->leases--;
	if (m->broken)
		return;
	job_result_write(stream_out(&m->io), r);
	later_run(&m->flush, m->loop, job_master_flush_now);
}

void
job_master_new(struct job_master *m, const struct job_new *n)
{
	if (m->broken)
		return;
	job_new_write(stream_out(&m->io), n);
	later_run(&m->flush, m->loop, job_master_flush_now);
}

void
job_master_gone(struct job_master *m, const char *file_id)
{
	if (m->broken)
		return;
	buf_printf(stream_out(&m->io), "gone id=%s\n", file_id);
	later_run(&m->flush, m->loop, job_master_flush_now);
}

void
job_master_count(struct job_master *m, const uint64_t n[JOB_COUNTS])
{
	if (m->broken)
		return;
	job_count_write(stream_out(&m->io), n);
	later_run(&m->flush, m->loop, job_master_flush_now);
}

void
job_master_idle(struct job_master *m)
{
	if (m->broken)
		return;
	buf_lit(stream_out(&m->io), "idle\n");
	later_run(&m->flush, m->loop, job_master_flush_now);
}

void
job_master_close(struct job_master **mp)
{
	struct job_master *m = *mp;

	*mp = NULL;
	if (!m)
		return;
	later_cancel(&m->flush);
	m->closing = true;
	if (m->broken)
		stream_close(&m->io);
	else
		stream_finish(&m->io);
}

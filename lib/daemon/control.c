/* daemon/control.c: the control socket RUNDIR/NAME.ctl: one line in, text out, end of file.
 * What the lines mean is decided by parent.c and single.c.  RUNDIR/NAME.metrics beside it asks for the
 * metrics by itself, so that who collects them may not tell a daemon to stop; and NAME.news takes "forget USER" alone,
 * from daemons of other users: an entry has changed, a mailbox has moved.
 *
 * Owns its connections, and tells the log who has asked what.  An answer may come later, when workers have spoken: the asker is held
 * by a pointer that becomes NULL when he goes.  A line that is too long, or a minute in which nothing
 * moves, ends a connection; an answer leaves in pieces, so that a slow reader is not taken for one that has gone.
 * The end of file looks the same whether the answer is over or was cut off: who asks with "+LINE" is told
 * first how long it is, "+OCTETS".  No child may inherit a connection, for the asker waits for its end. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/mem.h"
#include "daemon/daemon-impl.h"

#define LINE_LIMIT   4096 /* more than remote.c sends */
#define IDLE_MS      60000
#define PIECE        (2 * STREAM_LOW) /* of an answer: `drained` follows */
#define METRICS_MOST 32               /* at a time; each makes the workers look */
#define NEWS_MOST    32 /* at a time: the others' share of descriptors is not touched */

struct ctl_conn {
	struct stream io;
	struct list link;
	struct ctl_conn **holder; /* who will answer later */
	bool asked;
	bool counted; /* "+": he wants to know how long the answer is */
	bool metrics; /* of NAME.metrics */
	bool news;    /* of NAME.news */
	struct buf answer;
	size_t answer_at; /* so much of it is with the stream */
};

static struct listener listener, metrics_listener, news_listener;
static size_t nmetrics_conns, nnews_conns;
static struct list conns;
static void (*ask)(struct ctl_conn *, struct slice line);

/* "@NAME line" is what remote.c has been asked by somebody it knows; nobody else may say that. */
static struct slice
control_by(const struct stream *s, struct slice *line, char *by, size_t n)
{
	uid_t uid = stream_peer_uid(s);
	struct slice rest = *line, name;

	if (uid == geteuid() && slice_starts(rest, S("@")) && slice_cut(&rest, ' ', &name)) {
		*line = rest;
		slice_cstr(slice_from(name, 1), by, n);
		return S("remote");
	}
	(void)snprintf(by, n, "uid:%ld", (long)uid);
	return S("local");
}

/* What only looks, and comes from this host, would fill the log. */
static enum log_level
control_level(struct slice from, struct slice line)
{
	static const char *const looks[] = { "ping", "status", "metrics", "version", "config" };

	if (slice_starts(line, S("trace take "))) /* twice a second; its start is told */
		return LOG_DEBUG;
	for (size_t i = 0; i < NELEM(looks); i++)
		if (slice_eq(from, S("local")) && slice_eq(line, slice_str(looks[i])))
			return LOG_DEBUG;
	return LOG_INFO;
}

static void
control_take(struct ctl_conn *c, struct slice line)
{
	char by[256];
	struct slice from, user;

	if (slice_starts(line, S("+"))) {
		c->counted = true;
		line = slice_from(line, 1);
	}
	from = control_by(&c->io, &line, by, sizeof(by));
	log_event(control_level(from, line), "control", "by=%s from=" SFMT " line=%s", log_str(by),
	    SARG(from), log_value(line));
	c->asked = true;
	if (c->news && !daemon_forget_parse(line, &user))
		control_answer(c, S("error: nothing but forget USER is heard here\n"));
	else
		ask(c, line);
}

static void
control_on_input(struct stream *s)
{
	struct ctl_conn *c = s->data;
	struct slice line;
	int rc;

	if (c->asked) {
		if (stream_eof(s) && s->error)
			stream_close(s);
		return;
	}
	rc = stream_line(s, LINE_LIMIT, &line, NULL);
	if (rc == 1) {
		control_take(c, slice_trim(line));
	} else if (rc < 0 || stream_eof(s)) {
		stream_close(s);
	}
}

static void
control_on_closed(struct stream *s)
{
	struct ctl_conn *c = s->data;

	if (c->holder)
		*c->holder = NULL;
	nmetrics_conns -= c->metrics;
	nnews_conns -= c->news;
	list_remove(&c->link);
	buf_fini(&c->answer);
	free(c);
}

static void
control_more(struct stream *s)
{
	struct ctl_conn *c = s->data;
	struct slice piece = slice_sub(buf_get(&c->answer), c->answer_at, PIECE);

	c->answer_at += piece.n;
	buf_slice(stream_out(s), piece);
	if (c->answer_at < c->answer.n)
		stream_flush(s);
	else
		stream_finish_within(s, IDLE_MS);
}

static const struct stream_events events = { .input = control_on_input,
	.drained = control_more,
	.closed = control_on_closed };

static struct ctl_conn *
control_conn(struct loop *l, int fd)
{
	struct ctl_conn *c = mem_new(sizeof(*c));

	stream_init(&c->io, l, &events, c);
	if (stream_open(&c->io, fd) < 0) {
		close(fd);
		free(c);
		return NULL;
	}
	list_push(&conns, &c->link);
	stream_idle(&c->io, IDLE_MS);
	stream_start(&c->io);
	return c;
}

static void
control_on_accept(struct listener *l, int fd)
{
	(void)control_conn(l->loop, fd);
}

static void
control_on_accept_metrics(struct listener *l, int fd)
{
	struct ctl_conn *c;

	if (nmetrics_conns >= METRICS_MOST) {
		close(fd);
		return;
	}
	if (!(c = control_conn(l->loop, fd)))
		return;
	c->asked = c->metrics = true;
	nmetrics_conns++;
	ask(c, S("metrics"));
}

static void
control_on_accept_news(struct listener *l, int fd)
{
	struct ctl_conn *c;

	if (nnews_conns >= NEWS_MOST) {
		close(fd);
		return;
	}
	if (!(c = control_conn(l->loop, fd)))
		return;
	c->news = true;
	nnews_conns++;
}

void
control_start(struct loop *l, void (*fn)(struct ctl_conn *, struct slice line))
{
	list_init(&conns);
	ask = fn;
	if (!upgrade_pending())
		control_listen(l);
}

void
control_listen(struct loop *l)
{
	int rc;

	rc = listener_start(&listener, l, daemon_self.ctl_fd, control_on_accept, NULL);
	(void)rc; /* a descriptor that no loop has yet */
	rc = listener_start(&metrics_listener, l, daemon_self.metrics_fd, control_on_accept_metrics,
	    NULL);
	(void)rc; /* likewise */
	rc = listener_start(&news_listener, l, daemon_self.news_fd, control_on_accept_news, NULL);
	(void)rc; /* likewise */
}

void
control_stop(void)
{
	listener_stop(&listener, NULL);
	listener_stop(&metrics_listener, NULL);
	listener_stop(&news_listener, NULL);
	close(daemon_self.ctl_fd);
	close(daemon_self.metrics_fd);
	close(daemon_self.news_fd);
	daemon_self.ctl_fd = daemon_self.metrics_fd = daemon_self.news_fd = -1;
}

void
control_hold(struct ctl_conn *c, struct ctl_conn **holder)
{
	c->holder = holder;
	*holder = c;
}

void
control_answer(struct ctl_conn *c, struct slice text)
{
	if (c->holder)
		*c->holder = NULL;
	c->holder = NULL;
	if (c->counted)
		buf_printf(&c->answer, "+%zu\n", text.n);
	buf_slice(&c->answer, text);
	control_more(&c->io);
}

/* A client waits for the end of file: no child may hold its connection open. */
void
control_close_fds(void)
{
	struct ctl_conn *c;
	uv_os_fd_t fd;

	list_each(c, &conns, struct ctl_conn, link) if (uv_fileno(&c->io.handle, &fd) == 0)
	    close(fd);
	close(daemon_self.ctl_fd);
	close(daemon_self.metrics_fd);
	close(daemon_self.news_fd);
}

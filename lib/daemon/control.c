/* daemon/control.c: the control socket RUNDIR/NAME.ctl: one line in, text out, end of file.
 * What the lines mean is decided by parent.c and single.c. */
#include <stdlib.h>
#include <unistd.h>
#include "base/mem.h"
#include "daemon/self.h"

#define LINE_LIMIT 4096
#define IDLE_MS  60000

struct ctl_conn {
	struct stream io;
	struct list link;
	struct ctl_conn **holder; /* who will answer later */
	bool asked;
};

static struct listener listener;
static struct list conns;
static void (*ask)(struct ctl_conn *, struct slice line);

static void
on_input(struct stream *s)
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
		c->asked = true;
		ask(c, slice_trim(line));
	} else if (rc < 0 || stream_eof(s)) {
		stream_close(s);
	}
}

static void
on_closed(struct stream *s)
{
	struct ctl_conn *c = s->data;

	if (c->holder)
		*c->holder = NULL;
	list_remove(&c->link);
	free(c);
}

static const struct stream_events events = { .input = on_input, .closed = on_closed };

static void
on_accept(struct listener *l, int fd)
{
	struct ctl_conn *c = mem_new(sizeof(*c));

	stream_init(&c->io, l->loop, &events, c);
	if (stream_open(&c->io, fd) < 0) {
		close(fd);
		free(c);
		return;
	}
	list_push(&conns, &c->link);
	stream_idle(&c->io, IDLE_MS);
	stream_start(&c->io);
}

void
control_start(struct loop *l, int fd, void (*fn)(struct ctl_conn *, struct slice line))
{
	int rc;

	list_init(&conns);
	ask = fn;
	rc = listener_start(&listener, l, fd, on_accept, NULL);
	(void)rc; /* a fresh descriptor of our own */
}

void
control_stop(void)
{
	listener_stop(&listener, NULL);
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
	buf_slice(stream_out(&c->io), text);
	stream_finish(&c->io);
}

/* A client waits for the end of file: no child may hold its connection open. */
void
control_close_fds(void)
{
	struct ctl_conn *c;
	uv_os_fd_t fd;

	list_each(c, &conns, struct ctl_conn, link)
		if (uv_fileno(&c->io.handle, &fd) == 0)
			close(fd);
	close(self.ctl_fd);
}

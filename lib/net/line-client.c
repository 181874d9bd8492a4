/* net/line-client.c: see line-client.h.
 *
 * Owns a struct of its own for each conversation, from line_client_start to its one `done` or its
 * cancelling.  Called by imap/client and pop3/client, by the loop through the stream.  Can fail: all that a
 * server can do wrong; it ends as LINE_CLIENT_BROKEN, with words for the log.  Must stay true: a server
 * gets no more time than timeout_ms however it drips, no more lines than LINE_CLIENT_LINES, and none that
 * came in clear counts behind STARTTLS (the stream refuses). */
#include "net/line-client.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"

static void
line_client_release(struct line_client *c)
{
	later_cancel(&c->later);
	stream_idle(c->io, 0);
	buf_fini(&c->kept);
	mem_free(&c);
}

static void
line_client_cancel(struct op *op)
{
	struct line_client *c = op->impl;

	op->impl = NULL;
	line_client_release(c);
}

void
line_client_finish(struct line_client *c, enum line_client_outcome outcome, struct slice text)
{
	struct line_client_result r = { outcome, text };

	if (c->over)
		return;
	c->over = true;
	op_done(c->op);
	c->done(c->arg, &r);
}

static void
line_client_broken(struct line_client *c, const char *why)
{
	line_client_finish(c, LINE_CLIENT_BROKEN, slice_str(why));
}

static void
line_client_read(struct line_client *c)
{
	struct slice line;
	int n = 0;

	while (!c->over && !stream_handshaking(c->io) &&
	    (n = stream_line(c->io, LINE_CLIENT_LINE, &line, NULL)) == 1) {
		if (++c->lines > LINE_CLIENT_LINES)
			line_client_broken(c, "too many lines before the login");
		else
			c->script->line(c, line);
	}
	if (c->over)
		return;
	if (n < 0)
		line_client_broken(c, "a line without end");
	else if (!stream_handshaking(c->io) && stream_eof(c->io))
		line_client_broken(c,
		    c->io->error ? strerror(-c->io->error) : "closed before the login");
	else
		stream_flush(c->io);
}

/* Lines that a call of ours has answered end the conversation: its memory goes when nobody is in it. */
static void
line_client_look(struct line_client *c)
{
	line_client_read(c);
	if (c->over)
		line_client_release(c);
}

/* ---- events --------------------------------------------------------------------------------- */

static void
line_client_on_input(struct stream *io)
{
	line_client_look(io->data);
}

static void
line_client_on_secured(struct stream *io, int error, const char *why)
{
	struct line_client *c = io->data;

	if (error) {
		line_client_broken(c, why ? why : strerror(-error));
		line_client_release(c);
		return;
	}
	c->secured = true;
	c->script->ready(c);
	stream_flush(io);
	line_client_look(c);
}

static void
line_client_on_timeout(struct stream *io)
{
	struct line_client *c = io->data;

	line_client_broken(c, "no answer in time");
	line_client_release(c);
}

static void
line_client_on_closed(struct stream *io UNUSED)
{
	must(false); /* its owner takes the events first */
}

static const struct stream_events line_client_streams = {
	.input = line_client_on_input,
	.secured = line_client_on_secured,
	.timeout = line_client_on_timeout,
	.closed = line_client_on_closed,
};

static void
line_client_begin(struct line_client *c)
{
	stream_start(c->io);
	if (c->login->tls == LINE_CLIENT_IMPLICIT) {
		if (stream_tls_connect(c->io, c->login->ctx, c->login->name) < 0)
			line_client_broken(c, "cannot begin TLS");
		return;
	}
	if (c->login->tls == LINE_CLIENT_PLAIN)
		c->script->ready(c);
	stream_flush(c->io);
}

static void
line_client_on_later(struct later *t)
{
	struct line_client *c = CONTAINER(t, struct line_client, later);

	line_client_begin(c);
	if (c->over)
		line_client_release(c);
}

void
line_client_starttls(struct line_client *c)
{
	/* What stands behind the answer came from anybody: the stream refuses it. */
	if (stream_tls_connect(c->io, c->login->ctx, c->login->name) < 0)
		line_client_broken(c, "plain text behind the answer to STARTTLS");
}

void
line_client_start(struct stream *io, const struct line_client_script *script,
    const struct line_client_login *login, struct op *op, line_client_done done, void *arg)
{
	struct line_client *c = mem_new(sizeof(*c));

	c->io = io;
	c->script = script;
	c->login = login;
	c->op = op;
	c->done = done;
	c->arg = arg;
	op->cancel = line_client_cancel;
	op->impl = c;
	stream_hand_over(io, &line_client_streams, c);
	stream_trace(io, script->proto, login->name, true);
	stream_limit(io, login->timeout_ms);
	later_init(&c->later);
	later_run(&c->later, io->loop, line_client_on_later);
}

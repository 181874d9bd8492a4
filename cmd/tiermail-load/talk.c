/* tiermail-load/talk.c: a client's connection, and when an answer is whole, in the three languages.
 *
 * Owns the stream from connecting to its end.  Called by run.c; a profile appends what it says.  Can fail: all of it,
 * which is `broken` and then `closed`.  Must stay true: of a literal or a long answer nothing is kept, so that a
 * thousand clients that fetch large messages take no more memory than a thousand that do not. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "load.h"

static void
talk_break(struct talk *t, const char *why)
{
	t->asked = false;
	t->ev->broken(t, why);
	stream_close(&t->io);
}

/* ---- answers ----------------------------------------------------------------------------------------------- */

/* One of the replies that are owed is there. */
static void
talk_replied(struct talk *t, bool good, struct slice line)
{
	if (t->good)
		slice_cstr(line, t->line, sizeof(t->line));
	t->good &= good;
	memmove(t->wants, t->wants + 1, sizeof(t->wants) - 1);
	if (*t->wants == '\0')
		t->asked = false;
}

static void
talk_smtp(struct talk *t, struct slice line)
{
	if (slice_ieq(slice_from(line, 4), S("PIPELINING")))
		t->pipelining = true;
	if (line.n < 4 || line.p[3] != '-')
		talk_replied(t, line.n >= 3 && line.p[0] == *t->wants, line);
}

static void
talk_pop3(struct talk *t, struct slice line)
{
	if (t->inside) {
		if (slice_eq(line, S(".")))
			talk_replied(t, true, S(""));
		return;
	}
	t->inside = t->multi && slice_starts(line, S("+OK"));
	if (!t->inside)
		talk_replied(t, slice_starts(line, S("+OK")), line);
}

/* "* 12 EXISTS", "* SEARCH 1 5 9" */
static void
talk_imap_untagged(struct talk *t, struct slice rest)
{
	struct slice first, second = S("");
	uint64_t n;

	if (!slice_word(&rest, &first))
		return;
	if (slice_ieq(first, S("SEARCH"))) {
		while (slice_word(&rest, &first)) {
			if (slice_u64(first, UINT32_MAX, &n) < 0)
				continue;
			t->first = t->first == 0 || n < t->first ? n : t->first;
			t->last = n > t->last ? n : t->last;
		}
	} else if (slice_word(&rest, &second) && slice_ieq(second, S("EXISTS")) &&
	    slice_u64(first, UINT32_MAX, &n) == 0) {
		t->exists = n;
	}
}

static void
talk_imap_mark(struct talk *t, struct slice line)
{
	size_t at = slice_ifind_str(line, slice_str(t->mark)), n = 0;
	uint64_t number;

	if (at == line.n)
		return;
	line = slice_from(line, at + strlen(t->mark));
	while (n < line.n && line.p[n] >= '0' && line.p[n] <= '9')
		n++;
	if (slice_u64(slice_sub(line, 0, n), UINT64_MAX, &number) == 0)
		t->marked(t, number);
}

static void
talk_imap(struct talk *t, struct slice line)
{
	size_t brace = slice_rfind(line, '{');
	struct slice tag;
	char mine[16];

	(void)snprintf(mine, sizeof(mine), "a%u", t->tag);
	if (t->mark) {
		talk_imap_mark(t, line);
	} else if (slice_ends(line, S("}")) && brace < line.n) {
		struct slice n = slice_sub(line, brace + 1, line.n - brace - 2);

		if (slice_u64(n, UINT32_MAX, &t->skip) < 0)
			t->skip = 0;
		return;
	}
	if (t->tag == 0) { /* the greeting */
		talk_replied(t, slice_starts(line, S("* OK")), line);
	} else if (slice_starts(line, S("* "))) {
		talk_imap_untagged(t, slice_from(line, 2));
	} else if (slice_cut(&line, ' ', &tag) && slice_eq(tag, slice_str(mine))) {
		talk_replied(t, slice_istarts(line, S("OK")), line);
	}
}

static void
talk_lines(struct talk *t)
{
	struct slice line;
	int rc = 0;

	while (t->asked) {
		if (t->skip) {
			size_t n = stream_peek(&t->io).n;

			n = n < t->skip ? n : (size_t)t->skip;
			stream_take(&t->io, n);
			t->skip -= n;
			if (t->skip)
				break;
		}
		if ((rc = stream_line(&t->io, LOAD_LINE, &line, NULL)) != 1)
			break;
		switch (t->lang) {
		case TALK_SMTP: talk_smtp(t, line); break;
		case TALK_IMAP: talk_imap(t, line); break;
		case TALK_POP3: talk_pop3(t, line); break;
		}
	}
	if (rc < 0)
		talk_break(t, "a line without end");
}

static void
talk_on_input(struct stream *io)
{
	struct talk *t = io->data;
	bool asked = t->asked;

	talk_lines(t);
	if (!asked) /* what a server says unasked, before it closes */
		stream_take(io, stream_peek(io).n);
	if (io->state == STREAM_CLOSED)
		return;
	if (asked && !t->asked)
		t->ev->answered(t, t->good);
	else if (stream_eof(io))
		talk_break(t,
		    io->error ? strerror(-io->error) : "the server closes the connection");
}

void
talk_ask(struct talk *t, const char *wants, bool multi)
{
	(void)snprintf(t->wants, sizeof(t->wants), "%s", wants);
	t->asked = t->good = true;
	t->inside = false;
	t->multi = multi;
	*t->line = '\0';
	/* From now until it is whole: a server that dribbles gains nothing. */
	stream_limit(&t->io, load.timeout_ms);
	stream_flush(&t->io);
	stream_start(&t->io);
}

/* ---- the connection ------------------------------------------------------------------------------------------ */

static void
talk_on_secured(struct stream *io, int error, const char *why)
{
	struct talk *t = io->data;
	char text[200];

	t->handshake = false;
	if (!error) {
		t->ev->opened(t);
		return;
	}
	(void)snprintf(text, sizeof(text), "TLS: %s", why ? why : strerror(-error));
	talk_break(t, text);
}

static void
talk_on_timeout(struct stream *io)
{
	talk_break(io->data, "no answer in time");
}

static void
talk_on_closed(struct stream *io)
{
	struct talk *t = io->data;

	t->open = false;
	t->ev->closed(t);
}

static const struct stream_events talk_stream_events = {
	.input = talk_on_input,
	.secured = talk_on_secured,
	.timeout = talk_on_timeout,
	.closed = talk_on_closed,
};

static void
talk_shake(struct talk *t, struct tls_ctx *ctx)
{
	t->handshake = true;
	if (stream_tls_connect(&t->io, ctx, t->name) < 0)
		talk_break(t, "TLS cannot begin");
}

static void
talk_on_connected(void *arg, int fd)
{
	struct talk *t = arg;
	struct tls_ctx *implicit = t->io.data;
	int rc = fd;

	stream_init(&t->io, t->loop, &talk_stream_events, t);
	if (fd >= 0 && (rc = stream_open(&t->io, fd)) < 0)
		(void)close(fd);
	if (rc < 0) {
		t->ev->broken(t, strerror(-rc));
		t->ev->closed(t);
		return;
	}
	t->open = true;
	stream_idle(&t->io, load.timeout_ms);
	if (implicit)
		talk_shake(t, implicit);
	else
		t->ev->opened(t);
}

void
talk_start(struct talk *t, struct loop *l, enum talk_lang lang, const struct addr *a,
    const char *name, struct tls_ctx *implicit, const struct talk_events *ev, void *data)
{
	*t = (struct talk){ .loop = l, .lang = lang, .name = name, .ev = ev, .data = data };
	t->io.data = implicit; /* until there is a stream */
	connect_start(l, a, NULL, load.timeout_ms, &t->connecting, talk_on_connected, t);
}

void
talk_starttls(struct talk *t, struct tls_ctx *ctx)
{
	talk_shake(t, ctx);
}

void
talk_close(struct talk *t)
{
	op_cancel(&t->connecting);
	if (t->open)
		stream_finish(&t->io);
}

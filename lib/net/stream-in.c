/* net/stream-in.c: the bytes that arrive, and who holds them.
 *
 * Owns in, in_at, fresh, scanned and the bits stuffed and lent_out; reads the socket.  A small
 * read is copied into s->in at once (an exact allocation of a line or two); a big one is shown in
 * the loop's buffer (s->fresh), behind the few bytes that were left of the one before (the lead),
 * so that a body in lines is not copied.  When the owner stops reading with slices of a big read
 * in hand, the stream keeps the loop's buffer itself and the loop gets a new one: borrowed slices
 * never move. */
#include "base/mem.h"
#include "base/must.h"
#include "net/stream-impl.h"

#define SMALL_READ 4096          /* up to here a read is copied */
#define IN_MAX     (1024 * 1024) /* unread bytes at which reading pauses */

size_t
stream_unread(const struct stream *s)
{
	return s->fresh.n + s->in.n - s->in_at;
}

void
stream_input_event(struct stream *s)
{
	s->in_event = 1;
	s->ev->input(s);
	s->in_event = 0;
}

/* After an event: memory that nobody looks at any more goes. */
void
stream_tidy(struct stream *s)
{
	if (s->state != STREAM_CLOSED && s->reading && s->in.p && s->in_at == s->in.n) {
		buf_fini(&s->in);
		s->in_at = 0;
	}
}

static void
on_alloc(uv_handle_t *h, size_t hint UNUSED, uv_buf_t *b)
{
	struct stream *s = CONTAINER(h, struct stream, handle);

	must(!s->loop->lent);
	s->loop->lent = true;
	if (!s->loop->read_buf)
		s->loop->read_buf = mem_grow(NULL, LOOP_READ_SIZE, 1);
	s->loop->lead = s->tls ? 0 : stream_lead(s, s->loop->read_buf);
	*b = uv_buf_init(s->loop->read_buf + s->loop->lead,
	    (unsigned)(LOOP_READ_SIZE - s->loop->lead));
}

size_t
stream_lead(const struct stream *s, char *dst)
{
	size_t n = s->in.n - s->in_at;

	if (n == 0 || n > SMALL_READ || s->deflate)
		return 0;
	memcpy(dst, s->in.p + s->in_at, n);
	return n;
}

void
stream_trace_in(struct stream *s, struct slice bytes)
{
	if (s->trace)
		trace_bytes(s->trace, s->trace->client ? TRACE_SERVER : TRACE_CLIENT, bytes);
}

void
stream_keep(struct stream *s, const char *p, size_t n)
{
	if (s->in_at) {
		buf_cut(&s->in, s->in_at);
		s->in_at = 0;
	}
	buf_add(&s->in, p, n);
	if (s->in.n >= IN_MAX && !s->stuffed) {
		s->stuffed = 1;
		stream_poll(s);
	}
}

/* The owner keeps slices of the loop's buffer: it becomes the stream's. */
static void
keep_buffer(struct stream *s, char **lent, size_t n, size_t room)
{
	s->in = (struct buf){ .p = *lent, .n = n, .room = room };
	s->in_at = n - s->fresh.n;
	*lent = NULL;
}

static void
stream_arrived_packed(struct stream *s, struct slice bytes)
{
	stream_deflate_keep(s, bytes);
	stream_deflate_more(s);
	if (s->error) /* the owner hears of it at the end of the turn */
		return;
	if (stream_unread(s))
		stream_input_event(s);
	stream_tidy(s);
}

void
stream_arrived(struct stream *s, char **lent, size_t lead, size_t n, size_t room)
{
	if (s->deflate) {
		stream_arrived_packed(s, slice(*lent + lead, n));
		return;
	}
	stream_trace_in(s, slice(*lent + lead, n));
	if (lead + n <= SMALL_READ || (lead == 0 && s->in_at < s->in.n)) {
		stream_keep(s, *lent + lead, n);
		stream_input_event(s);
	} else {
		n += lead;
		buf_fini(&s->in);
		s->in_at = 0;
		s->fresh = slice(*lent, n);
		s->lent_out = 0;
		stream_input_event(s);
		if (!stream_ending(s)) {
			if (!s->reading && s->lent_out)
				keep_buffer(s, lent, n, room);
			else if (s->fresh.n)
				stream_keep(s, s->fresh.p, s->fresh.n);
		}
		s->fresh = slice(NULL, 0);
	}
	stream_tidy(s);
}

static void
on_read(uv_stream_t *h, ssize_t n, const uv_buf_t *b UNUSED)
{
	struct stream *s = CONTAINER(h, struct stream, uv);
	struct loop *l = s->loop;

	if (n == 0) { /* EAGAIN */
		l->lent = false;
		return;
	}
	if (n > 0) {
		stream_touch(s);
		s->got += (uint64_t)n;
		if (s->tls)
			stream_tls_arrived(s, slice(l->read_buf, (size_t)n));
		else
			stream_arrived(s, &l->read_buf, l->lead, (size_t)n, LOOP_READ_SIZE);
		l->lent = false;
		return;
	}
	l->lent = false;
	if (s->state == STREAM_HANDSHAKE) {
		stream_move(s, STREAM_OPEN);
		s->error = n == UV_EOF ? -ECONNRESET : (int)n;
		s->tell_secured = 1;
		stream_poll(s);
		stream_later(s);
		return;
	}
	if (n == UV_EOF)
		s->eof = 1;
	else if (s->error == 0)
		s->error = (int)n;
	stream_poll(s);
	stream_input_event(s);
	stream_tidy(s);
}

void
stream_poll(struct stream *s)
{
	if (s->state == STREAM_CLOSED)
		return;
	if ((s->reading || s->state == STREAM_HANDSHAKE) && !s->stuffed && !s->eof && !s->error &&
	    s->state != STREAM_FINISHING && !(s->deflate && stream_deflate_waits(s)))
		uv_read_start(&s->uv, on_alloc, on_read);
	else
		uv_read_stop(&s->uv);
}

void
stream_start(struct stream *s)
{
	if (s->reading || stream_ending(s))
		return;
	s->reading = 1;
	stream_poll(s);
	if (s->in_event)
		return;
	/* The owner may look itself, or wait for an event as for new bytes. */
	if (stream_unread(s) || s->eof || s->error || (s->deflate && stream_deflate_waits(s))) {
		s->tell_input = 1;
		stream_later(s);
	} else {
		stream_tidy(s);
	}
}

void
stream_stop(struct stream *s)
{
	s->reading = 0;
	stream_poll(s);
}

struct slice
stream_peek(struct stream *s)
{
	s->lent_out = 1;
	if (s->fresh.n)
		return s->fresh;
	return s->in.p ? slice(s->in.p + s->in_at, s->in.n - s->in_at) : slice("", 0);
}

void
stream_take(struct stream *s, size_t n)
{
	must(n <= stream_unread(s));
	s->scanned = 0;
	if (s->fresh.n) {
		s->fresh = slice_from(s->fresh, n);
		return;
	}
	s->in_at += n;
	if (s->deflate && stream_deflate_waits(s)) {
		s->tell_input = 1; /* unpacked when nobody looks at what is there */
		stream_later(s);
	}
	if (s->stuffed && s->in.n - s->in_at < IN_MAX / 2) {
		s->stuffed = 0;
		stream_poll(s);
	}
}

int
stream_line(struct stream *s, size_t max, struct slice *line, enum line_end *ending)
{
	struct slice in = stream_peek(s);
	const char *lf = NULL;
	size_t n;
	bool cr;

	if (in.n > s->scanned)
		lf = memchr(in.p + s->scanned, '\n', in.n - s->scanned);
	if (!lf) {
		/* max bytes and a CR may still become a line that fits */
		if (in.n > max && (in.n - max > 1 || in.p[max] != '\r'))
			return -EMSGSIZE;
		s->scanned = (uint32_t)in.n;
		if (s->eof && in.n)
			stream_take(s, in.n);
		return 0;
	}
	n = (size_t)(lf - in.p);
	cr = n && in.p[n - 1] == '\r';
	if (n - cr > max)
		return -EMSGSIZE;
	*line = slice(in.p, n - cr);
	if (ending)
		*ending = cr ? LINE_CRLF : LINE_LF;
	stream_take(s, n + 1);
	return 1;
}

bool
stream_ended(const struct stream *s)
{
	return s->error || (s->eof && !(s->deflate && stream_deflate_waits(s)));
}

bool
stream_eof(struct stream *s)
{
	return s->error || (stream_unread(s) == 0 && stream_ended(s));
}

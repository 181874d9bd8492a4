/* net/stream-out.c: the bytes that leave.
 *
 * Owns out, out_queued, writes and the bit was_high.  What the socket takes goes at once; the rest
 * becomes a request of libuv, one at a time, and what is written meanwhile waits in out: so order
 * is kept without a list, and the owner sees in stream_backlog how far the peer is behind. */
#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include "base/mem.h"
#include "net/stream-impl.h"

struct stream_write {
	uv_write_t req;
	struct stream *s;
	char *mem;
	size_t n;
};

static void
water(struct stream *s)
{
	if (s->was_high && stream_backlog(s) <= STREAM_LOW) {
		s->was_high = 0;
		s->tell_drained = 1;
		stream_later(s);
	}
}

static void
on_written(uv_write_t *req, int status)
{
	struct stream_write *w = CONTAINER(req, struct stream_write, req);
	struct stream *s = w->s;

	s->writes--;
	s->out_queued -= w->n;
	s->sent += status < 0 ? 0 : w->n;
	free(w->mem);
	free(w);
	if (s->state == STREAM_CLOSED)
		return;
	if (status < 0) {
		stream_broke(s, status);
		return;
	}
	stream_touch(s);
	stream_flush(s);
}

static void
push_rest(struct stream *s, struct buf *b, size_t done)
{
	struct stream_write *w = mem_new(sizeof(*w));
	uv_buf_t vec = uv_buf_init(b->p + done, (unsigned)(b->n - done));
	int rc;

	w->s = s;
	w->mem = b->p;
	w->n = b->n - done;
	*b = (struct buf){ .cap = b->cap };
	if ((rc = uv_write(&w->req, &s->uv, &vec, 1, on_written)) < 0) {
		free(w->mem);
		free(w);
		stream_broke(s, rc);
		return;
	}
	s->writes++;
	s->out_queued += w->n;
}

void
stream_push(struct stream *s, struct buf *b)
{
	uv_buf_t vec = uv_buf_init(b->p, (unsigned)b->n);
	int n = 0;

	if (b->n == 0)
		return;
	if (s->writes == 0 && (n = uv_try_write(&s->uv, &vec, 1)) < 0) {
		if (n != UV_EAGAIN) {
			buf_clear(b);
			stream_broke(s, n);
			return;
		}
		n = 0;
	}
	if (n > 0) {
		stream_touch(s);
		s->sent += (uint64_t)n;
	}
	if ((size_t)n == b->n)
		buf_clear(b);
	else
		push_rest(s, b, (size_t)n);
}

struct buf *
stream_out(struct stream *s)
{
	return s->deflate ? stream_deflate_out(s) : &s->out;
}

size_t
stream_backlog(const struct stream *s)
{
	size_t plain = s->deflate ? stream_deflate_out((struct stream *)(uintptr_t)s)->n : 0;

	return plain + s->out.n + s->out_queued;
}

uint64_t
stream_moved(const struct stream *s)
{
	size_t unwritten = uv_stream_get_write_queue_size(&s->uv); /* of out_queued */
	uv_os_fd_t fd;
	int unread = 0;

	if (uv_fileno(&s->handle, &fd) < 0 || ioctl(fd, SIOCOUTQ, &unread) < 0)
		unread = 0;
	return s->got + s->sent + s->out_queued - unwritten - (unsigned)unread;
}

void
stream_trace_out(struct stream *s)
{
	if (!s->trace || s->out.n <= s->trace->flushed)
		return;
	trace_bytes(s->trace, s->trace->client ? TRACE_CLIENT : TRACE_SERVER,
	    slice_from(buf_get(&s->out), s->trace->flushed));
	s->trace->flushed = s->out.n;
}

void
stream_flush(struct stream *s)
{
	if (s->state == STREAM_CLOSED)
		return;
	if (s->error) {
		buf_fini(&s->out);
		if (s->deflate)
			stream_deflate_drop(s);
		return;
	}
	if (stream_backlog(s) > STREAM_LOW)
		s->was_high = 1;
	if (s->deflate)
		stream_deflate_flush(s);
	else
		stream_trace_out(s);
	if (s->tls) {
		stream_tls_flush(s);
	} else if (s->writes == 0 && s->out.n) { /* else on_written comes back here */
		stream_push(s, &s->out);
		buf_fini(&s->out);
	}
	if (s->trace)
		s->trace->flushed = s->out.n;
	if (s->state == STREAM_CLOSED || s->error)
		return;
	if (s->state == STREAM_FINISHING && s->tls && s->out.n == 0 && !s->notified)
		stream_tls_notify(s);
	water(s);
	stream_finish_check(s);
}

/* net/stream.c: see stream.h.  Plain bytes, the life of the handle and all events;
 * stream_tls.c stands between this file and the owner's bytes when there is TLS.
 *
 * Input memory: a small read is copied into s->in at once (an exact allocation of a line or
 * two); a big one is shown in the loop's buffer (s->fresh), behind the few bytes that were left
 * of the one before (the lead), so that a body in lines is not copied.  When the owner stops reading with
 * slices of a big read in hand, the stream keeps the loop's buffer itself and the loop gets a
 * new one: borrowed slices never move. */
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "net/stream_io.h"

#define SMALL_READ  4096            /* up to here a read is copied */
#define IN_MAX      (1024 * 1024)   /* unread bytes at which reading pauses */
#define FINISH_MS   5000
#define LINGER      (256 * 1024)    /* unread input thrown away so that close sends no RST */

struct stream_write {
	uv_write_t req;
	struct stream *s;
	char *mem;
	size_t n;
};

int64_t *stream_gauge;

static void on_turn(struct later *t);

/* ---- life -------------------------------------------------------------------------------- */

void
stream_init(struct stream *s, struct loop *l, const struct stream_events *ev, void *data)
{
	memset(s, 0, sizeof(*s));
	s->loop = l;
	s->ev = ev;
	s->data = data;
	deadline_init(&s->idle);
	later_init(&s->later);
}

int
stream_open(struct stream *s, int fd)
{
	int domain, type, rc;
	socklen_t len = sizeof(domain);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0)
		return -errno;
	len = sizeof(type);
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0)
		return -errno;
	if (type != SOCK_STREAM)
		return -EPROTOTYPE;
	/* What fails from here on is a bug: the descriptor is good and not in the loop. */
	if (domain == AF_UNIX) {
		must(uv_pipe_init(&s->loop->uv, &s->pipe, 0) == 0);
		rc = uv_pipe_open(&s->pipe, fd);
	} else {
		must(uv_tcp_init(&s->loop->uv, &s->tcp) == 0);
		rc = uv_tcp_open(&s->tcp, fd);
		uv_tcp_nodelay(&s->tcp, 1);
	}
	must(rc == 0);
	s->opened = 1;
	if (stream_gauge)
		__atomic_add_fetch(stream_gauge, 1, __ATOMIC_RELAXED);
	return 0;
}

static void
on_closed(uv_handle_t *h)
{
	struct stream *s = CONTAINER(h, struct stream, handle);

	buf_fini(&s->in);
	buf_fini(&s->out);
	stream_tls_fini(s);
	if (stream_gauge)
		__atomic_sub_fetch(stream_gauge, 1, __ATOMIC_RELAXED);
	s->ev->closed(s);
}

void
stream_close(struct stream *s)
{
	must(s->opened);
	if (s->closing)
		return;
	s->closing = 1;
	s->reading = 0;
	deadline_clear(&s->idle);
	later_cancel(&s->later);
	uv_close(&s->handle, on_closed);
}

/* All is written.  Input that nobody will read must not turn the close into a reset, which
 * could destroy our last words on their way (RFC 1122 4.2.2.13). */
static void
finish_close(struct stream *s)
{
	char junk[4096];
	uv_os_fd_t fd;
	size_t thrown = 0;
	ssize_t n;

	if (uv_fileno(&s->handle, &fd) == 0 && !s->eof && !s->error) {
		while (thrown < LINGER && (n = recv(fd, junk, sizeof(junk), MSG_DONTWAIT)) > 0)
			thrown += (size_t)n;
	}
	stream_close(s);
}

static void
finish_late(struct deadline *d)
{
	stream_close(CONTAINER(d, struct stream, idle));
}

static void
finish_check(struct stream *s)
{
	if (s->finishing && !s->closing && s->out.n == 0 && s->writes == 0)
		finish_close(s);
}

void
stream_finish(struct stream *s)
{
	if (s->closing || s->finishing)
		return;
	if (s->error || s->handshaking) {
		stream_close(s);
		return;
	}
	s->finishing = 1;
	s->reading = 0;
	stream_poll(s);
	deadline_set(&s->idle, s->loop, FINISH_MS, finish_late);
	stream_flush(s);
}

/* ---- idle time --------------------------------------------------------------------------- */

static void
on_idle_over(struct deadline *d)
{
	struct stream *s = CONTAINER(d, struct stream, idle);

	if (s->ev->timeout)
		s->ev->timeout(s);
	else
		stream_close(s);
}

static void
touch(struct stream *s)
{
	if (s->idle_ms && !s->fixed && !s->finishing && !s->closing)
		deadline_set(&s->idle, s->loop, s->idle_ms, on_idle_over);
}

void
stream_idle(struct stream *s, uint32_t ms)
{
	s->idle_ms = ms;
	s->fixed = 0;
	if (s->finishing || s->closing)
		return;
	if (ms)
		touch(s);
	else
		deadline_clear(&s->idle);
}

void
stream_limit(struct stream *s, uint32_t ms)
{
	stream_idle(s, ms);
	s->fixed = 1;
}

/* ---- events ------------------------------------------------------------------------------ */

void
stream_later(struct stream *s)
{
	if (!s->closing && !s->finishing)
		later_run(&s->later, s->loop, on_turn);
}

void
stream_broke(struct stream *s, int error)
{
	if (s->error == 0)
		s->error = error;
	buf_fini(&s->out);
	if (s->finishing) {
		stream_close(s);
		return;
	}
	if (s->handshaking) {
		s->handshaking = 0;
		s->tell_secured = 1;
	}
	stream_poll(s);
	s->tell_input = 1;
	if (s->was_high) {
		s->was_high = 0;
		s->tell_drained = 1;
	}
	stream_later(s);
}

static size_t
unread(const struct stream *s)
{
	return s->fresh.n + s->in.n - s->in_at;
}

static void
input_event(struct stream *s)
{
	s->in_event = 1;
	s->ev->input(s);
	s->in_event = 0;
}

/* After an event: memory that nobody looks at any more goes. */
static void
tidy(struct stream *s)
{
	if (!s->closing && s->reading && s->in.p && s->in_at == s->in.n) {
		buf_fini(&s->in);
		s->in_at = 0;
	}
}

static void
on_turn(struct later *t)
{
	struct stream *s = CONTAINER(t, struct stream, later);

	if (s->tell_secured) {
		s->tell_secured = 0;
		s->ev->secured(s, s->error, s->error ? stream_tls_error(s) : NULL);
		if (s->error || s->closing) /* the owner has heard of it */
			return;
		stream_flush(s); /* what was said during the handshake */
	}
	if (s->tell_input && !s->closing && !s->finishing) {
		s->tell_input = 0;
		if (s->error || (s->reading && (unread(s) || s->eof)))
			input_event(s);
	}
	tidy(s);
	if (s->tell_drained && !s->closing && !s->finishing) {
		s->tell_drained = 0;
		if (s->ev->drained)
			s->ev->drained(s);
	}
}

/* ---- input ------------------------------------------------------------------------------- */

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

	if (n == 0 || n > SMALL_READ)
		return 0;
	memcpy(dst, s->in.p + s->in_at, n);
	return n;
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

void
stream_arrived(struct stream *s, char **lent, size_t lead, size_t n, size_t room)
{
	if (lead + n <= SMALL_READ || (lead == 0 && s->in_at < s->in.n)) {
		stream_keep(s, *lent + lead, n);
		input_event(s);
	} else {
		n += lead;
		buf_fini(&s->in);
		s->in_at = 0;
		s->fresh = slice(*lent, n);
		s->lent_out = 0;
		input_event(s);
		if (!s->closing && !s->finishing) {
			if (!s->reading && s->lent_out)
				keep_buffer(s, lent, n, room);
			else if (s->fresh.n)
				stream_keep(s, s->fresh.p, s->fresh.n);
		}
		s->fresh = slice(NULL, 0);
	}
	tidy(s);
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
		touch(s);
		if (s->tls)
			stream_tls_arrived(s, slice(l->read_buf, (size_t)n));
		else
			stream_arrived(s, &l->read_buf, l->lead, (size_t)n, LOOP_READ_SIZE);
		l->lent = false;
		return;
	}
	l->lent = false;
	if (s->handshaking) {
		s->handshaking = 0;
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
	input_event(s);
	tidy(s);
}

void
stream_poll(struct stream *s)
{
	if (s->closing)
		return;
	if ((s->reading || s->handshaking) && !s->stuffed && !s->eof && !s->error && !s->finishing)
		uv_read_start(&s->uv, on_alloc, on_read);
	else
		uv_read_stop(&s->uv);
}

void
stream_start(struct stream *s)
{
	if (s->reading || s->closing || s->finishing)
		return;
	s->reading = 1;
	stream_poll(s);
	if (s->in_event)
		return;
	/* The owner may look itself, or wait for an event as for new bytes. */
	if (unread(s) || s->eof || s->error) {
		s->tell_input = 1;
		stream_later(s);
	} else {
		tidy(s);
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
	must(n <= unread(s));
	s->scanned = 0;
	if (s->fresh.n) {
		s->fresh = slice_from(s->fresh, n);
		return;
	}
	s->in_at += n;
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
stream_eof(struct stream *s)
{
	return s->error || (s->eof && unread(s) == 0);
}

/* ---- output ------------------------------------------------------------------------------ */

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
	free(w->mem);
	free(w);
	if (s->closing)
		return;
	if (status < 0) {
		stream_broke(s, status);
		return;
	}
	touch(s);
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
	if (n > 0)
		touch(s);
	if ((size_t)n == b->n)
		buf_clear(b);
	else
		push_rest(s, b, (size_t)n);
}

struct buf *
stream_out(struct stream *s)
{
	return &s->out;
}

size_t
stream_backlog(const struct stream *s)
{
	return s->out.n + s->out_queued;
}

void
stream_flush(struct stream *s)
{
	if (s->closing)
		return;
	if (s->error) {
		buf_fini(&s->out);
		return;
	}
	if (stream_backlog(s) > STREAM_LOW)
		s->was_high = 1;
	if (s->tls) {
		stream_tls_flush(s);
	} else if (s->writes == 0 && s->out.n) { /* else on_written comes back here */
		stream_push(s, &s->out);
		buf_fini(&s->out);
	}
	if (s->closing || s->error)
		return;
	if (s->finishing && s->tls && s->out.n == 0 && !s->notified)
		stream_tls_notify(s);
	water(s);
	finish_check(s);
}

/* ---- who is there ------------------------------------------------------------------------ */

static int
fd_of(const struct stream *s)
{
	uv_os_fd_t fd;

	return uv_fileno(&s->handle, &fd) == 0 ? fd : -1;
}

void
stream_peer(const struct stream *s, struct addr *a)
{
	memset(a, 0, sizeof(*a));
	a->len = sizeof(a->ss);
	if (getpeername(fd_of(s), &a->sa, &a->len) < 0)
		a->len = 0;
	addr_unmap(a);
}

void
stream_local(const struct stream *s, struct addr *a)
{
	memset(a, 0, sizeof(*a));
	a->len = sizeof(a->ss);
	if (getsockname(fd_of(s), &a->sa, &a->len) < 0)
		a->len = 0;
	addr_unmap(a);
}

uid_t
stream_peer_uid(const struct stream *s)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	struct addr a;

	stream_local(s, &a);
	if (a.sa.sa_family != AF_UNIX ||
	    getsockopt(fd_of(s), SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return (uid_t)-1;
	return cred.uid;
}

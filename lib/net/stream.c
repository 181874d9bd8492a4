/* net/stream.c: the life of a connection, its one state, its time, and the events of a turn.
 * stream-in.c has the bytes that arrive, stream-out.c those that leave, and stream-tls.c stands
 * between them and the socket when there is TLS.
 *
 * Events are told from the loop only.  What happens inside a call of the owner is noted (tell_*)
 * and told at the end of the turn, so no owner is ever called back from his own call. */
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "net/stream-impl.h"
#include "net/trace-want.h"

#define FINISH_MS 5000
#define LINGER    (256 * 1024) /* unread input thrown away so that close sends no RST */

int64_t *stream_gauge;

static void on_turn(struct later *t);

void
stream_move(struct stream *s, enum stream_state to)
{
	static const char *const names[] = { "new", "handshake", "open", "finishing", "closed" };

	if (s->state == to)
		return;
	log_event(LOG_DEBUG, "stream", "sid=%s from=%s to=%s", log_str(log_sid()), names[s->state],
	    names[to]);
	s->state = (uint8_t)to;
}

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
	s->moved_ms = loop_now(l);
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
	stream_move(s, STREAM_OPEN);
	if (stream_gauge)
		__atomic_add_fetch(stream_gauge, 1, __ATOMIC_RELAXED);
	return 0;
}

void
stream_trace(struct stream *s, const char *proto, const char *sid, bool client)
{
	struct addr peer;

	if (s->trace)
		return;
	if (!client && sid) {
		s->trace_proto = proto;
		s->trace_sid = sid;
	}
	if (s->trace_sid && trace_wanted())
		stream_peer(s, &peer);
	s->trace = trace_new(proto, sid, client,
	    s->trace_sid && trace_wanted() ? trace_want_fits(sid, &peer) : 0, false);
}

/* Every TCP socket and pipe of a loop is a stream's: nobody else makes them. */
static void
stream_trace_one(uv_handle_t *h, void *arg UNUSED)
{
	struct stream *s;
	struct addr peer;
	unsigned wants;

	if ((h->type != UV_TCP && h->type != UV_NAMED_PIPE) || uv_is_closing(h))
		return;
	s = CONTAINER(h, struct stream, handle);
	if (!s->trace_sid || (!s->trace && !trace_wanted()))
		return;
	stream_peer(s, &peer);
	wants = trace_want_fits(s->trace_sid, &peer);
	if (s->trace) {
		s->trace->wants = (uint8_t)wants;
		slice_cstr(slice_str(s->trace_sid), s->trace->sid, sizeof(s->trace->sid));
	} else if ((s->trace = trace_new(s->trace_proto, s->trace_sid, false, wants, true))) {
		s->trace->flushed = s->out.n;
	}
	if (s->trace && !wants && !s->trace->log)
		trace_free(&s->trace);
}

void
stream_trace_again(struct loop *l)
{
	uv_walk(&l->uv, stream_trace_one, NULL);
}

static void
stream_on_closed(uv_handle_t *h)
{
	struct stream *s = CONTAINER(h, struct stream, handle);

	buf_fini(&s->in);
	buf_fini(&s->out);
	stream_tls_fini(s);
	stream_deflate_fini(s);
	trace_free(&s->trace);
	mem_free(&s->announced);
	if (stream_gauge)
		__atomic_sub_fetch(stream_gauge, 1, __ATOMIC_RELAXED);
	s->ev->closed(s);
}

void
stream_close(struct stream *s)
{
	must(s->state != STREAM_NEW);
	if (s->state == STREAM_CLOSED)
		return;
	stream_move(s, STREAM_CLOSED);
	s->reading = 0;
	deadline_clear(&s->idle);
	later_cancel(&s->later);
	uv_close(&s->handle, stream_on_closed);
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

void
stream_finish_check(struct stream *s)
{
	if (s->state == STREAM_FINISHING && s->state != STREAM_CLOSED && s->out.n == 0 &&
	    s->writes == 0)
		finish_close(s);
}

void
stream_finish_within(struct stream *s, uint32_t ms)
{
	if (stream_ending(s))
		return;
	if (s->error || s->state == STREAM_HANDSHAKE) {
		stream_close(s);
		return;
	}
	stream_move(s, STREAM_FINISHING);
	s->reading = 0;
	stream_poll(s);
	deadline_set(&s->idle, s->loop, ms, finish_late);
	stream_flush(s);
}

void
stream_finish(struct stream *s)
{
	stream_finish_within(s, FINISH_MS);
}

void
stream_hand_over(struct stream *s, const struct stream_events *ev, void *data)
{
	s->ev = ev;
	s->data = data;
}

void
stream_keepalive(struct stream *s, unsigned idle_s)
{
	if (s->handle.type == UV_TCP && s->state != STREAM_CLOSED)
		(void)uv_tcp_keepalive(&s->tcp, 1, idle_s);
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

void
stream_touch(struct stream *s)
{
	s->moved_ms = loop_now(s->loop);
	if (s->idle_ms && !s->fixed && !stream_ending(s))
		deadline_set(&s->idle, s->loop, s->idle_ms, on_idle_over);
}

void
stream_idle(struct stream *s, uint32_t ms)
{
	s->idle_ms = ms;
	s->fixed = 0;
	if (stream_ending(s))
		return;
	if (ms)
		deadline_set(&s->idle, s->loop, ms, on_idle_over);
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
	if (!stream_ending(s))
		later_run(&s->later, s->loop, on_turn);
}

void
stream_broke(struct stream *s, int error)
{
	if (s->error == 0)
		s->error = error;
	buf_fini(&s->out);
	if (s->deflate)
		stream_deflate_drop(s);
	if (s->state == STREAM_FINISHING) {
		stream_close(s);
		return;
	}
	if (s->state == STREAM_HANDSHAKE) {
		stream_move(s, STREAM_OPEN);
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

static void
on_turn(struct later *t)
{
	struct stream *s = CONTAINER(t, struct stream, later);

	if (s->tell_secured) {
		s->tell_secured = 0;
		s->ev->secured(s, s->error, s->error ? stream_tls_error(s) : NULL);
		if (s->error || s->state == STREAM_CLOSED) /* the owner has heard of it */
			return;
		stream_flush(s); /* what was said during the handshake */
	}
	if (s->tell_input && !stream_ending(s)) {
		s->tell_input = 0;
		if (s->deflate && s->reading)
			stream_deflate_more(s);
		if (s->error || (s->reading && (stream_unread(s) || s->eof)))
			stream_input_event(s);
	}
	stream_tidy(s);
	if (s->tell_drained && !stream_ending(s)) {
		s->tell_drained = 0;
		if (s->ev->drained)
			s->ev->drained(s);
	}
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
	if (s->announced) {
		*a = *s->announced;
		return;
	}
	memset(a, 0, sizeof(*a));
	a->len = sizeof(a->ss);
	if (getpeername(fd_of(s), &a->sa, &a->len) < 0)
		a->len = 0;
	addr_unmap(a);
}

void
stream_announce(struct stream *s, const struct addr *a)
{
	if (!s->announced)
		s->announced = mem_new(sizeof(*s->announced));
	*s->announced = *a;
	addr_unmap(s->announced);
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

/* net/stream-impl.h: what the stream's files share.  Nobody else may include it. */
#ifndef NET_STREAM_IMPL_H
#define NET_STREAM_IMPL_H
#include "net/stream.h"

/* ---- stream.c ---- */
/* The one who changes the state; told at debug as "old -> new". */
void stream_move(struct stream *s, enum stream_state to);
/* Nobody is told of anything but the end. */
static inline bool
stream_ending(const struct stream *s)
{
	return s->state >= STREAM_FINISHING;
}
void stream_touch(struct stream *s);        /* bytes have passed: the idle time begins anew */
void stream_finish_check(struct stream *s); /* FINISHING and all is written? */
void stream_input_event(struct stream *s);
size_t stream_unread(const struct stream *s);
/* After an event: memory that nobody looks at any more goes. */
void stream_tidy(struct stream *s);
void stream_trace_in(struct stream *s, struct slice bytes);
void stream_trace_out(struct stream *s); /* what is in `out` and was not shown yet */
/* The stream is broken: output is dropped, the owner is told at the end of the turn. */
void stream_broke(struct stream *s, int error);
/* Copies what is unread to dst, where more will be put behind it, unless it is much: how many. */
size_t stream_lead(const struct stream *s, char *dst);
/* n plain bytes arrived in *lent (one of the loop's buffers, of `room` bytes) behind the lead. */
void stream_arrived(struct stream *s, char **lent, size_t lead, size_t n, size_t room);
/* Keeps bytes for an event that comes at the end of the turn. */
void stream_keep(struct stream *s, const char *p, size_t n);
void stream_later(struct stream *s);
/* Writes b, at once when nothing is queued; what the socket does not take goes to libuv with
 * the buffer's memory.  b is empty afterwards, but may have kept its memory. */
void stream_push(struct stream *s, struct buf *b);
/* Starts or stops the libuv handle as the flags demand. */
void stream_poll(struct stream *s);

/* ---- stream-tls.c ---- */
void stream_tls_arrived(struct stream *s, struct slice cipher);
void stream_tls_flush(struct stream *s);
void stream_tls_notify(struct stream *s); /* queues close_notify */
const char *stream_tls_error(struct stream *s);
void stream_tls_fini(struct stream *s);

/* ---- stream-deflate.c; but for _fini only where s->deflate is set ---- */
struct buf *stream_deflate_out(struct stream *s);
void stream_deflate_flush(struct stream *s); /* packs what is written, into s->out */
void stream_deflate_drop(struct stream *s);
void stream_deflate_keep(struct stream *s, struct slice bytes); /* as they came */
void stream_deflate_more(struct stream *s);        /* unpacks as much as there is room */
bool stream_deflate_waits(const struct stream *s); /* is there more to unpack? */
void stream_deflate_fini(struct stream *s);
#endif

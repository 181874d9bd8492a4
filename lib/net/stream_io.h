/* net/stream_io.h: what stream.c and stream_tls.c share.  Nobody else may include it. */
#ifndef NET_STREAM_IO_H
#define NET_STREAM_IO_H
#include "net/stream.h"

/* ---- stream.c ---- */
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

/* ---- stream_tls.c ---- */
void stream_tls_arrived(struct stream *s, struct slice cipher);
void stream_tls_flush(struct stream *s);
void stream_tls_notify(struct stream *s); /* queues close_notify */
const char *stream_tls_error(struct stream *s);
void stream_tls_fini(struct stream *s);
#endif

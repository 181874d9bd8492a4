/* net/stream-deflate.c: a stream that is compressed in both directions, raw DEFLATE (RFC 1951), as
 * IMAP's COMPRESS begins it (RFC 4978).
 *
 * Stands between the owner and stream-in.c, stream-out.c; TLS is on the other side of it.  What the
 * owner writes lies in `plain` until a flush packs it; what has arrived lies in `packed` until there is
 * room for what it becomes.  Packing is done by one deflater for all streams of a loop: a flush ends on
 * an octet, and the next begins without a memory of the last, which a raw stream may.  So an idle
 * stream keeps nothing for output, and what one flush holds tells nothing of another.  Input needs
 * the peer's window, 40 KiB a stream.
 * Can fail: octets that are no DEFLATE break the stream.  Must stay true: what a peer sends as 64 KiB may
 * become 64 MiB, so no more than ROOM octets are ever unpacked ahead of the reader. */
#include <errno.h>
#include <zlib.h>

#include "base/mem.h"
#include "base/must.h"
#include "net/stream-impl.h"

#define ROOM   (256 * 1024) /* unread octets up to which more is unpacked */
#define CHUNK  (16 * 1024)
#define WINDOW (-15) /* raw, 32 KiB: a peer may use all of it */
#define MEMORY 8     /* of the deflater: 256 KiB for a loop */

struct stream_deflate {
	struct buf plain;  /* output that no flush has seen */
	struct buf packed; /* input, not unpacked */
	z_stream in;
	bool more; /* the inflater has not given all that it can */
};

bool
stream_compressed(const struct stream *s)
{
	return s->deflate;
}

/* ---- output ------------------------------------------------------------------------------------- */

static void
packer_free(void *p)
{
	z_stream *z = p;

	(void)deflateEnd(z);
	mem_release(z);
}

/* The loop's deflater, made on first use; NULL: no memory. */
static z_stream *
packer_of(struct loop *l)
{
	z_stream *z = l->packer;

	if (z)
		return z;
	z = mem_new(sizeof(*z));
	/* The fastest: 256 KiB are some 3 ms of the loop. */
	if (deflateInit2(z, Z_BEST_SPEED, Z_DEFLATED, WINDOW, MEMORY, Z_DEFAULT_STRATEGY) != Z_OK) {
		mem_release(z);
		return NULL;
	}
	l->packer = z;
	l->packer_free = packer_free;
	return z;
}

struct buf *
stream_deflate_out(struct stream *s)
{
	return &s->deflate->plain;
}

void
stream_deflate_drop(struct stream *s)
{
	buf_fini(&s->deflate->plain);
}

void
stream_deflate_flush(struct stream *s)
{
	struct buf *plain = &s->deflate->plain;
	z_stream *z = packer_of(s->loop);

	if (plain->n == 0)
		return;
	must(z && deflateReset(z) == Z_OK);
	if (s->trace)
		trace_bytes(s->trace, s->trace->client ? TRACE_CLIENT : TRACE_SERVER,
		    buf_get(plain));
	z->next_in = (Bytef *)plain->p;
	z->avail_in = (uInt)plain->n;
	do {
		char *p = buf_reserve(&s->out, CHUNK);

		must(p);
		z->next_out = (Bytef *)p;
		z->avail_out = CHUNK;
		(void)deflate(z, Z_SYNC_FLUSH);
		s->out.n += CHUNK - z->avail_out;
	} while (z->avail_out == 0);
	buf_fini(plain);
}

/* ---- input -------------------------------------------------------------------------------------- */

bool
stream_deflate_waits(const struct stream *s)
{
	return s->deflate->packed.n > 0 || s->deflate->more;
}

void
stream_deflate_keep(struct stream *s, struct slice bytes)
{
	buf_slice(&s->deflate->packed, bytes);
	stream_poll(s); /* no more is read until it is unpacked */
}

/* One piece.  False: nothing more can be had, or the stream is broken. */
static bool
unpack_piece(struct stream *s)
{
	struct stream_deflate *d = s->deflate;
	char piece[CHUNK];
	int rc;

	d->in.next_in = (Bytef *)d->packed.p;
	d->in.avail_in = (uInt)d->packed.n;
	d->in.next_out = (Bytef *)piece;
	d->in.avail_out = sizeof(piece);
	rc = inflate(&d->in, Z_SYNC_FLUSH);
	buf_cut(&d->packed, d->packed.n - d->in.avail_in);
	d->more = d->in.avail_out == 0;
	if (rc != Z_OK && rc != Z_BUF_ERROR) {
		/* Damage, or the end of the stream, behind which nothing could come. */
		buf_fini(&d->packed);
		d->more = false;
		stream_broke(s, -EPROTO);
		return false;
	}
	if (d->in.avail_out < sizeof(piece)) {
		struct slice plain = slice(piece, sizeof(piece) - d->in.avail_out);

		stream_trace_in(s, plain);
		stream_keep(s, plain.p, plain.n);
	}
	return d->packed.n > 0 || d->more;
}

void
stream_deflate_more(struct stream *s)
{
	if (s->error || !stream_deflate_waits(s))
		return;
	while (stream_unread(s) < ROOM && unpack_piece(s))
		;
	if (s->deflate->packed.n == 0)
		buf_fini(&s->deflate->packed);
	if (!s->error)
		stream_poll(s);
}

/* ---- begin and end ------------------------------------------------------------------------------ */

int
stream_compress(struct stream *s)
{
	struct stream_deflate *d;

	must(!s->deflate);
	if (!packer_of(s->loop))
		return -ENOMEM;
	d = mem_new(sizeof(*d));
	if (inflateInit2(&d->in, WINDOW) != Z_OK) {
		mem_release(d);
		return -ENOMEM;
	}
	s->deflate = d;
	s->scanned = 0;
	/* What stands behind the command that began it. */
	buf_slice(&d->packed, s->fresh.n ? s->fresh : slice_from(buf_get(&s->in), s->in_at));
	s->fresh.n = 0;
	s->in_at = s->in.n;
	if (d->packed.n > 0) {
		s->tell_input = 1;
		stream_later(s);
	}
	return 0;
}

void
stream_deflate_fini(struct stream *s)
{
	if (!s->deflate)
		return;
	(void)inflateEnd(&s->deflate->in);
	buf_fini(&s->deflate->plain);
	buf_fini(&s->deflate->packed);
	mem_free(&s->deflate);
}

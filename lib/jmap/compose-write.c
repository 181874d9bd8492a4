/* compose-write.c: the cursor that writes a planned message.
 *
 * Called by jmapd until it is through, into a buffer that is drained between two calls.  Only the caller's
 * blobs can fail, and then nothing of the piece has been written: the same call can be made again.  What must
 * stay true: pieces meet at places that an encoding allows, so that the message is the same however large
 * they are; a part's content is what was given, octet by octet, but for text, whose line ends become CRLF;
 * the line end before a boundary is the boundary's (RFC 2046 5.1.1). */
#include "jmap/compose-impl.h"

#include <errno.h>

#include "base/base64.h"
#include "mail/text.h"

#define PIECE_MAX   (32 * 1024)
#define BASE64_LINE 57 /* octets of a line of 76 characters */

/* ---- encodings ----------------------------------------------------------------------------------------------- */

/* Takes whole lines off the front of *s, or where they are too long a piece of one that ends between
 * characters. */
static struct slice
piece_take(struct slice *s)
{
	size_t n = s->n <= PIECE_MAX ? s->n : slice_rfind(slice(s->p, PIECE_MAX), '\n') + 1;
	struct slice piece;

	if (n > PIECE_MAX)
		for (n = PIECE_MAX; n > PIECE_MAX - 4 && (s->p[n] & 0xc0) == 0x80; n--)
			;
	if (n < s->n && s->p[n - 1] == '\r')
		n--;
	piece = slice(s->p, n);
	*s = slice_from(*s, n);
	return piece;
}

static void
piece_crlf(struct buf *out, struct slice s)
{
	while (s.n > 0) {
		size_t n = slice_find(s, '\n');

		buf_add(out, s.p, n > 0 && n < s.n && s.p[n - 1] == '\r' ? n - 1 : n);
		if (n < s.n)
			buf_lit(out, "\r\n");
		s = slice_from(s, n + 1);
	}
}

/* Writes whole lines of base64 from c->line, at the end all of it. */
static void
base64_lines(struct jmap_compose *c, struct buf *out, bool last)
{
	struct slice s = buf_get(&c->line);

	while (s.n >= BASE64_LINE || (last && s.n > 0)) {
		size_t n = s.n < BASE64_LINE ? s.n : BASE64_LINE;

		base64_write(out, slice(s.p, n));
		s = slice_from(s, n);
		if (s.n > 0 || !last)
			buf_lit(out, "\r\n");
	}
	buf_cut(&c->line, c->line.n - s.n);
}

/* ---- contents ---------------------------------------------------------------------------------------------------- */

/* A piece of a text.  True: more of it follows. */
static bool
compose_text(struct jmap_compose *c, const struct jmap_compose_part *p, struct buf *out)
{
	struct slice rest = slice_from(p->text, c->at), piece = piece_take(&rest);
	bool more = rest.n > 0;

	c->at += piece.n;
	switch (p->encoding) {
	case JMAP_ENCODING_QP:
		text_write_qp(out, piece);
		if (more && !slice_ends(piece, S("\n")))
			buf_lit(out, "=\r\n");
		break;
	case JMAP_ENCODING_BASE64:
		piece_crlf(&c->line, piece);
		base64_lines(c, out, !more);
		break;
	case JMAP_ENCODING_PLAIN:
	case JMAP_ENCODING_AS_IS: piece_crlf(out, piece); break;
	}
	return more;
}

/* The same of a blob: 1, 0, or what its reader says. */
static int
compose_blob(struct jmap_compose *c, const struct jmap_compose_part *p,
    const struct jmap_compose_blobs *blobs, struct buf *out)
{
	ssize_t n;

	buf_clear(&c->piece);
	n = blobs->read(blobs->arg, p->blob_at, c->at, &c->piece);
	if (n < 0)
		return (int)n;
	c->at += (uint64_t)n;
	if (p->encoding == JMAP_ENCODING_AS_IS) {
		buf_slice(out, buf_get(&c->piece));
	} else {
		buf_slice(&c->line, buf_get(&c->piece));
		base64_lines(c, out, n == 0);
	}
	return n > 0;
}

/* ---- the walk ------------------------------------------------------------------------------------------------------ */

static void
compose_head(struct jmap_compose *c, struct buf *out)
{
	struct jmap_compose_part *p = c->part;

	if (p->parent) {
		buf_lit(out, "--");
		buf_slice(out, p->parent->boundary);
		buf_lit(out, "\r\n");
	} else {
		buf_slice(out, c->header);
	}
	buf_slice(out, p->header);
	buf_lit(out, "\r\n");
	c->at = 0;
	if (p->boundary.p)
		c->part = p->child;
	else
		c->step = JMAP_COMPOSE_BODY;
}

static int
compose_body(struct jmap_compose *c, const struct jmap_compose_blobs *blobs, struct buf *out)
{
	int r =
	    c->part->blob ? compose_blob(c, c->part, blobs, out) : compose_text(c, c->part, out);

	if (r == 0)
		c->step = JMAP_COMPOSE_END;
	return r < 0 ? r : 1;
}

/* Behind a part: the next one, or the end of what it is in. */
static int
compose_end(struct jmap_compose *c, struct buf *out)
{
	struct jmap_compose_part *p = c->part;

	if (p->next) {
		buf_lit(out, "\r\n");
		c->part = p->next;
		c->step = JMAP_COMPOSE_HEAD;
	} else if (p->parent) {
		buf_lit(out, "\r\n--");
		buf_slice(out, p->parent->boundary);
		buf_lit(out, "--");
		c->part = p->parent;
	} else { /* a message ends with a line's end */
		if (p->boundary.p || p->encoding == JMAP_ENCODING_BASE64 ||
		    (p->text.n > 0 && !slice_ends(p->text, S("\n"))))
			buf_lit(out, "\r\n");
		c->step = JMAP_COMPOSE_OVER;
	}
	return c->step != JMAP_COMPOSE_OVER;
}

int
jmap_compose_next(struct jmap_compose *c, const struct jmap_compose_blobs *blobs, struct buf *out)
{
	switch (c->step) {
	case JMAP_COMPOSE_HEAD: compose_head(c, out); return 1;
	case JMAP_COMPOSE_BODY: return compose_body(c, blobs, out);
	case JMAP_COMPOSE_END: return compose_end(c, out);
	case JMAP_COMPOSE_OVER: break;
	}
	return 0;
}

void
jmap_compose_end(struct jmap_compose *c)
{
	buf_fini(&c->piece);
	buf_fini(&c->line);
	c->step = JMAP_COMPOSE_OVER;
}

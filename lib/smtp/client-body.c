/* smtp/client-body.c: the body on the wire, and whether a message fits a server at all.
 *
 * The body comes from a file (pread in large pieces) or from memory, with CRLF line ends.  With
 * CHUNKING it goes out as it is behind "BDAT n LAST"; with DATA a dot is doubled at the start
 * of a line (RFC 5321 4.5.2).  At most STREAM_HIGH bytes wait in memory.  Reading can fail in the
 * middle: then half of the message is out, and only closing takes that back. */
#include <errno.h>
#include <unistd.h>
#include "base/crc.h"
#include "base/utf8.h"
#include "smtp/client-impl.h"

#define PIECE 65536

/* ---- fitness -------------------------------------------------------------------------- */

/* Nothing that could end the command early or add one. */
static bool
smtp_client_body_clean(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 127)
			return false;
	return true;
}

static ssize_t
body_read(const struct smtp_client_tx *tx, uint64_t at, char *dst, size_t n)
{
	ssize_t got;

	if (tx->size - at < n)
		n = (size_t)(tx->size - at);
	if (tx->bytes) {
		memcpy(dst, tx->bytes + at, n);
		return (ssize_t)n;
	}
	do
		got = pread(tx->fd, dst, n, (off_t)(tx->at + (int64_t)at));
	while (got < 0 && errno == EINTR);
	return got;
}

/* Is there a byte above 0x7f in the message, or (header_only) in its header?  What was declared
 * of it at MAIL is somebody's word; what a server without an extension would be given is bytes.
 * One pass over the file, and only for servers that lack the extension. */
static bool
has_8bit(const struct smtp_client_tx *tx, bool header_only)
{
	char piece[16384];
	uint64_t at = 0;
	char last = 0;

	while (at < tx->size) {
		ssize_t n = body_read(tx, at, piece, sizeof(piece));

		if (n <= 0)
			return true; /* the body's own reading will say it better */
		at += (uint64_t)n;
		if (!header_only) {
			if (!utf8_ascii(slice(piece, (size_t)n)))
				return true;
			continue;
		}
		for (ssize_t i = 0; i < n; i++) {
			if ((unsigned char)piece[i] > 127)
				return true;
			if (piece[i] == '\n' && last == '\n')
				return false; /* the end of the header */
			if (piece[i] != '\r')
				last = piece[i];
		}
	}
	return false;
}

/* RFC 6531 3.2: the extension is needed when an address or the header has 8-bit bytes; a
 * client may have asked for it without need. */
static bool
needs_utf8(const struct smtp_client_tx *tx)
{
	if (!utf8_ascii(tx->sender))
		return true;
	for (size_t i = 0; i < tx->nrcpt; i++)
		if (!utf8_ascii(tx->rcpts[i].address))
			return true;
	return has_8bit(tx, true);
}

bool
smtp_client_tx_unfit(const struct smtp_client *c, struct verdict *v)
{
	const struct smtp_client_tx *tx = c->tx;
	bool bad = !smtp_client_body_clean(tx->sender) || !smtp_client_body_clean(tx->qid) ||
	    slice_find(tx->qid, ' ') != tx->qid.n;

	for (size_t i = 0; i < tx->nrcpt; i++)
		bad = bad || !smtp_client_body_clean(tx->rcpts[i].address) ||
		    !smtp_client_body_clean(tx->rcpts[i].orcpt_type);
	if (bad || !smtp_client_body_clean(tx->cancel)) {
		*v = verdict(OUT_ADDRESS_CONTROL);
		return true;
	}
	if (tx->cancel.n && !(c->offer.has & OFFERS_XCANCEL)) {
		*v = verdict(OUT_PEER_NO_CANCEL);
		return true;
	}
	if (tx->release_at && tx->must_release && !(c->offer.has & OFFERS_RELEASE)) {
		*v = verdict(OUT_PEER_NO_RELEASE);
		return true;
	}
	if (tx->rcpts[0].event.n && !(c->offer.has & OFFERS_XEVENT)) {
		*v = verdict(OUT_PEER_NO_EVENT);
		return true;
	}
	if (c->offer.size_max && tx->size > c->offer.size_max) {
		*v = verdict(OUT_PEER_SIZE, (unsigned long long)tx->size,
		    (unsigned long long)c->offer.size_max);
		return true;
	}
	if (tx->smtputf8 && !(c->offer.has & OFFERS_SMTPUTF8) && needs_utf8(tx)) {
		*v = verdict(OUT_PEER_NO_UTF8);
		return true;
	}
	/* RFC 6152 3: the limits are about 8-bit content, not about the word at MAIL. */
	if (tx->eightbit && !(c->offer.has & OFFERS_8BITMIME) && !c->p->send_8bit &&
	    has_8bit(tx, false)) {
		*v = verdict(OUT_PEER_NO_8BIT);
		return true;
	}
	return false;
}

/* ---- the bytes ------------------------------------------------------------------------ */

/* Appends `s` with a dot doubled at each start of a line.  `last` is the byte before s. */
static void
add_stuffed(struct buf *out, struct slice s, char last)
{
	while (s.n) {
		const char *dot = memchr(s.p, '.', s.n);
		size_t n = dot ? (size_t)(dot - s.p) : s.n;

		buf_add(out, s.p, n);
		if (!dot)
			return;
		if ((n ? s.p[n - 1] : last) == '\n')
			buf_char(out, '.');
		buf_char(out, '.');
		last = '.';
		s = slice_from(s, n + 1);
	}
}

static void
smtp_client_body_end(struct smtp_client *c)
{
	c->body_left = false;
	c->step_until = 0; /* now the answer's own limit */
	if (c->chunking)
		return;
	if (c->last[1] != '\n' || c->last[0] != '\r')
		buf_lit(stream_out(&c->io), "\r\n");
	buf_lit(stream_out(&c->io), ".\r\n");
}

/* One piece of the body into the output.  False when it cannot be read, or is not what
 * was queued. */
static bool
body_piece(struct smtp_client *c)
{
	struct smtp_client_tx *tx = c->tx;
	struct buf *out = stream_out(&c->io);
	char piece[PIECE / 2];
	const char *p = piece;
	ssize_t n;

	if (c->chunking) {
		char *room =
		    buf_reserve(out, tx->size - c->body_at < PIECE ? tx->size - c->body_at : PIECE);

		n = body_read(tx, c->body_at, room, PIECE);
		p = room;
		if (n > 0)
			out->n += (size_t)n;
	} else if (tx->bytes) {
		n = (ssize_t)(tx->size - c->body_at < PIECE ? tx->size - c->body_at : PIECE);
		p = tx->bytes + c->body_at;
		add_stuffed(out, slice(p, (size_t)n), c->last[1]);
	} else {
		n = body_read(tx, c->body_at, piece, sizeof(piece));
		if (n > 0)
			add_stuffed(out, slice(piece, (size_t)n), c->last[1]);
	}
	if (n <= 0)
		return false;
	if (!c->chunking) {
		c->last[0] = n > 1 ? p[n - 2] : c->last[1];
		c->last[1] = p[n - 1];
	}
	if (tx->crc32c)
		c->body_crc = crc32c(c->body_crc, p, (size_t)n);
	c->body_at += (uint64_t)n;
	tx->damaged = tx->crc32c && c->body_at == tx->size && c->body_crc != *tx->crc32c;
	return !tx->damaged;
}

void
smtp_client_body_more(struct smtp_client *c)
{
	while (c->body_left && stream_backlog(&c->io) <= STREAM_LOW) {
		if (c->body_at == c->tx->size) {
			smtp_client_body_end(c);
			return;
		}
		if (!body_piece(c)) {
			/* Half of it is out: only closing takes that back. */
			struct verdict v = c->tx->damaged ? verdict(OUT_MESSAGE_DAMAGED) :
							    verdict(OUT_MESSAGE_UNREAD);

			smtp_client_broken(c, &v, false);
			return;
		}
		if (stream_backlog(&c->io) + stream_out(&c->io)->n > STREAM_LOW)
			stream_flush(&c->io);
	}
}

void
smtp_client_body_begin(struct smtp_client *c)
{
	if (c->chunking) {
		buf_printf(stream_out(&c->io), "BDAT %llu LAST\r\n",
		    (unsigned long long)c->tx->size);
	} else if (c->accepted == 0) { /* 354 for nobody: see got_data */
		buf_lit(stream_out(&c->io), ".\r\n");
		return;
	}
	c->body_left = true;
	smtp_client_body_more(c);
}

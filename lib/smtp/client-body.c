/* smtp/client-body.c: the body on the wire, and whether a message fits a server at all.
 *
 * The body comes from a file (pread in large pieces) or from memory, with CRLF line ends.  With
 * CHUNKING it goes out as it is behind "BDAT n LAST"; with DATA a dot is doubled at the start
 * of a line (RFC 5321 4.5.2).  At most STREAM_HIGH bytes wait in memory. */
#include <errno.h>
#include <unistd.h>
#include "base/utf8.h"
#include "smtp/client-impl.h"

#define PIECE 65536

/* ---- fitness -------------------------------------------------------------------------- */

/* Nothing that could end the command early or add one. */
static bool
clean(struct slice s)
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

/* RFC 6531 3.2: the extension is needed when an address or the header has 8-bit bytes; a
 * client may have asked for it without need. */
static bool
needs_utf8(const struct smtp_client_tx *tx)
{
	char piece[4096];
	uint64_t at = 0;
	char last = 0;

	if (!utf8_ascii(tx->sender))
		return true;
	for (size_t i = 0; i < tx->nrcpt; i++)
		if (!utf8_ascii(tx->rcpts[i].address))
			return true;
	while (at < tx->size) {
		ssize_t n = body_read(tx, at, piece, sizeof(piece));

		if (n <= 0)
			return true;	/* the body's own reading will say it better */
		for (ssize_t i = 0; i < n; i++) {
			if ((unsigned char)piece[i] > 127)
				return true;
			if (piece[i] == '\n' && last == '\n')
				return false;	/* the end of the header */
			if (piece[i] != '\r')
				last = piece[i];
		}
		at += (uint64_t)n;
	}
	return false;
}

bool
client_tx_unfit(const struct smtp_client *c, struct verdict *v)
{
	const struct smtp_client_tx *tx = c->tx;
	bool bad = !clean(tx->sender) || !clean(tx->qid) || slice_find(tx->qid, ' ') != tx->qid.n;

	for (size_t i = 0; i < tx->nrcpt; i++)
		bad = bad || !clean(tx->rcpts[i].address) || !clean(tx->rcpts[i].orcpt_type);
	if (bad) {
		*v = verdict(PERM, 550, "5.1.3", "control characters in an address");
		return true;
	}
	if (c->offer.size_max && tx->size > c->offer.size_max) {
		*v = verdict(PERM, 552, "5.3.4", "message of %llu bytes, the server takes %llu",
		    (unsigned long long)tx->size, (unsigned long long)c->offer.size_max);
		return true;
	}
	if (tx->smtputf8 && !(c->offer.has & OFFERS_SMTPUTF8) && needs_utf8(tx)) {
		*v = verdict(PERM, 550, "5.6.7", "the server does not take UTF-8 in addresses and headers");
		return true;
	}
	if (tx->eightbit && !(c->offer.has & OFFERS_8BITMIME) && !c->p->send_8bit) {
		*v = verdict(PERM, 550, "5.6.3", "the server does not take 8-bit messages");
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
body_end(struct smtp_client *c)
{
	c->body_left = false;
	if (c->chunking)
		return;
	if (c->last[1] != '\n' || c->last[0] != '\r')
		buf_lit(stream_out(&c->io), "\r\n");
	buf_lit(stream_out(&c->io), ".\r\n");
}

/* One piece of the body into the output.  False when it cannot be read. */
static bool
body_piece(struct smtp_client *c)
{
	struct smtp_client_tx *tx = c->tx;
	struct buf *out = stream_out(&c->io);
	char piece[PIECE / 2];
	const char *p = piece;
	ssize_t n;

	if (c->chunking) {
		char *room = buf_reserve(out, tx->size - c->body_at < PIECE ? tx->size - c->body_at : PIECE);

		n = body_read(tx, c->body_at, room, PIECE);
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
	c->body_at += (uint64_t)n;
	return true;
}

void
client_body_more(struct smtp_client *c)
{
	while (c->body_left && stream_backlog(&c->io) <= STREAM_LOW) {
		if (c->body_at == c->tx->size) {
			body_end(c);
			return;
		}
		if (!body_piece(c)) {
			/* Half of it is out: only closing takes that back. */
			struct verdict v = verdict(TEMP, 451, "4.3.0", "the message cannot be read");

			client_broken(c, &v, false);
			return;
		}
		if (stream_backlog(&c->io) + stream_out(&c->io)->n > STREAM_LOW)
			stream_flush(&c->io);
	}
}

void
client_body_begin(struct smtp_client *c)
{
	if (c->chunking)
		buf_printf(stream_out(&c->io), "BDAT %llu LAST\r\n", (unsigned long long)c->tx->size);
	c->body_left = true;
	client_body_more(c);
}

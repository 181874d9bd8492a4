/* imapd/binary.c: parts of messages with their transfer encoding undone: BINARY[...] and BINARY.SIZE[...],
 * RFC 3516 4.2, 4.3, RFC 9051 6.4.5.
 *
 * Called by body.c for a section, step by step: a piece of mail/text each.  A part is decoded twice, to
 * know how many octets a literal announces and to send them.  Sections of one part follow each other, by
 * where they begin (body_sections), so that it is counted once for all of them, as far as any needs,
 * and what lies before them is passed over once.  Cost: the octets of each part that is asked for, and
 * of each section what it sends and a piece.  What must stay true: all runs see the same file, which is
 * mapped and is never written; bytes that are not in memory are read by the pool first. */
#include "fetch.h"

/* Raw octets that the pool reads ahead. */
#define READ_AHEAD (4 * TEXT_PIECE)

bool
binary_is(const struct imap_section *sec)
{
	return sec->kind == IMAP_SECTION_BINARY || sec->kind == IMAP_SECTION_BINARY_SIZE;
}

void
binary_close(struct fetch *f)
{
	if (f->binary.part)
		text_close(&f->binary.reader);
	buf_fini(&f->binary.piece);
	f->binary = (struct binary){ 0 };
}

void
binary_tell_size(struct session *s, struct fetch *f, const struct imap_section *sec, uint64_t size)
{
	imap_section_write(session_out(s), sec);
	buf_char(session_out(s), ' ');
	buf_u64(session_out(s), size);
	f->left = 0;
	f->stage = SECTION_SENDS;
}

/* Another part than that of the section before? */
static void
binary_open(struct fetch *f, const struct mime_part *p)
{
	struct binary *b = &f->binary;

	if (b->part == p)
		return;
	binary_close(f);
	b->part = p;
	text_open(&b->reader, mime_body(f->message.mime, p), p->encoding, slice(NULL, 0));
	b->counted = b->from = (struct binary_place){ .rest = b->reader.rest };
}

enum imap_next
binary_begin(struct session *s, struct fetch *f, const struct imap_section *sec)
{
	const struct mime *m = f->message.mime;
	const struct mime_part *p = m ? mime_part_at(m, sec->path, sec->npath) : NULL;
	const bool size = sec->kind == IMAP_SECTION_BINARY_SIZE;
	enum text_encoding encoding = TEXT_PLAIN;

	if (!p) {
		if (size)
			binary_tell_size(s, f, sec, 0);
		else
			body_nil(s, f, sec);
		return IMAP_NEXT;
	}
	/* What has parts of its own is not encoded (RFC 2045 6.4). */
	if (p->kind == MIME_LEAF && !text_encoding_find(p->encoding, &encoding)) {
		f->unknown_cte = true;
		body_skip_section(f);
		return IMAP_NEXT;
	}
	if (encoding == TEXT_PLAIN) {
		if (size) {
			binary_tell_size(s, f, sec, p->body_len);
			return IMAP_NEXT;
		}
		f->off = p->body_at;
		body_announce(s, f, sec, p->body_len, false);
		return IMAP_NEXT;
	}
	binary_open(f, p);
	f->stage = SECTION_COUNTS;
	return IMAP_NEXT;
}

/* Nothing follows there: the part ends, or base64 does. */
static bool
binary_is_over(const struct binary_place *at)
{
	return at->rest.n == 0 || at->base64.end;
}

/* Up to where a section has to be counted. */
static uint64_t
binary_needs(const struct imap_section *sec)
{
	return sec->kind == IMAP_SECTION_BINARY_SIZE || !sec->partial ?
	    UINT64_MAX :
	    (uint64_t)sec->start + sec->len;
}

/* The size is known, or enough of it. */
static void
binary_counted(struct session *s, struct fetch *f, const struct imap_section *sec)
{
	struct binary *b = &f->binary;

	if (sec->kind == IMAP_SECTION_BINARY_SIZE) {
		binary_tell_size(s, f, sec, b->counted.at);
		return;
	}
	f->picks = true; /* its partial range begins behind what is skipped, not at an offset */
	body_announce(s, f, sec, b->counted.at, b->nul);
	f->picks = false;
	if (f->left == 0)
		return;
	if (f->skip < b->from.at) /* another path to the same part */
		b->from = (struct binary_place){ .rest = mime_body(f->message.mime, b->part) };
	f->skip -= b->from.at;
	b->next = b->from;
	f->stage = SECTION_DECODES;
}

/* Is the piece there cold?  One that is decoded already is not looked at again. */
static bool
binary_is_cold(struct fetch *f, const struct binary_place *at, uint64_t *off)
{
	*off = (uint64_t)(at->rest.p - message_bytes(&f->message).p);
	return f->binary.piece_of != at->rest.p &&
	    body_is_cold(f, *off, at->rest.n < TEXT_PIECE ? at->rest.n : TEXT_PIECE);
}

/* Decodes the piece there into b->piece and goes behind it. */
static void
binary_decode(struct binary *b, struct binary_place *at)
{
	if (b->piece_of != at->rest.p) {
		b->piece_of = at->rest.p;
		b->reader.rest = at->rest;
		b->reader.base64 = at->base64;
		buf_clear(&b->piece);
		(void)text_next_octets(&b->reader, &b->piece);
		b->piece_end = (struct binary_place){ .rest = b->reader.rest,
			.base64 = b->reader.base64,
			.at = at->at + b->piece.n };
	}
	*at = b->piece_end;
}

static void
binary_count(struct binary *b)
{
	binary_decode(b, &b->counted);
	b->nul = b->nul || memchr(b->piece.p ? b->piece.p : "x", '\0', b->piece.n);
}

/* What of the next piece belongs to the partial range. */
static void
binary_send(struct session *s, struct fetch *f)
{
	struct binary *b = &f->binary;
	const bool first = b->next.rest.p == b->from.rest.p;
	struct slice piece;
	size_t skip;

	binary_decode(b, &b->next);
	piece = buf_get(&b->piece);
	if (first && piece.n <= f->skip)
		b->from = b->next; /* the sections that follow begin no earlier */
	skip = f->skip < piece.n ? (size_t)f->skip : piece.n;
	f->skip -= skip;
	piece = slice_from(piece, skip);
	if (piece.n > f->left)
		piece.n = (size_t)f->left;
	buf_slice(session_out(s), piece);
	f->left -= piece.n;
}

enum imap_next
binary_step(struct session *s, struct fetch *f, const struct imap_section *sec)
{
	struct binary *b = &f->binary;
	const bool counts = f->stage == SECTION_COUNTS;
	struct binary_place *at = counts ? &b->counted : &b->next;
	uint64_t off;

	if (counts && (binary_is_over(at) || at->at >= binary_needs(sec))) {
		binary_counted(s, f, sec);
		return IMAP_NEXT;
	}
	if (binary_is_over(at))
		return IMAP_CLOSE; /* not so many as were counted */
	if (binary_is_cold(f, at, &off))
		return body_warm(s, f, off, at->rest.n < READ_AHEAD ? at->rest.n : READ_AHEAD);
	if (counts) {
		binary_count(b);
		return IMAP_NEXT;
	}
	binary_send(s, f);
	if (f->left == 0)
		f->stage = SECTION_SENDS;
	return IMAP_NEXT;
}

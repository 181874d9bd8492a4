/* imap/cache.h: the cache record of a message: what IMAP asks often, as the bytes it sends.
 *
 * lmtpd and imapd build it from the message that they have just written, storectl builds it
 * again from the file; the store keeps it as opaque bytes under the message's content id and
 * imapd reads it.  Pure: bytes in, bytes out; hostile mail gives a smaller record, never an
 * error.  All integers are little-endian and unaligned; the layout is in cache.c and may
 * change: a record of another version is not parsed, and the reader goes to the file.
 *
 * What is in it: the ENVELOPE and BODYSTRUCTURE of RFC 3501 7.4.2 in plain ASCII (8-bit text
 * became RFC 2047 encoded words and RFC 2231 parameters, so that every session may get it);
 * where each MIME part's header and body lie; and decoded, case-folded copies of the headers
 * that SEARCH wants.  The record never exceeds IMAP_CACHE_MAX: what does not fit is left out
 * (its slice is empty, its bit in `has` is clear). */
#ifndef IMAP_CACHE_H
#define IMAP_CACHE_H
#include "base/buf.h"

#define IMAP_CACHE_MAX (32 * 1024)

/* Appends the record of the message `msg` (CRLF line ends, as it lies in the store; below
 * 4 GiB). */
void imap_cache_build(struct slice msg, struct buf *out);

/* The headers with search copies: unfolded, encoded words decoded to UTF-8, case folded with
 * utf8_fold_to; several fields of one name are joined by a newline.  The last three are kept
 * as they are, unfolded only. */
enum imap_field {
	IMAP_SUBJECT, IMAP_FROM, IMAP_TO, IMAP_CC, IMAP_BCC,
	IMAP_MESSAGE_ID, IMAP_IN_REPLY_TO, IMAP_REFERENCES,
	IMAP_FIELDS
};

/* What the record has. */
enum {
	IMAP_HAS_ENVELOPE = 1,
	IMAP_HAS_STRUCTURE = 2,
	IMAP_HAS_PARTS = 4,
	IMAP_HAS_FIELDS = 8, /* all of them, whole */
	IMAP_HAS_DATE = 16,  /* sent_at and sent_day are real */
};

/* A parsed record; all slices borrow from it. */
struct imap_cache {
	unsigned has;
	uint32_t size;       /* bytes of the message */
	uint32_t header_len; /* of the message's header, with the empty line */
	int64_t sent_at;     /* Date: as unix seconds */
	int32_t sent_day;    /* Date: as days since 1970-01-01 in the sender's own zone */
	struct slice envelope;
	struct slice structure; /* BODYSTRUCTURE; BODY by imap_body_from_structure() */
	struct slice parts;     /* see imap_cache_part() */
	struct slice fields[IMAP_FIELDS];
};

/* Costs the same for any size.  0, or -EBADMSG (damaged or another version). */
int imap_cache_parse(struct slice rec, struct imap_cache *c) MUSTCHECK;

/* Where a part lies in the message.  For a section "n.m": `mime` is its MIME header with the
 * empty line; `body` what BODY[n.m] gives.  When the part is message/rfc822, `header` and
 * `text` are the inner message's (BODY[n.m.HEADER], BODY[n.m.TEXT]), else both are empty and
 * `message` is false.  Offsets count from the message's start. */
struct imap_extent {
	uint32_t at, len;
};
struct imap_part {
	struct imap_extent mime, body, header, text;
	bool message;
};
/* Finds the part of a section path (numbers from 1; n = 0 is the whole message, whose `header`
 * and `text` are set).  0, -ENOENT: there is no such part, -ENODATA: the record has no parts. */
int imap_cache_part(const struct imap_cache *c, const uint32_t *path, size_t n,
    struct imap_part *part) MUSTCHECK;

/* Appends BODY (no extension data) made from BODYSTRUCTURE as written by us. */
void imap_body_from_structure(struct buf *out, struct slice structure);
#endif

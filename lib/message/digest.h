/* message/digest.h: the digest of a message: what is asked often, so that its file need not be
 * opened.
 *
 * lmtpd and imapd build it from the message that they have just written, storectl builds it
 * again from the file; the store keeps it as opaque bytes under the message's content id; readers
 * parse it in place.  Pure: bytes in, bytes out; hostile mail gives a smaller digest, never an
 * error.  All integers are little-endian and unaligned; tiermail-store(5) has the layout.
 *
 * What is in it: the ENVELOPE and BODYSTRUCTURE of RFC 3501 7.4.2 in plain ASCII (8-bit text
 * became RFC 2047 encoded words and RFC 2231 parameters, so that every session may get it);
 * where each MIME part's header and body lie; the header fields that clients list mailboxes by,
 * octet by octet; the text of those that SEARCH asks for; and, behind all, what the message refers to
 * (store/thread.h), which the store reads itself.  A digest never exceeds
 * MESSAGE_DIGEST_MAX: what does not fit is left out (its bit in `has` is clear).
 *
 * Versions: a later digest of version 2 may have a longer head and more behind its last part;
 * readers skip both.  A digest of version 1 (no header fields, all text copied) is read too.  One
 * of another version is not, and the reader goes to the file. */
#ifndef MESSAGE_DIGEST_H
#define MESSAGE_DIGEST_H
#include "base/buf.h"
#include "message/word.h"

#define MESSAGE_DIGEST_MAX (32 * 1024)

/* Appends the digest of the message `msg` (CRLF line ends, as it lies in the store; below
 * 4 GiB). */
void message_digest_build(struct slice msg, struct buf *out);

/* The fields whose text SEARCH finds without looking for them. */
enum message_field {
	MESSAGE_SUBJECT,
	MESSAGE_FROM,
	MESSAGE_TO,
	MESSAGE_CC,
	MESSAGE_BCC,
	MESSAGE_MESSAGE_ID,
	MESSAGE_IN_REPLY_TO,
	MESSAGE_REFERENCES,
	MESSAGE_FIELDS
};

/* What a digest has. */
enum {
	MESSAGE_HAS_ENVELOPE = 1,
	MESSAGE_HAS_STRUCTURE = 2,
	MESSAGE_HAS_PARTS = 4,
	MESSAGE_HAS_TEXT = 8,    /* of enum message_field, whole */
	MESSAGE_HAS_DATE = 16,   /* sent_at and sent_day are real */
	MESSAGE_HAS_HEADER = 32, /* every kept field, whole */
};

/* A parsed digest; all slices borrow from it. */
struct message_digest {
	unsigned has;
	uint32_t size;          /* bytes of the message */
	uint32_t header_len;    /* of the message's header, with the empty line */
	int64_t sent_at;        /* Date: as unix seconds */
	int32_t sent_day;       /* Date: as days since 1970-01-01 in the sender's own zone */
	struct slice header;    /* the kept fields in their order, octet by octet, no empty line */
	struct slice envelope;  /* whole; empty: in pieces, see message_digest_envelope() */
	struct slice rest;      /* what follows the head, */
	const char *pieces;     /* and where the envelope's fields lie in it */
	struct slice structure; /* BODYSTRUCTURE; BODY by imap_body_from_structure() */
	struct slice parts;     /* see message_digest_part() */
};

/* Costs the same for any size.  0, or -EBADMSG (damaged or another version). */
int message_digest_parse(struct slice rec, struct message_digest *d) MUSTCHECK;
/* The day of the Date field as the store's index has it: struct store_record.sentday. */
uint16_t message_digest_sentday(struct slice rec);

/* Writes ENVELOPE, which the digest has, at a pointer to at least _room() bytes, and returns its
 * end. */
#define MESSAGE_ENVELOPE_FIELDS 10
size_t message_digest_envelope_room(const struct message_digest *d);
char *message_digest_envelope(const struct message_digest *d, char *at);

/* The number of a field (enum message_field), or -1. */
int message_digest_field_number(struct slice name);
/* Is this one of the fields that MESSAGE_HAS_HEADER means? */
bool message_digest_keeps(struct slice name);
/* Has a field of the message the text of `word` (empty: is the field there)?  `field` is its number,
 * or -1: then `name` is one that is kept.  Reads the record in place.  0 and *yes; -ENODATA: the
 * digest does not know; -EBADMSG. */
int message_digest_find(struct slice rec, int field, struct slice name,
    const struct message_word *word, bool *yes) MUSTCHECK;
/* The text of a field, not folded when the header shows it as it is; for tests. */
int message_digest_text(struct slice rec, enum message_field field, struct slice *text) MUSTCHECK;

/* Where a part lies in the message.  For a section "n.m": `mime` is its MIME header with the
 * empty line; `body` what BODY[n.m] gives.  When the part is message/rfc822, `header` and
 * `text` are the inner message's (BODY[n.m.HEADER], BODY[n.m.TEXT]), else both are empty and
 * `message` is false.  Offsets count from the message's start. */
struct message_extent {
	uint32_t at, len;
};
struct message_part {
	struct message_extent mime, body, header, text;
	bool message;
};
/* Finds the part of a section path (numbers from 1; n = 0 is the whole message, whose `header`
 * and `text` are set).  0, -ENOENT: there is no such part, -ENODATA: the digest has no parts. */
int message_digest_part(const struct message_digest *d, const uint32_t *path, size_t n,
    struct message_part *part) MUSTCHECK;
#endif

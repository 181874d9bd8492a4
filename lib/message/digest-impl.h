/* message/digest-impl.h: the digest's layout, shared by digest.c and digest-build.c. */
#ifndef MESSAGE_DIGEST_IMPL_H
#define MESSAGE_DIGEST_IMPL_H
#include "message/digest.h"

#define DIGEST_VERSION 2

/* Bytes of what follows the head, counted from there.  A field's text lies in the kept header when
 * that shows it as it is, else in the copies.  A field of ENVELOPE lies in the kept header when it
 * is a string that only lacks its quotes, else among the envelope's own pieces; Sender and Reply-To
 * mostly are From's piece.  That halves ENVELOPE, of which a mailbox has one for each message. */
struct digest_span {
	uint16_t at, len;
} PACKED;
#define DIGEST_ABSENT 0xffff /* `at` of a field that is not there */

/* Version 2: this, then the header fields, the copies, envelope, structure and parts without
 * gaps.  The header stands first because SEARCH reads it of every message: it shares the head's
 * cache lines. */
struct digest_head {
	uint8_t version;
	uint8_t zero;
	uint16_t head_len; /* bytes of the head: a later one may be longer */
	uint32_t has;
	uint32_t size, header_len;
	int32_t sent_day;
	int64_t sent_at;
	uint16_t kept_len, copies_len, envelope_len, structure_len, parts_len;
	struct digest_span text[MESSAGE_FIELDS];
	struct digest_span envelope[MESSAGE_ENVELOPE_FIELDS]; /* absent: NIL */
} PACKED;
_Static_assert(sizeof(struct digest_head) == 110, "on disk: tiermail-store(5)");
_Static_assert(MESSAGE_DIGEST_MAX < UINT16_MAX, "lengths are 16 bits");

/* Version 1: this, then envelope, structure, parts and the folded copies. */
struct digest_head_1 {
	uint8_t version, has;
	uint16_t zero;
	uint32_t size, header_len;
	int32_t sent_day;
	int64_t sent_at;
	uint32_t envelope_len, structure_len, parts_len;
	uint16_t text_len[MESSAGE_FIELDS];
} PACKED;

/* One MIME part, parents before children. */
struct digest_part {
	uint32_t header_at, header_len, body_at, body_len;
	uint32_t span; /* entries of this part and everything below it */
	uint32_t kind; /* enum mime_kind */
} PACKED;

/* A field that is kept (its name in lower case), which text it is and which of ENVELOPE; -1: none. */
struct digest_name {
	const char *name;
	uint8_t n;
	int8_t text;     /* enum message_field */
	int8_t envelope; /* IMAP_ENVELOPE_... */
};
const struct digest_name *message_digest_name(struct slice name);
#endif

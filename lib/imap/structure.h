/* imap/structure.h: ENVELOPE, BODY and BODYSTRUCTURE (RFC 3501 7.4.2) of a parsed message.
 *
 * All output is ASCII: raw 8-bit text becomes RFC 2047 encoded words, in parameters the
 * RFC 2231 form.  Cost is linear; hostile mail gives odd but well-formed output. */
#ifndef IMAP_STRUCTURE_H
#define IMAP_STRUCTURE_H
#include "mail/address.h"
#include "mail/mime.h"

#define IMAP_ADDRESSES_MAX 10000 /* of one field in an ENVELOPE */

/* Appends "(date subject from ...)" of a header block.  `a` is for scratch. */
void imap_envelope_write(struct buf *b, struct slice header, struct arena *a);
/* The same for who has walked through the header anyway: zeroed, then given the value of each field
 * as it is met (the first of a name counts, IMAP_ENVELOPE_*), then ended by _read, which parses the
 * addresses, and written as often as one likes. */
enum {
	IMAP_ENVELOPE_DATE,
	IMAP_ENVELOPE_SUBJECT,
	IMAP_ENVELOPE_FROM,
	IMAP_ENVELOPE_SENDER,
	IMAP_ENVELOPE_REPLY_TO,
	IMAP_ENVELOPE_TO,
	IMAP_ENVELOPE_CC,
	IMAP_ENVELOPE_BCC,
	IMAP_ENVELOPE_IN_REPLY_TO,
	IMAP_ENVELOPE_MESSAGE_ID,
	IMAP_ENVELOPE_FIELDS
};
struct imap_envelope {
	struct slice values[IMAP_ENVELOPE_FIELDS];       /* p NULL: absent */
	struct address_list lists[IMAP_ENVELOPE_FIELDS]; /* From to Bcc; empty where not said */
};
/* Where each of its fields came to lie. */
struct imap_envelope_span {
	size_t at, len;
};
void imap_envelope_take(struct imap_envelope *e, int field, struct slice value);
void imap_envelope_read(struct imap_envelope *e, struct arena *a);
void imap_envelope_put(struct buf *b, const struct imap_envelope *e, struct arena *a,
    struct imap_envelope_span spans[IMAP_ENVELOPE_FIELDS]);
/* Appends BODYSTRUCTURE, or with `extended` false BODY, of the tree below `p`. */
void imap_structure_write(struct buf *b, const struct mime *m, const struct mime_part *p,
    bool extended, struct arena *a);
/* Appends BODY (no extension data) made from BODYSTRUCTURE as written by us. */
void imap_body_from_structure(struct buf *out, struct slice structure);
/* Appends header text as an IMAP string that any session may get. */
void imap_text_write(struct buf *b, struct slice raw);
#endif

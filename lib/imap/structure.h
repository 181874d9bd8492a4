/* imap/structure.h: ENVELOPE, BODY and BODYSTRUCTURE (RFC 3501 7.4.2) of a parsed message.
 *
 * All output is ASCII: raw 8-bit text becomes RFC 2047 encoded words, in parameters the
 * RFC 2231 form.  Cost is linear; hostile mail gives odd but well-formed output. */
#ifndef IMAP_STRUCTURE_H
#define IMAP_STRUCTURE_H
#include "mail/mime.h"

#define IMAP_ADDRESSES_MAX 10000 /* of one field in an ENVELOPE */

/* Appends "(date subject from ...)" of a header block.  `a` is for scratch. */
void imap_envelope_write(struct buf *b, struct slice header, struct arena *a);
/* Appends BODYSTRUCTURE, or with `extended` false BODY, of the tree below `p`. */
void imap_structure_write(struct buf *b, const struct mime *m, const struct mime_part *p,
    bool extended, struct arena *a);
/* Appends header text as an IMAP string that any session may get. */
void imap_text_write(struct buf *b, struct slice raw);
#endif

/* mail/partial.h: messages in pieces (message/partial, RFC 2046 5.2.2): what a piece says of itself, and the
 * header of the whole.  Pure; what a stranger writes here is taken for no more than a claim, and bounded. */
#ifndef MAIL_PARTIAL_H
#define MAIL_PARTIAL_H
#include "base/arena.h"
#include "base/buf.h"

#define PARTIAL_PIECES 1000 /* most pieces of one message */
#define PARTIAL_ID     512  /* octets of an id that are looked at */

struct partial {
	struct slice id;        /* borrowed, or in the arena */
	uint32_t number, total; /* number: from 1; total: 0 when this piece does not say */
};
/* Does the header say that this is a piece, in a form that can be put together: an id, a number within the total
 * and within PARTIAL_PIECES, an encoding that leaves lines as they are? */
bool partial_parse(struct slice header, struct arena *a, struct partial *p) MUSTCHECK;
/* Appends the header of the whole with its empty line: `outer` is the first piece's, `inner` the one that its body
 * begins with, each without or with its empty line (RFC 2046 5.2.2.1). */
void partial_header_write(struct slice outer, struct slice inner, struct buf *out);
#endif

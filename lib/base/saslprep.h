/* base/saslprep.h: passwords as both ends of SCRAM hash them: SASLprep (RFC 4013). */
#ifndef BASE_SASLPREP_H
#define BASE_SASLPREP_H
#include "base/buf.h"

#define SASLPREP_MAX                                                                               \
	1024 /* octets of what is prepared; marks are put in order at the square of it */

/* Appends s (UTF-8) prepared.  -EBADMSG: it is empty, too long, no UTF-8, or has characters that RFC 4013 2.3 and 2.5
 * forbid; *b is as it was, but may have grown.  Characters are those that libutf8proc knows, not Unicode 3.2's:
 * clients are as free.  The rule for text that runs from right to left (RFC 3454 6) forbids nothing here. */
int saslprep(struct buf *b, struct slice s) MUSTCHECK;
#endif

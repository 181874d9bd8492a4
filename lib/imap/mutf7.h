/* imap/mutf7.h: mailbox names on the wire, modified UTF-7 (RFC 3501 5.1.3).  Inside the suite
 * names are UTF-8; this is the edge. */
#ifndef IMAP_MUTF7_H
#define IMAP_MUTF7_H
#include "base/buf.h"

/* Appends the UTF-8 of a modified UTF-7 name.  0 or -EBADMSG: bad base64, a shift that was not
 * needed ("&AEE-" for "A": two spellings of one name would be two names), unpaired surrogates,
 * 8-bit bytes, control characters. */
int imap_mutf7_parse(struct buf *b, struct slice s) MUSTCHECK;
/* Appends the modified UTF-7 of a UTF-8 name; bad bytes become U+FFFD. */
void imap_mutf7_write(struct buf *b, struct slice utf8);
#endif

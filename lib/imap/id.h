/* imap/id.h: the arguments of ID (RFC 2971 3.1), which the store's server and the proxy both read. */
#ifndef IMAP_ID_H
#define IMAP_ID_H
#include "imap/args.h"

#define IMAP_ID_FIELDS 30 /* RFC 2971 3.1 */

/* Reads " NIL" or " (field value ...)" to the end of the command, and calls `each` (may be NULL) for every
 * field that has a value.  Appends "field=value ..." to `said`, as far as its cap goes.  False: a syntax
 * error. */
bool imap_id_read(struct imap_in *in, struct buf *said,
    void (*each)(void *arg, struct slice field, struct slice value), void *arg) MUSTCHECK;
#endif

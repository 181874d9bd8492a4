/* lmtpd/globals.h: the administrator's scripts that others may include (RFC 6609 3.2, :global).
 *
 * A folder of files NAME.sieve (sieve.global), read at the start and at each reload into memory: a set that never
 * changes, so that threads may compile from it, and that lives as long as a script that was given it.  The loop's
 * thread alone counts who has one. */
#ifndef LMTPD_GLOBALS_H
#define LMTPD_GLOBALS_H
#include "base/buf.h"

struct globals;
/* The set at hand; the reference is the caller's.  NULL: there is none. */
struct globals *globals_get(void);
struct globals *globals_ref(struct globals *); /* NULL stays it */
void globals_unref(struct globals **);
/* On any thread, of NULL too. */
bool globals_find(const struct globals *, struct slice name, struct slice *text);
uint64_t globals_number(const struct globals *); /* another one for each set; 0 of NULL */

/* Reads the folder anew.  False with a line of *why: what was there stays. */
bool globals_read(struct buf *why);
/* Would it be read?  For -n. */
bool globals_check(struct buf *why);
#endif

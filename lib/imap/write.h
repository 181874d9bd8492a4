/* imap/write.h: the elements of responses (RFC 3501 9), appended to a buffer.
 *
 * A value goes out as an atom, a quoted string or a literal, whichever is the simplest that can
 * carry it.  The numbers and flags here are hand-written, because FETCH of a large mailbox
 * writes hundreds of thousands of them: the `_at` forms write at a pointer into room that the
 * caller has reserved and return the new end. */
#ifndef IMAP_WRITE_H
#define IMAP_WRITE_H
#include "base/buf.h"

void imap_write_string(struct buf *b, struct slice s);  /* quoted or literal */
void imap_write_nstring(struct buf *b, struct slice s); /* NIL when s.p is NULL */
void imap_write_astring(struct buf *b, struct slice s); /* an atom where it can be one */
/* A mailbox name (UTF-8 inside) as astring in modified UTF-7. */
void imap_write_mailbox(struct buf *b, struct slice utf8);
/* "17-Jul-1996 02:44:25 -0700" with quotes. */
void imap_write_date_time(struct buf *b, int64_t at, int zone_min);

#define IMAP_U64_MAX 20 /* digits */
char *imap_u32_at(char *p, uint32_t v);
char *imap_u64_at(char *p, uint64_t v);
/* The system flags (IMAP_SEEN ...) separated by spaces, none behind; at most
 * IMAP_SYSTEM_FLAGS_MAX bytes. */
#define IMAP_SYSTEM_FLAGS_MAX 56
char *imap_flags_at(char *p, unsigned system);
#define IMAP_DATE_TIME_MAX 28
char *imap_date_time_at(char *p, int64_t at, int zone_min);
#endif

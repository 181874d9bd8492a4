/* imap/write.h: the elements of responses (RFC 3501 9), appended to a buffer.
 *
 * A value goes out as an atom, a quoted string or a literal, whichever is the simplest that can
 * carry it.  The numbers and flags here are hand-written, because FETCH of a large mailbox
 * writes hundreds of thousands of them: the `_at` forms write at a pointer into room that the
 * caller has reserved and return the new end. */
#ifndef IMAP_WRITE_H
#define IMAP_WRITE_H
#include "base/buf.h"

void imap_write_string(struct buf *b, struct slice s); /* quoted or literal */
/* The same when it is short printable ASCII that needs but quotes, as nearly all is; else false. */
bool imap_write_plain(struct buf *b, struct slice s);
void imap_write_nstring(struct buf *b, struct slice s); /* NIL when s.p is NULL */
void imap_write_astring(struct buf *b, struct slice s); /* an atom where it can be one */
/* A mailbox name (UTF-8 inside) as astring: in modified UTF-7, or with `utf8` as it is (RFC 6855 3,
 * RFC 9051 5.1). */
void imap_write_mailbox(struct buf *b, struct slice name, bool utf8);

#define IMAP_U64_MAX 20 /* digits */
#define IMAP_U32_MAX 10
char *imap_u32_at(char *p, uint32_t v);
char *imap_u64_at(char *p, uint64_t v);
/* The number that is written in first..end becomes the next one.  False: that has a digit more; what
 * is there then means nothing. */
bool imap_count_up(char *first, char *end);
/* An object id: `letter` and 16 hexadecimal digits (RFC 8474 7; imap_objectid_number reads it). */
#define IMAP_OBJECTID 17
char *imap_objectid_at(char *p, char letter, uint64_t id);
/* The system flags (IMAP_SEEN ...) separated by spaces, none behind; at most
 * IMAP_SYSTEM_FLAGS_MAX bytes. */
#define IMAP_SYSTEM_FLAGS_MAX 56
char *imap_flags_at(char *p, unsigned system);
/* "17-Jul-1996 02:44:25 -0700" with quotes.  `d` (zeroed at first) keeps the day that was written last:
 * mail comes many a day. */
#define IMAP_DATE_TIME_MAX 28
struct imap_day {
	int64_t day;
	char text[12];
};
char *imap_date_time_at(char *p, int64_t at, int zone_min, struct imap_day *d);
#endif

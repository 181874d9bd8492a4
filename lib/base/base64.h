/* base/base64.h: RFC 4648 4 (standard alphabet, padded) and the modified alphabet of
 * RFC 3501 5.1.3 is in imap/mutf7. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H
#include "base/buf.h"

void base64_write(struct buf *b, struct slice s); /* no line breaks */
/* Strict: whole quanta, correct padding, no other characters (RFC 4648 3.3).
 * 0 or -EBADMSG; what was decoded so far is in b. */
int base64_parse(struct buf *b, struct slice s) MUSTCHECK;
/* RFC 4648 5: the alphabet of URLs, without padding; the same strictness. */
void base64_url_write(struct buf *b, struct slice s);
int base64_url_parse(struct buf *b, struct slice s) MUSTCHECK;
/* Lenient, for MIME bodies (RFC 2045 6.8): skips characters outside the alphabet, stops at
 * padding.  Never fails. */
void base64_parse_mime(struct buf *b, struct slice s);
/* The same in pieces; ready when zeroed.  `last` ends it. */
struct base64_stream {
	uint32_t acc;
	uint8_t have; /* characters of a quantum */
	bool end;     /* padding was met */
};
void base64_feed(struct base64_stream *st, struct buf *b, struct slice s, bool last);
#endif

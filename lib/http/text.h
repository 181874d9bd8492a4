/* http/text.h: what HTTP writes into fields, and compares there (RFC 9110).  Pure. */
#ifndef HTTP_TEXT_H
#define HTTP_TEXT_H
#include "base/buf.h"

/* "Not Found" for 404; never NULL. */
const char *http_reason(unsigned status);
/* Appends "name: value" and its line end.  Line ends and other controls in the value become blanks: no field
 * makes another. */
void http_field_write(struct buf *b, const char *name, struct slice value);
/* Appends "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 5.6.7). */
void http_date_write(struct buf *b, int64_t at);

/* Is `etag`, with its quotes, in this list of If-None-Match or If-Match, or is the list "*"?  Weak
 * comparison passes over W/ (RFC 9110 8.8.3.2).  A list that is malformed has nothing in it. */
bool http_etag_in(struct slice list, struct slice etag, bool weak);

enum http_range {
	HTTP_RANGE_WHOLE, /* no range that is understood: all of it, RFC 9110 14.2 */
	HTTP_RANGE_PART,  /* *from and *n */
	HTTP_RANGE_NONE   /* nothing of it is there: 416 */
};
/* The value of a Range field for something of `total` octets; several ranges are answered with all. */
enum http_range http_range_parse(struct slice value, uint64_t total, uint64_t *from, uint64_t *n);
#endif

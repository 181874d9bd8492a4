/* web/gzip.h: content compressed on its way out (RFC 1952, RFC 9110 8.4.1.3).
 *
 * For texts that are made anew for each answer; files are compressed once, beside themselves (files.h).  A
 * stream takes some 260 KiB while it lasts. */
#ifndef WEB_GZIP_H
#define WEB_GZIP_H
#include "base/buf.h"
#include "http/reader.h"

/* Less than this is not worth it. */
#define WEB_GZIP_LEAST 1400

/* Does the request's Accept-Encoding have this word?  RFC 9110 12.5.3 */
bool web_accepts(const struct http_head *h, struct slice coding);

struct web_gzip;
struct web_gzip *web_gzip_new(void) MUSTCHECK; /* NULL: no memory; then without */
/* Appends what comes of `piece`, which may be nothing yet; `last`: and the end. */
void web_gzip_add(struct web_gzip *g, struct slice piece, bool last, struct buf *out);
void web_gzip_free(struct web_gzip **g);
#endif

/* mail/preview.h: the beginning of what a message says, as a list of mail shows it (RFC 8970,
 * RFC 8621 4.1.4).
 *
 * Pure: a tree in, text out; any message gives some text, or none. */
#ifndef MAIL_PREVIEW_H
#define MAIL_PREVIEW_H
#include "mail/mime.h"

#define PREVIEW_CHARS 200                 /* RFC 8970 3.2 recommends it, and allows 256 */
#define PREVIEW_LONG  256                 /* RFC 8621 4.1.4 */
#define PREVIEW_MAX   (PREVIEW_CHARS * 4) /* octets */

/* Appends at most `most` characters of UTF-8 on one line: of the first text/plain, else
 * the first text/html without its markup; attachments apart, and without quoted lines.  Nothing when
 * there is no text.  Costs the parts, and 256 KiB of one at most. */
void preview_write(const struct mime *m, size_t most, struct buf *out);
/* The same of one part, text/html or read as plain text, with its quoted lines: what a search has found
 * something in. */
void preview_part_write(const struct mime *m, const struct mime_part *part, size_t most,
    struct buf *out);
#endif

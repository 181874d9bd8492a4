/* message/preview.h: the beginning of what a message says, as a list of mail shows it (RFC 8970).
 *
 * Pure: a tree in, text out; any message gives some text, or none. */
#ifndef MESSAGE_PREVIEW_H
#define MESSAGE_PREVIEW_H
#include "mail/mime.h"

#define MESSAGE_PREVIEW_CHARS 200 /* RFC 8970 3.2 recommends it, and allows 256 */
#define MESSAGE_PREVIEW_MAX   (MESSAGE_PREVIEW_CHARS * 4) /* octets */

/* Appends at most MESSAGE_PREVIEW_CHARS characters of UTF-8 on one line: of the first text/plain, else
 * the first text/html without its markup; attachments apart, and without quoted lines.  Nothing when
 * there is no text.  Costs the parts, and 256 KiB of one at most. */
void message_preview(const struct mime *m, struct buf *out);
#endif

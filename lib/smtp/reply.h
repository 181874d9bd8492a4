/* smtp/reply.h: replies (RFC 5321 4.2) as a server writes them.  Reading them is
 * smtp/answer.h.  Pure. */
#ifndef SMTP_REPLY_H
#define SMTP_REPLY_H
#include "base/buf.h"
#include "mail/verdict.h"

#define SMTP_REPLY_MAX 512 /* a line with CRLF: RFC 5321 4.5.3.1.5 */

/* Appends a reply.  Each line of `text` (separated by LF) becomes a line "250-5.1.1 text";
 * `esc` is the enhanced status code (RFC 2034) or NULL.  CR and control characters become
 * spaces, so that no text can make a line of its own; lines are cut at SMTP_REPLY_MAX. */
void smtp_reply_write(struct buf *b, int code, const char *esc, struct slice text);
void smtp_reply_verdict(struct buf *b, const struct verdict *v);
/* The same in other words, of several lines. */
void smtp_reply_words(struct buf *b, const struct verdict *v, struct slice words);
#endif

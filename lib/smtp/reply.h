/* smtp/reply.h: replies (RFC 5321 4.2), written by servers and read by clients.  Pure. */
#ifndef SMTP_REPLY_H
#define SMTP_REPLY_H
#include "base/buf.h"
#include "mail/verdict.h"

#define SMTP_REPLY_MAX  512         /* a line: RFC 5321 4.5.3.1.5 */
#define SMTP_REPLY_TEXT (16 * 1024) /* all lines of one reply together, as we read them */

/* Appends a reply.  Each line of `text` (separated by LF) becomes a line "250-5.1.1 text";
 * `esc` is the enhanced status code (RFC 2034) or NULL.  CR and control characters become
 * spaces, so that no text can make a line of its own. */
void smtp_reply_write(struct buf *b, int code, const char *esc, struct slice text);
void smtp_reply_verdict(struct buf *b, const struct verdict *v);

/* A reply being read, line by line.  A zeroed struct is ready; smtp_reply_clear before the
 * next one, smtp_reply_fini at the end. */
struct smtp_reply {
	int code;        /* 0 before the first line */
	struct buf text; /* the lines without code, joined by LF */
	unsigned nlines;
};
/* One line without its line end.  1 = the reply is complete, 0 = lines follow, -EBADMSG = this
 * is no SMTP reply (close the connection: what follows cannot be trusted). */
int smtp_reply_add(struct smtp_reply *r, struct slice line) MUSTCHECK;
void smtp_reply_clear(struct smtp_reply *r);
void smtp_reply_fini(struct smtp_reply *r);
/* The outcome: enhanced code taken from the text, lines joined by "; " or so into one. */
struct verdict smtp_reply_verdict_get(const struct smtp_reply *r);
/* Line n (from 0) of the text, borrowed; empty behind the last. */
struct slice smtp_reply_line(const struct smtp_reply *r, unsigned n);
#endif

/* piped/format.h: a message as programs and mailbox files want it.  Pure, in pieces of any length.
 *
 * It comes with lines that end in CR LF.  They go out ended by LF, or as they came; where a From_ line
 * stands in front (mbox), lines of the form >*From_ get one > more (mboxrd), so that it can be undone,
 * and an empty line ends the message. */
#ifndef PIPED_FORMAT_H
#define PIPED_FORMAT_H
#include "base/buf.h"

struct format {
	bool crlf, mbox;
	bool cr;        /* a CR has come that may be half of a line's end */
	bool within;    /* a line has begun, and is known not to be quoted */
	unsigned quote; /* octets of >*From_ that the line begins with so far */
	bool started;   /* something has come; what ended it: */
	bool line_open;
};

void format_init(struct format *f, bool crlf, bool mbox);
/* "From sender date"; the null sender is MAILER-DAEMON. */
void format_from_line(const struct format *f, struct slice sender, struct buf *out);
void format_field(const struct format *f, const char *before, struct slice value,
    const char *behind, struct buf *out);
void format_add(struct format *f, struct slice piece, struct buf *out);
/* The last line is ended, and an mbox message has its empty line. */
void format_end(struct format *f, struct buf *out);
#endif

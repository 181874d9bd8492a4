/* pop3/text.h: POP3 as bytes: command lines, numbers, stuffed messages, the lines of TOP, unique-ids.
 * RFC 1939.  Pure: bytes in, bytes out; used by server.c and by pop3d. */
#ifndef POP3_TEXT_H
#define POP3_TEXT_H
#include "base/buf.h"

#define POP3_LINE_MAX 255 /* octets of a command line with CRLF: RFC 2449 4 */
#define POP3_UIDL_MAX 70  /* characters of a unique-id: RFC 1939 7 */

/* ---- commands ----------------------------------------------------------------------------- */

/* A command line without its end: a word, and what stands behind the one blank after it.  arg.p is
 * NULL when there was no blank.  Further blanks are the argument's: a password may begin with one. */
void pop3_line_parse(struct slice line, struct slice *verb, struct slice *arg);
/* Takes a number, 0 .. UINT32_MAX, off the front of *s, and one blank behind it if there is one. */
bool pop3_number(struct slice *s, uint32_t *n) MUSTCHECK;

/* ---- multi-line answers: RFC 1939 3 ---------------------------------------------------------- */

/* Stuffs a message that comes in pieces.  Zeroed: at its beginning.  Lines end in CRLF; a bare LF,
 * which a file that somebody has put into the store by hand may have, goes out as it is, and a dot
 * behind it is stuffed too: many clients take it for a line's end, and would else see an end of the
 * message that its sender has written. */
struct pop3_stuff {
	enum { POP3_AT_LINE, POP3_AFTER_LF, POP3_AFTER_CR, POP3_IN_LINE } at;
};
void pop3_stuff_write(struct pop3_stuff *st, struct slice bytes, struct buf *out);
/* The end: CRLF when the message does not end so, then the line with the dot. */
void pop3_stuff_end(const struct pop3_stuff *st, struct buf *out);

/* The lines of TOP: the header with its empty line and then so many of the body. */
struct pop3_cut {
	uint32_t lines; /* of the body, still to come */
	bool body;      /* the header is over */
	bool text, cr;  /* the line so far holds something; it is a CR */
	bool over;      /* what follows does not belong to it */
};
/* How many bytes at the front of the next piece belong to it. */
size_t pop3_cut_take(struct pop3_cut *c, struct slice bytes);

/* ---- unique-ids: RFC 1939 7 -------------------------------------------------------------------- */

/* A format: characters 0x21 to 0x7E, of which %u is the UID and %v UIDVALIDITY, both decimal, or
 * hexadecimal as %Xu or %xu, with zeros up to a width in front as %08Xu; %% is a percent sign.  It
 * must have %u, and no unique-id may be longer than POP3_UIDL_MAX.  NULL, or why it is none. */
const char *pop3_uidl_check(const char *format) MUSTCHECK;
void pop3_uidl_write(struct buf *b, const char *format, uint32_t uidvalidity, uint32_t uid);
#endif

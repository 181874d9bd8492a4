/* mail/charset.h: from the charsets of mail to UTF-8.
 *
 * UTF-8, US-ASCII, ISO-8859-1 and -15, Windows-1252 and KOI8-R by small tables; everything
 * else by libc's iconv(3), opened per converter.  Bad bytes become U+FFFD; output is always
 * valid UTF-8. */
#ifndef MAIL_CHARSET_H
#define MAIL_CHARSET_H
#include "base/buf.h"

/* Appends `bytes` as UTF-8.  An unknown charset: -ENOTSUP and nothing is appended. */
int charset_to_utf8(struct buf *out, struct slice charset, struct slice bytes) MUSTCHECK;
/* Appends bytes of unknown origin: as UTF-8 when they are that but for some damage (at least as
 * many sequences are whole as bytes are not: a sender cut a character), with U+FFFD for what is
 * damaged; else as Windows-1252. */
void charset_guess(struct buf *out, struct slice bytes);

/* In pieces.  An empty charset is us-ascii with charset_guess's leniency per piece. */
struct charset {
	int kind;
	void *iconv;
	char left[16]; /* a character cut by the end of a piece */
	uint8_t nleft;
	bool damaged; /* the name is not known, or bytes were met that its charset has not */
};
/* 0, or -ENOTSUP (c then treats bytes like an empty charset, and still must be closed). */
int charset_open(struct charset *c, struct slice name);
/* `last`: no more pieces; what is left over becomes U+FFFD. */
void charset_feed(struct charset *c, struct buf *out, struct slice bytes, bool last);
void charset_close(struct charset *c);
#endif

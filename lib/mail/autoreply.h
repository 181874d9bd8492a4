/* mail/autoreply.h: automatic answers to messages (RFC 3834, RFC 5230): whether one may be sent at all, and
 * what it looks like.
 *
 * Pure.  Who has the mailbox decides that an answer is wanted, remembers who has had one, and sends it, with
 * the null sender. */
#ifndef MAIL_AUTOREPLY_H
#define MAIL_AUTOREPLY_H
#include "base/buf.h"

#define AUTOREPLY_ADDRESSES_MAX 1000 /* of a message that are looked at */

/* A message that came, and for whom. */
struct autoreply_about {
	struct slice header;      /* with the empty line */
	struct slice sender;      /* of the envelope, empty for <> */
	const struct slice *mine; /* addresses of the person who would answer */
	size_t nmine;
};
/* Why no answer may be sent, in a word or two for logs; or NULL, and *me is the one of `mine` that the
 * message was written to.  RFC 3834 2, RFC 5230 4.5, 4.6. */
const char *autoreply_refused(const struct autoreply_about *m, struct slice *me);

struct autoreply {
	struct slice header;  /* of the message that is answered */
	struct slice to;      /* its envelope's sender */
	struct slice from;    /* "Name <local@domain>" or the address alone, UTF-8 */
	struct slice subject; /* UTF-8; empty: "Auto: " and that of the message (RFC 5230 4.3) */
	struct slice text;    /* UTF-8, any line ends */
	bool mime;            /* it is a MIME part with its header */
	struct slice echo;    /* the message, to go along; or empty */
	const char
	    *id; /* of the answer: what stands before the "@" of its Message-ID; occurs nowhere
	                              in the message */
	const char *host;
	int64_t now;
	int zone;
};
/* Appends the answer. */
void autoreply_write(struct buf *b, const struct autoreply *r);

/* The pieces, for other mail that programs send for a person.  A From (or To) field: the name is encoded
 * where it must be. */
void autoreply_put_person(struct buf *b, const char *name, struct slice person);
/* A Subject field of UTF-8 text. */
void autoreply_put_subject(struct buf *b, struct slice subject);
/* MIME fields, the empty line and a text, in quoted-printable where it must be. */
void autoreply_put_text(struct buf *b, struct slice text);
#endif

/* mail/text.h: the body of a part as UTF-8 text, for SEARCH and for previews.
 *
 * base64 and quoted-printable are undone, the charset becomes UTF-8.  A pull reader: memory
 * does not grow with the body. */
#ifndef MAIL_TEXT_H
#define MAIL_TEXT_H
#include "base/base64.h"
#include "mail/charset.h"
#include "mail/mime.h"

#define TEXT_PIECE 65536 /* raw bytes of a piece, at most */

enum text_encoding { TEXT_PLAIN, TEXT_BASE64, TEXT_QP };

struct text_reader {
	struct slice rest; /* of the raw body */
	enum text_encoding encoding;
	struct charset charset;
	struct base64_stream base64;
	struct buf raw; /* decoded bytes of one piece */
};

/* A Content-Transfer-Encoding as written.  False: none that can be undone; *e is TEXT_PLAIN then. */
bool text_encoding_find(struct slice name, enum text_encoding *e);

/* Starts on `body`; `encoding` is the Content-Transfer-Encoding as written, `charset` the
 * parameter or empty.  Unknown ones are read as they are. */
void
text_open(struct text_reader *t, struct slice body, struct slice encoding, struct slice charset);
/* The same from a part of a tree; charset from its parameters. */
void text_open_part(struct text_reader *t, const struct mime *m, const struct mime_part *p);
/* Takes the next piece of `rest` and appends what it is (at most about 192 KiB, whole characters;
 * nothing, where it is all line ends or damage).  False at the end: nothing was left to take. */
bool text_next(struct text_reader *t, struct buf *out);
/* The same without a look at the charset: octets, of which a piece may end anywhere. */
bool text_next_octets(struct text_reader *t, struct buf *out);
void text_close(struct text_reader *t);

/* Appends as quoted-printable text with CRLF line ends and lines of at most 76. */
void text_write_qp(struct buf *out, struct slice body);
#endif

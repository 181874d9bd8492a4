/* mail/text.h: the body of a part as UTF-8 text, for SEARCH and for previews.
 *
 * base64 and quoted-printable are undone, the charset becomes UTF-8.  A pull reader: memory
 * does not grow with the body. */
#ifndef MAIL_TEXT_H
#define MAIL_TEXT_H
#include "base/base64.h"
#include "mail/charset.h"
#include "mail/mime.h"

enum text_encoding { TEXT_PLAIN, TEXT_BASE64, TEXT_QP };

struct text_reader {
	struct slice rest;          /* of the raw body */
	enum text_encoding encoding;
	struct charset charset;
	struct base64_stream base64;
	struct buf raw;             /* decoded bytes of one piece */
};

/* Starts on `body`; `encoding` is the Content-Transfer-Encoding as written, `charset` the
 * parameter or empty.  Unknown ones are read as they are. */
void text_open(struct text_reader *t, struct slice body, struct slice encoding,
    struct slice charset);
/* The same from a part of a tree; charset from its parameters. */
void text_open_part(struct text_reader *t, const struct mime *m, const struct mime_part *p);
/* Appends the next piece (at most about 192 KiB, whole characters).  False at the end:
 * nothing was appended. */
bool text_next(struct text_reader *t, struct buf *out);
void text_close(struct text_reader *t);

/* The transfer encodings alone: appends decoded bytes.  Lenient (RFC 2045 6.7, 6.8). */
enum text_encoding text_encoding(struct slice name);
void text_decode(struct buf *out, enum text_encoding e, struct slice body);
/* Appends as quoted-printable text with CRLF line ends and lines of at most 76. */
void text_write_qp(struct buf *out, struct slice body);
#endif

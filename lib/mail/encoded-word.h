/* mail/encoded-word.h: text in header fields beyond ASCII (RFC 2047, language of RFC 2231 5). */
#ifndef MAIL_ENCODED_WORD_H
#define MAIL_ENCODED_WORD_H
#include "base/buf.h"

/* Appends the text of an unfolded (or folded) field with its encoded words decoded: always
 * valid UTF-8.  Blanks between adjacent encoded words go, words that are none or whose charset
 * is unknown stay as they are, raw 8-bit bytes are guessed (charset_guess).  Folds are
 * undone (header_unfold_to).  Linear time; no encoded word is longer than the text. */
void encoded_word_parse(struct buf *out, struct slice s);
/* The same, but control characters that a word hides are left out and no blanks (RFC 8621 4.1.2.2). */
void encoded_word_parse_clean(struct buf *out, struct slice s);

enum encoded_word_use {
	ENCODED_TEXT,  /* Subject and the like: ASCII stays as it is */
	ENCODED_PHRASE /* display name: quoted or encoded where it must */
};
/* Appends UTF-8 text (bad bytes become U+FFFD) for a header field.  ASCII goes as it is, the
 * words that need it as =?utf-8?q?...?= or b, each at most 75 characters.  They are separated
 * by one blank: header_write folds there. */
void encoded_word_write(struct buf *out, struct slice utf8, enum encoded_word_use use);
#endif

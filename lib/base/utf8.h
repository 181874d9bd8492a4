/* base/utf8.h: UTF-8 (RFC 3629: shortest form, no surrogates, up to U+10FFFF). */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H
#include "base/buf.h"

/* Takes one code point off the front of *s.  Returns it, or -1 on a bad sequence (one byte
 * is taken then) and on empty input. */
int32_t utf8_next(struct slice *s);
bool utf8_valid(struct slice s);
bool utf8_ascii(struct slice s); /* no byte above 0x7f */
void utf8_put(struct buf *b, uint32_t cp);
/* Simple case folding, of the text that the index keeps (casemap.h compares): ASCII, Latin-1,
 * Latin Extended-A, Greek and Cyrillic, by table; other code points unchanged.
 * Appends s folded; bad bytes become U+FFFD. */
void utf8_fold_to(struct buf *b, struct slice s);
/* Appends ISO-8859-1 bytes as UTF-8. */
void utf8_from_latin1(struct buf *b, struct slice s);
#endif

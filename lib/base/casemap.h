/* base/casemap.h: the collation i;unicode-casemap (RFC 5051): what RFC 5256 sorts and threads by.
 *
 * Two texts are equal, or one is before the other, as the octets of their forms are.  The form of a
 * character is its title case, decomposed as far as it can be.  Characters are those of Unicode as
 * libutf8proc knows them (which lives here only). */
#ifndef BASE_CASEMAP_H
#define BASE_CASEMAP_H
#include "base/buf.h"

/* Appends the form of s (UTF-8; bad bytes become U+FFFD first).  Costs the bytes of s; a character
 * becomes at most eighteen. */
void casemap_to(struct buf *b, struct slice s);
/* The same with the cases of ASCII letters changed for one another, so that ASCII text is in lower
 * case: what search compares, because most of what it looks at is kept so.  Takes text that
 * utf8_fold_to has been over for what it was before. */
void casemap_search_to(struct buf *b, struct slice s);
#endif

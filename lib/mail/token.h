/* mail/token.h: the small words of structured fields (RFC 2045 5.1, RFC 5322 3.2), shared by
 * the parsers of this folder. */
#ifndef MAIL_TOKEN_H
#define MAIL_TOKEN_H
#include "base/arena.h"

/* Moves *s over blanks, line ends and nested comments. */
void token_skip(struct slice *s);
/* Skips, then takes a token: no blanks, controls or tspecials.  Empty when none stands there. */
struct slice token_take(struct slice *s);
/* Skips, then takes `c`; false when something else stands there. */
bool token_char(struct slice *s, char c);
/* *s stands on a quotation mark: takes the quoted string and returns its text, with quoting
 * and line ends removed; borrowed when there is nothing to remove. */
struct slice token_quoted(struct slice *s, struct arena *a);
#endif

/* smtp/params.h: what follows the path in MAIL and RCPT (RFC 5321 4.1.2 esmtp-param), and the
 * encodings inside.  Pure; server and client share it. */
#ifndef SMTP_PARAMS_H
#define SMTP_PARAMS_H
#include "base/buf.h"

/* Takes the next "KEYWORD[=value]" off the front of *at.  1; 0 at the end; -EBADMSG with *why.
 * Slices borrow; *has_value tells "X=" apart from "X". */
int smtp_param_next(struct slice *at, struct slice *key, struct slice *value, bool *has_value,
    const char **why) MUSTCHECK;

/* xtext (RFC 3461 4): "+" and two hexadecimal digits.  Parse appends the decoded bytes; 0 or
 * -EBADMSG (what was decoded so far is in b). */
int smtp_xtext_parse(struct buf *b, struct slice s) MUSTCHECK;
void smtp_xtext_write(struct buf *b, struct slice s);

/* Internationalised addresses in ORCPT (RFC 6533 3): utf-8-addr-xtext, \x{HEX} in xtext, and
 * utf-8-addr-unitext, raw UTF-8.  Parse takes both (after the "utf-8;"), decoding xtext and
 * \x{}; write makes utf-8-addr-xtext, good for servers without SMTPUTF8, or unitext. */
int smtp_utf8_addr_parse(struct buf *b, struct slice s) MUSTCHECK;
void smtp_utf8_addr_write(struct buf *b, struct slice s, bool unitext);
#endif

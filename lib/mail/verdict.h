/* mail/verdict.h: the outcome of a mail operation, the currency of the whole suite.
 *
 * A verdict is a reply class, an RFC 3463 enhanced status code and words.  Routing, directory,
 * queue and store return it; SMTP, LMTP, DSN and log only print it.  It is a plain value:
 * copy it freely. */
#ifndef MAIL_VERDICT_H
#define MAIL_VERDICT_H
#include "base/buf.h"

enum verdict_kind { VERDICT_NONE = 0, OK = 2, TEMP = 4, PERM = 5 };

struct verdict {
	enum verdict_kind kind;
	uint16_t reply;          /* SMTP reply code, 0 = the one that fits the kind (250/451/550) */
	uint8_t subject;         /* RFC 3463 2: second and third number */
	uint16_t detail;
	char text[200];          /* one line, printable ASCII or UTF-8, no CR LF */
};

/* verdict(PERM, 550, "5.1.1", "no such user %s", ...): `esc` is a literal like "5.1.1" whose
 * class must be the kind's. */
struct verdict verdict(enum verdict_kind kind, int reply, const char *esc, const char *fmt,
    ...) PRINTF(4, 5);
/* The SMTP reply code of v. */
int verdict_reply(const struct verdict *v);
/* Appends "5.1.1". */
void verdict_esc_write(struct buf *b, const struct verdict *v);
/* Reads an SMTP/LMTP reply "250 2.1.5 text" (code and text apart; the enhanced code at the
 * start of text is optional and must have the class of the code, RFC 2034 4).  A code that is
 * not 2xx, 4xx or 5xx gives TEMP 4.5.0. */
struct verdict verdict_parse_reply(int code, struct slice text);
/* Reads "x.y.z"; 0 or -EBADMSG. */
int verdict_parse_esc(struct slice s, struct verdict *v) MUSTCHECK;
#endif

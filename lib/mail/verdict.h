/* mail/verdict.h: the outcome of a mail operation, the currency of the whole suite.
 *
 * A verdict is a reply class, an RFC 3463 enhanced status code and words.  Routing, directory,
 * queue and store return it; SMTP, LMTP, DSN and log only print it.  It is a plain value:
 * copy it freely. */
#ifndef MAIL_VERDICT_H
#define MAIL_VERDICT_H
#include <stdarg.h>
#include "base/buf.h"

enum verdict_kind { VERDICT_NONE = 0, OK = 2, TEMP = 4, PERM = 5 };

struct verdict {
	enum verdict_kind kind;
	uint16_t reply;  /* SMTP reply code, 0 = the one that fits the kind (250/451/550) */
	uint8_t subject; /* RFC 3463 2: second and third number */
	uint16_t detail;
	uint16_t said;      /* the reply code that a peer sent, 0 = these are our own words */
	uint8_t said_class; /* and the first number of its enhanced code, 0 = it had none */
	char text[200];     /* one line, printable ASCII or UTF-8, no CR LF */
};

/* verdict(OUT_USER_UNKNOWN), verdict(OUT_DNS_AWAY, name): the outcome of a row of mail/outcome.h,
 * which stands for the first four arguments: `esc` is a literal like "5.1.1" whose class must be
 * the kind's.  verdict_va is for functions that pass on what they are given. */
struct verdict
verdict(enum verdict_kind kind, int reply, const char *esc, const char *fmt, ...) PRINTF(4, 5);
struct verdict verdict_va(enum verdict_kind kind, int reply, const char *esc, const char *fmt,
    va_list ap) PRINTF(4, 0);
/* The SMTP reply code of v. */
int verdict_reply(const struct verdict *v);
/* Appends "5.1.1". */
void verdict_esc_write(struct buf *b, const struct verdict *v);
/* Appends the reply as reports and tools quote it (RFC 3464 2.3.6): "550 5.1.1 text"; for what
 * a peer said its code and enhanced code as they came, whatever was made of them since.  Without
 * the text, which is the caller's to clean: up to the blank before it. */
void verdict_quote_write(struct buf *b, const struct verdict *v);
/* Reads an SMTP/LMTP reply "250 2.1.5 text" (code and text apart; the enhanced code at the
 * start of text is optional, and where its class is not the code's (RFC 2034 4) the code's
 * stands and both are kept for quoting).  A code that is not 2xx, 4xx or 5xx gives TEMP 4.5.0. */
struct verdict verdict_parse_reply(int code, struct slice text);
/* Reads "x.y.z"; 0 or -EBADMSG. */
int verdict_parse_esc(struct slice s, struct verdict *v) MUSTCHECK;
#endif

/* smtp/path.h: the addresses of the envelope: <path> of MAIL and RCPT (RFC 5321 4.1.2, with
 * UTF-8 by RFC 6531 3.3).  Header addresses (RFC 5322) are mail/address.h.  Pure.
 *
 * An address is kept as its meaning, not as its spelling: the local part without quotes and
 * backslashes, so that "a"@b.c and a@b.c are one.  smtp_address_write gives it the quotes it
 * needs. */
#ifndef SMTP_PATH_H
#define SMTP_PATH_H
#include "base/arena.h"
#include "base/buf.h"

#define SMTP_LOCAL_MAX  64  /* RFC 5321 4.5.3.1.1, octets */
#define SMTP_DOMAIN_MAX 255 /* 4.5.3.1.2 */
#define SMTP_PATH_MAX   256 /* 4.5.3.1.3, with < and > */

struct smtp_path {
	struct slice local;  /* unquoted; empty for <> (and for the legal ""@b.c) */
	struct slice domain; /* as written, "[192.0.2.1]" for a literal; empty for <> and <postmaster> */
	bool null;           /* <> */
	bool utf8;           /* needs SMTPUTF8: a byte above 0x7f somewhere */
};

/* What may stand between the angle brackets besides a mailbox. */
enum { SMTP_PATH_NULL = 1, SMTP_PATH_POSTMASTER = 2 };

/* Takes "<path>" off the front of *at.  Source routes are read over (RFC 5321 appendix C).
 * Slices borrow from *at, or from `a` where quoting had to be undone.
 * 0, or -EBADMSG with *why, a short English reason for a 501/553 reply. */
int smtp_path_parse(struct slice *at, unsigned allow, struct arena *a, struct smtp_path *p,
    const char **why) MUSTCHECK;
/* A whole slice "local@domain" without brackets. */
int smtp_mailbox_parse(struct slice s, struct arena *a, struct smtp_path *p,
    const char **why) MUSTCHECK;
/* Appends local@domain, the local part in quotes where it must; nothing for the null path. */
void smtp_address_write(struct buf *b, struct slice local, struct slice domain);
void smtp_path_write(struct buf *b, const struct smtp_path *p);
/* A domain or an address literal, whole slice; UTF-8 labels are allowed when `utf8`. */
bool smtp_domain_valid(struct slice s, bool utf8);
#endif

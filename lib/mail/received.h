/* mail/received.h: the trace field that an SMTP or LMTP server adds (RFC 5321 4.4, with the
 * protocol names of RFC 3848 and 6531). */
#ifndef MAIL_RECEIVED_H
#define MAIL_RECEIVED_H
#include "base/buf.h"

struct received {
	struct slice helo; /* as the client said it; empty for local submission */
	struct slice rdns; /* the client's verified name, or empty */
	struct slice
	    addr;        /* the client's address as text, "192.0.2.1" or "2001:db8::1", or empty */
	struct slice by; /* our host name */
	struct slice with; /* "ESMTPSA" ... */
	struct slice id;   /* queue id */
	struct slice tls;  /* "TLSv1.3 TLS_AES_256_GCM_SHA384", or empty */
	struct slice rcpt; /* the recipient when there is exactly one, or empty (RFC 5321 7.6) */
	struct slice auth; /* the authenticated user, when the site wants it shown; or empty */
	int priority;      /* MT-PRIORITY (RFC 6710), or 0 */
	int64_t at;
	int zone; /* minutes east */
};

/* Appends the field, folded, with CRLF line ends.  Foreign text is made harmless: nothing in
 * it can end the field or a comment. */
void received_write(struct buf *b, const struct received *r);
/* "SMTP", "ESMTP", "ESMTPS", "ESMTPSA", "UTF8SMTPSA", "LMTPS" ...: a static string. */
const char *received_with(bool lmtp, bool esmtp, bool tls, bool auth, bool utf8);
#endif

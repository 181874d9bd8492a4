/* smtp/answer.h: reading the replies of an SMTP or LMTP server (RFC 5321 4.2), for clients.
 * (smtp/reply.h writes them.)
 *
 * Pure: lines in, one answer out; no I/O.  Lenient where servers are sloppy (no text, lines
 * over 512 octets, continuation lines with another code), strict about what cannot be a reply
 * at all.  The text is foreign: control characters become blanks here. */
#ifndef SMTP_ANSWER_H
#define SMTP_ANSWER_H
#include "base/buf.h"
#include "mail/verdict.h"

#define SMTP_ANSWER_LINE  4096  /* the longest line that is read */
#define SMTP_ANSWER_TEXT  16384 /* most text kept of one answer; the rest is dropped */
#define SMTP_ANSWER_LINES 1000  /* an answer with more lines is no answer */

/* A zeroed struct is ready. */
struct smtp_answer {
	int code;        /* of the last line, 200..599 */
	struct buf text; /* the lines' texts, each ended by LF, without code */
	size_t lines;
};

/* Feeds one line without its line end.  Returns 1 when the answer is complete, 0 when further
 * lines follow, -EBADMSG when this is no SMTP reply (what follows cannot be trusted). */
int smtp_answer_line(struct smtp_answer *a, struct slice line) MUSTCHECK;
/* Ready for the next one; keeps no memory beyond a small buffer. */
void smtp_answer_clear(struct smtp_answer *a);
void smtp_answer_fini(struct smtp_answer *a);

/* The answer as a verdict: class and enhanced code (RFC 2034) of the first line, the texts of
 * all lines joined by blanks, the enhanced code repeated on each of them dropped. */
struct verdict smtp_answer_verdict(const struct smtp_answer *a);

/* What a server offers in its answer to EHLO or LHLO (RFC 5321 4.1.1.1). */
enum {
	OFFERS_PIPELINING = 1 << 0, /* RFC 2920 */
	OFFERS_8BITMIME = 1 << 1,   /* RFC 6152 */
	OFFERS_SIZE = 1 << 2,       /* RFC 1870 */
	OFFERS_DSN = 1 << 3,        /* RFC 3461 */
	OFFERS_STARTTLS = 1 << 4,   /* RFC 3207 */
	OFFERS_CHUNKING = 1 << 5,   /* RFC 3030 */
	OFFERS_SMTPUTF8 = 1 << 6,   /* RFC 6531 */
	OFFERS_ENHANCED = 1 << 7,   /* RFC 2034 */
	OFFERS_XTIERMAIL = 1 << 8,  /* our own lmtpd: MAIL ... XQID=, lmtpd(8) */
	OFFERS_XASIDE = 1 << 9,     /* our own smtp-relay: MAIL ... XASIDE=, smtp-relay(8) */
	OFFERS_RELEASE = 1 << 10,   /* FUTURERELEASE, RFC 4865 */
	OFFERS_XSENT =
	    1 << 12, /* our own lmtpd and, for our programs, smtp-relay: RCPT ... XSENT */
	OFFERS_XFORWARD = 1 << 17,   /* Postfix's, and ours; which attributes: `forward` */
	OFFERS_BY = 1 << 16,         /* DELIVERBY, RFC 2852 */
	OFFERS_PRIORITY = 1 << 15,   /* MT-PRIORITY, RFC 6710, of whatever profile */
	OFFERS_XRUN = 1 << 13,       /* our own piped: RCPT ... XRUN= */
	OFFERS_XEVENT = 1 << 18,     /* our own lmtpd: RCPT ... XEVENT=, lmtpd(8) */
	OFFERS_REQUIRETLS = 1 << 20, /* RFC 8689 */
	OFFERS_AUTH = 1 << 21,       /* RFC 4954; which mechanisms: `auth` */
	OFFERS_LIMITS = 1 << 19,     /* RFC 9422; which: `mail_max` ... */
	OFFERS_XCANCEL =
	    1 << 11, /* our own smtp-relay, to our programs: XCANCEL, and MAIL ... AUTH= */
};
enum { FORWARD_ADDR = 1, FORWARD_HELO = 2, FORWARD_IDENT = 4, FORWARD_SOURCE = 8 };
enum { OFFER_AUTH_PLAIN = 1, OFFER_AUTH_LOGIN = 2 };
struct smtp_offer {
	unsigned has;      /* OFFERS_... */
	unsigned auth;     /* of AUTH: OFFER_AUTH_... */
	unsigned forward;  /* of XFORWARD: FORWARD_... */
	uint64_t size_max; /* of SIZE; 0 = no limit stated */
	/* Of LIMITS (RFC 9422), 0 = none stated: transactions on the connection, recipients of one, and
	 * different domains among those. */
	uint32_t mail_max, rcpt_max, domain_max;
	char name[256]; /* what the server calls itself: first word of the first line */
};
/* Unknown words are passed over; words count in any case. */
void smtp_offer_parse(const struct smtp_answer *a, struct smtp_offer *o);
#endif

/* mail/dsn.h: delivery status notifications (RFC 3464 in the multipart/report of RFC 6522;
 * internationalised: RFC 6533), written for the sender of a message.
 *
 * Pure: structs in, bytes out.  A report is dsn_write_head, the returned message or its header
 * (the caller copies it), dsn_write_tail.  Texts of other hosts are made harmless here. */
#ifndef MAIL_DSN_H
#define MAIL_DSN_H
#include "base/buf.h"
#include "mail/dsn-words.h"
#include "mail/verdict.h"

/* RFC 3464 2.3.3 */
enum dsn_action { DSN_FAILED, DSN_DELAYED, DSN_DELIVERED, DSN_RELAYED, DSN_EXPANDED };

struct dsn_rcpt {
	enum dsn_action action;
	const char *address;     /* Final-Recipient: local@domain */
	const char *orcpt;       /* Original-Recipient: "rfc822;user@x", decoded; or NULL */
	const struct verdict *v; /* Status, and Diagnostic-Code when `remote` */
	bool remote;             /* v is what another server said */
	const char *mta;         /* that server: "mx.example [192.0.2.1]"; or NULL */
	int64_t at;              /* Last-Attempt-Date, 0 = none */
};

struct dsn {
	const char *host;          /* Reporting-MTA, and right side of our address */
	const char *boundary;      /* occurs nowhere in what is returned: make it random */
	const char *message_id;    /* local part of the report's own Message-ID */
	const char *to;            /* the sender; not empty */
	const char *envid;         /* ENVID decoded, or NULL */
	const char *received_from; /* EHLO name of the client that gave us the message, or NULL */
	const char *qid;           /* our id of the message, or NULL */
	const char *about;         /* Message-ID of the message with its <>, or NULL */
	int64_t now, arrival_at;   /* unix seconds */
	const char
	    *release_asked;     /* "for;3600", "until;2026-11-22T08:20:01Z" (RFC 4865 8), or NULL */
	int64_t retry_until_at; /* of delayed recipients, 0 = unknown */
	const struct dsn_words *words; /* for people; NULL: English */
	bool utf8;                     /* the message needed SMTPUTF8: so may the report */
	bool full;                     /* all of the message follows, not only its header */
	bool eightbit;                 /* what follows has bytes above 0x7f */
	const struct dsn_rcpt *rcpts;
	size_t nrcpt; /* at least 1 */
};

/* Appends everything in front of the returned message: header, words for people, the
 * message/delivery-status part, and the header of the last part. */
void dsn_write_head(struct buf *b, const struct dsn *d);
/* Appends the end; what was returned must end in CRLF. */
void dsn_write_tail(struct buf *b, const struct dsn *d);
#endif

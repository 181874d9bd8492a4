/* jmap/id.h: ids as clients see them (RFC 8620 1.2): those of IMAP's OBJECTID (RFC 8474) with a letter in
 * front, and accounts by name, so that a proxy knows where an account is without asking anybody. */
#ifndef JMAP_ID_H
#define JMAP_ID_H
#include "base/buf.h"

enum jmap_letter {
	JMAP_MAILBOX = 'F',
	JMAP_EMAIL = 'M',
	JMAP_THREAD = 'T',
	JMAP_BLOB = 'B' /* a message's octets: the number is the email's */
};
#define JMAP_ID_MOST 255

/* Appends the letter and 16 hexadecimal digits. */
void jmap_id_write(struct buf *b, enum jmap_letter letter, uint64_t id);
/* The same as a JSON string. */
void jmap_id_json(struct buf *b, enum jmap_letter letter, uint64_t id);
/* The number of such an id; 0: it is none. */
uint64_t jmap_id_parse(struct slice s, enum jmap_letter letter);
/* 1 to 255 octets of A-Z a-z 0-9 - _ (RFC 8620 1.2). */
bool jmap_id_ok(struct slice s);

/* "u" and base64url, without padding, of the account's name (RFC 4648 5). */
void jmap_account_id_write(struct buf *b, struct slice account);
/* Appends the name.  0 or -EBADMSG. */
int jmap_account_id_parse(struct slice s, struct buf *account) MUSTCHECK;

/* A UTCDate (RFC 8620 1.4): "2014-10-30T06:12:00Z"; fractions of a second are passed over. */
bool jmap_date_parse(struct slice s, int64_t *at);
/* A keyword of RFC 8621 4.1.1: 1 to 255 octets of printable ASCII but ( ) { ] % * " and backslash. */
bool jmap_keyword_ok(struct slice s);
#endif

/* mail/maildir.h: what the files of a Maildir say besides their text: names with flags, keywords, the order
 * that Dovecot has given them; and line ends of Unix files.  Pure.
 *
 * https://cr.yp.to/proto/maildir.html; https://doc.dovecot.org (Maildir, "dovecot-uidlist") */
#ifndef MAIL_MAILDIR_H
#define MAIL_MAILDIR_H
#include "base/buf.h"

/* Flags of mail in files; the values are those of store/format.h. */
enum maildir_flag {
	MAILDIR_SEEN = 1,
	MAILDIR_ANSWERED = 2,
	MAILDIR_FLAGGED = 4,
	MAILDIR_DELETED = 8,
	MAILDIR_DRAFT = 16,
};
#define MAILDIR_KEYWORDS 26 /* that a name can have: letters a to z */

struct maildir_name {
	struct slice base; /* what stays when flags change */
	uint16_t flags;    /* enum maildir_flag */
	uint32_t keywords; /* bits: a is the first */
	int64_t at;        /* the number that it begins with: unix seconds, 0 = none */
};
void maildir_name_parse(struct slice name, struct maildir_name *m);
/* Appends ":2," and the letters. */
void maildir_name_write(struct buf *b, uint16_t flags, uint32_t keywords);

/* A line of dovecot-keywords, "NUMBER NAME".  False: it is none. */
bool maildir_keyword_parse(struct slice line, unsigned *number, struct slice *name);
/* A line of dovecot-uidlist, but the first.  False: it is none. */
bool maildir_uid_parse(struct slice line, uint32_t *uid, struct slice *base);

/* Appends a text with line ends CRLF, whatever they were: LF becomes CRLF, all else stays. */
void maildir_to_crlf(struct buf *b, struct slice text);
/* Appends it with LF.  A text with an LF that has no CR in front is appended as it is: else it would not
 * come back the same. */
void maildir_to_lf(struct buf *b, struct slice text);
#endif

/* mail/mbox.h: files of many messages, each behind a line "From sender date" (mboxrd: lines of the text that
 * begin with ">"s and "From " have one ">" more in the file).
 *
 * Flags are in fields of the header: Status (R: seen), X-Status (A, F, T, D), X-Keywords, which are no part
 * of the message.  Pure.  RFC 4155, and what Dovecot and mutt write. */
#ifndef MAIL_MBOX_H
#define MAIL_MBOX_H
#include "mail/maildir.h"

struct mbox_message {
	struct slice text; /* as in the file, behind its "From " line */
	size_t line;       /* of the file, where it begins; from 1 */
	int64_t at;        /* of the "From " line, as UTC; 0: it has none */
	bool headless;     /* there is no "From " line in front of it */
};
struct mbox_reader {
	struct slice rest;
	size_t line;
};
/* Takes the next message off the front; start with { file, 1 }.  Nothing of the file is passed over but
 * empty lines in front of a "From " line. */
bool mbox_next(struct mbox_reader *r, struct mbox_message *m);

/* A message as it is kept: appends it with CRLF, without the fields that are flags.  `keywords` gets the
 * words of X-Keywords, a blank behind each. */
void mbox_unpack(struct slice text, struct buf *out, uint16_t *flags, struct buf *keywords);
/* Appends a message (CRLF) with its "From " line and the empty line behind it. */
void
mbox_pack(struct buf *out, struct slice msg, int64_t at, uint16_t flags, struct slice keywords);
#endif

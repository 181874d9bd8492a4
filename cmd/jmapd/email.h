/* jmapd/email.h: an Email as the store has it: one content, in all the places of the account where it is.
 *
 * JMAP has one set of keywords for an email, IMAP one for each message, and a mailbox may hold a content
 * twice.  The rule: $seen is there when every place has it, any other keyword when one has it; places with
 * \Deleted are none (RFC 8621 4.1.1), and an email without a place is not there. */
#ifndef JMAPD_EMAIL_H
#define JMAPD_EMAIL_H
#include "folders.h"

#define EMAIL_KEYWORDS  256 /* that one email can be given */
#define EMAIL_MAILBOXES 256 /* that it can be put into: maxMailboxesPerEmail */

struct email_place {
	struct folder *folder;
	uint32_t uid;
	uint16_t flags;
	uint64_t keywords; /* bits: of the folder's */
};
struct email {
	uint64_t id, thread;
	uint32_t size;
	int64_t received_at;
	uint16_t flags; /* merged */
	struct email_place *places;
	size_t nplaces;
	struct slice *keywords; /* merged, lower case, without those of flags */
	size_t nkeywords;
};
/* Inside a snapshot with its table of folders.  What it makes lies in `a`.  0; -ENOENT: it is in no place of
 * this account. */
int email_load(struct call *c, uint64_t emailid, struct arena *a, struct email *e) MUSTCHECK;
/* Has it the keyword, in lower case? */
bool email_has(const struct email *e, struct slice keyword);
/* The flag of "$seen", "$flagged", ...; 0: it is none of those. */
uint16_t email_flag(struct slice keyword);
/* "keywords":{...} and "mailboxIds":{...} */
void email_put_keywords(struct buf *b, const struct email *e);
void email_put_mailboxes(struct buf *b, const struct email *e);

extern const struct jmapd_method email_get, email_query, email_set, email_changes, email_import,
    email_parse, email_query_changes, thread_get, thread_changes;
#endif

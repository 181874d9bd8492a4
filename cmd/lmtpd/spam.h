/* lmtpd/spam.h: what a filter in front of us has made of a message, as the field says that it wrote: whose mail goes into
 * the folder for spam, and what scripts read by spamtest and virustest.
 *
 * Relays alone deliver here, and let nobody else write such fields (relay.spam_fields of smtp-relay). */
#ifndef LMTPD_SPAM_H
#define LMTPD_SPAM_H
#include "lmtpd.h"

/* spam.*: the message is complete.  Its header is read when somebody of its recipients is to be asked about it. */
void spam_look(struct lsession *s);
/* Is mail for this user filed at all? */
bool spam_wanted(const struct dir_user *u, const struct dir_domain *d);
/* Does this recipient's copy go into the folder for spam when nothing else was said? */
bool spam_filed(const struct lsession *s, const struct lrcpt *r);

/* spamtest.*, virustest.*: as struct sieve_host has them. */
int spam_percent(struct slice header);
int spam_virus(struct slice header);

/* The settings, at the start and at each reload; they are good: spam_check has said so. */
void spam_settings(void);
bool spam_check(struct buf *why);
#endif

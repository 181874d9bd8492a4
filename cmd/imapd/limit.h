/* imapd/limit.h: how many messages one command works on: MESSAGELIMIT, RFC 9738. */
#ifndef IMAPD_LIMIT_H
#define IMAPD_LIMIT_H
#include "session.h"

/* As many; 0: as there are. */
static inline uint32_t
limit_messages(void)
{
	return (uint32_t)conf.messages;
}
/* Of UIDs as view_uids() leaves them: are there more messages than one command may work on?  Then s->limited is the
 * lowest UID of those that it may. */
bool limit_exceeded(struct session *s, const struct imap_set *uids);
/* Leaves those alone. */
void limit_cut(struct session *s, struct imap_set *uids);
/* What stands in front of the text of a tagged OK: "[MESSAGELIMIT 1000 23] ", or "".  Another code stands there (`alone`
 * is false): it is told before.						RFC 9738 3.1 */
const char *limit_code(struct session *s, bool alone);
/* The answer to a command that is done as a whole or not at all. */
enum imap_next limit_refuse(struct session *s, const char *text);
#endif

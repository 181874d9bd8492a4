/* mail/outcome-guard.h: the rows of outcome.h (where it is told what a row is) that the relay's guard says; a file of
 * its own for length alone.  Included by outcome.h, by nobody else. */
#ifndef MAIL_OUTCOME_GUARD_H
#define MAIL_OUTCOME_GUARD_H

/* clang-format off */

/* ---- Strangers are refused */

/* A client, or its network, connects more often than guard.rate or guard.rate_network say. */
#define OUT_GUARD_RATE		TEMP, 421, "4.7.0", "%s too many connections in a short time"
/* No place is left for strangers to wait (guard.waiting). */
#define OUT_GUARD_BUSY		TEMP, 421, "4.3.2", "%s no room for another stranger"
/* A client has spoken before it was greeted (RFC 5321 4.3.1). */
#define OUT_GUARD_EARLY		PERM, 554, "5.5.1", "%s you spoke before the greeting"
/* A client is on lists in DNS whose weights reach guard.threshold. */
#define OUT_GUARD_LISTED	PERM, 554, "5.7.1", "%s %s is listed by %.120s"
/* A client is one of guard.deny, or refused by PORT_ACCESS. */
#define OUT_GUARD_DENIED	PERM, 554, "5.7.1", "%s no mail from %s"
/* clang-format on */
#endif

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
/* A client's last session has ended for too many errors (guard.block_errors). */
#define OUT_GUARD_ERRORS	TEMP, 421, "4.7.0", "%s too many errors before, come later"
/* A client is on lists in DNS whose weights reach guard.threshold. */
#define OUT_GUARD_LISTED	PERM, 554, "5.7.1", "%s %s is listed by %.120s"
/* A client is one of guard.deny, or refused by PORT_ACCESS. */
#define OUT_GUARD_DENIED	PERM, 554, "5.7.1", "%s no mail from %s"
/* The name of a stranger's EHLO, or his sender's domain, is on lists in DNS. */
#define OUT_SENDER_LISTED	PERM, 550, "5.7.1", "%.100s is listed by %.80s"
/* The domain of a stranger's sender does not exist, or has neither MX nor address (sender.domain). */
#define OUT_SENDER_NO_DOMAIN	PERM, 550, "5.1.8", "the sender's domain %.120s does not exist"
/* The domain of a stranger's sender takes no mail, so nothing can be answered (RFC 7505 4.2; sender.domain). */
#define OUT_SENDER_NULL_MX	PERM, 550, "5.7.27", "the sender's domain %.120s takes no mail (null MX)"
/* A stranger's sender is of a domain of ours, and there is no such address (sender.own = known). */
#define OUT_SENDER_NOBODY	PERM, 550, "5.1.0", "there is no such sender here"
/* A stranger's sender is of a domain of ours, whose users log in (sender.own = refuse). */
#define OUT_SENDER_OURS		PERM, 550, "5.7.1", "senders of this domain log in first"
/* An address of the form that forwarded mail has as its sender, which is not of ours or too old (srs.domain). */
#define OUT_SRS_BAD		PERM, 550, "5.1.1", "not a return address of ours, or an old one"
/* The host has less memory left than limit.min_memory, and mail from elsewhere waits. */
#define OUT_MEMORY_SHORT	TEMP, 452, "4.3.2", "the host is short of memory, try again later"
/* A policy service refuses it and says no more about why. */
#define OUT_POLICY_NO		PERM, 550, "5.7.1", "a policy service refuses it"
/* A policy service refuses it for now and says no more about why. */
#define OUT_POLICY_LATER	TEMP, 450, "4.7.1", "a policy service wants it later"
/* A policy service cannot be asked or understood, and mail waits for it: on_failure = tempfail. */
#define OUT_POLICY_AWAY		TEMP, 451, "4.3.5", "a policy service is not available, try again later"
/* A policy service cannot be asked or understood, and on_failure = reject. */
#define OUT_POLICY_GONE		PERM, 550, "5.3.5", "a policy service is not available"
/* An access table of mappings refuses it and says no more about why; its own words and status take the place of these. */
#define OUT_ACCESS_DENIED	PERM, 550, "5.7.1", "the tables of this site refuse it"
/* An access table of mappings has come to no answer within its bounds. */
#define OUT_ACCESS_AWAY		TEMP, 451, "4.3.5", "a mapping table has no answer, try again later"
/* A message is larger than its channel takes (blocklimit, sourceblocklimit), or a table says ($S). */
#define OUT_CHANNEL_SIZE	PERM, 552, "5.3.4", "message is larger than %lld KiB"
/* A message has more recipients than its channel takes at all (recipientcutoff), or a table says ($S). */
#define OUT_CHANNEL_CUTOFF	PERM, 554, "5.5.3", "more than %lld recipients, nobody gets it"
/* A message has more lines than its channel takes (linelimit). */
#define OUT_CHANNEL_LINES	PERM, 552, "5.3.4", "message has more than %lld lines"
/* A message names no recipient, and its channel takes none such (missingrecipientpolicy). */
#define OUT_CHANNEL_MISSING	PERM, 550, "5.6.0", "no field names a recipient"
/* VRFY, where the channel has vrfyallow: somebody gets mail by this address. */
#define OUT_VRFY_THERE		OK, 250, "2.1.5", "<%.180s>"

/* ---- What a filter learns of people */

/* The filter has learned what people make of a message, or knew; or it is not to be told. */
#define OUT_LEARNED		OK, 250, "2.0.0", "learned"
/* The filter that is to learn what people make of a message (learn.address of imapd) does not answer; it is told when
 * it does. */
#define OUT_LEARN_AWAY		TEMP, 451, "4.4.1", "the filter cannot be told: %.100s"
/* The filter does not let imapd tell it anything (learn.password); it is asked again and again. */
#define OUT_LEARN_REFUSED	TEMP, 451, "4.3.5", "the filter does not let us tell it: learn.password"
/* The filter has failed at a message, or it cannot be read; it is told some times more. */
#define OUT_LEARN_FAILED	TEMP, 451, "4.5.0", "the filter cannot be told of this message: %.100s"
/* The filter does not learn anything of a message. */
#define OUT_LEARN_NOT		PERM, 554, "5.6.0", "the filter does not learn from this message: %u"
/* clang-format on */
#endif

/* mail/outcome.h: all that tiermail says when mail is taken, put off, refused or returned.
 *
 * One row for each outcome: its kind, SMTP's reply code, the enhanced status code and the words.
 * A row stands for four arguments of verdict() and functions like it: `return verdict(OUT_BYE, name);`, where
 * the compiler holds what is given against the words; or for the head of an initialiser (login/rules.c).
 *
 * What must stay true, and is checked by scripts/outcomes: kind, first digit of the code and of the status agree
 * (RFC 2034 4); the status is one of IANA's registry (RFC 5248); no two rows say the same; every row is said
 * somewhere; and nothing is said in lib/ and cmd/ that has no row.  The comment above a row is its meaning for a postmaster: tiermail-outcomes(7) is made of
 * them (scripts/outcomes -m), a section `----` becoming one of the page.
 *
 * `%.150s` bounds what comes from outside, so that of several such words each has its share of the
 * 200 octets that a verdict holds. */
#ifndef MAIL_OUTCOME_H
#define MAIL_OUTCOME_H
#include "mail/outcome-programs.h"
#include "mail/outcome-tls.h"
#include "mail/verdict.h"

/* clang-format off */

/* ---- Mail is taken */

/* The command is done (RFC 5321 4.2.3). */
#define OUT_OK			OK, 250, "2.0.0", "ok"
/* The session ends at the client's wish (RFC 5321 4.1.1.10). */
#define OUT_BYE			OK, 221, "2.0.0", "%s bye"
/* A proxy has told whose session it is; EHLO begins anew. */
#define OUT_XCLIENT		OK, 220, "2.0.0", "go on"
/* TLS begins with the next octet (RFC 3207 4). */
#define OUT_TLS_BEGINS		OK, 220, "2.0.0", "go ahead"
/* The client may send mail as the user that it has named (RFC 4954 6). */
#define OUT_LOGIN_OK		OK, 235, "2.7.0", "welcome"
/* The sender's address is good; lmtpd's words for it (RFC 5321 4.1.1.2). */
#define OUT_MAIL_OK		OK, 250, "2.1.0", "ok"
/* The sender's address is good; smtp-relay's words for it (RFC 5321 4.1.1.2). */
#define OUT_SENDER_OK		OK, 250, "2.1.0", "sender ok"
/* There is such a recipient, and a way to it (RFC 5321 4.1.1.3). */
#define OUT_RCPT_OK		OK, 250, "2.1.5", "ok"
/* The recipient is written down and will get what follows (RFC 5321 4.1.1.3). */
#define OUT_RCPT_TAKEN		OK, 250, "2.1.5", "recipient ok"
/* VRFY neither confirms nor denies an address (RFC 5321 3.5.3, 7.3). */
#define OUT_VRFY_PERHAPS	OK, 252, "2.0.0", "cannot verify, but will take mail and try"
/* The recipient's Sieve script has sent the message on, or dropped it (RFC 5228 2.10). */
#define OUT_SIEVE_DONE		OK, 250, "2.0.0", "ok, as the recipient wants it"
/* There is room for the message.  The client reads 354 for it (RFC 5321 4.1.1.4), or nothing when
 * it sends in chunks. */
#define OUT_BODY_WANTED		OK, 250, "2.0.0", "go ahead"
/* A chunk of the message has come, and more must follow (RFC 3030 2). */
#define OUT_CHUNK_TAKEN		OK, 250, "2.0.0", "chunk taken, %llu octets so far"
/* The message keeps to the form that SMTP demands (RFC 5321 2.3.8). */
#define OUT_BODY_WELL_FORMED	OK, 250, "2.6.0", "message is well formed"
/* The message is on disk, in the queue (RFC 5321 6.1). */
#define OUT_QUEUE_COMMITTED	OK, 250, "2.6.0", "message queued"
/* The message is on disk under this queue id; tiermail answers for it now (RFC 5321 6.1). */
#define OUT_QUEUED		OK, 250, "2.0.0", "queued as %s"
/* The same, and it goes no sooner than others, whatever MT-PRIORITY has said: see priority.users (RFC 6710). */
#define OUT_QUEUED_LOWER	OK, 250, "2.3.6", "%d is the new priority, queued as %s"
/* The copy for the sender's Sent folder is left out: the store to which it would go has no XSENT. */
#define OUT_SENT_NOWHERE	OK, 250, "2.0.0", "no copy for the Sent folder: the store does not know how"
/* The copy for the sender's Sent folder is left out: the client has stored one. */
#define OUT_SENT_THERE		OK, 250, "2.0.0", "the sender has a copy already"
/* A message that was to be sent later is gone, for all its recipients; nobody has had it. */
#define OUT_CANCELLED		OK, 250, "2.0.0", "cancelled"

/* ---- Commands of SMTP and LMTP that are refused */

/* A line ended in LF alone.  That two programs take such a line differently is what smuggling lives
 * on, so it is no command here (RFC 5321 2.3.8). */
#define OUT_LINE_BARE_LF	PERM, 500, "5.5.2", "lines end in CRLF"
/* A command is longer than the limit for its kind (RFC 5321 4.5.3.1.4). */
#define OUT_LINE_LONG		PERM, 500, "5.5.2", "line too long"
/* A line has no word that could be a command (RFC 5321 4.1.1). */
#define OUT_LINE_EMPTY		PERM, 500, "5.5.2", "no command"
/* There is no such command here (RFC 5321 4.2.4). */
#define OUT_VERB_UNKNOWN	PERM, 500, "5.5.1", "unknown command"
/* The command is known and switched off, or needs a certificate that is not configured (RFC 5321 4.2.4). */
#define OUT_VERB_NOT_OFFERED	PERM, 502, "5.5.1", "%s is not offered here"
/* The command stands alone on its line (RFC 5321 4.1.1). */
#define OUT_VERB_TAKES_NONE	PERM, 501, "5.5.4", "%s takes no argument"
/* Something is missing behind the command (RFC 5321 4.1.1). */
#define OUT_VERB_NEEDS		PERM, 501, "5.5.4", "%s needs %s"
/* The argument of a command is malformed; the words say where (RFC 5321 4.1.2). */
#define OUT_ARGUMENT_BAD	PERM, 501, "5.5.4", "%s"
/* MAIL or RCPT has a parameter that is unknown or not offered (RFC 5321 4.1.1.11). */
#define OUT_PARAMETER_UNKNOWN	PERM, 555, "5.5.4", "%s"
/* HOLDFOR or HOLDUNTIL is further away than submission.hold_max (RFC 4865 4). */
#define OUT_RELEASE_FAR		PERM, 501, "5.5.4", "a message is kept for %lld seconds at most"
/* The user is none of submission.hold_users. */
#define OUT_RELEASE_NOT_YOURS	PERM, 550, "5.7.1", "you may not have messages sent later"
/* XCANCEL names a message that is another's, that there is not, or that has been sent meanwhile. */
#define OUT_CANCEL_NONE		PERM, 550, "5.5.0", "no message of yours waits under this id"
/* jobctl cannot be asked, or knows the queue only in part, because it was started just now; or the disk fails. */
#define OUT_CANCEL_LATER	TEMP, 451, "4.3.0", "it cannot be cancelled now, ask again"
/* The sender's address is malformed; the words say where (RFC 5321 4.1.2). */
#define OUT_SENDER_BAD		PERM, 501, "5.1.7", "%s"
/* The recipient's address is malformed; the words say where (RFC 5321 4.1.2). */
#define OUT_RCPT_BAD		PERM, 501, "5.1.3", "%s"
/* An address is beyond ASCII, and MAIL did not say SMTPUTF8 (RFC 6531 3.5). */
#define OUT_RCPT_NOT_ASCII	PERM, 553, "5.6.7", "this address needs SMTPUTF8"
/* The name behind EHLO, HELO or LHLO is neither a domain nor an address literal (RFC 5321 4.1.1.1). */
#define OUT_HELO_BAD		PERM, 501, "5.5.4", "expected a host name or [address]"
/* Another command must come before this one (RFC 5321 4.1.4). */
#define OUT_ORDER_FIRST		PERM, 503, "5.5.1", "%s first"
/* Between chunks of a message come only chunks, or RSET (RFC 3030 2). */
#define OUT_ORDER_BDAT		PERM, 503, "5.5.1", "BDAT or RSET expected"
/* MAIL, STARTTLS or AUTH in the middle of a transaction (RFC 5321 4.1.4). */
#define OUT_ORDER_OPEN		PERM, 503, "5.5.1", "a transaction is open"
/* All recipients were refused, so there is nobody for a message (RFC 5321 3.3). */
#define OUT_ORDER_NO_RCPT	PERM, 503, "5.5.1", "no valid recipients"
/* A second STARTTLS (RFC 3207 4.2). */
#define OUT_TLS_ALREADY		PERM, 503, "5.5.1", "TLS is on already"
/* The listener takes nothing in plain text (RFC 3207 4). */
#define OUT_TLS_FIRST		PERM, 530, "5.7.0", "STARTTLS first"
/* Submission is for users who have logged in (RFC 6409 4.3). */
#define OUT_AUTH_FIRST		PERM, 530, "5.7.0", "authentication required"
/* Input came behind a command that must be the last of a group.  Only a program that does not read
 * answers does that: a forged request, or a smuggler (RFC 2920 3.1). */
#define OUT_INPUT_EARLY		PERM, 554, "5.5.0", "input behind %s before its answer"
/* A browser, or what a web page made it send (RFC 7504 3). */
#define OUT_NOT_HTTP		PERM, 521, "5.7.0", "this is no web server"

/* ---- Limits of a session: the connection ends, mail stays with its sender */

/* The listener's clients have reached limit.clients (RFC 5321 3.8). */
#define OUT_CLIENTS_FULL	TEMP, 421, "4.3.2", "%s too many connections"
/* One address, or network, has reached limit.per_client. */
#define OUT_CLIENT_FULL		TEMP, 421, "4.7.0", "%s too many connections from you"
/* A client was silent for longer than time.command or time.data (RFC 5321 4.5.3.2.7). */
#define OUT_CLIENT_SILENT	TEMP, 421, "4.4.2", "%s timeout, closing"
/* A body comes slower than limit.data_rate, or goes on although it is far too large. */
#define OUT_CLIENT_SLOW		TEMP, 421, "4.4.2", "%s too slow or too much, closing"
/* The daemon stops; come again (RFC 5321 3.8). */
#define OUT_CLOSING		TEMP, 421, "4.3.2", "%s %s"
/* Refused commands have reached limit.errors. */
#define OUT_ERRORS_MANY		TEMP, 421, "4.7.0", "%s too many errors"
/* Unknown commands have reached limit.unknown. */
#define OUT_UNKNOWN_MANY	TEMP, 421, "4.7.0", "%s too many unknown commands"
/* Messages of one session have reached limit.transactions. */
#define OUT_MESSAGES_MANY	TEMP, 421, "4.7.0", "%s too many messages in this session"
/* Failed logins have reached auth.failures (RFC 4954 4). */
#define OUT_AUTH_MANY		TEMP, 421, "4.7.0", "%s too many failures"

/* ---- Logging in */

/* Name or password is wrong, or one may not act as the other; never told which (RFC 4954 6). */
#define OUT_LOGIN_WRONG		PERM, 535, "5.7.8", "authentication failed"
/* The directory refuses the bind; the session says the words above (RFC 4954 6). */
#define OUT_BIND_WRONG		PERM, 535, "5.7.8", "authentication credentials invalid"
/* The password is right, and the user's or domain's status is not active (RFC 5248 2.4). */
#define OUT_LOGIN_INACTIVE	PERM, 525, "5.7.13", "this account is not active"
/* The password is right, and mailAllowedServiceAccess says no (RFC 3463 3.8). */
#define OUT_LOGIN_FORBIDDEN	PERM, 535, "5.7.1", "this service is not for you from here"
/* The password is right, and mailHost names another host (RFC 4954 6). */
#define OUT_LOGIN_ELSEWHERE	TEMP, 454, "4.7.0", "this mailbox is on another host"
/* The password is right, and a second factor asks for more than that (RFC 4954 6). */
#define OUT_LOGIN_APP		PERM, 534, "5.7.9", "an application password is needed here"
/* The same to a proxy, which goes there itself (RFC 2221, 2384). */
#define OUT_LOGIN_REFERRED	TEMP, 454, "4.7.0", \
				    "[REFERRAL pop://%.*s/] this mailbox is on another host"
/* The directory does not answer (RFC 4954 6). */
#define OUT_LOGIN_AWAY		TEMP, 454, "4.7.0", "cannot check passwords at present"
/* The bind got no answer; the session says the words above (RFC 4954 6). */
#define OUT_BIND_AWAY		TEMP, 454, "4.7.0", "temporary authentication failure"
/* The user's sessions have reached limit.per_user. */
#define OUT_LOGIN_FULL		TEMP, 454, "4.7.0", "too many sessions of this user"
/* A second AUTH (RFC 4954 4). */
#define OUT_AUTH_ALREADY	PERM, 503, "5.5.1", "you are authenticated already"
/* Passwords are taken over TLS only (RFC 4954 6). */
#define OUT_AUTH_TLS_FIRST	PERM, 538, "5.7.11", "STARTTLS first"
/* AUTH names a mechanism that EHLO did not (RFC 4954 4). */
#define OUT_AUTH_MECHANISM	PERM, 504, "5.5.4", "no such mechanism"
/* A line of AUTH that is not base64 (RFC 4954 4). */
#define OUT_AUTH_BASE64		PERM, 501, "5.5.2", "this is not base64"
/* A line of AUTH that is not what its mechanism wants; the words say what (RFC 4616 2). */
#define OUT_AUTH_MALFORMED	PERM, 501, "5.5.2", "%.*s"
/* The client has broken off (RFC 4954 4). */
#define OUT_AUTH_GIVEN_UP	PERM, 501, "5.0.0", "authentication given up"

/* ---- Mail that is fetched by POP3 */

/* Passwords are taken over TLS only (RFC 2595 2.2). */
#define OUT_STLS_FIRST		PERM, 538, "5.7.11", "STLS first"
/* LANG asks for a language that the words are not written in (RFC 6856 3). */
#define OUT_LANG_UNKNOWN	PERM, 504, "5.5.4", "words are in English only"
/* The user's mailbox is open in another session, which has it alone until it ends: [IN-USE] (RFC 2449 8.1.2). */
#define OUT_DROP_IN_USE		TEMP, 450, "4.2.1", "another session has this mailbox open"
/* The user comes again before pop3.login_delay is over: [LOGIN-DELAY] (RFC 2449 8.1.1). */
#define OUT_LOGIN_SOON		TEMP, 450, "4.7.0", "come again in %llu seconds"
/* A proxy cannot reach the store, or not as the user; the password was right. */
#define OUT_PROXY_AWAY		TEMP, 451, "4.3.2", "the mailbox cannot be reached at present"
/* A proxy finds no mailHost in the user's entry, and has no store for such users. */
#define OUT_PROXY_NONE		PERM, 550, "5.1.6", "this account has no mailbox"
/* A proxy hands on what the store says to the login. */
#define OUT_PROXY_SAYS		TEMP, 450, "4.2.0", "%.*s"
/* There is no message of this number (RFC 1939 5). */
#define OUT_DROP_NO_MESSAGE	PERM, 550, "5.5.4", "no such message"
/* This session has marked the message as deleted (RFC 1939 5). */
#define OUT_DROP_MARKED		PERM, 550, "5.5.4", "this message is marked as deleted"
/* Another program has expunged the message since the login, and its file is gone (cleanup_age in stored(8)). */
#define OUT_DROP_GONE		PERM, 550, "5.2.0", "another program has deleted this message"
/* The index of the store cannot be read; the log says why. */
#define OUT_DROP_UNREADABLE	TEMP, 451, "4.3.0", "the mailbox cannot be read"
/* A message cannot be opened for want of descriptors or memory; the log says which. */
#define OUT_DROP_MESSAGE_NOW	TEMP, 451, "4.3.0", "the message cannot be read at present"
/* The file of a message is missing or damaged; the log says which: storectl check. */
#define OUT_DROP_MESSAGE	PERM, 550, "5.3.0", "the message cannot be read"
/* The message has UTF-8 in its header, the client has not said UTF8, and pop3.utf8_refuse is set (RFC 6856 5). */
#define OUT_DROP_UTF8		PERM, 550, "5.6.7", "this message needs the UTF8 command"
/* At QUIT stored could not remove the messages that were marked, or has died over it; the words say
 * which (RFC 1939 6). */
#define OUT_DROP_LEFT		TEMP, 451, "4.2.0", "messages may not be deleted: %.150s"

/* ---- Senders and recipients */

/* Mail for other systems is carried for users who have logged in and for trusted networks alone (RFC 5321 7.9). */
#define OUT_RELAY_DENIED	PERM, 550, "5.7.1", "relaying denied"
/* A user sends with an address that is not one of the user's; see submission.any_sender (RFC 6409 6.1). */
#define OUT_SENDER_FOREIGN	PERM, 553, "5.7.1", "this sender address is not yours"
/* A user has sent more messages than limit.user_messages in an hour. */
#define OUT_HOUR_MESSAGES	TEMP, 450, "4.7.1", "too many messages this hour"
/* A user has sent to more recipients than limit.user_rcpts in an hour. */
#define OUT_HOUR_RCPTS		TEMP, 450, "4.7.1", "too many recipients this hour"
/* More recipients than a message may have; the client sends again for the rest (RFC 5321 4.5.3.1.10). */
#define OUT_RCPTS_MANY		TEMP, 452, "4.5.3", "too many recipients"
/* The domain is ours and has no such user; also a user who is deleted. */
#define OUT_USER_UNKNOWN	PERM, 550, "5.1.1", "no such user here"
/* The directory does not know the domain. */
#define OUT_DOMAIN_NOT_OURS	PERM, 550, "5.1.2", "not a domain of ours"
/* The user's status is disabled (RFC 3463 3.3). */
#define OUT_USER_DISABLED	PERM, 550, "5.2.1", "the mailbox is disabled"
/* The user's status is inactive, or hold where mail cannot be held (RFC 3463 3.3). */
#define OUT_USER_INACTIVE	TEMP, 450, "4.2.1", "the mailbox takes no mail at the moment"
/* mailDeliveryOption has neither mailbox nor a forward that leads anywhere. */
#define OUT_USER_NO_MAILBOX	PERM, 550, "5.2.1", "this user has no mailbox"
/* The user's uid in the directory is longer than the store can name. */
#define OUT_USER_NAME_LONG	PERM, 550, "5.1.1", "the account's name is too long"
/* mailHost names another host than the one that was asked; relay and store will agree when their
 * views of the directory do (RFC 3463 3.2). */
#define OUT_USER_ELSEWHERE	TEMP, 450, "4.1.6", "the mailbox is not on this host"
/* The user is over quota, and mail waits at its sender; see quota.over in lmtpd(8) and quota_full in
 * stored(8) (RFC 3463 3.3). */
#define OUT_QUOTA_FULL_NOW	TEMP, 452, "4.2.2", "the mailbox is full"
/* The same, and mail is returned (RFC 3463 3.3). */
#define OUT_QUOTA_FULL		PERM, 552, "5.2.2", "the mailbox is full"
/* The user's domain is over its quota, and mail waits at its sender, as for a user's own (RFC 3463 3.4). */
#define OUT_DOMAIN_FULL_NOW	TEMP, 452, "4.3.1", "the mailboxes of this domain are full"
/* The same, and mail is returned (RFC 3463 3.4). */
#define OUT_DOMAIN_FULL		PERM, 552, "5.3.1", "the mailboxes of this domain are full"
/* The message is larger than the user's mailMsgMaxBlocks (RFC 3463 3.3). */
#define OUT_USER_SIZE		PERM, 552, "5.2.3", "message is larger than this mailbox takes"
/* The recipient was expanded behind the answer; all that he leads to is in the queue. */
#define OUT_EXPANDED		OK, 250, "2.0.0", "expanded"
/* The channel bitbucket drops what comes there, on record. */
#define OUT_BITBUCKET		OK, 250, "2.0.0", "discarded"
/* The rewrite rules send an address that is expanded once more to a channel that does so again; mend them. */
#define OUT_EXPAND_AGAIN	TEMP, 451, "4.3.5", "the rules lead in a circle, try later"
/* A user forwards to more addresses than one message can follow (RFC 3463 3.5). */
#define OUT_FORWARD_MANY	PERM, 550, "5.4.6", "too many forwarding addresses"
/* A mailForwardingAddress is no address; mend the user's entry. */
#define OUT_FORWARD_BAD		PERM, 550, "5.3.5", "the forwarding address is malformed"
/* Forwarding leads back to where it began; mend the users' entries (RFC 3463 3.5). */
#define OUT_FORWARD_CIRCLE	PERM, 550, "5.4.6", "this user's forwarding goes in a circle"
/* mailDeliveryOption says forward alone, and mailForwardingAddress is not to be seen; mend the entry or
 * the access rules. */
#define OUT_FORWARD_NONE	TEMP, 451, "4.3.5", "no forwarding address is known, try later"
/* A mailRoutingAddress is no address, or leads to nobody; mend the user's entry. */
#define OUT_ROUTING_BAD		TEMP, 451, "4.3.5", "the routing address leads nowhere, try later"
/* mailDeliveryOption asks for program, native, unix or file alone, which nothing here does; mend the
 * user's entry. */
#define OUT_USER_DELIVERY	TEMP, 451, "4.3.5", "this way of delivery is not available here"
/* Forwarding, lists in lists, or routing addresses go deeper than 20, or a mailRoutingAddress leads back
 * to where it stands (RFC 3463 3.5). */
#define OUT_EXPAND_DEEP		TEMP, 450, "4.4.6", "lists and forwarding lead too far"
/* The recipient's Sieve script refuses the message, in these words (RFC 5429 2). */
#define OUT_SIEVE_REJECT	PERM, 550, "5.7.1", "%.190s"
/* Other recipients' Sieve scripts have sent so much on that the time for the whole message is over; the
 * client comes again for this one. */
#define OUT_SIEVE_SLOW		TEMP, 451, "4.4.5", "no time left for this recipient, try again"
/* The same delivery has come before, and is still sending the message on as the recipient's Sieve script wants it;
 * the client comes again when that is over. */
#define OUT_SIEVE_TWICE		TEMP, 451, "4.4.5", "being sent on for this recipient already, try again"
/* lmtpd takes mail from trusted hosts, or with a client's certificate over TLS; see trusted. */
#define OUT_LMTP_HOST		PERM, 554, "5.7.1", "this host may not deliver here"
/* The client must show a certificate (RFC 3207 4). */
#define OUT_LMTP_CERT		PERM, 530, "5.7.0", "a client certificate is required"
/* The client's certificate is good, and neither its role nor its name is one of those that may send here. */
#define OUT_CERT_NAME		TEMP, 450, "4.7.1", "this certificate is not for a trusted host"

/* ---- Mailing lists */

/* mgrpAllowedBroadcaster, mgrpAllowedDomain, their opposites or mgrpBroadcasterPolicy do not let this
 * sender in (RFC 3463 3.8). */
#define OUT_GROUP_DENIED	PERM, 550, "5.7.2", "you may not send to this list"
/* The same, in the words of mgrpMsgRejectText or mailRejectText. */
#define OUT_GROUP_DENIED_TEXT	PERM, 550, "5.7.2", "%.190s"
/* The message is larger than the list's mgrpMsgMaxSize (RFC 3463 3.3). */
#define OUT_GROUP_SIZE		PERM, 552, "5.2.3", "message is larger than this list takes"
/* The list has an mgrpMsgMaxSize and the client has not said SIZE: with other recipients it could not be
 * refused alone later.  The client comes again for it (RFC 5321 4.5.3.1.10). */
#define OUT_GROUP_ALONE		TEMP, 452, "4.5.3", "this list wants a message of its own, or SIZE"
/* The recipient's mail goes on to another host, which may refuse what our filters call spam: there is one answer for all
 * recipients.  The client comes again for the rest (RFC 5321 4.5.3.1.10). */
#define OUT_FORWARD_ALONE	TEMP, 452, "4.5.3", "mail that is forwarded wants a message of its own"
/* A filter calls it spam, and its recipient would have it forwarded (forward.refuse). */
#define OUT_FORWARD_SPAM	PERM, 550, "5.7.1", "this looks like spam, and would be forwarded"
/* The message has not brought the list's mgrpAuthPassword in a field Approved, or a wrong one; nobody gets it
 * (RFC 3463 3.8). */
#define OUT_GROUP_PASSWORD	PERM, 550, "5.7.2", "the list %.100s wants its password in a field Approved"
/* Lists change a message, and this one reaches too many that do; the client comes again for the rest
 * (RFC 5321 4.5.3.1.10). */
#define OUT_GROUP_EDITS		TEMP, 452, "4.5.3", "too many lists that change the message, send this one alone"
/* Nobody of a list's members can get mail, or none is to be seen, which may be a right that is missing
 * (RFC 3463 3.3). */
#define OUT_GROUP_EMPTY		TEMP, 450, "4.2.4", "the list has no member that can be reached now"
/* A list brings more members than one message may have. */
#define OUT_GROUP_LARGE		TEMP, 452, "4.2.4", "the list is larger than a message may have"
/* Too many members of lists are being looked at, or have been taken for messages that are not here yet
 * (RFC 3463 3.4). */
#define OUT_GROUP_BUSY		TEMP, 451, "4.3.2", "too many lists are in use, try later"
/* A list is a member of itself, directly or not; it counts once (RFC 3463 3.5). */
#define OUT_GROUP_CIRCLE	PERM, 550, "5.4.6", "the list is a member of itself"
/* A member's DN leads to no entry with an address, or the address is malformed; the others get it. */
#define OUT_GROUP_MEMBER	PERM, 550, "5.1.1", "the directory has no address for this member"
/* An attribute of the list, mgrpBroadcasterPolicy or mgrpModerator, has a value without meaning. */
#define OUT_GROUP_BROKEN	TEMP, 451, "4.3.5", "the list's entry needs mending, try later"
/* A memberURL or mgrpDeliverTo is no LDAP URL of this directory; the log says why. */
#define OUT_GROUP_URL		TEMP, 451, "4.3.5", "a URL of the list cannot be used, try later"

/* ---- Rewrite rules */

/* What the rewrite rules made of the address has a host that is no channel's (tiermail-rewrite(5)). */
#define OUT_REWRITE_NO_CHANNEL	PERM, 550, "5.1.2", "no channel takes mail for this host or domain"
/* The words are of a rule's $?; a number in front of it takes the place of the status. */
#define OUT_REWRITE_RULE	PERM, 550, "5.1.2", "%.190s"
/* No host can be found in the address, not even this one. */
#define OUT_REWRITE_NO_HOST	PERM, 553, "5.1.3", "no address that can be taken apart"
/* The rules name a channel that no program delivers. */
#define OUT_ROUTE_NO_MASTER	TEMP, 451, "4.3.5", "no program delivers the mail of channel %.60s"
/* The rules rewrite an address into itself, or more than 50 times.  That is the administrator's to
 * mend, so the mail waits. */
#define OUT_REWRITE_CIRCLE	TEMP, 451, "4.3.5", "the rewrite rules go round in a circle"
/* A rule or mapping asks something that cannot be answered for now, or takes too many steps. */
#define OUT_REWRITE_UNSURE	TEMP, 451, "4.3.0", "cannot be routed for now: %.150s"

/* ---- The message itself */

/* MAIL declares more than limit.size (RFC 1870 6.1). */
#define OUT_SIZE_DECLARED	PERM, 552, "5.3.4", "message is larger than %llu octets"
/* More than limit.size has come (RFC 1870 6.3). */
#define OUT_SIZE		PERM, 552, "5.3.4", "message is larger than we take"
/* The header is larger than limit.header, or has more fields than mail filters can be shown. */
#define OUT_HEADER_SIZE		PERM, 552, "5.3.4", "header is larger than we take"
/* More Received fields than limit.received (RFC 5321 6.3). */
#define OUT_HOPS_MANY		PERM, 554, "5.4.6", "too many hops: this message goes in circles"
/* A CR alone in the message (RFC 5321 2.3.8). */
#define OUT_BODY_BARE_CR	PERM, 550, "5.6.0", "message has a CR that is not part of CRLF"
/* An LF alone in the message; line_ends = normalise takes it as CRLF (RFC 5321 2.3.8). */
#define OUT_BODY_BARE_LF	PERM, 550, "5.6.0", "message has an LF that is not part of CRLF"
/* A NUL in the message (RFC 5322 4). */
#define OUT_BODY_NUL		PERM, 550, "5.6.0", "message has a NUL octet"
/* A line of the message is longer than limit.line (RFC 5321 4.5.3.1.6). */
#define OUT_BODY_LINE_LONG	PERM, 550, "5.6.0", "message has a line that is too long"

/* ---- Mail filters */

/* A filter refuses it and says no more about why. */
#define OUT_FILTER_NO		PERM, 550, "5.7.1", "a filter refuses it"
/* A filter refuses it for now and says no more about why. */
#define OUT_FILTER_LATER	TEMP, 451, "4.7.1", "a filter wants it later"
/* A filter cannot be asked or understood, and mail waits for it: on_failure = tempfail. */
#define OUT_FILTER_AWAY		TEMP, 451, "4.3.0", "a filter is not available, try again later"
/* A filter cannot be asked or understood, and on_failure = reject. */
#define OUT_FILTER_GONE		PERM, 550, "5.3.0", "a filter is not available"
/* A filter has taken the message out of the world: nobody gets it. */
#define OUT_FILTER_VANISHED	OK, 250, "2.0.0", "ok, taken by a filter"

/* ---- Something of ours is in trouble: mail waits where it is */

/* No server of the directory answers (RFC 3463 3.4). */
#define OUT_DIR_AWAY		TEMP, 451, "4.3.0", "the directory does not answer, try later"
/* The directory answers and shows nothing below ldap.base: rights or base are wrong, and no user is
 * refused for that (RFC 3463 3.4). */
#define OUT_DIR_BLIND		TEMP, 451, "4.3.5", "the directory shows nothing, try later"
/* An address has more than one entry, or one that cannot be used (RFC 3463 3.4). */
#define OUT_DIR_DOUBLE		TEMP, 451, "4.3.5", "the directory has no usable entry, try later"
/* The file system of the queue is full (RFC 3463 3.4). */
#define OUT_QUEUE_FULL		TEMP, 452, "4.3.1", "queue is full, try again later"
/* The queue cannot be written; the log says why (RFC 3463 3.4). */
#define OUT_QUEUE_BROKEN	TEMP, 451, "4.3.0", "queue cannot be written, try again later"
/* The file system of the store is full; lmtpd (RFC 3463 3.4). */
#define OUT_BODY_NO_SPACE	TEMP, 452, "4.3.1", "no space for the message"
/* lmtpd cannot write the message into the file that stored gave it (RFC 3463 3.4). */
#define OUT_BODY_UNWRITTEN	TEMP, 451, "4.3.0", "the message cannot be written"

/* ---- The store: to lmtpd, and to imapd, whose clients see the words */

/* Whatever was asked is on disk, or was nothing that goes there. */
#define OUT_STORE_DONE		OK, 250, "2.0.0", "done"
/* A client is known, and what both speak is agreed; tiermail-store(7). */
#define OUT_STORE_HELLO		OK, 250, "2.0.0", "hello"
/* Files for messages are lent. */
#define OUT_STORE_LENT		OK, 250, "2.0.0", "ready"
/* The message is in the mailbox, on disk. */
#define OUT_STORE_DELIVERED	OK, 250, "2.1.5", "delivered"
/* Too many requests of this account wait for stored's writer already. */
#define OUT_STORE_BUSY		TEMP, 451, "4.3.2", "too many requests of this account at once"
/* The message alone is larger than the user's quota (RFC 3463 3.3). */
#define OUT_STORE_SIZE		PERM, 552, "5.2.3", "message is larger than the mailbox may be"
/* There is no mailbox of that name, or no more. */
#define OUT_STORE_NO_BOX	PERM, 550, "5.1.1", "no such mailbox"
/* A mailbox, its name or its account cannot be read from the index; the log says which. */
#define OUT_STORE_DAMAGED	TEMP, 451, "4.3.0", "mailbox is damaged: run storectl reconstruct"
/* A request names a login that may not touch the mailbox. */
#define OUT_STORE_NOT_YOURS	TEMP, 451, "4.7.1", "not this login's mailbox"
/* The login may do some things with the mailbox, but not this one (RFC 4314 4). */
#define OUT_STORE_NO_RIGHT	PERM, 550, "5.7.1", "no right to do this"
/* Rights of a mailbox's owner were to be changed: he has all. */
#define OUT_STORE_OWNER		PERM, 550, "5.7.0", "the owner has all rights"
/* A mailbox was to be shared with everybody, which share_anyone of stored(8) forbids. */
#define OUT_STORE_ANYONE	PERM, 550, "5.7.0", "nothing is shared with anyone here"
/* What rights were to be given to is neither an account's name nor anyone. */
#define OUT_STORE_IDENTIFIER	PERM, 550, "5.2.0", "not an identifier"
/* The mailbox gives rights to as many as one may (64). */
#define OUT_STORE_ACL_MANY	PERM, 550, "5.2.0", "the mailbox is shared with too many"
/* The account's mailboxes give rights to as many, together, as they may (2,000). */
#define OUT_STORE_SHARES_MANY	PERM, 550, "5.2.0", "the account shares too much"
/* The account, the mailbox or the person has as many annotations as one may (RFC 5464 4.3). */
#define OUT_STORE_ANNOTS_MANY	PERM, 550, "5.2.0", "too many annotations"
/* A use that the mailbox cannot have, or that another has (RFC 6154 5.4). */
#define OUT_STORE_USE		PERM, 550, "5.2.0", "not a use for this mailbox"
/* The process that asks may not do so; the words say what is missing (peer.* in stored(8)). */
#define OUT_STORE_FORBIDDEN	TEMP, 451, "4.7.1", "%s"
/* There is a mailbox of that name (RFC 9051 6.3.4). */
#define OUT_STORE_EXISTS	PERM, 550, "5.2.0", "mailbox exists"
/* An account was to get a name that another has. */
#define OUT_STORE_ACCOUNT_EXISTS PERM, 550, "5.2.0", "there is an account of this name"
/* An account was to be deleted only if it has no messages; it has some. */
#define OUT_STORE_USED		PERM, 550, "5.2.0", "the account has messages"
/* The account is on its way to another host, which takes seconds (storectl move). */
#define OUT_STORE_MOVING	TEMP, 451, "4.3.2", "the mailbox is being moved"
/* The account is on another host, where the directory will say that it is (storectl move). */
#define OUT_STORE_MOVED		TEMP, 450, "4.1.6", "the mailbox is on another host now"
/* What was to have been frozen meanwhile has not been; what was to be set as it was looked at has been set. */
#define OUT_STORE_THAWED	TEMP, 451, "4.3.0", "the account may have been changed meanwhile"
/* A name of a mailbox that has become too long, with the folders above it. */
#define OUT_STORE_NAME_LONG	PERM, 550, "5.2.0", "mailbox name is too long"
/* A name that no mailbox can have (RFC 9051 5.1). */
#define OUT_STORE_NAME_BAD	PERM, 550, "5.2.0", "not a valid mailbox name"
/* The account has as many mailboxes as one may have. */
#define OUT_STORE_BOXES_MANY	PERM, 550, "5.2.0", "too many mailboxes"
/* A name without messages of its own, above other mailboxes, is deleted (RFC 9051 6.3.5). */
#define OUT_STORE_INFERIORS	PERM, 550, "5.2.0", "mailbox has inferior names"
/* A mailbox was to be deleted only if it has no messages; it has some. */
#define OUT_STORE_BOX_USED	PERM, 550, "5.2.0", "the mailbox has messages"
/* INBOX is always there (RFC 9051 6.3.5). */
#define OUT_STORE_INBOX		PERM, 550, "5.2.0", "INBOX cannot be deleted"
/* A mailbox was to be renamed to a name below its own. */
#define OUT_STORE_INTO_ITSELF	PERM, 550, "5.2.0", "a mailbox cannot be moved into itself"
/* The mailbox has given out all UIDs that there are (RFC 9051 2.3.1.1). */
#define OUT_STORE_UIDS_OUT	PERM, 550, "5.3.4", "no more UIDs in the mailbox"
/* A backup's UIDs or UIDVALIDITY would mean other messages than they do (RFC 9051 2.3.1.1). */
#define OUT_STORE_UIDS		PERM, 550, "5.2.0", "UIDs that the mailbox cannot have again"
/* The mailbox has as many keywords as one may have. */
#define OUT_STORE_KEYWORDS_MANY	PERM, 550, "5.3.4", "too many keywords in the mailbox"
/* The partition has no space left, or less than min_free (RFC 3463 3.4). */
#define OUT_STORE_FULL		TEMP, 452, "4.3.1", "mail system full"
/* A message's file could not be linked into its folder; the log says why. */
#define OUT_STORE_UNSTORED	TEMP, 452, "4.3.1", "message could not be stored"
/* Files of messages could not be linked into another folder; the log says why. */
#define OUT_STORE_UNCOPIED	TEMP, 452, "4.3.1", "messages could not be copied"
/* What was lent and came back is no file of the length that was said. */
#define OUT_STORE_FILE_BAD	TEMP, 451, "4.3.0", "message file is not usable"
/* No file could be made for a message; the log says why. */
#define OUT_STORE_NO_FILE	TEMP, 452, "4.3.1", "no file for the message"
/* A partition that a client names is not configured. */
#define OUT_STORE_NO_PARTITION	TEMP, 451, "4.3.5", "no such partition"
/* An account has no partition, or one that is not configured. */
#define OUT_STORE_NO_ACCOUNT	TEMP, 451, "4.3.5", "no such account or partition"
/* A sync or a commit failed; nothing of that batch counts, and the log says why. */
#define OUT_STORE_TROUBLE	TEMP, 451, "4.3.0", "the message store has a problem"
/* The directory of a renamed or deleted folder could not be moved, as on a full disk; it is tried again. */
#define OUT_STORE_UNMOVED	TEMP, 451, "4.3.0", "a folder's directory could not be moved yet"
/* stored does not run, or cannot be reached. */
#define OUT_STORE_AWAY		TEMP, 451, "4.3.0", "message store is not available"
/* stored died after it had got a change to make, and before it said whether that is made. */
#define OUT_STORE_UNSURE	TEMP, 451, "4.3.0", "message store broke off: it may have happened"
/* stored ends the connection before it says hello. */
#define OUT_STORE_HANGS_UP	TEMP, 451, "4.3.0", \
				"message store hangs up: it stops, or is of another version"
/* stored is told to stop, and takes nothing new. */
#define OUT_STORE_STOPPING	TEMP, 451, "4.3.2", "message store is stopping"
/* A request cannot be read, which is a fault of the program that asks, or a snapshot not be made;
 * the words say why. */
#define OUT_STORE_FAILED	TEMP, 451, "4.3.0", "%s"
/* A request for the writer that is none of its verbs: a fault of stored's own. */
#define OUT_STORE_MISLED	TEMP, 451, "4.3.0", "not a request for the writer"
/* A verb or a field that must be understood is not: the program that asks is newer than stored. */
#define OUT_STORE_UNKNOWN	TEMP, 451, "4.3.5", "%s"
/* The client and stored have no level of the protocol in common (tiermail-store(7)). */
#define OUT_STORE_LEVELS	TEMP, 451, "4.3.5", "stored speaks levels %d to %d, %s %u to %u"
/* The client speaks the first version of the protocol, and hears of it in that version's words. */
#define OUT_STORE_VERSION	TEMP, 451, "4.3.5", \
				"stored is of another version (protocol %d, not %u): restart what asks"

/* ---- The way to another host: what a report or mailq quotes */

/* The domain does not exist (RFC 5321 5.1). */
#define OUT_DOMAIN_UNKNOWN	PERM, 550, "5.1.2", "no such domain: %.150s"
/* The domain has neither MX nor address (RFC 5321 5.1). */
#define OUT_DOMAIN_NO_HOST	PERM, 550, "5.1.2", "%.150s has no address for mail"
/* The host that a mail exchanger record or the configuration names does not exist. */
#define OUT_HOST_UNKNOWN	PERM, 550, "5.4.4", "no such host: %.150s"
/* The host that a mail exchanger record or the configuration names has no address. */
#define OUT_HOST_NO_ADDRESS	PERM, 550, "5.4.4", "%.150s has no address for mail"
/* The domain has said that it takes no mail at all (RFC 7505 4.1). */
#define OUT_DOMAIN_NULL_MX	PERM, 556, "5.1.10", "%.150s does not take mail (null MX)"
/* The best mail exchanger of a domain is this host, which does not know it (RFC 5321 5.1). */
#define OUT_DOMAIN_LOOP		PERM, 554, "5.4.6", "mail for %.120s loops back to this host"
/* All addresses of a domain's mail exchangers are this host's. */
#define OUT_HOST_LOOP		PERM, 550, "5.4.6", "%.120s is only this host itself"
/* Neither answer nor denial came in time (RFC 3463 3.5). */
#define OUT_DNS_AWAY		TEMP, 451, "4.4.3", "DNS does not answer for %.150s"
/* The settings of the resolver are wrong; the log says why. */
#define OUT_DNS_BROKEN		TEMP, 451, "4.3.5", "the resolver cannot be started"
/* A relay or mailHost of the configuration is no name of a host. */
#define OUT_SITE_BAD		PERM, 550, "5.1.2", "no usable destination: %.150s"
/* The path of a local socket is too long. */
#define OUT_SITE_NO_SOCKET	TEMP, 451, "4.3.5", "no socket: %.150s"
/* No host of a domain was left to try (RFC 3463 3.5). */
#define OUT_SITE_NO_HOST	TEMP, 451, "4.4.4", "no host to connect to"
/* The host does not answer, or refuses the connection (RFC 3463 3.5). */
#define OUT_CONNECT_FAILED	TEMP, 451, "4.4.1", "cannot connect to %.120s: %.60s"
/* The connection is there and this process can not use it; the log says why. */
#define OUT_CONNECT_UNUSED	TEMP, 451, "4.3.0", "cannot open a session to %.150s"
/* The server was silent for longer than the time of a step (RFC 5321 4.5.3.2). */
#define OUT_PEER_SILENT		TEMP, 451, "4.4.1", "no answer in time: %s"
/* The transaction took longer than all of it may. */
#define OUT_PEER_SLOW		TEMP, 451, "4.4.1", "too slow in all: %s"
/* The connection failed in the middle; the words say why and at which step (RFC 3463 3.5). */
#define OUT_PEER_BROKE		TEMP, 451, "4.4.2", "connection broke (%s): %s"
/* The server closed the connection in the middle; at which step (RFC 3463 3.5). */
#define OUT_PEER_CLOSED		TEMP, 451, "4.4.2", "the server closed the connection: %s"
/* A connection that was kept for the next message had ended (RFC 3463 3.5). */
#define OUT_PEER_GONE		TEMP, 451, "4.4.2", "the connection was lost before MAIL"
/* The connection ended while earlier recipients were served (RFC 3463 3.5). */
#define OUT_PEER_GONE_SOON	TEMP, 451, "4.4.2", "the connection ended before this recipient's turn"
/* What the server said has no reply code (RFC 5321 4.2). */
#define OUT_PEER_NO_SMTP	TEMP, 451, "4.5.0", "no SMTP reply: %s"
/* A line, or all lines, of a reply are longer than any use of them. */
#define OUT_PEER_LONG		TEMP, 451, "4.5.0", "the server's reply is too long"
/* DATA was answered with neither 354 nor a refusal (RFC 5321 4.3.2). */
#define OUT_PEER_DATA		TEMP, 451, "4.5.0", "DATA was answered with %d"
/* The server said yes before it could know the message (RFC 5321 4.3.2). */
#define OUT_PEER_EARLY		TEMP, 451, "4.5.0", "accepted before the message was sent"
/* lmtpd or our smart host wants TLS, a certificate or a login: a mistake in the configuration, and no mail is returned.  Its words. */
#define OUT_PEER_WANTS_TLS	TEMP, 451, "4.7.0", "%.180s"
/* An address of the envelope has characters that no command can carry. */
#define OUT_ADDRESS_CONTROL	PERM, 550, "5.1.3", "control characters in an address"
/* The server's SIZE is smaller than the message (RFC 1870 6.1). */
#define OUT_PEER_SIZE		PERM, 552, "5.3.4", "message of %llu bytes, the server takes %llu"
/* The server does not offer XCANCEL, so that what it has taken cannot be taken back. */
#define OUT_PEER_NO_CANCEL	PERM, 550, "5.5.1", "the server cancels no messages"
/* The server does not offer FUTURERELEASE (RFC 4865), or not to us. */
#define OUT_PEER_NO_RELEASE	PERM, 550, "5.5.4", "the server keeps no messages for later"
/* The server does not offer SMTPUTF8 (RFC 6531 3.2). */
#define OUT_PEER_NO_UTF8	PERM, 550, "5.6.7", \
				"the server does not take UTF-8 in addresses and headers"
/* The server does not offer 8BITMIME, and messages are not converted; see session.eightbit
 * (RFC 6152 3). */
#define OUT_PEER_NO_8BIT	PERM, 550, "5.6.3", "the server does not take 8-bit messages"
/* The file of the message ended, or was not what its record says, in the middle of sending. */
#define OUT_MESSAGE_DAMAGED	TEMP, 451, "4.3.0", "the message is damaged"
/* The file of the message cannot be read. */
#define OUT_MESSAGE_UNREAD	TEMP, 451, "4.3.0", "the message cannot be read"

/* ---- The queue and its reports */

/* Nothing has been tried before the message got too old, or before the delay is reported. */
#define OUT_NEVER_TRIED		TEMP, 451, "4.4.1", "no attempt has succeeded yet"
/* An operator has returned the message; with the words of the last attempt (RFC 3463 3.5). */
#define OUT_RETURNED		PERM, 554, "5.4.7", "the postmaster has returned the message: %.150s"
/* The message got too old; with the words of the last attempt (RFC 3463 3.5). */
#define OUT_EXPIRED	PERM, 554, "5.4.7", "not delivered in time; the last attempt: %.140s"
/* The recipient is refused for good, and the sender cannot be told yet: the message stays. */
#define OUT_REPORT_DEFERRED	TEMP, 451, "4.3.0", \
				"failed (%.80s), and the report cannot be queued: %.80s"
/* The message's file cannot be read to quote it in a report. */
#define OUT_REPORT_UNREAD	TEMP, 451, "4.3.0", "the message cannot be read for its report"
/* Even the report was refused, for good: it is dropped on record (RFC 5321 4.5.5). */
#define OUT_REPORT_REFUSED	OK, 250, "2.0.0", "report refused"
/* clang-format on */
#include "mail/outcome-guard.h"
#endif

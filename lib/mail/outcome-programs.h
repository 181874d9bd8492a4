/* mail/outcome-programs.h: the rows of mail/outcome.h about programs, mailbox files, times, events and sharing, which go on its table
 * and are included by it alone. */
#ifndef MAIL_OUTCOME_PROGRAMS_H
#define MAIL_OUTCOME_PROGRAMS_H

/* clang-format off */

/* ---- Messages with a time to be delivered by (RFC 2852) */

/* BY asks for a message back after less than deliver_by.least. */
#define OUT_BY_SHORT		PERM, 501, "5.5.4", "nothing below %lld seconds is promised here"
/* BY asks for a message back at a time to which HOLDFOR or HOLDUNTIL keep it: it could only come back. */
#define OUT_BY_KEPT		PERM, 501, "5.5.4", "the time to deliver it is over before it is sent"
/* The time of BY=...;R is over: the message is returned. */
#define OUT_BY_OVER		PERM, 554, "5.4.7", "not delivered in the time that was given; the last attempt: %.120s"
/* The time of BY=...;N is over: its sender is told, and the message goes on. */
#define OUT_BY_LATE		TEMP, 451, "4.4.7", "not yet delivered in the time that was given; the last attempt: %.120s"
/* The next host does not know DELIVERBY, and the sender wants the message back rather than late. */
#define OUT_BY_UNABLE		PERM, 554, "5.3.3", "the next host does not promise to deliver in time"

/* ---- Messages that go through a channel on their way */

/* The pieces of the message have been put together; the whole is in the queue (RFC 2046 5.2.2). */
#define OUT_DETOUR_TOGETHER	OK, 250, "2.0.0", "put together"
/* A piece of a message goes on by itself: others have not come in time, or it does not fit to them. */
#define OUT_DETOUR_ALONE	OK, 250, "2.0.0", "gone on as it came: %.150s"
/* The message has gone through the entries of conversions, and is in the queue for where it was going. */
#define OUT_DETOUR_CONVERTED	OK, 250, "2.0.0", "gone through conversion"
/* A message is in a channel that only leads on to others, and there is none that it could go on to; mend the rules, or
 * put that channel back into channels.conf. */
#define OUT_DETOUR_NOWHERE	TEMP, 451, "4.3.5", "nowhere to go on to: %.150s"
/* ---- Mailboxes that are shared */

/* The annotation sharedseen of a mailbox (imapd(8)) is neither true nor false. */
#define OUT_STORE_SHAREDSEEN	PERM, 550, "5.2.0", "sharedseen is true or false"
/* ---- What people do to messages, for which a script runs (RFC 6785) */

/* This is no message that came: imapd tells of what somebody has done to one, and no script of that name is there, or it has
 * errors; the message stays as it is (RFC 6785 2.3.1). */
#define OUT_EVENT_NONE		OK, 250, "2.0.0", "keep"
/* The script has run for what somebody has done to a message: what is to become of it, and of its flags (RFC 6785 3). */
#define OUT_EVENT_DONE		OK, 250, "2.0.0", "%.180s"
/* imapd's words to lmtpd about what was done to a message are none that this version knows. */
#define OUT_EVENT_BAD		PERM, 501, "5.5.4", "this is no event"
/* The lmtpd there does not offer XEVENT: it is of an older version, or not on this host. */
#define OUT_PEER_NO_EVENT	TEMP, 451, "4.3.5", "the server hears of no events"

/* ---- Programs and mailbox files (piped(8)) */

/* The program has taken the message (exit code 0); native is the user's mailbox file. */
#define OUT_PIPE_DONE		OK, 250, "2.0.0", "taken by %.64s"
/* The program asks to be tried later (EX_TEMPFAIL of sysexits.h). */
#define OUT_PIPE_LATER		TEMP, 451, "4.3.0", "%.32s: %.150s"
/* The program ended with an exit code that does not say that the message is at fault, as one that has a bug does. */
#define OUT_PIPE_EXIT		TEMP, 451, "4.3.0", "exit code %d of %.32s: %.130s"
/* The program was ended by a signal, mostly of a fault of its own or of a limit. */
#define OUT_PIPE_SIGNAL		TEMP, 451, "4.3.0", "%.64s was ended by signal %d"
/* The program took longer than its `time`, and was ended with all that it had started. */
#define OUT_PIPE_SLOW		TEMP, 451, "4.4.5", "%.64s took too long"
/* The program wrote more than its `output`, and was ended with all that it had started. */
#define OUT_PIPE_OUTPUT		TEMP, 451, "4.3.0", "%.64s wrote too much"
/* The program says that the message is malformed (EX_DATAERR). */
#define OUT_PIPE_DATA		PERM, 554, "5.6.0", "%.32s: %.150s"
/* The program knows no such user (EX_NOUSER). */
#define OUT_PIPE_NO_USER	PERM, 550, "5.1.1", "%.32s: %.150s"
/* The program knows no such host (EX_NOHOST). */
#define OUT_PIPE_NO_HOST	PERM, 550, "5.1.2", "%.32s: %.150s"
/* The program cannot do what the message asks for (EX_UNAVAILABLE). */
#define OUT_PIPE_UNABLE		PERM, 554, "5.3.0", "%.32s: %.150s"
/* What the program talked to did not keep to its protocol (EX_PROTOCOL). */
#define OUT_PIPE_PROTOCOL	PERM, 554, "5.5.0", "%.32s: %.150s"
/* The program does not let this sender or recipient in (EX_NOPERM). */
#define OUT_PIPE_DENIED		PERM, 550, "5.7.1", "%.32s: %.150s"
/* piped.conf has no [program] of this name, or native.deliver is off. */
#define OUT_PIPE_NONE		TEMP, 451, "4.3.5", "no program %.64s is set up here"
/* The recipient is no user of this host, his uid is below limit.min_uid, or the program of an alias has no
 * `run_as`. */
#define OUT_PIPE_USER		TEMP, 451, "4.3.5", "%.64s has no user of this host to run as"
/* The program or its folder is not there or may not be used by its user, or piped is not root and cannot become him. */
#define OUT_PIPE_RUN		TEMP, 451, "4.3.5", "%.64s cannot be run: %.100s"
/* This host has no process, descriptor or pipe left for a program. */
#define OUT_PIPE_SYSTEM		TEMP, 451, "4.3.0", "no program can be started: %.100s"
/* Other mail has had all the time that there was (limit.wait), or the daemon ends. */
#define OUT_PIPE_BUSY		TEMP, 451, "4.3.2", "too many programs are running, try later"
/* The program was started, and nobody knows how it ended. */
#define OUT_PIPE_LOST		TEMP, 451, "4.3.0", "what became of the program is not known"
/* A client of piped has not said for whom which program is to run. */
#define OUT_PIPE_XRUN		TEMP, 451, "4.5.1", "XRUN is needed here"
/* An address begins with a dash, or has a control character: a program could take it for an option. */
#define OUT_PIPE_WORDS		PERM, 553, "5.1.3", "no program is given such an address"
/* At piped.sock there is another server. */
#define OUT_PIPE_OTHER		TEMP, 451, "4.3.5", "no piped is there to run programs"
/* clang-format on */
#endif

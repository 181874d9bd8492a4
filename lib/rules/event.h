/* rules/event.h: what somebody has done to a message for which a script waits (RFC 6785), as imapd tells lmtpd.
 *
 * Lines "key value", of which the reader skips those that it does not know: RCPT's XEVENT of lmtpd(8).  And what lmtpd says
 * when the script has run: one line, what has become of the message.  Pure: bytes in, structs out; and back. */
#ifndef RULES_EVENT_H
#define RULES_EVENT_H
#include "base/buf.h"

#define RULES_EVENT_MAX 1800 /* octets of it as xtext: a line of SMTP has room for that */

struct rules_event {
	struct slice cause;   /* "APPEND", "COPY", "FLAG" */
	struct slice user;    /* the login of who did it */
	struct slice mailbox; /* where the message is */
	struct slice script;  /* by its name: the person's own of it, or the administrator's, */
	struct slice global;  /* "yes": the administrator's alone */
	struct slice flags;   /* of the message now: words with blanks */
	struct slice changed; /* FLAG: those that have changed */
};
/* Values have no controls; false: one of them has. */
bool rules_event_write(struct buf *b, const struct rules_event *e) MUSTCHECK;
/* Slices borrow.  False: that is no event. */
bool rules_event_parse(struct slice text, struct rules_event *e) MUSTCHECK;

/* "keep" or "delete", then each flag that is to change, with + or - before it. */
struct rules_event_outcome {
	bool keep;
	struct slice add, remove; /* words with blanks */
};
#define RULES_EVENT_WORDS 160 /* octets of the flags: an answer has room for them */
bool rules_event_outcome_write(struct buf *b, struct slice before, const struct slice *after,
    size_t n, bool keep) MUSTCHECK;
/* The words are put into `words`.  False: it is none. */
bool rules_event_outcome_parse(struct slice text, struct buf *words,
    struct rules_event_outcome *o) MUSTCHECK;
#endif

/* guard/policy.h: asking policy services by Postfix's protocol (SMTPD_POLICY_README): postgrey, postfwd and others.
 *
 * A request is lines of name=value and an empty line, the answer action=... and an empty line.  A service sees one
 * request at a time on a connection; connections are kept and used again, by whichever session asks next.  Waits
 * as net/op.h has them. */
#ifndef GUARD_POLICY_H
#define GUARD_POLICY_H
#include "base/buf.h"
#include "mail/verdict.h"
#include "net/addr.h"
#include "net/loop.h"
#include "net/op.h"

#define GUARD_POLICY_IDLE 8    /* connections kept while nobody asks */
#define GUARD_POLICY_MAX  4096 /* octets of an answer */

/* ---- the language: pure */

/* Appends name=value; what is no printable character of a line becomes a question mark. */
void guard_policy_write(struct buf *b, const char *name, struct slice value);

enum guard_policy_action {
	GUARD_POLICY_DUNNO,   /* the next service is asked */
	GUARD_POLICY_OK,      /* none is asked any more */
	GUARD_POLICY_REFUSE,  /* .verdict */
	GUARD_POLICY_PREPEND, /* .text: a field for the message; then as DUNNO */
	GUARD_POLICY_HOLD,    /* .text: the reason, may be empty; then as DUNNO */
	GUARD_POLICY_DISCARD, /* nobody gets the message */
	GUARD_POLICY_NOTE,    /* .text: for the log; then as DUNNO */
	GUARD_POLICY_UNKNOWN  /* an action that we have not; access(5) of Postfix has more */
};
struct guard_policy_answer {
	enum guard_policy_action action;
	struct verdict verdict;
	struct slice text; /* borrowed from what was parsed */
};
/* Reads a whole answer, up to and without its empty line.  False: it is none. */
bool guard_policy_read(struct slice lines, struct guard_policy_answer *a);

/* ---- asking */

struct guard_policy;
struct guard_policy *guard_policy_new(struct loop *l);
void guard_policy_free(struct guard_policy **p); /* nobody asks any more */

/* done(arg, answer, NULL), or done(arg, NULL, why): not reached, late, not understood; `why` is borrowed.  `request`
 * is copied, without the empty line at its end. */
typedef void (*guard_policy_done)(void *arg, const struct guard_policy_answer *, const char *why);
void guard_policy_start(struct guard_policy *p, const struct addr *to, uint32_t timeout_ms,
    struct slice request, struct op *op, guard_policy_done done, void *arg);
#endif

/* channel-master/access.h: access tables that are asked behind the answer (tiermail-mappings(5)). */
#ifndef MASTER_ACCESS_H
#define MASTER_ACCESS_H
#include "expand/expand.h"
#include "job-impl.h"
#include "master.h"

/* DEQUEUE_ACCESS: is the message to be tried now?  False: not for j->backoff seconds, and the result says why.  What the
 * table says of the time until the next attempt is j->backoff, too. */
bool access_dequeue(struct job *j);
/* SEND_ACCESS and MAIL_ACCESS, of a member that was found behind the answer: may he get it, and how (*leg)?  False:
 * why not; TEMP: that cannot be said now.  Texts that leg has got are in `a`. */
bool access_member(const struct qenv *e, const char *source, struct expand_leg *leg,
    struct arena *a, struct verdict *no);
#endif

/* channel-master/dequeue.h: the table DEQUEUE_ACCESS. */
#ifndef MASTER_DEQUEUE_H
#define MASTER_DEQUEUE_H
#include "job-impl.h"
#include "master.h"

/* Is the message to be tried now?  False: not for j->backoff seconds, and the result says why.  What the table says of
 * the time until the next attempt is j->backoff, too. */
bool dequeue_may(struct job *j);
#endif

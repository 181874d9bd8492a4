/* channel-master/cut.h: messages that are delivered before they have a file (job/cut.h). */
#ifndef CUT_H
#define CUT_H
#include "job-impl.h"

/* At the start of a channel's first life, if it is one that delivers so. */
void cut_open(void);
void cut_halt(bool halt); /* an operator has stopped the channel, or started it again */
void cut_drain(void);
/* For job.c: everything is decided, or nothing is; j goes. */
void cut_end(struct job *j);
#endif

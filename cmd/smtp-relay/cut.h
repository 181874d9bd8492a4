/* smtp-relay/cut.h: a message that its store has before it is answered. */
#ifndef SMTP_RELAY_CUT_H
#define SMTP_RELAY_CUT_H
#include "stage.h"

/* The message is complete.  True: over(s, had) follows from the loop: so many recipients have it, who are in the writer
 * no more (qwrite_cut_rest).  False: nobody can be asked now. */
bool cut_start(struct session *s, void (*over)(struct session *, size_t had));
void cut_forget(struct message *m);
#endif

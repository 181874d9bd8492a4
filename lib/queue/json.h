/* queue/json.h: a queued message as JSON (RFC 8259), for --json of the tools: mailq(1) and
 * jobctl-ctl(8) say the same of a message in the same keys. */
#ifndef QUEUE_JSON_H
#define QUEUE_JSON_H
#include "queue/env.h"

/* Appends what the file says, as members of the object that the caller has opened: dest, sender,
 * priority, source, client, auth, envid, held (only when `held`: the journal also remembers why it
 * once was) and the array recipients.  What is not known is left out. */
void queue_json_put(struct buf *b, const struct qenv *env, bool held);
#endif

/* smtp-relay/scripts.h: Sieve scripts of channels: sourcefilter of the channel that a message comes by, destinationfilter of
 * those that it goes to (tiermail-channels(5)); for message.c and main.c.
 *
 * They run when all of the message is here and mail filters have agreed, before any of it is in the queue, once for each
 * channel, whoever gets it there.  People's own scripts, their domain's and the system's run where the mailbox is. */
#ifndef SMTP_RELAY_SCRIPTS_H
#define SMTP_RELAY_SCRIPTS_H
#include "filters.h"

struct scripts;
/* Compiles those of relay.channels anew; what cannot be is told in the log, and there is none then. */
void scripts_load(void);
void scripts_unload(void);
void scripts_paths(void); /* the files that they are in are to be reached */
/* Appends a line of warning for each that would not be. */
void scripts_check(const struct channels *c, struct buf *why);
/* Is there one for the message that this session's recipients are for? */
bool scripts_wanted(const struct session *s);
/* What is held, as filters have left it: done(s, no), with NULL to go on: header, recipients and their bodies are then as the
 * scripts want them. */
void scripts_ask(struct session *s, void (*done)(struct session *s, const struct verdict *no));
void scripts_stop(struct scripts **); /* harmless for NULL */
/* The header that scripts have made for this body; empty: the message's own. */
struct slice scripts_header(const struct session *s, unsigned body);
#endif

/* channels-impl.h: where the rules of a set of channels come from; for channels.c and channels-rules.c. */
#ifndef MTA_CHANNELS_IMPL_H
#define MTA_CHANNELS_IMPL_H
#include "mta/channels.h"

/* Compiles mta.cnf, mappings and general beside channels.conf, as far as they are there; mistakes go to
 * *why.  Without mta.cnf cs->rules stays NULL. */
void channels_rules_read(struct channels *cs, const char *path, struct buf *why);
/* Makes the rules of the channels and static routes. */
void channels_rules_make(struct channels *cs, struct buf *why);
#endif

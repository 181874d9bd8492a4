/* mta/detour.h: a channel that a message goes through on its way to the one that it is for.
 *
 * The destination there says where it goes on: "CHANNEL!DESTINATION".  smtp-relay asks when the header is known,
 * channel-master when it writes a message into the queue again; pure. */
#ifndef MTA_DETOUR_H
#define MTA_DETOUR_H
#include "mta/channels.h"

#define MTA_DEFRAGMENT "defragment" /* the channel that puts pieces together */
#define MTA_CONVERSION "conversion" /* the channel that has parts converted */

/* The channel that a message from `source` for `channel` goes through first, or NULL.  `piece`: it is one of a message in
 * pieces (mail/partial.h). */
const char *
mta_detour(const struct channels *c, const char *source, const char *channel, bool piece);
/* The destination in the channel of a detour, in `a`. */
char *mta_detour_write(struct arena *a, const char *channel, const char *dest);
/* Takes it apart, in `a`.  False: it is none, or leads to no channel of the set, or to one that is a detour. */
bool mta_detour_parse(const struct channels *c, const char *text, struct arena *a,
    const char **channel, const char **dest) MUSTCHECK;
#endif

/* guard/srs.h: the Sender Rewriting Scheme, in the forms of postsrsd and libsrs2: a sender of somebody else's domain
 * becomes one of ours when we send his mail on, so that SPF of the next host asks us, and a report comes back to us, and
 * by us to him.
 *
 *	SRS0=HHHH=TT=his.domain=local@ours          HHHH: of HMAC-SHA1, TT: the day
 *	SRS1=HHHH=first.forwarder==HHHH=TT=his.domain=local@ours      he was one of SRS0 already
 *
 * Pure: time and secrets come from the caller. */
#ifndef GUARD_SRS_H
#define GUARD_SRS_H
#include "base/buf.h"

#define GUARD_SRS_DAYS 21 /* that a report may take */

/* Appends the local part that local@domain becomes; `now`: unix seconds.  False: there is none, it would be longer than a
 * local part may be. */
bool guard_srs_forward(struct buf *out, struct slice local, struct slice domain,
    struct slice secret, int64_t now);
/* Is it a local part of these forms? */
bool guard_srs_is(struct slice local);
/* Appends the address that it was made of, or for SRS1 the SRS0 one of the first forwarder.  `secrets`, NULL-terminated: the
 * one that signs, and older ones.  False: it was not made with any of them, or is older than GUARD_SRS_DAYS. */
bool guard_srs_back(struct buf *out, struct slice local, char *const *secrets, int64_t now);
#endif

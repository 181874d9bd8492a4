/* mta/header.h: the addresses of a message's header by the rewrite rules and the table REVERSE.
 *
 * Pure.  Of the fields that hold addresses (RFC 5322 3.6.2, 3.6.3, 3.6.6) only the octets of an address that
 * comes out as another one change; names, comments, folds, the order and everything else stay as they are.
 * Where a line were longer than 998 octets by that it is folded in front of an address.
 * An address that cannot be told apart from what surrounds it, or of which the rules make none, stays too. */
#ifndef MTA_HEADER_H
#define MTA_HEADER_H
#include "base/map.h"
#include "mta/rules.h"

#define MTA_HEADER_ADDRESSES 1000 /* different ones of one message that are rewritten */

struct mta_header {
	const struct mta_conf *conf;
	const struct mta_mappings *mappings; /* or NULL */
	const struct mta_calls *calls;
	struct slice source; /* the channel that it comes from */
	struct arena *a;     /* of the message: what is known of addresses */
	struct map
	    known; /* by channel, direction and address; zeroed at first, mta_header_fini ends it */
	size_t n;  /* how many were looked at */
	size_t left;    /* how many were not, past the bound */
	struct buf key; /* while one is looked up; scratch */
};
/* Appends the fields as they are in mail that goes to channel `dest`.  May be called for several channels. */
void
mta_header_rewrite(struct mta_header *h, struct slice dest, struct slice fields, struct buf *out);
void mta_header_fini(struct mta_header *h);
#endif

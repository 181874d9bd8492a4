/* route/route.h: what the rewrite rules make of an address: which channel, which destination.
 *
 * Pure.  The rules (tiermail-rewrite(5), or those made of channels.conf(5), mta/channels.h) make a
 * channel of the address, and perhaps another address.  Where they come to this host's own channel, l, or
 * to one with aliaslocal, the directory says who takes the mail: expand/ asks it.  Destination is what
 * the rules name for a channel's host name, else a source route's first host, else the domain. */
#ifndef ROUTE_ROUTE_H
#define ROUTE_ROUTE_H
#include "mta/channels.h"
#include "mail/address.h"
#include "mail/verdict.h"

#define ROUTE_LMTP "tcp_lmtp"
#define ROUTE_PIPE "pipe" /* for programs: where it is configured */
#define ROUTE_SMTP "tcp_local"

struct route_query {
	const struct address *address;
	const char *source;    /* the channel that it comes from, for the rules */
	struct slice mailhost; /* of the user, where that is known */
	/* Whether domains are ours, for $V and $Z; MTA_LATER: ask again when it is known. */
	enum mta_answer (*local_domain)(void *arg, struct slice domain);
	void *arg;
};
struct route_way {
	enum mta_result result; /* MTA_RW_OK: the rest is set; MTA_RW_LATER; else v says why not */
	struct verdict v;       /* also with MTA_RW_OK, when no program delivers that channel */
	bool directory;         /* the directory says more: no channel and host */
	const char *
	    decided; /* the channel that the rules came to, as tables know it; l for the directory's */
	const char *channel, *host;
	struct address address; /* to deliver to, domain in lower case */
	struct slice text;      /* the same written */
};
/* All is made in the arena. */
void route_rewrite(const struct channels *c, const struct route_query *q, struct arena *a,
    struct route_way *way);

/* The name that DNS and tables go by: lower case, A-labels where it can be. */
const char *route_domain_key(struct arena *a, struct slice domain);

/* What the rules say of a domain without asking the directory, if they can.  Channel and host are made
 * in the arena. */
bool route_fixed(const struct channels *c, struct slice domain, struct arena *a,
    const char **channel, const char **host);

/* The sender of an envelope by the rules.  The directory is not asked: no domain is ours here, for
 * $V and $Z.  True when they made another address of it, in the arena; a sender of which they make no
 * address stays as it is. */
bool route_sender(const struct channels *c, const struct address *from, const char *source,
    struct arena *a, struct address *out);
#endif

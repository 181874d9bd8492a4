/* route/route.h: where a message for an address goes: which channel, which destination.
 *
 * The one entry is route_start; it fills a struct route_decision.  In this first form the order
 * is
 *	1. a static [route] of channels.conf(5) for the domain or one of its parents,
 *	2. a domain of the directory: the LMTP channel, to the user's mailHost,
 *	3. the static [route] "*", if there is one,
 *	4. any other domain: the SMTP channel, to the domain.
 * The rewrite rules of mta.cnf take the place of this order behind the same entry.
 * The directory is asked through a callback, so that this library knows no LDAP. */
#ifndef ROUTE_ROUTE_H
#define ROUTE_ROUTE_H
#include "conf/channels.h"
#include "mail/address.h"
#include "mail/verdict.h"
#include "net/loop.h"
#include "net/op.h"

#define ROUTE_LMTP "tcp_lmtp"
#define ROUTE_SMTP "tcp_local"

/* What the directory says of an address; borrowed while `found` runs. */
struct route_found {
	bool ours;              /* the domain is in the directory; if not, the rest is not looked at */
	struct verdict v;       /* OK; PERM no such user, disabled ...; TEMP overquota, outage ... */
	struct slice mailhost;  /* of the user; empty: this host */
	struct slice address;   /* deliver to this instead; empty: as asked */
	struct slice smarthost; /* of the domain: where users go whom the directory does not know */
	const char *hold;       /* a literal: accept, but keep in the queue, for this reason */
	int64_t max_message;    /* octets, 0 = no limit of its own */
	struct slice account;   /* the user's name; empty when there is none */
	/* The user has mail sent on to these addresses; keep: into the mailbox as well. */
	const struct slice *forward;
	size_t nforward;
	bool keep;
};

struct route_params {
	const struct channels *channels;
	const char *hostname;   /* mailHost of users without one */
	/* As net/op.h: answers once, never from inside. */
	void (*ask)(void *arg, struct slice local, struct slice domain, struct op *op,
	    void (*found)(void *arg2, const struct route_found *), void *arg2);
	void *arg;
};

/* Borrowed while `done` runs. */
struct route_decision {
	struct verdict v;       /* OK: the rest is set; else why the address is not taken */
	bool local;             /* the domain is ours: relaying is no question */
	bool fixed;             /* by a static route */
	const char *channel, *host; /* channel and destination */
	struct slice address;   /* local@domain to deliver to, domain in lower case */
	const char *hold;
	int64_t max_message;
	/* As in route_found.  With nforward, channel and host are where the copy for the mailbox
	 * goes, if `keep`; the other addresses are questions of their own. */
	struct slice account;
	const struct slice *forward;
	size_t nforward;
	bool keep;
};

struct route;
struct route *route_new(struct loop *l, const struct route_params *p);
/* Later questions are decided by the new tables; those under way by the old. */
void route_reload(struct route *r, const struct route_params *p);
void route_free(struct route **r);
/* The address is copied. */
void route_start(struct route *r, const struct address *addr, struct op *op,
    void (*done)(void *arg, const struct route_decision *), void *arg);
#endif

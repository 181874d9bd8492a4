/* net/dns-impl.h: a context of libunbound's and what it was made from; for dns.c alone.
 *
 * libunbound reads the hosts file, resolv.conf and the trust anchor once, when a context is made.  A
 * daemon lives for months and those files do not, so a context is exchanged when they have changed:
 * new questions go to the new one, and the old one ends with the last that it was asked. */
#ifndef NET_DNS_IMPL_H
#define NET_DNS_IMPL_H
#include <unbound.h>
#include "net/dns.h"

struct dns_stamp { /* all zero: there is no such file */
	uint64_t device, inode, size, changed_ns;
};

struct dns_context {
	struct ub_ctx *ub;
	struct watch watch;
	size_t asked; /* questions under way */
	bool old;     /* gets no more of them */
	struct dns_stamp hosts, resolvers, anchor;
};

/* NULL with *why (heap).  p is borrowed for the call. */
struct dns_context *dns_context_new(struct loop *l, const struct dns_params *p, char **why);
/* Have the files changed?  True once for each change. */
bool dns_context_changed(struct dns_context *c, const struct dns_params *p);
/* The owner lets go; it closes when nothing is asked of it any more. */
void dns_context_leave(struct dns_context **c);
/* A question begins, one is over; also from inside of ub_process. */
void dns_context_ask(struct dns_context *c);
void dns_context_answered(struct dns_context *c);
#endif

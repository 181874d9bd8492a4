/* net/dns-impl.h: between the files of net/dns.h: a context of libunbound's and what it was made from
 * (dns-context.c), and a question (dns.c), for those who ask them (dns-ask.c).
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

/* ---- dns.c ---- */

enum {
	DNS_TYPE_A = 1,
	DNS_TYPE_CNAME = 5,
	DNS_TYPE_PTR = 12,
	DNS_TYPE_MX = 15,
	DNS_TYPE_TXT = 16,
	DNS_TYPE_AAAA = 28,
	DNS_TYPE_TLSA = 52
};
enum { DNS_NAME_WIRE = 255 };

struct query;
struct part { /* one question of libunbound's */
	struct query *q;
	int type, id;
	bool open;
	int status;
};

struct query {
	struct list link;
	struct dns *d;
	struct dns_context *context;
	struct op *op;
	void (*done)(void *, const struct dns_answer *);
	void *arg;
	struct part parts[2];
	size_t nparts, open;
	bool all_secure, bogus; /* of what was answered */
	bool answered;
	uint64_t asked_us;
	struct dns_answer a;
	struct deadline deadline;
	struct later later;
};

struct query *dns_query_new(struct dns *d, struct op *op,
    void (*done)(void *, const struct dns_answer *), void *arg);
void dns_query_ask(struct query *q, const char *name, int type);
void dns_query_addr(struct query *q, int family, const void *bytes);
/* Nothing is asked: `done` follows from the loop. */
void dns_query_later(struct query *q, int status);
#endif

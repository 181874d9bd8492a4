/* net/dns.h: validating DNS by libunbound, never blocking.
 *
 * Names are looked for in the hosts file and then in DNS, as they stand: no list of domains to
 * search in, no other service of nsswitch.conf.  When the hosts file, resolv.conf or the anchor
 * changes, what is asked from then on, within a second, is asked by the new one. */
#ifndef NET_DNS_H
#define NET_DNS_H
#include "net/addr.h"
#include "net/loop.h"
#include "net/op.h"
#include "net/tlsa.h"

struct dns;
struct dns_params {
	const char *resolvers; /* "ip[@port] ..." to forward to; NULL = /etc/resolv.conf */
	const char *hosts;     /* a hosts file; NULL = /etc/hosts */
	const char *anchor;    /* trust anchor file; NULL = none */
	const char *stubs;     /* tests: "zone=ip@port ..." */
	uint32_t timeout_ms;   /* a whole question; 0 = 20 s */
};
/* Those of tiermail.conf(5); borrowed until a reload. */
struct dns_params dns_params_shared(void);
/* NULL with *why (heap); p is copied. */
struct dns *dns_new(struct loop *l, const struct dns_params *p, char **why) MUSTCHECK;
/* Other settings, for what is asked from now on.  0, or -EINVAL with *why and the old ones. */
int dns_change(struct dns *d, const struct dns_params *p, char **why) MUSTCHECK;
void dns_free(struct dns **d); /* cancels what is asked */

enum dns_security { DNS_INSECURE, DNS_SECURE, DNS_BOGUS };
struct dns_mx {
	uint16_t preference;
	char *host;
};
struct dns_answer {
	int status; /* 0; -ENOENT no such name; -ENODATA no such record; -EAGAIN temporary
	                              (SERVFAIL, timeout, bogus) */
	enum dns_security
	    security;    /* of what was answered: all of it is secure, or some is bogus */
	bool partial;    /* a part of the question was not answered, so that may be anything */
	char *canonical; /* the name at the end of the aliases (CNAME); NULL: there are none */
	struct tlsa_set tlsa;
	struct slice *txt; /* each record as one text, its strings joined */
	size_t ntxt;
	uint32_t ttl;
	uint64_t us; /* that the question took */
	struct addr *addrs;
	size_t naddrs; /* port 0 */
	struct dns_mx *mx;
	size_t nmx; /* sorted by preference, equal ones shuffled; a null
	                                        MX (RFC 7505) is one entry with host "" */
};
/* The answer is borrowed until done returns.  Names of the hosts file and localhost are answered
 * too; address literals (plain, [192.0.2.1], [IPv6:...]) have addresses and no MX. */
void dns_mx_start(struct dns *d, const char *name, struct op *op,
    void (*done)(void *arg, const struct dns_answer *), void *arg);
/* A and AAAA together, IPv6 first as RFC 6724 would when both work. */
void dns_addr_start(struct dns *d, const char *name, struct op *op,
    void (*done)(void *arg, const struct dns_answer *), void *arg);
/* The names of an address (PTR) of IPv4 or IPv6, as `mx` without preference, in no order; not of the hosts file. */
void dns_ptr_start(struct dns *d, const struct addr *a, struct op *op,
    void (*done)(void *arg, const struct dns_answer *), void *arg);
/* The TLSA records of a port of a host (RFC 6698 3), by DNS alone; 0: there are some. */
void dns_tlsa_start(struct dns *d, const char *host, int port, struct op *op,
    void (*done)(void *arg, const struct dns_answer *), void *arg);
/* Is the name an alias?  0: it is, and `security` is that of this record alone, whatever it leads to. */
void dns_alias_start(struct dns *d, const char *name, struct op *op,
    void (*done)(void *arg, const struct dns_answer *), void *arg);
/* The TXT records of a name, by DNS alone; DNS_TXT_MOST of them at most. */
#define DNS_TXT_MOST 64
void dns_txt_start(struct dns *d, const char *name, struct op *op,
    void (*done)(void *arg, const struct dns_answer *), void *arg);
/* A alone, by DNS alone: for names that are no hosts, like those of lists (RFC 5782). */
void dns_a_start(struct dns *d, const char *name, struct op *op,
    void (*done)(void *arg, const struct dns_answer *), void *arg);
#endif

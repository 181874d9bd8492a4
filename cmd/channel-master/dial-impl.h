/* channel-master/dial-impl.h: between the files of dialling: dial.c (names, addresses, connect, hello, next) and dial-policy.c
 * (how the host in hand is to be known). */
#ifndef DIAL_IMPL_H
#define DIAL_IMPL_H
#include "master.h"

#define DIAL_MAGIC 0x6469616c
#define MX_MAX     50
#define ADDR_MAX   32

struct dial {
	uint32_t magic;
	struct site *site;
	void (*done)(void *, struct session *, const struct verdict *, enum job_site);
	void *arg;
	struct op op;
	struct later later;
	struct session *session; /* in its hello */
	char *mx[MX_MAX];
	size_t nmx, mx_at;
	char host[256]; /* whose addresses these are */
	struct addr addrs[ADDR_MAX];
	size_t naddrs, at;
	int64_t tries;
	bool no_names;        /* so far every host's name was found not to exist */
	bool secure;          /* DNSSEC: nobody else has told us where the mail goes */
	struct policy policy; /* of the host in hand; dial_policy_begin sets it anew */
	struct smtp_sts sts;  /* of the domain; all zero: it has none, or sts_known is false */
	bool sts_known;
	bool sts_uncertain; /* there may be one, and it cannot be had */
	bool unlisted;      /* the host in hand is none of the policy's, which is only tested */
	bool plain;         /* this try does without the TLS that it may have */
	char bases[2]
		  [256]; /* TLSA base domains that are left to be asked for, the last one first */
	size_t nbases;
	struct addr ours; /* of the connection in its hello; len 0: not known */
	char peer[400];
	struct verdict last;
	enum job_site last_site;
};

/* dial.c.  Go on: the next address of the host in hand, or the next host. */
void dial_next_address(struct dial *d);
void dial_next_host(struct dial *d);
/* This host, or its address, gives no session; `result` of RFC 8460 4.3, or NULL: it is not for TLS. */
void dial_note(struct dial *d, const struct verdict *v, const char *result);

/* dial-policy.c.  The host's addresses are there, `a` is what was found of them: d->policy becomes what it is held to, and
 * dial_next_address or dial_next_host follows, at once or later. */
void dial_policy_begin(struct dial *d, const struct dns_answer *a);
/* For the reports of TLS: a policy that could not be had, or that leaves a host (or NULL) out before there is a connection. */
void dial_policy_record(struct dial *d, enum policy_source source, const char *host,
    const char *result, const char *why);
#endif

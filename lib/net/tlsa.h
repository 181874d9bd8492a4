/* net/tlsa.h: TLSA records (RFC 6698, 7671), as far as mail can use them (RFC 7672 3.1).
 *
 * Pure: bytes of the DNS in, records out; dns.c reads them and tls-session.c has libssl compare them with
 * the certificates that a server shows. */
#ifndef NET_TLSA_H
#define NET_TLSA_H
#include "base/slice.h"

enum tlsa_usage { TLSA_PKIX_TA, TLSA_PKIX_EE, TLSA_DANE_TA, TLSA_DANE_EE };
enum tlsa_selector { TLSA_CERT, TLSA_SPKI };
enum tlsa_matching { TLSA_FULL, TLSA_SHA256, TLSA_SHA512 };
#define TLSA_MOST 32 /* records of one name that are kept: the first ones */

struct tlsa {
	uint8_t usage, selector, matching;
	struct slice data;
};
/* One record as the DNS has it; t->data borrows from it.  0, or -EBADMSG with *why. */
int tlsa_parse(struct slice rdata, struct tlsa *t, const char **why) MUSTCHECK;
/* Can a host of mail be known by it?  Not by what asks for a public CA, too, not by numbers that nobody has
 * defined, nor by a digest of another length than its kind has. */
bool tlsa_usable(const struct tlsa *t);

/* All zero: none. */
struct tlsa_set {
	struct tlsa *records; /* the usable ones, with data of their own */
	size_t n;
	size_t
	    seen; /* all: a host that has some, and none usable, has TLS all the same (RFC 7672 2.2) */
};
void tlsa_set_add(struct tlsa_set *s, struct slice rdata);
void tlsa_set_copy(struct tlsa_set *to, const struct tlsa_set *from); /* `to` is none */
void tlsa_set_fini(struct tlsa_set *s);

/* What a TLS client asks of a server by DANE; borrowed.  With a set that has nothing usable TLS goes on without
 * a proof of who is there. */
struct tls_dane {
	const char *base;  /* TLSA base domain: announced (SNI), and a name of the certificate */
	const char *other; /* another name that the certificate may have instead, or NULL */
	const struct tlsa_set *set;
};
#endif

/* channel-master/https.h: one request to a host of the web by HTTPS, with bounds: for policies (RFC 8461) and reports
 * (RFC 8460).
 *
 * The host's certificate must be of a public authority (tls.public_ca) and for its name.  A redirection is an answer
 * like another: it is not followed.  Addresses of this host itself are passed over, as for MX hosts. */
#ifndef HTTPS_H
#define HTTPS_H
#include "base/slice.h"
#include "net/op.h"

struct https_ask { /* borrowed until `done` */
	const char *host;
	int port;
	const char *target; /* "/path" */
	const char *type;   /* of the body; NULL: there is none, and it is GET */
	struct slice body;
	size_t most; /* octets of an answer that are taken: more is a failure */
	uint32_t ms; /* for all of it */
};
struct https_answer {
	unsigned code;   /* 0: there is no answer, or not all of it, and: */
	const char *why; /* words */
	const char *
	    result; /* of RFC 8460 4.3, for a policy: "sts-webpki-invalid", "sts-policy-fetch-error" */
	struct slice body; /* these live until `done` returns */
	bool plain;        /* it says text/plain */
};
/* done(arg, a) follows from the loop, once, or never after op_cancel. */
void https_start(const struct https_ask *ask, struct op *op,
    void (*done)(void *arg, const struct https_answer *a), void *arg);
/* A TLS client that knows the public authorities; NULL after logging: tls.public_ca cannot be read.  Borrowed. */
struct tls_ctx *https_tls(void);
#endif

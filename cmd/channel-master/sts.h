/* channel-master/sts.h: the MTA-STS policy of a domain (RFC 8461), from the DNS, the web and the cache on disk.
 *
 * The cache is QUEUE/.sts/DOMAIN, one file a domain, written beside and renamed: all masters share it, whoever comes
 * first fetches, and nobody waits for another.  A file that cannot be read is none. */
#ifndef STS_H
#define STS_H
#include "net/op.h"
#include "smtp/sts.h"

struct sts_answer {
	const struct smtp_sts
	    *policy; /* borrowed until `done` returns; NULL: the domain has none that is known */
	const char *result; /* a newer one was looked for in vain: why, by RFC 8460 4.3; or NULL */
	const char *why;    /* and in words */
};
/* `domain` in A-labels.  done(arg, a) follows from the loop, once; at the latest after tls.sts_timeout and a question to
 * the DNS.  What was known before holds while it is not out of date, whatever becomes of the question. */
void sts_start(const char *domain, struct op *op,
    void (*done)(void *arg, const struct sts_answer *a), void *arg);
#endif

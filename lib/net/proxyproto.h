/* net/proxyproto.h: the PROXY protocol, versions 1 and 2 (haproxy.org, proxy-protocol.txt): what a load
 * balancer says in front of a connection's first byte, so that we know for whom it connects.
 *
 * Parsing and writing are pure.  proxyproto_start reads a header from a socket, and no byte beyond it:
 * TLS may follow at once.  Who may announce anything is the caller's matter. */
#ifndef NET_PROXYPROTO_H
#define NET_PROXYPROTO_H
#include "base/buf.h"
#include "net/addr.h"
#include "net/loop.h"
#include "net/op.h"

#define PROXYPROTO_LINE_MAX 107  /* octets of a header of version 1 with its CRLF */
#define PROXYPROTO_MAX      4096 /* ... of version 2 with its TLVs; the format would allow 65551 */

struct proxyproto {
	uint8_t version; /* 1 or 2 */
	/* LOCAL, UNKNOWN, or a family that is no network of ours: nobody is announced, the peer of the
	 * socket speaks for himself.  Else `from` is who has connected to the proxy, and where (`to`). */
	bool local;
	struct addr from, to;
	size_t n; /* octets of the header */
};

enum proxyproto_found {
	PROXYPROTO_WHOLE,
	PROXYPROTO_PART, /* all octets belong to a header that goes on */
	PROXYPROTO_BAD   /* no header, or a malformed one: *why says it */
};
/* The header at the beginning of `in`.  TLVs are skipped, but must fill the header exactly. */
enum proxyproto_found
proxyproto_parse(struct slice in, struct proxyproto *p, const char **why) MUSTCHECK;
/* Appends a header of version 2.  Addresses that are not both of one network family: LOCAL. */
void proxyproto_write(struct buf *b, const struct addr *from, const struct addr *to);

/* Reads the header off fd (non-blocking; it stays the caller's).  done(arg, p, why): p NULL when there
 * was none within timeout_ms, and `why` says it. */
typedef void (*proxyproto_done)(void *arg, const struct proxyproto *p, const char *why);
void proxyproto_start(struct loop *l, int fd, uint32_t timeout_ms, struct op *op,
    proxyproto_done done, void *arg);
#endif

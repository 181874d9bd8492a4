/* net/proxyproto.c: headers of the PROXY protocol as bytes.
 *
 * Owns nothing; proxyproto-read.c calls the parser for what a socket has, mmpd the writer.  Can fail:
 * what is malformed, which is said in words fit for a log.  Must stay true: an octet is taken for part of
 * a header only when it is, since what follows is the client's; a header never announces what is no
 * address (version 1 has them as text, of which just one spelling is taken).  Cost: each octet once a
 * call, of PROXYPROTO_MAX at most. */
#include "net/proxyproto.h"

#include <arpa/inet.h>
#include <string.h>

#define V2_HEAD 16

static const char v2_sign[12] = "\r\n\r\n\0\r\nQUIT\n";
static const char v1_sign[6] = "PROXY ";

enum { V2_LOCAL = 0x20, V2_PROXY = 0x21 }; /* version and command */
enum { V2_UNSPEC = 0x0, V2_INET = 0x1, V2_INET6 = 0x2, V2_UNIX = 0x3 };
enum { V2_STREAM = 0x1 };

/* ---- addresses ----------------------------------------------------------------------------- */

static void
proxyproto_address(struct addr *a, int family, const void *bytes, uint16_t port)
{
	memset(a, 0, sizeof(*a));
	a->sa.sa_family = (sa_family_t)family;
	if (family == AF_INET) {
		a->len = sizeof(a->in);
		memcpy(&a->in.sin_addr, bytes, 4);
		a->in.sin_port = htons(port);
	} else {
		a->len = sizeof(a->in6);
		memcpy(&a->in6.sin6_addr, bytes, 16);
		a->in6.sin6_port = htons(port);
	}
	addr_unmap(a);
}

/* ---- version 1 ------------------------------------------------------------------------------ */

static bool
v1_word(struct slice *rest, struct slice *word)
{
	return slice_cut(rest, ' ', word) && word->n > 0;
}

static bool
v1_address(struct slice text, int family, struct slice port, struct addr *a)
{
	char host[INET6_ADDRSTRLEN];
	unsigned char bytes[16];
	uint64_t n;

	/* "A port is a decimal number without leading zeros." */
	if (text.n >= sizeof(host) || slice_u64(port, 65535, &n) < 0 ||
	    (port.n > 1 && port.p[0] == '0') || memchr(text.p, '\0', text.n))
		return false;
	slice_cstr(text, host, sizeof(host));
	if (inet_pton(family, host, bytes) != 1)
		return false;
	proxyproto_address(a, family, bytes, (uint16_t)n);
	return true;
}

static bool
v1_line(struct slice line, struct proxyproto *p)
{
	struct slice family, from, to, from_port;
	int af;

	if (!v1_word(&line, &family))
		return false;
	/* "the receiver must ignore anything presented before the CRLF" */
	if (slice_eq(family, S("UNKNOWN"))) {
		p->local = true;
		return true;
	}
	af = slice_eq(family, S("TCP4")) ? AF_INET : slice_eq(family, S("TCP6")) ? AF_INET6 : -1;
	/* What is left is the last word; another blank makes it no port. */
	return af >= 0 && v1_word(&line, &from) && v1_word(&line, &to) &&
	    v1_word(&line, &from_port) && v1_address(from, af, from_port, &p->from) &&
	    v1_address(to, af, line, &p->to);
}

static enum proxyproto_found
v1_parse(struct slice in, struct proxyproto *p, const char **why)
{
	size_t n = slice_find(slice_sub(in, 0, PROXYPROTO_LINE_MAX), '\n');

	*why = "a line without end";
	if (n == PROXYPROTO_LINE_MAX)
		return PROXYPROTO_BAD;
	if (n == in.n)
		return PROXYPROTO_PART;
	*why = "malformed line";
	p->version = 1;
	p->n = n + 1;
	/* The sign has a blank at its end, so there is an octet before the LF. */
	if (in.p[n - 1] != '\r' ||
	    !v1_line(slice_sub(in, sizeof(v1_sign), n - 1 - sizeof(v1_sign)), p))
		return PROXYPROTO_BAD;
	return PROXYPROTO_WHOLE;
}

/* ---- version 2 ------------------------------------------------------------------------------ */

static unsigned
v2_u16(const char *p)
{
	return (unsigned)(unsigned char)p[0] << 8 | (unsigned char)p[1];
}

/* Do the TLVs fill what is left? */
static bool
v2_tlvs(struct slice rest)
{
	while (rest.n >= 3) {
		size_t n = 3 + v2_u16(rest.p + 1);

		if (n > rest.n)
			return false;
		rest = slice_from(rest, n);
	}
	return rest.n == 0;
}

static bool
v2_addresses(int family, struct slice body, struct proxyproto *p)
{
	size_t n = family == AF_INET ? 4 : 16;

	if (body.n < 2 * n + 4)
		return false;
	proxyproto_address(&p->from, family, body.p, (uint16_t)v2_u16(body.p + 2 * n));
	proxyproto_address(&p->to, family, body.p + n, (uint16_t)v2_u16(body.p + 2 * n + 2));
	return v2_tlvs(slice_from(body, 2 * n + 4));
}

static enum proxyproto_found
v2_parse(struct slice in, struct proxyproto *p, const char **why)
{
	unsigned command, family, transport;
	struct slice body;

	if (in.n < V2_HEAD)
		return PROXYPROTO_PART;
	command = (unsigned char)in.p[12];
	family = (unsigned char)in.p[13] >> 4;
	transport = (unsigned char)in.p[13] & 0xf;
	p->version = 2;
	p->n = V2_HEAD + v2_u16(in.p + 14);
	*why = "unknown version or command";
	if (command != V2_LOCAL && command != V2_PROXY)
		return PROXYPROTO_BAD;
	*why = "too long";
	if (p->n > PROXYPROTO_MAX)
		return PROXYPROTO_BAD;
	if (in.n < p->n)
		return PROXYPROTO_PART;
	body = slice_sub(in, V2_HEAD, p->n - V2_HEAD);
	/* "the receiver must ignore the proxy protocol block" of LOCAL; and of what it cannot know */
	p->local = command == V2_LOCAL || family == V2_UNSPEC || family == V2_UNIX;
	if (p->local)
		return PROXYPROTO_WHOLE;
	*why = "no TCP over IPv4 or IPv6";
	if (transport != V2_STREAM || (family != V2_INET && family != V2_INET6))
		return PROXYPROTO_BAD;
	*why = "malformed addresses or TLVs";
	return v2_addresses(family == V2_INET ? AF_INET : AF_INET6, body, p) ? PROXYPROTO_WHOLE :
									       PROXYPROTO_BAD;
}

/* ---- both ----------------------------------------------------------------------------------- */

/* 1: it begins so; 0: it may still; -1: it does not. */
static int
begins(struct slice in, const char *sign, size_t n)
{
	if (memcmp(in.p, sign, in.n < n ? in.n : n) != 0)
		return -1;
	return in.n >= n;
}

enum proxyproto_found
proxyproto_parse(struct slice in, struct proxyproto *p, const char **why)
{
	int v1, v2;

	memset(p, 0, sizeof(*p));
	*why = "no header";
	if (in.n == 0)
		return PROXYPROTO_PART;
	v1 = begins(in, v1_sign, sizeof(v1_sign));
	v2 = begins(in, v2_sign, sizeof(v2_sign));
	if (v1 == 1)
		return v1_parse(in, p, why);
	if (v2 == 1)
		return v2_parse(in, p, why);
	return v1 == 0 || v2 == 0 ? PROXYPROTO_PART : PROXYPROTO_BAD;
}

static void
v2_put_u16(struct buf *b, unsigned v)
{
	buf_char(b, (char)(v >> 8));
	buf_char(b, (char)v);
}

void
proxyproto_write(struct buf *b, const struct addr *from, const struct addr *to)
{
	struct addr f = *from, t = *to;

	addr_unmap(&f);
	addr_unmap(&t);
	buf_add(b, v2_sign, sizeof(v2_sign));
	if (f.sa.sa_family != t.sa.sa_family ||
	    (f.sa.sa_family != AF_INET && f.sa.sa_family != AF_INET6)) {
		buf_char(b, V2_LOCAL);
		buf_char(b, 0);
		v2_put_u16(b, 0);
		return;
	}
	buf_char(b, V2_PROXY);
	if (f.sa.sa_family == AF_INET) {
		buf_char(b, V2_INET << 4 | V2_STREAM);
		v2_put_u16(b, 12);
		buf_add(b, &f.in.sin_addr, 4);
		buf_add(b, &t.in.sin_addr, 4);
	} else {
		buf_char(b, V2_INET6 << 4 | V2_STREAM);
		v2_put_u16(b, 36);
		buf_add(b, &f.in6.sin6_addr, 16);
		buf_add(b, &t.in6.sin6_addr, 16);
	}
	v2_put_u16(b, (unsigned)addr_port(&f));
	v2_put_u16(b, (unsigned)addr_port(&t));
}

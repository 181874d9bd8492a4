/* net/addr.c: see addr.h.
 *
 * Pure; used by all that listen, connect, or judge by address.  Only text can fail, with
 * -EINVAL.  IPv4 and its mapped form are the same address everywhere, else a limit or a list of
 * networks could be passed by the other form; and a Unix socket is this host. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "net/addr.h"

static int
parse_host(struct slice s, struct addr *a)
{
	char text[INET6_ADDRSTRLEN + 1];

	if (s.n == 0 || s.n >= sizeof(text))
		return -EINVAL;
	slice_cstr(s, text, sizeof(text));
	if (inet_pton(AF_INET, text, &a->in.sin_addr) == 1) {
		a->in.sin_family = AF_INET;
		a->len = sizeof(a->in);
		return 0;
	}
	if (inet_pton(AF_INET6, text, &a->in6.sin6_addr) == 1) {
		a->in6.sin6_family = AF_INET6;
		a->len = sizeof(a->in6);
		return 0;
	}
	return -EINVAL;
}

static int
parse_unix(struct slice path, struct addr *a)
{
	if (path.n == 0 || path.n >= sizeof(a->un.sun_path) || memchr(path.p, 0, path.n))
		return -EINVAL;
	a->un.sun_family = AF_UNIX;
	memcpy(a->un.sun_path, path.p, path.n);
	a->len = sizeof(a->un);
	return 0;
}

int
addr_parse(struct slice s, struct addr *a)
{
	struct slice host = s, port = { 0 };
	size_t colon = slice_rfind(s, ':'), first = slice_find(s, ':');
	uint64_t n = 0;

	memset(a, 0, sizeof(*a));
	if (slice_starts(s, S("unix:")))
		return parse_unix(slice_from(s, 5), a);
	if (s.n && s.p[0] == '[') {
		size_t end = slice_find(s, ']');

		if (end == s.n || (end + 1 < s.n && s.p[end + 1] != ':'))
			return -EINVAL;
		host = slice_sub(s, 1, end - 1);
		if (slice_find(host, ':') == host.n)
			return -EINVAL;
		if (end + 1 < s.n)
			port = slice_from(s, end + 2);
		else
			colon = s.n;
	} else if (colon < s.n && colon == first) { /* more colons: a bare IPv6 address */
		host = slice_sub(s, 0, colon);
		port = slice_from(s, colon + 1);
	} else {
		colon = s.n;
	}
	if (colon < s.n && slice_u64(port, 65535, &n) < 0)
		return -EINVAL;
	if (slice_eq(host, S("*")))
		host = S("::");
	if (parse_host(host, a) < 0)
		return -EINVAL;
	addr_set_port(a, (int)n);
	return 0;
}

char *
addr_host(const struct addr *a, char dst[ADDR_TEXT])
{
	struct addr plain = *a;

	addr_unmap(&plain);
	if (plain.sa.sa_family == AF_INET)
		inet_ntop(AF_INET, &plain.in.sin_addr, dst, ADDR_TEXT);
	else if (plain.sa.sa_family == AF_INET6)
		inet_ntop(AF_INET6, &plain.in6.sin6_addr, dst, ADDR_TEXT);
	else
		strcpy(dst, "local");
	return dst;
}

char *
addr_write(const struct addr *a, char dst[ADDR_TEXT])
{
	char host[ADDR_TEXT];

	if (a->sa.sa_family == AF_UNIX) {
		size_t at = offsetof(struct sockaddr_un, sun_path);
		int n = a->len > at ? (int)strnlen(a->un.sun_path, a->len - at) : 0;

		snprintf(dst, ADDR_TEXT, "unix:%.*s", n, a->un.sun_path);
		return dst;
	}
	addr_host(a, host);
	snprintf(dst, ADDR_TEXT, strchr(host, ':') ? "[%.100s]:%d" : "%.100s:%d", host,
	    addr_port(a));
	return dst;
}

int
addr_port(const struct addr *a)
{
	if (a->sa.sa_family == AF_INET)
		return ntohs(a->in.sin_port);
	return a->sa.sa_family == AF_INET6 ? ntohs(a->in6.sin6_port) : 0;
}

void
addr_set_port(struct addr *a, int port)
{
	if (a->sa.sa_family == AF_INET)
		a->in.sin_port = htons((uint16_t)port);
	else if (a->sa.sa_family == AF_INET6)
		a->in6.sin6_port = htons((uint16_t)port);
}

void
addr_unmap(struct addr *a)
{
	struct sockaddr_in in = { .sin_family = AF_INET };

	if (a->sa.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr))
		return;
	in.sin_port = a->in6.sin6_port;
	memcpy(&in.sin_addr, a->in6.sin6_addr.s6_addr + 12, 4);
	memset(&a->ss, 0, sizeof(a->ss));
	a->in = in;
	a->len = sizeof(in);
}

/* The address as 16 bytes, IPv4 mapped.  Its true width is *bits; 0 for Unix sockets. */
static void
bytes_of(const struct addr *a, uint8_t b[16], unsigned *bits)
{
	struct addr plain = *a;

	memset(b, 0, 16);
	addr_unmap(&plain);
	if (plain.sa.sa_family == AF_INET) {
		b[10] = b[11] = 0xff;
		memcpy(b + 12, &plain.in.sin_addr, 4);
		*bits = 32;
	} else if (plain.sa.sa_family == AF_INET6) {
		memcpy(b, plain.in6.sin6_addr.s6_addr, 16);
		*bits = 128;
	} else {
		*bits = 0;
	}
}

bool
addr_loopback(const struct addr *a)
{
	uint8_t b[16];
	unsigned bits;

	bytes_of(a, b, &bits);
	if (bits == 32)
		return b[12] == 127;
	return bits == 0 || IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr);
}

bool
addr_here(const struct addr *a)
{
	uint8_t b[16];
	unsigned bits;

	bytes_of(a, b, &bits);
	if (bits == 32)
		return b[12] == 127 || b[12] == 0;
	return bits == 0 || IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr) ||
	    IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr);
}

void
addr_client_key(const struct addr *a, uint8_t key[16])
{
	unsigned bits;

	bytes_of(a, key, &bits);
	if (bits == 128)
		memset(key + 8, 0, 8);
}

int
addr_in(const struct addr *a, struct slice net)
{
	uint8_t x[16], y[16];
	unsigned xbits, ybits;
	uint64_t len;
	struct addr base;
	size_t cut = slice_find(net, '/');

	memset(&base, 0, sizeof(base));
	if (parse_host(slice_sub(net, 0, cut), &base) < 0)
		return -EINVAL;
	bytes_of(&base, y, &ybits);
	len = ybits;
	if (cut < net.n && slice_u64(slice_from(net, cut + 1), ybits, &len) < 0)
		return -EINVAL;
	bytes_of(a, x, &xbits);
	if (xbits != ybits)
		return 0;
	len += 128 - ybits; /* IPv4 is compared in its mapped form */
	if (memcmp(x, y, len / 8) != 0)
		return 0;
	return len % 8 == 0 || ((x[len / 8] ^ y[len / 8]) >> (8 - len % 8)) == 0;
}

/* net/addr.h: where to listen or connect: "host:port", "[v6]:port", "unix:/path". */
#ifndef NET_ADDR_H
#define NET_ADDR_H
#include <sys/socket.h>
#include <netinet/in.h>
#include <sys/un.h>
#include "base/slice.h"

struct addr {
	socklen_t len;
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
		struct sockaddr_storage ss;
	};
};
/* Numeric addresses and unix: paths only ("*:25" is [::]:25, dual stack; a bare address has
 * port 0).  0 or -EINVAL. */
int addr_parse(struct slice s, struct addr *a) MUSTCHECK;
/* "127.0.0.1:25", "[::1]:25", "unix:/path", "unix:" for an unnamed peer; returns dst. */
#define ADDR_TEXT 128
char *addr_write(const struct addr *a, char dst[ADDR_TEXT]);
/* The address alone, without port; "local" for Unix sockets. */
char *addr_host(const struct addr *a, char dst[ADDR_TEXT]);
int addr_port(const struct addr *a); /* 0 for Unix sockets */
void addr_set_port(struct addr *a, int port);
bool addr_loopback(const struct addr *a); /* 127/8, ::1, Unix sockets */
/* Connecting to it ends on this host whatever its interfaces: loopback, 0/8, ::, and their
 * forms mapped into IPv6. */
bool addr_here(const struct addr *a);
/* An IPv4 address mapped into IPv6 (::ffff:192.0.2.1) becomes a plain one. */
void addr_unmap(struct addr *a);
/* 16 bytes for a per-client table: IPv4 mapped, IPv6 cut to /64. */
void addr_client_key(const struct addr *a, uint8_t key[16]);
/* CIDR match: "192.0.2.0/24", "2001:db8::/32", a single address.  1, 0, or -EINVAL when net
 * is bad. */
int addr_in(const struct addr *a, struct slice net);
#endif

/* net/dns-ask.c: the questions of dns.h: what is answered here (literals, this host) and what is asked of
 * libunbound.
 *
 * Called from outside; dns.c has the life of a question and its answer.  What cannot be a name is answered
 * without asking, from the loop like the rest. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include "net/dns-impl.h"

/* 192.0.2.1, [192.0.2.1], 2001:db8::1, [IPv6:2001:db8::1] */
static bool
dns_literal(struct query *q, const char *name)
{
	struct slice s = slice_str(name);
	uint8_t bytes[16];
	char text[64];

	if (s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']') {
		s = slice_sub(s, 1, s.n - 2);
		if (slice_istarts(s, S("IPv6:")))
			s = slice_from(s, 5);
	}
	if (s.n >= sizeof(text))
		return false;
	slice_cstr(s, text, sizeof(text));
	if (inet_pton(AF_INET, text, bytes) == 1)
		dns_query_addr(q, AF_INET, bytes);
	else if (inet_pton(AF_INET6, text, bytes) == 1)
		dns_query_addr(q, AF_INET6, bytes);
	else
		return false;
	return true;
}

/* "localhost" and what is below it is this host, whatever a hosts file or a server says
 * (RFC 6761 6.3). */
static bool
loopback(struct query *q, const char *name)
{
	struct slice s = slice_str(name);

	if (slice_ends(s, S(".")))
		s.n--;
	if (!slice_ieq(s, S("localhost")) &&
	    !(s.n > 10 && slice_ieq(slice_from(s, s.n - 10), S(".localhost"))))
		return false;
	dns_query_addr(q, AF_INET6, &in6addr_loopback);
	dns_query_addr(q, AF_INET, &(struct in_addr){ htonl(INADDR_LOOPBACK) });
	return true;
}

static bool
nameable(const char *name)
{
	return *name && strlen(name) <= DNS_NAME_WIRE - 2 && !strpbrk(name, " \t\r\n[]@");
}

void
dns_mx_start(struct dns *d, const char *name, struct op *op,
    void (*done)(void *arg, const struct dns_answer *), void *arg)
{
	struct query *q = dns_query_new(d, op, done, arg);

	if (dns_literal(q, name)) {
		q->a.naddrs = 0;
		dns_query_later(q, -ENODATA);
	} else if (!nameable(name)) {
		dns_query_later(q, -ENOENT);
	} else {
		dns_query_ask(q, name, DNS_TYPE_MX);
		if (!q->open)
			dns_query_later(q, -EAGAIN);
	}
}

void
dns_addr_start(struct dns *d, const char *name, struct op *op,
    void (*done)(void *arg, const struct dns_answer *), void *arg)
{
	struct query *q = dns_query_new(d, op, done, arg);

	if (dns_literal(q, name) || loopback(q, name)) {
		dns_query_later(q, 0);
	} else if (!nameable(name)) {
		dns_query_later(q, -ENOENT);
	} else {
		dns_query_ask(q, name, DNS_TYPE_AAAA);
		dns_query_ask(q, name, DNS_TYPE_A);
		if (!q->open)
			dns_query_later(q, -EAGAIN);
	}
}

void
dns_ptr_start(struct dns *d, const struct addr *a, struct op *op,
    void (*done)(void *arg, const struct dns_answer *), void *arg)
{
	struct query *q = dns_query_new(d, op, done, arg);
	const uint8_t *four = (const uint8_t *)&a->in.sin_addr, *six = a->in6.sin6_addr.s6_addr;
	char name[80];

	if (a->sa.sa_family == AF_INET)
		(void)snprintf(name, sizeof(name), "%u.%u.%u.%u.in-addr.arpa", four[3], four[2],
		    four[1], four[0]);
	for (int i = 15, at = 0; a->sa.sa_family == AF_INET6 && i >= 0; i--)
		at += snprintf(name + at, sizeof(name) - (size_t)at, "%x.%x.%s", six[i] & 15U,
		    six[i] >> 4U, i ? "" : "ip6.arpa");
	dns_query_ask(q, name, DNS_TYPE_PTR);
	if (!q->open)
		dns_query_later(q, -EAGAIN);
}

/* One type of record, as it stands. */
static void
dns_ask_type(struct dns *d, const char *name, int type, struct op *op,
    void (*done)(void *arg, const struct dns_answer *), void *arg)
{
	struct query *q = dns_query_new(d, op, done, arg);

	if (!nameable(name)) {
		dns_query_later(q, -ENOENT);
		return;
	}
	dns_query_ask(q, name, type);
	if (!q->open)
		dns_query_later(q, -EAGAIN);
}

void
dns_a_start(struct dns *d, const char *name, struct op *op,
    void (*done)(void *arg, const struct dns_answer *), void *arg)
{
	dns_ask_type(d, name, DNS_TYPE_A, op, done, arg);
}

void
dns_alias_start(struct dns *d, const char *name, struct op *op,
    void (*done)(void *arg, const struct dns_answer *), void *arg)
{
	dns_ask_type(d, name, DNS_TYPE_CNAME, op, done, arg);
}

void
dns_txt_start(struct dns *d, const char *name, struct op *op,
    void (*done)(void *arg, const struct dns_answer *), void *arg)
{
	dns_ask_type(d, name, DNS_TYPE_TXT, op, done, arg);
}

void
dns_tlsa_start(struct dns *d, const char *host, int port, struct op *op,
    void (*done)(void *arg, const struct dns_answer *), void *arg)
{
	char name[DNS_NAME_WIRE + 20];

	(void)snprintf(name, sizeof(name), "_%d._tcp.%s", port, host);
	dns_ask_type(d, name, DNS_TYPE_TLSA, op, done, arg);
}

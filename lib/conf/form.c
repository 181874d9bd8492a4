/* conf/form.c: see form.h.
 *
 * It owns nothing and is called by value.c for each text, and each word of a list, whose key names a
 * form.  It says what would be right, in words that follow "key = value: ".  What must stay true:
 * what a daemon would refuse or silently misunderstand later is refused here, and nothing that it
 * understands is.  A table and not parsers of the layers above, because configuration is read
 * before there is anything else. */
#include "conf/form.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/must.h"
#include "base/utf8.h"
#include "mail/address.h"

#define TEXT_MAX  256 /* of an address or port; longer ones are none */
#define UNIX_MAX  107 /* octets of a path in a socket address */
#define PREFIX_V4 32
#define PREFIX_V6 128

static bool
form_ip(struct slice s, int *family)
{
	unsigned char raw[sizeof(struct in6_addr)];
	char text[TEXT_MAX], *zone;

	if (s.n == 0 || s.n >= sizeof(text))
		return false;
	slice_cstr(s, text, sizeof(text));
	if ((zone = strchr(text, '%'))) /* fe80::1%eth0 */
		*zone = '\0';
	*family = strchr(text, ':') ? AF_INET6 : AF_INET;
	return inet_pton(*family, text, raw) == 1;
}

static bool
form_port(struct slice s)
{
	uint64_t n;

	return slice_u64(s, 65535, &n) == 0 && n > 0;
}

static bool
form_domain(struct slice s)
{
	return s.n && utf8_valid(s) && domain_valid(s, ADDRESS_UTF8);
}

static bool
form_host(struct slice s)
{
	int family;

	return form_ip(s, &family) || form_domain(s);
}

/* Takes ":port" off the end of "host:port" or "[address]:port"; port.n is 0 when there is none. */
static bool
form_split(struct slice s, struct slice *host, struct slice *port)
{
	size_t end;

	*port = slice(NULL, 0);
	if (s.n && s.p[0] == '[') {
		end = slice_find(s, ']');
		if (end == s.n)
			return false;
		*host = slice_sub(s, 1, end - 1);
		s = slice_from(s, end + 1);
		if (s.n && s.p[0] != ':')
			return false;
		*port = slice_from(s, s.n ? 1 : 0);
		return s.n != 1;
	}
	end = slice_find(s, ':');
	*host = slice_sub(s, 0, end);
	*port = slice_from(s, end < s.n ? end + 1 : end);
	return end + 1 != s.n;
}

static bool
is_log(struct slice s)
{
	return slice_eq(s, S("stderr")) || slice_eq(s, S("syslog")) || slice_starts(s, S("dir:/"));
}

static bool
is_domain(struct slice s)
{
	return form_domain(s);
}

static bool
is_address(struct slice s)
{
	struct arena a = { 0 };
	struct address addr;
	const char *why;
	bool good =
	    utf8_valid(s) && address_parse(s, ADDRESS_UTF8, &a, &addr, &why) == 0 && addr.domain.n;

	arena_reset(&a);
	return good;
}

static bool
is_user(struct slice s)
{
	return slice_eq(s, S("*")) || is_address(s);
}

static bool
is_pattern(struct slice s)
{
	return slice_eq(s, S("*")) || form_domain(slice_starts(s, S("*.")) ? slice_from(s, 2) : s);
}

static bool
is_server(struct slice s)
{
	struct slice host, port;

	if (slice_starts(s, S("unix:")))
		return s.n > 6 && s.p[5] == '/' && s.n - 5 <= UNIX_MAX;
	if (!form_split(s, &host, &port) || (port.n && !form_port(port)))
		return false;
	if (slice_starts(host, S("IPv6:")))
		host = slice_from(host, 5);
	return form_host(host);
}

static bool
is_socket(struct slice s)
{
	struct slice host, port;

	return is_server(s) &&
	    (slice_starts(s, S("unix:")) || (form_split(s, &host, &port) && port.n > 0));
}

static bool
is_ip(struct slice s)
{
	int family;

	return form_ip(s, &family);
}

static bool
is_network(struct slice s)
{
	size_t slash = slice_find(s, '/');
	uint64_t bits = 0;
	int family;

	if (!form_ip(slice_sub(s, 0, slash), &family))
		return false;
	return slash == s.n ||
	    slice_u64(slice_from(s, slash + 1), family == AF_INET ? PREFIX_V4 : PREFIX_V6, &bits) ==
	    0;
}

static bool
is_listen(struct slice s)
{
	struct slice host, port;

	if (slice_starts(s, S("unix:")))
		return s.n > 5 && s.n - 5 <= UNIX_MAX;
	return form_split(s, &host, &port) && form_port(port) &&
	    (slice_eq(host, S("*")) || is_ip(host));
}

static bool
is_resolver(struct slice s)
{
	size_t at = slice_find(s, '@');

	return is_ip(slice_sub(s, 0, at)) && (at == s.n || form_port(slice_from(s, at + 1)));
}

static bool
is_stub(struct slice s)
{
	size_t eq = slice_find(s, '=');
	struct slice zone = slice_sub(s, 0, eq);

	return eq < s.n && (slice_eq(zone, S(".")) || form_domain(zone)) &&
	    is_resolver(slice_from(s, eq + 1));
}

/* Words between blanks, each of that form. */
static bool
all_words(struct slice s, bool (*is)(struct slice))
{
	struct slice w;

	while (slice_word(&s, &w))
		if (!is(w))
			return false;
	return true;
}

static bool
is_resolvers(struct slice s)
{
	return all_words(s, is_resolver);
}

static bool
is_stubs(struct slice s)
{
	return all_words(s, is_stub);
}

/* attribute=value[,attribute=value]: enough to tell a DN from a domain (RFC 4514 3). */
static bool
is_dn(struct slice s)
{
	size_t eq = slice_find(s, '=');

	return eq > 0 && eq < s.n && slice_find(slice_sub(s, 0, eq), ',') == eq;
}

static const struct {
	const char *name;
	bool (*is)(struct slice);
	const char *like;
} forms[] = {
	{ "log", is_log, "not stderr, syslog or dir:/PATH" },
	{ "domain", is_domain, "not the name of a host or domain, like mail.example.org" },
	{ "address", is_address, "not an address, like postmaster@example.org" },
	{ "user", is_user, "not user@domain or *" },
	{ "pattern", is_pattern, "not a domain, *.domain or *" },
	{ "server", is_server, "not HOST, HOST:PORT, [ADDRESS]:PORT or unix:/PATH" },
	{ "socket", is_socket, "not unix:/PATH, HOST:PORT or [ADDRESS]:PORT" },
	{ "ip", is_ip, "not a numeric address, like 192.0.2.1 or 2001:db8::1" },
	{ "network", is_network, "not a network, like 192.0.2.0/24 or 2001:db8::/32" },
	{ "listen", is_listen, "not ADDRESS:PORT, [ADDRESS]:PORT, *:PORT or unix:PATH" },
	{ "resolvers", is_resolvers, "not addresses, each ADDRESS or ADDRESS@PORT" },
	{ "stubs", is_stubs, "not zones, each ZONE=ADDRESS or ZONE=ADDRESS@PORT" },
	{ "dn", is_dn, "not a distinguished name, like dc=example,dc=org" },
};

const char *
conf_form_check(const char *form, struct slice text)
{
	for (size_t i = 0; i < NELEM(forms); i++)
		if (strcmp(forms[i].name, form) == 0)
			return forms[i].is(text) ? NULL : forms[i].like;
	must(!"the name of a form");
	return NULL;
}

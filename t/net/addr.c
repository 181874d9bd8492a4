/* Addresses: parsing, printing, loopback, client keys, CIDR. */
#include <errno.h>
#include "net/addr.h"
#include "../tap.h"

static void
round_trip(const char *text, const char *want)
{
	char out[ADDR_TEXT];
	struct addr a;

	if (ok(addr_parse(slice_str(text), &a) == 0, "%s parses", text))
		is(addr_write(&a, out), want, "%s is %s", text, want);
}

static void
bad(const char *text)
{
	struct addr a;

	eq(addr_parse(slice_str(text), &a), -EINVAL, "\"%s\" is refused", text);
}

static void
in_net(const char *text, const char *net, int want)
{
	struct addr a;

	ok(addr_parse(slice_str(text), &a) == 0 && addr_in(&a, slice_str(net)) == want,
	    "%s in %s: %d", text, net, want);
}

static void
test_key(void)
{
	uint8_t x[16], y[16];
	struct addr a, b;

	ok(addr_parse(S("[2001:db8:1:2:3::4]:1"), &a) == 0 &&
		addr_parse(S("[2001:db8:1:2:ffff::9]:2"), &b) == 0,
	    "two of one /64");
	addr_client_key(&a, x);
	addr_client_key(&b, y);
	ok(memcmp(x, y, 16) == 0, "have the same client key");
	ok(addr_parse(S("192.0.2.1:1"), &a) == 0 && addr_parse(S("[::ffff:192.0.2.1]:9"), &b) == 0,
	    "an IPv4 address and its mapped form");
	addr_client_key(&a, x);
	addr_client_key(&b, y);
	ok(memcmp(x, y, 16) == 0, "have the same client key");
	addr_unmap(&b);
	eq(b.sa.sa_family, AF_INET, "unmapped");
	eq(addr_port(&b), 9, "with its port");
}

static void
test_loopback(void)
{
	static const char *const yes[] = { "127.0.0.1:25", "127.9.9.9", "[::1]:25", "unix:/x",
		"[::ffff:127.0.0.1]:1" };
	static const char *const no[] = { "192.0.2.1:25", "[2001:db8::1]:25", "0.0.0.0:25" };
	static const char *const here[] = { "127.0.0.1:25", "0.0.0.0:25", "0.1.2.3:25", "[::]:25",
		"[::1]:25", "[::ffff:127.0.0.1]:1", "[::ffff:0.0.0.0]:1" };
	static const char *const away[] = { "192.0.2.1:25", "[2001:db8::1]:25", "10.0.0.1:25" };
	struct addr a;

	for (size_t i = 0; i < NELEM(yes); i++)
		ok(addr_parse(slice_str(yes[i]), &a) == 0 && addr_loopback(&a), "%s is loopback",
		    yes[i]);
	for (size_t i = 0; i < NELEM(no); i++)
		ok(addr_parse(slice_str(no[i]), &a) == 0 && !addr_loopback(&a), "%s is not", no[i]);
	for (size_t i = 0; i < NELEM(here); i++)
		ok(addr_parse(slice_str(here[i]), &a) == 0 && addr_here(&a), "%s is this host",
		    here[i]);
	for (size_t i = 0; i < NELEM(away); i++)
		ok(addr_parse(slice_str(away[i]), &a) == 0 && !addr_here(&a), "%s may be another",
		    away[i]);
}

int
main(void)
{
	char host[ADDR_TEXT], longpath[200];
	struct addr a;

	round_trip("127.0.0.1:25", "127.0.0.1:25");
	round_trip("[::1]:25", "[::1]:25");
	round_trip("*:25", "[::]:25");
	round_trip("192.0.2.1", "192.0.2.1:0");
	round_trip("2001:db8::1", "[2001:db8::1]:0");
	round_trip("[2001:db8::1]", "[2001:db8::1]:0");
	round_trip("[::ffff:192.0.2.1]:7", "192.0.2.1:7");
	round_trip("unix:/run/x.sock", "unix:/run/x.sock");
	bad("");
	bad("localhost:25");
	bad("127.0.0.1:");
	bad("127.0.0.1:65536");
	bad("127.0.0.1:2x");
	bad("[127.0.0.1]:25");
	bad("[::1");
	bad("[::1]25");
	bad("1.2.3:4");
	bad("unix:");
	memset(longpath, 'x', sizeof(longpath));
	memcpy(longpath, "unix:/", 6);
	longpath[199] = 0;
	bad(longpath);
	is(addr_parse(S("[2001:db8::1]:25"), &a) == 0 ? addr_host(&a, host) : NULL, "2001:db8::1",
	    "the host alone");
	in_net("192.0.2.77:1", "192.0.2.0/24", 1);
	in_net("192.0.3.77:1", "192.0.2.0/24", 0);
	in_net("192.0.2.77:1", "192.0.2.64/28", 1);
	in_net("192.0.2.80:1", "192.0.2.64/28", 0);
	in_net("192.0.2.1:1", "192.0.2.1", 1);
	in_net("192.0.2.1:1", "0.0.0.0/0", 1);
	in_net("[::ffff:192.0.2.1]:1", "192.0.2.0/24", 1);
	in_net("[2001:db8::1]:1", "2001:db8::/32", 1);
	in_net("[2001:db9::1]:1", "2001:db8::/32", 0);
	in_net("[2001:db8::1]:1", "0.0.0.0/0", 0);
	in_net("unix:/x", "127.0.0.0/8", 0);
	in_net("192.0.2.1:1", "192.0.2.0/33", -EINVAL);
	in_net("192.0.2.1:1", "rubbish", -EINVAL);
	test_key();
	test_loopback();
	return done();
}

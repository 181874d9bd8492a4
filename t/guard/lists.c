/* guard/lists.c: names that lists are asked for, and answers that count. */
#include "guard/lists.h"

#include "../tap.h"

static bool
listed(char *const *codes, const char *text)
{
	struct addr a;

	if (addr_parse(slice_str(text), &a) < 0)
		abort();
	return guard_listed(codes, &a, 1);
}

static const char *
named(const char *text)
{
	static struct buf b;
	struct addr a;

	buf_clear(&b);
	if (addr_parse(slice_str(text), &a) < 0 || !guard_list_name_addr(&b, &a, S("bl.test")))
		return "none";
	return buf_cstr(&b);
}

static const char *
domain(const char *text, const char *zone)
{
	static struct buf b;

	buf_clear(&b);
	return guard_list_name_domain(&b, slice_str(text), slice_str(zone)) ? buf_cstr(&b) : "none";
}

static void
codes(void)
{
	static char range[] = "127.0.0.4-11", star[] = "127.0.*.2";
	char *some[] = { range, star, NULL }, *none[] = { NULL };
	static const char *const good[] = { "127.0.0.2", "127.0.0.2-3", "127.*.*.*" };
	static const char *const bad[] = { "", "127.0.0", "127.0.0.2.3", "127.0.0.256", "127.0.0.",
		".0.0.2", "127.0.0.9-4", "127.0.0.-", "127.0.0.a", "127.0.0.2-", "127.0.0.[2;3]" };

	for (size_t i = 0; i < NELEM(good); i++)
		ok(guard_code_valid(slice_str(good[i])), "%s is a code", good[i]);
	for (size_t i = 0; i < NELEM(bad); i++)
		ok(!guard_code_valid(slice_str(bad[i])), "'%s' is none", bad[i]);
	ok(listed(none, "127.0.0.2") && listed(NULL, "127.0.1.9"), "any code counts");
	ok(!listed(none, "127.255.255.254"), "but those that say that we may not ask");
	ok(!listed(none, "192.0.2.7"), "nor what no list answers with");
	ok(listed(some, "127.0.0.4") && listed(some, "127.0.0.11") && !listed(some, "127.0.0.12") &&
		!listed(some, "127.0.0.3"),
	    "a range has two ends");
	ok(listed(some, "127.0.77.2") && !listed(some, "127.1.77.2"), "a star is one number");
	ok(!listed(some, "2001:db8::1"), "IPv6 is no code");
}

int
main(void)
{
	char long_zone[200];
	struct buf b = { 0 };

	codes();
	is(named("192.0.2.99"), "99.2.0.192.bl.test", "IPv4 backwards");
	is(named("2001:db8:1:2:3:4:567:89ab"),
	    "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.bl.test",
	    "IPv6 by its digits (RFC 5782 2.4)");
	is(named("unix:/tmp/x"), "none", "a Unix socket has no name");
	is(domain("spam.example", "d.test"), "spam.example.d.test", "a domain");
	is(domain("spam.example.", "d.test"), "spam.example.d.test", "its last point");
	is(domain("[192.0.2.1]", "d.test"), "none", "a literal");
	is(domain("localhost", "d.test"), "none", "a single label");
	is(domain("", "d.test"), "none", "nothing");
	memset(long_zone, 'z', sizeof(long_zone) - 1);
	long_zone[sizeof(long_zone) - 1] = '\0';
	is(domain("a.very.long.name.that.goes.on.and.on.and.on.and.on.example", long_zone), "none",
	    "too long");
	guard_list_name_probe(&b, false, S("bl.test"));
	is(buf_cstr(&b), "1.0.0.127.bl.test", "what no list of addresses has");
	buf_clear(&b);
	guard_list_name_probe(&b, true, S("d.test"));
	is(buf_cstr(&b), "invalid.d.test", "what no list of domains has");
	buf_fini(&b);
	return done();
}

/* Addresses of the envelope: what is taken, what is refused and why, what is written. */
#include "../tap.h"
#include "mail/address.h"

#define ALL (ADDRESS_NULL | ADDRESS_POSTMASTER | ADDRESS_UTF8)
#define L64 "1234567890123456789012345678901234567890123456789012345678901234"
#define D63 "123456789012345678901234567890123456789012345678901234567890abc"

static struct arena arena;

/* path -> "local|domain|flags" as text, "-" when refused */
static const struct {
	const char *in;
	unsigned allow;
	const char *out, *written;
	/* clang-format off */
} paths[] = {
	{ "<a@b.c>", 0, "a|b.c|", "a@b.c" },
	{ "<a@b>", 0, "a|b|", "a@b" },
	{ "<a.b-c+d=e@Example.ORG>", 0, "a.b-c+d=e|Example.ORG|", "a.b-c+d=e@Example.ORG" },
	{ "<\"a\"@b.c>", 0, "a|b.c|", "a@b.c" },
	{ "<\"a b\"@b.c>", 0, "a b|b.c|Q", "\"a b\"@b.c" },
	{ "<\"a\\\"b\\\\\"@b.c>", 0, "a\"b\\|b.c|Q", "\"a\\\"b\\\\\"@b.c" },
	{ "<\"\"@b.c>", 0, "|b.c|Q", "\"\"@b.c" },
	{ "<\"<>@,\"@b.c>", 0, "<>@,|b.c|Q", "\"<>@,\"@b.c" },
	{ "<a@[192.0.2.1]>", 0, "a|[192.0.2.1]|L", "a@[192.0.2.1]" },
	{ "<a@[IPv6:2001:db8::1]>", 0, "a|[IPv6:2001:db8::1]|L", "a@[IPv6:2001:db8::1]" },
	{ "<a@[X-tag:foo>bar]>", 0, "a|[X-tag:foo>bar]|L", NULL },
	{ "<@x.y,@z:a@b.c>", 0, "a|b.c|", "a@b.c" },
	{ "<>", ALL, "||N", "" },
	{ "<PostMaster>", ALL, "PostMaster||P", "PostMaster" },
	{ "<\xc3\xa4@b.c>", ALL, "\xc3\xa4|b.c|U", "\xc3\xa4@b.c" },
	{ "<a@b\xc3\xbc" "cher.example>", ALL, "a|b\xc3\xbc" "cher.example|U", NULL },
	{ "<" L64 "@b.c>", 0, L64 "|b.c|", NULL },
	{ "<a@" D63 ".c>", 0, "a|" D63 ".c|", NULL },
	/* refused */
	{ "<>", 0, "-", NULL }, { "<postmaster>", 0, "-", NULL }, { "<other>", ALL, "-", NULL },
	{ "", ALL, "-", NULL }, { "a@b.c", ALL, "-", NULL }, { "<a@b.c", ALL, "-", NULL },
	{ "<a@>", ALL, "-", NULL }, { "<@b.c>", ALL, "-", NULL }, { "<.a@b.c>", ALL, "-", NULL },
	{ "<a.@b.c>", ALL, "-", NULL }, { "<a..b@b.c>", ALL, "-", NULL },
	{ "<a b@b.c>", ALL, "-", NULL }, { "<a@b c>", ALL, "-", NULL }, { "<a@b.c.>", ALL, "-", NULL },
	{ "<a@.b.c>", ALL, "-", NULL }, { "<a@b..c>", ALL, "-", NULL }, { "<a@-b.c>", ALL, "-", NULL },
	{ "<a@b-.c>", ALL, "-", NULL }, { "<a@b_c.d>", ALL, "-", NULL }, { "<a@@b.c>", ALL, "-", NULL },
	{ "<a@b@c>", ALL, "-", NULL }, { "<\"a@b.c>", ALL, "-", NULL }, { "<\"a\\\">", ALL, "-", NULL },
	{ "<\"a\rb\"@b.c>", ALL, "-", NULL }, { "<\"a\\\nb\"@b.c>", ALL, "-", NULL },
	{ "<\"a\"b@b.c>", ALL, "-", NULL }, { "<a\x01@b.c>", ALL, "-", NULL },
	{ "<" L64 "x@b.c>", ALL, "-", NULL }, { "<a@" D63 "x.c>", ALL, "-", NULL },
	{ "<a@[192.0.2.256]>", ALL, "-", NULL }, { "<a@[192.0.2]>", ALL, "-", NULL },
	{ "<a@[192.0.2.1.]>", ALL, "-", NULL }, { "<a@[1.2.3.4.5]>", ALL, "-", NULL },
	{ "<a@[]>", ALL, "-", NULL }, { "<a@[192.0.2.1>", ALL, "-", NULL },
	{ "<a@[IPv6:1::2::3]>", ALL, "-", NULL }, { "<a@[IPv6:]>", ALL, "-", NULL },
	{ "<a@[192.0.2.1]x>", ALL, "-", NULL }, { "<a@[IPv6:::1%eth0]>", ALL, "-", NULL },
	{ "<@x.y:>", ALL, "-", NULL }, { "<@x.y,z:a@b>", ALL, "-", NULL }, { "<@x.y a@b>", ALL, "-", NULL },
	{ "<\xc3\xa4@b.c>", 0, "-", NULL }, { "<a@\xc3\xa4.c>", 0, "-", NULL },
	{ "<\xc3@b.c>", ALL, "-", NULL }, { "<a@\xff.c>", ALL, "-", NULL },
	{ "<" L64 "@" D63 "." D63 "." D63 ".c>", ALL, "-", NULL },
};
/* clang-format on */

static const char *
shown(const struct address *a)
{
	static char out[600];
	unsigned f = a->flags;

	snprintf(out, sizeof(out), "%.*s|%.*s|%s%s%s%s%s", SARG(a->local), SARG(a->domain),
	    f & ADDRESS_NULL ? "N" : "", f & ADDRESS_POSTMASTER ? "P" : "",
	    f & ADDRESS_UTF8 ? "U" : "", f & ADDRESS_LITERAL ? "L" : "",
	    f & ADDRESS_QUOTED ? "Q" : "");
	return out;
}

static void
test_paths(void)
{
	struct buf b = { 0 };

	for (size_t i = 0; i < NELEM(paths); i++) {
		struct slice at = slice_str(paths[i].in);
		struct address a;
		const char *why = "";
		int r = address_parse_path(&at, paths[i].allow, &arena, &a, &why);

		is(r == 0 ? shown(&a) : "-", paths[i].out, "path %zu %s", i, why);
		if (r == 0)
			ok(at.n == 0, "and nothing is left");
		else
			ok(*why != '\0' && at.n == strlen(paths[i].in),
			    "with a reason, and unmoved");
		if (paths[i].written) {
			buf_clear(&b);
			address_write(&b, &a);
			is(buf_cstr(&b), paths[i].written, "written");
		}
	}
	buf_fini(&b);
}

static void
test_parse(void)
{
	struct slice at = S("<a@b.c> SIZE=1");
	struct address a, o;
	const char *why;

	ok(address_parse_path(&at, 0, &arena, &a, &why) == 0 && slice_eq(at, S(" SIZE=1")),
	    "what follows the path is left");
	ok(address_parse(S("a@b.c"), 0, &arena, &a, &why) == 0, "a bare address");
	ok(address_parse(S("a@b.c>"), 0, &arena, &a, &why) < 0, "nothing may follow it");
	ok(address_parse(S(""), ADDRESS_NULL, &arena, &a, &why) == 0 && a.flags == ADDRESS_NULL,
	    "empty is the null path where allowed");
	ok(address_parse(S(""), 0, &arena, &a, &why) < 0, "and an error elsewhere");
	ok(address_parse(S("x@B.C"), 0, &arena, &a, &why) == 0 &&
		address_parse(S("\"x\"@b.c"), 0, &arena, &o, &why) == 0 && address_eq(&a, &o),
	    "equal: domain case and needless quotes do not count");
	ok(address_parse(S("X@b.c"), 0, &arena, &o, &why) == 0 && !address_eq(&a, &o),
	    "different: case of the local part");
}

static void
test_domains(void)
{
	struct buf b = { 0 };
	struct address a;
	const char *why;

	ok(domain_write_ascii(&b,
	       S("B\xc3\x9c"
		 "cher.Example")) == 0,
	    "U-label to A-label");
	is(buf_cstr(&b), "xn--bcher-kva.example", "lower case and punycode");
	buf_clear(&b);
	ok(domain_write_utf8(&b, S("XN--BCHER-KVA.example")) == 0, "and back");
	is(buf_cstr(&b),
	    "b\xc3\xbc"
	    "cher.example",
	    "U-label");
	buf_clear(&b);
	ok(domain_write_utf8(&b, S("Plain.Example")) == 0, "plain");
	is(buf_cstr(&b), "plain.example", "lower case");
	ok(domain_write_ascii(&b, S("\xff.example")) < 0, "no UTF-8, no name");
	ok(domain_write_ascii(&b, S("a\xe2\x80\xae.example")) < 0, "a disallowed character");
	ok(domain_eq(S("xn--bcher-kva.example"),
	       S("B\xc3\x9c"
		 "CHER.example")),
	    "domain_eq over forms");
	ok(!domain_eq(S("a.example"), S("b.example")), "different domains");
	ok(address_parse(S("J\xc3\x96rg@B\xc3\xbc"
			   "cher.example"),
	       ADDRESS_UTF8, &arena, &a, &why) == 0,
	    "SMTPUTF8 address");
	buf_clear(&b);
	address_write(&b, &a);
	is(buf_cstr(&b),
	    "J\xc3\x96rg@B\xc3\xbc"
	    "cher.example",
	    "as it was written");
	ok(address_parse(S("A@[IPv6:2001:DB8::1]"), 0, &arena, &a, &why) == 0, "literal");
	buf_clear(&b);
	address_write(&b, &a);
	is(buf_cstr(&b), "A@[IPv6:2001:DB8::1]", "as it was written");
	ok(address_parse(S("A@[IPv6:2001:DB8::1\0\r\nX]"), 0, &arena, &a, &why) < 0,
	    "nothing hides behind a NUL in an address literal");
	buf_clear(&b);
	address_write_parts(&b, S("a\r\nb"), S("c.d"));
	is(buf_cstr(&b), "\"ab\"@c.d", "line ends are never written");
	buf_fini(&b);
}

static void
test_roads(void)
{
	static const char *const roads[] = { "a%b", "b!a", "a@b", "%", "a%b%c" };
	static const char *const plain[] = { "a", "", "a+b", "a=b", "a.b" };

	for (size_t i = 0; i < NELEM(roads); i++)
		ok(address_leads_on(slice_str(roads[i])), "%s leads on", roads[i]);
	for (size_t i = 0; i < NELEM(plain); i++)
		ok(!address_leads_on(slice_str(plain[i])), "'%s' does not", plain[i]);
}

int
main(void)
{
	test_paths();
	test_roads();
	test_parse();
	test_domains();
	arena_reset(&arena);
	return done();
}

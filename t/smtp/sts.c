/* MTA-STS policies and records (RFC 8461), and where TLS reports go (RFC 8460). */
#include <errno.h>
#include <string.h>
#include "smtp/sts.h"
#include "../tap.h"

static void
record(struct slice txt, int want, struct slice id)
{
	struct slice got;

	eq(smtp_sts_record(txt, &got), want, SFMT, SARG(txt));
	if (want == 0)
		ok(slice_eq(got, id), "its id");
}

static void
test_record(void)
{
	record(S("v=STSv1; id=20160831085700Z;"), 0, S("20160831085700Z"));
	record(S("v=STSv1 ;\tid = a ; x=y"), 0, S("a"));
	record(S("v=STSv1;id=1;id=2"), 0, S("1"));
	record(S("v=STSv1"), -EBADMSG, S(""));
	record(S("v=STSv1; id="), -EBADMSG, S(""));
	record(S("v=STSv1; id=a-b"), -EBADMSG, S(""));
	record(S("v=STSv1; id=123456789012345678901234567890123"), -EBADMSG, S(""));
	record(S("v=STSv10; id=1"), -ENOENT, S(""));
	record(S(" v=STSv1; id=1"), -ENOENT, S(""));
	record(S("v=spf1 -all"), -ENOENT, S(""));
	record(S(""), -ENOENT, S(""));
}

static void
bad(struct slice text, const char *want)
{
	struct smtp_sts p;
	const char *why = NULL;

	ok(smtp_sts_parse(text, &p, &why) == -EBADMSG && why && strcmp(why, want) == 0 && !p.text,
	    "%s: %s", want, why ? why : "taken");
}

#define HEAD "version: STSv1\nmode: enforce\nmax_age: 60\n"

static void
test_policy(void)
{
	struct smtp_sts p, q;
	const char *why;

	eq(smtp_sts_parse(S("version: STSv1\r\nmode:testing\r\nmode: none\r\nmx: a.test\r\nx: y: "
			    "z\r\n\r\n"
			    "mx:  *.B.test  \r\nmax_age: 86400\r\nmax_age: 1"),
	       &p, &why),
	    0, "a policy");
	ok(p.mode == SMTP_STS_TESTING && p.max_age == 86400 && p.nmx == 2,
	    "the first of each field but mx");
	smtp_sts_copy(&q, &p);
	smtp_sts_fini(&p);
	ok(smtp_sts_lists(&q, S("A.test.")) && smtp_sts_lists(&q, S("x.b.TEST")), "its copy lists");
	ok(!smtp_sts_lists(&q, S("y.x.b.test")) && !smtp_sts_lists(&q, S("b.test")) &&
		!smtp_sts_lists(&q, S(".b.test")) && !smtp_sts_lists(&q, S("")),
	    "a * is one label");
	smtp_sts_fini(&q);
	eq(smtp_sts_parse(S("version: STSv1\nmode: none\nmax_age: 99999999\n"), &p, &why), 0,
	    "mode none needs no mx");
	eq(p.max_age, SMTP_STS_AGE_MAX, "a year is the most");
	smtp_sts_fini(&p);
	bad(S("mode: enforce\nmx: a\nmax_age: 1\n"), "no version");
	bad(S("version: STSv2\nmode: enforce\nmx: a\nmax_age: 1\n"), "another version");
	bad(S("version: STSv1\nmx: a\nmax_age: 1\n"), "no mode");
	bad(S("version: STSv1\nmode: Enforce\nmx: a\nmax_age: 1\n"), "no such mode");
	bad(S("version: STSv1\nmode: enforce\nmx: a\n"), "no max_age");
	bad(S("version: STSv1\nmode: enforce\nmx: a\nmax_age: -1\n"), "max_age is no number");
	bad(S(HEAD), "no mx");
	bad(S(HEAD "mx: a b\n"), "an mx that is no name");
	bad(S(HEAD "mx: a.*.b\n"), "an mx that is no name");
	bad(S(HEAD "mx: .\n"), "an mx that is no name");
	bad(S(HEAD "mx\n"), "a line without a colon");
	bad(S("<html>\n"), "a line without a colon");
	bad(S(""), "no version");
}

static void
mailto(struct slice rua, int rc, const char *want)
{
	char to[64];

	eq(smtp_tlsrpt_mailto(rua, to, sizeof(to)), rc, SFMT, SARG(rua));
	if (rc == 0)
		ok(strcmp(to, want) == 0, "%s", to);
}

static void
https(struct slice rua, int rc, const char *host, int port, const char *target)
{
	struct smtp_tlsrpt_url u;

	eq(smtp_tlsrpt_https(rua, &u), rc, SFMT, SARG(rua));
	if (rc == 0)
		ok(strcmp(u.host, host) == 0 && u.port == port && strcmp(u.target, target) == 0,
		    "%s %d %s", u.host, u.port, u.target);
}

static void
test_reports(void)
{
	struct slice rua[SMTP_TLSRPT_RUA_MAX];
	size_t n;

	eq(smtp_tlsrpt_record(S("v=TLSRPTv1; rua=mailto:a@b.test,ftp://x, https://c.test/r ;"), rua,
	       &n),
	    0, "a record");
	ok(n == 2 && slice_eq(rua[0], S("mailto:a@b.test")) &&
		slice_eq(rua[1], S("https://c.test/r")),
	    "its places");
	eq(smtp_tlsrpt_record(S("v=TLSRPTv1;rua=ftp://x"), rua, &n), -EBADMSG, "no place");
	eq(smtp_tlsrpt_record(S("v=TLSRPTv1"), rua, &n), -EBADMSG, "nothing");
	eq(smtp_tlsrpt_record(S("v=TLSRPTv2;rua=mailto:a@b"), rua, &n), -ENOENT, "another version");
	eq(smtp_tlsrpt_record(S("v=TLSRPTv1;rua=mailto:a@b,mailto:a@b,mailto:a@b,mailto:a@b,mailto:"
				"a@b,"
				"mailto:a@b,mailto:a@b,mailto:a@b,mailto:a@b,mailto:a@b"),
	       rua, &n),
	    0, "many places");
	eq(n, SMTP_TLSRPT_RUA_MAX, "the first ones");
	mailto(S("mailto:a@b.test"), 0, "a@b.test");
	mailto(S("MAILTO:a%2Cb@b.test?subject=x"), 0, "a,b@b.test");
	mailto(S("mailto:a@b%3e%20SIZE=1"), -EBADMSG, NULL);
	mailto(S("mailto:a%0d%0aDATA@b"), -EBADMSG, NULL);
	mailto(S("mailto:a%00@b"), -EBADMSG, NULL);
	mailto(S("mailto:a%4"), -EBADMSG, NULL);
	mailto(S("mailto:ab"), -EBADMSG, NULL);
	mailto(S("mailto:@b"), -EBADMSG, NULL);
	mailto(S("mailto:a@"), -EBADMSG, NULL);
	mailto(S("mailto:"), -EBADMSG, NULL);
	https(S("https://c.test"), 0, "c.test", 443, "/");
	https(S("https://c.test:8443/a/b?c#d"), 0, "c.test", 8443, "/a/b?c");
	https(S("https://c.test?x"), 0, "c.test", 443, "/?x");
	https(S("https://u@c.test/"), -EBADMSG, NULL, 0, NULL);
	https(S("https://c.test:0/"), -EBADMSG, NULL, 0, NULL);
	https(S("https://c.test:x/"), -EBADMSG, NULL, 0, NULL);
	https(S("https://c.test/a b"), -EBADMSG, NULL, 0, NULL);
	https(S("https://[::1]/"), -EBADMSG, NULL, 0, NULL);
	https(S("https:///x"), -EBADMSG, NULL, 0, NULL);
}

int
main(void)
{
	test_record();
	test_policy();
	test_reports();
	return done();
}

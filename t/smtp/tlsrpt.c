/* Lines about attempts at TLS, and the report that they make (RFC 8460). */
#include <stdio.h>
#include <string.h>
#include "smtp/tlsrpt.h"
#include "../tap.h"

static const struct smtp_tlsrpt_about about = { "An \"Org\"", "tls@org.test", "id@org.test",
	1796083200 };

static void
read_all(struct smtp_tlsrpt *r, struct slice text)
{
	struct slice line;

	while (slice_cut(&text, '\n', &line))
		smtp_tlsrpt_add(r, line);
}

static const struct smtp_tlsrpt_domain *
only(const struct smtp_tlsrpt *r)
{
	size_t at = 0;

	return smtp_tlsrpt_next(r, &at);
}

static void
is_json(const struct smtp_tlsrpt *r, const char *want, const char *what)
{
	struct buf b = { 0 };

	smtp_tlsrpt_write_json(&b, r, only(r), &about);
	ok(strstr(buf_cstr(&b), want), "%s: %s", what, buf_cstr(&b));
	buf_fini(&b);
}

static void
test_report(void)
{
	struct slice text =
	    S("version: STSv1\r\nmode: enforce\r\nmx: mx.d.test\r\nmx: *.d.test\r\nmax_age: 1\r\n");
	struct smtp_tlsrpt_try t = { .domain = S("d.test"),
		.type = SMTP_TLSRPT_STS,
		.base = S("d.test"),
		.mx = S("mx.d.test"),
		.to = S("2001:db8::1"),
		.by = S("192.0.2.1") };
	struct smtp_tlsrpt r = { 0 };
	struct buf b = { 0 };

	t.policy = smtp_tlsrpt_policy_id(t.type, text);
	smtp_tlsrpt_write_policy(&b, t.policy, text);
	smtp_tlsrpt_write_try(&b, &t);
	smtp_tlsrpt_write_try(&b, &t);
	t.result = "certificate-expired";
	t.why = S("it \"has\" expired\x01");
	smtp_tlsrpt_write_try(&b, &t);
	smtp_tlsrpt_write_try(&b, &t);
	t.mx = S("mx2.d.test");
	smtp_tlsrpt_write_try(&b, &t);
	read_all(&r, buf_get(&b));
	eq(r.left, 0, "all lines are understood");
	ok(only(&r) && strcmp(smtp_tlsrpt_name(only(&r)), "d.test") == 0, "the domain");
	eq(smtp_tlsrpt_count(only(&r), false), 2, "what was well");
	eq(smtp_tlsrpt_count(only(&r), true), 3, "what was not");
	is_json(&r,
	    "{\"organization-name\":\"An "
	    "\\\"Org\\\"\",\"date-range\":{\"start-datetime\":\"2026-12-01T00:00:00Z\",\"end-"
	    "datetime\":\"2026-12-01T23:59:59Z\"},\"contact-info\":\"tls@org.test\",\"report-id\":"
	    "\"id@org.test\",\"policies\":[",
	    "the head");
	is_json(&r,
	    "{\"policy\":{\"policy-type\":\"sts\",\"policy-string\":[\"version: STSv1\",\"mode: "
	    "enforce\",\"mx: mx.d.test\",\"mx: *.d.test\",\"max_age: "
	    "1\"],\"policy-domain\":\"d.test\",\"mx-host\":[\"mx.d.test\",\"*.d.test\"]},"
	    "\"summary\":{\"total-successful-session-count\":2,\"total-failure-session-count\":3}",
	    "the policy");
	is_json(&r,
	    "\"failure-details\":[{\"result-type\":\"certificate-expired\",\"sending-mta-ip\":"
	    "\"192.0.2.1\",\"receiving-mx-hostname\":\"mx.d.test\",\"receiving-ip\":\"2001:db8::"
	    "1\",\"failed-session-count\":2,\"failure-reason-code\":\"it \\\"has\\\" "
	    "expired\\u0001\"},{\"result-type\":\"certificate-expired\",\"sending-mta-ip\":\"192.0."
	    "2.1\",\"receiving-mx-hostname\":\"mx2.d.test\",\"receiving-ip\":\"2001:db8::1\","
	    "\"failed-session-count\":1,",
	    "the failures");
	buf_fini(&b);
	smtp_tlsrpt_fini(&r);
}

static void
test_wrong(void)
{
	struct smtp_tlsrpt r = { 0 };

	read_all(&r,
	    S("try domain=a.test type=no-policy-found base=a.test result=ok\n"
	      "try domain=a.test type=no-policy-found base=a.test result=of-a-later-version\n"
	      "try domain=a.test type=no-policy-found base=a.te"
	      "\n"
	      "try domain=a.test type=other base=a.test result=ok\n"
	      "try type=sts base=a.test result=ok\n"
	      "rubbish\n"
	      "try domain=a.test type=sts base=a.test policy=77 result=ok\n"));
	eq(r.left, 4, "lines that are torn, or nothing");
	eq(smtp_tlsrpt_count(only(&r), false), 2, "the others count");
	is_json(&r, "\"result-type\":\"validation-failure\"", "a result that nobody knows");
	is_json(&r, "{\"policy-type\":\"no-policy-found\",\"policy-domain\":\"a.test\"}",
	    "no policy has no strings");
	is_json(&r, "{\"policy-type\":\"sts\",\"policy-string\":[],\"policy-domain\":\"a.test\"}",
	    "a policy whose line is lost");
	smtp_tlsrpt_fini(&r);
}

/* Whatever hosts make of it, a domain's report has so many entries. */
static void
test_bounds(void)
{
	struct smtp_tlsrpt r = { 0 };
	struct buf b = { 0 };
	char line[256];
	size_t n = 0;

	for (unsigned i = 0; i < 5000; i++) {
		(void)snprintf(line, sizeof(line),
		    "try domain=a.test type=sts base=a.test policy=%u mx=mx%u.a.test why=%u "
		    "result=%s",
		    i % 100, i, i, i % 2 ? "starttls-not-supported" : "certificate-expired");
		smtp_tlsrpt_add(&r, slice_str(line));
	}
	smtp_tlsrpt_write_json(&b, &r, only(&r), &about);
	for (const char *p = buf_cstr(&b); (p = strstr(p, "\"result-type\"")); p++)
		n++;
	ok(n <= SMTP_TLSRPT_POLICIES * (SMTP_TLSRPT_DETAILS + 2), "%zu entries", n);
	eq(smtp_tlsrpt_count(only(&r), true), 5000, "and all are counted");
	buf_clear(&b);
	for (unsigned i = 0; i < SMTP_TLSRPT_DOMAINS + 10; i++) {
		(void)snprintf(line, sizeof(line), "try domain=d%u.test type=sts base=x result=ok",
		    i);
		smtp_tlsrpt_add(&r, slice_str(line));
	}
	eq(r.ndomains, SMTP_TLSRPT_DOMAINS, "so many domains");
	eq(r.left, 11, "and the rest is told");
	buf_fini(&b);
	smtp_tlsrpt_fini(&r);
}

/* Texts of strangers: who has looked for one with the CRC of another's is not told of as if he were that one. */
static void
test_alike(void)
{
	struct slice evil = S("mode: none\nmx: mx.evil.test\nx: abd220xk"),
		     good = S("mode: enforce\nmx: mx.good.test\nx: ga4ne75y");
	struct smtp_tlsrpt_try t = { .domain = S("good.test"),
		.type = SMTP_TLSRPT_STS,
		.base = S("good.test") };
	struct smtp_tlsrpt r = { 0 };
	struct buf b = { 0 };

	t.policy = smtp_tlsrpt_policy_id(t.type, good);
	ok(t.policy != smtp_tlsrpt_policy_id(t.type, evil), "two policies of one CRC");
	smtp_tlsrpt_write_policy(&b, smtp_tlsrpt_policy_id(t.type, evil), evil);
	smtp_tlsrpt_write_policy(&b, t.policy, good);
	smtp_tlsrpt_write_try(&b, &t);
	read_all(&r, buf_get(&b));
	is_json(&r, "\"policy-string\":[\"mode: enforce\",\"mx: mx.good.test\",", "each its own");
	buf_fini(&b);
	smtp_tlsrpt_fini(&r);
}

static void
test_long(void)
{
	struct buf text = { 0 }, b = { 0 };
	struct smtp_tlsrpt_try t = { .type = SMTP_TLSRPT_STS, .result = "validation-failure" };
	char name[1000];

	for (unsigned i = 0; i < 20000; i++)
		buf_printf(&text, "mx: \x01host%u.test\n", i);
	smtp_tlsrpt_write_policy(&b, 1, buf_get(&text));
	ok(b.n < SMTP_TLSRPT_LINE, "a policy of 64 KiB and more is %zu octets", b.n);
	memset(name, '\xff', sizeof(name));
	t.domain = t.base = t.mx = t.to = t.by = t.why = slice(name, sizeof(name));
	buf_clear(&b);
	smtp_tlsrpt_write_try(&b, &t);
	ok(b.n < 4096, "and an attempt %zu", b.n);
	buf_fini(&text);
	buf_fini(&b);
}

int
main(void)
{
	test_report();
	test_wrong();
	test_bounds();
	test_alike();
	test_long();
	return done();
}

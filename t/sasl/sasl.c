/* PLAIN and LOGIN: what clients send, and what nobody should. */
#include "sasl/sasl.h"
#include "../tap.h"

static struct arena arena;

static enum sasl_result
one(const char *mech, const char *p, size_t n, struct sasl *s)
{
	struct slice r = slice(p, n), challenge;
	const char *why;

	if (!sasl_start(s, slice_str(mech), false))
		return SASL_BAD;
	return sasl_step(s, &arena, &r, &challenge, &why);
}

static void
test_plain(void)
{
	struct slice challenge;
	const char *why;
	struct sasl s;

	eq(one("plain", "\0tim\0tanstaaftanstaaf", 21, &s), SASL_CHECK, "RFC 4616 example");
	ok(s.authzid.n == 0 && slice_eq(s.authcid, S("tim")) &&
		slice_eq(s.password, S("tanstaaftanstaaf")),
	    "parts");
	eq(one("PLAIN", "Ursel\0Kurt\0xipj3plmq", 20, &s), SASL_CHECK, "with authzid");
	ok(slice_eq(s.authzid, S("Ursel")) && slice_eq(s.authcid, S("Kurt")), "its parts");
	eq(one("PLAIN", "\0tim", 4, &s), SASL_BAD, "no password");
	eq(one("PLAIN", "tim", 3, &s), SASL_BAD, "no NUL");
	eq(one("PLAIN", "", 0, &s), SASL_BAD, "empty");
	eq(one("PLAIN", "\0\0x", 3, &s), SASL_BAD, "no name");
	eq(one("PLAIN", "\0a\0", 3, &s), SASL_BAD, "empty password");
	eq(one("PLAIN", "\0a\0b\0c", 6, &s), SASL_BAD, "NUL in the password");
	eq(one("PLAIN", "\0\xff\0b", 4, &s), SASL_BAD, "not UTF-8");
	ok(sasl_start(&s, S("PLAIN"), true), "without initial response");
	eq(sasl_step(&s, &arena, NULL, &challenge, &why), SASL_CHALLENGE, "is asked");
	eq(challenge.n, 0, "with an empty challenge");
	eq(sasl_step(&s, &arena, NULL, &challenge, &why), SASL_BAD, "once");
}

static void
test_login(void)
{
	struct slice challenge, r = S("tim"), p = S("secret");
	const char *why;
	struct sasl s;

	ok(sasl_start(&s, S("login"), false), "LOGIN");
	eq(sasl_step(&s, &arena, NULL, &challenge, &why), SASL_CHALLENGE, "asks");
	ok(slice_eq(challenge, S("Username:")), "for the name");
	eq(sasl_step(&s, &arena, &r, &challenge, &why), SASL_CHALLENGE, "asks again");
	ok(slice_eq(challenge, S("Password:")), "for the password");
	eq(sasl_step(&s, &arena, &p, &challenge, &why), SASL_CHECK, "and is content");
	ok(slice_eq(s.authcid, r) && slice_eq(s.password, p), "parts");
	eq(one("LOGIN", "tim", 3, &s), SASL_CHALLENGE, "name as initial response");
	eq(one("LOGIN", "", 0, &s), SASL_BAD, "empty name");
	ok(!sasl_start(&s, S("CRAM-MD5"), true), "unknown mechanism");
}

static void
test_decode(void)
{
	struct buf b = { 0 };

	ok(sasl_decode(&b, S("AGEAYg==")) && slice_eq(buf_get(&b), S("\0a\0b")), "a response");
	buf_clear(&b);
	ok(sasl_decode(&b, S("=")) && b.n == 0, "an empty one");
	ok(!sasl_decode(&b, S("AGE")) && !sasl_decode(&b, S("==")) && !sasl_decode(&b, S("a b=")),
	    "what is no base64");
	buf_fini(&b);
}

int
main(void)
{
	test_plain();
	test_login();
	test_decode();
	arena_reset(&arena);
	return done();
}

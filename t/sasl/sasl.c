/* PLAIN and LOGIN: what clients send, and what nobody should. */
#include <errno.h>

#include "base/base64.h"
#include "base/saslprep.h"
#include "sasl/sasl.h"
#include "../tap.h"

static struct arena arena;

static enum sasl_result
one(const char *mech, const char *p, size_t n, struct sasl *s)
{
	struct slice r = slice(p, n), challenge;
	const char *why;

	if (!sasl_start(s, slice_str(mech), 0))
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
	ok(sasl_start(&s, S("PLAIN"), SASL_EXTERNAL), "without initial response");
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

	ok(sasl_start(&s, S("login"), 0), "LOGIN");
	eq(sasl_step(&s, &arena, NULL, &challenge, &why), SASL_CHALLENGE, "asks");
	ok(slice_eq(challenge, S("Username:")), "for the name");
	eq(sasl_step(&s, &arena, &r, &challenge, &why), SASL_CHALLENGE, "asks again");
	ok(slice_eq(challenge, S("Password:")), "for the password");
	eq(sasl_step(&s, &arena, &p, &challenge, &why), SASL_CHECK, "and is content");
	ok(slice_eq(s.authcid, r) && slice_eq(s.password, p), "parts");
	eq(one("LOGIN", "tim", 3, &s), SASL_CHALLENGE, "name as initial response");
	eq(one("LOGIN", "", 0, &s), SASL_BAD, "empty name");
	ok(!sasl_start(&s, S("CRAM-MD5"), SASL_EXTERNAL), "unknown mechanism");
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

/* RFC 7677 3: user, pencil; the server's nonce is ours, so that the proof is made here as there. */
static void
test_verifier(void)
{
	struct sasl_verifier v = { .rounds = 4096, .nsalt = 16 }, w;
	struct buf b = { 0 };

	eq(base64_parse(&b, S("W22ZaJ0SNY7soEsUEjb6gQ==")), 0, "a salt");
	memcpy(v.salt, b.p, 16);
	buf_clear(&b);
	eq(sasl_verifier_make(&v, S("pencil")), 0, "a verifier");
	sasl_verifier_write(&b, &v);
	is(buf_cstr(&b),
	    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
	    "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
	    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
	    "as PostgreSQL has it of RFC 7677's password");
	ok(sasl_verifier_parse(buf_get(&b), &w) == 0 && w.rounds == 4096 && w.nsalt == 16 &&
		!memcmp(w.stored, v.stored, 32) && !memcmp(w.server, v.server, 32),
	    "read again");
	for (size_t n = 0; n < b.n; n++)
		if (sasl_verifier_parse(slice_sub(buf_get(&b), 0, n), &w) == 0)
			ok(false, "cut at %zu it is none", n);
	ok(sasl_verifier_parse(S("SCRAM-SHA-256$4095:W22ZaJ0SNY7soEsUEjb6gQ==$"
				 "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
				 "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="),
	       &w) < 0,
	    "with too few rounds neither");
	eq(sasl_verifier_make(&v, S("a\nb")), -EBADMSG, "what nobody can type");
	sasl_verifier_salt(&v, S("key"), S("Bob@x.test"), 4096);
	sasl_verifier_salt(&w, S("key"), S("bob@X.TEST"), 4096);
	ok(!memcmp(v.salt, w.salt, 16) && memcmp(v.stored, w.stored, 32),
	    "a name has a salt, and no keys");
	sasl_verifier_salt(&w, S("other"), S("bob@X.TEST"), 4096);
	ok(memcmp(v.salt, w.salt, 16), "another key another one");
	buf_fini(&b);
}

/* What a client says at each step. */
static enum sasl_result
say(struct sasl *s, const char *text, struct slice *challenge)
{
	struct slice in = slice_str(text);
	const char *why;

	return sasl_step(s, &arena, &in, challenge, &why);
}

static void
test_scram(void)
{
	struct sasl_verifier v = { .rounds = 4096, .nsalt = 4, .salt = "salt" };
	struct slice challenge;
	struct buf b = { 0 };
	struct sasl s;

	ok(!sasl_start(&s, S("SCRAM-SHA-256"), SASL_EXTERNAL) &&
		!sasl_start(&s, S("SCRAM-SHA-256-PLUS"), SASL_SCRAM),
	    "not known to everybody, nor with a binding");
	ok(sasl_start(&s, S("scram-sha-256"), SASL_SCRAM), "SCRAM");
	eq(say(&s, "n,a=al=2Cice,n=bo=3Db,r=abc,x=y", &challenge), SASL_NAME, "a name");
	ok(slice_eq(s.authcid, S("bo=b")) && slice_eq(s.authzid, S("al,ice")), "and another's");
	eq(sasl_verifier_make(&v, S("pw")), 0, "somebody");
	sasl_scram_first(&s, &arena, &v, &challenge);
	ok(slice_starts(challenge, S("r=abc")) &&
		slice_find_str(challenge, S(",s=c2FsdA==,i=4096")) < challenge.n,
	    "is told the salt");
	buf_printf(&b,
	    "c=bixhPWFsPTJDaWNlLA==,r=" SFMT ",p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
	    SARG(s.scram.nonce));
	eq(say(&s, buf_cstr(&b), &challenge), SASL_PROOF, "a proof");
	ok(!sasl_scram_check(&s, &arena, &v, &challenge), "that is none");
	eq(say(&s, "", &challenge), SASL_BAD, "proves nothing");
	buf_fini(&b);
}

static void
test_prep(void)
{
	static const struct {
		const char *in, *out;
	} rows[] = { { "I\xc2\xadX", "IX" }, { "user", "user" }, { "USER", "USER" },
		{ "\xc2\xaa", "a" }, { "\xe2\x85\xa8", "IX" }, /* RFC 4013 3 */
		{ "\x07", NULL },
		{ "a\xc2\xa0\xe3\x80\x80"
		  "b",
		    "a  b" },
		{ "e\xcc\x81", "\xc3\xa9" }, { "", NULL }, { "\xc2\xad", NULL }, { "\xff", NULL },
		{ "\xee\x80\x80", NULL }, { "\xe2\x80\xae", NULL } };
	struct buf b = { 0 };

	for (size_t i = 0; i < NELEM(rows); i++) {
		buf_clear(&b);
		if (saslprep(&b, slice_str(rows[i].in)) < 0)
			ok(!rows[i].out, "row %zu is refused", i);
		else
			ok(rows[i].out && slice_eq(buf_get(&b), slice_str(rows[i].out)), "row %zu",
			    i);
	}
	buf_fini(&b);
}

static enum sasl_result
token(const char *mech, const char *text, struct sasl *s)
{
	struct slice r = slice_str(text), challenge;
	const char *why;

	if (!sasl_start(s, slice_str(mech), SASL_OAUTH))
		return SASL_BAD;
	return sasl_step(s, &arena, &r, &challenge, &why);
}

static void
test_tokens(void)
{
	static const char *const bad[] = { "", "n,,", "n,,\1", "n,,\1auth=Bearer x\1",
		"n,,auth=Bearer x\1\1", "p=tls-unique,,\1auth=Bearer x\1\1",
		"n,a=,\1auth=Bearer x\1\1", "n,a=b=3dc,\1auth=Bearer x\1\1",
		"n,b=c,\1auth=Bearer x\1\1", "n,,\1auth=Basic x\1\1", "n,,\1auth=Bearer \1\1",
		"n,,\1auth=Bearer a b\1\1", "n,,\1auth=Bearer =\1\1",
		"n,,\1auth=Bearer x\1auth=Bearer x\1\1", "n,,\1=v\1auth=Bearer x\1\1",
		"n,,\1auth=Bearer x\1\1y", "n,,\1host=x\1\1", "n,a=\xff,\1auth=Bearer x\1\1" };
	struct slice heard = S("\1"), challenge;
	const char *why;
	struct sasl s;

	ok(!sasl_start(&s, S("OAUTHBEARER"), SASL_SCRAM), "tokens are for who asks for them");
	eq(token("OAUTHBEARER",
	       "n,a=user@example.com,\1host=server.example.com\1port=143\1"
	       "auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\1\1",
	       &s),
	    SASL_TOKEN, "the example of RFC 7628 4.1");
	ok(slice_eq(s.authzid, S("user@example.com")) &&
		slice_eq(s.password, S("vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==")),
	    "its parts");
	sasl_token_refused(&s, &arena, "invalid_token", S("a \"b"), &challenge);
	ok(slice_eq(challenge, S("{\"status\":\"invalid_token\",\"scope\":\"a \\\"b\"}")),
	    "why it is refused: " SFMT, SARG(challenge));
	eq(sasl_step(&s, &arena, &heard, &challenge, &why), SASL_REFUSED, "is heard");
	eq(token("OAUTHBEARER", "n,a=a=2Cb=3D,\1auth=bearer x\1\1", &s), SASL_TOKEN, "escapes");
	ok(slice_eq(s.authzid, S("a,b=")), "are undone");
	eq(sasl_step(&s, &arena, &heard, &challenge, &why), SASL_BAD, "no second one");
	for (size_t i = 0; i < NELEM(bad); i++)
		eq(token("OAUTHBEARER", bad[i], &s), SASL_BAD, "none: %zu", i);
	eq(token("XOAUTH2", "user=a@b\1auth=Bearer x\1\1", &s), SASL_TOKEN, "XOAUTH2");
	ok(slice_eq(s.authzid, S("a@b")) && slice_eq(s.password, S("x")), "its parts");
	eq(token("XOAUTH2", "auth=Bearer x\1\1", &s), SASL_BAD, "of nobody");
	eq(token("XOAUTH2", "user=a\1user=b\1auth=Bearer x\1\1", &s), SASL_BAD, "of two");
	ok(sasl_start(&s, S("xoauth2"), SASL_OAUTH) &&
		sasl_step(&s, &arena, NULL, &challenge, &why) == SASL_CHALLENGE && challenge.n == 0,
	    "without initial response");
}

int
main(void)
{
	test_tokens();
	test_verifier();
	test_scram();
	test_prep();
	test_plain();
	test_login();
	test_decode();
	arena_reset(&arena);
	return done();
}

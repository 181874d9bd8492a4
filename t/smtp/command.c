/* Command lines: MAIL, RCPT, BDAT, EHLO, parameters and their encodings, replies. */
#include <errno.h>
#include "smtp/command.h"
#include "smtp/params.h"
#include "smtp/reply.h"
#include "../tap.h"

static struct arena arena;

static int
mail(const char *arg, struct smtp_mail *m)
{
	const char *why = NULL;
	bool path_bad;

	return smtp_mail_parse(slice_str(arg), &arena, m, &path_bad, &why);
}

static int
rcpt(const char *arg, struct smtp_rcpt *r)
{
	const char *why = NULL;
	bool path_bad;

	return smtp_rcpt_parse(slice_str(arg), false, &arena, r, &path_bad, &why);
}

static void
test_split(void)
{
	struct slice verb, arg;

	ok(smtp_command_split(S("RCPT TO:<a@b>  "), &verb, &arg) && slice_eq(verb, S("RCPT")) &&
		slice_eq(arg, S("TO:<a@b>")),
	    "verb and argument");
	ok(smtp_command_split(S("quit"), &verb, &arg) && arg.n == 0, "no argument");
	ok(!smtp_command_split(S(""), &verb, &arg) && !smtp_command_split(S("   "), &verb, &arg),
	    "nothing");
	ok(!smtp_command_split(S("NO\rOP"), &verb, &arg) &&
		!smtp_command_split(slice("A\0", 2), &verb, &arg),
	    "control characters");
}

static void
test_mail(void)
{
	struct smtp_mail m;
	struct smtp_rcpt r;

	eq(mail("FROM:<a@b.c>", &m), 0, "plain");
	ok(slice_eq(m.from.local, S("a")) && slice_eq(m.from.domain, S("b.c")) && !m.size &&
		!m.envid.p,
	    "its parts");
	eq(mail("from:<>", &m), 0, "null sender");
	ok(m.from.flags & ADDRESS_NULL, "says so");
	eq(mail("FROM: <a@b.c>", &m), 0, "blank behind the colon");
	eq(mail("FROM:<> XASIDE=0123456789xyz", &m), 0, "an id to be set aside under");
	ok(slice_eq(m.aside, S("0123456789xyz")), "says which");
	eq(mail("FROM:<a@b.c> requiretls SIZE=1", &m), 0, "TLS is required");
	ok(m.requiretls, "says so");
	eq(mail("FROM:<a@b.c> REQUIRETLS=", &m), -EBADMSG, "without a value");
	eq(mail("FROM:<a@b.c> REQUIRETLS REQUIRETLS", &m), -EBADMSG, "and once");
	eq(mail("FROM:<> XASIDE=0123456789xy", &m), -EBADMSG, "too short");
	eq(mail("FROM:<> XASIDE=../456789xyz", &m), -EBADMSG, "not of letters and digits");
	eq(rcpt("TO:<a@b.c> XSENT", &r), 0, "for a Sent folder");
	ok(r.sent, "says so");
	eq(rcpt("TO:<a@b.c> XSENT=1", &r), -EBADMSG, "without a value");
	eq(rcpt("TO:<a@b.c> XSENT XSENT", &r), -EBADMSG, "once");
	eq(rcpt("TO:<a@b.c> MT-PRIORITY=1", &r), -ENOTSUP, "MT-PRIORITY is MAIL's");
	eq(rcpt("TO:<a@b.c> XRUN=anna%pro+2Bcmail", &r), 0, "for a program");
	ok(slice_eq(r.run, S("anna%pro+cmail")), "which is xtext");
	eq(rcpt("TO:<a@b.c> XRUN=", &r), -EBADMSG, "not of nobody");
	eq(rcpt("TO:<a@b.c> XRUN=a%b XRUN=a%b", &r), -EBADMSG, "nor of two");
	eq(rcpt("TO:<a@b.c> XRUN=a+0Ab%c", &r), -EBADMSG, "nor of a name of two lines");
	eq(mail("FROM:<> HOLDFOR=3600", &m), 0, "kept for an hour");
	ok(m.release == SMTP_RELEASE_FOR && m.release_at == 3600 &&
		slice_eq(m.release_asked, S("for;3600")),
	    "says so");
	eq(mail("FROM:<> HOLDUNTIL=2026-11-22T10:20:01+02:00", &m), 0, "until then");
	ok(m.release == SMTP_RELEASE_UNTIL && m.release_at == 1795335601 &&
		slice_eq(m.release_asked, S("until;2026-11-22T10:20:01+02:00")),
	    "in UTC, and as it was asked");
	eq(mail("FROM:<> HOLDFOR=1 HOLDUNTIL=2026-11-22T10:20:01Z", &m), -EBADMSG, "not both");
	eq(mail("FROM:<> HOLDFOR=1000000000", &m), -EBADMSG, "ten digits");
	eq(mail("FROM:<> HOLDFOR", &m), -EBADMSG, "without a number");
	eq(mail("FROM:<> HOLDUNTIL=2026-11-22", &m), -EBADMSG, "a day is no moment");
	eq(mail("FROM:<> HOLDUNTIL=2026-11-22t10:20:01Z", &m), -EBADMSG, "T is a capital");
	eq(mail("FROM:<a@b.c> SIZE=1000 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb AUTH=<>", &m),
	    0, "all of it");
	ok(m.size == 1000 && m.body == SMTP_BODY_8BITMIME && m.smtputf8 && m.ret == SMTP_RET_HDRS &&
		slice_eq(m.envid, S("a+b")) && slice_eq(m.auth, S("<>")),
	    "values");
	eq(mail("FROM:<a@b.c> SIZE=99999999999999999999", &m), 0, "a size beyond 64 bits");
	ok(m.size == INT64_MAX, "is too large, not small");
	eq(mail("FROM:<a@b.c> SIZE=999999999999999999999", &m), -EBADMSG, "21 digits");
	eq(mail("FROM:<a@b.c> SIZE=-1", &m), -EBADMSG, "negative");
	eq(mail("FROM:<a@b.c> SIZE", &m), -EBADMSG, "no value");
	eq(mail("FROM:<a@b.c> SIZE=1 SIZE=2", &m), -EBADMSG, "twice");
	eq(mail("FROM:<a@b.c> BODY=BINARYMIME", &m), -ENOTSUP, "BINARYMIME");
	eq(mail("FROM:<a@b.c> X-NEW=1", &m), -ENOTSUP, "unknown");
	eq(mail("FROM:<a@b.c> RET=ALL", &m), -EBADMSG, "bad RET");
	eq(mail("FROM:<a@b.c> ENVID=a+0Ab", &m), -EBADMSG, "a line end in ENVID");
	eq(mail("FROM:<a@b.c> ENVID=a+2", &m), -EBADMSG, "half an escape");
	eq(mail("FROM:<a@b.c>SIZE=1", &m), -EBADMSG, "no blank");
	eq(mail("FROM:a@b.c", &m), -EBADMSG, "no brackets");
	eq(mail("<a@b.c>", &m), -EBADMSG, "no FROM");
	eq(mail("TO:<a@b.c>", &m), -EBADMSG, "TO");
}

static void
test_rcpt(void)
{
	struct smtp_rcpt r;

	eq(rcpt("TO:<postmaster>", &r), 0, "postmaster");
	eq(rcpt("TO:<>", &r), -EBADMSG, "null path");
	eq(rcpt("TO:<a@b.c> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2B1@b.c", &r), 0, "DSN");
	ok(r.notify == (SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_DELAY) &&
		slice_eq(r.orcpt_type, S("rfc822")) && slice_eq(r.orcpt, S("a+1@b.c")),
	    "values");
	eq(rcpt("TO:<a@b.c> NOTIFY=NEVER", &r), 0, "NEVER");
	ok(rcpt("TO:<a@b.c>", &r) == 0 && !r.ignore_quota, "a quota holds");
	ok(rcpt("TO:<a@b.c> IgnoreQuota NOTIFY=NEVER", &r) == 0 && r.ignore_quota, "IGNOREQUOTA");
	eq(rcpt("TO:<a@b.c> IGNOREQUOTA=1", &r), -EBADMSG, "with a value");
	eq(rcpt("TO:<a@b.c> IGNOREQUOTA IGNOREQUOTA", &r), -EBADMSG, "twice");
	eq(rcpt("TO:<a@b.c> NOTIFY=NEVER,DELAY", &r), -EBADMSG, "NEVER stands alone");
	eq(rcpt("TO:<a@b.c> NOTIFY=", &r), -EBADMSG, "empty");
	eq(rcpt("TO:<a@b.c> NOTIFY=DELAY,", &r), -EBADMSG, "comma at the end");
	eq(rcpt("TO:<a@b.c> ORCPT=a@b.c", &r), -EBADMSG, "ORCPT without type");
	eq(rcpt("TO:<a@b.c> ORCPT=rfc822;a+0D+0Ab", &r), -EBADMSG, "ORCPT with a line end");
	eq(rcpt("TO:<a@b.c> ORCPT=utf-8;\\x{E9}t\\x{E9}@b.c", &r), 0, "utf-8-addr-xtext");
	ok(slice_eq(r.orcpt, S("\xc3\xa9t\xc3\xa9@b.c")), "decoded");
	eq(rcpt("TO:<a@b.c> ORCPT=utf-8;\xc3\xa9@b.c", &r), 0, "utf-8-addr-unitext");
	eq(rcpt("TO:<a@b.c> ORCPT=utf-8;\\x{D800}@b.c", &r), -EBADMSG, "a surrogate");
	eq(rcpt("TO:<a@b.c> SIZE=1", &r), -ENOTSUP, "not here");
}

static void
test_bdat(void)
{
	const char *why;
	uint64_t n;
	bool last;

	ok(smtp_bdat_parse(S("86"), &n, &last, &why) == 0 && n == 86 && !last, "BDAT");
	ok(smtp_bdat_parse(S("0 last"), &n, &last, &why) == 0 && n == 0 && last, "BDAT 0 LAST");
	ok(smtp_bdat_parse(S(""), &n, &last, &why) < 0 &&
		smtp_bdat_parse(S("x"), &n, &last, &why) < 0 &&
		smtp_bdat_parse(S("1 2"), &n, &last, &why) < 0 &&
		smtp_bdat_parse(S("1 LAST x"), &n, &last, &why) < 0 &&
		smtp_bdat_parse(S("99999999999999999999"), &n, &last, &why) < 0,
	    "junk");
}

static void
test_helo(void)
{
	ok(smtp_helo_valid(S("mail.example.test"), true) &&
		smtp_helo_valid(S("[127.0.0.1]"), true) && smtp_helo_valid(S("[IPv6:::1]"), true),
	    "names and literals");
	ok(!smtp_helo_valid(S("a b"), false) && !smtp_helo_valid(S(""), false) &&
		!smtp_helo_valid(S("a\"b"), false) && !smtp_helo_valid(S("a(b)"), false),
	    "what could break a trace field");
	ok(smtp_helo_valid(S("my_host"), false) && smtp_helo_valid(S("[junk"), false) &&
		!smtp_helo_valid(S("[junk"), true),
	    "strict or not");
}

static void
round_trip(const char *s, bool unitext)
{
	struct buf text = { 0 }, back = { 0 };

	smtp_utf8_addr_write(&text, slice_str(s), unitext);
	ok(smtp_utf8_addr_parse(&back, buf_get(&text)) == 0, "%s can be read back",
	    buf_cstr(&text));
	is(buf_cstr(&back), s, "and is the same");
	buf_fini(&text);
	buf_fini(&back);
}

static void
test_xtext(void)
{
	struct buf b = { 0 };

	smtp_xtext_write(&b, S("a+b=c d\xc3\xa9"));
	is(buf_cstr(&b), "a+2Bb+3Dc+20d+C3+A9", "xtext");
	buf_fini(&b);
	round_trip("plain@a.test", false);
	round_trip("\xc3\xa9\\x=+ y@a.test", false);
	round_trip("\xc3\xa9\\x=+ y@a.test", true);
}

static void
test_reply(void)
{
	struct verdict v = verdict(PERM, 550, "5.1.1", "no such user");
	struct buf b = { 0 };

	smtp_reply_verdict(&b, &v);
	smtp_reply_write(&b, 250, NULL, S("a\nb\n"));
	smtp_reply_write(&b, 250, "2.0.0", S("x\r250 y"));
	smtp_reply_write(&b, 354, NULL, S(""));
	is(buf_cstr(&b),
	    "550 5.1.1 no such user\r\n250-a\r\n250 b\r\n250 2.0.0 x 250 y\r\n354 \r\n", "replies");
	buf_clear(&b);
	for (int i = 0; i < 700; i++)
		buf_char(&b, 'x');
	smtp_reply_write(&b, 250, NULL, slice(b.p, 0));
	buf_cut(&b, 700);
	is(buf_cstr(&b), "250 \r\n", "empty text");
	buf_fini(&b);
}

int
main(void)
{
	test_split();
	test_mail();
	test_rcpt();
	test_bdat();
	test_helo();
	test_xtext();
	test_reply();
	arena_reset(&arena);
	return done();
}

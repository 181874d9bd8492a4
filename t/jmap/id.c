/* Ids, accounts, dates, keywords: what is one, and what is none. */
#include "../tap.h"
#include "jmap/id.h"

static void
test_ids(void)
{
	struct buf b = { 0 };

	jmap_id_json(&b, JMAP_EMAIL, 0x123abcu);
	is(buf_cstr(&b), "\"M0000000000123abc\"", "an id");
	ok(jmap_id_parse(S("M0000000000123abc"), JMAP_EMAIL) == 0x123abc, "is read");
	ok(jmap_id_parse(S("M0000000000123abc"), JMAP_THREAD) == 0, "of another kind");
	ok(jmap_id_parse(S("M0000000000123ABC"), JMAP_EMAIL) == 0, "another form");
	ok(jmap_id_parse(S("M000000000123abc"), JMAP_EMAIL) == 0, "too short");
	ok(jmap_id_parse(S("M000000000123abcg"), JMAP_EMAIL) == 0, "no digit");
	ok(jmap_id_parse(S(""), JMAP_EMAIL) == 0, "nothing");
	ok(jmap_id_ok(S("a-Z_09")) && !jmap_id_ok(S("")) && !jmap_id_ok(S("a.b")), "characters");
	buf_fini(&b);
}

static void
account(struct slice name, const char *id)
{
	struct buf b = { 0 }, back = { 0 };

	jmap_account_id_write(&b, name);
	is(buf_cstr(&b), id, "the id of an account");
	ok(jmap_account_id_parse(buf_get(&b), &back) == 0 && slice_eq(buf_get(&back), name),
	    "and back");
	buf_fini(&b);
	buf_fini(&back);
}

static void
date(struct slice text, bool good, int64_t want)
{
	int64_t at = -1;

	ok(jmap_date_parse(text, &at) == good && (!good || at == want), "%.*s", SARG(text));
}

int
main(void)
{
	struct buf b = { 0 };

	test_ids();
	account(S("a@b.c"), "uYUBiLmM");
	account(S("jane@example.net"), "uamFuZUBleGFtcGxlLm5ldA");
	account(S("\xff\xfe?>"), "u__4_Pg");
	ok(jmap_account_id_parse(S("uYUBiLmM="), &b) < 0 && jmap_account_id_parse(S("u"), &b) < 0 &&
		jmap_account_id_parse(S("xYQ"), &b) < 0 &&
		jmap_account_id_parse(S("uYQ\n"), &b) < 0,
	    "none of ours");
	buf_fini(&b);
	date(S("1970-01-01T00:00:00Z"), true, 0);
	date(S("2014-10-30T06:12:00Z"), true, 1414649520);
	date(S("2014-10-30T06:12:00.125Z"), true, 1414649520);
	date(S("2000-02-29T23:59:59Z"), true, 951868799);
	date(S("2001-02-29T00:00:00Z"), false, 0);
	date(S("2014-10-30T06:12:00+00:00"), false, 0);
	date(S("2014-10-30T24:00:00Z"), false, 0);
	date(S("2014-10-30 06:12:00Z"), false, 0);
	date(S("2014-10-30T06:12Z"), false, 0);
	date(S("+014-10-30T06:12:00Z"), false, 0);
	ok(jmap_keyword_ok(S("$seen")) && !jmap_keyword_ok(S("")) && !jmap_keyword_ok(S("a b")) &&
		!jmap_keyword_ok(S("a*")) && !jmap_keyword_ok(S("\xc3\xbc")),
	    "keywords");
	return done();
}

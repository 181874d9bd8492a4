/* Codes by time and words that we make: the numbers of RFC 6238 appendix B and RFC 4648 10, the window, what was used
 * once, and what looks like one and is none. */
#include "login/code.h"
#include "../tap.h"

#define RFC_SECRET "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" /* 12345678901234567890 */

static void
test_rfc6238(void)
{
	/* Appendix B has eight digits; of six these are the last. */
	static const struct {
		int64_t at;
		const char *code;
	} rows[] = { { 59, "287082" }, { 1111111109, "081804" }, { 1111111111, "050471" },
		{ 1234567890, "005924" }, { 2000000000, "279037" }, { 20000000000, "353130" } };
	char code[LOGIN_TOTP_DIGITS + 1];
	uint64_t step;

	for (size_t i = 0; i < NELEM(rows); i++) {
		login_totp_code((const uint8_t *)"12345678901234567890", 20,
		    (uint64_t)rows[i].at / 30, code);
		is(code, rows[i].code, "the code of RFC 6238, appendix B");
		ok(login_totp_check(S(RFC_SECRET), slice_str(rows[i].code), rows[i].at, 0, &step) &&
			step == (uint64_t)rows[i].at / 30,
		    "is good at its time");
	}
}

static bool
good_at(int64_t now, uint64_t after)
{
	uint64_t step;

	return login_totp_check(S(RFC_SECRET), S("050 471"), now, after, &step); /* 1111111111 */
}

static void
test_window(void)
{
	const int64_t at = 1111111111, step = at / 30;
	uint64_t n;

	ok(good_at(step * 30, 0) && good_at(step * 30 + 59, 0) && good_at(step * 30 - 30, 0),
	    "a clock may be a step behind or ahead");
	ok(!good_at(step * 30 - 31, 0) && !good_at(step * 30 + 60, 0), "and no more");
	ok(good_at(at, (uint64_t)step - 1) && !good_at(at, (uint64_t)step) &&
		!good_at(at, (uint64_t)step + 1),
	    "what was used is used, and so is what was before it");
	ok(!login_totp_check(S(RFC_SECRET), S("05047"), at, 0, &n) &&
		!login_totp_check(S(RFC_SECRET), S("0504711"), at, 0, &n) &&
		!login_totp_check(S(RFC_SECRET), S(""), at, 0, &n),
	    "six digits, not fewer or more");
	ok(!login_totp_check(S(""), S("050471"), at, 0, &n) &&
		!login_totp_check(S("GEZDG"), S("050471"), at, 0, &n) &&
		!login_totp_check(S("1111111111111111"), S("050471"), at, 0, &n),
	    "a secret that is none has no code");
}

static void
test_base32(void)
{
	static const struct {
		const char *bytes, *text;
	} rows[] = { { "f", "MY" }, { "fo", "MZXQ" }, { "foo", "MZXW6" }, { "foob", "MZXW6YQ" },
		{ "fooba", "MZXW6YTB" }, { "foobar", "MZXW6YTBOI" } };
	uint8_t out[8];

	for (size_t i = 0; i < NELEM(rows); i++) {
		struct buf b = { 0 };
		size_t n = strlen(rows[i].bytes);

		login_base32_write(&b, (const uint8_t *)rows[i].bytes, n);
		ok(slice_eq(buf_get(&b), slice_str(rows[i].text)), "base32 of RFC 4648, 10");
		ok(login_base32_parse(slice_str(rows[i].text), out, sizeof(out)) == (int)n &&
			memcmp(out, rows[i].bytes, n) == 0,
		    "and back");
		buf_fini(&b);
	}
	ok(login_base32_parse(S("mzxw 6ytb"), out, 5) == 5, "in any case, with blanks");
	ok(login_base32_parse(S("MZXW6YTB"), out, 4) < 0 &&
		login_base32_parse(S("MZX1"), out, 8) < 0,
	    "not more than there is room for, and no other letters");
}

static void
test_words(void)
{
	struct login_word w, again, other;
	char text[LOGIN_WORD_TEXT], loud[64] = { 0 };
	size_t n = 0;

	login_word_make(LOGIN_WORD_APP, text, &w);
	ok(strlen(text) == 24 && text[4] == '-' && strncmp(text, w.id, LOGIN_WORD_ID) == 0,
	    "an application password, which says which one it is");
	for (size_t i = 0; text[i]; i++)
		if (text[i] != '-') {
			loud[n++] = ascii_upper(text[i]);
			if (n % 6 == 5)
				loud[n++] = ' ';
		}
	ok(login_word_parse(LOGIN_WORD_APP, slice_str(loud), &again) &&
		login_digest_same(slice_str(w.digest), &again),
	    "is the same in capitals with blanks elsewhere");
	ok(!login_word_parse(LOGIN_WORD_RECOVERY, slice_str(text), &again), "and no recovery code");
	login_word_make(LOGIN_WORD_APP, text, &other);
	ok(strcmp(w.digest, other.digest) != 0 && !login_digest_same(slice_str(w.digest), &other),
	    "another is another");
	login_word_make(LOGIN_WORD_RECOVERY, text, &w);
	ok(strlen(text) == 19 && !login_word_parse(LOGIN_WORD_APP, slice_str(text), &again),
	    "a recovery code is no application password");
	ok(!login_word_parse(LOGIN_WORD_APP, S("correct horse battery staple"), &again) &&
		!login_word_parse(LOGIN_WORD_APP, S("abcd-efgh-ijkl-mnop-qrs1"), &again) &&
		!login_word_parse(LOGIN_WORD_APP, S(""), &again),
	    "most passwords do not look like one");
}

int
main(void)
{
	test_rfc6238();
	test_window();
	test_base32();
	test_words();
	return done();
}

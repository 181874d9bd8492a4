/* slice.c: comparing, searching and cutting borrowed bytes. */
#include <errno.h>
#include "base/slice.h"
#include "../tap.h"

static void
test_compare(void)
{
	struct slice none = { 0 };
	char bytes[40];
	bool same = true, apart = true;

	ok(slice_eq(none, S("")), "empty slices are equal, NULL or not");
	ok(!slice_eq(S("a"), S("A")) && slice_ieq(S("aZ9@"), S("Az9@")), "eq and ieq");
	ok(!slice_ieq(S("["), S("{")), "only letters fold");
	ok(slice_cmp(S("a"), S("ab")) < 0 && slice_cmp(S("b"), S("ab")) > 0 &&
		slice_cmp(none, S("")) == 0,
	    "cmp");
	ok(slice_starts(S("MAIL FROM"), S("MAIL")) && !slice_starts(S("MA"), S("MAIL")), "starts");
	ok(slice_istarts(S("mail from"), S("MAIL")), "istarts");
	ok(slice_ends(S("a.msg"), S(".msg")) && !slice_ends(S("g"), S(".msg")) &&
		slice_ends(none, none),
	    "ends");
	ok(slice_hash(S("a")) != slice_hash(S("A")) && slice_ihash(S("a")) == slice_ihash(S("A")),
	    "hash and ihash");
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 7);
	for (size_t i = 1; i <= 40; i++) {
		char other[41];

		memcpy(other + 1, bytes, i);
		same &= slice_hash(slice(bytes, i)) == slice_hash(slice(other + 1, i));
		apart &= slice_hash(slice(bytes, i)) != slice_hash(slice(bytes, i - 1));
		for (size_t k = 0; k < i; k++) {
			other[k + 1] ^= 1;
			apart &= slice_hash(slice(bytes, i)) != slice_hash(slice(other + 1, i));
			other[k + 1] ^= 1;
		}
	}
	ok(same, "the hash is that of the bytes, wherever they lie");
	ok(apart, "each byte and the length have a part in it");
}

static void
test_find(void)
{
	struct slice s = S("one.two.three");

	eq(slice_find(s, '.'), 3, "find");
	eq(slice_rfind(s, '.'), 7, "rfind");
	eq(slice_find(s, 'x'), s.n, "find nothing");
	eq(slice_find_str(s, S("two")), 4, "find_str");
	eq(slice_find_str(s, S("")), 0, "the empty needle is at 0");
	eq(slice_ifind_str(s, S("THREE")), 8, "ifind_str at the end");
	eq(slice_ifind_str(s, S(".T")), 3, "ifind_str begins with no letter");
	eq(slice_ifind_str(s, S("threex")), s.n, "ifind_str, absent");
	eq(slice_ifind_str(S("aaab"), S("AAB")), 1, "ifind_str with a false start");
	eq(slice_ifind_str(S("ab"), S("abc")), 2, "needle longer than hay");
}

static void
test_cut(void)
{
	struct slice s = S("a,,b"), w;
	char out[16];

	ok(slice_cut(&s, ',', &w) && slice_eq(w, S("a")), "cut one");
	ok(slice_cut(&s, ',', &w) && w.n == 0, "cut an empty one");
	ok(slice_cut(&s, ',', &w) && slice_eq(w, S("b")), "cut the last");
	ok(!slice_cut(&s, ',', &w), "and no more");
	s = S(" \tx  yy\t");
	ok(slice_word(&s, &w) && slice_eq(w, S("x")), "word");
	ok(slice_word(&s, &w) && slice_eq(w, S("yy")), "second word");
	ok(!slice_word(&s, &w), "no word at the end");
	is(slice_cstr(slice_trim(S(" \r\nab c\t\n")), out, sizeof(out)), "ab c", "trim");
	eq(slice_trim(S(" \t")).n, 0, "trim of blanks");
	is(slice_cstr(S("0123456789abcdefgh"), out, sizeof(out)), "0123456789abcde", "cstr cuts");
	is(slice_cstr(slice_sub(S("012345"), 2, 3), out, sizeof(out)), "234", "sub");
	is(slice_cstr(slice("a\0b", 3), out, sizeof(out)), "a?b",
	    "a NUL does not hide what follows");
	eq(slice_sub(S("012345"), 9, 3).n, 0, "sub behind the end");
	eq(slice_from(S("012345"), 7).n, 0, "from behind the end");
}

static void
test_u64(void)
{
	uint64_t v = 1;

	ok(slice_u64(S("0"), 10, &v) == 0 && v == 0, "0");
	ok(slice_u64(S("18446744073709551615"), UINT64_MAX, &v) == 0 && v == UINT64_MAX, "2^64-1");
	eq(slice_u64(S("18446744073709551616"), UINT64_MAX, &v), -ERANGE, "2^64");
	eq(slice_u64(S("99999999999999999999999"), UINT64_MAX, &v), -ERANGE, "far beyond");
	eq(slice_u64(S("11"), 10, &v), -ERANGE, "above max");
	eq(slice_u64(S(""), 10, &v), -EINVAL, "nothing");
	eq(slice_u64(S("-1"), 10, &v), -EINVAL, "sign");
	eq(slice_u64(S("1 "), 10, &v), -EINVAL, "blank");
	eq(slice_u64(S("99999999999999999999999x"), 10, &v), -EINVAL, "bad before out of range");
}

int
main(void)
{
	test_compare();
	test_find();
	test_cut();
	test_u64();
	return done();
}

/* buf.c: owned bytes: growth, caps, numbers. */
#include "base/buf.h"
#include "../tap.h"

static void
test_numbers(void)
{
	struct buf b = { 0 };
	uint64_t tries[] = { 0, 7, 9, 10, 42, 99, 100, 101, 999, 1000, 4294967295u, UINT64_MAX };

	for (size_t i = 0; i < NELEM(tries); i++) {
		char want[32];

		snprintf(want, sizeof(want), "%llu", (unsigned long long)tries[i]);
		buf_clear(&b);
		buf_u64(&b, tries[i]);
		is(buf_cstr(&b), want, "buf_u64 %s", want);
	}
	buf_clear(&b);
	buf_i64(&b, INT64_MIN);
	buf_char(&b, ' ');
	buf_i64(&b, -1);
	buf_char(&b, ' ');
	buf_i64(&b, 12);
	is(buf_cstr(&b), "-9223372036854775808 -1 12", "buf_i64");
	buf_clear(&b);
	buf_hex(&b, "\x00\xff\x1a", 3);
	is(buf_cstr(&b), "00ff1a", "buf_hex");
	buf_fini(&b);
}

static void
test_growth(void)
{
	struct buf b = { 0 };
	char *p;

	for (int i = 0; i < 1000; i++)
		buf_printf(&b, "%d,", i);
	eq(b.n, 3890, "printf grows");
	ok(slice_starts(buf_get(&b), S("0,1,2,")) && slice_ends(buf_get(&b), S("998,999,")),
	    "and keeps the bytes");
	buf_cut(&b, 3882);
	is(buf_cstr(&b), "998,999,", "cut drops from the front");
	buf_cut(&b, 100);
	eq(b.n, 0, "cut of more than there is");
	is(buf_cstr(&b), "", "cstr of nothing");
	buf_lit(&b, "literal");
	p = buf_reserve(&b, 3);
	memcpy(p, "abc", 3);
	b.n += 3;
	p = buf_take(&b);
	is(p, "literalabc", "take gives a string");
	ok(!b.p && b.n == 0, "and leaves an empty buffer");
	free(p);
	buf_fini(&b);
	p = buf_take(&b);
	is(p, "", "take of an empty buffer");
	free(p);
}

static void
test_cap(void)
{
	struct buf b;

	buf_init(&b, 10);
	buf_str(&b, "12345678");
	ok(!b.full, "below the cap");
	buf_str(&b, "abc");
	ok(b.full, "over the cap: full");
	is(buf_cstr(&b), "12345678", "and nothing was added");
	buf_str(&b, "90");
	is(buf_cstr(&b), "1234567890", "what fits is added");
	ok(!buf_reserve(&b, 1), "no room is reserved over the cap");
	buf_clear(&b);
	ok(!b.full, "clear forgets full");
	buf_printf(&b, "%s", "0123456789");
	eq(b.n, 10, "printf up to the cap");
	buf_printf(&b, "%s", "x");
	ok(b.full && b.n == 10, "printf over the cap");
	buf_clear(&b);
	ok(!buf_reserve(&b, SIZE_MAX), "an absurd size does not fit");
	buf_fini(&b);
}

int
main(void)
{
	test_numbers();
	test_growth();
	test_cap();
	return done();
}

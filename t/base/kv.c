/* Records `key=value ...`: what is written can be read, what is bad is refused. */
#include "../tap.h"
#include "base/kv.h"

int
main(void)
{
	struct buf b = { 0 }, d = { 0 };
	struct slice rest, k, v;
	char small[4], text[64];
	char all[255];

	buf_str(&b, "verb");
	kv_put(&b, "a", S("plain"));
	kv_put(&b, "b", S("two words=100%"));
	kv_put(&b, "empty", S(""));
	kv_put_u64(&b, "n", 18446744073709551615ull);
	kv_put_i64(&b, "i", -5);
	is(buf_cstr(&b), "verb a=plain b=two%20words%3D100%25 empty= n=18446744073709551615 i=-5",
	    "written with escapes");
	rest = buf_get(&b);
	ok(kv_next(&rest, &k, &v) && slice_eq(k, S("verb")) && !v.p, "a bare word");
	ok(kv_next(&rest, &k, &v) && slice_eq(k, S("a")) && slice_eq(v, S("plain")), "a pair");
	ok(kv_is_plain(v), "nothing to decode");
	ok(kv_next(&rest, &k, &v) && !kv_is_plain(v), "an escaped value");
	eq(kv_cstr(v, text, sizeof(text)), 0, "decoded");
	is(text, "two words=100%", "to what it was");
	eq(kv_cstr(v, small, sizeof(small)), -34, "too long for the room");
	ok(kv_next(&rest, &k, &v) && v.p && v.n == 0, "an empty value is not an absent one");
	v = kv_find(buf_get(&b), "i");
	ok(slice_eq(v, S("-5")), "found by key");
	ok(!kv_find(buf_get(&b), "x").p, "absent key");
	eq(kv_cstr(S("a%0"), text, sizeof(text)), -74, "cut escape");
	eq(kv_cstr(S("a%zz"), text, sizeof(text)), -74, "bad digits");
	eq(kv_cstr(S("a%00b"), text, sizeof(text)), -74, "NUL is refused in strings");
	eq(kv_decode(&d, S("a%00b")), 0, "and decoded as bytes");
	eq(d.n, 3, "three bytes");

	for (int i = 0; i < 255; i++)
		all[i] = (char)(i + 1);
	buf_clear(&b);
	buf_clear(&d);
	kv_put(&b, "x", slice(all, sizeof(all)));
	eq(kv_decode(&d, kv_find(buf_get(&b), "x")), 0, "every byte goes through");
	ok(slice_eq(buf_get(&d), slice(all, sizeof(all))), "and comes back");
	buf_fini(&b);
	buf_fini(&d);
	return done();
}

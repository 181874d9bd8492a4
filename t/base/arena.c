/* arena.c: zeroed, aligned, apart, and gone at once. */
#include "base/arena.h"
#include "../tap.h"

int
main(void)
{
	struct arena a = { 0 };
	char *p[1000], *big;
	bool zero = true, aligned = true, whole = true;

	for (size_t i = 0; i < 1000; i++) {
		p[i] = arena_new(&a, i + 1);
		aligned &= ((uintptr_t)p[i] & 15) == 0;
		for (size_t k = 0; k <= i; k++)
			zero &= p[i][k] == 0;
		memset(p[i], (int)(i & 0xff), i + 1);
	}
	for (size_t i = 0; i < 1000; i++)
		for (size_t k = 0; k <= i; k++)
			whole &= (unsigned char)p[i][k] == (i & 0xff);
	ok(zero, "memory comes zeroed");
	ok(aligned, "aligned to 16");
	ok(whole, "and nothing overlaps");
	ok(a.total >= 500500, "total counts what was handed out");
	big = arena_new(&a, 1 << 20);
	big[(1 << 20) - 1] = 'x';
	ok(arena_new(&a, 10), "goes on after a big one");
	is(arena_str(&a, "text"), "text", "str");
	is(arena_cstr(&a, slice("abcdef", 3)), "abc", "cstr");
	ok(slice_eq(arena_slice(&a, S("xyz")), S("xyz")), "slice");
	ok(arena_slice(&a, (struct slice){ 0 }).n == 0, "empty slice");
	is(arena_printf(&a, "%d-%s", 42, "z"), "42-z", "printf");
	ok(((uint32_t *)arena_array(&a, 100, 4))[99] == 0, "array");
	ok(arena_new(&a, 0), "no bytes are an allocation too");
	arena_reset(&a);
	ok(!a.blocks && a.total == 0, "reset frees all");
	arena_reset(&a);
	is(arena_str(&a, "again"), "again", "usable after reset");
	arena_reset(&a);
	arena_expect(&a, 3000);
	p[0] = arena_new(&a, 2000);
	p[1] = arena_new(&a, 1000 - 16);
	ok(p[1] == p[0] + 2000, "what was expected comes from one block");
	ok(arena_new(&a, 5000), "and more than that from others");
	arena_reset(&a);
	p[0] = arena_str(&a, "once");
	arena_rewind(&a, 4096);
	ok(a.blocks && a.total == 0 && arena_str(&a, "more") == p[0], "rewound it begins again");
	arena_rewind(&a, 4096);
	arena_expect(&a, 3000);
	p[0] = arena_new(&a, 1400);
	ok((char *)arena_new(&a, 1400) == p[0] + 1408, "and can expect more");
	(void)arena_new(&a, 5000);
	arena_rewind(&a, 4096);
	ok(!a.blocks, "several blocks are not kept");
	(void)arena_new(&a, 5000);
	arena_rewind(&a, 4096);
	ok(!a.blocks, "nor is a large one");
	arena_reset(&a);
	return done();
}

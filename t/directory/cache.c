/* t/directory/cache.c: remembered answers and passwords: age, size, order, and no mix-ups. */
#include "base/mem.h"
#include "directory/cache.h"
#include "../tap.h"

static struct record *
record(void)
{
	struct record *r = mem_new(sizeof(*r));

	r->refs = 1;
	return r;
}

static void
answers(void)
{
	struct record *a = record(), *b = record(), *got;
	struct cache c;

	dir_cache_init(&c, 3);
	ok(!dir_cache_get(&c, S("a"), 0, &got), "nothing is known");
	dir_cache_put(&c, S("a"), a, 0, 100);
	ok(dir_cache_get(&c, S("a"), 99, &got) && got == a, "known until its age");
	ok(!dir_cache_get(&c, S("a"), 100, &got), "and not longer");
	eq(a->refs, 1, "given back");
	dir_cache_put(&c, S("n"), NULL, 0, 50);
	ok(dir_cache_get(&c, S("n"), 49, &got) && !got, "a negative answer");
	dir_cache_put(&c, S("n"), b, 50, 50);
	ok(dir_cache_get(&c, S("n"), 60, &got) && got == b, "replaced by a better one");
	dir_cache_put(&c, S("zero"), a, 0, 0);
	ok(!dir_cache_get(&c, S("zero"), 0, &got), "no age, no memory");

	dir_cache_put(&c, S("x"), a, 60, 1000);
	dir_cache_put(&c, S("y"), a, 60, 1000);
	ok(dir_cache_get(&c, S("n"), 61, &got), "the oldest is used again");
	dir_cache_put(&c, S("z"), a, 60, 1000);
	ok(!dir_cache_get(&c, S("x"), 62, &got), "the longest unused had to go");
	ok(dir_cache_get(&c, S("n"), 62, &got) && dir_cache_get(&c, S("y"), 62, &got) &&
		dir_cache_get(&c, S("z"), 62, &got),
	    "the others are there");
	eq(c.n, 3, "as many as there is room for");
	dir_cache_clear(&c);
	ok(c.n == 0 && !dir_cache_get(&c, S("y"), 62, &got), "all forgotten");
	ok(a->refs == 1 && b->refs == 1, "nothing is held");
	dir_cache_fini(&c);
	dir_record_unref(&a);
	dir_record_unref(&b);

	dir_cache_init(&c, 0);
	dir_cache_put(&c, S("a"), NULL, 0, 100);
	ok(!dir_cache_get(&c, S("a"), 1, &got), "a cache of no size");
	dir_cache_fini(&c);
}

/* A few long lists must not take the memory of a host, however many entries there may be. */
static void
sizes(void)
{
	enum { MANY = 40 };
	struct record *r[MANY], *got;
	size_t there = 0, held = 0;
	struct cache c;
	char key[8];

	dir_cache_init(&c, 1000);
	for (size_t i = 0; i < MANY; i++) {
		r[i] = record();
		r[i]->size = 4 * 1024 * 1024;
		snprintf(key, sizeof(key), "%zu", i);
		dir_cache_put(&c, slice_str(key), r[i], 0, 100);
	}
	for (size_t i = 0; i < MANY; i++) {
		snprintf(key, sizeof(key), "%zu", i);
		there += dir_cache_get(&c, slice_str(key), 1, &got);
		held += r[i]->refs == 2;
	}
	eq(there, 16, "64 MiB of them are remembered");
	eq(held, 16, "and no other is held");
	r[0]->size = 65 * 1024 * 1024;
	dir_cache_put(&c, S("large"), r[0], 0, 100);
	ok(!dir_cache_get(&c, S("large"), 1, &got), "one that is larger is not");
	eq(c.n, 16, "and takes nobody's place");
	dir_cache_clear(&c);
	eq(c.bytes, 0, "all are given back");
	for (size_t i = 0; i < MANY; i++)
		dir_record_unref(&r[i]);
	dir_cache_fini(&c);
}

static void
passwords(void)
{
	struct proofs p;

	dir_proofs_init(&p, 2);
	ok(!dir_proofs_check(&p, S("uid=a"), S("secret"), 7, 0), "nobody is known");
	dir_proofs_put(&p, S("uid=a"), S("a@x"), S("secret"), 7, 0, 100);
	ok(dir_proofs_check(&p, S("uid=a"), S("secret"), 7, 99), "the right password");
	ok(!dir_proofs_check(&p, S("uid=a"), S("secre"), 7, 1), "a part of it");
	ok(!dir_proofs_check(&p, S("uid=a"), S("secret "), 7, 1), "more than it");
	ok(!dir_proofs_check(&p, S("uid=a"), S(""), 7, 1), "none");
	ok(!dir_proofs_check(&p, S("uid=b"), S("secret"), 7, 1), "of somebody else");
	ok(dir_proofs_check(&p, S("uid=a"), S("secret"), 7, 1), "still the right one");
	ok(!dir_proofs_check(&p, S("uid=a"), S("secret"), 7, 100), "but not for ever");
	dir_proofs_put(&p, S("uid=a"), S("a@x"), S("secret"), 7, 0, 100);
	ok(!dir_proofs_check(&p, S("uid=a"), S("secret"), 8, 1),
	    "a password that was changed since");
	ok(!dir_proofs_check(&p, S("uid=a"), S("secret"), 7, 1), "which ends it");
	dir_proofs_put(&p, S("uid=a"), S("a@x"), S("x"), 7, 0, 100);
	dir_proofs_put(&p, S("uid=b"), S("b@x"), S("x"), 7, 0, 100);
	dir_proofs_put(&p, S("uid=c"), S("c@x"), S("x"), 7, 0, 100);
	ok(!dir_proofs_check(&p, S("uid=a"), S("x"), 7, 1) &&
		dir_proofs_check(&p, S("uid=b"), S("x"), 7, 1),
	    "the first had to go");
	dir_proofs_forget(&p, S("C@X"));
	ok(!dir_proofs_check(&p, S("uid=c"), S("x"), 7, 1), "a user is forgotten");
	dir_proofs_drop(&p, S("uid=b"));
	ok(!dir_proofs_check(&p, S("uid=b"), S("x"), 7, 1), "dropped");
	dir_proofs_fini(&p);
}

int
main(void)
{
	answers();
	sizes();
	passwords();
	return done();
}

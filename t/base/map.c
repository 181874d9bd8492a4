/* map.c: put, get, take and walk, against a plain array. */
#include "base/map.h"
#include "base/random.h"
#include "../tap.h"

#define N 5000

struct item {
	char key[16];
	bool in;
};
static struct item items[N];

static struct slice
key(const struct item *it)
{
	return slice_str(it->key);
}

static bool
agrees(const struct map *m)
{
	size_t n = 0, seen = 0, at = 0;

	for (size_t i = 0; i < N; i++) {
		if (map_get(m, key(&items[i])) != (items[i].in ? &items[i] : NULL))
			return false;
		n += items[i].in;
	}
	while (map_next(m, &at))
		seen++;
	return m->n == n && seen == n;
}

int
main(void)
{
	struct map m = { 0 };
	struct item *it, other = { .key = "key-7" };
	uint64_t rnd = 88172645463325252ULL;
	bool good = true;
	size_t at = 0;

	ok(!map_get(&m, S("x")) && !map_take(&m, S("x")), "empty map");
	for (int i = 0; i < N; i++)
		snprintf(items[i].key, sizeof(items[i].key), "key-%d", i);
	for (int turn = 0; turn < 200000; turn++) {
		rnd ^= rnd << 13;
		rnd ^= rnd >> 7;
		rnd ^= rnd << 17;
		it = &items[rnd % N];
		if (rnd >> 33 & 1)
			good &= map_put(&m, key(it), it) == (it->in ? it : NULL), it->in = true;
		else
			good &= map_take(&m, key(it)) == (it->in ? it : NULL), it->in = false;
		if (turn % 20000 == 0)
			good &= agrees(&m);
	}
	ok(good, "200000 random puts and takes return the old value");
	ok(agrees(&m), "and the map is what it should be");
	ok(m.room <= 16384, "tombstones do not make it grow");
	while ((it = map_next(&m, &at))) {
		good &= map_take(&m, key(it)) == it;
		it->in = false;
	}
	ok(good && m.n == 0 && agrees(&m), "taking the current key in a walk");
	(void)map_put(&m, key(&items[7]), &items[7]);
	ok(map_put(&m, key(&other), &other) == &items[7], "put gives the old value back");
	memset(items[7].key, 'x', 3);
	ok(map_get(&m, S("key-7")) == &other, "and borrows the new key");
	ok(!map_put(&m, S(""), &other) && map_get(&m, slice(NULL, 0)) == &other,
	    "the empty key is a key");
	map_fini(&m);
	return done();
}

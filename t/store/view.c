/* Which of the UIDs that were seen are gone? */
#include "store/view.h"
#include "../tap.h"

static const char *
text(struct buf *b)
{
	static char out[2][200];
	static int which;
	char *p = out[which ^= 1];
	size_t n = 0;

	*p = '\0';
	for (size_t i = 0; i < b->n / sizeof(struct store_range); i++) {
		struct store_range r;

		memcpy(&r, b->p + i * sizeof(r), sizeof(r));
		n += (size_t)snprintf(p + n, 200 - n, "%u:%u ", r.first, r.last);
	}
	buf_fini(b);
	return p;
}

static void
split(const char *what, const struct store_range *seen, size_t nseen, const struct store_range *now,
    size_t nnow, const char *gone, const char *left)
{
	struct buf g = { 0 }, l = { 0 };

	store_uids_split(seen, nseen, now, nnow, &g, &l);
	is(text(&g), gone, "%s: gone", what);
	is(text(&l), left, "%s: left", what);
}

#define R(...)                                                                                     \
	(const struct store_range[])                                                               \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}

int
main(void)
{
	struct store_change_cache cache = { 0 };
	struct store_changes *a, *b;

	split("nothing changed", R({ 1, 9 }), 1, R({ 1, 9 }), 1, "", "1:9 ");
	split("all", R({ 1, 3 }, { 7, 9 }), 2, R({ 0, 0 }), 0, "1:3 7:9 ", "");
	split("a hole", R({ 1, 9 }), 1, R({ 1, 3 }, { 5, 20 }), 2, "4:4 ", "1:3 5:9 ");
	split("both ends", R({ 2, 5 }, { 8, 9 }), 2, R({ 3, 4 }, { 9, 9 }), 2, "2:2 5:5 8:8 ",
	    "3:4 9:9 ");
	split("new ones do not count", R({ 1, 2 }), 1, R({ 1, 2 }, { 5, 9 }), 2, "", "1:2 ");
	split("the last UID", R({ UINT32_MAX - 1, UINT32_MAX }), 1, R({ UINT32_MAX, UINT32_MAX }),
	    1, "4294967294:4294967294 ", "4294967295:4294967295 ");

	a = store_changes_get(&cache, 7, 0, 10, 20);
	ok(store_changes_get(&cache, 7, 0, 15, 20) == a, "who knows more uses the same list");
	ok(store_changes_get(&cache, 7, 0, 9, 20) != a, "who knows less does not");
	ok(store_changes_get(&cache, 7, 0, 10, 21) != a, "nor who asks for another state");
	ok(store_changes_get(&cache, 7, 9, 10, 20) != a, "nor who has a \\Seen of his own");
	for (uint64_t k = 100; k < 100 + STORE_CHANGES_SLOTS; k++)
		b = store_changes_get(&cache, k, 0, 1, 2);
	ok(b->mailbox == 107 && store_changes_get(&cache, 100, 0, 1, 2)->mailbox == 100,
	    "the slot used longest ago goes");
	store_changes_fini(&cache);
	return done();
}

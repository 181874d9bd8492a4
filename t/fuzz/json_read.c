/* Fuzz: JSON.  What is taken, written and read again is the same; bounds are kept by what comes out. */
#include "base/must.h"
#include "json/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct json_bounds bounds = { .octets = 65536, .depth = 8, .values = 1000 };

static size_t
count(const struct json_t *v, uint32_t depth)
{
	struct json_walk w = { 0 };
	size_t sum = 1;

	must(json_count(v) == 0 || depth < bounds.depth);
	if (json_is(v, JSON_KIND_OBJECT))
		while (json_next(v, &w)) {
			must(json_find(v, w.name) == w.value);
			sum += count(w.value, depth + 1);
		}
	else
		for (size_t i = 0; i < json_count(v); i++)
			sum += count(json_at(v, i), depth + 1);
	return sum;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice all = slice((const char *)data, n);
	struct json_t *v, *again;
	struct buf b = { 0 };
	const char *why = NULL;
	/* Numbers and escapes may take more room when they are written. */
	struct json_bounds wide = { .octets = 40 * bounds.octets, .depth = 8, .values = 1000 };

	if (json_read(all, &bounds, &v, &why) < 0) {
		must(!v && why);
		return 0;
	}
	must(count(v, 0) <= bounds.values);
	json_write(&b, v);
	must(json_read(buf_get(&b), &wide, &again, &why) == 0);
	must(json_same(v, again));
	(void)json_point(v, all);
	json_free(&v);
	json_free(&again);
	buf_fini(&b);
	return 0;
}

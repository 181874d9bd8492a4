/* Fuzz: API requests.  One that is taken has as many calls as are allowed, each with a name, an object and an id; what is
 * refused says why; references lead to JSON, or nowhere. */
#include "base/must.h"
#include "jmap/id.h"
#include "jmap/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct jmap_request_limits limits = {
	.json = { .octets = 65536, .depth = 10, .values = 2000 },
	.calls = 8
};

static void
resolve(const struct json_t *args)
{
	static const struct json_bounds wide = { 4 << 20, 40, 400000 };
	struct jmap_result results[] = {
		{ S("Email/query"), S("a"),
		    S("{\"ids\":[\"M1\",\"M2\"],\"x\":[[1],[],[2,[3]],{}]}") },
		{ S("Email/get"), S("b"),
		    S("{\"list\":[{\"t\":\"T1\",\"~/\":{\"\":0}},{\"t\":null}]}") },
	};
	struct buf out = { 0 };
	struct json_t *v;
	const char *why = NULL;

	if (jmap_resolve(args, results, 2, &wide, &out, &why) < 0) {
		must(why);
	} else {
		must(json_read(buf_get(&out), &wide, &v, &why) == 0);
		must(json_count(v) == json_count(args) && !jmap_has_references(v));
		json_free(&v);
	}
	buf_fini(&out);
}

/* A name with two number signs is one with one, when it is resolved. */
static bool
doubled(const struct json_t *args)
{
	struct json_walk w = { 0 };

	while (json_next(args, &w))
		if (w.name.n > 1 && w.name.p[0] == '#' && w.name.p[1] == '#')
			return true;
	return false;
}

static void
ids(struct slice s)
{
	struct buf b = { 0 };
	int64_t at;
	uint64_t id = jmap_id_parse(s, JMAP_EMAIL);

	if (id) {
		jmap_id_write(&b, JMAP_EMAIL, id);
		must(slice_eq(buf_get(&b), s));
	}
	buf_clear(&b);
	if (jmap_account_id_parse(s, &b) == 0)
		must(b.n > 0);
	(void)jmap_date_parse(s, &at);
	(void)jmap_keyword_ok(s);
	buf_fini(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice all = slice((const char *)data, n);
	struct jmap_request r;
	struct jmap_problem p = { 0 };

	ids(all);
	if (jmap_request_parse(all, &limits, &r, &p)) {
		must(r.ncalls <= limits.calls);
		for (size_t i = 0; i < r.ncalls; i++) {
			must(r.calls[i].name.p && r.calls[i].id.p &&
			    json_is(r.calls[i].args, JSON_KIND_OBJECT));
			if (!doubled(r.calls[i].args))
				resolve(r.calls[i].args);
		}
	} else {
		must(p.type && *p.detail);
	}
	jmap_request_free(&r);
	return 0;
}

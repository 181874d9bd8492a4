/* Requests: what is one, what is wrong with others; references to results. */
#include "../tap.h"
#include <errno.h>
#include "jmap/request.h"

static const struct jmap_request_limits limits = {
	.json = { .octets = 1000, .depth = 6, .values = 100 },
	.calls = 2
};

static void
refused(const char *text, const char *type, const char *limit)
{
	struct jmap_request r;
	struct jmap_problem p;
	struct buf b = { 0 };

	ok(!jmap_request_parse(slice_str(text), &limits, &r, &p), "refused: %s", text);
	is(strrchr(p.type, ':') + 1, type, "as %s", type);
	is(p.limit ? p.limit : "", limit, "limit %s", limit);
	jmap_problem_write(&b, &p, 400);
	ok(strstr(buf_cstr(&b), "\"status\":400"), "a problem");
	buf_fini(&b);
	jmap_request_free(&r);
}

static void
resolved(const char *args, const struct jmap_result *results, size_t n, int want, const char *text)
{
	static const struct json_bounds bounds = { 10000, 20, 1000 };
	struct json_t *v;
	struct buf b = { 0 };
	const char *why = "";

	ok(json_read(slice_str(args), &bounds, &v, &why) == 0, "%s", args);
	eq(jmap_resolve(v, results, n, &bounds, &b, &why), want, "is resolved (%s)", why);
	if (want == 0)
		is(buf_cstr(&b), text, "to what it leads to");
	buf_fini(&b);
	json_free(&v);
}

#define REF(id, name, path) "{\"resultOf\":\"" id "\",\"name\":\"" name "\",\"path\":\"" path "\"}"

/* So many references in one call. */
static void
test_many(const struct jmap_result *r, unsigned n, int want)
{
	struct buf in = { 0 }, out = { 0 };

	for (unsigned i = 0; i < n; i++) {
		buf_printf(&in, "%s\"#r%u\":" REF("0", "Email/query", "/ids/1"), i ? "," : "{", i);
		buf_printf(&out, "%s\"r%u\":\"b\"", i ? "," : "{", i);
	}
	buf_char(&in, '}');
	buf_char(&out, '}');
	resolved(buf_cstr(&in), r, 3, want, buf_cstr(&out));
	buf_fini(&in);
	buf_fini(&out);
}

static void
test_references(void)
{
	/* The example of RFC 8620 3.7.1 */
	struct jmap_result r[] = {
		{ S("Email/query"), S("0"), S("{\"ids\":[\"a\",\"b\"],\"x\":[[1],[],[2,[3]]]}") },
		{ S("Email/get"), S("1"),
		    S("{\"list\":[{\"t\":\"t1\"},{\"t\":\"t2\"},{\"t\":\"t1\"}]}") },
		{ S("error"), S("0"), S("{\"type\":\"x\"}") },
	};

	resolved("{\"#ids\":" REF("0", "Email/query", "/ids") "}", r, 3, 0,
	    "{\"ids\":[\"a\",\"b\"]}");
	resolved("{\"p\":[1],\"#ids\":" REF("1", "Email/get", "/list/*/t") "}", r, 3, 0,
	    "{\"p\":[1],\"ids\":[\"t1\",\"t2\",\"t1\"]}");
	resolved("{\"#ids\":" REF("0", "Email/query", "/x/*") "}", r, 3, 0, "{\"ids\":[1,2,[3]]}");
	resolved("{\"#ids\":" REF("0", "Email/query", "/ids/1") "}", r, 3, 0, "{\"ids\":\"b\"}");
	resolved("{\"#ids\":" REF("0", "Email/query", "/ids/2") "}", r, 3, -EBADMSG, "");
	resolved("{\"#ids\":" REF("0", "Email/query", "ids") "}", r, 3, -EBADMSG, "");
	resolved("{\"#ids\":" REF("0", "Email/get", "/ids") "}", r, 3, -EBADMSG, "");
	resolved("{\"#ids\":" REF("2", "Email/get", "/ids") "}", r, 3, -EBADMSG, "");
	resolved("{\"#ids\":" REF("1", "Email/get", "/list/*/u") "}", r, 3, -EBADMSG, "");
	resolved("{\"#ids\":5}", r, 3, -EBADMSG, "");
	test_many(r, JMAP_REFERENCES, 0);
	test_many(r, JMAP_REFERENCES + 1, -EINVAL);
	resolved("{\"ids\":1,\"#ids\":" REF("0", "Email/query", "/ids") "}", r, 3, -EINVAL, "");
}

int
main(void)
{
	struct jmap_request r;
	struct jmap_problem p;
	struct slice good =
	    S("{\"using\":[\"urn:ietf:params:jmap:core\",\"urn:ietf:params:jmap:mail\"],"
	      "\"methodCalls\":[[\"A/b\",{\"x\":1},\"c\"]],\"createdIds\":{\"k\":\"M1\"}}");

	ok(jmap_request_parse(good, &limits, &r, &p), "a request");
	ok(r.using == (JMAP_CORE | JMAP_MAIL) && r.ncalls == 1 &&
		slice_eq(r.calls[0].name, S("A/b")) && slice_eq(r.calls[0].id, S("c")) &&
		json_count(r.calls[0].args) == 1 && json_count(r.created) == 1,
	    "has its parts");
	jmap_request_free(&r);
	refused("{", "notJSON", "");
	refused("{\"using\":[[[[[[[]]]]]]]}", "limit", "maxSizeRequest");
	refused("7", "notRequest", "");
	refused("{\"methodCalls\":[]}", "notRequest", "");
	refused("{\"using\":[7],\"methodCalls\":[]}", "notRequest", "");
	refused("{\"using\":[]}", "notRequest", "");
	refused("{\"using\":[\"urn:x\"],\"methodCalls\":[]}", "unknownCapability", "");
	refused("{\"using\":[],\"methodCalls\":[[\"a\",{},\"b\",1]]}", "notRequest", "");
	refused("{\"using\":[],\"methodCalls\":[[1,{},\"b\"]]}", "notRequest", "");
	refused("{\"using\":[],\"methodCalls\":[[\"a\",[],\"b\"]]}", "notRequest", "");
	refused("{\"using\":[],\"methodCalls\":[1,2,3]}", "limit", "maxCallsInRequest");
	refused("{\"using\":[],\"methodCalls\":[],\"createdIds\":[]}", "notRequest", "");
	test_references();
	return done();
}

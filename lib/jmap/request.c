/* request.c: what a client asks for, as a list of calls.  See request.h.
 *
 * Called by the daemon once for each POST.  Everything borrows from the tree.  A request that is refused
 * is refused whole, before the first call is looked at: nothing has happened then. */
#include "jmap/request.h"
#include <errno.h>
#include <stdio.h>
#include "base/mem.h"

const char *const jmap_capabilities[JMAP_CAPABILITIES] = {
	"urn:ietf:params:jmap:core",
	"urn:ietf:params:jmap:mail",
	"urn:ietf:params:jmap:submission",
	"urn:ietf:params:jmap:vacationresponse",
	"urn:ietf:params:jmap:quota",
	"urn:ietf:params:jmap:blob",
	"urn:tiermail:params:jmap:settings",
	"urn:ietf:params:jmap:sieve",
	"urn:ietf:params:jmap:contacts",
	"urn:ietf:params:jmap:mail:share",
};

#define ERROR "urn:ietf:params:jmap:error:"

static bool
request_refuse(struct jmap_problem *p, const char *type, const char *limit, const char *detail)
{
	*p = (struct jmap_problem){ .type = type, .limit = limit };
	(void)snprintf(p->detail, sizeof(p->detail), "%s", detail);
	return false;
}

static bool
request_not_request(struct jmap_problem *p, const char *detail)
{
	return request_refuse(p, ERROR "notRequest", NULL, detail);
}

static bool
request_read(struct slice text, const struct jmap_request_limits *limits, struct jmap_request *r,
    struct jmap_problem *p)
{
	const char *why;
	int rc = json_read(text, &limits->json, &r->tree, &why);

	/* Too many values, or in each other too deeply, is too large in another way. */
	if (rc == -E2BIG)
		return request_refuse(p, ERROR "limit", "maxSizeRequest", why);
	return rc == 0 || request_refuse(p, ERROR "notJSON", NULL, why);
}

static bool
request_using(struct jmap_request *r, struct jmap_problem *p)
{
	const struct json_t *using = json_find(r->tree, S("using"));
	char text[160];

	if (!json_is(using, JSON_KIND_ARRAY))
		return request_not_request(p, "using: an array of strings is needed");
	for (size_t i = 0; i < json_count(using); i++) {
		struct slice name = json_text(json_at(using, i));
		size_t k = 0;

		if (!name.p)
			return request_not_request(p, "using: an array of strings is needed");
		while (k < JMAP_CAPABILITIES && !slice_eq(name, slice_str(jmap_capabilities[k])))
			k++;
		if (k < JMAP_CAPABILITIES) {
			r->using |= 1u << k;
			continue;
		}
		(void)snprintf(text, sizeof(text), "using: " SFMT " is not known",
		    SARG(slice_sub(name, 0, 100)));
		return request_refuse(p, ERROR "unknownCapability", NULL, text);
	}
	return true;
}

static bool
request_call(const struct json_t *v, struct jmap_call *c, struct jmap_problem *p)
{
	if (!json_is(v, JSON_KIND_ARRAY) || json_count(v) != 3 ||
	    !json_get_str(json_at(v, 0), &c->name) || !json_is(json_at(v, 1), JSON_KIND_OBJECT) ||
	    !json_get_str(json_at(v, 2), &c->id))
		return request_not_request(p,
		    "methodCalls: a call is an array of a name, an object, and a string");
	c->args = json_at(v, 1);
	return true;
}

static bool
request_calls(struct jmap_request *r, const struct jmap_request_limits *limits,
    struct jmap_problem *p)
{
	const struct json_t *calls = json_find(r->tree, S("methodCalls"));

	if (!json_is(calls, JSON_KIND_ARRAY))
		return request_not_request(p, "methodCalls: an array is needed");
	if (json_count(calls) > limits->calls)
		return request_refuse(p, ERROR "limit", "maxCallsInRequest",
		    "too many method calls");
	r->ncalls = json_count(calls);
	r->calls = mem_array(r->ncalls + 1, sizeof(*r->calls));
	for (size_t i = 0; i < r->ncalls; i++)
		if (!request_call(json_at(calls, i), &r->calls[i], p))
			return false;
	return true;
}

static bool
request_created(struct jmap_request *r, struct jmap_problem *p)
{
	const struct json_t *created = json_find(r->tree, S("createdIds"));
	struct json_walk w = { 0 };

	if (json_none(created))
		return true;
	r->created = created;
	while (json_next(created, &w))
		if (!json_is(w.value, JSON_KIND_STR))
			return request_not_request(p, "createdIds: an object of ids is needed");
	return json_is(created, JSON_KIND_OBJECT) ||
	    request_not_request(p, "createdIds: an object of ids is needed");
}

bool
jmap_request_parse(struct slice text, const struct jmap_request_limits *limits,
    struct jmap_request *r, struct jmap_problem *p)
{
	*r = (struct jmap_request){ 0 };
	if (!request_read(text, limits, r, p))
		return false;
	if (!json_is(r->tree, JSON_KIND_OBJECT))
		return request_not_request(p, "an object is needed");
	return request_using(r, p) && request_calls(r, limits, p) && request_created(r, p);
}

void
jmap_request_free(struct jmap_request *r)
{
	json_free(&r->tree);
	mem_free(&r->calls);
	*r = (struct jmap_request){ 0 };
}

void
jmap_problem_write(struct buf *b, const struct jmap_problem *p, unsigned status)
{
	buf_char(b, '{');
	json_put_cstr(b, "type", p->type);
	json_put_i64(b, "status", status);
	json_put_cstr(b, "detail", p->detail);
	json_put_cstr(b, "limit", p->limit);
	buf_char(b, '}');
}

/* PATCH of SCIM on a list of thousands: what it may cost, and texts that are none. */
#include "base/must.h"
#include "scim/resource.h"
#include "../tap.h"

#define MEMBERS 18000
#define HEAD    "{\"schemas\":[\"" SCIM_URN_MESSAGES "PatchOp\"],\"Operations\":["

static struct arena memory;
static struct scim_resource group, user;

static bool
patch(struct scim_resource *r, struct slice text, struct scim_error *e)
{
	static const struct json_bounds bounds = { 1 << 20, 10, 100000 };
	struct json_t *v = NULL;
	const char *why;
	bool good;

	*e = (struct scim_error){ .status = 0 };
	must(json_read(text, &bounds, &v, &why) == 0);
	good = scim_patch(r, v, e);
	json_free(&v);
	return good;
}

/* `n` operations, each of one member that is not there or, `gone`, is taken away. */
static bool
many(unsigned n, bool gone, struct scim_error *e)
{
	struct scim_resource r;
	struct buf b = { 0 };
	bool good;

	scim_copy(&r, &group);
	buf_lit(&b, HEAD);
	for (unsigned i = 0; i < n; i++)
		buf_printf(&b,
		    "%s{\"op\":\"%s\",\"path\":\"members\",\"value\":[{\"value\":\"%s%u\"}]}",
		    i ? "," : "", gone ? "remove" : "add", gone ? "m" : "n", i);
	buf_lit(&b, "]}");
	good = patch(&r, buf_get(&b), e);
	ok(r.rows[SCIM_GROUP_MEMBERS].n <= SCIM_VALUES_MOST, "no more than there may be");
	buf_fini(&b);
	return good;
}

static void
costs(void)
{
	struct scim_error e;

	ok(many(100, false, &e), "a hundred operations add a member each: %s", e.text);
	ok(!many(900, false, &e) && e.status == 400 && !strcmp(e.type, "tooMany"),
	    "900 on so many are too much");
	ok(many(100, true, &e), "a hundred take one away each: %s", e.text);
	ok(!many(900, true, &e) && !strcmp(e.type, "tooMany"), "and 900 are too much");
}

static void
texts(void)
{
	struct scim_error e;

	ok(!patch(&user,
	       S(HEAD "{\"op\":\"replace\",\"path\":\"phoneNumbers[type eq \\\"work\\\"].value\","
		      "\"value\":\"1\\u00002\"}]}"),
	       &e) &&
		!strcmp(e.type, "invalidValue"),
	    "a text with a NUL is none");
	ok(patch(&user,
	       S(HEAD "{\"op\":\"replace\",\"path\":\"phoneNumbers[type eq \\\"work\\\"].value\","
		      "\"value\":\"12\"}]}"),
	       &e),
	    "one without is: %s", e.text);
}

int
main(void)
{
	struct scim_value *v;

	scim_resource_init(&group, &scim_group, &memory);
	scim_resource_init(&user, &scim_user, &memory);
	for (unsigned i = 0; i < MEMBERS; i++)
		scim_add(&group, SCIM_GROUP_MEMBERS)->value =
		    slice_str(arena_printf(&memory, "m%u", i));
	v = scim_add(&user, SCIM_USER_PHONES);
	v->value = S("1");
	v->type = S("work");
	costs();
	texts();
	arena_reset(&memory);
	return done();
}

/* Fuzz target: filters and paths of SCIM, and PATCH.  What is read is written and read again as the same; the rest is
 * refused with a reason.  Behind a NUL: the body of a PATCH to a user and to a group. */
#include "base/must.h"
#include "scim/resource.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
again(struct slice text, struct arena *a)
{
	const struct scim_filter *f, *g;
	struct buf one = { 0 }, two = { 0 };
	const char *why = NULL;

	if (scim_filter_parse(text, a, &f, &why) < 0) {
		must(why);
		return;
	}
	scim_filter_write(&one, f);
	/* Brackets that a text need not have may be more than there may be. */
	if (scim_filter_parse(buf_get(&one), a, &g, &why) == 0) {
		scim_filter_write(&two, g);
		must(slice_eq(buf_get(&one), buf_get(&two)));
	} else {
		must(slice_starts(slice_str(why), S("it has too many")) ||
		    slice_eq(slice_str(why), S("a ) is missing")));
	}
	buf_fini(&one);
	buf_fini(&two);
}

/* What is shown is JSON. */
static void
shown(const struct scim_resource *r)
{
	static const struct json_bounds bounds = { 1 << 20, 12, 100000 };
	struct scim_choice c = { .only = false };
	struct json_t *v = NULL;
	struct buf b = { 0 };
	const char *why;

	for (size_t i = 0; i < SCIM_ROWS; i++)
		c.subs[i] = ~0u;
	scim_write(&b, r, &c);
	must(json_read(buf_get(&b), &bounds, &v, &why) == 0);
	json_free(&v);
	buf_fini(&b);
}

static void
patches(struct slice text, const struct scim_schema *s, struct arena *a)
{
	static const struct json_bounds bounds = { 65536, 10, 2000 };
	struct scim_resource r, copy;
	struct scim_error e = { .status = 0 };
	struct json_t *v = NULL;
	const char *why;

	if (json_read(text, &bounds, &v, &why) < 0)
		return;
	scim_resource_init(&r, s, a);
	if (scim_read(&r, v, &e))
		shown(&r);
	scim_put(&r, SCIM_USER_ID, S("id"));
	scim_copy(&copy, &r);
	e.status = 0;
	if (!scim_patch(&copy, v, &e))
		must(e.status == 400);
	else
		shown(&copy);
	must(slice_eq(scim_get(&copy, SCIM_USER_ID), S("id")));
	json_free(&v);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice text = slice((const char *)data, n), filter = S("");
	const struct scim_filter *f;
	struct arena a = { 0 };
	struct scim_path path;
	const char *why;

	(void)slice_cut(&text, '\0', &filter);
	again(filter, &a);
	(void)!scim_target_parse(filter, &a, &path, &f, &why);
	(void)!scim_path_parse(filter, &path, &why);
	patches(text, &scim_user, &a);
	patches(text, &scim_group, &a);
	arena_reset(&a);
	return 0;
}

/* PatchObjects (RFC 8620 5.3). */
#include "../tap.h"
#include "jmap/patch.h"

#include <errno.h>

static struct buf out;
static struct arena arena;
static const struct json_bounds bounds = { 1 << 20, 64, 100000 };

static struct json_t *
read_json(const char *text)
{
	struct buf b = { 0 };
	struct json_t *v = NULL;
	const char *why;

	for (; *text; text++)
		buf_char(&b, *text == '\'' ? '"' : *text);
	if (json_read(buf_get(&b), &bounds, &v, &why) < 0)
		printf("# the test's own JSON: %s\n", why);
	buf_fini(&b);
	return v;
}

/* The patched object with ' for ", or what is wrong. */
static const char *
apply(const char *object, const char *patch)
{
	struct json_t *o = read_json(object), *v = read_json(patch);
	struct jmap_patch p;
	const char *why = "?";

	buf_clear(&out);
	arena_reset(&arena);
	if (jmap_patch_read(&p, v, &arena, &why) < 0 || jmap_patch_apply(&p, o, &out, &why) < 0)
		buf_printf(&out, "%s%s", out.n ? "SOMETHING AND " : "", why);
	json_free(&o);
	json_free(&v);
	for (size_t i = 0; i < out.n; i++)
		if (out.p[i] == '"')
			out.p[i] = '\'';
	return buf_cstr(&out);
}

#define BEGINS  "a path begins with another"
#define ARRAY   "a path leads into an array"
#define THROUGH "a path leads through what is not there"
#define POINTER "a path is no JSON pointer"

static const struct {
	const char *object, *patch, *want, *what;
	/* clang-format off */
} cases[] = {
	{ "{'a':1}", "{}", "{'a':1}", "nothing" },
	{ "{'a':1,'b':2}", "{'a':3}", "{'a':3,'b':2}", "a member" },
	{ "{'a':1}", "{'b':[1]}", "{'a':1,'b':[1]}", "a new one" },
	{ "{'a':1,'b':2}", "{'a':null}", "{'b':2}", "one that goes" },
	{ "{'a':1}", "{'b':null}", "{'a':1}", "one that was not there goes" },
	{ "{'keywords':{'$seen':true,'x':true}}", "{'keywords/$flagged':true,'keywords/$seen':null}", "{'keywords':{'x':true,'$flagged':true}}", "keywords" },
	{ "{'keywords':{'$seen':true}}", "{'keywords/$seen':null}", "{'keywords':{}}", "the last goes" },
	{ "{'mailboxIds':{'m1':true}}", "{'mailboxIds':{'m2':true}}", "{'mailboxIds':{'m2':true}}", "all of them" },
	{ "{'a':{'b':{'c':1,'d':2}}}", "{'a/b/c':{'e':3},'a/f':4}", "{'a':{'b':{'c':{'e':3},'d':2},'f':4}}", "deep" },
	{ "{'a/b':1,'c~d':2}", "{'a~1b':3,'c~0d':4}", "{'a/b':3,'c~d':4}", "escapes" },
	{ "{'':{'':1}}", "{'/':2}", "{'':{'':2}}", "names that are empty" },
	{ "{'':1}", "{'':2}", "{'':2}", "one that is empty" },
	{ "{'a':[1,2]}", "{'a':[3]}", "{'a':[3]}", "an array is replaced" },
	{ "{'a':null}", "{'a':1}", "{'a':1}", "null was there" },
	{ "{'b':{'x':1},'ba':1,'b!':1}", "{'b/x':2,'ba':2,'b!':2}", "{'b':{'x':2},'ba':2,'b!':2}", "names that begin alike" },
	{ "{'a':[1,2]}", "{'a/0':3}", ARRAY, "into an array" },
	{ "{'a':[{'b':1}]}", "{'a/0/b':3}", ARRAY, "through an array" },
	{ "{'a':1}", "{'a/b':3}", THROUGH, "through a number" },
	{ "{'a':null}", "{'a/b':3}", THROUGH, "through null" },
	{ "{}", "{'a/b':3}", THROUGH, "through nothing" },
	{ "{}", "{'a/b':null}", THROUGH, "through nothing, to nothing" },
	{ "{'x':1,'a':{}}", "{'x':2,'a/b/c':3}", THROUGH, "nothing of it is done" },
	{ "{'a':{'b':1}}", "{'a':{},'a/b':2}", BEGINS, "one begins with another" },
	{ "{'a':{'b':{'c':1}}}", "{'a/b/c':2,'a/b':{}}", BEGINS, "in the other order" },
	{ "{'a':{'b':1},'a!':1}", "{'a':{},'a!':2,'a/b':2}", BEGINS, "with one between them by their octets" },
	{ "{}", "{'a~':1}", POINTER, "half an escape" },
	{ "{}", "{'a~2':1}", POINTER, "no escape" },
	{ "{}", "[]", "a patch is an object", "no object" },
	{ "[]", "{}", "what is patched is no object", "nothing to patch" },
};
/* clang-format on */

int
main(void)
{
	struct json_t *v;
	struct jmap_patch p;
	struct buf deep = { 0 }, wide = { 0 };
	const char *why;

	for (size_t i = 0; i < NELEM(cases); i++)
		is(apply(cases[i].object, cases[i].patch), cases[i].want, "%s", cases[i].what);
	v = read_json("{'subject':1,'keywords/$seen':true}");
	ok(jmap_patch_read(&p, v, &arena, &why) == 0 && p.n == 2, "read");
	ok(p.path[0].n == 2 && slice_eq(p.path[0].token[1], S("$seen")) &&
		slice_eq(p.path[0].key, S("keywords/$seen")),
	    "a path's tokens");
	ok(jmap_patch_find(&p, S("subject")) && !jmap_patch_find(&p, S("keywords")), "found");
	json_free(&v);

	buf_lit(&deep, "{'");
	for (int i = 0; i <= JMAP_PATCH_DEPTH_MAX; i++)
		buf_lit(&deep, "a/");
	buf_lit(&deep, "':1}");
	is(apply("{}", buf_cstr(&deep)), "a path is too deep", "too deep");
	/* 10,000 members and 10,000 paths are no hundred million steps */
	buf_lit(&deep, "");
	buf_clear(&deep);
	for (int i = 0; i < 10000; i++) {
		buf_printf(&deep, "%s'k%d':true", i ? "," : "{'m':{", i);
		buf_printf(&wide, "%s'm/k%d':null", i ? "," : "{", i);
	}
	buf_lit(&deep, "}}");
	buf_lit(&wide, "}");
	is(apply(buf_cstr(&deep), buf_cstr(&wide)), "{'m':{}}", "many");
	buf_fini(&deep);
	buf_fini(&wide);
	buf_fini(&out);
	arena_reset(&arena);
	return done();
}

/* Filters and paths of SCIM: what is read, as it is written again; and what is none. */
#include "base/must.h"
#include "scim/filter.h"
#include "../tap.h"

static struct arena memory;

static void
reads(const char *text, const char *want)
{
	const struct scim_filter *f;
	const char *why = "";
	struct buf b = { 0 };

	if (scim_filter_parse(slice_str(text), &memory, &f, &why) < 0) {
		ok(false, "%s: %s", text, why);
		return;
	}
	scim_filter_write(&b, f);
	is(buf_cstr(&b), want, "%s", text);
	buf_fini(&b);
	arena_reset(&memory);
}

static void
refuses(const char *text, const char *want)
{
	const struct scim_filter *f;
	const char *why = "";

	ok(scim_filter_parse(slice_str(text), &memory, &f, &why) < 0 && strcmp(why, want) == 0,
	    "%s: %s (%s)", text, want, why);
	arena_reset(&memory);
}

static void
target(const char *text, const char *attribute, const char *sub, bool filter)
{
	const struct scim_filter *f;
	struct scim_path path;
	const char *why;

	if (!ok(scim_target_parse(slice_str(text), &memory, &path, &f, &why) == 0, "%s", text))
		return;
	ok(slice_eq(path.attribute, slice_str(attribute)) && slice_eq(path.sub, slice_str(sub)) &&
		!f == !filter,
	    "its parts");
	arena_reset(&memory);
}

static void
bounds(void)
{
	const struct scim_filter *f;
	const char *why;
	struct buf b = { 0 };

	for (int i = 0; i < SCIM_FILTER_TESTS + 1; i++)
		buf_str(&b, i ? " or a pr" : "a pr");
	refuses(buf_cstr(&b), "it has too many tests");
	buf_cut(&b, 8);
	ok(scim_filter_parse(buf_get(&b), &memory, &f, &why) == 0, "as many as may be");
	buf_clear(&b);
	for (int i = 0; i < SCIM_FILTER_DEPTH + 1; i++)
		buf_char(&b, '(');
	ok(scim_filter_parse(buf_get(&b), &memory, &f, &why) < 0 && !strncmp(why, "it has too", 10),
	    "brackets in each other");
	buf_fini(&b);
	arena_reset(&memory);
}

int
main(void)
{
	/* RFC 7644 3.4.2.2 */
	reads("userName eq \"bjensen\"", "userName eq \"bjensen\"");
	reads("name.familyName co \"O'Malley\"", "name.familyName co \"O'Malley\"");
	reads("urn:ietf:params:scim:schemas:core:2.0:User:userName sw \"J\"",
	    "urn:ietf:params:scim:schemas:core:2.0:User:userName sw \"J\"");
	reads("title pr", "title pr");
	reads("meta.lastModified gt \"2011-05-13T04:42:34Z\"",
	    "meta.lastModified gt \"2011-05-13T04:42:34Z\"");
	reads("title pr and userType eq \"Employee\"", "(title pr and userType eq \"Employee\")");
	reads("a pr or b pr and c pr", "(a pr or (b pr and c pr))");
	reads("userType eq \"E\" and (emails co \"e.com\" or emails.value co \"e.org\")",
	    "(userType eq \"E\" and (emails co \"e.com\" or emails.value co \"e.org\"))");
	reads("a ne \"E\" and not (b co \"x\" or c.d co \"y\")",
	    "(a ne \"E\" and not ((b co \"x\" or c.d co \"y\")))");
	reads("emails[type eq \"work\" and value co \"@e.com\"] or ims[type eq \"x\"]",
	    "(emails[(type eq \"work\" and value co \"@e.com\")] or ims[type eq \"x\"])");
	reads("A EQ true AND b Eq false oR c eq null", "((A eq true and b eq false) or c eq null)");
	reads("not eq 1", "not eq 1"); /* an attribute that is called so */
	reads("not(a pr)", "not (a pr)");
	reads("(a pr)", "a pr");
	reads("a eq -1.5e3", "a eq -1.5e3");
	reads("a eq \"q\\\"\\u00e9\\\\\"", "a eq \"q\\\"\303\251\\\\\"");
	reads("members.$ref pr", "members.$ref pr");
	reads("  a   eq   1  ", "a eq 1");
	refuses("", "a path is malformed");
	refuses("a", "one of eq ne co sw ew gt ge lt le pr is expected");
	refuses("a is 1", "one of eq ne co sw ew gt ge lt le pr is expected");
	refuses("a eq", "a value is a text in quotes, a number, true, false or null");
	refuses("a eq x", "a value is a text in quotes, a number, true, false or null");
	refuses("a eq \"x", "a text has no end");
	refuses("a pr b pr", "something stands behind its end");
	refuses("(a pr", "a ) is missing");
	refuses("a pr)", "something stands behind its end");
	refuses("e[a pr", "a ] is missing");
	refuses("e[f[a pr]]", "brackets cannot be there");
	refuses("1a pr", "a path is malformed");
	refuses("x:y:a pr", "a path is malformed");
	refuses("a.b.c pr", "a path is malformed");
	bounds();
	target("emails", "emails", "", false);
	target("name.familyName", "name", "familyName", false);
	target("emails[type eq \"work\"]", "emails", "", true);
	target("emails[type eq \"work\"].value", "emails", "value", true);
	return done();
}

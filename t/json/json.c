/* JSON that is read: what is taken, what is refused and why, bounds before the parser, pointers. */
#include "../tap.h"
#include <errno.h>
#include "base/json.h"
#include "json/json.h"

static const struct json_bounds bounds = { .octets = 4096, .depth = 4, .values = 40 };

static struct json_t *
read_or_null(const char *text, int *rc, const char **why)
{
	struct json_t *v;

	*why = "";
	*rc = json_read(slice_str(text), &bounds, &v, why);
	return v;
}

static void
taken(const char *text, const char *want)
{
	struct buf b = { 0 };
	const char *why;
	int rc;
	struct json_t *v = read_or_null(text, &rc, &why);

	if (ok(rc == 0 && v, "%s is taken", text)) {
		json_write(&b, v);
		is(buf_cstr(&b), want, "and is written");
	} else {
		printf("# %s\n", why);
	}
	buf_fini(&b);
	json_free(&v);
	ok(!v, "and forgotten");
}

static void
refused(const char *text, int want, const char *words)
{
	const char *why;
	int rc;
	struct json_t *v = read_or_null(text, &rc, &why);

	eq(rc, want, "refused: %s", text);
	ok(strstr(why, words), "because %s (%s)", words, why);
	json_free(&v);
}

static void
test_texts(void)
{
	taken("{}", "{}");
	taken(" [ 1 , -2 , 1.5 , true , null , \"x\" ] ", "[1,-2,1.5,true,null,\"x\"]");
	taken("7", "7");
	taken("9223372036854775807", "9223372036854775807");
	taken("{\"b\":1,\"a\":{\"\":2}}", "{\"b\":1,\"a\":{\"\":2}}");
	taken("\"\\ud83d\\ude00\\u0000\\/\"", "\"\xf0\x9f\x98\x80\\u0000/\"");
	taken("[[[[]]]]", "[[[[]]]]");
	taken("\"]]]}}}[[[[[[{{{{{,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,\\\"[[[[[\"",
	    "\"]]]}}}[[[[[[{{{{{,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,\\\"[[[[[\"");
	refused("", -EBADMSG, "");
	refused("{\"a\":1,\"a\":2}", -EBADMSG, "duplicate");
	refused("{\"a\":1,\"\\u0061\":2}", -EBADMSG, "duplicate");
	refused("[1,]", -EBADMSG, "");
	refused("[1] x", -EBADMSG, "end of file");
	refused("{a:1}", -EBADMSG, "");
	refused("[01]", -EBADMSG, "");
	refused("\"\\ud83d\"", -EBADMSG, "");
	refused("\"\xff\"", -EBADMSG, "decode byte");
	refused("\"\xc0\xaf\"", -EBADMSG, "decode byte");
	refused("\"\xed\xa0\x80\"", -EBADMSG, "decode byte");
	refused("99999999999999999999", -EBADMSG, "big");
	refused("NaN", -EBADMSG, "");
	refused("[[[[[]]]]]", -E2BIG, "deep");
	refused("[{\"a\":[{\"b\":[]}]}]", -E2BIG, "deep");
	refused("[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,"
		"0]",
	    -E2BIG, "values");
}

/* jansson recurses for each level: ours must say no before it does, whatever the rest is. */
static void
test_bounds(void)
{
	struct buf b = { 0 };
	struct json_t *v;
	const char *why = "";

	for (int i = 0; i < 3000; i++)
		buf_char(&b, '[');
	eq(json_read(buf_get(&b), &bounds, &v, &why), -E2BIG, "a staircase");
	while (b.n <= bounds.octets)
		buf_char(&b, ' ');
	eq(json_read(buf_get(&b), &bounds, &v, &why), -E2BIG, "a long text");
	is(why, "the text is too long", "says so");
	buf_fini(&b);
}

static void
test_asking(void)
{
	const char *why;
	int rc;
	struct json_t *v = read_or_null("{\"n\":12,\"big\":9007199254740992,\"r\":1.0,\"s\":"
					"\"a\\u0000b\",\"t\":true,\"z\":null,"
					"\"list\":[{\"id\":\"x\"},5],\"a/b\":{\"~\":3}}",
	    &rc, &why);
	struct json_walk w = { 0 };
	int64_t n = -1;
	bool yes = false;
	struct slice s = S("");
	size_t members = 0;

	ok(json_get_int(json_find(v, S("n")), 0, 12, &n) && n == 12, "a number in its range");
	ok(!json_get_int(json_find(v, S("n")), 0, 11, &n), "and beyond it");
	ok(!json_get_int(json_find(v, S("big")), 0, JSON_INT_MOST, &n), "more than 2^53-1");
	ok(!json_get_int(json_find(v, S("r")), 0, 5, &n), "1.0 is written as no whole number");
	ok(json_get_bool(json_find(v, S("t")), &yes) && yes, "a boolean");
	ok(!json_get_bool(json_find(v, S("z")), &yes), "null is none");
	ok(json_none(json_find(v, S("z"))) && json_none(json_find(v, S("q"))) &&
		!json_none(json_find(v, S("n"))),
	    "nothing and null");
	ok(json_get_str(json_find(v, S("s")), &s) && s.n == 3, "a text with a NUL");
	ok(!json_text(json_find(v, S("n"))).p, "a number is no text");
	eq(json_count(json_find(v, S("list"))), 2, "elements");
	eq(json_count(v), 8, "members");
	is(json_kind_name(json_at(json_find(v, S("list")), 0)), "an object", "a name of a kind");
	ok(!json_at(json_find(v, S("list")), 2) && !json_at(v, 0) && !json_find(NULL, S("x")),
	    "what is not there");
	while (json_next(v, &w))
		members += w.name.n > 0 && w.value;
	eq(members, 8, "a walk");
	is(json_text(json_point(v, S("/list/0/id"))).p, "x", "a pointer");
	ok(json_get_int(json_point(v, S("/a~1b/~0")), 3, 3, &n), "with escapes");
	ok(json_point(v, S("")) == v, "to the whole");
	ok(!json_point(v, S("/list/01")) && !json_point(v, S("/list/-")) &&
		!json_point(v, S("list")) && !json_point(v, S("/a~2b")) &&
		!json_point(v, S("/n/0")),
	    "that lead nowhere");
	json_free(&v);
}

static void
test_same(void)
{
	const char *why;
	int rc;
	struct json_t *a = read_or_null("{\"x\":1,\"y\":[true]}", &rc, &why);
	struct json_t *b = read_or_null("{\"y\":[true],\"x\":1}", &rc, &why);
	struct json_t *c = read_or_null("{\"y\":[false],\"x\":1}", &rc, &why);

	ok(json_same(a, b) && !json_same(a, c) && json_same(NULL, NULL) && !json_same(a, NULL),
	    "the same or not");
	json_free(&a);
	json_free(&b);
	json_free(&c);
}

int
main(void)
{
	test_texts();
	test_bounds();
	test_asking();
	test_same();
	return done();
}

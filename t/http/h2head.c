/* http/h2-head: what of a head of HTTP/2 can be said in HTTP/1.1, whatever has let it through before. */
#include "http/h2-impl.h"

#include "../tap.h"

static const struct http_bounds bounds = { .head = 400, .fields = 4 };
static struct h2_head head;

static void
begin(void)
{
	http_h2_head_fini(&head);
	head = (struct h2_head){ .length = HTTP_LENGTH_UNKNOWN };
}

static void
add_octets(const char *name, struct slice value)
{
	http_h2_head_add(&head, &bounds, slice_str(name), value, true);
}

static void
add(const char *name, const char *value)
{
	add_octets(name, slice_str(value));
}

/* A head that is good but for one more field. */
static bool
good_with(const char *name, struct slice value)
{
	begin();
	add(":method", "GET");
	add(":path", "/");
	add(":authority", "localhost");
	if (name)
		add_octets(name, value);
	return http_h2_head_good(&head) && !head.large;
}

static void
test_good(void)
{
	char text[80];

	ok(good_with(NULL, S("")), "method, path and host");
	ok(good_with("host", S("LOCALHOST")), "the same host once more");
	eq((int)head.fields.n, 0, "is no further field");
	begin();
	add(":method", "GET");
	add(":path", "/");
	ok(!http_h2_head_good(&head), "without a host it is none");
	add("host", "localhost");
	ok(http_h2_head_good(&head), "which the field may say");
	ok(good_with("content-length", S("12")) && head.length == 12, "a length");
	begin();
	add(":method", "POST");
	add(":scheme", "https");
	add("accept", "a/b");
	add("cookie", "c");
	eq((int)head.fields.n, 7 + 4 + 7 + 2, "fields");
	is(slice_cstr(slice(head.fields.p, 6), text, sizeof(text)), "accept", "as they came");
}

static void
test_bad(void)
{
	static const struct {
		const char *name;
		struct slice value;
	} bad[] = { { ":method", S("GET") }, { ":path", S("/") }, { ":authority", S("localhost") },
		{ "host", S("other") }, { "content-length", S("") }, { "content-length", S("-1") },
		{ "content-length", S("1,1") }, { "x", S("a\r\nb: c") }, { "x", S("a\nb") },
		{ "x", S("a\0b") }, { "x", S("\x7f") }, { "a b", S("c") }, { "", S("c") },
		{ "a\r\nb", S("c") } };
	static const struct slice words[] = { S(""), S("a b"), S("a\r\nb"), S("a\tb"), S("\0"),
		S("a\x7f") };
	static const char *const ours[] = { "connection", "keep-alive", "proxy-connection",
		"transfer-encoding", "upgrade", "te", "trailer", "expect" };
	static const char *const names[] = { ":method", ":path", ":authority" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ok(!good_with(bad[i].name, bad[i].value), "a field that is none, %zu", i);
	for (size_t k = 0; k < sizeof(names) / sizeof(*names); k++)
		for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
			begin();
			for (size_t n = 0; n < sizeof(names) / sizeof(*names); n++)
				if (n == k)
					add_octets(names[n], words[i]);
				else
					add(names[n], "x");
			ok(!http_h2_head_good(&head), "%s that is no word, %zu", names[k], i);
		}
	for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++) {
		ok(good_with(ours[i], S("x")), "%s is passed over", ours[i]);
		eq((int)head.fields.n, 0, "and not said");
	}
}

static void
test_bounds(void)
{
	char text[400];

	memset(text, 'x', sizeof(text));
	ok(!good_with("x", slice(text, sizeof(text))) && head.large, "too many octets");
	eq((int)head.fields.n, 0, "of which none is kept");
	ok(good_with("a", S("1")), "four fields beside the four of the request");
	for (int i = 0; i < 4; i++)
		add("b", "2");
	ok(!head.large, "are as many as may be");
	add("b", "2");
	ok(head.large, "and one more");
	begin();
	for (int i = 0; i < 20; i++)
		http_h2_head_add(&head, &bounds, S("x-trailer"), S("value"), false);
	ok(head.large && head.fields.n == 0, "a trailer counts, and is not kept");
	begin();
}

int
main(void)
{
	test_good();
	test_bad();
	test_bounds();
	return done();
}

/* What Email/set creates, Email/get gives: random Emails are composed, read and compared, property by
 * property.  The same Emails each time. */
#include "../tap.h"
#include "jmap/compose.h"
#include "jmap/email-write.h"

#define EMAILS 400

static const struct json_bounds bounds = { 4 << 20, 64, 100000 };
static const struct jmap_compose_facts facts = { 1796063400, 60, { "UNIQUE", 6 },
	{ "x.example", 9 } };
static uint64_t seed = 1;

static unsigned
below(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed % n);
}

static void
put_text(struct buf *b, unsigned most, bool lines)
{
	static const char *const words[] = { "a", "word",
		"Gr\xc3\xbc\xc3\x9f"
		"e",
		"\xe6\x97\xa5\xe6\x9c\xac", ".", "From", "=?utf-8?q?x?=", "\"", "\\\\", "<b>",
		"&amp;", "(x)", "a,b", "x@y", ":", ";", "\xf0\x9f\x98\x80", "=3D", "-- ",
		"1234567890123456789012345678901234567890123456789012345678901234567890" };
	struct buf text = { 0 };

	for (unsigned n = below(most) + 1; n > 0; n--) {
		buf_str(&text, words[below(NELEM(words))]);
		if (n > 1)
			buf_str(&text, lines && below(4) == 0 ? "\n" : " ");
	}
	json_str(b, lines ? buf_get(&text) : slice_trim(buf_get(&text)));
	buf_fini(&text);
}

static void
put_addresses(struct buf *b, const char *name)
{
	static const char *const emails[] = { "a@b.example", "first.last@x.example",
		"\\\"odd one\\\"@x.example", "p\xc3\xb6st@\xc3\xa4.example", "half",
		"a+b=c@[192.0.2.1]" };

	buf_printf(b, ",\"%s\":[", name);
	for (unsigned n = below(4) + 1; n > 0; n--) {
		buf_printf(b, "{\"email\":\"%s\",\"name\":", emails[below(NELEM(emails))]);
		if (below(3))
			put_text(b, 4, false);
		else
			buf_lit(b, "null");
		buf_str(b, n > 1 ? "}," : "}");
	}
	buf_char(b, ']');
}

static void
put_attachments(struct buf *b)
{
	static const char *const types[] = { "application/pdf", "image/png", "text/plain",
		"text/html", "message/rfc822", "application/octet-stream" };

	buf_lit(b, ",\"attachments\":[");
	for (unsigned n = below(4); n > 0; n--) {
		buf_printf(b, "{\"blobId\":\"Subject: %u\\r\\n\\r\\nx\\r\\n\",\"type\":\"%s\",", n,
		    types[below(NELEM(types))]);
		buf_lit(b, "\"disposition\":\"attachment\",\"name\":");
		put_text(b, 3, false);
		if (below(2))
			buf_printf(b,
			    ",\"cid\":\"c%u@x\",\"language\":[\"de\",\"en\"],\"location\":\"http://"
			    "x/%u\"",
			    n, n);
		buf_str(b, n > 1 ? "}," : "}");
	}
	buf_char(b, ']');
}

static void
put_email(struct buf *b)
{
	buf_lit(b, "{\"subject\":");
	put_text(b, 12, false);
	put_addresses(b, "from");
	put_addresses(b, "to");
	if (below(2))
		put_addresses(b, "bcc");
	buf_printf(b,
	    ",\"messageId\":[\"%u@x\"],\"references\":[\"1@x\",\"2@x\"],\"sentAt\":\"2026-11-%"
	    "02uT10:00:00+01:00\"",
	    below(1000), below(28) + 1);
	buf_lit(b, ",\"header:X-Text:asText\":");
	put_text(b, 5, false);
	put_attachments(b);
	if (below(4))
		buf_lit(b, ",\"textBody\":[{\"partId\":\"t\",\"type\":\"text/plain\"}]");
	if (below(4))
		buf_lit(b, ",\"htmlBody\":[{\"partId\":\"h\",\"type\":\"text/html\"}]");
	buf_lit(b, ",\"bodyValues\":{\"t\":{\"value\":");
	put_text(b, 60, true);
	buf_lit(b, "},\"h\":{\"value\":");
	put_text(b, 60, true);
	buf_lit(b, "}}}");
}

static ssize_t
blob_read(void *arg, size_t i, uint64_t at, struct buf *to)
{
	const struct jmap_compose *c = arg;
	struct slice rest = slice_from(c->blobs[i], at);

	buf_slice(to, rest);
	return (ssize_t)rest.n;
}

/* The Email of a message, as JSON. */
static struct json_t *
read_again(struct slice msg, struct arena *a)
{
	static const char args[] = "{\"properties\":[\"subject\",\"from\",\"to\",\"bcc\","
				   "\"messageId\",\"references\",\"sentAt\","
				   "\"header:X-Text:asText\",\"textBody\",\"htmlBody\","
				   "\"attachments\",\"bodyValues\"],\"fetchAllBodyValues\":true}";
	struct json_t *v = NULL;
	struct jmap_email_want w;
	struct jmap_structure s;
	struct jmap_email e;
	struct buf out = { 0 };
	struct mime m;
	const char *why = "";

	if (json_read(slice_str(args), &bounds, &v, &why) < 0 ||
	    jmap_email_want_read(v, false, a, &w, &why) < 0)
		printf("# the test's own arguments: %s\n", why);
	mime_parse(msg, a, &m);
	jmap_structure_make(&m, a, &s);
	buf_char(&out, '{');
	jmap_email_start(&e, &w, mime_header(&m, m.root), &s, S("M"), true);
	while (jmap_email_next(&e, &out))
		;
	jmap_email_end(&e);
	buf_char(&out, '}');
	json_free(&v);
	if (json_read(buf_get(&out), &bounds, &v, &why) < 0)
		printf("# what was written: %s\n", why);
	buf_fini(&out);
	return v;
}

static bool
same(const struct json_t *a, const struct json_t *b, const char *name)
{
	const struct json_t *x = json_find(a, slice_str(name)), *y = json_find(b, slice_str(name));
	bool good = (json_none(x) && json_none(y)) || json_same(x, y);
	struct buf text = { 0 };

	if (!good) {
		buf_printf(&text, "# %s: ", name);
		json_write(&text, x);
		buf_lit(&text, "\n# and  ");
		json_write(&text, y);
		printf("%s\n", buf_cstr(&text));
	}
	buf_fini(&text);
	return good;
}

/* The text of a body's only part: a last line end may have come when it is the whole message. */
static bool
same_body(const struct json_t *in, const struct json_t *back, const char *list, const char *id,
    bool alone)
{
	const struct json_t *part = json_at(json_find(back, slice_str(list)), 0);
	struct slice want = json_text(
	    json_find(json_find(json_find(in, S("bodyValues")), slice_str(id)), S("value")));
	struct slice got = json_text(json_find(json_find(json_find(back, S("bodyValues")),
						   json_text(json_find(part, S("partId")))),
	    S("value")));

	if (alone && got.n == want.n + 1 && slice_ends(got, S("\n")))
		got.n--;
	if (!slice_eq(got, want))
		printf("# %s: " SFMT "\n# and " SFMT "\n", list, SARG(want), SARG(got));
	return slice_eq(got, want);
}

static bool
same_email(const struct json_t *in, const struct json_t *back)
{
	static const char *const fields[] = { "subject", "from", "to", "bcc", "messageId",
		"references", "sentAt", "header:X-Text:asText" };
	static const char *const parts[] = { "type", "name", "disposition", "cid", "language",
		"location" };
	const struct json_t *want = json_find(in, S("attachments")),
			    *got = json_find(back, S("attachments"));
	bool text = json_find(in, S("textBody")), html = json_find(in, S("htmlBody"));
	bool alone = !(text && html) && json_count(want) == 0;
	bool good = json_count(want) == json_count(got);

	for (size_t i = 0; i < NELEM(fields); i++)
		good = same(in, back, fields[i]) && good;
	for (size_t i = 0; i < json_count(want); i++)
		for (size_t k = 0; k < NELEM(parts); k++)
			good = same(json_at(want, i), json_at(got, i), parts[k]) && good;
	if (text)
		good = same_body(in, back, "textBody", "t", alone) && good;
	if (html)
		good = same_body(in, back, "htmlBody", "h", alone) && good;
	return good;
}

int
main(void)
{
	unsigned good = 0;

	for (unsigned i = 0; i < EMAILS; i++) {
		struct arena a = { 0 };
		struct buf json = { 0 }, msg = { 0 };
		struct json_t *in = NULL, *back;
		struct jmap_compose c;
		struct jmap_compose_blobs blobs = { blob_read, &c };
		const char *why = "";

		put_email(&json);
		if (json_read(buf_get(&json), &bounds, &in, &why) < 0)
			printf("# the test's own JSON: %s\n", why);
		if (jmap_compose_read(&c, in, &facts, &a) < 0)
			printf("# " SFMT ": %s\n", SARG(c.wrong[0].path), c.wrong[0].why);
		else
			while (jmap_compose_next(&c, &blobs, &msg) == 1)
				;
		jmap_compose_end(&c);
		back = read_again(buf_get(&msg), &a);
		if (same_email(in, back))
			good++;
		else if (good == i) /* the first that is not */
			printf("# Email %u:\n# %s\n%s\n", i, buf_cstr(&json), buf_cstr(&msg));
		json_free(&in);
		json_free(&back);
		buf_fini(&json);
		buf_fini(&msg);
		arena_reset(&a);
	}
	eq(good, EMAILS, "Emails that come back as they were given");
	return done();
}

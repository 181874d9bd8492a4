/* Fuzz: an Email of any bytes.  What comes out is JSON, a name comes once, values are no longer than they
 * may be; the first byte says which values are wanted and how long. */
#include "base/must.h"
#include "base/utf8.h"
#include "jmap/email-write.h"
#include "jmap/snippet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct json_bounds args_bounds = { 4096, 8, 100 };
static const struct json_bounds bounds = { 1 << 30, 1000, 1 << 26 };
static const char args[] = "{\"properties\":[\"headers\",\"from\",\"header:Subject:asText:all\","
			   "\"header:X-A:asGroupedAddresses\","
			   "\"header:X-A:asMessageIds\",\"header:X-A:asDate:all\",\"header:X-A:"
			   "asURLs\",\"header:X-A:asText\","
			   "\"header:X-A\",\"bodyStructure\",\"textBody\",\"htmlBody\","
			   "\"attachments\",\"bodyValues\",\"preview\","
			   "\"hasAttachment\"],\"bodyProperties\":[\"partId\",\"blobId\",\"size\","
			   "\"name\",\"type\",\"charset\","
			   "\"disposition\",\"cid\",\"language\",\"location\",\"headers\","
			   "\"subParts\",\"header:X-A:asText:all\"]}";

static void
check_values(const struct json_t *values, const struct jmap_email_want *w)
{
	struct json_walk v = { 0 };
	bool cut;

	while (json_next(values, &v)) {
		struct slice text = json_text(json_find(v.value, S("value")));

		must(utf8_valid(text) && json_get_bool(json_find(v.value, S("isTruncated")), &cut));
		must(w->value_most == 0 ? !cut : text.n <= w->value_most);
	}
}

static void
check_snippets(const struct jmap_structure *s, struct slice header, struct arena *a)
{
	struct jmap_terms t = { 0 };
	struct buf out = { 0 };

	jmap_terms_add(&t, slice_sub(header, 0, 100), a);
	must(t.n <= JMAP_TERMS_MAX);
	for (struct jmap_snippet_body b = { s, &t, 0, 0 }; jmap_snippet_body_next(&b, &out);)
		must(out.n == 0);
	must(out.n <= 6 * JMAP_SNIPPET_MAX);
	buf_clear(&out);
	jmap_snippet_subject(&out, jmap_text(header, a), &t);
	must(out.n > 0);
	buf_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena a = { 0 };
	struct json_t *v = NULL;
	struct jmap_email_want w;
	struct jmap_structure s;
	struct jmap_email e;
	struct buf out = { 0 };
	struct mime m;
	const char *why;

	if (n == 0)
		return 0;
	must(json_read(slice_str(args), &args_bounds, &v, &why) == 0);
	must(jmap_email_want_read(v, false, &a, &w, &why) == 0);
	w.fetch_text = data[0] & 1;
	w.fetch_html = data[0] & 2;
	w.fetch_all = data[0] & 4;
	w.value_most = data[0] >> 3;
	mime_parse(slice((const char *)data + 1, n - 1), &a, &m);
	jmap_structure_make(&m, &a, &s);
	buf_char(&out, '{');
	jmap_email_start(&e, &w, mime_header(&m, m.root), &s, S("M"), true);
	while (jmap_email_next(&e, &out))
		;
	jmap_email_end(&e);
	buf_char(&out, '}');
	json_free(&v);
	must(json_read(buf_get(&out), &bounds, &v, &why) == 0);
	check_values(json_find(v, S("bodyValues")), &w);
	check_snippets(&s, mime_header(&m, m.root), &a);
	json_free(&v);
	buf_fini(&out);
	arena_reset(&a);
	return 0;
}

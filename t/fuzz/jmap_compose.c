/* Fuzz: a message of any Email that a client may create, and patches of it.  What is refused says why; what
 * is written are lines of CRLF that are not too long, a header without controls, and MIME that is read. */
#include "base/must.h"
#include "base/utf8.h"
#include "jmap/compose.h"
#include "jmap/patch.h"
#include "mail/header.h"
#include "mail/mime.h"

#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct json_bounds bounds = { 1 << 16, 40, 2000 };
static const struct jmap_compose_facts facts = { 1796063400, 0, { "UNIQUE", 6 },
	{ "x.example", 9 } };

/* Blobs are empty, so that all of the message is ours. */
static ssize_t
blob_read(void *arg, size_t i, uint64_t at, struct buf *to)
{
	(void)arg;
	(void)i;
	(void)at;
	(void)to;
	return 0;
}

static void
check_message(struct slice msg, struct arena *a)
{
	struct slice rest = msg, line;
	struct header_field f;
	struct mime m;

	must(slice_ends(msg, S("\r\n")));
	while (slice_cut(&rest, '\n', &line)) {
		must(line.n <= 999 && slice_find(line, '\r') == line.n - 1);
		must(slice_find(line, '\0') == line.n);
	}
	mime_parse(msg, a, &m);
	rest = mime_header(&m, m.root);
	must(header_find(rest, S("Date"), &f) && header_find(rest, S("Message-ID"), &f) &&
	    header_find(rest, S("MIME-Version"), &f));
	while (header_next(&rest, &f))
		must(f.name.n > 0);
}

static void
check_compose(const struct json_t *v, struct arena *a)
{
	struct jmap_compose c;
	struct jmap_compose_blobs blobs = { blob_read, NULL };
	struct buf out = { 0 };
	int r = jmap_compose_read(&c, v, &facts, a);

	must((r < 0) == (c.nwrong > 0));
	for (size_t i = 0; i < c.nwrong; i++)
		must(c.wrong[i].why);
	if (r == 0) {
		while ((r = jmap_compose_next(&c, &blobs, &out)) > 0)
			;
		must(r == 0);
		check_message(buf_get(&out), a);
	}
	jmap_compose_end(&c);
	buf_fini(&out);
}

static void
check_patch(const struct json_t *v, struct arena *a)
{
	struct jmap_patch p;
	struct json_t *back = NULL;
	struct buf out = { 0 };
	const char *why = NULL;

	if (jmap_patch_read(&p, json_at(v, 1), a, &why) < 0 ||
	    jmap_patch_apply(&p, json_at(v, 0), &out, &why) < 0) {
		must(why && out.n == 0);
	} else {
		must(json_read(buf_get(&out), &bounds, &back, &why) == 0 || out.n > 60000);
		for (size_t i = 0; i < p.n && back; i++)
			must(p.path[i].n > 1 || json_none(p.path[i].value) ||
			    json_same(json_find(back, p.path[i].token[0]), p.path[i].value));
		json_free(&back);
	}
	buf_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena a = { 0 };
	struct json_t *v = NULL;
	const char *why;

	if (json_read(slice((const char *)data, n), &bounds, &v, &why) < 0)
		return 0;
	check_compose(v, &a);
	if (json_is(v, JSON_KIND_ARRAY))
		check_patch(v, &a);
	json_free(&v);
	arena_reset(&a);
	return 0;
}

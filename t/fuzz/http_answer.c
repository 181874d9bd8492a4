/* Fuzz: answers, however they are cut.  What a reader says of octets and of their end does not depend on the
 * pieces that they come in; bodies are slices of the input; no answer without a body has one. */
#include "base/must.h"
#include "http/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct http_bounds bounds = { .head = 2048,
	.target = 1,
	.fields = 16,
	.body = UINT64_MAX };

/* False: it is over. */
static bool
say(struct buf *out, struct http_reader *r, enum http_ev ev, struct slice all)
{
	const struct http_head *h = &r->head;

	switch (ev) {
	case HTTP_EV_DRY: return false;
	case HTTP_EV_HEAD:
		must(h->code >= 100 && h->code != 101 && h->nfields <= bounds.fields);
		buf_printf(out, "%u %llu %d\n", h->code, (unsigned long long)h->length, h->keep);
		return true;
	case HTTP_EV_BYTES:
		must(r->bytes.n > 0 && r->bytes.p >= all.p &&
		    r->bytes.p + r->bytes.n <= all.p + all.n);
		must(h->code >= 200 && h->code != 204 && h->code != 304 && !r->bare);
		buf_slice(out, r->bytes);
		return true;
	case HTTP_EV_END: buf_lit(out, "\nEND\n"); return true;
	case HTTP_EV_BAD: break;
	}
	must(r->status >= 400 && r->why);
	buf_printf(out, "\nBAD %u\n", r->status);
	return false;
}

static void
play(struct slice all, size_t step, bool head, struct buf *out)
{
	struct http_reader r;
	enum http_ev ev = HTTP_EV_DRY;

	http_reader_init_answers(&r, &bounds);
	r.bare = head;
	for (size_t at = 0; at < all.n && ev != HTTP_EV_BAD; at += step) {
		struct slice in = slice_sub(all, at, step), whole = in;

		do
			ev = http_reader_next(&r, &in);
		while (say(out, &r, ev, whole));
	}
	if (ev != HTTP_EV_BAD)
		(void)say(out, &r, http_reader_eof(&r), S(""));
	http_reader_fini(&r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	/* The first byte says how the rest is cut, and to what it is the answer. */
	size_t step = n > 0 ? data[0] % 32 + 1u : 1;
	bool head = n > 0 && data[0] >= 128;
	struct slice all = n > 0 ? slice((const char *)data + 1, n - 1) : S("");
	struct buf whole = { 0 }, cut = { 0 };

	play(all, all.n + 1, head, &whole);
	play(all, step, head, &cut);
	must(slice_eq(buf_get(&whole), buf_get(&cut)));
	buf_fini(&whole);
	buf_fini(&cut);
	return 0;
}

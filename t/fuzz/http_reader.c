/* Fuzz: requests, however they are cut.  What a reader says of octets does not depend on the pieces that
 * they come in; bodies are slices of the input; bounds are kept; and whatever was taken for a request,
 * written again, is taken for the same one. */
#include "base/must.h"
#include "http/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct http_bounds bounds = { .head = 2048,
	.target = 256,
	.fields = 16,
	.body = 4096 };

static void
say_head(struct buf *b, const struct http_head *h)
{
	must(h->nfields <= bounds.fields && h->target.n <= bounds.target && h->target.n > 0);
	must(h->http10 || h->host.n > 0);
	buf_printf(b, "%s " SFMT " HTTP/1.%d\r\n", h->method.p, SARG(h->target), !h->http10);
	for (size_t i = 0; i < h->nfields; i++) {
		must(h->fields[i].name.n > 0 &&
		    !memchr(h->fields[i].value.p, '\n', h->fields[i].value.n));
		buf_slice(b, h->fields[i].name);
		buf_lit(b, ":");
		buf_slice(b, h->fields[i].value);
		buf_lit(b, "\r\n");
	}
	buf_lit(b, "\r\n");
}

static void
say_piece(struct buf *b, struct slice piece, struct slice all)
{
	must(piece.n > 0 && piece.p >= all.p && piece.p + piece.n <= all.p + all.n);
	buf_slice(b, piece);
}

/* All that was said of the octets; *heads (may be NULL) gets the first head as it is written again. */
static void
play(struct slice all, size_t step, struct buf *out, struct buf *first)
{
	struct http_reader r;
	enum http_ev ev = HTTP_EV_DRY;
	uint64_t body = 0;

	http_reader_init(&r, &bounds);
	for (size_t at = 0; at < all.n && ev != HTTP_EV_BAD; at += step) {
		struct slice in = slice_sub(all, at, step), whole = in;

		while ((ev = http_reader_next(&r, &in)) != HTTP_EV_DRY && ev != HTTP_EV_BAD) {
			if (ev == HTTP_EV_HEAD) {
				say_head(out, &r.head);
				if (first && first->n == 0)
					say_head(first, &r.head);
				body = 0;
			} else if (ev == HTTP_EV_BYTES) {
				body += r.bytes.n;
				must(body <= bounds.body);
				say_piece(out, r.bytes, whole);
			} else {
				buf_lit(out, "\nEND\n");
			}
		}
	}
	if (ev == HTTP_EV_BAD) {
		must(r.status >= 400 && r.why);
		buf_printf(out, "\nBAD %u\n", r.status);
	}
	http_reader_fini(&r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	/* The first byte says how the rest is cut. */
	size_t step = n > 0 ? data[0] % 32 + 1u : 1;
	struct slice all = n > 0 ? slice((const char *)data + 1, n - 1) : S("");
	struct buf whole = { 0 }, cut = { 0 }, first = { 0 }, again = { 0 };

	play(all, all.n + 1, &whole, &first);
	play(all, step, &cut, NULL);
	must(slice_eq(buf_get(&whole), buf_get(&cut)));
	if (first.n) {
		play(buf_get(&first), first.n, &again, NULL);
		must(slice_starts(buf_get(&again), buf_get(&first)));
	}
	buf_fini(&whole);
	buf_fini(&cut);
	buf_fini(&first);
	buf_fini(&again);
	return 0;
}

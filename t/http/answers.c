/* Answers as octets: what is read of each, and what is refused; all of it at once, octet by octet, and cut in two
 * at every place.  What two programs might take for answers of different lengths is refused, as in requests. */
#include "base/arena.h"
#include "http/reader.h"
#include "../tap.h"

static const struct http_bounds bounds = { .head = 1024,
	.target = 1,
	.fields = 10,
	.body = UINT64_MAX };

/* ---- what a reader says of an input, and of its end --------------------------------------------------- */

static void
say_head(struct buf *b, const struct http_head *h)
{
	buf_printf(b, "%u%s%s", h->code, h->http10 ? " 1.0" : "", h->keep ? "" : " close");
	if (h->length == HTTP_LENGTH_UNKNOWN)
		buf_lit(b, " open");
	else if (h->length)
		buf_printf(b, " %llu", (unsigned long long)h->length);
	buf_char(b, ' ');
}

/* True while there may be more. */
static bool
say(struct buf *b, struct http_reader *r, enum http_ev ev, bool *in_body)
{
	if (ev != HTTP_EV_BYTES && ev != HTTP_EV_DRY && *in_body) {
		buf_lit(b, "> ");
		*in_body = false;
	}
	switch (ev) {
	case HTTP_EV_DRY: return false;
	case HTTP_EV_HEAD: say_head(b, &r->head); return true;
	case HTTP_EV_BYTES:
		if (!*in_body)
			buf_char(b, '<');
		*in_body = true;
		buf_slice(b, r->bytes);
		return true;
	case HTTP_EV_END: buf_lit(b, "end "); return true;
	case HTTP_EV_BAD: break;
	}
	buf_printf(b, "%u", r->status);
	return false;
}

/* Pieces end at `cut`, or are of one octet each (cut 0); then the connection ends. */
static bool strays;

static void
play(struct buf *b, struct slice all, size_t cut, bool head)
{
	struct http_reader r;
	bool in_body = false;
	enum http_ev ev = HTTP_EV_DRY;

	buf_clear(b);
	http_reader_init_answers(&r, &bounds);
	r.strays = strays;
	r.bare = head;
	for (size_t at = 0, n; at < all.n && ev != HTTP_EV_BAD; at += n) {
		/* In memory of its own, so that a sanitizer sees who keeps a pointer to it. */
		struct arena a = { 0 };
		struct slice in;

		n = cut == 0 ? 1 : at < cut ? cut : all.n - at;
		n = n > all.n - at ? all.n - at : n;
		in = arena_slice(&a, slice_sub(all, at, n));
		do
			ev = http_reader_next(&r, &in);
		while (say(b, &r, ev, &in_body));
		arena_reset(&a);
	}
	if (ev != HTTP_EV_BAD)
		(void)say(b, &r, http_reader_eof(&r), &in_body);
	http_reader_fini(&r);
}

static void
check(const char *name, struct slice all, bool head, const char *want)
{
	struct buf b = { 0 };
	bool good = true;

	play(&b, all, all.n, head);
	is(buf_cstr(&b), want, "%s: at once", name);
	play(&b, all, 0, head);
	is(buf_cstr(&b), want, "%s: octet by octet", name);
	for (size_t cut = 1; cut < all.n && good; cut++) {
		play(&b, all, cut, head);
		good = slice_eq(buf_get(&b), slice_str(want));
		if (!good)
			printf("# cut at %zu: %s\n", cut, buf_cstr(&b));
	}
	ok(good, "%s: cut anywhere", name);
	buf_fini(&b);
}

#define CHECK(name, text, want) check(name, S(text), false, want)
#define OK                      "HTTP/1.1 200 OK\r\n"

static void
test_good(void)
{
	CHECK("length", OK "Content-Length: 2\r\n\r\nhi", "200 2 <hi> end ");
	CHECK("two", OK "Content-Length: 1\r\n\r\naHTTP/1.1 204 No\r\n\r\n",
	    "200 1 <a> end 204 end ");
	CHECK("chunks", OK "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
	    "200 open <a> end ");
	CHECK("to the end", OK "\r\nabc", "200 close open <abc> end ");
	CHECK("close", OK "Connection: close\r\nContent-Length: 0\r\n\r\n", "200 close end ");
	CHECK("1.0", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", "200 1.0 close 1 <a> end ");
	CHECK("no reason", "HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n", "404 end ");
	CHECK("interim", "HTTP/1.1 100 Continue\r\n\r\n" OK "Content-Length: 1\r\n\r\na",
	    "100 end 200 1 <a> end ");
	CHECK("304 has no body",
	    "HTTP/1.1 304 Not\r\nContent-Length: 9\r\n\r\n" OK "Content-Length: 0\r\n\r\n",
	    "304 9 end 200 end ");
	check("nor an answer to HEAD", S(OK "Content-Length: 9\r\n\r\n"), true, "200 9 end ");
	check("nor one in chunks", S(OK "Transfer-Encoding: chunked\r\n\r\n"), true, "200 end ");
	CHECK("nothing", "", "");
}

static void
test_bad(void)
{
	CHECK("two lengths", OK "Content-Length: 1\r\nContent-Length: 1\r\n\r\na", "502");
	CHECK("length and chunks",
	    OK "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "502");
	CHECK("a coding", OK "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "502");
	CHECK("a coding to the end", OK "Transfer-Encoding: gzip\r\n\r\nx", "502");
	CHECK("chunks in 1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	    "502");
	strays = true;
	CHECK("204 with a length that is borne", "HTTP/1.1 204 No\r\nContent-Length: 1\r\n\r\n",
	    "204 close end ");
	CHECK("... which a coding is not", "HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n",
	    "502");
	CHECK("... nor with another code", "HTTP/1.1 100 Go\r\nContent-Length: 1\r\n\r\n", "502");
	strays = false;
	CHECK("204 with a body", "HTTP/1.1 204 No\r\nContent-Length: 1\r\n\r\na", "502");
	CHECK("another protocol",
	    "HTTP/1.1 101 Switch\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "502");
	CHECK("a folded line", OK "X: a\r\n b\r\n\r\n", "502");
	CHECK("a line with LF alone", OK "X: a\nContent-Length: 0\r\n\r\n", "502");
	CHECK("cut in the head", OK "Content-Le", "502");
	CHECK("cut in the body", OK "Content-Length: 3\r\n\r\nab", "200 3 <ab> 502");
	CHECK("cut in chunks", OK "Transfer-Encoding: chunked\r\n\r\n3\r\nab", "200 open <ab> 502");
	CHECK("cut before the last chunk", OK "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
	    "200 open <a> 502");
}

int
main(void)
{
	test_good();
	test_bad();
	return done();
}

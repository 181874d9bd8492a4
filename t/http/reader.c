/* Requests as octets: what is read of each, and what is refused; all of it at once, octet by octet, and
 * cut in two at every place.  The smuggling set is here: each case is one that some program has taken
 * for two requests, or for another request, than its neighbour did. */
#include "base/arena.h"
#include "http/reader.h"
#include "../tap.h"

static const struct http_bounds bounds = { .head = 1024,
	.target = 100,
	.fields = 10,
	.body = 1000 };

/* ---- what a reader says of an input ------------------------------------------------------------ */

static void
say_head(struct buf *b, const struct http_head *h)
{
	buf_printf(b, SFMT " " SFMT, SARG(h->method), SARG(h->path));
	if (h->query.p)
		buf_printf(b, "?" SFMT, SARG(h->query));
	buf_printf(b, " " SFMT "%s%s%s", SARG(h->host), h->http10 ? " 1.0" : "",
	    h->keep ? "" : " close", h->expects ? " expects" : "");
	if (h->length == HTTP_LENGTH_UNKNOWN)
		buf_lit(b, " chunked");
	else if (h->length)
		buf_printf(b, " %llu", (unsigned long long)h->length);
	for (size_t i = 0; i < h->nfields; i++)
		if (slice_istarts(h->fields[i].name, S("X")))
			buf_printf(b, " " SFMT "=[" SFMT "]", SARG(h->fields[i].name),
			    SARG(h->fields[i].value));
}

/* True while there may be more. */
static bool
say(struct buf *b, struct http_reader *r, enum http_ev ev, bool *in_body)
{
	if (ev != HTTP_EV_BYTES && *in_body) {
		buf_lit(b, "> ");
		*in_body = false;
	}
	switch (ev) {
	case HTTP_EV_DRY: return false;
	case HTTP_EV_HEAD:
		say_head(b, &r->head);
		buf_char(b, ' ');
		return true;
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

/* Pieces end at `cut`, or are of one octet each (cut 0). */
static void
play(struct buf *b, struct slice all, size_t cut)
{
	struct http_reader r;
	bool in_body = false, bad = false;

	buf_clear(b);
	http_reader_init(&r, &bounds);
	for (size_t at = 0, n; at < all.n && !bad; at += n) {
		/* In memory of its own, so that a sanitizer sees who keeps a pointer to it. */
		struct arena a = { 0 };
		struct slice in;
		enum http_ev ev;

		n = cut == 0 ? 1 : at < cut ? cut : all.n - at;
		n = n > all.n - at ? all.n - at : n;
		in = arena_slice(&a, slice_sub(all, at, n));
		do
			ev = http_reader_next(&r, &in);
		while (ev == HTTP_EV_BYTES ? (say(b, &r, ev, &in_body), true) :
					     ev != HTTP_EV_DRY && say(b, &r, ev, &in_body));
		bad = ev == HTTP_EV_BAD;
		arena_reset(&a);
	}
	if (in_body)
		buf_char(b, '>');
	if (http_reader_busy(&r) && !bad && !slice_ends(buf_get(b), S("end ")))
		buf_lit(b, "...");
	http_reader_fini(&r);
}

static void
check(const char *name, struct slice all, const char *want)
{
	struct buf b = { 0 };
	bool good;

	play(&b, all, all.n);
	is(buf_cstr(&b), want, "%s: at once", name);
	play(&b, all, 0);
	is(buf_cstr(&b), want, "%s: octet by octet", name);
	good = true;
	for (size_t cut = 1; cut < all.n && good; cut++) {
		play(&b, all, cut);
		if (!slice_eq(buf_get(&b), slice_str(want))) {
			good = false;
			printf("# cut at %zu: %s\n", cut, buf_cstr(&b));
		}
	}
	ok(good, "%s: cut anywhere", name);
	buf_fini(&b);
}

#define CHECK(name, text, want) check(name, S(text), want)
#define H                       "Host: h\r\n"

static void
test_good(void)
{
	CHECK("GET", "GET / HTTP/1.1\r\n" H "\r\n", "GET / h end ");
	CHECK("query", "GET /a/b?x=1&y=? HTTP/1.1\r\n" H "\r\n", "GET /a/b?x=1&y=? h end ");
	CHECK("fields", "GET / HTTP/1.1\r\nX-A:1\r\n" H "X-B: \t two words \t\r\nX-C:\r\n\r\n",
	    "GET / h X-A=[1] X-B=[two words] X-C=[] end ");
	CHECK("bytes above 127", "GET / HTTP/1.1\r\n" H "X: \xc3\xa4\r\n\r\n",
	    "GET / h X=[\xc3\xa4] end ");
	CHECK("length", "POST /p HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello",
	    "POST /p h 5 <hello> end ");
	CHECK("length 0", "POST /p HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", "POST /p h end ");
	CHECK("chunks",
	    "PUT /p HTTP/1.1\r\n" H
	    "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n",
	    "PUT /p h chunked <hello0123456789> end ");
	CHECK("no chunk", "PUT /p HTTP/1.1\r\n" H "Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
	    "PUT /p h chunked end ");
	CHECK("trailer",
	    "PUT /p HTTP/1.1\r\n" H
	    "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-T: 1\r\nHost: other\r\n\r\n",
	    "PUT /p h chunked <x> end ");
	CHECK("extension",
	    "PUT /p HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1;a=b\r\nx\r\n0\r\n\r\n",
	    "PUT /p h chunked <x> end ");
	CHECK("pipelined",
	    "GET /1 HTTP/1.1\r\n" H "\r\nPOST /2 HTTP/1.1\r\n" H
	    "Content-Length: 2\r\n\r\nabGET /3 HTTP/1.1\r\n" H "\r\n",
	    "GET /1 h end POST /2 h 2 <ab> end GET /3 h end ");
	CHECK("chunks, then another",
	    "PUT /1 HTTP/1.1\r\n" H
	    "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\nGET /2 HTTP/1.1\r\n" H "\r\n",
	    "PUT /1 h chunked <ab> end GET /2 h end ");
	CHECK("empty line first", "\r\nGET / HTTP/1.1\r\n" H "\r\n", "GET / h end ");
	CHECK("1.0", "GET / HTTP/1.0\r\n\r\n", "GET /  1.0 close end ");
	CHECK("1.0 that stays", "GET / HTTP/1.0\r\n" H "Connection: keep-alive\r\n\r\n",
	    "GET / h 1.0 end ");
	CHECK("close", "GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n", "GET / h close end ");
	CHECK("options", "OPTIONS * HTTP/1.1\r\n" H "\r\n", "OPTIONS * h end ");
	CHECK("upgrade is passed over",
	    "GET / HTTP/1.1\r\n" H
	    "Connection: upgrade\r\nUpgrade: websocket\r\n\r\nGET /2 HTTP/1.1\r\n" H "\r\n",
	    "GET / h end GET /2 h end ");
	CHECK("expect", "PUT / HTTP/1.1\r\n" H "Content-Length: 1\r\nExpect: 100-Continue\r\n\r\nx",
	    "PUT / h expects 1 <x> end ");
	CHECK("host with port", "GET / HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n\r\n",
	    "GET / [2001:db8::1]:8080 end ");
	CHECK("half a head", "GET / HTTP/1.1\r\nHo", "...");
	CHECK("half a body", "POST / HTTP/1.1\r\n" H "Content-Length: 9\r\n\r\nabc",
	    "POST / h 9 <abc>...");
}

/* What two programs may read differently: refused, and nothing of it is a second request. */
static void
test_smuggling(void)
{
	/* A length and a coding. */
	CHECK("CL.TE",
	    "POST / HTTP/1.1\r\n" H
	    "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
	    "400");
	CHECK("TE.CL",
	    "POST / HTTP/1.1\r\n" H
	    "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n1\r\nZ\r\n0\r\n\r\n",
	    "400");
	CHECK("two lengths",
	    "POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxy", "400");
	CHECK("the same twice",
	    "POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", "400");
	CHECK("a list of lengths", "POST / HTTP/1.1\r\n" H "Content-Length: 1, 1\r\n\r\nx", "400");
	CHECK("signed length", "POST / HTTP/1.1\r\n" H "Content-Length: +1\r\n\r\nx", "400");
	CHECK("negative length", "POST / HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\nx", "400");
	CHECK("hexadecimal length", "POST / HTTP/1.1\r\n" H "Content-Length: 0x1\r\n\r\nx", "400");
	CHECK("blank within", "POST / HTTP/1.1\r\n" H "Content-Length: 1 0\r\n\r\nx", "400");
	CHECK("empty length", "POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\nx", "400");
	CHECK("length over 64 bits",
	    "POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551617\r\n\r\nx", "400");
	/* Codings. */
	CHECK("chunked is not last",
	    "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", "400");
	CHECK("chunked twice",
	    "POST / HTTP/1.1\r\n" H
	    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	    "400");
	CHECK("another behind it",
	    "POST / HTTP/1.1\r\n" H
	    "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
	    "400");
	CHECK("gzip, chunked",
	    "POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "501");
	CHECK("quoted", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
	    "501");
	CHECK("xchunked", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
	    "501");
	CHECK("chunked in 1.0",
	    "POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400");
	CHECK("vertical tab",
	    "POST / HTTP/1.1\r\n" H "Transfer-Encoding: \x0b"
	    "chunked\r\n\r\n0\r\n\r\n",
	    "400");
	/* Names. */
	CHECK("blank before the colon", "POST / HTTP/1.1\r\n" H "Content-Length : 1\r\n\r\nx",
	    "400");
	CHECK("blank in a name", "GET / HTTP/1.1\r\n" H "X Y: 1\r\n\r\n", "400");
	CHECK("no name", "GET / HTTP/1.1\r\n" H ": 1\r\n\r\n", "400");
	CHECK("no colon", "GET / HTTP/1.1\r\n" H "Xyz\r\n\r\n", "400");
	CHECK("NUL in a name", "GET / HTTP/1.1\r\n" H "X\0Y: 1\r\n\r\n", "400");
	CHECK("NUL in a value",
	    "GET / HTTP/1.1\r\n" H "X: 1\0"
	    "2\r\n\r\n",
	    "400");
	/* Line ends. */
	CHECK("LF alone", "GET / HTTP/1.1\n" H "\r\n", "400");
	CHECK("LF behind a field", "GET / HTTP/1.1\r\nHost: h\nX: 1\r\n\r\n", "400");
	CHECK("LF for the empty line", "GET / HTTP/1.1\r\n" H "\n", "400");
	CHECK("CR alone", "GET / HTTP/1.1\r\n" H "X: 1\rContent-Length: 5\r\n\r\nabcde", "400");
	CHECK("CR CR LF", "GET / HTTP/1.1\r\n" H "X: 1\r\r\n\r\n", "400");
	CHECK("CR and another than LF at the end",
	    "GET / HTTP/1.1\r\n" H "\r\rGET /2 HTTP/1.1\r\n" H "\r\n", "400");
	CHECK("the end with X for LF", "GET / HTTP/1.1\r\n" H "\r\n\rX", "GET / h end 501");
	CHECK("folded line", "GET / HTTP/1.1\r\n" H "X: 1\r\n 2\r\n\r\n", "400");
	CHECK("folded by a tab", "GET / HTTP/1.1\r\n" H "X: 1\r\n\t2\r\n\r\n", "400");
	CHECK("folded before it begins", "GET / HTTP/1.1\r\n" H "X:\r\n 1\r\n\r\n", "400");
	CHECK("folded to nothing", "GET / HTTP/1.1\r\n" H "X: 1\r\n \r\n\r\n", "400");
	CHECK("folded coding",
	    "POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", "400");
	CHECK("folded length", "POST / HTTP/1.1\r\n" H "Content-Length:\r\n 1\r\n\r\nx", "400");
	CHECK("blank before the first field", "GET / HTTP/1.1\r\n " H "\r\n", "400");
	CHECK("length behind a blank", "POST / HTTP/1.1\r\n" H " Content-Length: 5\r\n\r\nhello",
	    "400");
	/* Host. */
	CHECK("no Host", "GET / HTTP/1.1\r\nX: 1\r\n\r\n", "400");
	CHECK("two Hosts", "GET / HTTP/1.1\r\n" H "Host: other\r\n\r\n", "400");
	CHECK("the same Host twice", "GET / HTTP/1.1\r\n" H H "\r\n", "400");
	CHECK("two Hosts in 1.0", "GET / HTTP/1.0\r\n" H "host: i\r\n\r\n", "400");
	CHECK("empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "400");
	CHECK("Host with a user", "GET / HTTP/1.1\r\nHost: a@h\r\n\r\n", "400");
	CHECK("Host with a path", "GET / HTTP/1.1\r\nHost: h/x\r\n\r\n", "400");
	CHECK("Host that is a list", "GET / HTTP/1.1\r\nHost: h, i\r\n\r\n", "400");
	/* Targets. */
	CHECK("absolute form", "GET http://h/ HTTP/1.1\r\n" H "\r\n", "400");
	CHECK("authority", "CONNECT h:1 HTTP/1.1\r\n" H "\r\n", "501");
	CHECK("asterisk", "GET * HTTP/1.1\r\n" H "\r\n", "400");
	CHECK("fragment", "GET /#x HTTP/1.1\r\n" H "\r\n", "400");
	CHECK("no path", "GET x HTTP/1.1\r\n" H "\r\n", "400");
	CHECK("blank in a target", "GET /a b HTTP/1.1\r\n" H "\r\n", "400");
	/* Versions and methods. */
	CHECK("0.9", "GET /\r\n\r\n", "400");
	CHECK("1.2", "GET / HTTP/1.2\r\n" H "\r\n", "505");
	CHECK("2.0", "GET / HTTP/2.0\r\n" H "\r\n", "505");
	CHECK("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505");
	CHECK("RTSP", "GET / RTSP/1.0\r\n" H "\r\n", "400");
	CHECK("ICE", "SOURCE / ICE/1.0\r\n" H "\r\n", "400");
	CHECK("small letters", "get / HTTP/1.1\r\n" H "\r\n", "501");
	CHECK("an unknown method", "FROB / HTTP/1.1\r\n" H "\r\n", "501");
	CHECK("TLS", "\x16\x03\x01\x02\x00\x01\x00", "501");
	CHECK("expectation", "PUT / HTTP/1.1\r\n" H "Content-Length: 1\r\nExpect: beer\r\n\r\n",
	    "417");
}

#define CHUNKED "PUT / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"

static void
test_chunks(void)
{
	CHECK("size that is none", CHUNKED "x\r\n", "PUT / h chunked 400");
	CHECK("negative size", CHUNKED "-1\r\nx\r\n0\r\n\r\n", "PUT / h chunked 400");
	CHECK("0x", CHUNKED "0x1\r\nx\r\n0\r\n\r\n", "PUT / h chunked 400");
	CHECK("no size", CHUNKED "\r\nx\r\n0\r\n\r\n", "PUT / h chunked 400");
	CHECK("blank behind the size", CHUNKED "1 \r\nx\r\n0\r\n\r\n", "PUT / h chunked 400");
	CHECK("size over 64 bits", CHUNKED "10000000000000001\r\nx\r\n", "PUT / h chunked 400");
	CHECK("size over the bound", CHUNKED "3e9\r\nx", "PUT / h chunked 413");
	CHECK("chunks over the bound", CHUNKED "1\r\nx\r\n3e8\r\n", "PUT / h chunked <x> 413");
	CHECK("LF behind a size", CHUNKED "1\nx\r\n0\r\n\r\n", "PUT / h chunked 400");
	CHECK("CR behind a size", CHUNKED "1\rx\r\n0\r\n\r\n", "PUT / h chunked 400");
	CHECK("chunk too long for its size", CHUNKED "1\r\nxy\r\n0\r\n\r\n",
	    "PUT / h chunked <x> 400");
	CHECK("LF behind a chunk", CHUNKED "1\r\nx\n0\r\n\r\n", "PUT / h chunked <x> 400");
	CHECK("CR behind a chunk", CHUNKED "1\r\nx\r0\r\n\r\n", "PUT / h chunked <x> 400");
	CHECK("folded trailer", CHUNKED "0\r\nX: 1\r\n 2\r\n\r\n", "PUT / h chunked 400");
	CHECK("LF in a trailer", CHUNKED "0\r\nX: 1\n\r\n", "PUT / h chunked 400");
	CHECK("length in a trailer",
	    CHUNKED "0\r\nContent-Length: 5\r\n\r\nGET /2 HTTP/1.1\r\n" H "\r\n",
	    "PUT / h chunked end GET /2 h end ");
	CHECK("coding in a trailer", CHUNKED "0\r\nTransfer-Encoding: chunked\r\n\r\n",
	    "PUT / h chunked 400");
	CHECK("CR for the end of a trailer", CHUNKED "0\r\n\rX", "PUT / h chunked 400");
	CHECK("half a chunk", CHUNKED "5\r\nab", "PUT / h chunked <ab>...");
}

/* `n` times. */
static void
times(struct buf *b, unsigned n, const char *text)
{
	while (n-- > 0)
		buf_str(b, text);
}

static void
test_bounds(void)
{
	struct buf b = { 0 };

	times(&b, 1, "GET / HTTP/1.1\r\n" H);
	times(&b, 9, "X: 1\r\n");
	times(&b, 1, "\r\n");
	check("ten fields", buf_get(&b),
	    "GET / h X=[1] X=[1] X=[1] X=[1] X=[1] X=[1] X=[1] X=[1] X=[1] end ");
	buf_clear(&b);
	times(&b, 1, "GET / HTTP/1.1\r\n" H);
	times(&b, 10, "X: 1\r\n");
	times(&b, 1, "\r\n");
	check("eleven fields", buf_get(&b), "431");
	buf_clear(&b);
	times(&b, 1, "GET /");
	times(&b, 100, "a");
	times(&b, 1, " HTTP/1.1\r\n" H "\r\n");
	check("a target of 101 octets", buf_get(&b), "414");
	buf_clear(&b);
	times(&b, 1, "GET / HTTP/1.1\r\n" H "X: ");
	times(&b, 1024, "a");
	check("a field without an end", buf_get(&b), "431");
	buf_clear(&b);
	times(&b, 1025, "\r\n");
	check("empty lines without an end", buf_get(&b), "431");
	buf_clear(&b);
	times(&b, 1, CHUNKED "0\r\nX: ");
	times(&b, 1024, "a");
	check("a trailer without an end", buf_get(&b), "PUT / h chunked 431");
	buf_clear(&b);
	times(&b, 1, CHUNKED "0\r\n");
	times(&b, 11, "X: 1\r\n");
	check("eleven fields in a trailer", buf_get(&b), "PUT / h chunked 431");
	CHECK("a length over the bound", "PUT / HTTP/1.1\r\n" H "Content-Length: 1001\r\n\r\nx",
	    "PUT / h 1001 413");
	CHECK("a length of the bound", "PUT / HTTP/1.1\r\n" H "Content-Length: 1000\r\n\r\nx",
	    "PUT / h 1000 <x>...");
	buf_fini(&b);
}

/* Framing without content costs a reader time and nobody else anything: octets are counted.  Too long
 * for all cuts. */
static void
test_overhead(void)
{
	struct buf b = { 0 }, got = { 0 };

	times(&b, 1, CHUNKED "1;");
	times(&b, 20000, "a");
	play(&got, buf_get(&b), b.n);
	is(buf_cstr(&got), "PUT / h chunked 400", "an extension without an end");
	buf_clear(&b);
	times(&b, 1, CHUNKED);
	times(&b, 20000, "0");
	play(&got, buf_get(&b), b.n);
	is(buf_cstr(&got), "PUT / h chunked 400", "a size of zeros without an end");
	buf_clear(&b);
	times(&b, 1, CHUNKED);
	times(&b, 900, "1\r\nx\r\n");
	times(&b, 1, "0\r\n\r\n");
	play(&got, buf_get(&b), 0);
	ok(slice_ends(buf_get(&got), S("xx> end ")), "chunks of one octet are taken");
	buf_fini(&b);
	buf_fini(&got);
}

/* The same reader is of use again, and keeps no memory. */
static void
test_idle(void)
{
	struct http_reader r;
	struct slice in = S("GET / HTTP/1.1\r\n" H "\r\n");

	http_reader_init(&r, &bounds);
	ok(!http_reader_busy(&r), "new: idle");
	ok(http_reader_next(&r, &in) == HTTP_EV_HEAD && http_reader_busy(&r), "a head");
	ok(slice_eq(http_head_value(&r.head, S("HOST")), S("h")),
	    "fields are found by name, in any case");
	ok(!http_head_find(&r.head, S("Hos")), "and by the whole name");
	ok(http_reader_next(&r, &in) == HTTP_EV_END, "the end, without more input");
	ok(http_reader_next(&r, &in) == HTTP_EV_DRY && !http_reader_busy(&r), "idle again");
	ok(!r.text.p && !r.head.fields, "without memory");
	http_reader_fini(&r);
}

int
main(void)
{
	test_good();
	test_smuggling();
	test_chunks();
	test_bounds();
	test_overhead();
	test_idle();
	return done();
}

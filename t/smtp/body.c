/* The body reader: dot-stuffing, line ends, limits, chunks, and the smuggling matrix; each case
 * fed at once and byte by byte. */
#include "base/buf.h"
#include "smtp/body.h"
#include "../tap.h"

static struct buf got;

static void
emit(void *arg, struct slice s)
{
	(void)arg;
	buf_slice(&got, s);
}

struct outcome {
	size_t used; /* bytes of the input that belonged to the message */
	bool end;
	enum smtp_fault fault;
};

/* DATA: feeds `in` in pieces of `step` (0 = at once). */
static struct outcome
data(struct slice in, size_t step, bool normalise, uint32_t line_max, uint64_t size_max)
{
	struct smtp_body b = { .normalise = normalise,
		.line_max = line_max,
		.size_max = size_max,
		.emit = emit };
	struct outcome o = { 0 };

	smtp_body_begin(&b);
	buf_clear(&got);
	while (o.used < in.n && !o.end)
		o.used += smtp_body_feed(&b, slice_sub(in, o.used, step ? step : in.n), &o.end);
	o.fault = b.fault;
	if (o.fault == SMTP_FAULT_NONE && b.size != got.n)
		o.used = 99999;
	return o;
}

/* BDAT: one chunk for each byte (step 1), or one chunk. */
static enum smtp_fault
bdat(struct slice in, size_t step, bool normalise, uint64_t size_max)
{
	struct smtp_body b = { .bdat = true,
		.normalise = normalise,
		.size_max = size_max,
		.emit = emit };
	bool end = false;

	smtp_body_begin(&b);
	buf_clear(&got);
	for (size_t at = 0; at < in.n; at += step ? step : in.n) {
		struct slice piece = slice_sub(in, at, step ? step : in.n);

		b.chunk = piece.n;
		/* What stands behind the chunk must not be looked at. */
		if (smtp_body_feed(&b, slice(piece.p, in.n - at), &end) != piece.n || !end)
			return SMTP_FAULT_LONG;
	}
	smtp_body_finish(&b);
	return b.fault;
}

static void
good(const char *what, struct slice in, const char *want)
{
	for (size_t step = 0; step < 4; step++) {
		struct outcome o = data(in, step, false, 998, 0);

		ok(o.end && o.used == in.n && o.fault == SMTP_FAULT_NONE, "%s, step %zu: ends",
		    what, step);
		is(buf_cstr(&got), want, "%s, step %zu: content", what, step);
	}
}

static void
test_dots(void)
{
	good("plain", S("a\r\nb\r\n.\r\n"), "a\r\nb\r\n");
	good("empty", S(".\r\n"), "");
	good("stuffed", S("..a\r\n...\r\n..\r\nx.\r\n.\r\n"), ".a\r\n..\r\n.\r\nx.\r\n");
	good("sloppy dot", S(".a\r\n.\r\n"), "a\r\n");
	good("blank lines", S("\r\n\r\n.\r\n"), "\r\n\r\n");

	struct outcome o = data(S("a\r\n.\r\nQUIT\r\n"), 0, false, 0, 0);
	eq(o.used, 6, "what follows the end stays");
}

static void
fault_is(const char *what, struct slice in, bool normalise, uint32_t line, uint64_t size,
    enum smtp_fault want)
{
	for (size_t step = 0; step < 4; step++) {
		struct outcome o = data(in, step, normalise, line, size);

		ok(o.end && o.used == in.n, "%s, step %zu: read to the end", what, step);
		eq(o.fault, want, "%s, step %zu: fault", what, step);
	}
}

static void
test_limits(void)
{
	fault_is("line at the limit", S("12345\r\n.\r\n"), false, 5, 0, SMTP_FAULT_NONE);
	fault_is("line above", S("1234\r\n123456\r\n.\r\n"), false, 5, 0, SMTP_FAULT_LONG);
	fault_is("dot does not count", S("..2345\r\n.\r\n"), false, 5, 0, SMTP_FAULT_NONE);
	fault_is("size at the limit", S("12345\r\n.\r\n"), false, 0, 7, SMTP_FAULT_NONE);
	fault_is("size above", S("12345\r\n.\r\n"), false, 0, 6, SMTP_FAULT_SIZE);
	fault_is("NUL", slice("a\0b\r\n.\r\n", 8), false, 0, 0, SMTP_FAULT_NUL);
	fault_is("NUL normalised", slice("a\0b\r\n.\r\n", 8), true, 0, 0, SMTP_FAULT_NUL);
	fault_is("first fault counts", S("a\nb\rc\r\n.\r\n"), false, 0, 0, SMTP_FAULT_BARE_LF);
}

/* The matrix: each must not end the data, must be refused, and the pipelined second transaction
 * behind it must stay part of the first message. */
static const struct {
	const char *name;
	struct slice mark;
	enum smtp_fault fault;
	const char *normal; /* what stands for the mark when normalised */
} matrix[] = {
	{ "LF.LF", { "\n.\n", 3 }, SMTP_FAULT_BARE_LF, "\r\n\r\n" },
	{ "LF.CRLF", { "\n.\r\n", 4 }, SMTP_FAULT_BARE_LF, "\r\n\r\n" },
	{ "CRLF.LF", { "\r\n.\n", 4 }, SMTP_FAULT_BARE_LF, "\r\n\r\n" },
	{ "CR.CR", { "\r.\r", 3 }, SMTP_FAULT_BARE_CR, " . " },
	{ "CRLF.CR", { "\r\n.\r", 4 }, SMTP_FAULT_BARE_CR, "\r\n " },
	{ "CR.CRLF", { "\r.\r\n", 4 }, SMTP_FAULT_BARE_CR, " .\r\n" },
	{ "LFLF.CRLF", { "\n\n.\r\n", 5 }, SMTP_FAULT_BARE_LF, "\r\n\r\n\r\n" },
	{ "CRLF NUL.CRLF", { "\r\n\0.\r\n", 6 }, SMTP_FAULT_NUL, NULL },
	{ "CRLF.NUL CRLF", { "\r\n.\0\r\n", 6 }, SMTP_FAULT_NUL, NULL },
	{ "CRCRLF.CRLF", { "\r\r\n.\n", 5 }, SMTP_FAULT_BARE_CR, " \r\n\r\n" },
	{ "header CR", { "a: b\rc: d\r\n", 11 }, SMTP_FAULT_BARE_CR, "a: b c: d\r\n" },
	{ "header NUL", { "a: b\0c\r\n", 8 }, SMTP_FAULT_NUL, NULL },
};
#define SECOND "MAIL FROM:<evil@a.test>\r\nRCPT TO:<b@c.test>\r\nDATA\r\nx: y\r\n"

static void
test_smuggling(void)
{
	struct buf in = { 0 }, want = { 0 };

	for (size_t i = 0; i < NELEM(matrix); i++) {
		buf_clear(&in);
		buf_str(&in, "s: 1\r\n\r\nfirst");
		buf_slice(&in, matrix[i].mark);
		buf_str(&in, SECOND ".\r\n");
		fault_is(matrix[i].name, buf_get(&in), false, 0, 0, matrix[i].fault);
		if (!matrix[i].normal) {
			fault_is(matrix[i].name, buf_get(&in), true, 0, 0, matrix[i].fault);
			continue;
		}
		buf_clear(&want);
		buf_printf(&want, "s: 1\r\n\r\nfirst%s%s", matrix[i].normal, SECOND);
		for (size_t step = 0; step < 4; step++) {
			struct outcome o = data(buf_get(&in), step, true, 0, 0);

			ok(o.end && o.used == in.n && !o.fault,
			    "%s normalised, step %zu: one message", matrix[i].name, step);
			is(buf_cstr(&got), buf_cstr(&want), "%s normalised, step %zu: content",
			    matrix[i].name, step);
		}
	}
	buf_fini(&in);
	buf_fini(&want);
}

/* The same marks in chunks: no end to find, and never a bare CR or LF let out. */
static void
test_bdat(void)
{
	struct buf in = { 0 };

	for (size_t i = 0; i < NELEM(matrix); i++) {
		buf_clear(&in);
		buf_str(&in, "first");
		buf_slice(&in, matrix[i].mark);
		buf_str(&in, SECOND);
		for (size_t step = 0; step < 3; step++) {
			enum smtp_fault f = bdat(buf_get(&in), step, false, 0);

			eq(f, matrix[i].fault, "%s in BDAT, step %zu", matrix[i].name, step);
			f = bdat(buf_get(&in), step, true, 0);
			eq(f, matrix[i].normal ? SMTP_FAULT_NONE : matrix[i].fault,
			    "%s in BDAT normalised, step %zu", matrix[i].name, step);
			for (size_t k = 0; k < got.n; k++)
				if ((got.p[k] == '\n' && (k == 0 || got.p[k - 1] != '\r')) ||
				    (got.p[k] == '\r' &&
					(k + 1 == got.n || got.p[k + 1] != '\n'))) {
					ok(false, "%s in BDAT: a bare CR or LF came out",
					    matrix[i].name);
					break;
				}
		}
	}
	for (size_t step = 0; step < 3; step++) {
		eq(bdat(S(".\r\n..\r\nend"), step, false, 0), SMTP_FAULT_NONE,
		    "dots are text, step %zu", step);
		is(buf_cstr(&got), ".\r\n..\r\nend\r\n", "and the line end is added");
		eq(bdat(S("a\r\n"), step, false, 0), SMTP_FAULT_NONE, "whole line");
		is(buf_cstr(&got), "a\r\n", "nothing added");
		eq(bdat(S("a\r"), step, false, 0), SMTP_FAULT_BARE_CR, "CR at the very end");
		eq(bdat(S("123456"), step, false, 5), SMTP_FAULT_SIZE, "too large");
	}
	eq(bdat(S(""), 0, false, 0), SMTP_FAULT_NONE, "empty message");
	eq(got.n, 0, "stays empty");
	buf_fini(&in);
}

/* Long bodies, of which whole runs are taken: what is odd at every place gives the same as byte by
 * byte, which takes none. */
static void
test_runs(void)
{
	static const char *const odd[] = { "x", "\r", "\n", "\r\n.", "\n.", "\r\n..", "\r\n.\r\n",
		"\n.\n", "\r\r\n", "\r\n\r\n" };
	struct buf want = { 0 };
	char text[400];
	bool good = true;

	for (size_t k = 0; k < NELEM(odd); k++)
		for (size_t at = 0; at + 8 < sizeof(text); at++)
			for (unsigned limit = 0; limit < 80; limit += limit ? 17 : 40) {
				struct slice in = slice(text, sizeof(text));
				struct outcome slow, fast;

				memset(text, 'x', sizeof(text));
				for (size_t i = 60; i + 2 < sizeof(text); i += 62)
					memcpy(text + i, "\r\n", 2);
				memcpy(text + at, odd[k], strlen(odd[k]));
				memcpy(text + sizeof(text) - 5, "\r\n.\r\n", 5);
				slow = data(in, 1, at % 2, limit, 0);
				buf_clear(&want);
				buf_slice(&want, buf_get(&got));
				fast = data(in, 0, at % 2, limit, 0);
				good = good && slow.used == fast.used && slow.end == fast.end &&
				    slow.fault == fast.fault &&
				    (fast.fault || slice_eq(buf_get(&want), buf_get(&got)));
				fast = data(in, 97, at % 2, limit, 0);
				good = good && slow.used == fast.used && slow.fault == fast.fault &&
				    (fast.fault || slice_eq(buf_get(&want), buf_get(&got)));
			}
	ok(good, "what is odd at every place of a long body");
	buf_fini(&want);
}

int
main(void)
{
	test_dots();
	test_runs();
	test_limits();
	test_smuggling();
	test_bdat();
	buf_fini(&got);
	return done();
}

/* Fuzz: the body reader.  However the input is cut, the same comes out, with clean line ends, and
 * the end of data is where a plain search for CRLF.CRLF finds it. */
#include "base/buf.h"
#include "base/must.h"
#include "smtp/body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
emit(void *arg, struct slice s)
{
	buf_slice(arg, s);
}

/* Returns how many bytes were used. */
static size_t
feed(struct smtp_body *b, struct slice in, size_t step, bool *end)
{
	size_t used = 0;

	smtp_body_begin(b);
	b->chunk = in.n;
	*end = b->bdat && in.n == 0;
	while (used < in.n && !*end)
		used += smtp_body_feed(b, slice_sub(in, used, step), end);
	if (b->bdat)
		smtp_body_finish(b);
	return used;
}

static void
clean(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		must(s.p[i] != '\0');
		must(s.p[i] != '\n' || (i > 0 && s.p[i - 1] == '\r'));
		must(s.p[i] != '\r' || (i + 1 < s.n && s.p[i + 1] == '\n'));
	}
}

static size_t
plain_end(struct slice in)
{
	struct slice mark = S("\r\n.\r\n");
	size_t at;

	if (slice_starts(in, S(".\r\n")))
		return 3;
	at = slice_find_str(in, mark);
	return at == in.n ? in.n : at + mark.n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = slice((const char *)data, n);
	struct buf whole = { 0 }, parts = { 0 };

	if (n == 0)
		return 0;
	for (int mode = 0; mode < 4; mode++) {
		struct smtp_body b = { .bdat = mode & 1,
			.normalise = mode & 2,
			.emit = emit,
			.arg = &whole,
			.size_max = 100000,
			.line_max = 200 };
		enum smtp_fault fault;
		bool end, end2;
		size_t used;

		buf_clear(&whole);
		used = feed(&b, in, n, &end);
		fault = b.fault;
		must(b.size == whole.n);
		if (!b.bdat && end)
			must(used == plain_end(in));
		if (fault == SMTP_FAULT_NONE && (b.bdat || end))
			clean(buf_get(&whole));
		b.arg = &parts;
		for (size_t step = 1; step < 4; step++) {
			buf_clear(&parts);
			/* Which of two faults is seen first may differ, not that there is one. */
			must(
			    feed(&b, in, step, &end2) == used && end2 == end && !b.fault == !fault);
			must(fault || slice_eq(buf_get(&parts), buf_get(&whole)));
		}
	}
	buf_fini(&whole);
	buf_fini(&parts);
	return 0;
}

/* Fuzz: lines of a log.  Whatever a file holds: parsing stays within the line, ends, and what it gives
 * borrows from it. */
#include "base/logline.h"
#include "base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
within(struct slice part, struct slice line)
{
	must(part.n == 0 || (part.p >= line.p && part.p + part.n <= line.p + line.n));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice all = slice((const char *)data, n), line, rest, k, v;
	struct buf b = { 0 };
	struct logline l;

	while (slice_cut(&all, '\n', &line)) {
		if (!logline_parse(line, &l))
			continue;
		must(l.event.n > 0);
		within(l.ts, line);
		within(l.host, line);
		within(l.who, line);
		within(l.event, line);
		within(l.fields, line);
		for (rest = l.fields; logline_next(&rest, &k, &v);) {
			within(k, line);
			within(v, line);
			buf_clear(&b);
			logline_value(&b, v);
			must(b.n <= v.n);
		}
	}
	buf_fini(&b);
	return 0;
}

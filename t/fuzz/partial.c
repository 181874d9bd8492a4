/* Fuzz: what a message says of being a piece, and the header of a whole, which is one. */
#include "base/must.h"
#include "mail/header.h"
#include "mail/partial.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice s = slice((const char *)data, n), at;
	struct arena a = { 0 };
	struct header_field f;
	struct buf b = { 0 };
	struct partial p;

	if (partial_parse(s, &a, &p))
		must(p.id.n > 0 && p.id.n <= PARTIAL_ID && p.number > 0 &&
		    p.number <= PARTIAL_PIECES && p.total <= PARTIAL_PIECES);
	partial_header_write(slice_sub(s, 0, n / 2), slice_from(s, n / 2), &b);
	at = buf_get(&b);
	while (header_next(&at, &f))
		must(f.name.n > 0);
	must(slice_eq(at, S("\r\n")));
	buf_fini(&b);
	arena_reset(&a);
	return 0;
}

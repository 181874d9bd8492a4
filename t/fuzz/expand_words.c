/* Fuzz target: the words of a list's entry: patterns of senders, addresses as people write them.  A line is
 * the pattern, the rest is the text. */
#include <stdlib.h>

#include "base/must.h"
#include "expand/expand-impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* The same by the book: slow, so for short ones. */
static bool
glob(struct slice p, struct slice s)
{
	if (p.n == 0)
		return s.n == 0;
	if (p.p[0] == '*')
		return glob(slice_from(p, 1), s) || (s.n && glob(p, slice_from(s, 1)));
	return s.n && (p.p[0] == '?' || ascii_lower(p.p[0]) == ascii_lower(s.p[0])) &&
	    glob(slice_from(p, 1), slice_from(s, 1));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice text = slice((const char *)data, n), pattern = S(""), plain;

	slice_cut(&text, '\n', &pattern);
	if (pattern.n <= 12 && text.n <= 12)
		must(expand_glob(pattern, text) == glob(pattern, text));
	else
		(void)expand_glob(pattern, text);
	plain = expand_plain(pattern);
	must(plain.n <= pattern.n);
	must(plain.n == 0 || (plain.p >= pattern.p && plain.p + plain.n <= pattern.p + pattern.n));
	(void)expand_value_kind(plain);
	return 0;
}

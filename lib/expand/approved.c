/* approved.c: passwords of lists in a message: see approved.h. */
#include "expand/approved.h"
#include "mail/header.h"

bool
expand_word_same(struct slice a, struct slice b)
{
	unsigned char differ = a.n != b.n;

	for (size_t i = 0; i < a.n && i < b.n; i++)
		differ |= (unsigned char)(a.p[i] ^ b.p[i]);
	return a.n && !differ;
}

static bool
is_approved(struct slice name)
{
	return slice_ieq(name, S("Approved"));
}

size_t
expand_words_take(struct slice fields, struct arena *a, struct slice words[EXPAND_WORDS])
{
	struct header_field f;
	size_t n = 0;

	while (n < EXPAND_WORDS && header_next(&fields, &f)) {
		if (!is_approved(f.name))
			continue;
		words[n] = header_unfold(f.value, a);
		n += words[n].n > 0;
	}
	return n;
}

void
expand_words_strip(struct slice fields, struct buf *out)
{
	struct header_field f;

	while (header_next(&fields, &f))
		if (!is_approved(f.name))
			buf_slice(out, f.whole);
}

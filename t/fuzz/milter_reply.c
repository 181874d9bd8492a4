/* Fuzz: what a filter sends.  What is taken is inside of what came, a beginning of it is never wrong, and
 * a header that was changed by it reads as one with as many fields as were put in. */
#include "base/must.h"
#include "mail/header.h"
#include "milter/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static size_t
fields(struct slice text)
{
	struct header_field f;
	size_t n = 0;

	while (header_next(&text, &f)) {
		must(f.name.n);
		n++;
	}
	must(text.n == 0);
	return n;
}

static size_t
shown(const struct milter_header *h)
{
	size_t n = 0;

	for (const struct milter_field *f = h->first; f; f = f->next)
		n += f->name.p && f->name.n;
	return n;
}

static void
check(struct milter_header *h)
{
	struct buf all = { 0 }, below = { 0 };

	milter_header_write(h, &all, &below);
	buf_slice(&all, buf_get(&below));
	must(all.n == h->bytes && fields(buf_get(&all)) == shown(h));
	buf_fini(&all);
	buf_fini(&below);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = slice((const char *)data, n);
	struct milter_header h;
	struct milter_reply r;
	const char *why = NULL;
	int len;

	must(milter_header_init(&h, S("From: a\r\nTo: b\r\n c\r\nfrom: d\r\n")));
	while ((len = milter_reply_parse(in, &r, &why)) > 0) {
		struct milter_reply part;

		must((size_t)len <= in.n);
		for (int i = 0; i < len && i < 64; i++)
			must(milter_reply_parse(slice_sub(in, 0, (size_t)i), &part, &why) == 0);
		if (r.answer == MILTER_ADD_HEADER || r.answer == MILTER_INSERT_HEADER ||
		    r.answer == MILTER_CHANGE_HEADER) {
			milter_header_apply(&h, &r, false);
			check(&h);
		}
		in = slice_from(in, (size_t)len);
	}
	if (len < 0)
		must(why && *why);
	milter_header_fini(&h);
	return 0;
}

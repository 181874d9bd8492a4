/* Fuzz target: files of conversions of any bytes; each entry that is taken does something. */
#include <errno.h>
#include "base/must.h"
#include "mta/conversions.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int
fuzz_read(void *arg, const char *path, struct buf *out)
{
	if (strcmp(path, "conversions") != 0)
		return -ENOENT;
	buf_slice(out, *(const struct slice *)arg);
	return 0;
}

static struct slice
fuzz_parameter(void *arg, bool disposition, struct slice name)
{
	(void)disposition;
	return name.n % 2 ? *(const struct slice *)arg : (struct slice){ 0 };
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = slice((const char *)data, n < 20000 ? n : 20000),
		     tail = slice_from(in, in.n / 2);
	struct mta_notes notes = { 0 };
	struct mta_conversions *c = mta_conversions_compile("conversions", fuzz_read, &in, &notes);
	struct mta_conversion_part p = { .type = tail,
		.subtype = tail,
		.arg = &tail,
		.parameter = fuzz_parameter };
	const struct mta_conversion *e;

	must(!c == (notes.nerrors > 0));
	for (size_t i = 0; c && (e = mta_conversion_at(c, i)); i++)
		must(e->command.n || e->delete || e->relabel);
	if (c)
		(void)mta_conversion_find(c, &p);
	mta_conversions_free(&c);
	mta_notes_fini(&notes);
	return 0;
}

/* Fuzz target: alias files of any bytes; what is found is what was written. */
#include <stdlib.h>
#include <errno.h>

#include "base/must.h"
#include "mta/aliases.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int
fuzz_read(void *arg, const char *path, struct buf *out)
{
	const struct slice *in = arg;

	if (strcmp(path, "/i") == 0)
		buf_str(out, "x, y\n# z\n:include:/i\n");
	else if (strcmp(path, "aliases") == 0)
		buf_slice(out, *in);
	else
		return -ENOENT;
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = slice((const char *)data, n < 20000 ? n : 20000), rest = in, line;
	struct mta_notes notes = { 0 };
	struct mta_aliases *a = mta_aliases_compile("aliases", fuzz_read, &in, &notes);

	must(!a == (notes.nerrors > 0));
	while (a && slice_cut(&rest, '\n', &line)) {
		const struct mta_alias *alias = mta_aliases_find(a,
		    slice_trim(slice_sub(line, 0, slice_find(line, ':'))), S("d"));

		must(!alias || alias->n > 0);
		for (size_t i = 0; alias && i < alias->n; i++)
			must(alias->targets[i].text.n > 0);
	}
	mta_aliases_free(&a);
	mta_notes_fini(&notes);
	return 0;
}

/* A file of mapping tables and probes for the first of them: the input is the file up to a line "@@", and
 * probes, one a line. */
#include <stdlib.h>
#include "mta/access.h"
#include "mta/mapping.h"
#include "../mta/files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static enum mta_answer
fuzz_value(void *arg, struct slice key, struct buf *value)
{
	(void)arg;
	buf_slice(value, key);
	return (enum mta_answer)(key.n % 4);
}

static enum mta_answer
fuzz_sequence(void *arg, struct slice file, uint64_t *value)
{
	(void)arg;
	*value = file.n * 0x9e3779b97f4a7c15u;
	return MTA_YES;
}

static uint64_t
fuzz_dice(void *arg, uint64_t below)
{
	(void)arg;
	return below / 2;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice all = slice((const char *)data, n), lines, line;
	size_t at = slice_find_str(all, S("\n@@\n")), entries;
	struct buf text = { 0 };
	struct mta_notes notes = { 0 };
	struct mta_flags in = { { 0, 0, 0x2a, 0 } };
	struct mta_calls calls = { .general = fuzz_value,
		.url = fuzz_value,
		.sequence = fuzz_sequence,
		.dice = fuzz_dice };
	struct mta_mappings *m;
	const char *name;

	buf_slice(&text, slice_sub(all, 0, at));
	struct file files[] = { { "/m", buf_cstr(&text) }, { NULL, NULL } };
	m = mta_mappings_compile("/m", files_read, files, &notes);
	lines = slice_from(all, at + 4);
	name = m ? mta_mappings_name(m, 0, &entries) : NULL;
	for (int i = 0; name && i < 8 && slice_cut(&lines, '\n', &line); i++) {
		struct mta_mapped r;
		struct mta_access a;
		enum mta_answer answer =
		    mta_mappings_ask(m, &calls, slice_str(name), line, &in, &r);

		if (answer == MTA_NO && !slice_eq(buf_get(&r.text), line) && !r.failed)
			abort();
		if (r.text.n > MTA_STRING_MAX)
			abort();
		mta_access_decode(slice_str(name), &r, &a);
		mta_mapped_fini(&r);
	}
	mta_mappings_free(&m);
	mta_notes_fini(&notes);
	buf_fini(&text);
	return 0;
}

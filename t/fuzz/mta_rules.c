/* mta.cnf and an address: the input is the file up to a line "@@", and addresses, one a line. */
#include <stdlib.h>
#include "mta/general.h"
#include "mta/rules.h"
#include "../mta/files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static enum mta_answer
fuzz_local(void *arg, struct slice domain)
{
	(void)arg;
	return (enum mta_answer)(domain.n % 4);
}

static enum mta_answer
fuzz_value(void *arg, struct slice key, struct buf *value)
{
	(void)arg;
	buf_slice(value, key); /* what was asked comes back and is scanned again */
	return key.n % 3 ? MTA_YES : MTA_NO;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice all = slice((const char *)data, n), lines, line;
	size_t at = slice_find_str(all, S("\n@@\n"));
	struct buf text = { 0 };
	struct mta_notes notes = { 0 };
	struct mta_calls calls = { .general = fuzz_value,
		.url = fuzz_value,
		.local_domain = fuzz_local };
	struct mta_conf *c;

	buf_slice(&text, slice_sub(all, 0, at));
	struct file files[] = { { "/c", buf_cstr(&text) }, { NULL, NULL } };
	c = mta_conf_compile("/c", "host.example", files_read, files, &notes);
	lines = slice_from(all, at + 4);
	for (int i = 0; c && i < 8 && slice_cut(&lines, '\n', &line); i++) {
		struct mta_query q = { .address = line,
			.source = S("tcp_local"),
			.header = i & 1,
			.backward = i & 2 };
		struct mta_rewritten r;

		mta_rewrite(c, NULL, &calls, &q, &r);
		if ((r.result == MTA_RW_OK) != (r.channel && r.v.kind == OK))
			abort();
		mta_rewritten_fini(&r);
	}
	if (c) {
		struct buf out = { 0 };

		mta_conf_print(c, &out);
		buf_fini(&out);
	}
	mta_conf_free(&c);
	mta_notes_fini(&notes);
	buf_fini(&text);
	return 0;
}

/* Fuzz target: packets between piped and who has programs run: what is read can be written and read again. */
#include "base/must.h"
#include "programs/programs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = slice((const char *)data, n);
	struct programs_order o, again;
	struct programs_result r, back;
	struct arena a = { 0 };
	struct buf b = { 0 };
	int e;

	if (programs_order_parse(in, &a, &o) == 0) {
		e = programs_order_write(&b, &o);
		must(e == 0);
		e = programs_order_parse(buf_get(&b), &a, &again);
		must(e == 0 && slice_eq(o.name, again.name) && slice_eq(o.program, again.program));
	}
	if (programs_result_parse(in, &r) == 0) {
		buf_clear(&b);
		programs_result_write(&b, &r);
		e = programs_result_parse(buf_get(&b), &back);
		must(e == 0 && back.end == r.end && strcmp(back.v.text, r.v.text) == 0);
	}
	buf_fini(&b);
	arena_reset(&a);
	return 0;
}

/* Fuzz: commands of ManageSieve, however they are cut: what one piece says all pieces say, what is complete is what was
 * there, and what is written as a string is read as the same one. */
#include "base/must.h"
#include "managesieve/reader.h"
#include "managesieve/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define MOST 512

static void
check_round(struct slice text)
{
	struct managesieve_reader r = { .most = MOST };
	enum managesieve_read how;
	struct buf b = { 0 };

	managesieve_write_string(&b, text);
	buf_lit(&b, "\r\n");
	must(managesieve_reader_feed(&r, buf_get(&b), &how) == b.n);
	must(how == MANAGESIEVE_COMPLETE && r.n == 1 && r.string[0]);
	must(slice_eq(managesieve_reader_word(&r, 0), text));
	managesieve_reader_reset(&r);
	buf_fini(&b);
}

/* The first command, in pieces. */
static enum managesieve_read
read_first(struct managesieve_reader *r, struct slice in, size_t step, size_t *used)
{
	enum managesieve_read how = MANAGESIEVE_PART;

	*r = (struct managesieve_reader){ .most = MOST };
	*used = 0;
	while (how == MANAGESIEVE_PART && *used < in.n) {
		size_t n = managesieve_reader_feed(r, slice_sub(in, *used, step), &how);

		must(n > 0 && n <= step);
		*used += n;
		must(r->b.n <= MOST);
	}
	return how;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = { (const char *)data, n };
	struct managesieve_reader whole, part;
	size_t used, used_part;
	enum managesieve_read how;

	if (n > 4096)
		return 0;
	how = read_first(&whole, in, n + 1, &used);
	must(whole.n <= MANAGESIEVE_WORDS && used <= n);
	must(how != MANAGESIEVE_COMPLETE || (used > 0 && in.p[used - 1] == '\n'));
	for (size_t step = 1; step < 9; step += 3) {
		must(read_first(&part, in, step, &used_part) == how && used_part == used);
		must(part.n == whole.n);
		for (size_t i = 0; how == MANAGESIEVE_COMPLETE && i < part.n; i++)
			must(slice_eq(managesieve_reader_word(&part, i),
			    managesieve_reader_word(&whole, i)));
		managesieve_reader_reset(&part);
	}
	for (size_t i = 0; how == MANAGESIEVE_COMPLETE && i < whole.n; i++)
		if (managesieve_reader_word(&whole, i).n < MOST)
			check_round(managesieve_reader_word(&whole, i));
	managesieve_reader_reset(&whole);
	return 0;
}

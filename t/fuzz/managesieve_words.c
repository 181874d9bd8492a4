/* Fuzz: a command of ManageSieve, however it is cut.  What has not all come is asked for again and not changed;
 * what is complete lies within the input; what is written as a string is read as the same one. */
#include "base/buf.h"
#include "base/must.h"

/* A file of a program's, and pure: nothing else of it is needed. */
#include "../../cmd/mmpd/managesieve-words.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
check_round(struct slice text)
{
	struct managesieve_words w;
	struct buf b = { 0 };
	size_t used;

	buf_lit(&b, "NOOP ");
	managesieve_write_string(&b, text);
	buf_lit(&b, "\r\n");
	must(managesieve_words_read(b.p, b.n, &w, &used) == MANAGESIEVE_COMPLETE && used == b.n);
	must(w.n == 2 && w.string[1] && slice_eq(w.word[1], text));
	buf_fini(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct managesieve_words w, part;
	struct buf b = { 0 };
	enum managesieve_read how;
	size_t used = 0, unused, at = 0;

	if (n > 4096)
		return 0;
	buf_grow(&b, n + 1);
	buf_add(&b, data, n);
	how = managesieve_words_read(b.p, b.n, &w, &used);
	must(used <= n && w.n <= MANAGESIEVE_WORDS);
	if (how == MANAGESIEVE_WRONG)
		must(used > 0 && b.p[used - 1] == '\n');
	for (size_t i = 0; how == MANAGESIEVE_COMPLETE && i < w.n; i++) {
		must(w.word[i].p >= b.p && w.word[i].p + w.word[i].n <= b.p + used);
		if (w.word[i].n < 4000)
			check_round(w.word[i]);
	}
	/* Every beginning of a complete one is a part, and is left as it is. */
	for (; how == MANAGESIEVE_COMPLETE && at < used && at < 300; at++) {
		buf_clear(&b);
		buf_add(&b, data, at);
		must(managesieve_words_read(b.p, b.n, &part, &unused) == MANAGESIEVE_PART);
		must(at == 0 || memcmp(b.p, data, at) == 0);
	}
	buf_fini(&b);
	return 0;
}

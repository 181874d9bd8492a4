/* Commands of ManageSieve as words: every form of a string, however it is cut, one behind the other; and what is no
 * command, too large or endless is passed over as its place in the stream wants it. */
#include "managesieve/reader.h"
#include "managesieve/text.h"
#include "../tap.h"

#define MOST 100

/* Feeds in pieces of `step`; what the first command came to, its words joined by '|', and the octets taken. */
static enum managesieve_read
read_in(struct slice in, size_t step, struct buf *words, size_t *used)
{
	struct managesieve_reader r = { .most = MOST };
	enum managesieve_read how = MANAGESIEVE_PART;

	buf_clear(words);
	*used = 0;
	while (how == MANAGESIEVE_PART && *used < in.n)
		*used += managesieve_reader_feed(&r, slice_sub(in, *used, step), &how);
	for (size_t i = 0; i < r.n; i++) {
		buf_str(words, i ? "|" : "");
		buf_str(words, r.string[i] ? "'" : "");
		buf_slice(words, managesieve_reader_word(&r, i));
	}
	managesieve_reader_reset(&r);
	return how;
}

static void
test_table(void)
{
	static const struct {
		const char *in;
		enum managesieve_read how;
		const char *words;
		size_t left; /* octets behind it */
	} table[] = {
		{ "NOOP\r\nX", MANAGESIEVE_COMPLETE, "NOOP", 1 },
		{ "noop\n", MANAGESIEVE_COMPLETE, "noop", 0 },
		{ "\r\nX", MANAGESIEVE_COMPLETE, "", 1 },
		{ "A \"b c\"\t\"\"\r\n", MANAGESIEVE_COMPLETE, "A|'b c|'", 0 },
		{ "A \"b\\\"\\\\\"\r\n", MANAGESIEVE_COMPLETE, "A|'b\"\\", 0 },
		{ "A {3+}\r\n\r\n\" 12\r\n", MANAGESIEVE_COMPLETE, "A|'\r\n\"|12", 0 },
		{ "A {3}\nabc\nX", MANAGESIEVE_COMPLETE, "A|'abc", 1 },
		{ "A {0+}\r\n\r\nX", MANAGESIEVE_COMPLETE, "A|'", 1 },
		{ "A {0+}\r\n {2+}\r\nxy\r\n", MANAGESIEVE_COMPLETE, "A|'|'xy", 0 },
		{ "A\"b\"{1+}\r\nc\r\n", MANAGESIEVE_COMPLETE, "A|'b|'c", 0 },
		{ "1 2 3 4 5\r\n", MANAGESIEVE_COMPLETE, "1|2|3|4|5", 0 },
		{ "A \"b\r\nX", MANAGESIEVE_WRONG, NULL, 1 },
		{ "A \"\\x\"\r\nX", MANAGESIEVE_WRONG, NULL, 1 },
		{ "A\rB\r\nX", MANAGESIEVE_WRONG, NULL, 1 },
		{ "A {}\r\nX", MANAGESIEVE_WRONG, NULL, 1 },
		{ "A {x+}\r\nX", MANAGESIEVE_WRONG, NULL, 1 },
		{ "A {3\r\nX", MANAGESIEVE_WRONG, NULL, 1 },
		{ "A {3+\r\nX", MANAGESIEVE_WRONG, NULL, 1 },
		{ "A {3+}x\r\nX", MANAGESIEVE_WRONG, NULL, 1 },
		{ "1 2 3 4 5 {6+}\r\nNOOP\r\n\r\nX", MANAGESIEVE_WRONG, NULL, 1 },
		{ "A \"\\x\" {6+}\r\nNOOP\r\n\r\nX", MANAGESIEVE_WRONG, NULL, 1 },
		{ "A {99999999999999999999+}\r\n", MANAGESIEVE_FLOOD, NULL, 2 },
		{ "A {16777217+}\r\n", MANAGESIEVE_FLOOD, NULL, 4 },
	};
	struct buf words = { 0 };
	size_t used;

	for (size_t i = 0; i < NELEM(table); i++) {
		struct slice in = slice_str(table[i].in);
		bool same = true;

		for (size_t step = 1; step <= in.n; step++) {
			same &= read_in(in, step, &words, &used) == table[i].how;
			same &=
			    !table[i].words || slice_eq(buf_get(&words), slice_str(table[i].words));
			same &= table[i].how == MANAGESIEVE_FLOOD || used == in.n - table[i].left;
		}
		ok(same, "%zu: in pieces of any size", i);
	}
	buf_fini(&words);
}

static void
test_large(void)
{
	struct buf in = { 0 }, words = { 0 };
	enum managesieve_read how;
	size_t used;

	for (size_t n = MOST - 4; n < MOST + 3; n++) {
		buf_clear(&in);
		buf_printf(&in, "PUT \"x\" {%zu+}\r\n", n);
		for (size_t i = 0; i < n; i++)
			buf_char(&in, '\n');
		buf_lit(&in, "\r\nX");
		for (size_t step = 1; step < in.n; step += 7) {
			how = read_in(buf_get(&in), step, &words, &used);
			ok(how == (n + 4 > MOST ? MANAGESIEVE_LARGE : MANAGESIEVE_COMPLETE) &&
				used == in.n - 1 && slice_starts(buf_get(&words), S("PUT|'x|'")),
			    "a literal of %zu octets, in pieces of %zu", n, step);
		}
	}
	buf_clear(&in);
	buf_lit(&in, "PUT \"");
	for (size_t i = 0; i < MOST; i++)
		buf_char(&in, 'y');
	buf_lit(&in, "\"\r\nX");
	eq(read_in(buf_get(&in), 1000, &words, &used), MANAGESIEVE_LARGE, "a quoted string");
	eq(used, in.n - 1, "passed over");
	buf_clear(&in);
	for (size_t i = 0; i <= MANAGESIEVE_LINE; i++)
		buf_char(&in, ' ');
	eq(read_in(buf_get(&in), 4096, &words, &used), MANAGESIEVE_FLOOD, "blanks without end");
	buf_clear(&in);
	for (size_t i = 0; i <= MANAGESIEVE_LINE; i++)
		buf_char(&in, '"');
	eq(read_in(buf_get(&in), 4096, &words, &used), MANAGESIEVE_FLOOD, "words without end");
	buf_fini(&in);
	buf_fini(&words);
}

static void
test_write(void)
{
	static const char *const texts[] = { "", "a b", "\"\\", "two\r\nlines",
		"gr\xc3\xbc\xc3\x9f" };
	struct buf b = { 0 };

	for (size_t i = 0; i < NELEM(texts); i++) {
		struct managesieve_reader r = { .most = MOST };
		enum managesieve_read how;

		buf_clear(&b);
		managesieve_write_string(&b, slice_str(texts[i]));
		buf_lit(&b, "\r\n");
		ok(managesieve_reader_feed(&r, buf_get(&b), &how) == b.n &&
			how == MANAGESIEVE_COMPLETE && r.n == 1 && r.string[0] &&
			slice_eq(managesieve_reader_word(&r, 0), slice_str(texts[i])),
		    "written and read: %zu", i);
		managesieve_reader_reset(&r);
	}
	buf_fini(&b);
}

static void
test_names(void)
{
	static const struct {
		const char *name;
		bool good;
	} table[] = { { "x", true }, { "two words / and more", true }, { "..", true },
		{ "gr\xc3\xbc\xc3\x9f", true }, { "", false }, { "a\nb", false },
		{ "a\x7f", false }, { "a\xc2\x85", false }, { "a\xe2\x80\xa8", false },
		{ "a\xe2\x80\xa9", false }, { "\xff", false } };
	char name[514];

	for (size_t i = 0; i < NELEM(table); i++)
		eq(managesieve_name_ok(slice_str(table[i].name)), table[i].good, "name %zu", i);
	memset(name, 'n', sizeof(name));
	ok(managesieve_name_ok(slice(name, 512)), "512 octets");
	ok(!managesieve_name_ok(slice(name, 513)), "one more");
	ok(!managesieve_name_ok(slice("a\0b", 3)), "NUL");
}

int
main(void)
{
	test_table();
	test_large();
	test_write();
	test_names();
	return done();
}

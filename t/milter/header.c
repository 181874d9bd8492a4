/* milter/header.c: where fields go, and that one value is one field. */
#include "milter/header.h"

#include "../tap.h"

static struct milter_header h;
static struct buf text;

static const char *
now(void)
{
	struct buf below = { 0 };

	buf_clear(&text);
	milter_header_write(&h, &text, &below);
	buf_lit(&text, "Received\r\n");
	buf_slice(&text, buf_get(&below));
	buf_fini(&below);
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] == '\r')
			text.p[i] = '/';
	return buf_cstr(&text);
}

static void
edit(char answer, uint32_t index, const char *name, const char *value)
{
	struct milter_reply r = { .answer = (enum milter_answer)answer,
		.index = index,
		.name = slice_str(name),
		.value = slice_str(value) };

	milter_header_apply(&h, &r, false);
}

#define FIELDS S("A: 1\r\nB: 2\r\n\tmore\r\na: 3\r\n")
static void
begin(void)
{
	milter_header_fini(&h);
	ok(milter_header_init(&h, FIELDS), "a header");
}

int
main(void)
{
	begin();
	is(now(), "Received/\nA: 1/\nB: 2/\n\tmore/\na: 3/\n", "nothing is changed");
	edit('i', 0, "X", "top");
	is(now(), "X: top/\nReceived/\nA: 1/\nB: 2/\n\tmore/\na: 3/\n", "0 is above our own");
	edit('i', 2, "Y", "below");
	is(now(), "X: top/\nReceived/\nY: below/\nA: 1/\nB: 2/\n\tmore/\na: 3/\n",
	    "the count has what was inserted, and our own");
	edit('i', 99, "Z", "end");
	edit('h', 0, "Z", "last");
	is(now(),
	    "X: top/\nReceived/\nY: below/\nA: 1/\nB: 2/\n\tmore/\na: 3/\nZ: end/\nZ: last/\n",
	    "past the end is the end");
	begin();
	edit('m', 2, "A", "new");
	is(now(), "Received/\nA: 1/\nB: 2/\n\tmore/\nA: new/\n",
	    "the second of a name, in its place");
	edit('m', 1, "b", "");
	is(now(), "Received/\nA: 1/\nA: new/\n", "one is deleted with its folds");
	edit('m', 2, "A", "");
	edit('m', 9, "A", "");
	edit('h', 0, "C", "x");
	is(now(), "Received/\nA: 1/\nC: x/\n", "the last, and then the end is where it was");
	edit('m', 7, "D", "there");
	is(now(), "Received/\nA: 1/\nC: x/\nD: there/\n", "one that is not there is added");
	edit('m', 1, "Received", "mine");
	is(now(), "Received/\nA: 1/\nC: x/\nD: there/\nReceived: mine/\n", "ours is not shown");
	begin();
	edit('h', 0, "F", "a\n b\r\n\tc\nEvil: yes\n\n \nd\x01\r");
	is(now(),
	    "Received/\nA: 1/\nB: 2/\n\tmore/\na: 3/\nF: a/\n b/\n\tc/\n\tEvil: yes/\n\td /\n",
	    "a value is one field");
	eq(h.bytes, 25 + 6 + 4 + 4 + 12 + 5, "the octets are counted");
	milter_header_fini(&h);
	ok(milter_header_init(&h, S("")), "none");
	edit('i', 1, "A", "b");
	is(now(), "Received/\nA: b/\n", "into a header without fields");
	milter_header_apply(&h,
	    &(struct milter_reply){ .answer = 'h', .name = S("S"), .value = S("c") }, true);
	is(now(), "Received/\nA: b/\nS:c/\n", "a value that brings its blank");
	milter_header_fini(&h);
	buf_clear(&text);
	for (int i = 0; i < MILTER_FIELDS; i++)
		buf_lit(&text, "A:\r\n");
	ok(milter_header_init(&h, buf_get(&text)), "as many fields as there may be");
	milter_header_fini(&h);
	buf_lit(&text, "A:\r\n");
	ok(!milter_header_init(&h, buf_get(&text)), "one more");
	milter_header_fini(&h);
	buf_fini(&text);
	return done();
}

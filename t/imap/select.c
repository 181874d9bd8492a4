/* The arguments of SELECT: RFC 7162 3.1.8, 3.2.5. */
#include "../tap.h"
#include "imap/select.h"

static struct arena arena;
static struct imap_select s;
static const char *why;

static bool
parsed(const char *text)
{
	struct imap_in in = { .s = slice_str(text), .arena = &arena };
	bool good = imap_select_parse(&in, &s);

	why = in.why;
	return good;
}

static const char *
numbers(const struct imap_set *set)
{
	struct buf b = { 0 };
	const char *text;

	imap_set_write(&b, set);
	text = arena_cstr(&arena, buf_get(&b));
	buf_fini(&b);
	return text;
}

int
main(void)
{
	static const char *const bad[] = {
		"",
		" ",
		" a ",
		" a ()",
		" a (X)",
		" a (CONDSTORE",
		" a (QRESYNC)",
		" a (QRESYNC ())",
		" a (QRESYNC (1))",
		" a (QRESYNC (0 1))",
		" a (QRESYNC (1 0))",
		" a (QRESYNC (1 9223372036854775808))",
		" a (QRESYNC (4294967296 1))",
		" a (QRESYNC (1 1 ))",
		" a (QRESYNC (1 1 *))",
		" a (QRESYNC (1 1 1:*))",
		" a (QRESYNC (1 1 $))",
		" a (QRESYNC (1 1 () ))",
		" a (QRESYNC (1 1 (1)))",
		" a (QRESYNC (1 1 (1 1) 1))",
		" a (QRESYNC (1 1 (1:2 1)))",
		" a (QRESYNC (1 1 (2,1 1:2)))",
		" a (QRESYNC (1 1 (2:1 1:2)))",
		" a (QRESYNC (1 1 (1:2,2 1:3)))",
		" a (QRESYNC (1 1 (1:* 1:3)))",
		" a (QRESYNC (1 1 1 (1 1) x))",
		" a (QRESYNC (1 1) QRESYNC (1 1))",
		" a (QRESYNC (1 1)",
		" a (CONDSTORE) x",
	};

	ok(parsed(" inbox") && slice_eq(s.mailbox, S("INBOX")) && !s.condstore && !s.qresync,
	    "a name alone");
	ok(parsed(" a (condstore)") && s.condstore, "CONDSTORE");
	ok(parsed(" a (QRESYNC (7 9223372036854775807))") && s.qresync && s.uidvalidity == 7 &&
		s.modseq == INT64_MAX && !s.some && s.seqs.n == 0,
	    "QRESYNC with what it must have");
	ok(parsed(" a (QRESYNC (7 9 9:7,1,3) CONDSTORE)") && s.some && s.condstore,
	    "known UIDs, and another parameter behind");
	is(numbers(&s.known), "1,3,7:9", "in order");
	ok(parsed(" a (QRESYNC (7 9 (1,3:4 10:12)))") && !s.some, "match data without known UIDs");
	is(numbers(&s.seqs), "1,3:4", "numbers");
	is(numbers(&s.uids), "10:12", "UIDs");
	ok(parsed(" a (QRESYNC (7 9 1:4294967295 (1:4294967295 1:4294967295)))") && s.some,
	    "the largest sets cost two numbers each");
	for (size_t i = 0; i < NELEM(bad); i++)
		ok(!parsed(bad[i]) && why, "refused with a reason: %s", bad[i]);
	arena_reset(&arena);
	return done();
}

/* What somebody has done to a message, and what is to become of it, as imapd and lmtpd tell each other: back as it was, and
 * nothing that is no line. */
#include "rules/event.h"
#include "../tap.h"

static void
test_event(void)
{
	struct rules_event e = { .cause = S("COPY"),
		.user = S("joe@example.test"),
		.mailbox = S("Gr\303\274ne Mails/x y"),
		.script = S("my script"),
		.flags = S("\\Seen $Todo") },
			   r;
	struct buf b = { 0 };

	ok(rules_event_write(&b, &e), "written");
	ok(rules_event_parse(buf_get(&b), &r), "read");
	ok(slice_eq(r.cause, e.cause) && slice_eq(r.user, e.user) &&
		slice_eq(r.mailbox, e.mailbox) && slice_eq(r.script, e.script) &&
		slice_eq(r.flags, e.flags),
	    "as it was");
	ok(r.changed.n == 0 && r.global.n == 0, "and nothing else");
	buf_lit(&b, "later thing\n");
	ok(rules_event_parse(buf_get(&b), &r), "what a later version says is passed over");
	e.mailbox = S("two\nlines");
	buf_clear(&b);
	ok(!rules_event_write(&b, &e), "a value is a line");
	ok(!rules_event_parse(S(""), &r), "nothing is no event");
	ok(!rules_event_parse(S("cause COPY\nuser a\n"), &r), "nor is half of one");
	ok(!rules_event_parse(S("cause COPY\nuser a\001\nmailbox b\n"), &r),
	    "nor what has controls");
	buf_fini(&b);
}

static void
outcome(const char *before, const char *after, bool keep, const char *want)
{
	struct slice list[8], rest = slice_str(after);
	struct rules_event_outcome o;
	struct buf b = { 0 }, words = { 0 };
	size_t n = 0;

	while (slice_word(&rest, &list[n]))
		n++;
	ok(rules_event_outcome_write(&b, slice_str(before), list, n, keep) &&
		slice_eq(buf_get(&b), slice_str(want)),
	    "%s", want);
	ok(rules_event_outcome_parse(buf_get(&b), &words, &o) && o.keep == keep, "and read");
	buf_fini(&b);
	buf_fini(&words);
}

static void
test_outcome(void)
{
	struct slice many[40];
	struct rules_event_outcome o;
	struct buf b = { 0 }, words = { 0 };

	outcome("", "", true, "keep");
	outcome("\\Seen", "\\seen", true, "keep");
	outcome("\\Seen $a", "$a \\Flagged $b", true, "keep +\\Flagged +$b -\\Seen");
	outcome("\\Seen", "", false, "delete -\\Seen");
	ok(rules_event_outcome_parse(S("keep -a +b -c +d"), &words, &o) &&
		slice_eq(o.add, S("b d")) && slice_eq(o.remove, S("a c")),
	    "what is added, what is removed");
	ok(!rules_event_outcome_parse(S("keep a"), &words, &o), "a word without a sign");
	ok(!rules_event_outcome_parse(S("keep +"), &words, &o), "a sign without a word");
	ok(!rules_event_outcome_parse(S("perhaps"), &words, &o), "no such outcome");
	for (size_t i = 0; i < NELEM(many); i++)
		many[i] = S("$keyword");
	ok(!rules_event_outcome_write(&b, S(""), many, NELEM(many), true), "too many");
	buf_fini(&b);
	buf_fini(&words);
}

int
main(void)
{
	test_event();
	test_outcome();
	return done();
}

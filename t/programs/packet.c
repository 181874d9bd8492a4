/* What is asked of piped and what it answers, written and read. */
#include "../tap.h"
#include "mail/outcome.h"
#include "programs/programs.h"

static void
orders(void)
{
	struct programs_order o = { .program = S("p"),
		.sender = S("a=b c@d"),
		.qid = S("q"),
		.type = S("text"),
		.name = S("x %\xc3\xbc\n.doc") },
			      got;
	struct arena a = { 0 };
	struct buf b = { 0 };
	char large[2000];

	eq(programs_order_write(&b, &o), 0, "an order");
	is(buf_cstr(&b),
	    "run program=p sender=a%3Db%20c@d qid=q type=text name=x%20%25%C3%BC%0A.doc",
	    "is a line");
	eq(programs_order_parse(buf_get(&b), &a, &got), 0, "which is read");
	ok(slice_eq(got.program, o.program) && slice_eq(got.sender, o.sender) &&
		slice_eq(got.name, o.name) && got.user.n == 0,
	    "as it was");
	eq(programs_order_parse(S("run program=p later=x"), &a, &got), 0,
	    "words of a later version are passed over");
	ok(programs_order_parse(S("run sender=x"), &a, &got) < 0, "no program");
	ok(programs_order_parse(S("walk program=p"), &a, &got) < 0, "another verb");
	ok(programs_order_parse(S("run program=%zz"), &a, &got) < 0, "no escape");
	ok(programs_order_parse(S("run program=p name=a%00b"), &a, &got) < 0, "a NUL");
	memset(large, 'x', sizeof(large));
	o.name = slice(large, sizeof(large));
	ok(programs_order_write(&b, &o) < 0, "a word that is too long");
	o = (struct programs_order){ .sender = S("x") };
	ok(programs_order_write(&b, &o) < 0, "an order without a program");
	buf_fini(&b);
	arena_reset(&a);
}

static void
results(void)
{
	struct programs_result r = { PROGRAMS_FAILED, verdict(OUT_PIPE_SLOW, "p q") }, got;
	struct buf b = { 0 };

	programs_result_write(&b, &r);
	is(buf_cstr(&b), "failed code=4.4.5 text=p%20q%20took%20too%20long", "a result");
	eq(programs_result_parse(buf_get(&b), &got), 0, "is read");
	ok(got.end == PROGRAMS_FAILED && got.v.kind == TEMP && got.v.detail == 5 &&
		strcmp(got.v.text, "p q took too long") == 0,
	    "as it was");
	ok(programs_result_parse(S("done code=4.0.0 text=x"), &got) < 0,
	    "done, and yet it was not");
	ok(programs_result_parse(S("failed code=2.0.0 text=x"), &got) < 0,
	    "nor the other way round");
	ok(programs_result_parse(S("perhaps code=2.0.0 text=x"), &got) < 0, "another end");
	ok(programs_result_parse(S("done"), &got) < 0, "without a code");
	buf_fini(&b);
}

int
main(void)
{
	orders();
	results();
	return done();
}

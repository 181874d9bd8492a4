/* control.c: the words that a script is held together by: require, if, stop, and the tests of tests
 * (RFC 5228 3 and 5.1 to 5.8).
 *
 * None of them does anything when a program runs: they become labels.  `require` is the first row,
 * because it must stand in front of all others (3.2). */
#include "sieve/sieve-impl.h"

static bool
always_run(struct sieve_run *r, const struct sieve_call *call)
{
	(void)r;
	(void)call;
	return true;
}

static bool
never_run(struct sieve_run *r, const struct sieve_call *call)
{
	(void)r;
	(void)call;
	return false;
}

static bool
stop_run(struct sieve_run *r, const struct sieve_call *call)
{
	(void)call;
	r->stopped = true;
	return true;
}

/* require [names]: 3.2.  The call itself is left out of the program. */
static bool
require_open(struct sieve_compiler *c, struct sieve_node *n, struct sieve_call *call)
{
	const struct sieve_arg *names = &call->args[0];
	bool good = true;

	if (c->began)
		return sieve_wrong(c, n->line, n->column,
		    "require stands in front of all other commands");
	for (size_t i = 0; i < names->n; i++) {
		struct slice name = names->items[i].text;
		uint64_t bits = sieve_extension_find(c, name);

		c->required |= bits;
		if (!bits)
			good = sieve_wrong_arg(c, names, "there is no extension \"" SFMT "\" here",
			    SARG(name));
	}
	c->lenient = sieve_required(c, "ihave");
	return good;
}

/* ---- tests of tests: 5.2, 5.3, 5.8 ------------------------------------------------------------------ */

/* The only test of n goes on at these labels. */
static void
only_test(struct sieve_compiler *c, struct sieve_node *n, uint32_t yes, uint32_t no)
{
	n->tests->entry = sieve_label(c);
	n->tests->yes = yes;
	n->tests->no = no;
}

static bool
not_open(struct sieve_compiler *c, struct sieve_node *n, struct sieve_call *call)
{
	(void)call;
	only_test(c, n, n->no, n->yes);
	return true;
}

/* Each test goes on at the next one while it does not decide: allof when it is true, anyof when not. */
static bool
several_open(struct sieve_compiler *c, struct sieve_node *n, bool all)
{
	for (struct sieve_node *t = n->tests; t; t = t->next)
		t->entry = sieve_label(c);
	for (struct sieve_node *t = n->tests; t; t = t->next) {
		t->yes = all && t->next ? t->next->entry : n->yes;
		t->no = !all && t->next ? t->next->entry : n->no;
	}
	return true;
}

static bool
allof_open(struct sieve_compiler *c, struct sieve_node *n, struct sieve_call *call)
{
	(void)call;
	return several_open(c, n, true);
}

static bool
anyof_open(struct sieve_compiler *c, struct sieve_node *n, struct sieve_call *call)
{
	(void)call;
	return several_open(c, n, false);
}

/* ---- if, elsif, else: 3.1 ------------------------------------------------------------------------------ */

static void if_close(struct sieve_compiler *, struct sieve_node *);

/* The tests in front of the block; `no` is where the next branch begins. */
static bool
branch_open(struct sieve_compiler *c, struct sieve_node *n)
{
	uint32_t body = sieve_label(c);
	bool good;

	n->no = sieve_label(c);
	only_test(c, n, body, n->no);
	good = sieve_compile_tests(c, n);
	sieve_label_here(c, body);
	return good;
}

static bool
if_open(struct sieve_compiler *c, struct sieve_node *n, struct sieve_call *call)
{
	(void)call;
	n->end = sieve_label(c);
	return branch_open(c, n);
}

/* elsif and else stand behind an if or elsif. */
static bool
branch_follows(struct sieve_compiler *c, struct sieve_node *n)
{
	if (!n->prev || !n->prev->word || n->prev->word->close != if_close || !n->prev->tests)
		return sieve_wrong(c, n->line, n->column, SFMT " stands behind if or elsif only",
		    SARG(n->name));
	n->end = n->prev->end;
	return true;
}

static bool
elsif_open(struct sieve_compiler *c, struct sieve_node *n, struct sieve_call *call)
{
	(void)call;
	return branch_follows(c, n) && branch_open(c, n);
}

static bool
else_open(struct sieve_compiler *c, struct sieve_node *n, struct sieve_call *call)
{
	(void)call;
	n->no = sieve_label(c);
	return branch_follows(c, n);
}

static bool
branch_goes_on(const struct sieve_node *n)
{
	return n && (slice_ieq(n->name, S("elsif")) || slice_ieq(n->name, S("else")));
}

static void
if_close(struct sieve_compiler *c, struct sieve_node *n)
{
	static const struct sieve_word jump = { .name = "jump", .run = always_run };

	if (branch_goes_on(n->next)) {
		struct sieve_call call = sieve_call_of(c, n, &jump);

		call.line = 0; /* nothing that the script says */

		sieve_emit(c, &call, n->end, n->end);
		sieve_label_here(c, n->no);
		return;
	}
	sieve_label_here(c, n->no);
	sieve_label_here(c, n->end);
}

const struct sieve_word sieve_words_control[] = {
	{ "require", SIEVE_COMMAND, .args = "L", .keys = -1, .open = require_open },
	{ "if", SIEVE_COMMAND, .args = "", .keys = -1, .tests = SIEVE_TESTS_ONE, .block = true,
	    .open = if_open, .close = if_close },
	{ "elsif", SIEVE_COMMAND, .args = "", .keys = -1, .tests = SIEVE_TESTS_ONE, .block = true,
	    .open = elsif_open, .close = if_close },
	{ "else", SIEVE_COMMAND, .args = "", .keys = -1, .block = true, .open = else_open,
	    .close = if_close },
	{ "stop", SIEVE_COMMAND, .args = "", .keys = -1, .run = stop_run },
	{ "not", SIEVE_TEST, .args = "", .keys = -1, .tests = SIEVE_TESTS_ONE, .open = not_open },
	{ "allof", SIEVE_TEST, .args = "", .keys = -1, .tests = SIEVE_TESTS_LIST,
	    .open = allof_open },
	{ "anyof", SIEVE_TEST, .args = "", .keys = -1, .tests = SIEVE_TESTS_LIST,
	    .open = anyof_open },
	{ "true", SIEVE_TEST, .args = "", .keys = -1, .run = always_run },
	{ "false", SIEVE_TEST, .args = "", .keys = -1, .run = never_run },
	{ .name = NULL },
};

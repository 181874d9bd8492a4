/* suite-words.c: the commands and tests of vnd.dovecot.testsuite.
 *
 * They set the message and envelope that the following tests see, compile and run scripts beside the file,
 * look at what those came to, and carry the actions out in a store that is in memory, so that
 * test_message can take from it what was filed or sent. */
#include <stdio.h>
#include "sieve/parse.h"
#include "sievetest.h"

/* ---- test "name" { ... } --------------------------------------------------------------------------- */

static bool
test_begin_run(struct sieve_run *r, const struct sieve_call *c)
{
	(void)r;
	suite.test = c;
	suite.why = NULL;
	return true;
}

static bool
test_end_run(struct sieve_run *r, const struct sieve_call *c)
{
	struct slice name = sieve_string(r, suite.test, 0);

	(void)c;
	suite.run++;
	suite.failed += !!suite.why;
	buf_printf(&sievetest.out, "%sok %u - " SFMT "\n", suite.why ? "not " : "", suite.run,
	    SARG(name));
	if (suite.why)
		buf_printf(&sievetest.out, "# %s:%s\n", suite.path, suite.why);
	suite.test = NULL;
	sieve_run_forget(r);
	return true;
}

static bool
test_block_open(struct sieve_compiler *c, struct sieve_node *n, struct sieve_call *call)
{
	static const struct sieve_word begin = { .name = "test",
		.kind = SIEVE_TEST,
		.run = test_begin_run };

	n->end = sieve_label(c);
	call->word = &begin;
	sieve_emit(c, call, SIEVE_NEXT, n->end);
	return true;
}

static void
test_block_close(struct sieve_compiler *c, struct sieve_node *n)
{
	static const struct sieve_word end = { .name = "test_end", .run = test_end_run };
	struct sieve_call call = sieve_call_of(c, n, &end);

	sieve_label_here(c, n->end);
	sieve_emit(c, &call, SIEVE_NEXT, SIEVE_NEXT);
}

static bool
test_fail_run(struct sieve_run *r, const struct sieve_call *c)
{
	suite.why =
	    arena_printf(&sievetest.arena, "%u: " SFMT, c->line, SARG(sieve_string(r, c, 0)));
	if (suite.test)
		sieve_run_resume(r, suite.test->no);
	return true;
}

/* ---- what tests see ---------------------------------------------------------------------------------- */

static bool
test_set_run(struct sieve_run *r, const struct sieve_call *c)
{
	static const struct {
		const char *name;
		enum sieve_envelope part;
	} parts[] = { { "envelope.from", SIEVE_FROM }, { "envelope.to", SIEVE_TO },
		{ "envelope.orig_to", SIEVE_ORCPT } };
	struct slice name = sieve_string(r, c, 0), value = sieve_string(r, c, 1);

	if (slice_eq(name, S("message"))) {
		world_message_set(value);
		sieve_run_message(r);
		return true;
	}
	for (size_t i = 0; i < NELEM(parts); i++)
		if (slice_eq(name, slice_str(parts[i].name))) {
			sievetest.envelope[parts[i].part] = arena_slice(&sievetest.arena, value);
			if (!value.n)
				sievetest.envelope[parts[i].part] = S("");
			return true;
		}
	return sieve_fail(r, c, "test_set: there is no \"" SFMT "\"", SARG(name));
}

/* ---- scripts -------------------------------------------------------------------------------------------- */

static bool
script_compile_run(struct sieve_run *r, const struct sieve_call *c)
{
	struct slice path = suite_path(sieve_string(r, c, 0)), text = world_file(path.p);
	struct sieve_options options = sievetest.options;

	sieve_program_free(&suite.program);
	sieve_errors_fini(&suite.errors);
	suite.ran = false;
	if (!text.p)
		return false;
	options.name = path.p;
	suite.program = sieve_compile(text, &options, &suite.errors);
	return suite.program;
}

static bool
script_run_run(struct sieve_run *r, const struct sieve_call *c)
{
	if (!suite.program)
		return sieve_fail(r, c, "test_script_run: no script has been compiled");
	sieve_result_fini(&suite.done);
	sieve_run(suite.program, &sievetest.host, &suite.done);
	suite.ran = true;
	return !suite.done.error;
}

/* The n-th error of what was compiled or run last; NULL: there are not so many. */
static const struct sieve_error *
error_at(uint64_t n)
{
	const struct sieve_error *e = suite.ran ? suite.done.error : suite.errors.first;

	while (e && --n)
		e = e->next;
	return e;
}

enum { SLOT_NTH = 1 };

static bool
test_error_run(struct sieve_run *r, const struct sieve_call *c)
{
	const struct sieve_arg *nth = sieve_arg(c, SLOT_NTH);
	const struct sieve_error *e;
	struct sieve_matching m;

	sieve_match_begin(&m, r, c);
	for (uint64_t i = nth ? nth->number : 1; (e = error_at(i)); i++)
		if (sieve_match_text(&m, slice_str(e->text)) || nth)
			break;
	return sieve_match_end(&m);
}

/* Those of the script that was run, or else those that the file itself has taken. */
static const struct sieve_action *
actions_of(struct sieve_run *r)
{
	(void)r;
	return suite.ran ? suite.done.actions : suite.result.actions;
}

/* An implicit keep is one in name too; what is only remembered is no action there. */
static bool
result_action_run(struct sieve_run *r, const struct sieve_call *c)
{
	const struct sieve_arg *nth = sieve_arg(c, SLOT_NTH);
	struct sieve_matching m;
	uint64_t n = 0;

	sieve_match_begin(&m, r, c);
	for (const struct sieve_action *a = actions_of(r); a; a = a->next) {
		if (a->kind == SIEVE_DUPLICATE || (nth && ++n != nth->number))
			continue;
		if (sieve_match_text(&m,
			slice_str(a->kind == SIEVE_FILEINTO ? "store" : sieve_act_name(a->kind))) ||
		    nth)
			break;
	}
	return sieve_match_end(&m);
}

/* ---- carrying out ------------------------------------------------------------------------------------------ */

static struct world_message *
message_new(const struct sieve_action *a)
{
	struct world_message *w = arena_new(&sievetest.arena, sizeof(*w));
	struct buf b = { 0 };

	if (a->header.n) {
		buf_slice(&b, a->header);
		buf_slice(&b, slice_from(sievetest.message, sievetest.host.header.n));
		w->text = arena_slice(&sievetest.arena, buf_get(&b));
	} else {
		w->text = sievetest.message;
	}
	buf_clear(&b);
	for (size_t i = 0; i < a->nflags; i++)
		buf_printf(&b, "%s" SFMT, i ? " " : "", SARG(a->flags[i]));
	w->flags = b.n ? arena_slice(&sievetest.arena, buf_get(&b)) : S("");
	buf_fini(&b);
	return w;
}

static void
message_append(struct world_message **list, struct world_message *w)
{
	while (*list)
		list = &(*list)->next;
	*list = w;
}

static bool
action_execute(const struct sieve_action *a)
{
	struct slice name = a->kind == SIEVE_KEEP ? S("INBOX") : a->where;
	struct world_mailbox *box = world_mailbox_find(name);

	if (a->kind == SIEVE_REDIRECT)
		message_append(&sievetest.sent, message_new(a));
	if (a->kind != SIEVE_KEEP && a->kind != SIEVE_FILEINTO)
		return true;
	if (!box && a->create)
		box = world_mailbox_make(name);
	if (box)
		message_append(&box->messages, message_new(a));
	return box;
}

static bool
result_execute_run(struct sieve_run *r, const struct sieve_call *c)
{
	bool good = true;

	(void)c;
	if (!suite.ran)
		sieve_run_end_actions(r);
	for (const struct sieve_action *a = actions_of(r); a; a = a->next)
		good = action_execute(a) && good;
	return good;
}

static bool
result_reset_run(struct sieve_run *r, const struct sieve_call *c)
{
	(void)c;
	sieve_result_fini(&suite.done);
	suite.ran = false;
	sieve_run_forget(r);
	return true;
}

/* ---- the store ------------------------------------------------------------------------------------------------ */

enum { SLOT_FOLDER = 1, SLOT_SMTP };

/* The message of that number, from 0, of a mailbox or of what was sent, becomes the one that tests see. */
static bool
test_message_run(struct sieve_run *r, const struct sieve_call *c)
{
	struct world_mailbox *box = world_mailbox_find(sieve_string(r, c, SLOT_FOLDER));
	struct world_message *w = sieve_arg(c, SLOT_SMTP) ? sievetest.sent :
	    box                                           ? box->messages :
							    NULL;

	for (uint64_t n = sieve_arg(c, 0)->number; w && n; n--)
		w = w->next;
	if (!w)
		return c->word->kind == SIEVE_COMMAND ?
		    sieve_fail(r, c, "test_message: there is no such message") :
		    false;
	world_message_set(w->text);
	sieve_run_message(r);
	return true;
}

static bool
test_mailbox_run(struct sieve_run *r, const struct sieve_call *c)
{
	struct slice name = sieve_string(r, c, 0);

	if (c->number)
		world_mailbox_make(name);
	return world_mailbox_find(name);
}

static bool
mailbox_create_check(struct sieve_compiler *c, struct sieve_call *call)
{
	(void)c;
	call->number = 1;
	return true;
}

/* ---- rows ------------------------------------------------------------------------------------------------------- */

static const struct sieve_tag tags_nth[] = {
	{ ":index", NULL, SIEVE_NUMBER, .slot = SLOT_NTH },
	{ .name = NULL },
};
static const struct sieve_tag tags_place[] = {
	{ ":folder", NULL, SIEVE_STRING, SIEVE_GROUP_1, .slot = SLOT_FOLDER },
	{ ":smtp", .group = SIEVE_GROUP_1, .slot = SLOT_SMTP },
	{ .name = NULL },
};
static const struct sieve_tag *const nth_tags[] = { tags_nth, sieve_tags_match, NULL };
static const struct sieve_tag *const place_tags[] = { tags_place, NULL };

#define SUITE "vnd.dovecot.testsuite"
const struct sieve_word suite_words[] = {
	{ "test", SIEVE_COMMAND, SUITE, "s", NULL, -1, .block = true, .open = test_block_open,
	    .close = test_block_close },
	{ "test_fail", SIEVE_COMMAND, SUITE, "s", NULL, -1, .run = test_fail_run },
	{ "test_set", SIEVE_COMMAND, SUITE, "ss", NULL, -1, .run = test_set_run },
	{ "test_script_compile", SIEVE_TEST, SUITE, "s", NULL, -1, .run = script_compile_run },
	{ "test_script_run", SIEVE_TEST, SUITE, "", NULL, -1, .run = script_run_run },
	{ "test_error", SIEVE_TEST, SUITE, "l", nth_tags, 0, .run = test_error_run },
	{ "test_result_action", SIEVE_TEST, SUITE, "l", nth_tags, 0, .run = result_action_run },
	{ "test_result_execute", SIEVE_TEST, SUITE, "", NULL, -1, .run = result_execute_run },
	{ "test_result_reset", SIEVE_COMMAND, SUITE, "", NULL, -1, .run = result_reset_run },
	{ "test_message", SIEVE_TEST, SUITE, "n", place_tags, -1, .run = test_message_run },
	{ "test_message", SIEVE_COMMAND, SUITE, "n", place_tags, -1, .run = test_message_run },
	{ "test_mailbox", SIEVE_TEST, SUITE, "s", NULL, -1, .run = test_mailbox_run },
	{ "test_mailbox_create", SIEVE_COMMAND, SUITE, "s", NULL, -1, .check = mailbox_create_check,
	    .run = test_mailbox_run },
	{ .name = NULL },
};

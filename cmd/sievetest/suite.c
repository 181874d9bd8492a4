/* suite.c: files of tests in the language of Pigeonhole's testsuite (vnd.dovecot.testsuite): what runs them.
 *
 * A file is a script, run step by step; its tests are blocks.  One that fails, or whose commands fail,
 * is left and the next one goes on, so that a file always tells of all its tests.  Output is TAP. */
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include "sievetest.h"

#define SUITE_TABLES 8 /* of words, and extensions: ours, those that scripts have, and the end */

struct suite suite;

struct slice
suite_path(struct slice name)
{
	struct slice path = slice_str(suite.path);
	size_t slash = slice_rfind(path, '/');

	if (slice_starts(name, S("/")) || slash == path.n)
		return slice_str(arena_cstr(&sievetest.arena, name));
	return slice_str(arena_printf(&sievetest.arena, SFMT "/" SFMT,
	    SARG(slice_sub(path, 0, slash)), SARG(name)));
}

static void
suite_errors_put(const struct sieve_error *e)
{
	struct buf line = { 0 };

	sieve_error_write(&line, e);
	fprintf(stderr, "%s\n", buf_cstr(&line));
	buf_fini(&line);
}

/* Runs to the end; an error within a test ends that test only. */
static void
suite_steps(void)
{
	for (;;) {
		const struct sieve_call *test;

		while (sieve_run_step(suite.at))
			;
		test = suite.test;
		if (!suite.result.error)
			return;
		if (!test) {
			suite_errors_put(suite.result.error);
			return;
		}
		suite.why = arena_printf(&sievetest.arena, "%u: %s", suite.result.error->line,
		    suite.result.error->text);
		sieve_run_resume(suite.at, test->no);
	}
}

static void
suite_end(void)
{
	sieve_run_free(&suite.at);
	sieve_result_fini(&suite.result);
	sieve_result_fini(&suite.done);
	sieve_errors_fini(&suite.errors);
	sieve_program_free(&suite.program);
}

int
suite_run(const char *path)
{
	const struct sieve_word *words[SUITE_TABLES] = { suite_words };
	const char *extensions[SUITE_TABLES] = { "vnd.dovecot.testsuite" };
	struct sieve_options options = sievetest.options;
	struct slice text = world_file(path);
	struct sieve_errors errors = { 0 };
	struct sieve_program *p;
	bool broken;

	if (!text.p)
		return EX_NOINPUT;
	suite = (struct suite){ .path = path };
	options.name = path;
	for (size_t i = 0; i < SUITE_TABLES - 2 && options.words[i]; i++)
		words[i + 1] = options.words[i];
	for (size_t i = 0; i < SUITE_TABLES - 2 && options.extensions[i]; i++)
		extensions[i + 1] = options.extensions[i];
	options.words = words;
	options.extensions = extensions;
	p = sieve_compile(text, &options, &errors);
	if (!p) {
		print_errors(path, &errors);
		sieve_errors_fini(&errors);
		return EX_CONFIG;
	}
	suite.at = sieve_run_new(p, &sievetest.host, &suite.result);
	suite_steps();
	broken = suite.result.error;
	buf_printf(&sievetest.out, "1..%u\n", suite.run);
	suite_end();
	sieve_program_free(&p);
	return broken || suite.failed ? EXIT_FAILED : 0;
}

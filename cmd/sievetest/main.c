/* sievetest: try Sieve scripts.
 *
 *	sievetest [options] SCRIPT [MESSAGE]
 *	sievetest --check SCRIPT ...
 *	sievetest --suite FILE ...
 *	sievetest --extensions
 *
 * A script is compiled and run as the daemons do it, on a message of a file (or standard input, "-"), in a
 * world that the options describe; what it would do is printed.  Nothing is stored or sent, nobody is
 * asked, and no program runs but those of --program. */
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include "daemon/program.h"
#include "sievetest.h"

struct sievetest sievetest;

static bool
sievetest_option(int c, const char *value)
{
	switch (c) {
	case 'C': sievetest.check = true; return true;
	case 'e': sievetest.extensions = true; return true;
	case 'j': sievetest.json = true; return true;
	case 's': sievetest.suite = true; return true;
	case 'T': sievetest.trace = true; return true;
	default: return world_option(c, value);
	}
}

/* The script of a file as a program; NULL after saying why not, and *code. */
static struct sieve_program *
script_compile(const char *path, int *code)
{
	struct slice text = world_file(path);
	struct sieve_errors errors = { 0 };
	struct sieve_program *p = NULL;

	*code = text.p ? EX_CONFIG : EX_NOINPUT;
	sievetest.options.name = path;
	if (text.p)
		p = sieve_compile(text, &sievetest.options, &errors);
	if (text.p && (!p || (sievetest.json && sievetest.check)))
		print_errors(path, &errors);
	sieve_errors_fini(&errors);
	return p;
}

static int
check_all(int argc, char **argv)
{
	int worst = 0, code;

	for (int i = 0; i < argc; i++) {
		struct sieve_program *p = script_compile(argv[i], &code);

		if (!p)
			worst = code;
		sieve_program_free(&p);
	}
	return worst;
}

static int
suite_all(int argc, char **argv)
{
	int worst = 0;

	for (int i = 0; i < argc; i++) {
		int code = suite_run(argv[i]);

		worst = code > worst ? code : worst;
	}
	return worst;
}

static int
run_one(int argc, char **argv)
{
	struct sieve_result result = { 0 };
	struct sieve_program *p;
	struct slice message;
	int code;

	p = script_compile(argv[0], &code);
	if (!p)
		return code;
	if (argc == 2) {
		message = world_file(argv[1]);
		if (!message.p) {
			sieve_program_free(&p);
			return EX_NOINPUT;
		}
		world_message_set(message);
	}
	if (sievetest.trace)
		sievetest.host.trace = print_trace;
	sieve_run(p, &sievetest.host, &result);
	print_result(argv[0], &result);
	code = result.error ? EXIT_FAILED : 0;
	sieve_result_fini(&result);
	sieve_program_free(&p);
	return code;
}

static int
extensions_put(void)
{
	const char *name;

	for (size_t i = 0; (name = sieve_extension(i)); i++)
		buf_printf(&sievetest.out, "%s\n", name);
	for (size_t i = 0; sievetest.options.extensions[i]; i++)
		buf_printf(&sievetest.out, "%s\n", sievetest.options.extensions[i]);
	return 0;
}

static int
sievetest_run(int argc, char **argv)
{
	int code = sievetest.extensions && argc == 0 ? extensions_put() :
	    sievetest.extensions || argc == 0        ? program_usage() :
	    sievetest.suite                          ? suite_all(argc, argv) :
	    sievetest.check                          ? check_all(argc, argv) :
	    argc > 2                                 ? program_usage() :
						       run_one(argc, argv);

	if (sievetest.out.n)
		fwrite(sievetest.out.p, 1, sievetest.out.n, stdout);
	buf_fini(&sievetest.out);
	arena_reset(&sievetest.arena);
	return ferror(stdout) || fflush(stdout) ? EX_IOERR : code;
}

static const struct option sievetest_longs[] = {
	{ "check", no_argument, NULL, 'C' },
	{ "delimiter", required_argument, NULL, 'd' },
	{ "environment", required_argument, NULL, 'E' },
	{ "envid", required_argument, NULL, 'X' },
	{ "extensions", no_argument, NULL, 'e' },
	{ "from", required_argument, NULL, 'f' },
	{ "global", required_argument, NULL, 'G' },
	{ "include", required_argument, NULL, 'I' },
	{ "json", no_argument, NULL, 'j' },
	{ "list", required_argument, NULL, 'L' },
	{ "mailbox", required_argument, NULL, 'b' },
	{ "notify", required_argument, NULL, 'n' },
	{ "now", required_argument, NULL, 'N' },
	{ "orcpt", required_argument, NULL, 'o' },
	{ "program", required_argument, NULL, 'p' },
	{ "ret", required_argument, NULL, 'r' },
	{ "seen", required_argument, NULL, 'D' },
	{ "spam", required_argument, NULL, 'S' },
	{ "suite", no_argument, NULL, 's' },
	{ "to", required_argument, NULL, 't' },
	{ "trace", no_argument, NULL, 'T' },
	{ "virus", required_argument, NULL, 'v' },
	{ "without", required_argument, NULL, 'w' },
	{ NULL, 0, NULL, 0 },
};

static const struct program sievetest_program = {
	.name = "sievetest",
	.kind = PROGRAM_TOOL,
	.about = "try Sieve scripts",
	.operands = "SCRIPT [MESSAGE] | --check SCRIPT ... | --suite FILE ... | --extensions",
	.letters = "b:CD:d:E:ef:G:I:jL:N:n:o:p:r:S:sTt:v:w:X:",
	.longs = sievetest_longs,
	.help = "  -b, --mailbox NAME       a mailbox that is there: NAME[,id=ID][,use=\\Use]\n"
		"  -C, --check              compile only\n"
		"  -D, --seen HANDLE=ID     what duplicate has seen before\n"
		"  -d, --delimiter CHAR     of subaddresses (+)\n"
		"  -E, --environment NAME=VALUE  an item of the environment\n"
		"  -e, --extensions         list what a script can require\n"
		"  -f, --from ADDRESS       the envelope's sender\n"
		"  -G, --global FOLDER      scripts that include :global finds\n"
		"  -I, --include FOLDER     scripts that include finds\n"
		"  -j, --json               JSON objects, one a line\n"
		"  -L, --list NAME=VALUE    a member of an external list\n"
		"  -N, --now DATE           the current date, like 2026-11-30T09:00:00+01:00\n"
		"  -n, --notify WORDS       the envelope's NOTIFY\n"
		"  -o, --orcpt ADDRESS      the envelope's ORCPT\n"
		"  -p, --program NAME=FILE  run FILE where a script wants the program NAME\n"
		"  -r, --ret WORD           the envelope's RET\n"
		"  -S, --spam PERCENT       what spamtest says (not tested)\n"
		"  -s, --suite              run files of tests\n"
		"  -T, --trace              show each step\n"
		"  -t, --to ADDRESS         the envelope's recipient\n"
		"  -v, --virus LEVEL        what virustest says, 0 to 5 (0)\n"
		"  -w, --without NAMES      extensions that are not to be had\n"
		"  -X, --envid TEXT         the envelope's ENVID\n",
	.option = sievetest_option,
	.run = sievetest_run,
};

int
main(int argc, char **argv)
{
	world_init();
	return program_run(&sievetest_program, argc, argv);
}

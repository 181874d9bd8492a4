/* daemon/program.c: the command line, the order of starting.
 *
 * It owns nothing but the options: the configuration is config.c's, the start of a daemon setup.c's,
 * its life parent.c's or single.c's.  Every main() calls it once.  What fails is said on standard
 * error, since the log may not be set up yet, and is an exit code of sysexits.h.  What must stay
 * true: nothing is changed on disk before the configuration is known to be good, and -n changes
 * nothing at all.  One file for daemons and tools, so that -c, -V and --help mean the same
 * everywhere. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/daemon-impl.h"

enum { LONG_HELP = 256, LONG_VERSION };

static struct {
	const char *file; /* of -c */
	bool check, keys;
} opt;

static void
program_put(struct buf *b, FILE *to)
{
	if (b->n)
		(void)fwrite(b->p, 1, b->n, to);
	buf_fini(b);
}

/* ---- the command line -------------------------------------------------------------------- */

static bool
letter_is_own(char c)
{
	return daemon_self.d->letters && strchr(daemon_self.d->letters, c);
}

static bool
is_tool(void)
{
	return daemon_self.d->kind == PROGRAM_TOOL;
}

/* The letters that the program has left to us. */
static void
common_letters(char room[8])
{
	size_t n = 0;

	for (const char *c = is_tool() ? "hV" : "dhknV"; *c; c++)
		if (!letter_is_own(*c))
			room[n++] = *c;
	room[n] = '\0';
}

/* "usage: NAME [-dhknV] [-c file] operands" */
static void
usage_line(FILE *to)
{
	const struct program *d = daemon_self.d;
	char letters[8];

	common_letters(letters);
	fprintf(to, "usage: %s%s%s%s [-c file]%s%s\n", d->name, *letters ? " [-" : "", letters,
	    *letters ? "]" : "", d->operands ? " " : "", d->operands ? d->operands : "");
}

int
program_usage(void)
{
	usage_line(stderr);
	if (daemon_self.d->help)
		fputs(daemon_self.d->help, stderr);
	return EX_USAGE;
}

static int
help_print(void)
{
	static const struct {
		char letter;
		bool tools;
		const char *text;
	} common[] = {
		{ 'c', true, "-c FILE         read this configuration file" },
		{ 'd', false, "-d              log everything, to standard error" },
		{ 'h', true, "-h, --help      print this" },
		{ 'k', false, "-k              list the keys of the configuration" },
		{ 'n', false, "-n              check the configuration, print what is in effect" },
		{ 'V', true, "-V, --version   print the version" },
	};
	const struct program *d = daemon_self.d;

	usage_line(stdout);
	printf("%s: %s\n", d->name, d->about);
	if (d->help)
		fputs(d->help, stdout);
	for (size_t i = 0; i < NELEM(common); i++)
		if (!letter_is_own(common[i].letter) && (common[i].tools || !is_tool()))
			printf("  %s\n", common[i].text);
	if (letter_is_own('h') || letter_is_own('V'))
		printf("  --help, --version\n");
	return 0;
}

static int
version_print(void)
{
	printf("%s (tiermail) %s\n", daemon_self.d->name, TIERMAIL_VERSION);
	return 0;
}

/* For getopt. */
static char *
letters_all(void)
{
	char common[8];

	common_letters(common);
	return mem_printf("%s%s%s", daemon_self.d->letters ? daemon_self.d->letters : "", common,
	    letter_is_own('c') ? "" : "c:");
}

static struct option *
longs_all(void)
{
	const struct option *own = daemon_self.d->longs;
	struct option *all;
	size_t n = 0;

	while (own && own[n].name)
		n++;
	all = mem_array(n + 3, sizeof(*all));
	for (size_t i = 0; i < n; i++)
		all[i] = own[i];
	all[n] = (struct option){ "help", no_argument, NULL, LONG_HELP };
	all[n + 1] = (struct option){ "version", no_argument, NULL, LONG_VERSION };
	return all;
}

static int
bad_option(int at, char **argv)
{
	if (optopt > 0 && optopt < LONG_HELP)
		fprintf(stderr, "%s: unknown option -%c, or its argument is missing\n",
		    daemon_self.d->name, optopt);
	else
		fprintf(stderr, "%s: unknown option %s\n", daemon_self.d->name, argv[at]);
	return program_usage();
}

/* One option: -1 to go on, or the exit code. */
static int
take_option(int c, int at, char **argv)
{
	if (c == LONG_HELP || (c == 'h' && !letter_is_own('h')))
		return help_print();
	if (c == LONG_VERSION || (c == 'V' && !letter_is_own('V')))
		return version_print();
	if (c == '?' || c == ':')
		return bad_option(at, argv);
	if (letter_is_own((char)c))
		return daemon_self.d->option(c, optarg) ? -1 : EX_USAGE;
	switch (c) {
	case 'c': opt.file = optarg; break;
	case 'd': daemon_self.debug = true; break;
	case 'k': opt.keys = true; break;
	case 'n': opt.check = true; break;
	default: break;
	}
	return -1;
}

static int
take_options(int argc, char **argv)
{
	char *letters = letters_all();
	struct option *longs = longs_all();
	int c, code = -1, at = 1;

	opterr = 0;
	while (code < 0 && (c = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		code = take_option(c, at, argv);
		at = optind;
	}
	mem_free(&letters);
	mem_free(&longs);
	return code;
}

void
program_conf(const char *file)
{
	opt.file = file;
}

const char *
program_conf_file(void)
{
	return daemon_self.shared_path;
}

/* ---- checking ---------------------------------------------------------------------------- */

/* -k: every key with type, default and meaning. */
static int
keys_print(void)
{
	struct buf b = { 0 };

	conf_describe(daemon_self.schemas, daemon_self.nschemas, &b);
	program_put(&b, stdout);
	return 0;
}

/* Reads and checks; complains on stderr, since the log may not be set up yet. */
static int
program_load(void)
{
	struct buf why = { 0 };
	char *text = NULL;
	int rc = config_load(false, &text);

	buf_str(&why, text ? text : "");
	free(text);
	if (rc == 0 && !is_tool()) {
		bool good = check_config(&why);

		if (!good || (daemon_self.d->check && !daemon_self.d->check(&why)))
			rc = -EINVAL;
	}
	program_put(&why, stderr);
	return rc;
}

/* -n */
static int
check_print(void)
{
	struct buf out = { 0 };

	conf_print(daemon_self.schemas, daemon_self.nschemas, &out);
	if (daemon_self.d->print)
		daemon_self.d->print(&out);
	program_put(&out, stdout);
	return 0;
}

/* ---- starting ---------------------------------------------------------------------------- */

static int
daemon_start(void)
{
	log_event(LOG_INFO, "start", "version=%s", TIERMAIL_VERSION);
	if (geteuid() == 0 && !*shared.user)
		log_event(LOG_WARN, "as_root", "why=%s",
		    log_str("user is not set: whoever takes this process over has the host"));
	setup_limits();
	if (setup_rundir() < 0 || setup_listeners() < 0)
		return EX_OSERR;
	if (daemon_self.d->privileged && daemon_self.d->privileged() < 0)
		return EX_OSERR;
	if (setup_privileges() < 0 || setup_run_files() < 0)
		return EX_OSERR;
	daemon_self.nworkers = daemon_self.d->workers ? *daemon_self.d->workers : 0;
	return daemon_self.nworkers > 0 ? parent_run() : single_run();
}

static int
daemon_start_master(void)
{
	setup_limits();
	return single_run();
}

static int
serve(int argc, char **argv)
{
	const struct program *d = daemon_self.d;
	int code = d->take ? d->take(opt.check, argc, argv) : 0;

	if (code)
		return code;
	if (opt.check)
		return check_print();
	if (config_log_open() < 0)
		return EX_OSERR;
	return d->kind == PROGRAM_MASTER ? daemon_start_master() : daemon_start();
}

int
program_run(const struct program *p, int argc, char **argv)
{
	int code;

	upgrade_init();
	daemon_self.d = p;
	daemon_self.started_ms = clock_mono_ms();
	if ((code = take_options(argc, argv)) >= 0)
		return code;
	if (optind < argc && !p->operands)
		return program_usage();
	if (!config_paths(opt.file)) {
		fprintf(stderr, "%s: %s: %s\n", p->name, daemon_self.file, strerror(errno));
		return EX_CONFIG;
	}
	if (opt.keys)
		return keys_print();
	log_init(p->name, LOG_TO_STDERR,
	    daemon_self.debug ? LOG_DEBUG :
		is_tool()     ? LOG_ERROR :
				LOG_INFO);
	if (program_load() < 0)
		return EX_CONFIG;
	argc -= optind;
	argv += optind;
	return is_tool() ? p->run(argc, argv) : serve(argc, argv);
}

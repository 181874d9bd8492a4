/* tmctl: what operators ask of running daemons, through their control sockets; see tmctl(8).
 *
 *	tmctl [-jT] [-c FILE] [-t SECONDS] [-H HOST[,HOST ...]] [-d DAEMON[,DAEMON ...]] COMMAND [ARGUMENT ...]
 *
 * Owns nothing: one line to each RUNDIR/NAME.ctl, and its answer; with -H likewise to the daemons of other
 * hosts (daemon/ask.h).  What a verb means is the daemon's matter (lib/daemon/admin.c); which daemons are asked
 * when none is named, and what is an error, is here; how it is printed is show.c's.  Exit codes are part of the
 * interface: scripts branch on them. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/shared.h"
#include "daemon/ask.h"
#include "daemon/remote.h"
#include "tmctl.h"

#define TIMEOUT_MOST 3600

enum { TMCTL_NOTHING = 1 }; /* exit: asked, answered, and nothing was there */

struct tmctl_options tmctl_options;
const char *tmctl_hosts[TMCTL_HOSTS];
size_t tmctl_nhosts;
char *tmctl_names[TMCTL_DAEMONS];
size_t tmctl_nnames;

struct command {
	const char *name;
	int ms;           /* for a daemon to answer, without --timeout */
	bool some;        /* a daemon without this verb is passed over, unless it was named */
	bool named;       /* touches what goes on: the daemon must be named, or kick says whom */
	bool counts;      /* nothing found is worth an exit code */
	bool table;       /* can be one */
	bool raw;         /* a page, not fields */
	const char *none; /* its answer then, or NULL: no line at all */
};
static const struct command commands[] = {
	{ "status", DAEMON_ASK_MS, .table = true },
	{ "version", DAEMON_ASK_MS, .table = true },
	{ "ping", DAEMON_ASK_MS, .table = false },
	{ "metrics", DAEMON_ASK_MS, .raw = true },
	{ "reload", TMCTL_RELOAD_MS, .table = false },
	{ "drain", DAEMON_ASK_MS, .named = true },
	{ "who", DAEMON_ASK_MS, .some = true, .counts = true },
	{ "kick", DAEMON_ASK_MS, .some = true, .counts = true, .none = "kicked=0" },
	{ "cache", DAEMON_ASK_MS, .some = true },
	{ "forget", DAEMON_ASK_MS, .some = true, .counts = true, .none = "ok sessions=0" },
};

void
tmctl_usage(const char *why)
{
	fprintf(stderr, "tmctl: %s\n", why);
	exit(program_usage());
}

static const struct command *
tmctl_command(const char *name)
{
	for (size_t i = 0; i < NELEM(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	tmctl_usage(mem_printf("unknown command: %s", name));
}

/* ---- whom -------------------------------------------------------------------------------------- */

void
tmctl_add(struct slice name)
{
	if (tmctl_nnames == TMCTL_DAEMONS)
		tmctl_usage("too many daemons");
	if (slice_find(name, '/') < name.n)
		tmctl_usage("a daemon's name has no slash");
	tmctl_names[tmctl_nnames++] = mem_strn(name.p, name.n);
}

static int
tmctl_by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All that have a socket; a channel-master's master has none. */
static void
tmctl_find(void)
{
	DIR *d = opendir(shared.rundir);
	struct dirent *e;

	if (!d) {
		fprintf(stderr, "tmctl: %s: %s\n", shared.rundir, strerror(errno));
		exit(EX_UNAVAILABLE);
	}
	while ((e = readdir(d))) {
		struct slice name = slice_str(e->d_name);

		if (name.n > 4 && slice_ends(name, S(".ctl")))
			tmctl_add(slice_sub(name, 0, name.n - 4));
	}
	(void)closedir(d);
	qsort(tmctl_names, tmctl_nnames, sizeof(*tmctl_names), tmctl_by_name);
}

void
tmctl_whom(const char *host)
{
	struct slice rest = slice_str(tmctl_options.only ? tmctl_options.only : ""), name;

	tmctl_whom_free();
	while (slice_cut(&rest, ',', &name))
		if (name.n)
			tmctl_add(name);
	for (size_t i = 0; !tmctl_options.only && host && daemon_remote_names[i]; i++)
		tmctl_add(slice_str(daemon_remote_names[i]));
	if (!tmctl_options.only && !host)
		tmctl_find();
}

void
tmctl_whom_free(void)
{
	for (; tmctl_nnames > 0; tmctl_nnames--)
		mem_free(&tmctl_names[tmctl_nnames - 1]);
}

static void
tmctl_take_hosts(const char *value)
{
	struct slice rest = slice_str(value), name;

	while (slice_cut(&rest, ',', &name)) {
		if (name.n == 0)
			continue;
		if (tmctl_nhosts == TMCTL_HOSTS)
			tmctl_usage("too many hosts");
		tmctl_hosts[tmctl_nhosts++] = mem_strn(name.p, name.n);
	}
}

/* ---- what comes of it -------------------------------------------------------------------------- */

/* "error: ...", or what one of several workers says, "worker=1 error: ...". */
bool
tmctl_is_error(struct slice line)
{
	struct slice rest = line, word;

	if (slice_starts(line, S("worker=")) && slice_word(&rest, &word))
		line = slice_trim(rest);
	return slice_starts(line, S("error: "));
}

int
tmctl_ask(const char *host, const char *name, struct slice line, int ms, struct buf *answer,
    struct tmctl_tally *t)
{
	char *why;
	int rc;

	if (tmctl_options.timeout_ms)
		ms = tmctl_options.timeout_ms;
	rc = daemon_ask(host, name, line, ms, answer, &why);
	/* A socket that a killed daemon has left is nobody. */
	if ((rc == -ECONNREFUSED || rc == -ENOENT) && !tmctl_options.only)
		return -ENOENT;
	if (rc == -ETIMEDOUT && !why)
		why = mem_printf("no answer within %g s", ms / 1000.0);
	if (rc == -EHOSTDOWN)
		fprintf(stderr, "tmctl: %s: %s\n", host, why ? why : "does not answer at all");
	else if (rc < 0)
		fprintf(stderr, "tmctl: %s%s%s: %s\n", host ? host : "", host ? ": " : "", name,
		    why ? why : strerror(-rc));
	t->away += rc < 0;
	mem_free(&why);
	return rc;
}

static void
tmctl_answered(const struct command *c, const char *host, const char *name, struct slice answer,
    struct tmctl_tally *t)
{
	bool table = tmctl_options.table && c->table;
	struct slice line;

	if (slice_starts(answer, S("error: unknown command")) && c->some && !tmctl_options.only)
		return;
	t->asked++;
	if (table)
		tmctl_row(host, name, answer);
	while (slice_cut(&answer, '\n', &line)) {
		t->stale += slice_ends(line, S(" replaced=program")) ||
		    slice_ends(line, S(" replaced=library"));
		if (tmctl_is_error(line))
			t->refused++;
		else if (!c->none || !slice_eq(line, slice_str(c->none)))
			t->found++;
		if (line.n && !table)
			tmctl_put(host, name, c->raw, line);
	}
}

/* 0, or -EHOSTDOWN: the others of that host need not be asked. */
static int
tmctl_one(const struct command *c, const char *host, const char *name, struct slice line,
    struct tmctl_tally *t)
{
	struct buf answer = { 0 };
	int rc = tmctl_ask(host, name, line, c->ms, &answer, t);

	if (rc == 0)
		tmctl_answered(c, host, name, buf_get(&answer), t);
	else if (rc != -ENOENT && tmctl_options.table && c->table)
		tmctl_row(host, rc == -EHOSTDOWN ? "-" : name, S(""));
	buf_fini(&answer);
	return rc == -EHOSTDOWN ? rc : 0;
}

static int
tmctl_code(const struct command *c, const struct tmctl_tally *t)
{
	if (t->away)
		return EX_UNAVAILABLE;
	if (t->refused)
		return EX_DATAERR;
	if (t->asked == 0) {
		fprintf(stderr, "tmctl: %s: no daemon here answers to that\n", c->name);
		return EX_UNAVAILABLE;
	}
	return (c->counts && t->found == 0) || t->stale ? TMCTL_NOTHING : 0;
}

static void
tmctl_all(const struct command *c, struct slice line, struct tmctl_tally *t)
{
	for (size_t h = 0; h == 0 || h < tmctl_nhosts; h++) {
		tmctl_whom(tmctl_hosts[h]);
		for (size_t i = 0; i < tmctl_nnames; i++)
			if (tmctl_one(c, tmctl_hosts[h], tmctl_names[i], line, t) == -EHOSTDOWN)
				break;
	}
	if (tmctl_options.table && c->table)
		tmctl_table();
	tmctl_whom_free();
}

static int
tmctl_run(int argc, char **argv)
{
	struct tmctl_tally t = { 0 };
	struct buf line = { 0 };
	const struct command *c;

	if (argc < 1)
		tmctl_usage("which command?");
	if (strcmp(argv[0], "config") == 0)
		return tmctl_config(argc, argv);
	if (strcmp(argv[0], "trace") == 0)
		return tmctl_trace(argc, argv);
	c = tmctl_command(argv[0]);
	if (c->named && !tmctl_options.only)
		tmctl_usage("drain: name the daemon with -d");
	for (int i = 0; i < argc; i++) {
		if (strpbrk(argv[i], "\r\n"))
			tmctl_usage("an argument has no line ends");
		buf_printf(&line, "%s%s", i ? " " : "", argv[i]);
	}
	/* Several hosts side by side are read as a table, unless by a script. */
	tmctl_options.table = (tmctl_options.table || tmctl_nhosts > 1) && !tmctl_options.json;
	tmctl_all(c, buf_get(&line), &t);
	buf_fini(&line);
	return fflush(stdout) != 0 ? EX_IOERR : tmctl_code(c, &t);
}

static bool
tmctl_timeout(const char *value)
{
	uint64_t s;

	if (slice_u64(slice_str(value), TIMEOUT_MOST, &s) == 0 && s > 0)
		tmctl_options.timeout_ms = (int)s * 1000;
	else
		fprintf(stderr, "tmctl: --timeout is in seconds, 1 to %d\n", TIMEOUT_MOST);
	return tmctl_options.timeout_ms > 0;
}

static bool
tmctl_option(int letter, const char *value)
{
	switch (letter) {
	case 'j': tmctl_options.json = true; break;
	case 'T': tmctl_options.table = true; break;
	case 'd': tmctl_options.only = value; break;
	case 'H': tmctl_take_hosts(value); break;
	case 't': return tmctl_timeout(value);
	default: return false;
	}
	return true;
}

static const struct option longs[] = {
	{ "json", no_argument, NULL, 'j' },
	{ "table", no_argument, NULL, 'T' },
	{ "daemon", required_argument, NULL, 'd' },
	{ "host", required_argument, NULL, 'H' },
	{ "timeout", required_argument, NULL, 't' },
	{ 0 },
};

static const struct program tmctl_program = {
	.name = "tmctl",
	.kind = PROGRAM_TOOL,
	.about = "asks running daemons, and tells them",
	.operands = "command [argument ...]",
	.letters = "+jTd:H:t:",
	.longs = longs,
	.help =
	    "  -d, --daemon=NAMES    ask these, separated by commas (all that run)\n"
	    "  -H, --host=HOSTS      those of other hosts, by TLS with tls.certificate\n"
	    "  -j, --json            one JSON object a line\n"
	    "  -t, --timeout=SECONDS for a daemon to answer (10; reload: 30)\n"
	    "  -T, --table           status and version as a table, as for several hosts\n"
	    "commands: who [KEY=VALUE ...], kick KEY=VALUE ..., cache show, cache purge [USER],\n"
	    "  drain [SECONDS], forget USER, status, version, ping, reload, metrics,\n"
	    "  trace [seconds=N] [size=N] KEY=VALUE ...,\n"
	    "  config get [KEY ...], config set KEY=VALUE ..., config unset KEY ..., config diff\n"
	    "tmctl serve is a daemon, see tmctl-serve(8)\n"
	    "keys: sid, user, peer, protocol, store, seconds, size\n",
	.option = tmctl_option,
	.run = tmctl_run,
};

int
main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "serve") == 0)
		return program_run(&tmctl_serve_program, argc - 1, argv + 1);
	return program_run(&tmctl_program, argc, argv);
}

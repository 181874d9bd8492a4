/* tmctl: what operators ask of running daemons, through their control sockets; see tmctl(8).
 *
 *	tmctl [-j] [-c FILE] [-H HOST] [-d DAEMON[,DAEMON ...]] COMMAND [ARGUMENT ...]
 *
 * Owns nothing: one line to each RUNDIR/NAME.ctl, and its answer; with -H likewise to the daemons of another
 * host (daemon/ask.h).  What a verb means is the daemon's matter (lib/daemon/admin.c); which daemons are asked
 * when none is named, what is an error, and how it is printed is here.  Exit codes are part of the interface: scripts branch on them. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/json.h"
#include "base/kv.h"
#include "base/mem.h"
#include "conf/shared.h"
#include "daemon/ask.h"
#include "daemon/program.h"
#include "daemon/remote.h"
#include "tmctl.h"

#define TMCTL_DAEMONS 64
#define RELOAD_MS                                                                                  \
	30000 /* it checks the new configuration in a process of its own, and waits 10 s for that */
#define TIMEOUT_MOST 3600

enum { TMCTL_NOTHING = 1 }; /* exit: asked, answered, and nothing was there */

static bool json;
static const char *only; /* -d */
static const char *host; /* -H */
static int timeout_ms;   /* -t; 0: as the command says */
static char *names[TMCTL_DAEMONS];
static size_t nnames;
static struct buf out; /* JSON: an object a line */

struct command {
	const char *name;
	int ms;           /* for a daemon to answer, without --timeout */
	bool some;        /* a daemon without this verb is passed over, unless it was named */
	bool named;       /* touches what goes on: the daemon must be named, or kick says whom */
	bool counts;      /* nothing found is worth an exit code */
	const char *none; /* its answer then, or NULL: no line at all */
};
static const struct command commands[] = {
	{ "status", DAEMON_ASK_MS, false, false, false, NULL },
	{ "ping", DAEMON_ASK_MS, false, false, false, NULL },
	{ "metrics", DAEMON_ASK_MS, false, false, false, NULL },
	{ "reload", RELOAD_MS, false, false, false, NULL },
	{ "drain", DAEMON_ASK_MS, false, true, false, NULL },
	{ "who", DAEMON_ASK_MS, true, false, true, NULL },
	{ "kick", DAEMON_ASK_MS, true, false, true, "kicked=0" },
	{ "cache", DAEMON_ASK_MS, true, false, false, NULL },
	{ "forget", DAEMON_ASK_MS, true, false, true, "ok sessions=0" },
};

static NORETURN void
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

static void
tmctl_add(struct slice name)
{
	if (nnames == TMCTL_DAEMONS)
		tmctl_usage("too many daemons");
	if (slice_find(name, '/') < name.n)
		tmctl_usage("a daemon's name has no slash");
	names[nnames++] = mem_strn(name.p, name.n);
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
	qsort(names, nnames, sizeof(*names), tmctl_by_name);
}

static void
tmctl_whom(void)
{
	struct slice rest = slice_str(only ? only : ""), name;

	while (slice_cut(&rest, ',', &name))
		if (name.n)
			tmctl_add(name);
	for (size_t i = 0; !only && host && daemon_remote_names[i]; i++)
		tmctl_add(slice_str(daemon_remote_names[i]));
	if (!only && !host)
		tmctl_find();
}

/* ---- printing ---------------------------------------------------------------------------------- */

static void
tmctl_json_line(const char *daemon, struct slice line)
{
	struct slice rest = line, k, v;
	struct buf d = { 0 };
	char key[64];
	uint64_t n;

	buf_lit(&out, "{");
	json_put_str(&out, "from", slice_str(daemon));
	while (kv_next(&rest, &k, &v)) {
		buf_clear(&d);
		if (!v.p) {
			if (k.n)
				json_put_str(&out, "is", k);
			continue;
		}
		slice_cstr(k, key, sizeof(key));
		if (kv_decode(&d, v) < 0) {
			buf_clear(&d);
			buf_slice(&d, v);
		}
		if (slice_u64(buf_get(&d), INT64_MAX, &n) == 0 && !slice_eq(k, S("sid")))
			json_put_i64(&out, key, (int64_t)n);
		else
			json_put_str(&out, key, buf_get(&d));
	}
	buf_lit(&out, "}");
	buf_fini(&d);
}

/* Words that are no fields (an error, the pages of metrics) stay a text. */
static void
tmctl_json_text(const char *daemon, const char *key, struct slice text)
{
	buf_lit(&out, "{");
	json_put_str(&out, "from", slice_str(daemon));
	json_put_str(&out, key, text);
	buf_lit(&out, "}");
}

static void
tmctl_put(const char *daemon, const char *verb, struct slice line)
{
	bool raw = strcmp(verb, "metrics") == 0;

	if (!json && (raw || nnames == 1)) {
		printf(SFMT "\n", SARG(line));
	} else if (!json) {
		printf("%s: " SFMT "\n", daemon, SARG(line));
	} else {
		buf_clear(&out);
		if (slice_starts(line, S("error: ")))
			tmctl_json_text(daemon, "error", slice_from(line, strlen("error: ")));
		else if (raw || slice_find(line, '=') == line.n)
			tmctl_json_text(daemon, "text", line);
		else
			tmctl_json_line(daemon, line);
		printf(SFMT "\n", SARG(buf_get(&out)));
	}
}

/* ---- what comes of it -------------------------------------------------------------------------- */

struct tally {
	size_t asked, found, refused, away;
};

/* "error: ...", or what one of several workers says, "worker=1 error: ...". */
static bool
tmctl_is_error(struct slice line)
{
	struct slice rest = line, word;

	if (slice_starts(line, S("worker=")) && slice_word(&rest, &word))
		line = slice_trim(rest);
	return slice_starts(line, S("error: "));
}

static void
tmctl_answered(const struct command *c, const char *name, struct slice answer, struct tally *t)
{
	struct slice line;

	if (slice_starts(answer, S("error: unknown command")) && c->some && !only)
		return;
	t->asked++;
	while (slice_cut(&answer, '\n', &line)) {
		if (tmctl_is_error(line))
			t->refused++;
		else if (!c->none || !slice_eq(line, slice_str(c->none)))
			t->found++;
		if (line.n)
			tmctl_put(name, c->name, line);
	}
}

static void
tmctl_one(const struct command *c, const char *name, struct slice line, struct tally *t)
{
	struct buf answer = { 0 };
	int ms = timeout_ms ? timeout_ms : c->ms, rc;
	char *why;

	rc = daemon_ask(host, name, line, ms, &answer, &why);
	if (rc == -ETIMEDOUT && !why)
		why = mem_printf("no answer within %g s", ms / 1000.0);

	/* A socket that a killed daemon has left is nobody. */
	if ((rc == -ECONNREFUSED || rc == -ENOENT) && !only) {
		buf_fini(&answer);
		return;
	}
	if (rc < 0) {
		fprintf(stderr, "tmctl: %s%s%s: %s\n", host ? host : "", host ? ": " : "", name,
		    why ? why : strerror(-rc));
		t->away++;
	} else {
		tmctl_answered(c, name, buf_get(&answer), t);
	}
	mem_free(&why);
	buf_fini(&answer);
}

static int
tmctl_code(const struct command *c, const struct tally *t)
{
	if (t->away)
		return EX_UNAVAILABLE;
	if (t->refused)
		return EX_DATAERR;
	if (t->asked == 0) {
		fprintf(stderr, "tmctl: %s: no daemon here answers to that\n", c->name);
		return EX_UNAVAILABLE;
	}
	return c->counts && t->found == 0 ? TMCTL_NOTHING : 0;
}

static int
tmctl_run(int argc, char **argv)
{
	struct tally t = { 0 };
	struct buf line = { 0 };
	const struct command *c;

	if (argc < 1)
		tmctl_usage("which command?");
	c = tmctl_command(argv[0]);
	if (c->named && !only)
		tmctl_usage("drain: name the daemon with -d");
	for (int i = 0; i < argc; i++) {
		if (strpbrk(argv[i], "\r\n"))
			tmctl_usage("an argument has no line ends");
		buf_printf(&line, "%s%s", i ? " " : "", argv[i]);
	}
	tmctl_whom();
	for (size_t i = 0; i < nnames; i++)
		tmctl_one(c, names[i], buf_get(&line), &t);
	for (size_t i = 0; i < nnames; i++)
		mem_free(&names[i]);
	buf_fini(&line);
	buf_fini(&out);
	return fflush(stdout) != 0 ? EX_IOERR : tmctl_code(c, &t);
}

static bool
tmctl_timeout(const char *value)
{
	uint64_t s;

	if (slice_u64(slice_str(value), TIMEOUT_MOST, &s) == 0 && s > 0)
		timeout_ms = (int)s * 1000;
	else
		fprintf(stderr, "tmctl: --timeout is in seconds, 1 to %d\n", TIMEOUT_MOST);
	return timeout_ms > 0;
}

static bool
tmctl_option(int letter, const char *value)
{
	switch (letter) {
	case 'j': json = true; break;
	case 'd': only = value; break;
	case 'H': host = value; break;
	case 't': return tmctl_timeout(value);
	default: return false;
	}
	return true;
}

static const struct option longs[] = {
	{ "json", no_argument, NULL, 'j' },
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
	.letters = "+jd:H:t:",
	.longs = longs,
	.help =
	    "  -d, --daemon=NAMES    ask these, separated by commas (all that run)\n"
	    "  -H, --host=HOST       those of that host, by TLS with tls.certificate\n"
	    "  -j, --json            one JSON object a line\n"
	    "  -t, --timeout=SECONDS for a daemon to answer (10; reload: 30)\n"
	    "commands: who [KEY=VALUE ...], kick KEY=VALUE ..., cache show, cache purge [USER],\n"
	    "  drain [SECONDS], forget USER, status, ping, reload, metrics\n"
	    "tmctl serve is a daemon, see tmctl-serve(8)\n"
	    "keys: sid, user, peer, protocol, store\n",
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

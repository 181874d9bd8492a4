/* tmlog: follows messages through the logs of all daemons, of one host or of many; see tmlog(1).
 *
 *	tmlog [-j] [-l LOG ...] [-m MOST] [-s SINCE] [-u UNTIL] CONDITION ...
 *
 * Owns the question (follow/follow.h, which reads the logs).  Can fail: logs that cannot be read.  The exit code tells whether anything was found. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/mem.h"
#include "conf/shared.h"
#include "daemon/program.h"
#include "tmlog.h"

#define TMLOG_LOGS 64 /* -l */

enum { TMLOG_NOTHING = 1 };

static bool json;
static struct follow *follow;
static const char *logs[TMLOG_LOGS];
static size_t nlogs;

static bool
tmlog_most(const char *value)
{
	uint64_t n;

	if (slice_u64(slice_str(value), 100000, &n) < 0 || n == 0) {
		fprintf(stderr, "tmlog: -m %s: a number, 1 to 100000\n", value);
		return false;
	}
	follow_most(follow, (size_t)n);
	return true;
}

static bool
tmlog_time(char letter, const char *value)
{
	static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ";
	size_t n = strlen(value);

	for (size_t i = 0; i < n; i++) {
		char want = i < sizeof(form) - 1 ? form[i] : '\0';

		if (want == 'd' ? value[i] < '0' || value[i] > '9' : value[i] != want) {
			fprintf(stderr,
			    "tmlog: -%c %s: like 2026-11-30 or 2026-11-30T08:20 (UTC)\n", letter,
			    value);
			return false;
		}
	}
	return true;
}

static bool
tmlog_option(int letter, const char *value)
{
	switch (letter) {
	case 'j': json = true; break;
	case 'l':
		if (nlogs == TMLOG_LOGS) {
			fprintf(stderr, "tmlog: no more than %d logs; a folder is one\n",
			    TMLOG_LOGS);
			return false;
		}
		logs[nlogs++] = value;
		break;
	case 'm': return tmlog_most(value);
	case 's': follow_since(follow, value); return tmlog_time('s', value);
	case 'u': follow_until(follow, value); return tmlog_time('u', value);
	default: return false;
	}
	return true;
}

/* Those of -l; else the folder where this host's daemons write. */
static int
tmlog_sources(void)
{
	const char *dir =
	    shared.log_to && strncmp(shared.log_to, "dir:", 4) == 0 ? shared.log_to + 4 : NULL;
	int rc = 0;

	for (size_t i = 0; i < nlogs && rc == 0; i++)
		rc = follow_join(follow, logs[i]);
	if (nlogs == 0 && !dir) {
		fprintf(stderr,
		    "tmlog: which logs?  -l FILE, a folder, or - for standard input; log_to of "
		    "tiermail.conf is no folder\n");
		return EX_USAGE;
	}
	if (nlogs == 0)
		rc = follow_join(follow, dir);
	if (rc == 0 && follow_joined(follow) == 0) {
		fprintf(stderr, "tmlog: %s: no NAME.log in it\n", nlogs ? logs[0] : dir);
		return EX_NOINPUT;
	}
	return rc < 0 ? EX_NOINPUT : 0;
}

/* What the question could not do, a line each. */
static void
tmlog_sorry(void)
{
	struct slice rest = follow_why(follow), line;

	while (slice_cut(&rest, '\n', &line))
		fprintf(stderr, "tmlog: " SFMT "\n", SARG(line));
}

static void
tmlog_print(void)
{
	struct buf out = { 0 };
	struct follow_story *s;

	list_each(s, follow_stories(follow), struct follow_story, link)
	{
		buf_clear(&out);
		if (json)
			print_story_json(s, &out);
		else
			print_story(s, &out);
		(void)fwrite(out.p, 1, out.n, stdout);
	}
	buf_fini(&out);
}

static int
tmlog_tell(void)
{
	const char *missing;
	int rc = follow_run(follow) < 0 ? EX_IOERR : 0;

	tmlog_print();
	if ((missing = follow_missing(follow)))
		fprintf(stderr, "tmlog: %s\n", missing);
	return rc ? rc : list_empty(follow_stories(follow)) ? TMLOG_NOTHING : 0;
}

static int
tmlog_run(int argc, char **argv)
{
	int rc;

	for (int i = 0; i < argc; i++)
		if (!follow_condition(follow, argv[i])) {
			tmlog_sorry();
			return program_usage();
		}
	if (follow_empty(follow)) {
		fprintf(stderr, "tmlog: which message?\n");
		return program_usage();
	}
	if ((rc = tmlog_sources()) == 0)
		rc = tmlog_tell();
	tmlog_sorry();
	follow_free(&follow);
	if (fflush(stdout) != 0 || ferror(stdout))
		return EX_IOERR;
	return rc;
}

static const struct option longs[] = {
	{ "json", no_argument, NULL, 'j' },
	{ "log", required_argument, NULL, 'l' },
	{ "most", required_argument, NULL, 'm' },
	{ "since", required_argument, NULL, 's' },
	{ "until", required_argument, NULL, 'u' },
	{ 0 },
};

static const struct program tmlog_program = {
	.name = "tmlog",
	.kind = PROGRAM_TOOL,
	.about = "follow messages through the logs",
	.operands = "condition ...",
	.letters = "jl:m:s:u:",
	.longs = longs,
	.help =
	    "  -j, --json            one JSON object a message\n"
	    "  -l, --log=LOG         a file, a folder, or - (the folder of log_to)\n"
	    "  -m, --most=MOST       no more messages than these (1000)\n"
	    "  -s, --since=TIME      asked for by lines not before (UTC: 2026-11-30T08:20)\n"
	    "  -u, --until=TIME      ... nor after\n"
	    "a condition is a Message-ID, an address, the id of a message or session, or one of\n"
	    "keys: id, qid, sid, msgid, from, to, address, user, peer\n",
	.option = tmlog_option,
	.run = tmlog_run,
};

int
main(int argc, char **argv)
{
	follow = follow_new();
	return program_run(&tmlog_program, argc, argv);
}

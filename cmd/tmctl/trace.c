/* tmctl/trace.c: `tmctl trace`: what sessions say, while they say it.
 *
 * Owns the id of the trace, and the lines of one round until they are in the order of time.  Called by main.c.  A daemon
 * keeps lines for us and forgets the trace when nobody asks for some seconds (lib/daemon/wire.c), so that nothing is left
 * of one that dies.  It ends after a time, after a number of octets, or by a signal, whatever comes first. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/kv.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "daemon/ask.h"
#include "tmctl.h"

#define TRACE_SECONDS      60
#define TRACE_SECONDS_MOST 3600
#define TRACE_SIZE         (1024 * 1024)
#define TRACE_SIZE_MOST    (1024 * 1024 * 1024)
#define TRACE_ROUND_MS     500

enum { TRACE_NOTHING = 1 };

/* A daemon that traces for us. */
struct traced {
	const char *host;
	char *name;
};
struct traced_line {
	char *at; /* when: sorts as text */
	char *text;
};

static struct {
	char id[14];
	uint64_t seconds, size;
	struct buf filter;
	struct traced *by;
	size_t nby;
	struct traced_line *lines; /* of this round */
	size_t nlines;
	uint64_t put; /* octets that were printed */
	size_t shown;
	bool over;
} trace;

static volatile sig_atomic_t trace_signal;

static void
trace_on_signal(int sig)
{
	trace_signal = sig;
}

/* ---- what is asked ------------------------------------------------------------------------------- */

static void
trace_arguments(int argc, char **argv)
{
	trace.seconds = TRACE_SECONDS;
	trace.size = TRACE_SIZE;
	for (int i = 1; i < argc; i++) {
		struct slice arg = slice_str(argv[i]);

		if (slice_starts(arg, S("seconds="))) {
			if (slice_u64(slice_from(arg, 8), TRACE_SECONDS_MOST, &trace.seconds) < 0)
				tmctl_usage("trace: seconds=1 to 3600");
		} else if (slice_starts(arg, S("size="))) {
			if (slice_u64(slice_from(arg, 5), TRACE_SIZE_MOST, &trace.size) < 0)
				tmctl_usage("trace: size= is in octets, 1 GiB at most");
		} else if (strpbrk(argv[i], "\r\n")) {
			tmctl_usage("an argument has no line ends");
		} else {
			buf_printf(&trace.filter, " %s", argv[i]);
		}
	}
	if (trace.filter.n == 0)
		tmctl_usage("trace whom?  KEY=VALUE ...");
}

/* Who speaks line by line to clients: the others would have nothing to show. */
static bool
trace_speaks(const char *name)
{
	static const char *const speak[] = { "smtp-relay", "lmtpd", "imapd", "pop3d", "sieved",
		"mmpd" };

	for (size_t i = 0; i < NELEM(speak); i++)
		if (strcmp(name, speak[i]) == 0)
			return true;
	return tmctl_options.only;
}

static int
trace_ask(const struct traced *by, const char *what, struct slice rest, struct buf *answer,
    struct tmctl_tally *t)
{
	char *line = mem_printf("trace %s %s" SFMT, what, trace.id, SARG(rest));
	int rc;

	buf_clear(answer);
	rc = tmctl_ask(by->host, by->name, slice_str(line), DAEMON_ASK_MS, answer, t);
	mem_free(&line);
	return rc;
}

/* ---- lines --------------------------------------------------------------------------------------- */

static char *
trace_text(const struct traced *by, const char *const fields[5])
{
	struct buf b = { 0 };

	if (tmctl_options.json) {
		static const char *const names[] = { "at", "sid", "proto", "dir", "line" };

		buf_lit(&b, "{");
		if (by->host)
			json_put_str(&b, "host", slice_str(by->host));
		json_put_str(&b, "from", slice_str(by->name));
		for (size_t i = 0; i < NELEM(names); i++)
			json_put_str(&b, names[i], slice_str(fields[i]));
		buf_lit(&b, "}");
	} else {
		buf_printf(&b, "%s %s%s%s %s %s %s %s", fields[0], by->host ? by->host : "",
		    by->host ? ": " : "", by->name, fields[1], fields[2], fields[3],
		    log_value(slice_str(fields[4])));
	}
	return buf_take(&b);
}

/* "wire at=... sid=... proto=... dir=... line=..." */
static void
trace_line(const struct traced *by, struct slice line)
{
	static const char *const names[] = { "at", "sid", "proto", "dir", "line" };
	struct buf value = { 0 };
	char *fields[5];

	for (size_t i = 0; i < NELEM(names); i++) {
		buf_clear(&value);
		if (kv_decode(&value, kv_find(line, names[i])) < 0)
			buf_clear(&value);
		fields[i] = mem_str(buf_cstr(&value));
	}
	trace.lines = mem_grow(trace.lines, trace.nlines + 1, sizeof(*trace.lines));
	trace.lines[trace.nlines].text = trace_text(by, (const char *const *)fields);
	trace.lines[trace.nlines++].at = fields[0];
	for (size_t i = 1; i < NELEM(names); i++)
		mem_free(&fields[i]);
	buf_fini(&value);
}

/* A worker that has begun since does not know of it: it is told again. */
static void
trace_heard(const struct traced *by, struct slice answer, struct tmctl_tally *t)
{
	struct slice line;
	struct buf again = { 0 };

	while (slice_cut(&answer, '\n', &line)) {
		if (slice_starts(line, S("wire ")))
			trace_line(by, line);
		else if (slice_starts(line, S("lost=")))
			fprintf(stderr, "tmctl: %s: " SFMT " lines were too many\n", by->name,
			    SARG(slice_from(line, 5)));
		else if (slice_starts(line, S("error: there is no such trace"))) {
			if (!trace.over &&
			    trace_ask(by, "start", buf_get(&trace.filter), &again, t) < 0)
				break;
		} else if (tmctl_is_error(line)) { /* what one of its workers had is missing */
			fprintf(stderr, "tmctl: %s: " SFMT "\n", by->name, SARG(line));
			t->refused++;
		}
	}
	buf_fini(&again);
}

static int
trace_by_time(const void *a, const void *b)
{
	return strcmp(((const struct traced_line *)a)->at, ((const struct traced_line *)b)->at);
}

static void
trace_put(void)
{
	if (trace.nlines)
		qsort(trace.lines, trace.nlines, sizeof(*trace.lines), trace_by_time);
	for (size_t i = 0; i < trace.nlines; i++) {
		size_t n = strlen(trace.lines[i].text) + 1;

		if (trace.put + n <= trace.size) {
			puts(trace.lines[i].text);
			trace.shown++;
		} else if (!trace.over) {
			fprintf(stderr, "tmctl: trace: that is all of size=%llu\n",
			    (unsigned long long)trace.size);
			trace.over = true;
		}
		trace.put += n;
		mem_free(&trace.lines[i].at);
		mem_free(&trace.lines[i].text);
	}
	mem_free(&trace.lines);
	trace.nlines = 0;
	trace.over |= fflush(stdout) != 0;
}

/* ---- from start to stop -------------------------------------------------------------------------- */

static void
trace_start_on(const char *host, const char *name, struct tmctl_tally *t)
{
	struct traced by = { host, mem_str(name) };
	struct buf answer = { 0 };
	struct slice line, rest;
	bool good;
	int rc = trace_ask(&by, "start", buf_get(&trace.filter), &answer, t);

	rest = buf_get(&answer);
	good = rc == 0 && !slice_starts(rest, S("error: "));
	if (rc == 0 && !good && (tmctl_options.only || !slice_starts(rest, S("error: unknown")))) {
		(void)slice_cut(&rest, '\n', &line);
		tmctl_put(host, name, false, line);
		t->refused++;
	}
	buf_fini(&answer);
	if (!good) {
		mem_free(&by.name);
		return;
	}
	trace.by = mem_grow(trace.by, trace.nby + 1, sizeof(*trace.by));
	trace.by[trace.nby++] = by;
}

static void
trace_start(struct tmctl_tally *t)
{
	for (size_t h = 0; h == 0 || h < tmctl_nhosts; h++) {
		size_t down = t->away;

		tmctl_whom(tmctl_hosts[h]);
		for (size_t i = 0; i < tmctl_nnames; i++)
			if (trace_speaks(tmctl_names[i]) && t->away == down)
				trace_start_on(tmctl_hosts[h], tmctl_names[i], t);
	}
	tmctl_whom_free();
}

static void
trace_round(const char *what, struct tmctl_tally *t)
{
	struct buf answer = { 0 };

	for (size_t i = 0; i < trace.nby; i++)
		if (trace_ask(&trace.by[i], what, S(""), &answer, t) == 0)
			trace_heard(&trace.by[i], buf_get(&answer), t);
	buf_fini(&answer);
	trace_put();
}

static void
trace_follow(struct tmctl_tally *t)
{
	const struct timespec pause = { .tv_nsec = TRACE_ROUND_MS * 1000000L };
	uint64_t until = clock_mono_ms() + trace.seconds * 1000;
	size_t away = t->away;

	while (!trace_signal && !trace.over && clock_mono_ms() < until && t->away == away) {
		nanosleep(&pause, NULL);
		trace_round("take", t);
	}
	trace.over = true;
	trace_round("stop", t);
}

int
tmctl_trace(int argc, char **argv)
{
	struct sigaction act = { .sa_handler = trace_on_signal };
	struct tmctl_tally t = { 0 };

	trace_arguments(argc, argv);
	(void)random_id(trace.id);
	(void)sigaction(SIGINT, &act, NULL);
	(void)sigaction(SIGTERM, &act, NULL);
	trace_start(&t);
	if (trace.nby)
		trace_follow(&t);
	for (size_t i = 0; i < trace.nby; i++)
		mem_free(&trace.by[i].name);
	mem_free(&trace.by);
	buf_fini(&trace.filter);
	if (t.away || (!trace.nby && !t.refused))
		return EX_UNAVAILABLE;
	return t.refused ? EX_DATAERR : trace.shown ? 0 : TRACE_NOTHING;
}

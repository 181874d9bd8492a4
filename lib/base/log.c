/* log.c: one line, one write, or one write for the lines of a loop's turn: a message in transit
 * makes two or three lines in each daemon, and their writes were a tenth of its CPU.
 *
 * Called everywhere, from any thread: lines are built on the stack and gathered per thread, so
 * there is no lock.  Nothing can fail; what cannot be written is lost.  What must stay true: a
 * line has no control characters, whoever sent the text; lines that are gathered come out before
 * the process forks or ends; a gathered write is at most PIPE_BUF, so that processes do not mix
 * theirs. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/civil.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/logfile.h"
#include "base/print.h"
#include "base/scan.h"

/* syslog.h has macros of the same names as our levels: take our numbers before it comes. */
enum { LVL_ERROR = LOG_ERROR, LVL_WARN = LOG_WARN, LVL_INFO = LOG_INFO, LVL_DEBUG = LOG_DEBUG };
#include <syslog.h>

#define LINE_MAX_LEN 4096 /* POSIX writes up to PIPE_BUF bytes in one piece */
#define VALUE_MAX    300
#define NVALUES      8

static const char *prog = "tiermail";
static enum log_sink out = LOG_TO_STDERR;
static int most_level = LVL_INFO;
static _Thread_local char context[32];
/* Gathered lines; PIPE_BUF, so that what several processes write into one pipe stays whole. */
static _Thread_local struct {
	bool on;
	size_t n;
	char bytes[LINE_MAX_LEN];
} gathered;
static int pid; /* getpid is a system call, and a line is written for every recipient */

static const struct {
	const char *name;
	int priority;
} levels[] = {
	[LVL_ERROR] = { "error", LOG_ERR },
	[LVL_WARN] = { "warn", LOG_WARNING },
	[LVL_INFO] = { "info", LOG_INFO },
	[LVL_DEBUG] = { "debug", LOG_DEBUG },
};

/* What stands between time and event, for each level: made once, for printf is what lines cost. */
static struct {
	char text[120];
	size_t n;
} prefixes[NELEM(levels)];

static void
prefix_make(int level)
{
	prefixes[level].n = (size_t)snprintf(prefixes[level].text, sizeof(prefixes[level].text),
	    " lvl=%s who=%.64s[%d] ", levels[level].name, prog, pid ? pid : (int)getpid());
}

/* Whole lines. */
static void
log_out(struct slice lines)
{
	if (out == LOG_TO_FILE)
		logfile_put(lines);
	else
		(void)!write(STDERR_FILENO, lines.p, lines.n);
}

void
log_flush(void)
{
	if (gathered.n)
		log_out(slice(gathered.bytes, gathered.n));
	gathered.n = 0;
}

void
log_end(void)
{
	log_flush();
	if (out == LOG_TO_FILE)
		logfile_drain();
}

void
log_gather(void)
{
	static bool once;

	if (!once)
		(void)atexit(log_flush);
	once = true;
	gathered.on = true;
}

static void
log_fork(void)
{
	log_flush();
	logfile_fork();
}

static void
log_forked(void)
{
	pid = (int)getpid();
	for (size_t i = 0; i < NELEM(levels); i++)
		prefix_make((int)i);
	gathered.on = false; /* it may exec, or end by _exit */
	logfile_forked();
}

void
log_init(const char *who, enum log_sink sink, enum log_level most)
{
	static bool ends;

	if (pid == 0)
		(void)pthread_atfork(log_fork, logfile_fork_over, log_forked);
	if (sink == LOG_TO_FILE && !ends)
		ends = atexit(log_end) == 0;
	prog = who;
	out = sink;
	log_forked();
	most_level = (int)most;
	if (sink == LOG_TO_SYSLOG)
		openlog(who, LOG_PID | LOG_NDELAY, LOG_MAIL);
}

void
log_level(enum log_level most)
{
	most_level = (int)most;
}

bool
log_wants(enum log_level l)
{
	return (int)l <= most_level;
}

void
log_context(const char *sid)
{
	slice_cstr(slice_str(sid), context, sizeof(context));
}

const char *
log_sid(void)
{
	return context;
}

/* "2026-11-22T08:20:01.123Z"; the seconds are formatted once each. */
static size_t
stamp(char *dst)
{
	static _Thread_local int64_t made = INT64_MIN;
	static _Thread_local char text[32];
	int64_t now = clock_now_ms();
	int ms = (int)(now % 1000);

	if (now / 1000 != made) {
		struct civil c = civil_from_unix(now / 1000);

		made = now / 1000;
		(void)snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.",
		    (int)c.year % 10000, c.month, c.day, c.hour, c.minute, c.second);
	}
	memcpy(dst, text, 20);
	dst[20] = (char)('0' + ms / 100);
	dst[21] = (char)('0' + ms / 10 % 10);
	dst[22] = (char)('0' + ms % 10);
	dst[23] = 'Z';
	return 24;
}

/* What stands before the event. */
static size_t
log_begin(char *line, int level)
{
	size_t n;

	memcpy(line, "ts=", 3);
	n = 3 + stamp(line + 3);
	if (!prefixes[level].n) /* a program that has not called log_init */
		prefix_make(level);
	memcpy(line + n, prefixes[level].text, prefixes[level].n);
	return n + prefixes[level].n;
}

size_t
log_lost_line(char *dst, size_t room, size_t lines)
{
	size_t n = log_begin(dst, LVL_ERROR);
	int r = snprintf(dst + n, room - n, "ev=%s lines=%zu\n", "log_lost", lines);

	return n + (r > 0 ? (size_t)r : 0);
}

void
log_event(enum log_level l, const char *event, const char *fmt, ...)
{
	char line[LINE_MAX_LEN];
	size_t n = 0, room, from;
	va_list ap;
	int r;

	if ((int)l > most_level)
		return;
	if (out != LOG_TO_SYSLOG)
		n = log_begin(line, (int)l);
	memcpy(line + n, "ev=", 3);
	n += 3;
	from = strnlen(event, 64);
	memcpy(line + n, event, from);
	n += from;
	line[n++] = ' ';
	from = n;
	room = sizeof(line) - n - 4; /* "...\n" */
	va_start(ap, fmt);
	r = print_va(line + n, room, fmt, ap);
	va_end(ap);
	if (r < 0)
		r = 0;
	if ((size_t)r >= room) {
		n += room - 1;
		memcpy(line + n, "...", 3);
		n += 3;
	} else {
		n += (size_t)r;
	}
	/* Foreign bytes come through log_value; whatever slipped past it must not make a line. */
	for (size_t i = scan_plain(slice(line + from, n - from), "\x7f\x7f") ? n : from; i < n; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	while (n > 0 && line[n - 1] == ' ')
		n--;
	if (out == LOG_TO_SYSLOG) {
		syslog(levels[l].priority, "%.*s", (int)n, line);
		return;
	}
	line[n++] = '\n';
	if (!gathered.on) {
		log_out(slice(line, n));
		return;
	}
	if (gathered.n + n > sizeof(gathered.bytes))
		log_flush();
	memcpy(gathered.bytes + gathered.n, line, n);
	gathered.n += n;
	if ((int)l == LVL_ERROR)
		log_flush();
}

static bool
is_plain(struct slice s)
{
	return s.n > 0 && scan_plain(s, "\"\\") && slice_find(s, ' ') == s.n;
}

const char *
log_value(struct slice s)
{
	static const char hex[] = "0123456789abcdef";
	static _Thread_local char values[NVALUES][VALUE_MAX * 4 + 8];
	static _Thread_local unsigned turn;
	char *v = values[turn++ % NVALUES], *at = v;
	bool cut = s.n > VALUE_MAX, quote;

	if (cut)
		s.n = VALUE_MAX;
	quote = !is_plain(s);
	if (!quote) {
		memcpy(at, s.p, s.n);
		at += s.n;
		s.n = 0;
	} else {
		*at++ = '"';
	}
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '"' || c == '\\' || c == '\n') {
			*at++ = '\\';
			*at++ = c == '\n' ? 'n' : (char)c;
		} else if (c >= ' ' && c <= '~') {
			*at++ = (char)c;
		} else {
			*at++ = '\\';
			*at++ = 'x';
			*at++ = hex[c >> 4];
			*at++ = hex[c & 15];
		}
	}
	if (cut) {
		memcpy(at, "...", 3);
		at += 3;
	}
	if (quote)
		*at++ = '"';
	*at = '\0';
	return v;
}

const char *
log_str(const char *s)
{
	return log_value(slice_str(s));
}

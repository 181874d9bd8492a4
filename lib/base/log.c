/* log.c: one line, one write.  Lines are built on the stack, so threads need no lock. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/civil.h"
#include "base/clock.h"
#include "base/log.h"

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

static void
forked(void)
{
	pid = (int)getpid();
}

void
log_init(const char *who, enum log_sink sink, enum log_level most)
{
	if (pid == 0)
		(void)pthread_atfork(NULL, NULL, forked);
	forked();
	prog = who;
	out = sink;
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
		(void)snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.", (int)c.year % 10000,
		    c.month, c.day, c.hour, c.minute, c.second);
	}
	memcpy(dst, text, 20);
	dst[20] = (char)('0' + ms / 100);
	dst[21] = (char)('0' + ms / 10 % 10);
	dst[22] = (char)('0' + ms % 10);
	dst[23] = 'Z';
	return 24;
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
	if (out == LOG_TO_STDERR) {
		memcpy(line, "ts=", 3);
		n = 3 + stamp(line + 3);
		r = snprintf(line + n, 200, " lvl=%s who=%.64s[%d] ", levels[l].name, prog,
		    pid ? pid : (int)getpid());
		n += (size_t)r;
	}
	r = snprintf(line + n, 100, "ev=%.64s ", event);
	n += (size_t)r;
	from = n;
	room = sizeof(line) - n - 4; /* "...\n" */
	va_start(ap, fmt);
	r = vsnprintf(line + n, room, fmt, ap);
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
	for (size_t i = from; i < n; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	while (n > 0 && line[n - 1] == ' ')
		n--;
	if (out == LOG_TO_SYSLOG) {
		syslog(levels[l].priority, "%.*s", (int)n, line);
		return;
	}
	line[n++] = '\n';
	(void)!write(STDERR_FILENO, line, n);
}

static bool
is_plain(struct slice s)
{
	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == '"' || s.p[i] == '\\')
			return false;
	return true;
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
	if (quote)
		*at++ = '"';
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

/* log.c: the line as it arrives on stderr, and values from strangers. */
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/log.h"
#include "../tap.h"

static char line[8192];

/* Runs one log_event with stderr in a pipe and keeps what came. */
#define logged(...)                                                                                \
	do {                                                                                       \
		begin();                                                                           \
		log_event(__VA_ARGS__);                                                            \
		end();                                                                             \
	} while (0)

static int pipes[2], saved;

static void
begin(void)
{
	if (pipe(pipes) < 0)
		exit(1);
	saved = dup(2);
	dup2(pipes[1], 2);
}

static void
end(void)
{
	ssize_t n;

	dup2(saved, 2);
	close(saved);
	close(pipes[1]);
	n = read(pipes[0], line, sizeof(line) - 1);
	close(pipes[0]);
	line[n < 0 ? 0 : n] = '\0';
}

int
main(void)
{
	char big[6000], want[128];

	log_init("tester", LOG_TO_STDERR, LOG_INFO);
	logged(LOG_INFO, "rcpt", "sid=%s to=%s code=%d", "abc", log_str("<a@b.c>"), 250);
	ok(strncmp(line, "ts=20", 5) == 0 && line[13] == 'T' && line[26] == 'Z', "time: %.27s",
	    line);
	snprintf(want, sizeof(want),
	    " lvl=info who=tester[%d] ev=rcpt sid=abc to=<a@b.c> code=250\n", (int)getpid());
	is(line + 27, want, "the rest of the line");
	begin();
	if (fork() == 0) {
		log_event(LOG_INFO, "child", "pid=%d", (int)getpid());
		_exit(0);
	}
	wait(NULL);
	end();
	{
		const char *a = strchr(line, '['), *b = strstr(line, "pid=");

		ok(a && b && atoi(a + 1) == atoi(b + 4) && atoi(a + 1) != (int)getpid(),
		    "a child has its own number: %s", line);
	}
	logged(LOG_DEBUG, "quiet", "x=1");
	is(line, "", "below the level nothing is written");
	log_level(LOG_DEBUG);
	ok(log_wants(LOG_DEBUG), "wants");
	logged(LOG_DEBUG, "loud", " ");
	ok(strstr(line, "ev=loud\n"), "no fields, no blank at the end");
	logged(LOG_ERROR, "x", "a=%s", "evil\nts=forged");
	ok(strchr(line, '\n') == line + strlen(line) - 1, "one event is one line, always");
	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	logged(LOG_WARN, "x", "a=%s", big);
	ok(strlen(line) <= 4096 && strcmp(line + strlen(line) - 4, "...\n") == 0,
	    "long lines are cut");

	is(log_str("plain@example.org"), "plain@example.org", "a plain value");
	is(log_str("two words"), "\"two words\"", "quoted");
	is(log_str(""), "\"\"", "empty");
	is(log_str(NULL), "\"\"", "NULL");
	is(log_str("a\"b\\c\nd\re\x01\xe4"), "\"a\\\"b\\\\c\\nd\\x0de\\x01\\xe4\"", "escaped");
	big[400] = '\0';
	eq(strlen(log_str(big)), 303, "cut at 300");
	ok(log_str("a") != log_str("b"), "values rotate");
	log_context("sid123");
	is(log_sid(), "sid123", "context");
	log_context(NULL);
	is(log_sid(), "", "no context");
	/* Last: lines are gathered from here on. */
	log_gather();
	begin();
	log_event(LOG_INFO, "one", "n=1");
	log_event(LOG_INFO, "two", "n=2");
	line[0] = '\0';
	eq(fcntl(pipes[0], F_SETFL, O_NONBLOCK), 0, "a look without waiting");
	eq(read(pipes[0], line, sizeof(line)), -1, "gathered lines are not written one by one");
	log_flush();
	end();
	ok(strstr(line, "ev=one n=1\n") && strstr(line, "ev=two n=2\n"), "but by log_flush");
	begin();
	log_event(LOG_INFO, "three", "n=3");
	log_event(LOG_ERROR, "four", "n=4");
	end();
	ok(strstr(line, "ev=three") && strstr(line, "ev=four"), "and before an error");
	begin();
	log_event(LOG_INFO, "five", "n=5");
	if (fork() == 0) {
		log_event(LOG_INFO, "six", "n=6");
		_exit(0);
	}
	wait(NULL);
	log_flush();
	end();
	ok(strstr(line, "ev=five") && strstr(line, "ev=six") &&
		!strstr(strstr(line, "ev=five") + 1, "ev=five"),
	    "a child neither keeps its own nor repeats its parent's");
	begin();
	for (int k = 0; k < 30; k++)
		log_event(LOG_INFO, "many", "k=%d text=%0100d", k, k);
	log_flush();
	end();
	ok(strstr(line, "k=0 ") && strstr(line, "k=29 "), "more than fits goes in between");
	return done();
}

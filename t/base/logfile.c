/* A log file that is turned over, moved, full, or hangs: lines come whole and in order, what is lost is
 * told, and nobody waits. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/logfile.h"
#include "base/mem.h"
#include "../tap.h"

static char dir[] = "/tmp/tm-logfile-XXXXXX";
static int64_t lost;
static int *told; /* by a child: how many it has tried, and how many have failed */

static char *
path_of(const char *name)
{
	static char path[200];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

/* What the file holds; "" when there is none. */
static const char *
content(const char *name)
{
	static struct buf b;
	int fd = open(path_of(name), O_RDONLY | O_NONBLOCK);
	ssize_t n;

	buf_clear(&b);
	while (fd >= 0 && (n = read(fd, buf_reserve(&b, 65536), 65536)) > 0)
		b.n += (size_t)n;
	if (fd >= 0)
		close(fd);
	return buf_cstr(&b);
}

static void
put(const char *line)
{
	logfile_put(slice_str(line));
}

/* Each part is a process of its own: a thread that writes stays for ever. */
static void
part(void (*fn)(void), const char *name)
{
	int status = 1;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		fn();
		fflush(stdout);
		told[0] = tap_run;
		told[1] = tap_failed;
		_exit(0);
	}
	(void)waitpid(pid, &status, 0);
	tap_run = told[0];
	tap_failed = told[1];
	ok(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s: to its end", name);
}

static void
open_log(const char *name, int64_t size, int keep)
{
	struct logfile_rules r = { .size = size, .keep = keep };

	logfile_lost = &lost;
	lost = 0;
	if (logfile_open(dir, name, &r) < 0)
		abort();
}

static void
test_plain(void)
{
	open_log("plain", 0, 1);
	put("before\n");
	is(content("plain.log"), "before\n", "without the thread: at once");
	logfile_start();
	for (int i = 0; i < 3; i++)
		put("line\n");
	logfile_drain();
	is(content("plain.log"), "before\nline\nline\nline\n", "with it: in order");
	(void)!rename(path_of("plain.log"), strdup(path_of("plain.moved")));
	usleep(1100000);
	put("after\n");
	logfile_drain();
	is(content("plain.log"), "after\n", "a file that was moved is noticed, without a signal");
	is(content("plain.moved"), "before\nline\nline\nline\n", "and keeps what it had");
	unlink(path_of("plain.log"));
	usleep(1100000);
	put("again\n");
	logfile_drain();
	is(content("plain.log"), "again\n", "so is one that was removed");
	eq(lost, 0, "nothing is lost");
}

static void
test_turn(void)
{
	char name[32];

	open_log("turn", 10, 2);
	logfile_start();
	for (int i = 0; i < 4; i++) {
		char line[32];

		usleep(1100000); /* the name is looked at once in a second */
		snprintf(line, sizeof(line), "a long line %d\n", i);
		put(line);
		logfile_drain();
	}
	is(content("turn.log"), "a long line 3\n", "turned over by size");
	is(content("turn.log.1"), "a long line 2\n", "the one before");
	is(content("turn.log.2"), "a long line 1\n", "and before that");
	snprintf(name, sizeof(name), "turn.log.3");
	ok(access(path_of(name), F_OK) < 0, "no more than are kept");
}

/* Of the day before. */
static void
test_age(void)
{
	struct logfile_rules r = { .age_ms = 86400000, .keep = 1 };
	FILE *theirs;
	struct timespec old[2] = { { .tv_sec = clock_now() - 2 * 86400 },
		{ .tv_sec = clock_now() - 2 * 86400 } };

	open_log("age", 0, 1);
	logfile_rules(&r);
	put("old\n");
	(void)utimensat(AT_FDCWD, path_of("age.log"), old, 0);
	logfile_start();
	usleep(1100000);
	theirs = fopen(path_of("age.log"), "a"); /* another process writes before we look */
	fputs("theirs\n", theirs);
	fclose(theirs);
	put("new\n");
	logfile_drain();
	is(content("age.log"), "new\n", "turned over by age, however busy it is");
	is(content("age.log.1"), "old\ntheirs\n", "the old one is kept");
}

/* Two processes with one file: it is turned over once, and no line is torn. */
static void
test_two(void)
{
	size_t lines = 0;
	char name[32];
	pid_t pid;

	open_log("two", 100000, 50);
	pid = fork();
	logfile_start();
	for (int i = 0; i < 20000; i++) {
		put(pid ? "the parent has a line that is not short\n" : "the child's is short\n");
		if (i % 200 == 0)
			logfile_drain();
		if (i % 5000 == 0)
			usleep(1100000);
	}
	logfile_drain();
	if (pid == 0)
		_exit(lost != 0);
	(void)waitpid(pid, NULL, 0);
	for (int i = 0; i <= 50; i++) {
		struct slice rest, line;

		snprintf(name, sizeof(name), i ? "two.log.%d" : "two.log", i);
		rest = slice_str(content(name));
		while (slice_cut(&rest, '\n', &line))
			lines += slice_eq(line, S("the parent has a line that is not short")) ||
			    slice_eq(line, S("the child's is short"));
	}
	eq(lines, 40000, "40,000 lines of two processes are there, whole");
	ok(access(path_of("two.log.1"), F_OK) == 0, "in more files than one");
}

static void
test_full(void)
{
	struct rlimit r;

	(void)signal(SIGXFSZ, SIG_IGN);
	log_init("test", LOG_TO_STDERR, LOG_INFO);
	open_log("full", 0, 1);
	logfile_start();
	(void)getrlimit(RLIMIT_FSIZE, &r);
	r.rlim_cur = 20;
	(void)setrlimit(RLIMIT_FSIZE, &r);
	put("fits\n");
	logfile_drain();
	put("two lines\nthat do not fit\n");
	logfile_drain();
	put("nor this\n");
	logfile_drain();
	ok(lost >= 2, "a full disk costs lines: %d", (int)lost);
	r.rlim_cur = r.rlim_max;
	(void)setrlimit(RLIMIT_FSIZE, &r);
	put("room again\n");
	logfile_drain();
	ok(strstr(content("full.log"), "ev=log_lost lines=") &&
		strstr(content("full.log"), "\nroom again\n"),
	    "which is told when there is room again");
	ok(strncmp(content("full.log"), "fits\n", 5) == 0, "what was there stays");
	ok(strstr(content("full.log"), "\ntwo lines\nthat \n"),
	    "a line that did not fit is not the beginning of the next one");
}

/* What another process has left without an end. */
static void
test_torn(void)
{
	int fd;

	open_log("torn", 0, 1);
	logfile_start();
	put("one\n");
	logfile_drain();
	fd = open(path_of("torn.log"), O_WRONLY | O_APPEND);
	ok(write(fd, "a part", 6) == 6,
	    "another process finds the disk full in the middle of a line");
	close(fd);
	usleep(1100000);
	put("two\n");
	put("three\n");
	logfile_drain();
	is(content("torn.log"), "one\na part\ntwo\nthree\n", "the next line begins a line");
}

/* A pipe that nobody reads is a disk that hangs. */
static void
test_hung(void)
{
	char line[1001];
	uint64_t began, worst = 0;
	int fd;

	log_init("test", LOG_TO_STDERR, LOG_INFO);
	(void)mkfifo(path_of("hung.log"), 0600);
	fd = open(path_of("hung.log"), O_RDWR | O_NONBLOCK);
	open_log("hung", 0, 1);
	logfile_start();
	memset(line, 'x', sizeof(line) - 2);
	line[999] = '\n';
	line[1000] = '\0';
	for (int i = 0; i < 4000; i++) {
		began = clock_thread_us();
		put(line);
		worst = clock_thread_us() - began > worst ? clock_thread_us() - began : worst;
	}
	ok(worst < 100000, "nobody waits for it: %u us of CPU at most", (unsigned)worst);
	ok(lost > 1000 && lost < 4000, "what does not fit is counted: %d of 4000", (int)lost);
	/* It comes back: all that waited, and the number of those that did not fit. */
	{
		struct buf b = { 0 };
		size_t lines = 0, said = 0;
		uint64_t until = clock_mono_ms() + 60000;
		bool once = false;

		while (clock_mono_ms() < until && (!said || (int64_t)lines + lost < 4000)) {
			ssize_t n = read(fd, buf_reserve(&b, 65536), 65536);

			if (n > 0) {
				b.n += (size_t)n;
			} else if (!once) {
				once = true;
				put("ev=alive\n");
			} else {
				usleep(1000);
			}
			lines = said = 0;
			for (struct slice rest = buf_get(&b), l; slice_cut(&rest, '\n', &l);) {
				lines += l.n == 999;
				said += slice_find_str(l, S("ev=log_lost lines=")) < l.n;
			}
		}
		eq((int64_t)lines + lost, 4000, "the others are written when it wakes up");
		ok(said > 0, "and how many were lost");
		buf_fini(&b);
	}
}

int
main(void)
{
	char *rm;

	told = mmap(NULL, 2 * sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
	    0);
	if (told == MAP_FAILED || !mkdtemp(dir))
		return 1;
	part(test_plain, "plain");
	part(test_turn, "turn");
	part(test_age, "age");
	part(test_two, "two");
	part(test_full, "full");
	part(test_torn, "torn");
	part(test_hung, "hung");
	rm = mem_printf("rm -rf %s", dir);
	ok(system(rm) == 0, "swept");
	mem_free(&rm);
	return done();
}

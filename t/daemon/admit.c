/* t/daemon/admit.c: limits by service, class, address and account, over processes that come, go
 * and are killed; files that are no good; failures that fade. */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "daemon/admit.h"
#include "../tap.h"

static int64_t clients, per_client, per_user;
static const struct admit_class classes[] = {
	{ "mx", 25, true },
	{ "submission", 25, true },
	{ "local", 10, false },
};
static const struct admit_service relay = { "relay", classes, NELEM(classes), &clients, &per_client,
	&per_user };
static const struct admit_service reader = { "reader", classes, 1, &clients, &per_client,
	&per_user };
enum { MX, SUBMISSION, LOCAL };

static char *dir;
static struct admit held[400];
static size_t nheld;

static struct addr
address(const char *text)
{
	struct addr a;

	must(addr_parse(slice_str(text), &a) == 0);
	return a;
}

/* As many as get in from addresses of their own, at most n. */
static int
crowd(unsigned class, int n, const char *net)
{
	int in = 0;

	for (int i = 0; i < n; i++) {
		char text[40];
		struct addr a;

		(void)snprintf(text, sizeof(text), "%s%d", net, i);
		a = address(text);
		if (admit_enter(&held[nheld], class, &a) != ADMIT_OK)
			continue;
		nheld++;
		in++;
	}
	return in;
}

static void
all_leave(void)
{
	while (nheld)
		admit_leave(&held[--nheld]);
}

static void
shares(void)
{
	struct addr unix_peer = address("unix:/x");
	struct admit a;

	clients = 40;
	admit_open(dir, &relay);
	eq(admit_class_load(MX), 0, "nobody is no load");
	eq(crowd(MX, 13, "10.0.2."), 13, "half of what the others leave");
	eq(admit_class_load(MX), 50, "is half of the load");
	eq(admit_class_load(SUBMISSION), 0, "and none of another class");
	all_leave();
	eq(crowd(MX, 100, "10.0.0."), 26, "a flood on mx leaves the others' shares");
	eq(admit_class_load(MX), 100, "and is as much as it can be");
	eq(crowd(SUBMISSION, 100, "10.0.0."), 10, "submission has its own");
	eq(crowd(SUBMISSION, 5, "10.0.1."), 0, "and no more");
	for (int i = 0; i < 4; i++)
		eq(admit_enter(&held[nheld++], LOCAL, &unix_peer), ADMIT_OK,
		    "the socket has its own");
	eq(admit_enter(&a, LOCAL, &unix_peer), ADMIT_FULL, "forty are forty");
	eq(admit_sessions(), 40, "counted");
	all_leave();
	eq(admit_sessions(), 0, "given back");
	eq(crowd(SUBMISSION, 100, "10.0.0."), 26, "it may have what mx and the socket leave");
	all_leave();
	clients = 0;
	eq(crowd(MX, 200, "10.0.0."), 200, "0 is no limit");
	eq(admit_class_load(MX), 0, "and no load");
	all_leave();
}

static void
addresses(void)
{
	struct addr a = address("192.0.2.1"), six = address("[2001:db8::1]:1"),
		    six2 = address("[2001:db8::2]:1"), mapped = address("[::ffff:192.0.2.1]:1");
	struct admit x[4] = { 0 };

	per_client = 2;
	eq(admit_enter(&x[0], MX, &a), ADMIT_OK, "one");
	eq(admit_enter(&x[1], MX, &mapped), ADMIT_OK, "two, in the other notation");
	eq(admit_enter(&x[2], MX, &a), ADMIT_CLIENT_FULL, "not three");
	eq(admit_enter(&x[2], SUBMISSION, &a), ADMIT_OK, "another class counts apart");
	admit_leave(&x[0]);
	admit_leave(&x[0]);
	eq(admit_enter(&x[0], MX, &a), ADMIT_OK, "one has left");
	for (size_t i = 0; i < 3; i++)
		admit_leave(&x[i]);
	eq(admit_enter(&x[0], MX, &six), ADMIT_OK, "IPv6");
	eq(admit_enter(&x[1], MX, &six2), ADMIT_OK, "counts");
	eq(admit_enter(&x[2], MX, &six), ADMIT_CLIENT_FULL, "by /64");
	admit_leave(&x[0]);
	admit_leave(&x[1]);
	per_client = 0;
}

static void
accounts(void)
{
	struct addr a = address("192.0.2.1");
	struct admit x[3] = { 0 };
	struct admit none = { 0 };

	per_user = 2;
	for (size_t i = 0; i < 3; i++)
		must(admit_enter(&x[i], MX, &a) == ADMIT_OK);
	eq(admit_user(&x[0], S("jane@x")), ADMIT_OK, "a user");
	eq(admit_user(&x[1], S("jane@x")), ADMIT_OK, "again");
	eq(admit_user(&x[2], S("jane@x")), ADMIT_USER_FULL, "and not again");
	eq(admit_user(&x[2], S("joe@x")), ADMIT_OK, "another one");
	eq(admit_user(&x[1], S("joe@x")), ADMIT_OK, "a session becomes another's");
	eq(admit_user(&x[2], S("jane@x")), ADMIT_OK, "which makes room");
	eq(admit_user(&x[1], S("jane@x")), ADMIT_USER_FULL, "for one");
	admit_user_leave(&x[0]);
	eq(admit_user(&x[1], S("jane@x")), ADMIT_OK, "a session that is nobody's makes room too");
	admit_user_leave(&x[0]);
	eq(admit_user(&x[0], S("jane@x")), ADMIT_USER_FULL, "once");
	admit_user_leave(&x[1]);
	eq(admit_user(&none, S("jane@x")), ADMIT_OK, "one whose session found no room");
	admit_leave(&none);
	eq(admit_user(&x[1], S("jane@x")), ADMIT_OK, "gives its user back all the same");
	eq(admit_sessions(), 3, "and is still a session");
	for (size_t i = 0; i < 3; i++)
		admit_leave(&x[i]);
	per_user = 0;
}

/* A process of `s` that holds n sessions from 192.0.2.1 and then waits for a signal, or with
 * `locked` never gives the lock back. */
static pid_t
other(const struct admit_service *s, int n)
{
	struct addr a = address("192.0.2.1");
	struct admit x;
	int ready[2];
	char c;
	pid_t pid;

	must(pipe(ready) == 0);
	pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		admit_open(dir, s);
		while (n-- > 0)
			must(admit_enter(&x, MX, &a) == ADMIT_OK);
		must(write(ready[1], "x", 1) == 1);
		for (;;)
			pause();
	}
	must(read(ready[0], &c, 1) == 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void
end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void
processes(void)
{
	struct addr a = address("192.0.2.1");
	struct admit x;
	pid_t worker, foreign;

	per_client = 5;
	worker = other(&relay, 5);
	foreign = other(&reader, 3);
	eq(admit_sessions(), 5, "another worker's sessions are seen, another service's are not");
	eq(admit_enter(&x, MX, &a), ADMIT_CLIENT_FULL, "and its addresses");
	end(worker);
	usleep(600 * 1000);
	eq(admit_enter(&x, MX, &a), ADMIT_OK, "what it held when it was killed is given back");
	eq(admit_sessions(), 1, "all of it");
	admit_leave(&x);
	end(foreign);
	per_client = 0;
}

static void
hours(void)
{
	ok(admit_hourly(S("a@x"), 1, 0, 2, 0) && admit_hourly(S("a@x"), 1, 0, 2, 0),
	    "two messages");
	ok(!admit_hourly(S("a@x"), 1, 0, 2, 0), "not three");
	ok(admit_hourly(S("b@x"), 1, 0, 2, 0), "another account");
	ok(admit_hourly(S("a@x"), 0, 9, 0, 10) && !admit_hourly(S("a@x"), 0, 2, 0, 10),
	    "recipients count apart");
	ok(admit_hourly(S("a@x"), 100, 100, 0, 0), "0 is no limit");
}

static void
failures(void)
{
	uint64_t ago;

	eq(admit_failures(S("a"), &ago), 0, "none");
	ok(ago == UINT64_MAX, "never");
	admit_failed(S("a"));
	admit_failed(S("a"));
	eq(admit_failures(S("a"), &ago), 2, "two");
	ok(ago < 1000, "just now");
	eq(admit_failures(S("b"), &ago), 0, "none of another name");
	admit_forgive(S("a"));
	eq(admit_failures(S("a"), &ago), 0, "forgiven");
	for (int i = 0; i < 40000; i++) {
		char name[20];

		(void)snprintf(name, sizeof(name), "n%d", i);
		admit_failed(slice_str(name));
	}
	ok(admit_failures(S("n39999"), &ago) == 1, "names without end: the last is known");
}

/* The file is as it should not be: counting goes on, in it or without. */
static void
bad_files(void)
{
	char *path = mem_printf("%s/admit-1", dir);
	struct addr a = address("192.0.2.1");
	struct admit x;
	struct stat st;
	int fd;

	admit_close();
	fd = open(path, O_RDWR | O_TRUNC);
	must(fd >= 0 && write(fd, "not this", 8) == 8);
	close(fd);
	admit_open(dir, &relay);
	eq(admit_enter(&x, MX, &a), ADMIT_OK, "a file of another kind is made new");
	admit_leave(&x);
	admit_close();
	must(stat(path, &st) == 0);
	eq(st.st_mode & 0777, 0660, "its mode");
	/* As after a boot: everything in it is void, whoever held the lock. */
	fd = open(path, O_RDWR);
	must(fd >= 0 && pwrite(fd, "another-boot", 13, 0) == 13);
	must(pwrite(fd, "\377\377\377\377\377\377\377\377\377\377\377\377\377\377\377\377", 16,
		 56) == 16);
	close(fd);
	admit_open(dir, &relay);
	eq(admit_enter(&x, MX, &a), ADMIT_OK, "a file of another boot is made new");
	admit_leave(&x);
	admit_close();
	must(unlink(path) == 0 && symlink("/etc/hostname", path) == 0);
	admit_open(dir, &relay);
	eq(admit_enter(&x, MX, &a), ADMIT_OK, "a link is not followed");
	admit_leave(&x);
	admit_close();
	must(unlink(path) == 0);
	admit_open("/nowhere", &relay);
	per_client = 1;
	eq(admit_enter(&x, MX, &a), ADMIT_OK, "no folder: it counts for itself");
	eq(admit_enter(&held[0], MX, &a), ADMIT_CLIENT_FULL, "and counts");
	admit_leave(&x);
	per_client = 0;
	admit_close();
	mem_free(&path);
}

/* What may be done once in a while. */
static void
pauses(void)
{
	uint64_t left = 1;

	ok(admit_pause(S("p"), 60000, &left) && left == 0, "the first time");
	ok(!admit_pause(S("p"), 60000, &left) && left > 50000 && left <= 60000,
	    "too early, and how long it lasts");
	ok(admit_pause(S("q"), 60000, &left), "another name");
	ok(admit_pause(S("p"), 0, &left), "no time at all is always over");
	ok(admit_failures(S("p"), &left) == 0, "it is no failure");
}

int
main(void)
{
	char template[] = "/tmp/admit-XXXXXX";

	log_init("admit", LOG_TO_STDERR, LOG_ERROR);
	dir = mkdtemp(template);
	must(dir);
	shares();
	addresses();
	accounts();
	processes();
	hours();
	failures();
	pauses();
	bad_files();
	must(rmdir(dir) == 0);
	return done();
}

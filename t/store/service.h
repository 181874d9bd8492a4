/* t/store/service.h: a private stored for a test, and blocking calls through its client. */
#ifndef T_SERVICE_H
#define T_SERVICE_H
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "store/client.h"
#include "store/read.h"
#include "store/watch.h"
#include "../tap.h"

static char dir[64];      /* of the instance */
static char program[500];  /* stored */
static pid_t stored_pid;
static int notify_fd = -1;
static struct loop loop;
static struct store_client *client;
static struct store_reply last;       /* copied from the last answer */
static struct store_range last_uids[4096], last_to[64];
static struct store_result last_results[64];
static char last_path[300];
static bool answered;
static struct op the_op;

/* Finds bin/stored beside this test's own build. */
static inline bool
service_find(const char *argv0)
{
	char here[400], *slash;

	snprintf(here, sizeof(here), "%s", argv0);
	slash = strrchr(here, '/');
	if (slash)
		*slash = 0;
	snprintf(program, sizeof(program), "%s/../../bin/stored", slash ? here : ".");
	return access(program, X_OK) == 0;
}

static inline void
write_file(const char *name, const char *text)
{
	char path[400];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	if (!f || fputs(text, f) < 0 || fclose(f) != 0)
		abort();
}

static inline void
service_prepare(const char *conf)
{
	char text[600];
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(dir, sizeof(dir), "/tmp/tiermail-t-XXXXXX");
	if (!mkdtemp(dir))
		abort();
	snprintf(text, sizeof(text), "prefix = %s\nrundir = %s\nstore = %s/store\n"
	    "hostname = store.test\nlog_level = error\n", dir, dir, dir);
	write_file("tiermail.conf", text);
	write_file("stored.conf", conf);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/notify", dir);
	notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (bind(notify_fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		abort();
	setenv("NOTIFY_SOCKET", a.sun_path, 1);
}

/* Returns when stored says that it is ready. */
static inline void
service_start(void)
{
	char conf[300], word[4096];

	snprintf(conf, sizeof(conf), "%s/stored.conf", dir);
	stored_pid = fork();
	if (stored_pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* nothing is left behind */
		execl(program, "stored", "-c", conf, (char *)NULL);
		_exit(127);
	}
	for (;;) {
		struct timeval limit = { 20, 0 };
		ssize_t n;

		setsockopt(notify_fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
		n = recv(notify_fd, word, sizeof(word) - 1, 0);
		if (n <= 0) {
			printf("Bail out! stored does not start\n");
			exit(1);
		}
		word[n] = 0;
		if (strstr(word, "READY=1"))
			return;
	}
}

static inline int
service_stop(int sig)
{
	int status = 0;

	kill(stored_pid, sig);
	waitpid(stored_pid, &status, 0);
	stored_pid = 0;
	return status;
}

static inline void
service_remove(void)
{
	char command[300];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	if (system(command) != 0)
		printf("# %s stays\n", dir);
}

/* ---- blocking calls ------------------------------------------------------------------------ */

static inline void
on_answer(void *arg, const struct store_reply *r)
{
	(void)arg;
	last = *r;
	for (size_t i = 0; i < r->nuids && i < NELEM(last_uids); i++)
		last_uids[i] = r->uids[i];
	for (size_t i = 0; i < r->nto && i < NELEM(last_to); i++)
		last_to[i] = r->to[i];
	for (size_t i = 0; i < r->nresults && i < NELEM(last_results); i++)
		last_results[i] = r->results[i];
	slice_cstr(r->path, last_path, sizeof(last_path));
	answered = true;
	loop_stop(&loop);
}

static inline void
await(void)
{
	while (!answered)
		loop_run(&loop);
}

/* CALL(store_x_start, arguments...): the answer is in `last`; its verdict's kind is the value. */
#define CALL(fn, ...)                                                                    \
	(answered = false, fn(client, __VA_ARGS__, &the_op, on_answer, NULL), await(),   \
	    (int)last.verdict.kind)

static inline int
ping(void)
{
	answered = false;
	store_ping_start(client, &the_op, on_answer, NULL);
	await();
	return (int)last.verdict.kind;
}

static inline struct store_body
body_with(const char *text, size_t n)
{
	struct store_body b;

	if (store_body_take(client, S(""), &b) < 0) {
		answered = false;
		store_body_start(client, S(""), &b, &the_op, on_answer, NULL);
		await();
	}
	if (b.fd >= 0 && write(b.fd, text, n) != (ssize_t)n)
		abort();
	return b;
}
#endif

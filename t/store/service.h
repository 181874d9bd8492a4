/* t/store/service.h: a private stored for a test, and blocking calls through its client. */
#ifndef T_SERVICE_H
#define T_SERVICE_H
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
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

#define SERVICE_PATIENCE 120 /* seconds: only a test that fails waits so long */

/* Looks again and again until it is so; its value is whether it is in the end. */
#define AWAIT(cond)                                                                                \
	({                                                                                         \
		bool is_so;                                                                        \
		for (int tries_ = 0; !(is_so = (cond)) && tries_ < SERVICE_PATIENCE * 100;         \
		     tries_++)                                                                     \
			usleep(10000);                                                             \
		is_so;                                                                             \
	})

static char dir[64];      /* of the instance */
static char program[500]; /* stored */
static pid_t stored_pid;
static int notify_fd = -1;
static struct loop loop;
static struct store_client *client;
static struct store_reply last; /* copied from the last answer */
static struct store_range last_uids[4096], last_to[64];
static struct store_result last_results[64];
static char last_path[300];
static bool answered;
static bool freeze_then; /* stored stops (SIGSTOP) when its next answer is here; service_thaw */
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
	const char *tmp = getenv("TMPDIR");
	char text[600];
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	/* The name of a socket in it must not get too long. */
	snprintf(dir, sizeof(dir), "%s/tiermail-t-XXXXXX", tmp && strlen(tmp) < 40 ? tmp : "/tmp");
	if (!mkdtemp(dir))
		abort();
	snprintf(text, sizeof(text),
	    "prefix = %s\nrundir = %s\nstore = %s/store\n"
	    "hostname = store.test\nlog_level = error\n",
	    dir, dir, dir);
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
		struct timeval limit = { SERVICE_PATIENCE, 0 };
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

/* A number behind `name` in what stored's control socket answers; UINT64_MAX: it did not. */
static inline uint64_t
told_number(const char *verb, const char *name)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct timeval limit = { SERVICE_PATIENCE, 0 };
	char text[16384], *at = NULL;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t n = 0;
	ssize_t got = 1;

	snprintf(a.sun_path, sizeof(a.sun_path), "%s/stored.ctl", dir);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && dprintf(fd, "%s\n", verb) > 0)
		while (n < sizeof(text) - 1 && (got = read(fd, text + n, sizeof(text) - 1 - n)) > 0)
			n += (size_t)got;
	close(fd);
	text[n] = 0;
	if (got == 0)
		at = strstr(text, name);
	return at ? strtoull(at + strlen(name), NULL, 10) : UINT64_MAX;
}

static inline uint64_t
status_number(const char *name)
{
	return told_number("status", name);
}

/* ---- the whole set-up ----------------------------------------------------------------------- */

/* A stored with this configuration, and `client` of it called `name`.  When stored is not built the
 * program ends, and says that it is skipped. */
static inline void
service_open(const char *argv0, const char *name, const char *conf)
{
	char path[100];

	log_init(name, LOG_TO_STDERR, LOG_ERROR);
	if (!service_find(argv0)) {
		printf("1..0 # SKIP stored is not built\n");
		exit(0);
	}
	service_prepare(conf);
	service_start();
	loop_init(&loop);
	snprintf(path, sizeof(path), "%s/stored.sock", dir);
	client = store_client_new(&loop, path, name);
}

static inline void
service_close(void)
{
	store_client_free(&client, NULL, NULL);
	loop_fini(&loop);
	service_stop(SIGTERM);
	service_remove();
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
	if (freeze_then)
		kill(stored_pid, SIGSTOP);
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
#define CALL(fn, ...)                                                                              \
	(answered = false, fn(client, __VA_ARGS__, &the_op, on_answer, NULL), await(),             \
	    (int)last.verdict.kind)

static inline int
ping(void)
{
	answered = false;
	store_ping_start(client, &the_op, on_answer, NULL);
	await();
	return (int)last.verdict.kind;
}

/* After a start: until the client has found it again. */
static inline void
service_again(void)
{
	(void)AWAIT(ping() == OK);
}

static inline void
service_thaw(void)
{
	freeze_then = false;
	kill(stored_pid, SIGCONT);
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

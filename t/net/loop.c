/* The loop: later, timers, deadlines, watches, wake-ups, work, connecting. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>
#include "base/must.h"
#include "net/connect.h"
#include "net/listen.h"
#include "net/work.h"
#include "../tap.h"

static struct loop loop;
static char trace[100];

static void
note(char c)
{
	size_t n = strlen(trace);

	must(n + 1 < sizeof(trace));
	trace[n] = c;
}

static void
turn(void)
{
	uv_run(&loop.uv, UV_RUN_NOWAIT);
}

/* ---- later ------------------------------------------------------------------------------- */

static struct later l1, l2, l3;
static struct timer timer;
static int again;

static void
on_l2(struct later *t UNUSED)
{
	note('2');
}

static void
on_l3(struct later *t UNUSED)
{
	note('3');
}

static void
on_l1(struct later *t)
{
	note('1');
	later_cancel(&l3);
	if (again-- > 0)
		later_run(t, &loop, on_l1);
	else
		loop_stop(&loop);
}

/* How often this thread has given the processor away. */
static long
sleeps(void)
{
	struct rusage r;

	must(getrusage(RUSAGE_THREAD, &r) == 0);
	return r.ru_nvcsw;
}

static long slept; /* when the timer came */

static void
on_timer(struct timer *t UNUSED)
{
	slept = sleeps();
	note('t');
	later_run(&l1, &loop, on_l1);
	later_run(&l1, &loop, on_l1);
	later_run(&l3, &loop, on_l3);
	later_run(&l2, &loop, on_l2);
}

static void
timer_gone(struct timer *t UNUSED)
{
	note('x');
}

static void
test_later(void)
{
	later_init(&l1);
	later_init(&l2);
	later_init(&l3);
	timer_init(&timer, &loop, on_timer);
	timer_start(&timer, 5, 0);
	again = 3;
	loop_run(&loop);
	is(trace, "t12111",
	    "later runs once each, what it adds in the next turn, cancelled ones not");
	ok(sleeps() < slept + 3, "and the loop does not block between");
	memset(trace, 0, sizeof(trace));
	timer_start(&timer, 1, 0);
	timer_stop(&timer);
	timer_close(&timer, timer_gone);
	turn();
	is(trace, "x", "a stopped timer does not fire, closing tells");
}

/* ---- deadlines --------------------------------------------------------------------------- */

static struct deadline d1, d2, d3;
static uint64_t fired_at;

static void
on_d2(struct deadline *d UNUSED)
{
	note('b');
	fired_at = loop_now(&loop);
	loop_stop(&loop);
}

static void
on_d3(struct deadline *d UNUSED)
{
	note('c');
}

static void
on_d1(struct deadline *d UNUSED)
{
	note('a');
	deadline_clear(&d3);
}

static void
test_deadlines(void)
{
	uint64_t from;

	memset(trace, 0, sizeof(trace));
	uv_update_time(&loop.uv);
	from = loop_now(&loop);
	deadline_init(&d1);
	deadline_init(&d2);
	deadline_init(&d3);
	deadline_set(&d1, &loop, 100, on_d1);
	deadline_set(&d3, &loop, 100, on_d3);
	deadline_set(&d2, &loop, 100, on_d2);
	deadline_set(&d2, &loop, 1200, on_d2);
	loop_run(&loop);
	is(trace, "ab", "deadlines fire in order, once, moved and cleared ones not");
	ok(fired_at - from >= 1200 && fired_at - from < 3300, "not early, at most a tick late");
	ok(!uv_is_active((uv_handle_t *)&loop.tick), "no tick without deadlines");
	ok(sizeof(struct deadline) <= 40, "a deadline has %zu bytes", sizeof(struct deadline));
}

/* ---- watches and wake-ups ---------------------------------------------------------------- */

static int pipe_fd[2];
static bool wants_write;

static void
on_watch(struct watch *w UNUSED, bool readable, bool writable, int error)
{
	char c;

	must(error == 0);
	if (readable) {
		must(read(pipe_fd[0], &c, 1) == 1);
		note(c);
	}
	wants_write |= writable;
	loop_stop(&loop);
}

static void
watch_gone(struct watch *w UNUSED)
{
	note('.');
}

static void
test_watch(void)
{
	struct watch w;

	memset(trace, 0, sizeof(trace));
	must(pipe(pipe_fd) == 0);
	eq(watch_init(&w, &loop, pipe_fd[0], on_watch), 0, "watch");
	watch_want(&w, true, false);
	must(write(pipe_fd[1], "r", 1) == 1);
	loop_run(&loop);
	watch_want(&w, false, false);
	must(write(pipe_fd[1], "s", 1) == 1);
	turn();
	is(trace, "r", "readiness, only while wanted");
	watch_close(&w, watch_gone);
	turn();
	is(trace, "r.", "closing tells");
	eq(close(pipe_fd[0]), 0, "the descriptor is still ours");
	close(pipe_fd[1]);
}

static void
on_wake(struct wakeup *w UNUSED)
{
	note('w');
	loop_stop(&loop);
}

static void *
waker(void *arg)
{
	wakeup_send(arg);
	return NULL;
}

static void
test_wakeup(void)
{
	struct wakeup w;
	pthread_t thread;

	memset(trace, 0, sizeof(trace));
	wakeup_init(&w, &loop, on_wake);
	must(pthread_create(&thread, NULL, waker, &w) == 0);
	loop_run(&loop);
	pthread_join(thread, NULL);
	is(trace, "w", "a wake-up from another thread");
	wakeup_close(&w, NULL);
	turn();
}

/* ---- work -------------------------------------------------------------------------------- */

static pthread_t worked_in;
static int worked_nice;

static void
do_work(void *arg)
{
	worked_in = pthread_self();
	worked_nice = getpriority(PRIO_PROCESS, 0);
	*(int *)arg = 42;
}

static void
work_done(void *arg UNUSED)
{
	note('d');
	loop_stop(&loop);
}

static void
work_dropped(void *arg UNUSED)
{
	note('x');
	loop_stop(&loop);
}

static void
test_work(void)
{
	struct op op = { 0 };
	int value = 0;

	memset(trace, 0, sizeof(trace));
	work_start(&loop, &op, do_work, work_done, work_dropped, &value);
	ok(op_pending(&op), "work is pending");
	loop_run(&loop);
	ok(value == 42 && !pthread_equal(worked_in, pthread_self()), "work runs in another thread");
	ok(!op_pending(&op), "done ends the op");
	work_start(&loop, &op, do_work, work_done, work_dropped, &value);
	op_cancel(&op);
	loop_run(&loop);
	is(trace, "dx", "cancelled work is dropped, not done");
}

/* ---- shares of the pool ------------------------------------------------------------------- */

static atomic_bool release_hogs;
static atomic_int hogs_running;
static int hogs_dropped, hogs_done;

/* Work that lasts until it is told to stop. */
static void
hog_run(void *arg)
{
	atomic_fetch_add(&hogs_running, 1);
	while (!atomic_load(&release_hogs) && !work_stopped())
		usleep(1000);
	*(bool *)arg = work_stopped();
	atomic_fetch_sub(&hogs_running, 1);
}

static void
hog_done(void *arg UNUSED)
{
	hogs_done++;
}

static void
hog_dropped(void *arg UNUSED)
{
	if (++hogs_dropped == 20)
		loop_stop(&loop);
}

static void
test_shares(void)
{
	struct op ops[20] = { 0 }, op = { 0 };
	bool stopped[20] = { 0 };
	int value = 0, n = 0;

	for (int i = 0; i < 20; i++)
		work_start_for(&loop, &ops[i], 7, hog_run, hog_done, hog_dropped, &stopped[i]);
	for (int i = 0; i < 60000 && atomic_load(&hogs_running) < 8 / WORK_SHARE; i++)
		usleep(1000);
	usleep(20000);
	eq(atomic_load(&hogs_running), 8 / WORK_SHARE, "20 works of one user run on his share");
	memset(trace, 0, sizeof(trace));
	work_start_for(&loop, &op, 8, do_work, work_done, work_dropped, &value);
	loop_run(&loop);
	ok(value == 42 && hogs_done == 0, "another user's work is done meanwhile");
	ok(worked_nice > getpriority(PRIO_PROCESS, 0), "a user's work stands behind the loop");
	value = 0;
	work_start(&loop, &op, do_work, work_done, work_dropped, &value);
	loop_run(&loop);
	ok(value == 42 && hogs_done == 0, "and the daemon's own");
	for (int i = 0; i < 20; i++)
		op_cancel(&ops[i]);
	eq(hogs_dropped, 0, "nothing is dropped inside of op_cancel");
	loop_run(&loop);
	for (int i = 0; i < 20; i++)
		n += stopped[i];
	ok(hogs_dropped == 20 && hogs_done == 0, "cancelled, all are dropped");
	eq(n, 8 / WORK_SHARE, "what ran was told to stop, what waited never began");
	atomic_store(&release_hogs, true);
}

/* ---- connecting -------------------------------------------------------------------------- */

static int result;

static void
connected(void *arg, int fd)
{
	result = fd;
	*(int *)arg += 1;
	loop_stop(&loop);
}

static void
accepted(struct listener *l UNUSED, int fd)
{
	note('a');
	close(fd);
}

static void
listener_gone(struct listener *l UNUSED)
{
	note('g');
}

static void
test_connect(void)
{
	struct listener listener;
	struct op op = { 0 };
	struct addr a;
	int calls = 0, fd;

	memset(trace, 0, sizeof(trace));
	must(addr_parse(S("127.0.0.1:0"), &a) == 0);
	fd = listen_open(&a, 0);
	ok(fd >= 0 && getsockname(fd, &a.sa, &a.len) == 0, "listening");
	eq(listener_start(&listener, &loop, fd, accepted, NULL), 0, "accepting");
	connect_start(&loop, &a, NULL, 1000, &op, connected, &calls);
	loop_run(&loop);
	ok(result >= 0 && calls == 1 && !op_pending(&op), "connected");
	close(result);
	turn();
	listener_stop(&listener, listener_gone);
	turn();
	close(fd);
	is(trace, "ag", "accepted, and the listener stopped");

	connect_start(&loop, &a, NULL, 1000, &op, connected, &calls);
	loop_run(&loop);
	eq(result, -ECONNREFUSED, "nobody listens");

	must(addr_parse(S("unix:/nonexistent/socket"), &a) == 0);
	connect_start(&loop, &a, NULL, 1000, &op, connected, &calls);
	eq(calls, 2, "an immediate error does not call from inside start");
	loop_run(&loop);
	eq(result, -ENOENT, "but in the next turn");

	connect_start(&loop, &a, NULL, 1000, &op, connected, &calls);
	op_cancel(&op);
	turn();
	turn();
	eq(calls, 3, "nothing comes after cancel");
}

/* A listener whose backlog is full does not answer: the time limit ends it. */
static void
test_connect_timeout(void)
{
	struct op op = { 0 };
	int calls = 0, fd, fill[4];
	struct addr a;

	must(addr_parse(S("127.0.0.1:0"), &a) == 0);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(bind(fd, &a.sa, a.len) == 0 && listen(fd, 0) == 0);
	must(getsockname(fd, &a.sa, &a.len) == 0);
	for (size_t i = 0; i < NELEM(fill); i++) {
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)!connect(fill[i], &a.sa, a.len);
	}
	connect_start(&loop, &a, NULL, 50, &op, connected, &calls);
	loop_run(&loop);
	eq(result, -ETIMEDOUT, "a connection that is not answered times out");
	for (size_t i = 0; i < NELEM(fill); i++)
		close(fill[i]);
	close(fd);
	turn();
}

static void
test_listen_unix(void)
{
	char path[] = "/tmp/tiermail-listen-XXXXXX", text[100];
	struct addr a;
	int fd, fd2;

	must(mkdtemp(path));
	snprintf(text, sizeof(text), "unix:%s/s", path);
	must(addr_parse(slice_str(text), &a) == 0);
	fd = listen_open(&a, 0600);
	ok(fd >= 0, "a Unix socket");
	eq(listen_open(&a, 0600), -EADDRINUSE, "is not taken from somebody alive");
	close(fd);
	fd2 = listen_open(&a, 0600);
	ok(fd2 >= 0, "but from somebody dead");
	close(fd2);
	unlink(a.un.sun_path);
	rmdir(path);
}

int
main(void)
{
	setenv("UV_THREADPOOL_SIZE", "8", 1);
	loop_init(&loop);
	test_later();
	test_deadlines();
	test_watch();
	test_wakeup();
	test_work();
	test_shares();
	test_connect();
	test_connect_timeout();
	test_listen_unix();
	loop_fini(&loop);
	return done();
}

/* daemon/signals.c: signals as events, by signalfd(2): libuv's own signal handles share a pipe
 * and a tree with every forked child. */
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "base/must.h"
#include "daemon/daemon-impl.h"

static struct watch watch;
static int signal_fd = -1;
static int end_fd = -1; /* readable, never read: see signals_end_fd */
static sigset_t blocked;
static void (*handler)(int sig);

static void
signals_on_signal(struct watch *w UNUSED, bool readable UNUSED, bool writable UNUSED,
    int error UNUSED)
{
	struct signalfd_siginfo info;

	while (read(signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		handler((int)info.ssi_signo);
}

int
signals_end_fd(void)
{
	return end_fd;
}

void
signals_start(struct loop *l, bool children, void (*fn)(int sig))
{
	sigset_t end;

	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	sigaddset(&end, SIGINT);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGINT);
	sigaddset(&blocked, SIGHUP);
	sigaddset(&blocked, SIGUSR2);
	if (children)
		sigaddset(&blocked, SIGCHLD);
	must(sigprocmask(SIG_BLOCK, &blocked, NULL) == 0);
	signal_fd = signalfd(-1, &blocked, SFD_CLOEXEC | SFD_NONBLOCK);
	end_fd = signalfd(-1, &end, SFD_CLOEXEC | SFD_NONBLOCK);
	must(signal_fd >= 0 && end_fd >= 0);
	handler = fn;
	must(watch_init(&watch, l, signal_fd, signals_on_signal) == 0);
	watch_want(&watch, true, false);
}

void
signals_forked(void)
{
	close(signal_fd);
	close(end_fd);
	signal_fd = end_fd = -1;
	/* The parent says what to do; a terminal's ^C goes to all of the group. */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	must(sigprocmask(SIG_UNBLOCK, &blocked, NULL) == 0);
}

void
signals_exec(void)
{
	sigset_t none;

	sigemptyset(&none);
	signal(SIGPIPE, SIG_DFL);
	must(sigprocmask(SIG_SETMASK, &none, NULL) == 0);
}

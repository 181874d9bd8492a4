/* piped/helper.c: the process that may become others.
 *
 * Forked by run.c before the daemon gives up its privileges, and never confined, for what it starts must
 * not be.  It owns one socket, by which the front orders; for each order it forks, and the child
 * (supervise.c) is alone with one program.  It reads neither mail nor the network, and of what the front
 * says nothing but which program of the configuration is to run for whom: the configuration it reads
 * itself.  Must stay true: it never waits but for orders; it ends when the front has; it writes no log,
 * whose file is the front's. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "piped.h"

#define HELPER_FD  3
#define HELPER_FDS 3 /* the body, the socket for the result, the output */

static int64_t supervisors; /* that have not been waited for */

/* ---- orders --------------------------------------------------------------------------------- */

static void
supervisors_reap(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		supervisors--;
}

/* Ends the wait for an order; one that comes before it leaves a zombie until the next. */
static void
on_child(int sig UNUSED)
{
}

static void
fds_close(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		(void)close(fds[i]);
}

/* One packet into room[ORDER_MAX].  Its octets, or -1: the front has gone.  A packet that is cut has no octets. */
static ssize_t
order_receive(char *room, int fds[HELPER_FDS], size_t *nfds)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int) * HELPER_FDS)];
	} control;
	struct iovec vec = { room, ORDER_MAX };
	struct msghdr m = { .msg_iov = &vec,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room) };
	struct cmsghdr *h;
	ssize_t n;

	do {
		supervisors_reap();
		*nfds = 0;
		n = recvmsg(HELPER_FD, &m, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return -1;
	h = CMSG_FIRSTHDR(&m);
	if (h && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS) {
		*nfds = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(h), *nfds * sizeof(int));
	}
	if (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		return 0;
	return n;
}

static void
result_refuse(int out, enum order_how how, int error)
{
	struct order_result r = { .how = (uint8_t)how, .code = (int16_t)error };

	(void)send(out, &r, sizeof(r), MSG_NOSIGNAL);
}

static void
order_take(struct slice packet, int body, int out, int to)
{
	const struct piped_program *p;
	struct order o;
	pid_t pid;

	if (!order_parse(packet, &o) || !(p = piped_program_find(o.program))) {
		result_refuse(out, ORDER_LIST, 0);
		return;
	}
	/* The front keeps to the limit; one that does not gets no further for it. */
	if (supervisors >= 2 * pconf.running) {
		result_refuse(out, ORDER_SYSTEM, EAGAIN);
		return;
	}
	pid = fork();
	if (pid == 0) {
		(void)close(HELPER_FD);
		supervise(&o, p, body, out, to);
		_exit(0);
	}
	if (pid < 0)
		result_refuse(out, ORDER_SYSTEM, errno);
	else
		supervisors++;
}

/* ---- its life --------------------------------------------------------------------------------- */

/* The listeners, the log's file and everything else are the front's.  What is sent to the whole group is for the
 * front, which waits for runs that are under way; this process ends behind it. */
static void
helper_settle(int fd)
{
	struct sigaction child = { .sa_handler = on_child };
	static const int unheard[] = { SIGHUP, SIGINT, SIGTERM, SIGPIPE, SIGUSR1, SIGUSR2 };

	if (fd != HELPER_FD && dup2(fd, HELPER_FD) < 0)
		_exit(1);
	(void)close_range(HELPER_FD + 1, ~0U, 0);
	for (size_t i = 0; i < NELEM(unheard); i++)
		(void)signal(unheard[i], SIG_IGN);
	sigemptyset(&child.sa_mask);
	(void)sigaction(SIGCHLD, &child, NULL);
	(void)prctl(PR_SET_NAME, "piped-helper");
	(void)prctl(PR_SET_DUMPABLE, 0);
}

void
helper_serve(int fd)
{
	char room[ORDER_MAX], *why;
	int fds[HELPER_FDS];
	size_t nfds;
	ssize_t n;

	helper_settle(fd);
	while ((n = order_receive(room, fds, &nfds)) >= 0) {
		struct slice packet = slice(room, (size_t)n);

		if (nfds == HELPER_FDS || nfds == HELPER_FDS - 1) {
			order_take(packet, fds[0], fds[1], nfds == HELPER_FDS ? fds[2] : -1);
		} else if (nfds == 0 && packet.n == sizeof("reload") &&
		    memcmp(room, "reload", sizeof("reload")) == 0) {
			/* The front has found it good, and says what is wrong with it. */
			(void)daemon_conf_again(&why);
			free(why);
		}
		fds_close(fds, nfds);
	}
	_exit(0);
}

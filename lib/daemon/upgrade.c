/* daemon/upgrade.c: another process of this program takes over, by SIGUSR2, and no connection is lost.
 *
 *	old parent   SIGUSR2: starts its program anew, with listeners and sockets as LISTEN_FDS has them
 *	new parent   reads the configuration, starts workers; when all of them serve it says "ready"
 *	old parent   closes its listeners; its workers keep their sessions until these end, or upgrade_timeout
 *
 * What is asked of the new one on its control socket, and concerns sessions, it tells the old one, too: who is to
 * have no session any more has none there either.  Owns the link between the two, both ends; called by parent.c,
 * setup.c and program.c.  Can fail: the new one, before it is ready; then the old one goes on as if nothing had been.
 * Must stay true: at every moment somebody accepts what comes to a listener.  A daemon without workers cannot: it is
 * confined itself, and the one writer of what it writes. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "daemon/daemon-impl.h"

#define SOCKETS_MOST 200 /* listeners and our own */

struct side {
	struct ipc ipc;
	bool open;
};

static char exe[PATH_MAX]; /* as it was at the start: who replaces the file leaves its name */
static struct side heir, predecessor;
static pid_t heir_pid; /* 0: none is being started, or it is gone */
static bool retired;
static int inherited[UPGRADE_SOCKETS] = { -1, -1, -1, -1, -1 };
static const char *const names[UPGRADE_SOCKETS] = { ".ctl", ".metrics", ".news", ".remote",
	".old" };

void
upgrade_init(void)
{
	ssize_t len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	exe[len > 0 ? len : 0] = '\0';
}

bool
upgrade_retired(void)
{
	return retired;
}

bool
upgrade_pending(void)
{
	return inherited[UPGRADE_OLD] >= 0;
}

/* ---- sockets on their way ------------------------------------------------------------------ */

bool
upgrade_inherit(struct slice name, int fd)
{
	for (size_t i = 0; i < UPGRADE_SOCKETS; i++)
		if (slice_eq(name, slice_str(names[i])) && inherited[i] < 0) {
			inherited[i] = fd;
			return true;
		}
	return false;
}

int
upgrade_socket(enum upgrade_socket which)
{
	int fd = inherited[which];

	inherited[which] = -1;
	return fd;
}

struct bundle {
	int fds[SOCKETS_MOST];
	size_t n;
	struct buf names;
};

static void
bundle_add(struct bundle *b, int fd, const char *mark, const char *name)
{
	if (fd < 0 || b->n == SOCKETS_MOST)
		return;
	b->fds[b->n] = fd;
	buf_printf(&b->names, "%s%s%s", b->n ? ":" : "", mark, name);
	b->n++;
}

static void
bundle_fill(struct bundle *b, int link)
{
	const int ours[UPGRADE_SOCKETS] = { daemon_self.ctl_fd, daemon_self.metrics_fd,
		daemon_self.news_fd, daemon_self.remote_fd, link };

	for (size_t i = 0; daemon_self.listens && daemon_self.listens[i]; i++)
		bundle_add(b, daemon_self.listens[i]->fd, setup_inherited(i) ? "" : "=",
		    daemon_self.listens[i]->name);
	for (size_t i = 0; i < UPGRADE_SOCKETS; i++)
		bundle_add(b, ours[i], "", names[i]);
}

/* In the child: the sockets from 3 on, in their order; first out of each other's way. */
static bool
bundle_place(struct bundle *b)
{
	for (size_t i = 0; i < b->n; i++)
		if ((b->fds[i] = fcntl(b->fds[i], F_DUPFD_CLOEXEC, SETUP_FIRST_FD + SOCKETS_MOST)) <
		    0)
			return false;
	for (size_t i = 0; i < b->n; i++)
		if (dup2(b->fds[i], SETUP_FIRST_FD + (int)i) < 0)
			return false;
	return true;
}

/* ---- the old one ----------------------------------------------------------------------------- */

NORETURN static void
upgrade_exec(struct bundle *b)
{
	static char c[] = "-c", d[] = "-d";
	char *argv[6] = { mem_str(daemon_self.d->verb ? exe : daemon_self.d->name) };
	char *pid = mem_printf("%d", (int)getpid()), *n = mem_printf("%zu", b->n);
	char *all = mem_printf(SFMT, SARG(buf_get(&b->names)));
	size_t at = 1;

	if (daemon_self.d->verb)
		argv[at++] = mem_str(daemon_self.d->verb);
	if (daemon_self.file) {
		argv[at++] = c;
		argv[at++] = daemon_self.file;
	}
	if (daemon_self.debug)
		argv[at++] = d;
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", n, 1);
	setenv("LISTEN_FDNAMES", all, 1);
	unsetenv("WATCHDOG_PID"); /* which is ours */
	signals_exec();
	if (bundle_place(b))
		execv(exe, argv);
	_exit(EX_OSERR);
}

static void
heir_failed(int status)
{
	log_event(LOG_ERROR, "upgrade_failed", "pid=%d signal=%d status=%d", (int)heir_pid,
	    WIFSIGNALED(status) ? WTERMSIG(status) : 0,
	    WIFEXITED(status) ? WEXITSTATUS(status) : 0);
	heir_pid = 0;
	if (heir.open)
		ipc_close(&heir.ipc);
}

static void
heir_on_packet(struct ipc *c UNUSED, struct slice text, int *fds UNUSED, size_t nfds UNUSED)
{
	if (!slice_eq(text, S("ready"))) {
		parent_hear(text);
		return;
	}
	if (retired)
		return;
	retired = true;
	log_event(LOG_INFO, "upgraded", "pid=%d", (int)heir_pid);
	parent_retire(heir_pid);
}

static void
side_on_closed(struct ipc *c, int error UNUSED)
{
	struct side *s = c->data;

	s->open = false;
}

static const struct ipc_events heir_events = { .packet = heir_on_packet, .closed = side_on_closed };

static const char *
upgrade_hindrance(void)
{
	return retired                ? "this process has handed over" :
	    heir_pid                  ? "it is under way" :
	    daemon_self.draining      ? "it is ending" :
	    daemon_self.d->privileged ? "a part of it must be started by root: restart it" :
	    access(exe, X_OK) < 0     ? "there is no program" :
					NULL;
}

void
upgrade_refuse(const char *why)
{
	log_event(LOG_WARN, "upgrade_refused", "why=%s", log_str(why));
}

void
upgrade_start(void)
{
	const char *why = upgrade_hindrance();
	struct bundle b = { .n = 0 };
	int fds[2];

	if (why) {
		upgrade_refuse(why);
		return;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0) {
		upgrade_refuse(strerror(errno));
		return;
	}
	heir_pid = fork();
	if (heir_pid == 0) {
		bundle_fill(&b, fds[1]);
		upgrade_exec(&b);
	}
	close(fds[1]);
	heir.open = heir_pid > 0 &&
	    ipc_open(&heir.ipc, &daemon_self.loop, fds[0], &heir_events, &heir) == 0;
	if (!heir.open) {
		upgrade_refuse("no process");
		close(fds[0]);
		return;
	}
	log_event(LOG_INFO, "upgrade", "pid=%d program=%s", (int)heir_pid, log_str(exe));
}

bool
upgrade_died(pid_t pid, int status)
{
	if (pid != heir_pid || pid == 0)
		return false;
	if (retired)
		heir_pid = 0;
	else
		heir_failed(status);
	return true;
}

void
upgrade_abandon(void)
{
	if (heir_pid && !retired)
		kill(heir_pid, SIGTERM);
}

/* ---- the new one ----------------------------------------------------------------------------- */

static void
predecessor_on_packet(struct ipc *c UNUSED, struct slice text UNUSED, int *fds UNUSED,
    size_t nfds UNUSED)
{
}

static void
predecessor_on_closed(struct ipc *c UNUSED, int error UNUSED)
{
	predecessor.open = false;
	if (retired)
		parent_leave();
}

static const struct ipc_events predecessor_events = { .packet = predecessor_on_packet,
	.closed = predecessor_on_closed };

bool
upgrade_awaits(void)
{
	return retired && predecessor.open;
}

void
upgrade_ready(void)
{
	int fd = upgrade_socket(UPGRADE_OLD), rc;

	if (fd < 0)
		return;
	/* Not before: what concerns sessions would be heard here, and not where they are. */
	control_listen(&daemon_self.loop);
	rc = setup_pid();
	(void)rc; /* it has been logged, and whoever looks there finds the old one */
	predecessor.open = ipc_open(&predecessor.ipc, &daemon_self.loop, fd, &predecessor_events,
			       &predecessor) == 0;
	if (!predecessor.open)
		close(fd);
	else
		upgrade_tell(S("ready"));
}

void
upgrade_tell(struct slice line)
{
	if (predecessor.open && ipc_send(&predecessor.ipc, line, NULL, 0) < 0)
		log_event(LOG_WARN, "upgrade_untold", "line=%s", log_value(line));
}

bool
upgrade_concerns(struct slice line)
{
	static const char *const verbs[] = { "forget ", "kick ", "drain", "cache purge" };

	for (size_t i = 0; i < NELEM(verbs); i++)
		if (slice_starts(line, slice_str(verbs[i])))
			return true;
	return false;
}

void
upgrade_close_fds(void)
{
	if (heir.open)
		close(heir.ipc.fd);
	if (predecessor.open)
		close(predecessor.ipc.fd);
	if (inherited[UPGRADE_OLD] >= 0)
		close(inherited[UPGRADE_OLD]);
}

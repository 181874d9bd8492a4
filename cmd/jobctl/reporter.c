/* reporter.c: starts the process that sends the reports of TLS of the days that are over (RFC 8460): channel-master -r send.
 *
 * Owns one timer and at most one process.  A while after midnight in UTC, which nobody else knows, it is started, and then each
 * hour until the next midnight: what is done is written down on disk by the process itself, and it ends at once when
 * there is nothing left.  It fails alone: no mail depends on it.  Where tlsrpt.organisation or tlsrpt.contact is empty nothing
 * is started. */
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/random.h"
#include "jobctl.h"

#define DAY_S  86400
#define HOUR_S 3600

static struct timer look;
static struct watch end;
static int pidfd = -1;
static pid_t pid;
static int64_t behind_s; /* midnight */

static void
reporter_closed(struct watch *w UNUSED)
{
	(void)close(pidfd);
	pidfd = -1;
}

static void
reporter_on_end(struct watch *w, bool readable UNUSED, bool writable UNUSED, int error UNUSED)
{
	siginfo_t si = { 0 };

	if (waitid(P_PIDFD, (id_t)pidfd, &si, WEXITED | WNOHANG) < 0 || si.si_pid == 0)
		return;
	if (si.si_code != CLD_EXITED || si.si_status != 0)
		log_event(LOG_WARN, "reporter_end", "pid=%d how=%s code=%d", (int)pid,
		    si.si_code == CLD_EXITED ? "exit" : "signal", si.si_status);
	pid = 0;
	watch_close(w, reporter_closed);
}

static void
reporter_spawn(void)
{
	char *path = mem_printf("%s/channel-master", shared.libexec);
	int e = pool_process(path, "-r", "send", &pid);

	if (e == 0 && (pidfd = (int)syscall(SYS_pidfd_open, pid, 0)) < 0)
		e = -errno;
	if (e < 0) {
		log_event(LOG_ERROR, "reporter_start", "path=%s error=%s", log_str(path),
		    log_str(strerror(-e)));
	} else {
		must(watch_init(&end, jobctl.loop, pidfd, reporter_on_end) == 0);
		watch_want(&end, true, false);
		log_event(LOG_INFO, "reporter_start", "pid=%d", (int)pid);
	}
	mem_free(&path);
}

static void
reporter_look(struct timer *t)
{
	int64_t since = clock_now() % DAY_S - behind_s, next = HOUR_S;

	if (since < 0 && -since < HOUR_S)
		next = -since;
	else if (since >= 0 && pidfd < 0 && !jobctl.draining)
		reporter_spawn();
	timer_start(t, (uint64_t)next * 1000, 0);
}

void
reporter_start(void)
{
	int64_t most = shared.tlsrpt_delay / 1000;

	if (!*shared.tlsrpt_organisation || !*shared.tlsrpt_contact)
		return;
	behind_s = most > 0 ? (int64_t)random_below((uint64_t)most) : 0;
	timer_init(&look, jobctl.loop, reporter_look);
	timer_start(&look, 0, 0);
}

void
reporter_leave(void)
{
	if (pidfd >= 0)
		(void)kill(pid, SIGTERM);
}

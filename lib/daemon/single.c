/* daemon/single.c: a daemon that is one process: work, signals and control socket together; and
 * a master, which has no control socket and ends when the daemon that started it has no more
 * work.
 *
 * The counterpart of parent.c, with worker.c for the work.  A start that fails ends the process;
 * a reload that fails keeps what there was.  Being asked to drain a second time, or the limit,
 * ends it at once.  Files are confined before the work starts, calls of the kernel when it has. */
#include <signal.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "daemon/daemon-impl.h"

static struct timer drain_timer, watchdog;

static bool
is_master(void)
{
	return daemon_self.d->kind == PROGRAM_MASTER;
}

static void
single_leave(void)
{
	loop_stop(&daemon_self.loop);
}

static void
single_on_drain_over(struct timer *t UNUSED)
{
	log_event(LOG_WARN, "drain_timeout", "limit_ms=%lld", (long long)daemon_self.drain_timeout);
	single_leave();
}

static void
single_drain(void)
{
	if (daemon_self.draining) {
		single_leave();
		return;
	}
	log_event(LOG_INFO, "drain", "limit_ms=%lld", (long long)daemon_self.drain_timeout);
	if (!is_master())
		notify_send("STOPPING=1\n");
	timer_start(&drain_timer, (uint64_t)daemon_self.drain_timeout, 0);
	worker_drain();
}

void
daemon_drain(void)
{
	if (!daemon_self.draining)
		single_drain();
}

static void
single_on_signal(int sig)
{
	struct buf out = { 0 };

	if (sig == SIGUSR2)
		upgrade_refuse("it is one process: restart it");
	else if (sig == SIGHUP && !is_master())
		(void)config_reload(worker_reload, NULL, &out);
	else
		single_drain();
	buf_fini(&out);
}

static void
single_status(struct buf *out)
{
	admin_header(out);
	(void)worker_answer(S("status"), out);
}

static void
single_metrics(struct buf *out)
{
	counters_refresh();
	counters_write(out, NULL, 0, 0);
}

static void
single_on_ask(struct ctl_conn *c, struct slice line)
{
	struct buf out = { 0 };
	int rc;

	if (admin_own(line, &out))
		; /* answered */
	else if (slice_eq(line, S("status")))
		single_status(&out);
	else if (slice_eq(line, S("metrics")))
		single_metrics(&out);
	else if (slice_eq(line, S("reload")))
		(void)config_reload(worker_reload, NULL, &out);
	else if (slice_eq(line, S("drain")))
		buf_lit(&out, "ok\n");
	else if ((rc = admin_spread(line, single_drain, &out)) != 0)
		(void)(rc > 0 && worker_answer(line, &out));
	else if (!worker_answer(line, &out))
		buf_lit(&out, "error: unknown command\n");
	control_answer(c, buf_get(&out));
	buf_fini(&out);
	if (slice_eq(line, S("drain")) && !daemon_self.draining)
		single_drain();
}

static void
single_on_watchdog(struct timer *t UNUSED)
{
	notify_send("WATCHDOG=1\n");
}

static void
single_serve(void)
{
	control_start(&daemon_self.loop, single_on_ask);
	if (notify_watchdog_ms())
		timer_start(&watchdog, notify_watchdog_ms(), notify_watchdog_ms());
	log_event(LOG_INFO, "ready", "version=%s workers=0", TIERMAIL_VERSION);
	notify_send("READY=1\nSTATUS=running\n");
}

int
single_run(void)
{
	int rc;

	counters_open(1);
	loop_init(&daemon_self.loop);
	signals_start(&daemon_self.loop, false, single_on_signal);
	timer_init(&drain_timer, &daemon_self.loop, single_on_drain_over);
	timer_init(&watchdog, &daemon_self.loop, single_on_watchdog);
	worker_drained = single_leave;
	confine_files(true);
	if ((rc = worker_start(&daemon_self.loop, -1)) < 0) {
		log_event(LOG_ERROR, "start_failed", "error=%s", log_str(strerror(-rc)));
		setup_remove();
		return is_master() ? EX_TEMPFAIL : EX_OSERR;
	}
	if (!is_master())
		single_serve();
	sandbox_calls();
	loop_run(&daemon_self.loop);
	if (daemon_self.d->end)
		daemon_self.d->end();
	if (!is_master())
		log_event(LOG_INFO, "stop", "pid=%d", (int)getpid());
	setup_remove();
	return 0;
}

/* daemon/single.c: a daemon that is one process: work, signals and control socket together. */
#include <signal.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "daemon/self.h"

static struct timer drain_timer, watchdog;

static void
leave(void)
{
	loop_stop(&self.loop);
}

static void
on_drain_over(struct timer *t UNUSED)
{
	log_event(LOG_WARN, "drain_timeout", "limit_ms=%lld", (long long)self.drain_timeout);
	leave();
}

static void
drain(void)
{
	if (self.draining) {
		leave();
		return;
	}
	log_event(LOG_INFO, "drain", "limit_ms=%lld", (long long)self.drain_timeout);
	notify_send("STOPPING=1\n");
	timer_start(&drain_timer, (uint64_t)self.drain_timeout, 0);
	worker_drain();
}

static bool
reload(struct buf *out)
{
	char *why = NULL;
	bool good;

	notify_reloading();
	good = config_verify(&why) && worker_reload(&why);
	buf_str(out, why ? why : "");
	config_log(good ? LOG_WARN : LOG_ERROR, good ? "reload_partial" : "reload_failed", why);
	if (good)
		log_event(LOG_INFO, "reload", "pid=%d", (int)getpid());
	buf_str(out, good ? "ok\n" : "error: the old configuration stays\n");
	notify_send("READY=1\n");
	return good;
}

static void
on_signal(int sig)
{
	struct buf out = { 0 };

	if (sig == SIGHUP)
		(void)reload(&out);
	else
		drain();
	buf_fini(&out);
}

static void
status(struct buf *out)
{
	buf_printf(out, "daemon=%s version=%s pid=%d workers=0 state=%s uptime=%llu\n", self.d->name,
	    TIERMAIL_VERSION, (int)getpid(), self.draining ? "draining" : "running",
	    (unsigned long long)((clock_mono_ms() - self.started_ms) / 1000));
	(void)worker_answer(S("status"), out);
}

static void
on_ask(struct ctl_conn *c, struct slice line)
{
	struct buf out = { 0 };

	if (slice_eq(line, S("status")))
		status(&out);
	else if (slice_eq(line, S("metrics")))
		counters_write(&out, NULL, 0, 0);
	else if (slice_eq(line, S("reload")))
		(void)reload(&out);
	else if (slice_eq(line, S("drain")))
		buf_lit(&out, "ok\n");
	else if (!worker_answer(line, &out))
		buf_lit(&out, "error: unknown command\n");
	control_answer(c, buf_get(&out));
	buf_fini(&out);
	if (slice_eq(line, S("drain")) && !self.draining)
		drain();
}

static void
on_watchdog(struct timer *t UNUSED)
{
	notify_send("WATCHDOG=1\n");
}

int
single_run(void)
{
	int rc;

	counters_open(1);
	loop_init(&self.loop);
	signals_start(&self.loop, false, on_signal);
	timer_init(&drain_timer, &self.loop, on_drain_over);
	timer_init(&watchdog, &self.loop, on_watchdog);
	worker_drained = leave;
	if ((rc = worker_start(&self.loop, -1)) < 0) {
		log_event(LOG_ERROR, "start_failed", "error=%s", log_str(strerror(-rc)));
		setup_remove();
		return EX_OSERR;
	}
	control_start(&self.loop, self.ctl_fd, on_ask);
	if (notify_watchdog_ms())
		timer_start(&watchdog, notify_watchdog_ms(), notify_watchdog_ms());
	log_event(LOG_INFO, "ready", "version=%s workers=0", TIERMAIL_VERSION);
	notify_send("READY=1\nSTATUS=running\n");
	loop_run(&self.loop);
	log_event(LOG_INFO, "stop", "pid=%d", (int)getpid());
	setup_remove();
	return 0;
}

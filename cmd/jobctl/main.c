/* main.c: tables, start, reload, drain of the job controller. */
#include <errno.h>
#include <stdlib.h>
#include "base/log.h"
#include "base/mem.h"
#include "jobctl.h"

struct jobctl jobctl;

static const struct conf_schema schema = { NULL, 0, NULL, 0 };

static const struct metric metrics[] = {
	[M_MESSAGES] = { "queue_messages", GAUGE, "Messages (files) in the queue." },
	[M_READY] = { "queue_ready", GAUGE, "Messages that may be delivered now." },
	[M_WAITING] = { "queue_waiting", GAUGE, "Messages that wait for their next attempt." },
	[M_LEASED] = { "queue_leased", GAUGE, "Messages that a master works on." },
	[M_HELD] = { "queue_held", GAUGE, "Messages that are held." },
	[M_NEW] = { "queue_new", COUNTER, "Messages announced by feeders." },
	[M_DONE] = { "queue_done", COUNTER, "Messages that left the queue." },
	[M_RETRY] = { "queue_retried", COUNTER, "Attempts that will be repeated." },
	[M_EXPIRED] = { "queue_expired", COUNTER, "Messages returned because of their age." },
	[M_NOTICED] = { "queue_warned", COUNTER, "Delay warnings sent." },
	[M_RETURNED] = { "queue_returned", COUNTER, "Leases that came back without an attempt." },
	[M_MASTERS] = { "queue_masters", GAUGE, "Masters that are connected." },
	[M_SPAWNED] = { "queue_masters_started", COUNTER, "Masters started." },
	[M_CRASHED] = { "queue_masters_failed", COUNTER, "Masters that ended badly or did not start." },
	[M_SCANS] = { "queue_scans", COUNTER, "Walks over the spool." },
	[M_FOUND] = { "queue_found", COUNTER, "Messages that a walk over the spool has found." },
	[M_MEMORY] = { "queue_schedule_bytes", GAUGE, "Memory of the schedule." },
	{ NULL, COUNTER, NULL },
};

/* ---- configuration -------------------------------------------------------------------------------- */

static int
read_channels(struct channels **out)
{
	char *path = daemon_conf_path("channels.conf"), *why = NULL;
	int e = channels_read(path, out, &why);

	if (e < 0)
		log_event(LOG_ERROR, "channels", "path=%s why=%s", log_str(path), log_str(why));
	mem_free(&why);
	mem_free(&path);
	return e;
}

static bool
check(struct buf *out)
{
	char *path = daemon_conf_path("channels.conf"), *why = NULL;
	struct channels *c = NULL;
	int e = channels_read(path, &c, &why);

	if (e < 0)
		buf_str(out, why ? why : "channels.conf cannot be read\n");
	channels_free(&c);
	mem_free(&why);
	mem_free(&path);
	return e == 0;
}

/* A failed reload keeps the old channels and says so. */
static void
reload(void)
{
	struct channels *c;

	if (read_channels(&c) < 0)
		return;
	sched_configure(jobctl.sched, c);
	channels_free(&jobctl.channels);
	jobctl.channels = c;
	masters_leave(NULL); /* they have read the old ones; new ones take over */
	dispatch_soon();
}

/* ---- life -------------------------------------------------------------------------------------------- */

static int
start(struct loop *l)
{
	int e;

	jobctl.loop = l;
	list_init(&jobctl.conns);
	later_init(&jobctl.dispatch);
	if ((e = read_channels(&jobctl.channels)) < 0)
		return e;
	if ((e = queue_open(shared.queue, true, &jobctl.queue)) < 0) {
		log_event(LOG_ERROR, "queue_open", "path=%s error=%s", log_str(shared.queue),
		    log_str(strerror(-e)));
		return e;
	}
	jobctl.master_conf = daemon_conf_path("channel-master.conf");
	jobctl.sched = sched_new();
	sched_configure(jobctl.sched, jobctl.channels);
	timer_init(&jobctl.due, l, serve_due);
	if ((e = serve_start()) < 0) {
		log_event(LOG_ERROR, "listen", "path=%s/jobctl.sock error=%s", log_str(shared.rundir),
		    log_str(strerror(-e)));
		return e;
	}
	rescan("start");
	return 0;
}

/* Masters finish what they have and report it; then we go. */
static void
drain(void)
{
	jobctl.draining = true;
	rescan_close();
	masters_leave(NULL);
	if (jobctl.leases == 0)
		daemon_drained();
}

static const struct daemon jobctl_daemon = {
	.name = "jobctl",
	.file = "jobctl.conf",
	.schema = &schema,
	.metrics = metrics,
	.start = start,
	.reload = reload,
	.drain = drain,
	.status = status_write,
	.check = check,
};

int
main(int argc, char **argv)
{
	return daemon_run(&jobctl_daemon, argc, argv);
}

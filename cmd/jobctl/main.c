/* jobctl/main.c: metrics, start, reload, drain of the job controller: see jobctl(8).
 *
 * Owns jobctl, what the other files of the folder share.  A start fails without channels.conf or
 * the queue; a reload that fails keeps the old channels.  Masters read channels.conf for
 * themselves and leave after a reload.  A drain waits for leases, because masters report what
 * became of them. */
#include <errno.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/log.h"
#include "daemon/program.h"
#include "base/mem.h"
#include "jobctl.h"

struct jobctl jobctl;

/* clang-format off */
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
	[M_SLOW] = { "queue_slow_destinations", GAUGE,
	    "Destinations that have work and send no news." },
	[M_LIMITED] = { "queue_limited_destinations", GAUGE, "Destinations that wait for their rate." },
	[M_HUNGRY] = { "queue_hungry_channels", GAUGE, "Channels that wait for a place in their pool." },
	[M_DEAD] = { "queue_dead_destinations", GAUGE, "Destinations that give no session." },
	[M_SUSPENDED] = { "queue_suspended_destinations", GAUGE,
	    "Destinations that a rule for replies lets rest." },
	[M_OLDEST] = { "queue_oldest_seconds", GAUGE,
	    "Age of the oldest message that is not held." },
	[M_SHUT] = { "queue_shut_channels", GAUGE,
	    "Channels of which messages of some priority are not delivered at this time of the day." },
	[M_CANCELLED] = { "queue_cancelled", COUNTER,
	    "Messages kept for later that their senders have cancelled." },
	[M_COUNT + JOB_COUNT_DELIVERED] = { "delivery_delivered", COUNTER, "Recipients who have the message, or whose next host has it." },
	[M_COUNT + JOB_COUNT_DEFERRED] = { "delivery_deferred", COUNTER, "Recipients whom an attempt has left for a later one." },
	[M_COUNT + JOB_COUNT_FAILED] = { "delivery_failed", COUNTER, "Recipients who are refused for good." },
	[M_COUNT + JOB_COUNT_REASON + 0] = { "delivery_reason_other", COUNTER, "Recipients deferred or failed for other or no reasons." },
	[M_COUNT + JOB_COUNT_REASON + 1] = { "delivery_reason_address", COUNTER, "Recipients deferred or failed for their address (x.1)." },
	[M_COUNT + JOB_COUNT_REASON + 2] = { "delivery_reason_mailbox", COUNTER, "Recipients deferred or failed for their mailbox (x.2)." },
	[M_COUNT + JOB_COUNT_REASON + 3] = { "delivery_reason_system", COUNTER, "Recipients deferred or failed for the system there (x.3)." },
	[M_COUNT + JOB_COUNT_REASON + 4] = { "delivery_reason_network", COUNTER, "Recipients deferred or failed for the network or routing (x.4)." },
	[M_COUNT + JOB_COUNT_REASON + 5] = { "delivery_reason_protocol", COUNTER, "Recipients deferred or failed for the protocol (x.5)." },
	[M_COUNT + JOB_COUNT_REASON + 6] = { "delivery_reason_content", COUNTER, "Recipients deferred or failed for the content (x.6)." },
	[M_COUNT + JOB_COUNT_REASON + 7] = { "delivery_reason_policy", COUNTER, "Recipients deferred or failed for security or policy (x.7)." },
	[M_COUNT + JOB_COUNT_TLS13] = { "delivery_sessions_tls13", COUNTER, "Sessions with TLS 1.3." },
	[M_COUNT + JOB_COUNT_TLS12] = { "delivery_sessions_tls12", COUNTER, "Sessions with TLS 1.2." },
	[M_COUNT + JOB_COUNT_PLAIN] = { "delivery_sessions_plain", COUNTER, "Sessions without TLS." },
	[M_COUNT + JOB_COUNT_DANE] = { "delivery_policy_dane", COUNTER, "Sessions by a policy of DANE." },
	[M_COUNT + JOB_COUNT_STS] = { "delivery_policy_sts", COUNTER, "Sessions by an MTA-STS policy that is enforced." },
	[M_COUNT + JOB_COUNT_STS_TESTING] = { "delivery_policy_sts_testing", COUNTER, "Sessions by one that is tested." },
	[M_COUNT + JOB_COUNT_LOCAL] = { "delivery_policy_local", COUNTER, "Sessions by what the channel says alone." },
	[M_COUNT + JOB_COUNT_NO_SESSION] = { "delivery_sessions_failed", COUNTER, "Tries at a host that gave no session." },
	[M_COUNT + JOB_COUNT_TLS_FAILED] = { "delivery_tls_failed", COUNTER, "... because of TLS or of what a policy demands." },
	[M_COUNT + JOB_COUNT_LOGIN_FAILED] = { "delivery_login_failed", COUNTER, "... because the channel cannot log in there, by a mistake of the configuration." },
	[M_COUNT + JOB_COUNT_DNS] = { "delivery_dns", COUNTER, "Questions that the DNS has answered, or that were given up." },
	[M_COUNT + JOB_COUNT_DNS_US] = { "delivery_dns_seconds", COUNTER_US, "... after so long in all." },
	[M_COUNT + JOB_COUNTS] = { NULL, COUNTER, NULL },
};
/* clang-format on */

/* Each look walks so many entries; of a longer queue the age is known after some looks. */
#define OLDEST_LOOK 50000

static void
jobctl_gauges(void)
{
	static size_t at;
	static uint32_t arrival;     /* the least of this walk so far, 0 = none yet */
	static uint32_t arrival_was; /* of the walk before */
	struct sched_entry *e = NULL;
	int64_t now = clock_now();

	for (unsigned n = 0; n < OLDEST_LOOK && (e = sched_next(jobctl.sched, &at)); n++)
		if (e->state != SCHED_HELD && (!arrival || e->arrival < arrival))
			arrival = e->arrival;
	if (!e) {
		arrival_was = arrival;
		arrival = 0;
		at = 0;
	}
	metric_set(M_OLDEST, arrival_was && arrival_was < now ? now - arrival_was : 0);
}

/* ---- configuration -------------------------------------------------------------------------------- */

/* The channels, each in a pool that there is.  0, or -errno with *why (heap). */
static int
load_channels(const char *path, struct channels **out, char **why)
{
	struct buf missing = { 0 };
	int e = channels_read(path, out, why);

	if (e == 0 && !pools_check(*out, &missing)) {
		*why = buf_take(&missing);
		channels_free(out);
		e = -EINVAL;
	}
	buf_fini(&missing);
	return e;
}

static int
read_channels(struct channels **out)
{
	char *path = daemon_conf_path("channels.conf"), *why = NULL;
	int e = load_channels(path, out, &why);

	if (e < 0)
		log_event(LOG_ERROR, "channels", "path=%s why=%s", log_str(path), log_str(why));
	mem_free(&why);
	mem_free(&path);
	return e;
}

static bool
jobctl_check(struct buf *out)
{
	char *path = daemon_conf_path("channels.conf"), *why = NULL;
	struct channels *c = NULL;
	int e = load_channels(path, &c, &why);

	if (e < 0)
		buf_str(out, why ? why : "channels.conf cannot be read\n");
	channels_free(&c);
	mem_free(&why);
	mem_free(&path);
	return e == 0;
}

/* A failed reload keeps the old channels and says so. */
static void
jobctl_reload(void)
{
	struct channels *c;

	if (read_channels(&c) < 0)
		return;
	sched_configure(jobctl.sched, c);
	channels_free(&jobctl.channels);
	jobctl.channels = c;
	masters_leave(NULL); /* they have read the old ones; new ones take over */
	windows_look();
}

/* ---- life -------------------------------------------------------------------------------------------- */

static int
jobctl_start(struct loop *l)
{
	int e;

	jobctl.loop = l;
	jobctl.began = loop_now(l);
	list_init(&jobctl.conns);
	if ((e = read_channels(&jobctl.channels)) < 0)
		return e;
	if ((e = queue_open(shared.queue, true, &jobctl.queue)) < 0) {
		log_event(LOG_ERROR, "queue_open", "path=%s error=%s", log_str(shared.queue),
		    log_str(strerror(-e)));
		return e;
	}
	jobctl.master_conf = daemon_conf_path("channel-master.conf");
	table_start();
	if ((e = stopped_load()) < 0)
		return e;
	sched_places_keep(jobctl.sched, true);
	places_load();
	pool_start();
	if ((e = serve_start()) < 0) {
		log_event(LOG_ERROR, "listen", "path=%s/jobctl.sock error=%s",
		    log_str(shared.rundir), log_str(strerror(-e)));
		return e;
	}
	windows_start();
	clock_watch_start();
	reporter_start();
	rescan("start");
	table_changed(); /* some masters are to be there without work */
	return 0;
}

/* Masters finish what they have and report it; then we go. */
static void
jobctl_drain(void)
{
	jobctl.draining = true;
	rescan_close();
	reporter_leave();
	masters_leave(NULL);
	if (jobctl.leases == 0)
		daemon_drained();
}

static bool
jobctl_is_last(struct slice line)
{
	struct slice rest, verb = job_verb(line, &rest);

	return slice_eq(verb, S("ok")) || slice_eq(verb, S("error"));
}

/* Operators look, and do what its opposite undoes.  Feeders' and masters' words are nobody's from elsewhere. */
static const struct daemon_door jobctl_door = {
	.word = "queue",
	.socket = "jobctl.sock",
	.operators = "status channels list show jobs top rescan retry hold release",
	.admins = "stop start delete return reroute",
	.last = jobctl_is_last,
};

static const struct program jobctl_program = {
	.name = "jobctl",
	.about = "job controller: owns the schedule of all queued mail",
	.may = "spawn queue",
	.file = "jobctl.conf",
	.schema = &pools_schema,
	.metrics = metrics,
	.gauges = jobctl_gauges,
	.start = jobctl_start,
	.reload = jobctl_reload,
	.drain = jobctl_drain,
	.status = jobctl_status_write,
	.check = jobctl_check,
	.door = &jobctl_door,
};

int
main(int argc, char **argv)
{
	return program_run(&jobctl_program, argc, argv);
}

/* channel-master: the master program of one channel: takes leases from jobctl and delivers.
 *
 *	channel-master [-c FILE] [-d] [-n] [-V] CHANNEL
 *	channel-master -r send|show [DAY [DOMAIN]]
 *
 * The second sends reports of TLS, or shows them: report.h.
 *
 * Started by jobctl when there is work, once or several times for a channel; leaves by itself
 * when there is none.  This file owns coming and going: the queue and the connection to jobctl are
 * opened here and live as long as the process.  When either cannot be had it ends with EX_TEMPFAIL
 * and jobctl tries again later.  What must stay true: a lease that is not answered goes back to
 * jobctl with the socket, so that the process may end at any time. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/program.h"
#include "daemon/sandbox.h"
#include "cut.h"
#include "report.h"
#include "master.h"

struct master master;
static bool left;

static struct {
	enum { REPORT_NOT, REPORT_SEND, REPORT_SHOW } what;
	char *day, *domain; /* NULL: not given */
} report;

/* ---- configuration -------------------------------------------------------------------- */

static struct buf master_login_wrong; /* until there is a log */

/* -n: can the passwords of the channel, or of all, be read? */
static bool
master_logins_ok(void)
{
	const struct channels *cs = master.channels;
	struct buf wrong = { 0 };
	bool ok = true;

	for (size_t i = 0; i < cs->nchannel; i++)
		if (!master.channel || master.channel == &cs->channel[i])
			ok = login_read(&cs->channel[i], &wrong) && ok;
	fputs(buf_cstr(&wrong), stderr);
	buf_fini(&wrong);
	return ok;
}

/* A password that cannot be had is no reason to end: what goes another way than to the relay goes. */
static void
master_login_tell(void)
{
	struct slice rest = buf_get(&master_login_wrong), line;

	while (slice_cut(&rest, '\n', &line))
		log_event(LOG_ERROR, "relay_login", "channel=%s peer=none user=%s error=%s",
		    master.channel->name, log_str(master.channel->auth_user), log_value(line));
	buf_fini(&master_login_wrong);
}

static struct buf master_notices_wrong; /* until there is a log */

/* A language that cannot be read is no reason to keep mail: its readers get another one. */
static void
master_notices_tell(void)
{
	struct slice rest = buf_get(&master_notices_wrong), line;

	while (slice_cut(&rest, '\n', &line))
		log_event(LOG_ERROR, "notices_file", "error=%s", log_value(line));
	buf_fini(&master_notices_wrong);
}

static bool
master_option(int c, const char *value)
{
	if (c != 'r')
		return true;
	report.what = strcmp(value, "send") == 0 ? REPORT_SEND :
	    strcmp(value, "show") == 0           ? REPORT_SHOW :
						   REPORT_NOT;
	if (!report.what)
		fprintf(stderr, "channel-master: -r %s: it is send or show\n", value);
	return report.what;
}

static int
report_take(int argc, char **argv)
{
	int64_t begins = 0;
	int e;

	if (argc > (report.what == REPORT_SHOW ? 2 : 1))
		return program_usage();
	report.day = argc ? argv[0] : NULL;
	report.domain = argc > 1 ? argv[1] : NULL;
	if (report.day && !report_day(report.day, &begins)) {
		fprintf(stderr, "channel-master: %s: no day (2026-11-30)\n", report.day);
		return EX_USAGE;
	}
	if (report.what == REPORT_SEND) {
		if (!*shared.tlsrpt_organisation || !*shared.tlsrpt_contact) {
			fputs("channel-master: tlsrpt.organisation and tlsrpt.contact say who "
			      "sends reports: both are needed\n",
			    stderr);
			return EX_CONFIG;
		}
		if (report.day && clock_now() < begins + 86400) {
			fprintf(stderr, "channel-master: %s is not over\n", report.day);
			return EX_USAGE;
		}
		return 0;
	}
	e = tlsrpt_show(report.day, report.domain);
	if (e < 0)
		fprintf(stderr, "channel-master: %s\n",
		    e == -ENOENT ? "nothing was written down" : strerror(-e));
	exit(e < 0 ? EX_NOINPUT : fflush(stdout) ? EX_IOERR : EX_OK);
}

static int
master_take(bool check, int argc, char **argv)
{
	char *path = daemon_conf_path("channels.conf"), *why = NULL;
	struct buf wrong = { 0 };
	int r;

	if (report.what && !check) {
		mem_free(&path);
		return report_take(argc, argv);
	}
	if (argc > 1 || (argc == 0 && !check)) {
		mem_free(&path);
		return program_usage();
	}
	r = channels_read(path, &master.channels, &why);
	mem_free(&path);
	if (r < 0) {
		fputs(why ? why : "channels.conf cannot be read\n", stderr);
		mem_free(&why);
		return EX_CONFIG;
	}
	if (!notices_read(&wrong) && check) {
		fputs(buf_cstr(&wrong), stderr);
		buf_fini(&wrong);
		return EX_CONFIG;
	}
	master_notices_wrong = wrong;
	master.channel = argc ? channels_find(master.channels, slice_str(argv[0])) : NULL;
	if (argc && !master.channel) {
		fprintf(stderr, "channel-master: no channel %s\n", argv[0]);
		return EX_CONFIG;
	}
	if (argc)
		master.agent = agent_find(master.channel);
	if (check)
		return master_logins_ok() ? 0 : EX_CONFIG;
	(void)login_read(master.channel, &master_login_wrong);
	return 0;
}

static void
master_print(struct buf *out)
{
	channels_print(master.channels, out);
	notices_print(out);
}

static void
set_limits(void)
{
	master.limits = (struct smtp_client_limits){
		.greeting = (uint32_t)mconf.t_greeting,
		.hello = (uint32_t)mconf.t_hello,
		.mail = (uint32_t)mconf.t_mail,
		.rcpt = (uint32_t)mconf.t_rcpt,
		.data = (uint32_t)mconf.t_data,
		.block = (uint32_t)mconf.t_block,
		.dot = (uint32_t)mconf.t_dot,
		.quit = smtp_client_limits_rfc.quit,
		.whole = (uint32_t)mconf.t_whole,
	};
}

/* ---- coming and going ----------------------------------------------------------------- */

static void
master_leave(void)
{
	if (left)
		return;
	left = true;
	if (master.job)
		job_master_close(&master.job);
	daemon_drained();
}

static void on_leave(struct deadline *d);

static void
master_idle_set(void)
{
	int64_t ms = master.channel->idle_exit ? master.channel->idle_exit : mconf.idle_exit;

	deadline_set(&master.leave, master.loop, (uint64_t)ms, on_leave);
}

static void
on_leave(struct deadline *d)
{
	(void)d;
	if (master.njobs > 0 && !master.draining)
		return;
	if (master.channel->minjobs == 0 || master.draining || !master.job) {
		master_leave();
		return;
	}
	/* Some stay without work; jobctl knows how many there are. */
	job_master_idle(master.job);
	master_idle_set();
}

void
master_job_over(void)
{
	if (left || master.njobs > 0)
		return;
	if (!master.draining) {
		master_idle_set();
		return;
	}
	if (master_session_count() == 0)
		master_leave();
}

/* No more leases.  Those that only look for a host go back at once, and a server that falls silent
 * keeps nobody waiting; a transaction that moves gets a while to end (drain_timeout), and so does the
 * answer to a whole message, which comes twice if we do not hear it. */
static void
master_drain(void)
{
	master.draining = true;
	deadline_clear(&master.leave);
	cut_drain();
	jobs_give_back();
	master_sessions_leave();
	master_job_over();
}

static void
on_work(void *arg, const struct job_work *w)
{
	(void)arg;
	job_start(w);
}

static void
master_on_lost(void *arg, int error)
{
	(void)arg;
	if (error)
		log_event(LOG_WARN, "jobctl_lost", "channel=%s error=%s", master.channel->name,
		    log_str(strerror(-error)));
	daemon_drain();
}

/* A report is shown. */
static void
master_announce(void *arg, const struct qfile *f)
{
	struct job_new n = { .channel = slice_str(f->channel),
		.file = slice_str(f->name),
		.dest = slice_str(f->dest),
		.size = f->size,
		.nrcpt = f->nrcpt,
		.prio = (int)f->prio,
		.at = f->arrival_at,
		.release = f->release_at,
		.by = f->by_at };

	(void)arg;
	if (master.job)
		job_master_new(master.job, &n);
}

static void
master_on_halt(void *arg, bool halt)
{
	(void)arg;
	cut_halt(halt);
}

static const struct job_master_events job_events = {
	.work = on_work,
	.halt = master_on_halt,
	.lost = master_on_lost,
};

static void
master_paths(void)
{
	if (*mconf.public_ca)
		sandbox_read_beside(mconf.public_ca);
}

static int
master_start(struct loop *l)
{
	char *path;
	int r;

	master.loop = l;
	list_init(&master.jobs);
	deadline_init(&master.leave);
	set_limits();
	master_notices_tell();
	master_login_tell();
	if (report.what) {
		tlsrpt_send(l, report.day);
		return 0;
	}
	r = queue_open(shared.queue, true, &master.queue);
	if (r < 0) {
		log_event(LOG_ERROR, "start", "queue=%s error=%s", log_str(shared.queue),
		    log_str(strerror(-r)));
		return r;
	}
	queue_start(master.queue, l);
	queue_announce(master.queue, master_announce, NULL);
	path = mem_printf("%s/jobctl.sock", shared.rundir);
	r = job_master_open(l, path, master.channel->name, (uint32_t)master.channel->slots,
	    &job_events, NULL, &master.job);
	if (r < 0)
		log_event(LOG_ERROR, "start", "jobctl=%s error=%s", log_str(path),
		    log_str(strerror(-r)));
	mem_free(&path);
	if (r < 0)
		return r;
	if (master.agent->open && (r = master.agent->open(l)) < 0)
		return r;
	cut_open();
	log_event(LOG_INFO, "start", "channel=%s slots=%lld", master.channel->name,
	    (long long)master.channel->slots);
	master_job_over();
	return 0;
}

/* The kernel closes the rest: every state that matters is in the files. */
static void
master_end(void)
{
	queue_close(&master.queue);
	log_event(LOG_INFO, "stop", "channel=%s", master.channel ? master.channel->name : "none");
}

static const struct program master_program = {
	.name = "channel-master",
	.kind = PROGRAM_MASTER,
	.about = "deliver the mail of one channel",
	.may = "inet queue",
	.operands = "channel | -r send | -r show [day [domain]]",
	.letters = "r:",
	.help = "  -r send [DAY]   send reports of TLS, of days that are over, instead\n"
		"  -r show [DAY [DOMAIN]] what was written down for them\n",
	.option = master_option,
	.file = "channel-master.conf",
	.schema = &master_schema,
	.drain_timeout = "15s", /* jobctl waits for us no longer than its own */
	.paths = master_paths,
	.take = master_take,
	.print = master_print,
	.start = master_start,
	.drain = master_drain,
	.end = master_end,
};

int
main(int argc, char **argv)
{
	return program_run(&master_program, argc, argv);
}

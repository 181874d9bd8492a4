/* lmtpd: LMTP (RFC 2033) in front of the message store.  Tables and one call; see lmtpd(8).
 *
 * Owns lmtpd, what the sessions of a worker share; session.c and deliver.c have the work.  A
 * start cannot fail: directory and stored may be away, and recipients are then answered with
 * 4xx. */
#include "base/log.h"
#include "daemon/program.h"
#include "globals.h"
#include "base/mem.h"
#include "filter.h"
#include "spam.h"
#include "submit/submit.h"

#define PROGRAMS_MS                                                                                \
	(3 *                                                                                       \
	    60000) /* that a program may take, waiting included: the client waits for its answers */

struct lmtpd lmtpd;

/* clang-format off */
static const struct metric metrics[] = {
	[M_SESSIONS] = { "lmtpd_sessions", GAUGE, "Connections at this moment." },
	[M_CONNECTIONS] = { "lmtpd_connections", COUNTER, "Connections accepted." },
	[M_MESSAGES] = { "lmtpd_messages", COUNTER, "Messages received." },
	[M_DELIVERED] = { "lmtpd_delivered", COUNTER, "Recipients delivered." },
	[M_DEFERRED] = { "lmtpd_deferred", COUNTER, "Recipients answered with 4xx." },
	[M_FAILED] = { "lmtpd_failed", COUNTER, "Recipients answered with 5xx." },
	[M_DUPLICATES] = { "lmtpd_duplicates", COUNTER, "Recipients that had the message already." },
	[M_BYTES] = { "lmtpd_bytes", COUNTER, "Octets of messages stored." },
	[M_DIRECTORY] = { "lmtpd_directory_blind", GAUGE, DIR_METRIC_HELP },
	[M_SIEVE_RUNS] = { "lmtpd_sieve_runs", COUNTER, "Sieve scripts that were run." },
	[M_SIEVE_ERRORS] = { "lmtpd_sieve_errors", COUNTER, "Those that failed, or could not be compiled." },
	[M_SIEVE_CPU] = { "lmtpd_sieve_cpu_seconds", COUNTER_US, "Processor's time of scripts." },
	[M_REDIRECTED] = { "lmtpd_redirected", COUNTER, "Messages that scripts have sent on." },
	[M_PIPED] = { "lmtpd_piped", COUNTER, "Messages that programs have taken for scripts." },
	[M_REJECTED] = { "lmtpd_rejected", COUNTER, "Recipients whose scripts have refused a message." },
	[M_DISCARDED] = { "lmtpd_discarded", COUNTER, "Recipients whose scripts have dropped a message." },
	[M_ANSWERED] = { "lmtpd_answered", COUNTER, "Automatic answers that were sent." },
	[M_NOTIFIED] = { "lmtpd_notified", COUNTER, "Notifications that scripts have sent." },
	[M_SPAM] = { "lmtpd_spam", COUNTER, "Recipients whose copy was filed as spam." },
	{ NULL, COUNTER, NULL },
};
/* clang-format on */

static struct submit_params
submit_params(void)
{
	static const enum smtp_tls tls[] = { SMTP_TLS_OFF, SMTP_TLS_MAY, SMTP_TLS_MUST };

	return (struct submit_params){ .relay = lconf.submit_relay,
		.tls = tls[lconf.submit_tls],
		.time_ms = (uint64_t)lconf.submit_time };
}

/* The administrator's scripts as the files have them now; those with errors change nothing. */
static void
lmtpd_system_script(void)
{
	struct buf why = { 0 };

	if (!globals_read(&why) || !script_host_read(&why))
		log_event(LOG_ERROR, "sieve_system", "error=%s", log_str(buf_cstr(&why)));
	buf_fini(&why);
}

static int
lmtpd_start(struct loop *l)
{
	struct submit_params submit = submit_params(),
			     programs = { .tls = SMTP_TLS_OFF,
				     .time_ms = PROGRAMS_MS,
				     .lmtp = true };
	char *path = mem_printf("%s/stored.sock", shared.rundir),
	     *piped = mem_printf("unix:%s/piped.sock", shared.rundir);

	lmtpd.loop = l;
	programs.relay = piped;
	admit_open(shared.rundir, &lmtpd_admit);
	list_init(&lmtpd.sessions);
	lmtpd.dir = dir_new(l);
	dir_metric(lmtpd.dir, M_DIRECTORY);
	if (lconf.sieve)
		dir_want_scripts(lmtpd.dir);
	lmtpd.news = rules_news_open();
	if (lconf.sieve)
		lmtpd.pab = pab_new(l, lmtpd.dir);
	scripts_init();
	lmtpd_system_script();
	lmtpd.submit = submit_new(l, &submit);
	if (lconf.programs && *lconf.programs)
		lmtpd.piped = submit_new(l, &programs);
	lmtpd.store = store_client_new(l, path, "lmtpd");
	mem_free(&path);
	mem_free(&piped);
	lmtpd_session_limits();
	spam_settings();
	return 0;
}

static void
lmtpd_reload(void)
{
	struct submit_params submit = submit_params();

	dir_reload(lmtpd.dir);
	lmtpd_system_script();
	submit_change(lmtpd.submit, &submit);
	lmtpd_session_limits();
	spam_settings();
}

static void
lmtpd_drain(void)
{
	submit_leave(lmtpd.submit);
	if (lmtpd.piped)
		submit_leave(lmtpd.piped);
	lmtpd_session_shutdown_all();
	if (lmtpd.nsessions == 0)
		daemon_drained();
}

static void
lmtpd_status(struct buf *out)
{
	buf_printf(out, "sessions=%zu\n", lmtpd.nsessions);
	dir_status(lmtpd.dir, out);
	buf_char(out, '\n');
	store_client_status(lmtpd.store, out);
	buf_char(out, '\n');
	submit_status(lmtpd.submit, out);
	if (lmtpd.piped)
		submit_status(lmtpd.piped, out);
	if (lmtpd.pab)
		pab_status(lmtpd.pab, out);
	scripts_status(out);
}

/* "forget USER": the entry has changed. */
static bool
lmtpd_control(struct slice line, struct buf *out)
{
	struct slice account;

	if (!daemon_forget_parse(line, &account))
		return false;
	dir_forget(lmtpd.dir, account);
	buf_lit(out, "ok\n");
	return true;
}

static bool
lmtpd_check(struct buf *why)
{
	for (char **t = lconf.trusted; t && *t; t++) {
		struct slice net = slice_str(*t), rest = slice_from(net, slice_find(net, '/'));

		if (slice_eq(rest, S("/0")))
			buf_printf(why, "warning: %s: trusted = %s: every host may deliver\n",
			    conf_where(&lconf.trusted), *t);
	}
	if (!submit_check(lconf.submit_relay, why) || !globals_check(why) ||
	    !script_host_check(why) || !spam_check(why))
		return false;
	return pab_check(why) && dir_check(why);
}

static void
lmtpd_paths(void)
{
	if (*lconf.sieve_destination)
		sandbox_read_beside(lconf.sieve_destination);
	if (*lconf.sieve_system)
		sandbox_read_beside(lconf.sieve_system);
	if (*lconf.sieve_global)
		sandbox_read(lconf.sieve_global);
	rules_news_reach();
}

static const struct program lmtpd_program = {
	.name = "lmtpd",
	.about = "LMTP server in front of the message store",
	.may = "inet memory",
	.file = "lmtpd.conf",
	.schema = &lmtpd_schema,
	.listens = true,
	.client_certs = true,
	.workers = &lconf.workers,
	.metrics = metrics,
	.start = lmtpd_start,
	.accept = lmtpd_session_accept,
	.reload = lmtpd_reload,
	.drain = lmtpd_drain,
	.status = lmtpd_status,
	.control = lmtpd_control,
	.check = lmtpd_check,
	.paths = lmtpd_paths,
};

int
main(int argc, char **argv)
{
	return program_run(&lmtpd_program, argc, argv);
}

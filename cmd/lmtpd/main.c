/* lmtpd: LMTP (RFC 2033) in front of the message store.  Tables and one call; see lmtpd(8).
 *
 * Owns lmtpd, what the sessions of a worker share; session.c and deliver.c have the work.  A
 * start cannot fail: directory and stored may be away, and recipients are then answered with
 * 4xx. */
#include "base/log.h"
#include "daemon/program.h"
#include "base/mem.h"
#include "lmtpd.h"

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
	{ NULL, COUNTER, NULL },
};
/* clang-format on */

static int
lmtpd_start(struct loop *l)
{
	char *path = mem_printf("%s/stored.sock", shared.rundir);

	lmtpd.loop = l;
	admit_open(shared.rundir, &lmtpd_admit);
	list_init(&lmtpd.sessions);
	lmtpd.dir = dir_new(l);
	dir_metric(lmtpd.dir, M_DIRECTORY);
	lmtpd.store = store_client_new(l, path, "lmtpd");
	mem_free(&path);
	lmtpd_session_limits();
	return 0;
}

static void
lmtpd_reload(void)
{
	dir_reload(lmtpd.dir);
	lmtpd_session_limits();
}

static void
lmtpd_drain(void)
{
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
}

/* "forget USER": the entry has changed. */
static bool
lmtpd_control(struct slice line, struct buf *out)
{
	struct slice verb = S(""), account = S("");

	if (!slice_word(&line, &verb) || !slice_eq(verb, S("forget")) ||
	    !slice_word(&line, &account))
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
	return dir_check(why);
}

static const struct program lmtpd_program = {
	.name = "lmtpd",
	.about = "LMTP server in front of the message store",
	.may = "inet",
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
};

int
main(int argc, char **argv)
{
	return program_run(&lmtpd_program, argc, argv);
}

/* lmtpd: LMTP (RFC 2033) in front of the message store.  Tables and one call. */
#include "base/log.h"
#include "base/mem.h"
#include "lmtpd.h"

struct lmtpd lmtpd;

static const struct metric metrics[] = {
	[M_SESSIONS] = { "lmtpd_sessions", GAUGE, "Connections at this moment." },
	[M_CONNECTIONS] = { "lmtpd_connections", COUNTER, "Connections accepted." },
	[M_MESSAGES] = { "lmtpd_messages", COUNTER, "Messages received." },
	[M_DELIVERED] = { "lmtpd_delivered", COUNTER, "Recipients delivered." },
	[M_DEFERRED] = { "lmtpd_deferred", COUNTER, "Recipients answered with 4xx." },
	[M_FAILED] = { "lmtpd_failed", COUNTER, "Recipients answered with 5xx." },
	[M_DUPLICATES] = { "lmtpd_duplicates", COUNTER, "Recipients that had the message already." },
	[M_BYTES] = { "lmtpd_bytes", COUNTER, "Octets of messages stored." },
	{ NULL, COUNTER, NULL },
};

static int
start(struct loop *l)
{
	char *path = mem_printf("%s/stored.sock", shared.rundir);

	lmtpd.loop = l;
	list_init(&lmtpd.sessions);
	lmtpd.dir = dir_new(l);
	lmtpd.store = store_client_new(l, path, "lmtpd");
	mem_free(&path);
	session_limits();
	return 0;
}

static void
reload(void)
{
	dir_reload(lmtpd.dir);
	session_limits();
}

static void
drain(void)
{
	session_shutdown_all();
	if (lmtpd.nsessions == 0)
		daemon_drained();
}

static void
status(struct buf *out)
{
	buf_printf(out, "sessions=%zu\n", lmtpd.nsessions);
	dir_status(lmtpd.dir, out);
	buf_char(out, '\n');
	store_client_status(lmtpd.store, out);
}

static bool
check(struct buf *why)
{
	struct addr any;
	bool good = addr_parse(S("127.0.0.1:0"), &any) == 0;

	for (char **t = lconf.trusted; t && *t; t++) {
		if (addr_in(&any, slice_str(*t)) < 0) {
			buf_printf(why, "trusted: %s is no network\n", *t);
			good = false;
		}
	}
	return dir_check(why) && good;
}

static const struct daemon lmtpd_daemon = {
	.name = "lmtpd",
	.file = "lmtpd.conf",
	.schema = &lmtpd_schema,
	.listens = true,
	.client_certs = true,
	.workers = &lconf.workers,
	.metrics = metrics,
	.start = start,
	.accept = session_accept,
	.reload = reload,
	.drain = drain,
	.status = status,
	.check = check,
};

int
main(int argc, char **argv)
{
	return daemon_run(&lmtpd_daemon, argc, argv);
}

/* imapd/main.c: settings, tables, and one call: see imapd(8). */
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "session.h"
#include "store/watch.h"

struct settings conf;
struct imapd imapd;

#define MB (1024 * 1024)
#define HOUR (3600 * 1000)

static const struct conf_key keys[] = {
	{ "workers", CONF_INT, &conf.workers, "1", 1, 256, RESTART, NULL,
	    "Number of worker processes." },
	{ "limit.clients", CONF_INT, &conf.clients, "20000", 1, 1000000, RELOAD, NULL,
	    "Most connections of a worker." },
	{ "limit.per_user", CONF_INT, &conf.per_user, "50", 1, 1000000, RELOAD, NULL,
	    "Most connections of one user in a worker." },
	{ "limit.failures", CONF_INT, &conf.failures, "3", 1, 100, RELOAD, NULL,
	    "Failed logins before a connection is closed." },
	{ "limit.bad_commands", CONF_INT, &conf.bad_commands, "20", 1, 255, RELOAD, NULL,
	    "Bad commands in a row before login until a connection is closed." },
	{ "limit.line", CONF_SIZE, &conf.line, "128K", 8192, 16 * MB, RELOAD, NULL,
	    "Longest command with its literals after login." },
	{ "limit.append", CONF_SIZE, &conf.append, "50M", 1024, 2047LL * MB, RELOAD, NULL,
	    "Largest message that APPEND takes." },
	{ "timeout.login", CONF_TIME, &conf.login_time, "60s", 1000, HOUR, RELOAD, NULL,
	    "Time until a connection must have logged in." },
	{ "timeout.idle", CONF_TIME, &conf.idle_time, "31m", 1000, 24 * HOUR, RELOAD, NULL,
	    "Time a connection may be silent after login; RFC 3501 asks for 30 minutes." },
	{ "login.failure_delay", CONF_TIME, &conf.failure_delay, "2s", 0, 60000, RELOAD, NULL,
	    "Pause before a refused login is answered." },
	{ "hosts", CONF_LIST, &conf.hosts, "", 0, 0, RELOAD, NULL,
	    "Values of mailHost that mean this host, besides hostname." },
	{ "any_host", CONF_BOOL, &conf.any_host, "no", 0, 0, RELOAD, NULL,
	    "Let users of every mailHost log in." },
};

static const struct conf_schema schema = { .keys = keys, .nkeys = NELEM(keys) };

static const struct metric metrics[] = {
	[M_CONNECTIONS] = { "imap_connections", COUNTER, "Connections accepted." },
	[M_SESSIONS] = { "imap_sessions", GAUGE, "Connections open." },
	[M_TLS] = { "imap_tls_handshakes", COUNTER, "TLS handshakes completed." },
	[M_LOGINS] = { "imap_logins", COUNTER, "Logins that succeeded." },
	[M_LOGIN_FAILED] = { "imap_logins_failed", COUNTER, "Logins refused." },
	[M_COMMANDS] = { "imap_commands", COUNTER, "Commands." },
	[M_BAD] = { "imap_commands_bad", COUNTER, "Commands answered with BAD." },
	[M_FETCHED] = { "imap_messages_fetched", COUNTER, "Messages in answers to FETCH." },
	[M_APPENDED] = { "imap_messages_appended", COUNTER, "Messages taken by APPEND." },
	[M_IDLING] = { "imap_idling", GAUGE, "Sessions in IDLE." },
	{ NULL, COUNTER, NULL },
};

static int
start(struct loop *l)
{
	char *socket = mem_printf("%s/stored.sock", shared.rundir);

	imapd.loop = l;
	list_init(&imapd.sessions);
	imapd.dir = dir_new(l);
	imapd.store = store_client_new(l, socket, "imapd");
	store_watch(imapd.store, idle_events, NULL);
	mem_release(socket);
	return 0;
}

static void
reload(void)
{
	dir_reload(imapd.dir);
}

static void
status(struct buf *b)
{
	buf_printf(b, "sessions=%zu users=%zu partitions=%zu\n", imapd.nsessions, imapd.users.n,
	    imapd.parts.n);
	dir_status(imapd.dir, b);
	buf_char(b, '\n');
	store_client_status(imapd.store, b);
	buf_char(b, '\n');
}

static const struct daemon imapd_daemon = {
	.name = "imapd",
	.file = "imapd.conf",
	.schema = &schema,
	.listens = true,
	.workers = &conf.workers,
	.metrics = metrics,
	.start = start,
	.accept = session_new,
	.reload = reload,
	.drain = session_drain_all,
	.status = status,
	.check = dir_check,
};

int
main(int argc, char **argv)
{
	return daemon_run(&imapd_daemon, argc, argv);
}

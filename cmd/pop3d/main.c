/* pop3d: POP3 (RFC 1939) in front of the message store: keys, tables, and one call; see pop3d(8).
 *
 * Owns config and pop3d, what all sessions of a worker share; session.c has the sessions.  Called by
 * lib/daemon.  A start cannot fail: directory and stored may be away and are waited for. */
#include "base/log.h"
#include "base/mem.h"
#include "daemon/program.h"
#include "pop3d.h"
#include "store/watch.h"

struct pop3d_conf config;
struct pop3d pop3d;

#define HOUR          (3600 * 1000)
#define IDLE_LEAST_MS (10 * 60 * 1000)

/* clang-format off */
static const struct conf_key keys[] = {
	{ "workers", CONF_INT, &config.workers, "1", 1, 256, RESTART, NULL,
	    "Number of worker processes." },
	{ "limit.clients", CONF_INT, &config.clients, "10000", 0, 1000000, RELOAD, NULL,
	    "Sessions at once over all workers; 0 is no limit." },
	{ "limit.per_client", CONF_INT, &config.per_client, "1000", 0, 65535, RELOAD, NULL,
	    "Sessions at once from one address (IPv6: one /64); 0 is no limit." },
	{ "limit.bad_commands", CONF_INT, &config.bad_commands, "20", 1, 255, RELOAD, NULL,
	    "Bad commands in a row until a connection is closed." },
	{ "timeout.login", CONF_TIME, &config.login_time, "60s", 1000, HOUR, RELOAD, NULL,
	    "Time until a connection must have logged in." },
	{ "timeout.idle", CONF_TIME, &config.idle_time, "10m", 1000, 24 * HOUR, RELOAD, NULL,
	    "Time a connection may be silent after login; RFC 1939 asks for 10 minutes." },
	{ "auth.delay", CONF_TIME, &config.auth_delay, "2s", 0, 60000, RELOAD, NULL,
	    "How late a wrong password is answered; later after many." },
	{ "auth.failures", CONF_INT, &config.failures, "3", 0, 100, RELOAD, NULL,
	    "Wrong passwords after which a session ends; 0 is no limit." },
	{ "auth.proxies", CONF_LIST, &config.proxies, "", 0, 0, RELOAD, "domain",
	    "Host names of proxies whose certificates (tls.ca) may act for users." },
	{ "pop3.login_delay", CONF_TIME, &config.login_delay, "0", 0, 24 * HOUR, RELOAD, NULL,
	    "Least time between two logins of a user (LOGIN-DELAY); 0 is none." },
	{ "pop3.expire", CONF_INT, &config.expire, "0", 0, 36500, RELOAD, NULL,
	    "Days that the site keeps messages, as EXPIRE tells clients; 0 is NEVER." },
	{ "pop3.uidl", CONF_STR, &config.uidl, "%v.%u", 0, 0, RELOAD, NULL,
	    "The unique-id of a message: %u is its UID, %v UIDVALIDITY." },
	{ "pop3.mark_seen", CONF_BOOL, &config.mark_seen, "no", 0, 0, RELOAD, NULL,
	    "Set \\Seen, at QUIT, for messages that were retrieved." },
	{ "pop3.utf8_refuse", CONF_BOOL, &config.utf8_refuse, "no", 0, 0, RELOAD, NULL,
	    "Refuse messages with UTF-8 in the header to clients that have not said UTF8." },
	{ "hosts", CONF_LIST, &config.hosts, "", 0, 0, RELOAD, "domain",
	    "Values of mailHost that mean this host, besides hostname." },
	{ "any_host", CONF_BOOL, &config.any_host, "no", 0, 0, RELOAD, NULL,
	    "Let users of every mailHost log in." },
};

static const struct conf_schema schema = { .keys = keys, .nkeys = NELEM(keys) };

static const struct metric metrics[] = {
	[M_CONNECTIONS] = { "pop3_connections", COUNTER, "Connections accepted." },
	[M_SESSIONS] = { "pop3_sessions", GAUGE, "Connections open." },
	[M_TLS] = { "pop3_tls_handshakes", COUNTER, "TLS handshakes completed." },
	[M_LOGINS] = { "pop3_logins", COUNTER, "Logins that succeeded." },
	[M_LOGIN_FAILED] = { "pop3_logins_failed", COUNTER, "Logins refused." },
	[M_IN_USE] = { "pop3_in_use", COUNTER, "Logins refused because another session had the mailbox." },
	[M_COMMANDS] = { "pop3_commands", COUNTER, "Commands." },
	[M_BAD] = { "pop3_commands_bad", COUNTER, "Commands that are none, or malformed." },
	[M_RETRIEVED] = { "pop3_messages_retrieved", COUNTER, "Messages that went out whole." },
	[M_BYTES] = { "pop3_bytes_retrieved", COUNTER, "Octets of these." },
	[M_DELETED] = { "pop3_messages_deleted", COUNTER, "Messages removed at QUIT." },
	[M_DIRECTORY] = { "pop3_directory_blind", GAUGE, DIR_METRIC_HELP },
	{ NULL, COUNTER, NULL },
};
/* clang-format on */

static void
pop3d_store_events(void *arg UNUSED, const struct store_event *ev UNUSED, size_t n UNUSED)
{
	store_homes_look(&pop3d.homes);
}

static int
pop3d_start(struct loop *l)
{
	char *socket = mem_printf("%s/stored.sock", shared.rundir);

	pop3d.loop = l;
	admit_open(shared.rundir, &pop3d_admit);
	list_init(&pop3d.sessions);
	pop3d.dir = dir_new(l);
	dir_metric(pop3d.dir, M_DIRECTORY);
	pop3d.door = login_door_new(l, pop3d.dir, &config.auth_delay);
	pop3d.store = store_client_new(l, socket, "pop3d");
	store_client_actors(pop3d.store, pop3d_session_actor);
	store_watch_returns(pop3d.store, pop3d_store_events, NULL);
	store_homes_init(&pop3d.homes, l, pop3d.store);
	mem_free(&socket);
	return 0;
}

static void
pop3d_reload(void)
{
	dir_reload(pop3d.dir);
}

/* "forget USER": the password was changed, or the account closed. */
static bool
pop3d_control(struct slice line, struct buf *out)
{
	struct slice account;

	if (!daemon_forget_parse(line, &account))
		return false;
	dir_forget(pop3d.dir, account);
	buf_printf(out, "ok sessions=%zu\n", pop3d_session_end_user(account));
	return true;
}

static void
pop3d_status(struct buf *b)
{
	buf_printf(b, "sessions=%zu sessions_all=%zu partitions=%zu\n", pop3d.nsessions,
	    admit_sessions(), pop3d.homes.parts.n);
	dir_status(pop3d.dir, b);
	buf_char(b, '\n');
	store_client_status(pop3d.store, b);
	buf_char(b, '\n');
}

static bool
pop3d_check(struct buf *why)
{
	const char *uidl = pop3_uidl_check(config.uidl);

	/* RFC 1939 3: the autologout timer MUST be at least 10 minutes. */
	if (config.idle_time < IDLE_LEAST_MS)
		buf_printf(why, "warning: %s: timeout.idle: clients count on 10 minutes\n",
		    conf_where(&config.idle_time));
	if (uidl)
		buf_printf(why, "%s: pop3.uidl = %s: %s\n", conf_where(&config.uidl), config.uidl,
		    uidl);
	return login_door_check(why) && !uidl;
}

static const struct program pop3d_program = {
	.name = "pop3d",
	.about = "POP3 server in front of the message store",
	.may = "inet store:read",
	.file = "pop3d.conf",
	.schema = &schema,
	.listens = true,
	.workers = &config.workers,
	.metrics = metrics,
	.start = pop3d_start,
	.accept = pop3d_session_new,
	.reload = pop3d_reload,
	.drain = pop3d_session_drain_all,
	.status = pop3d_status,
	.sessions = &pop3d_session_verbs,
	.control = pop3d_control,
	.paths = store_homes_reach,
	.check = pop3d_check,
};

int
main(int argc, char **argv)
{
	return program_run(&pop3d_program, argc, argv);
}

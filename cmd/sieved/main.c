/* sieved: ManageSieve (RFC 5804): keys, tables, and one call; see sieved(8).
 *
 * Owns config and sieved, what all sessions of a worker share; session.c has the sessions.  Called by lib/daemon.  A
 * start cannot fail: the directory may be away and is waited for. */
#include "base/log.h"
#include "base/mem.h"
#include "daemon/program.h"
#include "sieved.h"

struct sieved_conf config;
struct sieved sieved;

#define HOUR          (3600 * 1000)
#define IDLE_LEAST_MS (30 * 60 * 1000)

/* clang-format off */
static const struct conf_key keys[] = {
	{ "workers", CONF_INT, &config.workers, "1", 1, 256, RESTART, NULL,
	    "Number of worker processes." },
	{ "limit.clients", CONF_INT, &config.clients, "10000", 0, 1000000, RELOAD, NULL,
	    "Sessions at once over all workers; 0 is no limit." },
	{ "limit.per_client", CONF_INT, &config.per_client, "1000", 0, 65535, RELOAD, NULL,
	    "Sessions at once from one address (IPv6: one /64); 0 is no limit." },
	{ "limit.per_user", CONF_INT, &config.per_user, "20", 0, 65535, RELOAD, NULL,
	    "Sessions at once of one user; 0 is no limit." },
	{ "limit.bad_commands", CONF_INT, &config.bad_commands, "20", 1, 255, RELOAD, NULL,
	    "Bad commands in a row until a connection is closed." },
	{ "timeout.login", CONF_TIME, &config.login_time, "60s", 1000, HOUR, RELOAD, NULL,
	    "Time until a connection must have logged in." },
	{ "timeout.idle", CONF_TIME, &config.idle_time, "30m", 1000, 24 * HOUR, RELOAD, NULL,
	    "Time a connection may be silent after login; RFC 5804 asks for 30 minutes." },
	{ "auth.delay", CONF_TIME, &config.auth_delay, "2s", 0, 60000, RELOAD, NULL,
	    "How late a wrong password is answered; later after many." },
	{ "auth.failures", CONF_INT, &config.failures, "3", 0, 100, RELOAD, NULL,
	    "Wrong passwords after which a session ends; 0 is no limit." },
	{ "auth.proxies", CONF_LIST, &config.proxies, "", 0, 0, RELOAD, "domain",
	    "Host names of proxies whose certificates (tls.ca) may act for users." },
	{ "directory.dn", CONF_STR, &config.dn, "", 0, 0, RESTART, "dn",
	    "Who may act for people in the directory; empty is uid=sieve,ou=services below ldap.base." },
	{ "directory.password", CONF_SECRET, &config.password, "", 0, 0, RESTART, NULL,
	    "The password for directory.dn; without one the certificate says who it is." },
	{ "sieve.scripts", CONF_INT, &config.scripts, "64", 1, 200, RELOAD, NULL,
	    "Scripts of a user." },
	{ "sieve.size", CONF_SIZE, &config.octets, "64K", 1024, DIR_SCRIPTS_MAX, RELOAD, NULL,
	    "Octets of a script." },
	{ "sieve.total", CONF_SIZE, &config.total, "1M", 1024, 3 * 1024 * 1024, RELOAD, NULL,
	    "Octets of all scripts of a user." },
	{ "sieve.redirects", CONF_INT, &config.redirects, "4", 0, 32, RELOAD, NULL,
	    "What clients are told of the redirects of a script's run; as lmtpd has it." },
	{ "sieve.programs", CONF_BOOL, &config.programs, "no", 0, 0, RESTART, NULL,
	    "Whether scripts may give messages to programs; as sieve.programs of lmtpd has some." },
	{ "hosts", CONF_LIST, &config.hosts, "", 0, 0, RELOAD, "domain",
	    "Values of mailHost that mean this host, besides hostname." },
	{ "any_host", CONF_BOOL, &config.any_host, "no", 0, 0, RELOAD, NULL,
	    "Let users of every mailHost log in." },
};

static const struct conf_schema schema = { .keys = keys, .nkeys = NELEM(keys) };

static const struct metric metrics[] = {
	[M_CONNECTIONS] = { "sieve_connections", COUNTER, "Connections accepted." },
	[M_SESSIONS] = { "sieve_sessions", GAUGE, "Connections open." },
	[M_TLS] = { "sieve_tls_handshakes", COUNTER, "TLS handshakes completed." },
	[M_LOGINS] = { "sieve_logins", COUNTER, "Logins that succeeded." },
	[M_LOGIN_FAILED] = { "sieve_logins_failed", COUNTER, "Logins refused." },
	[M_COMMANDS] = { "sieve_commands", COUNTER, "Commands." },
	[M_BAD] = { "sieve_commands_bad", COUNTER, "Commands that are none, or malformed." },
	[M_STORED] = { "sieve_scripts_stored", COUNTER, "Scripts that were stored." },
	[M_REFUSED] = { "sieve_scripts_refused", COUNTER, "Scripts with errors." },
	[M_CHANGED] = { "sieve_scripts_changed", COUNTER,
	    "Scripts made active, deleted or renamed." },
	[M_AWAY] = { "sieve_directory_away", COUNTER, "Commands that the directory gave no answer to." },
	[M_DIRECTORY] = { "sieve_directory_blind", GAUGE, DIR_METRIC_HELP },
	{ NULL, COUNTER, NULL },
};
/* clang-format on */

static void
sieved_limits(void)
{
	sieved.limits = (struct rules_limits){ (size_t)config.scripts, (size_t)config.octets,
		(size_t)config.total };
}

static int
sieved_start(struct loop *l)
{
	char *dn = *config.dn ? mem_str(config.dn) :
				mem_printf("uid=sieve,ou=services,%s", shared.ldap_base);

	sieved.loop = l;
	rules_programs(config.programs);
	admit_open(shared.rundir, &sieved_admit);
	list_init(&sieved.sessions);
	sieved.dir = dir_new(l);
	dir_metric(sieved.dir, M_DIRECTORY);
	sieved.door = login_door_new(l, sieved.dir, &config.auth_delay);
	sieved.news = rules_news_open();
	sieved_limits();
	sieved.rules =
	    rules_store_new(sieved.dir, dn, config.password, &sieved.limits, sieved.news);
	mem_free(&dn);
	return 0;
}

static void
sieved_reload(void)
{
	sieved_limits();
	dir_reload(sieved.dir);
}

/* "forget USER": the password was changed, or the account closed. */
static bool
sieved_control(struct slice line, struct buf *out)
{
	struct slice account;

	if (!daemon_forget_parse(line, &account))
		return false;
	dir_forget(sieved.dir, account);
	buf_printf(out, "ok sessions=%zu\n", sieved_session_end_user(account));
	return true;
}

static void
sieved_status(struct buf *b)
{
	buf_printf(b, "sessions=%zu sessions_all=%zu\n", sieved.nsessions, admit_sessions());
	dir_status(sieved.dir, b);
	buf_char(b, '\n');
}

static bool
sieved_check(struct buf *why)
{
	/* RFC 5804 1.2 */
	if (config.idle_time < IDLE_LEAST_MS)
		buf_printf(why, "warning: %s: timeout.idle: clients count on 30 minutes\n",
		    conf_where(&config.idle_time));
	if (config.total < config.octets)
		buf_printf(why, "warning: %s: sieve.total is less than sieve.size\n",
		    conf_where(&config.total));
	return login_door_check(why);
}

static const struct program sieved_program = {
	.name = "sieved",
	.about = "ManageSieve server: people's Sieve scripts",
	.may = "inet",
	.file = "sieved.conf",
	.schema = &schema,
	.listens = true,
	.workers = &config.workers,
	.metrics = metrics,
	.paths = rules_news_reach,
	.start = sieved_start,
	.accept = sieved_session_new,
	.reload = sieved_reload,
	.drain = sieved_session_drain_all,
	.status = sieved_status,
	.sessions = &sieved_session_verbs,
	.control = sieved_control,
	.check = sieved_check,
};

int
main(int argc, char **argv)
{
	return program_run(&sieved_program, argc, argv);
}

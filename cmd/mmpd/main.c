/* mmpd: the Messaging Multiplexor: IMAP, POP3 and ManageSieve by the directory's mailHost: keys, tables, and one call;
 * see mmpd(8).
 *
 * Owns config and mmpd, what all sessions of a worker share; session.c has the sessions.  Called by
 * lib/daemon.  A start can fail by the resolver alone: directory and stores may be away and are waited
 * for. */
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "daemon/program.h"
#include "mmpd.h"

struct mmpd_conf config;
struct mmpd mmpd;

#define HOUR (3600 * 1000)

/* clang-format off */
static const struct conf_key keys[] = {
	{ "workers", CONF_INT, &config.workers, "1", 1, 256, RESTART, NULL,
	    "Number of worker processes." },
	{ "limit.clients", CONF_INT, &config.clients, "50000", 0, 1000000, RELOAD, NULL,
	    "Sessions at once over all workers; 0 is no limit." },
	{ "limit.per_client", CONF_INT, &config.per_client, "1000", 0, 65535, RELOAD, NULL,
	    "Sessions at once from one address (IPv6: one /64); 0 is no limit." },
	{ "limit.per_user", CONF_INT, &config.per_user, "50", 0, 65535, RELOAD, NULL,
	    "Sessions at once of one user; 0 is no limit." },
	{ "limit.bad_commands", CONF_INT, &config.bad_commands, "20", 1, 255, RELOAD, NULL,
	    "Bad commands in a row before login until a connection is closed." },
	{ "timeout.login", CONF_TIME, &config.login_time, "60s", 1000, HOUR, RELOAD, NULL,
	    "Time until a connection must have logged in." },
	{ "auth.delay", CONF_TIME, &config.auth_delay, "2s", 0, 60000, RELOAD, NULL,
	    "How late a wrong password is answered; later after many." },
	{ "auth.failures", CONF_INT, &config.failures, "3", 0, 100, RELOAD, NULL,
	    "Wrong passwords after which a session ends; 0 is no limit." },
	{ "store.imap_port", CONF_INT, &config.port[MMPD_IMAP], "993", 1, 65535, RELOAD, NULL,
	    "Port of the stores' IMAP." },
	{ "store.pop3_port", CONF_INT, &config.port[MMPD_POP3], "995", 1, 65535, RELOAD, NULL,
	    "Port of the stores' POP3." },
	{ "store.sieve_port", CONF_INT, &config.port[MMPD_SIEVE], "4190", 1, 65535, RELOAD, NULL,
	    "Port of the stores' ManageSieve." },
	{ "store.sieve_tls", CONF_ENUM, &config.sieve_tls, "starttls", 0, 0, RELOAD,
	    "off|starttls|implicit", "TLS to it." },
	{ "sieve.extensions", CONF_STR, &config.sieve,
	    "fileinto reject envelope encoded-character vacation subaddress relational imap4flags copy "
	    "include variables body regex", 0, 0, RELOAD, NULL,
	    "The SIEVE capability that ManageSieve tells until a store has told its own." },
	{ "submission.relays", CONF_LIST, &config.relays, "", 0, 0, RELOAD, "domain",
	    "Relays that take users' mail, tried in turn." },
	{ "submission.port", CONF_INT, &config.port[MMPD_SUBMISSION], "587", 1, 65535, RELOAD, NULL,
	    "Port of the relays." },
	{ "submission.tls", CONF_ENUM, &config.relay_tls, "starttls", 0, 0, RELOAD, "off|starttls|implicit",
	    "TLS to the relays." },
	{ "submission.extensions", CONF_LIST, &config.extensions,
	    "PIPELINING 8BITMIME ENHANCEDSTATUSCODES CHUNKING SMTPUTF8 DSN SIZE", 0, 0, RELOAD, NULL,
	    "What EHLO tells, as far as the relays have it." },
	{ "store.tls", CONF_ENUM, &config.tls, "implicit", 0, 0, RELOAD, "off|starttls|implicit",
	    "TLS to the stores." },
	{ "store.default", CONF_STR, &config.dflt, "", 0, 0, RELOAD, "domain",
	    "The store of users without a mailHost; empty: there is none." },
	{ "store.source", CONF_LIST, &config.sources, "", 0, 0, RELOAD, "ip",
	    "Local addresses to connect from, in turn; a store takes some 28,000 connections of each." },
	{ "store.connect_timeout", CONF_TIME, &config.connect_time, "5s", 100, 60000, RELOAD, NULL,
	    "Time for a connection to each address of a store." },
	{ "store.silence_timeout", CONF_TIME, &config.silence_time, "5s", 1000, 60000, RELOAD, NULL,
	    "Time from there to its first octet; one that says nothing is taken for dead at once." },
	{ "store.login_timeout", CONF_TIME, &config.answer_time, "20s", 1000, 60000, RELOAD, NULL,
	    "Time for TLS and the login there." },
	{ "store.attempts", CONF_INT, &config.attempts, "128", 1, 65535, RELOAD, NULL,
	    "Logins on their way to one store, of each worker; more are refused at once." },
	{ "store.failures", CONF_INT, &config.down_failures, "3", 1, 1000, RELOAD, NULL,
	    "Failures in a row after which a store that answers is taken for dead." },
	{ "store.retry", CONF_TIME, &config.retry, "5s", 100, HOUR, RELOAD, NULL,
	    "How often a dead store is asked whether it is back." },
};

#define AT(m) (void *)offsetof(struct mmpd_section, m)
static const struct conf_key host_keys[] = {
	{ "address", CONF_STR, AT(address), "", 0, 0, RELOAD, "server",
	    "Host or address to connect to; empty: the store's name." },
	{ "imap_port", CONF_INT, AT(port[MMPD_IMAP]), "0", 0, 65535, RELOAD, NULL,
	    "Port of its IMAP; 0: store.imap_port." },
	{ "pop3_port", CONF_INT, AT(port[MMPD_POP3]), "0", 0, 65535, RELOAD, NULL,
	    "Port of its POP3; 0: store.pop3_port." },
	{ "sieve_port", CONF_INT, AT(port[MMPD_SIEVE]), "0", 0, 65535, RELOAD, NULL,
	    "Port of its ManageSieve; 0: store.sieve_port." },
	{ "submission_port", CONF_INT, AT(port[MMPD_SUBMISSION]), "0", 0, 65535, RELOAD, NULL,
	    "Its port, of a relay; 0: submission.port." },
	{ "tls", CONF_ENUM, AT(tls), "default", 0, 0, RELOAD, "default|off|starttls|implicit",
	    "TLS to it; default: store.tls, or submission.tls." },
	{ "certificate_name", CONF_STR, AT(certificate_name), "", 0, 0, RELOAD, "domain",
	    "The name that its certificate must have; empty: the store's." },
	{ "send_proxy", CONF_BOOL, AT(send_proxy), "no", 0, 0, RELOAD, NULL,
	    "Announce the client by a PROXY header, version 2, in front of TLS." },
	{ "xclient", CONF_ENUM, AT(xclient), "once", 0, 0, RELOAD, "once|always",
	    "Of a relay: always takes one that believes XCLIENT of the client too." },
	{ "auth", CONF_ENUM, AT(auth), "external", 0, 0, RELOAD, "external|master",
	    "Our certificate and EXTERNAL, or a master user's password and PLAIN." },
	{ "master", CONF_STR, AT(user), "", 0, 0, RELOAD, NULL,
	    "The master user of a foreign store." },
	{ "master_password", CONF_SECRET, AT(password), "", 0, 0, RELOAD, NULL,
	    "The master user's password; file:PATH reads it from a file." },
};
#undef AT

static const struct conf_section host_section = {
	.name = "host",
	.size = sizeof(struct mmpd_section),
	.keys = host_keys,
	.nkeys = NELEM(host_keys),
	.items = (void ***)&config.sections,
	.arg_at = offsetof(struct mmpd_section, name),
	.help = "A store that is not as store.* says; * stands for all without a section.",
};

static const struct conf_schema schema = { keys, NELEM(keys), &host_section, 1 };

static const struct metric metrics[] = {
	[M_CONNECTIONS] = { "mmp_connections", COUNTER, "Connections accepted." },
	[M_SESSIONS] = { "mmp_sessions", GAUGE, "Connections open." },
	[M_PAIRS] = { "mmp_pairs", GAUGE, "Clients joined with a store." },
	[M_TLS] = { "mmp_tls_handshakes", COUNTER, "TLS handshakes with clients completed." },
	[M_LOGINS] = { "mmp_logins", COUNTER, "Logins that have reached a store." },
	[M_LOGIN_FAILED] = { "mmp_logins_failed", COUNTER, "Logins refused by the directory." },
	[M_STORE_FAILED] = { "mmp_store_failures", COUNTER, "Stores not reached, or not understood." },
	[M_STORE_REFUSED] = { "mmp_store_refusals", COUNTER, "Logins refused by a store." },
	[M_STORES_DOWN] = { "mmp_stores_down", GAUGE,
	    "Services of stores that are taken for dead, counted by each worker." },
	[M_STORE_DOWNS] = { "mmp_store_downs", COUNTER, "Times that a store was taken for dead." },
	[M_STORE_SHUNNED] = { "mmp_store_shunned", COUNTER,
	    "Logins refused at once: the store is taken for dead, or too many wait for it." },
	[M_STORE_PROBES] = { "mmp_store_probes", COUNTER, "Questions whether a dead store is back." },
	[M_REFERRALS] = { "mmp_referrals", COUNTER, "Users followed to where a store said they are." },
	[M_COMMANDS] = { "mmp_commands", COUNTER, "Commands before the login." },
	[M_BAD] = { "mmp_commands_bad", COUNTER, "Commands that are none, or malformed." },
	[M_DIRECTORY] = { "mmp_directory_blind", GAUGE, DIR_METRIC_HELP },
	{ NULL, COUNTER, NULL },
};
/* clang-format on */

static int
mmpd_start(struct loop *l)
{
	struct dns_params p = dns_params_shared();
	char *why = NULL;

	mmpd.loop = l;
	mmpd.dns = dns_new(l, &p, &why);
	if (!mmpd.dns) {
		log_event(LOG_ERROR, "start_failed", "what=dns error=%s", log_str(why));
		free(why);
		return -EINVAL;
	}
	admit_open(shared.rundir, &mmpd_admit);
	list_init(&mmpd.sessions);
	backend_set_init(&mmpd.stores, l, &mmpd_rules);
	mmpd.dir = dir_new(l);
	dir_metric(mmpd.dir, M_DIRECTORY);
	mmpd.door = login_door_new(l, mmpd.dir, &config.auth_delay);
	return 0;
}

static void
mmpd_reload(void)
{
	struct dns_params p = dns_params_shared();
	char *why = NULL;

	if (dns_change(mmpd.dns, &p, &why) < 0)
		log_event(LOG_ERROR, "reload_failed", "text=%s", log_str(why));
	free(why);
	dir_reload(mmpd.dir);
	backend_forget_addresses(&mmpd.stores);
	mmpd_submission_forget();
	mmpd_sieve_forget();
}

/* "forget USER": the password was changed, the account closed, or the mailbox moved. */
static bool
mmpd_control(struct slice line, struct buf *out)
{
	struct slice account;

	if (!daemon_forget_parse(line, &account))
		return false;
	dir_forget(mmpd.dir, account);
	buf_printf(out, "ok sessions=%zu\n", mmpd_session_end_user(account));
	return true;
}

static void
mmpd_status(struct buf *b)
{
	buf_printf(b, "sessions=%zu sessions_all=%zu pairs=%zu\n", mmpd.nsessions, admit_sessions(),
	    mmpd.npairs);
	dir_status(mmpd.dir, b);
	buf_char(b, '\n');
	backend_status(&mmpd.stores, b);
}

static bool
mmpd_check(struct buf *why)
{
	bool good = login_door_check(why);

	good = mmpd_submission_check(why) && good;
	return mmpd_store_check(why) && good;
}

static const struct program mmpd_program = {
	.name = "mmpd",
	.about = "proxy of IMAP, POP3, submission and ManageSieve",
	.may = "inet",
	.file = "mmpd.conf",
	.schema = &schema,
	.roles = "imap|pop3|submission|sieve",
	.listens = true,
	.workers = &config.workers,
	.metrics = metrics,
	.start = mmpd_start,
	.accept = mmpd_session_new,
	.reload = mmpd_reload,
	.drain = mmpd_session_drain_all,
	.status = mmpd_status,
	.sessions = &mmpd_session_verbs,
	.control = mmpd_control,
	.check = mmpd_check,
};

int
main(int argc, char **argv)
{
	return program_run(&mmpd_program, argc, argv);
}

/* imapd/main.c: settings, tables, and one call: see imapd(8).
 *
 * Owns conf and imapd, what all sessions of a worker share; session.c has the sessions.  Called
 * by lib/daemon.  A start cannot fail: directory and stored may be away and are waited for. */
#include "daemon/program.h"
#include "base/mem.h"
#include "happened.h"
#include "learn.h"
#include "session.h"
#include "store/watch.h"

struct settings conf;
struct imapd imapd;

#define MB            (1024 * 1024)
#define HOUR          (3600 * 1000)

#define IDLE_LEAST_MS (30 * 60 * 1000)

static const struct conf_key keys[] = {
	{ "workers", CONF_INT, &conf.workers, "1", 1, 256, RESTART, NULL,
	    "Number of worker processes." },
	{ "limit.clients", CONF_INT, &conf.clients, "20000", 0, 1000000, RELOAD, NULL,
	    "Sessions at once over all workers; 0 is no limit." },
	{ "limit.per_client", CONF_INT, &conf.per_client, "1000", 0, 65535, RELOAD, NULL,
	    "Sessions at once from one address (IPv6: one /64); 0 is no limit." },
	{ "limit.per_user", CONF_INT, &conf.per_user, "50", 0, 65535, RELOAD, NULL,
	    "Sessions at once of one user; 0 is no limit." },
	{ "limit.bad_commands", CONF_INT, &conf.bad_commands, "20", 1, 255, RELOAD, NULL,
	    "Bad commands in a row before login until a connection is closed." },
	{ "limit.line", CONF_SIZE, &conf.line, "128K", 8192, 16 * MB, RELOAD, NULL,
	    "Longest command with its literals after login." },
	{ "literal_minus", CONF_BOOL, &conf.literal_minus, "no", 0, 0, RELOAD, NULL,
	    "Offer LITERAL- instead of LITERAL+: what is longer than 4096 octets has to be waited "
	    "for." },
	{ "limit.append", CONF_SIZE, &conf.append, "50M", 1024, 2047LL * MB, RELOAD, NULL,
	    "Largest message that APPEND takes." },
	{ "limit.messages", CONF_INT, &conf.messages, "0", 0, UINT32_MAX, RESTART, NULL,
	    "Messages that one command works on (MESSAGELIMIT); 0 is no limit." },
	{ "limit.metadata", CONF_SIZE, &conf.metadata, "64K", 1024, MB, RELOAD, NULL,
	    "Longest value of an annotation that SETMETADATA takes." },
	{ "limit.subscriptions", CONF_INT, &conf.subscriptions, "5000", 1, 20000, RELOAD, NULL,
	    "Most names that a user may subscribe to." },
	{ "limit.notify_mailboxes", CONF_INT, &conf.notify_mailboxes, "20000", 1, 100000, RELOAD,
	    NULL, "Mailboxes of an account whose names NOTIFY can tell of." },
	{ "timeout.login", CONF_TIME, &conf.login_time, "60s", 1000, HOUR, RELOAD, NULL,
	    "Time until a connection must have logged in." },
	{ "timeout.progress", CONF_TIME, &conf.progress, "10s", 1, HOUR, RELOAD, NULL,
	    "How long a search is silent until it says how far it is." },
	{ "timeout.idle", CONF_TIME, &conf.idle_time, "31m", 1000, 24 * HOUR, RELOAD, NULL,
	    "Time a connection may be silent after login; RFC 3501 asks for 30 minutes." },
	{ "auth.delay", CONF_TIME, &conf.auth_delay, "2s", 0, 60000, RELOAD, "login.failure_delay",
	    "How late a wrong password is answered; later after many." },
	{ "auth.failures", CONF_INT, &conf.failures, "3", 0, 100, RELOAD, "limit.failures",
	    "Wrong passwords after which a session ends; 0 is no limit." },
	{ "auth.proxies", CONF_LIST, &conf.proxies, "", 0, 0, RELOAD, "domain",
	    "Host names of proxies whose certificates (tls.ca) may act for users." },
	{ "urlauth.hosts", CONF_LIST, &conf.urlauth_hosts, "", 0, 0, RELOAD, "domain",
	    "Names of this server in URLs (URLAUTH), besides hostname and hosts." },
	{ "urlauth.submit", CONF_LIST, &conf.urlauth_submit, "", 0, 0, RELOAD, "address",
	    "Accounts of submission servers, which may have URLs for submit+." },
	{ "quota.admins", CONF_LIST, &conf.quota_admins, "", 0, 0, RELOAD, "address",
	    "Accounts that may see and set the quota of everybody here (SETQUOTA)." },
	{ "hosts", CONF_LIST, &conf.hosts, "", 0, 0, RELOAD, "domain",
	    "Values of mailHost that mean this host, besides hostname." },
	{ "public_account", CONF_STR, &conf.public_account, "", 0, 0, RELOAD, "address",
	    "The account whose folders are shown as public ones; empty is none." },
	{ "metadata.comment", CONF_STR, &conf.comment, "", 0, 0, RELOAD, NULL,
	    "What GETMETADATA says of the server as /shared/comment; empty is nothing." },
	{ "metadata.admin", CONF_STR, &conf.admin, "", 0, 0, RELOAD, NULL,
	    "A URI of the server's administrator (/shared/admin); empty is none." },
	{ "imapsieve.lmtpd", CONF_STR, &conf.sieve_lmtpd, "", 0, 0, RESTART, "server",
	    "The Unix socket of lmtpd, which runs scripts for what people do; empty is lmtpd.sock "
	    "in rundir." },
	{ "imapsieve.server", CONF_STR, &conf.sieve_server, "", 0, 0, RELOAD, NULL,
	    "Where people keep scripts: announced as IMAPSIEVE; empty: nothing is announced." },
	{ "imapsieve.script", CONF_STR, &conf.sieve_script, "", 0, 0, RELOAD, NULL,
	    "The global script of mailboxes that name none; stored.conf has events = all then." },
	{ "imapsieve.junk", CONF_STR, &conf.sieve_junk, "", 0, 0, RELOAD, NULL,
	    "The global script of all that goes to Junk or comes from there; events = junk or "
	    "all." },
	{ "learn.address", CONF_STR, &conf.learn_address, "", 0, 0, RELOAD, "socket",
	    "Where rspamd's controller listens, which is told what people move to Junk and from "
	    "there; empty: nobody is.  stored.conf has events = junk or all then." },
	{ "learn.password", CONF_SECRET, &conf.learn_password, "", 0, 0, RELOAD, NULL,
	    "Its enable_password, where this host is not one of its secure_ip." },
	{ "learn.size", CONF_SIZE, &conf.learn_size, "1M", 1024, 67108864, RELOAD, NULL,
	    "Larger messages are not told." },
	{ "learn.timeout", CONF_TIME, &conf.learn_time, "30s", 100, 600000, RELOAD, NULL,
	    "Time to connect to it, and for each sign of life." },
	{ "learn.per_day", CONF_INT, &conf.learn_per_day, "1000", 0, 1000000, RELOAD, NULL,
	    "Messages of a person in a day that it is told of; 0: no limit." },
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
	[M_ANNOTATED] = { "imap_annotations_set", COUNTER,
	    "Annotations set or removed by SETMETADATA." },
	[M_IDLING] = { "imap_idling", GAUGE, "Sessions in IDLE." },
	[M_NOTIFYING] = { "imap_notifying", GAUGE, "Sessions that listen by NOTIFY." },
	[M_NOTIFIED] = { "imap_notifications", COUNTER,
	    "Responses about mailboxes that are not selected, by NOTIFY." },
	[M_NOTIFY_OVERFLOWS] = { "imap_notify_overflows", COUNTER,
	    "NOTIFY ended because too much had happened." },
	[M_URLS_FETCHED] = { "imap_urls_fetched", COUNTER, "URLs whose data URLFETCH has given." },
	[M_CONTEXTS] = { "imap_contexts", GAUGE, "Searches whose results are followed." },
	[M_EVENTS] = { "imap_events", COUNTER,
	    "Messages handed to a script for what was done to them." },
	[M_EVENTS_FAILED] = { "imap_events_failed", COUNTER,
	    "Those for which it could not be run." },
	[M_LEARNED] = { "imap_learned", COUNTER, "Messages that the filter was told of." },
	[M_LEARN_OVER] = { "imap_learn_over", COUNTER,
	    "Messages that it was not told of, for their person has told it enough today." },
	[M_DIRECTORY] = { "imap_directory_blind", GAUGE, DIR_METRIC_HELP },
	{ NULL, COUNTER, NULL },
};

static int
imapd_start(struct loop *l)
{
	char *socket = mem_printf("%s/stored.sock", shared.rundir);

	imapd.loop = l;
	admit_open(shared.rundir, &imapd_admit);
	list_init(&imapd.sessions);
	list_init(&imapd.annotated);
	later_init(&imapd.looks);
	list_init(&imapd.listeners);
	later_init(&imapd.listens);
	imapd.dir = dir_new(l);
	dir_metric(imapd.dir, M_DIRECTORY);
	imapd.door = login_door_new(l, imapd.dir, &conf.auth_delay);
	imapd.store = store_client_new(l, socket, "imapd");
	store_client_actors(imapd.store, session_actor);
	store_watch(imapd.store, idle_events, NULL);
	store_homes_init(&imapd.homes, l, imapd.store);
	learn_init();
	happened_init(socket);
	mem_release(socket);
	return 0;
}

static void
imapd_reload(void)
{
	dir_reload(imapd.dir);
}

static void
imapd_drain(void)
{
	happened_stop();
	session_drain_all();
}

/* "forget USER": the password was changed, or the account closed. */
static bool
imapd_control(struct slice line, struct buf *out)
{
	struct slice account;

	if (!daemon_forget_parse(line, &account))
		return false;
	dir_forget(imapd.dir, account);
	buf_printf(out, "ok sessions=%zu\n", session_end_user(account));
	return true;
}

static void
imapd_status(struct buf *b)
{
	buf_printf(b, "sessions=%zu sessions_all=%zu users=%zu partitions=%zu\n", imapd.nsessions,
	    admit_sessions(), imapd.users.n, imapd.homes.parts.n);
	dir_status(imapd.dir, b);
	buf_char(b, '\n');
	store_client_status(imapd.store, b);
	buf_char(b, '\n');
	happened_status(b);
}

/* A word of CAPABILITY (RFC 6785 2.1). */
static bool
imapd_check_scripts(struct buf *why)
{
	struct slice url = slice_str(conf.sieve_server);
	bool good = url.n == 0 || slice_starts(url, S("sieve://"));

	for (size_t i = 0; i < url.n; i++)
		good &= url.p[i] > 0x20 && url.p[i] < 0x7f && !strchr("\"\\(){}%*]", url.p[i]);
	if (!good)
		buf_printf(why, "%s: imapsieve.server: not a URL like sieve://mail.example.org\n",
		    conf_where(&conf.sieve_server));
	if (*conf.sieve_lmtpd && !slice_starts(slice_str(conf.sieve_lmtpd), S("unix:"))) {
		buf_printf(why, "%s: imapsieve.lmtpd: it is on this host, unix:/path\n",
		    conf_where(&conf.sieve_lmtpd));
		good = false;
	}
	return good;
}

/* RFC 3501 5.4: the autologout timer MUST be at least 30 minutes. */
static bool
imapd_check(struct buf *why)
{
	if (conf.idle_time < IDLE_LEAST_MS)
		buf_printf(why, "warning: %s: timeout.idle: clients count on 30 minutes\n",
		    conf_where(&conf.idle_time));
	return imapd_check_scripts(why) && learn_check(why) && login_door_check(why);
}

static const struct program imapd_program = {
	.name = "imapd",
	.about = "IMAP server in front of the message store",
	.may = "inet store:read",
	.file = "imapd.conf",
	.schema = &schema,
	.listens = true,
	.workers = &conf.workers,
	.metrics = metrics,
	.start = imapd_start,
	.accept = session_new,
	.reload = imapd_reload,
	.drain = imapd_drain,
	.status = imapd_status,
	.sessions = &session_verbs,
	.control = imapd_control,
	.paths = store_homes_reach,
	.check = imapd_check,
};

int
main(int argc, char **argv)
{
	return program_run(&imapd_program, argc, argv);
}

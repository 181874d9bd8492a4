/* memd: the Messenger Express Multiplexor: the web client, sessions, and JMAP by the directory's mailHost: keys,
 * tables, and one call; see memd(8).
 *
 * Owns config and memd, what all sessions of a worker share; session.c has the sessions.  Called by lib/daemon.
 * A start can fail by the resolver, the keys and the client's files; directory and stores may be away and are
 * waited for. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "daemon/program.h"
#include "memd.h"

struct memd_conf config;
struct memd memd;

#define HOUR (3600 * 1000)
#define DAY  ((int64_t)24 * HOUR)

/* clang-format off */
static const struct conf_key keys[] = {
	{ "workers", CONF_INT, &config.workers, "1", 1, 256, RESTART, NULL,
	    "Number of worker processes." },
	{ "www", CONF_PATH, &config.www, "/usr/share/tiermail/www", 0, 0, RESTART, NULL,
	    "Folder of the web client's files, read at start and at a reload." },
	{ "hsts", CONF_TIME, &config.hsts, "365d", 0, 1000 * DAY, RELOAD, NULL,
	    "How long browsers remember that this host is reached by TLS alone; 0: they are not told." },
	{ "limit.clients", CONF_INT, &config.clients, "50000", 0, 1000000, RELOAD, NULL,
	    "Connections at once over all workers; 0 is no limit." },
	{ "limit.per_client", CONF_INT, &config.per_client, "1000", 0, 65535, RELOAD, NULL,
	    "Connections at once from one address (IPv6: one /64); 0 is no limit." },
	{ "limit.per_user", CONF_INT, &config.per_user, "50", 0, 65535, RELOAD, NULL,
	    "Requests at once of one user; 0 is no limit." },
	{ "limit.upload", CONF_SIZE, &config.upload, "64M", 1024, (int64_t)1 << 40, RELOAD, NULL,
	    "Octets of a request's body." },
	{ "timeout.idle", CONF_TIME, &config.idle_time, "2m", 1000, HOUR, RELOAD, NULL,
	    "Time a connection may rest between two requests." },
	{ "auth.delay", CONF_TIME, &config.auth_delay, "2s", 0, 60000, RELOAD, NULL,
	    "How late a wrong password is answered; later after many." },
	{ "session.keys", CONF_PATH, &config.keys, "/etc/tiermail/web.keys", 0, 0, RELOAD, NULL,
	    "File of the keys that seal sessions, the same on all hosts, the newest first." },
	{ "session.idle", CONF_TIME, &config.session_idle, "8h", 60000, 365 * DAY, RELOAD, NULL,
	    "Time without a request after which a person must log in again." },
	{ "session.life", CONF_TIME, &config.session_life, "14d", 60000, 365 * DAY, RELOAD, NULL,
	    "Time since the login after which that is so in any case." },
	{ "signon.issuer", CONF_STR, &config.signon.issuer, "", 0, 0, RELOAD, NULL,
	    "The OpenID provider at which people may log in, https://...; empty: there is none." },
	{ "signon.metadata", CONF_STR, &config.signon.metadata, "", 0, 0, RELOAD, NULL,
	    "URL of its metadata; empty: below the issuer, as OpenID Connect has it." },
	{ "signon.ca", CONF_PATH, &config.signon.ca, "", 0, 0, RELOAD, "file",
	    "PEM file of the authorities of its certificate; empty: the system's." },
	{ "signon.client", CONF_STR, &config.signon.client, "", 0, 0, RELOAD, NULL,
	    "As which client it knows us." },
	{ "signon.secret", CONF_SECRET, &config.signon.secret, "", 0, 0, RELOAD, NULL,
	    "The client's secret; empty: it has none." },
	{ "signon.scope", CONF_STR, &config.signon.scope, "openid email", 0, 0, RELOAD, NULL,
	    "What is asked for: words with blanks, openid among them." },
	{ "signon.claim", CONF_STR, &config.signon.claim, "email", 0, 0, RELOAD, NULL,
	    "The claim that is the login name; email must be verified." },
	{ "signon.domains", CONF_LIST, &config.signon.domains, "", 0, 0, RELOAD, "domain",
	    "Domains whose users it may name; the first completes names without one; empty: all." },
	{ "signon.skew", CONF_TIME, &config.signon.skew, "60s", 0, 600000, RELOAD, NULL,
	    "By how much its clock and ours may differ." },
	{ "signon.name", CONF_STR, &config.signon.name, "", 0, 0, RELOAD, NULL,
	    "What people call it: the words on the button." },
	{ "signon.form", CONF_BOOL, &config.signon.form, "yes", 0, 0, RELOAD, NULL,
	    "People may also log in by the form, with a password." },
	{ "signon.redirect", CONF_BOOL, &config.signon.redirect, "no", 0, 0, RELOAD, NULL,
	    "Whoever is not logged in is sent there at once." },
	{ "cors.origins", CONF_LIST, &config.origins, "", 0, 0, RELOAD, NULL,
	    "Origins (https://host) of other web clients that may ask with credentials of their own." },
	{ "store.port", CONF_INT, &config.port, "8443", 1, 65535, RELOAD, NULL,
	    "Port of the stores' JMAP." },
	{ "store.default", CONF_STR, &config.dflt, "", 0, 0, RELOAD, "domain",
	    "The store of users without a mailHost; empty: there is none." },
	{ "store.connect_timeout", CONF_TIME, &config.connect_time, "5s", 100, 60000, RELOAD, NULL,
	    "Time for a connection to each address of a store, and for TLS." },
	{ "store.answer_timeout", CONF_TIME, &config.answer_time, "60s", 1000, HOUR, RELOAD, NULL,
	    "Time that a store may be silent when it is its turn." },
	{ "store.attempts", CONF_INT, &config.attempts, "256", 1, 65535, RELOAD, NULL,
	    "Requests that wait for one store, of each worker; more are refused at once." },
	{ "store.failures", CONF_INT, &config.down_failures, "3", 1, 1000, RELOAD, NULL,
	    "Failures in a row after which a store that answers is taken for dead." },
	{ "store.retry", CONF_TIME, &config.retry, "5s", 100, HOUR, RELOAD, NULL,
	    "How often a dead store is asked whether it is back." },
	{ "store.kept", CONF_INT, &config.kept, "256", 0, 65535, RELOAD, NULL,
	    "Connections to stores that are kept for the next request, of each worker." },
	{ "store.rest", CONF_TIME, &config.rest, "30s", 1000, HOUR, RELOAD, NULL,
	    "How long such a one is kept." },
};

#define AT(m) (void *)offsetof(struct memd_section, m)
static const struct conf_key host_keys[] = {
	{ "address", CONF_STR, AT(address), "", 0, 0, RELOAD, "server",
	    "Host or address to connect to; empty: the store's name." },
	{ "port", CONF_INT, AT(port), "0", 0, 65535, RELOAD, NULL,
	    "Port of its JMAP; 0: store.port." },
	{ "certificate_name", CONF_STR, AT(certificate_name), "", 0, 0, RELOAD, "domain",
	    "The name that its certificate must have; empty: the store's." },
};
#undef AT

#define AT(m) (void *)offsetof(struct memd_autoconfig, m)
static const struct conf_key autoconfig_keys[] = {
	{ "services", CONF_LIST, AT(services), NULL, 0, 0, RELOAD, NULL,
	    "Servers, the best first: imaps://HOST:PORT, imap, pop3s, pop3, submissions, submission." },
	{ "name", CONF_STR, AT(name), "", 0, 0, RELOAD, NULL,
	    "What people are shown of it; empty: the domain." },
};
#undef AT

static const struct conf_section sections[] = {
	{
	    .name = "host",
	    .size = sizeof(struct memd_section),
	    .keys = host_keys,
	    .nkeys = NELEM(host_keys),
	    .items = (void ***)&config.sections,
	    .arg_at = offsetof(struct memd_section, name),
	    .help = "A store that is not as store.* says; * stands for all without a section.",
	},
	{
	    .name = "autoconfig",
	    .size = sizeof(struct memd_autoconfig),
	    .keys = autoconfig_keys,
	    .nkeys = NELEM(autoconfig_keys),
	    .items = (void ***)&config.autoconfigs,
	    .arg_at = offsetof(struct memd_autoconfig, domain),
	    .help = "What mail programs are told of a domain's servers; * stands for all without a section.",
	},
};

static const struct conf_schema schema = { keys, NELEM(keys), sections, NELEM(sections) };

static const struct metric metrics[] = {
	[M_CONNECTIONS] = { "mem_connections", COUNTER, "Connections accepted." },
	[M_SESSIONS] = { "mem_sessions", GAUGE, "Connections open." },
	[M_REQUESTS] = { "mem_requests", COUNTER, "Requests." },
	[M_BAD] = { "mem_requests_bad", COUNTER, "Requests that were none, or too large." },
	[M_API] = { "mem_jmap_requests", COUNTER, "Requests of JMAP." },
	[M_STREAMS] = { "mem_event_streams", GAUGE, "Streams of events that are open." },
	[M_LOGINS] = { "mem_logins", COUNTER, "Logins by the form." },
	[M_LOGIN_FAILED] = { "mem_logins_failed", COUNTER, "Logins refused by the directory." },
	[M_SIGNONS] = { "mem_signons", COUNTER, "Logins by the provider." },
	[M_SIGNON_FAILED] = { "mem_signons_failed", COUNTER,
	    "Logins by the provider that came to nothing." },
	[M_PASSWORDS] = { "mem_password_changes", COUNTER, "Passwords that people have changed." },
	[M_FOREIGN] = { "mem_requests_foreign", COUNTER, "Requests refused for the site they come from." },
	[M_ENDED] = { "mem_sessions_ended", COUNTER, "Requests whose session had been ended." },
	[M_STORE_ANSWERED] = { "mem_store_answers", COUNTER, "Answers of stores." },
	[M_STORE_US] = { "mem_store_seconds", COUNTER_US, "Time until stores began to answer." },
	[M_STORE_FAILED] = { "mem_store_failures", COUNTER, "Stores not reached, or not understood." },
	[M_STORES_DOWN] = { "mem_stores_down", GAUGE,
	    "Stores that are taken for dead, counted by each worker." },
	[M_STORE_DOWNS] = { "mem_store_downs", COUNTER, "Times that a store was taken for dead." },
	[M_STORE_SHUNNED] = { "mem_store_shunned", COUNTER,
	    "Requests refused at once: the store is taken for dead, or too many wait for it." },
	[M_STORE_PROBES] = { "mem_store_probes", COUNTER, "Questions whether a dead store is back." },
	[M_REFERRALS] = { "mem_referrals", COUNTER, "Requests followed to where a store said the user is." },
	[M_AUTOCONFIGS] = { "mem_autoconfigs", COUNTER,
	    "Mail programs that were told where their servers are." },
	[M_DIRECTORY] = { "mem_directory_blind", GAUGE, DIR_METRIC_HELP },
	{ NULL, COUNTER, NULL },
};
/* clang-format on */

/* Keys and files as they are now; what cannot be read leaves those that were. */
static int
memd_read(const char *event)
{
	char *why = NULL;
	struct web_keys *k = web_keys_read(config.keys, &why);
	struct web_files *f;
	int r = 0;

	if (k) {
		web_keys_free(&memd.keys);
		memd.keys = k;
	} else {
		log_event(LOG_ERROR, event, "what=session.keys error=%s", log_str(why));
		r = -EINVAL;
	}
	free(why);
	why = NULL;
	f = web_files_read(config.www, &why);
	if (f) {
		web_files_unref(&memd.files);
		memd.files = f;
		log_event(LOG_INFO, "web_files", "folder=%s files=%zu", log_str(config.www),
		    web_files_count(f));
	} else {
		log_event(LOG_ERROR, event, "what=www error=%s", log_str(why));
		r = -EINVAL;
	}
	free(why);
	return r;
}

static int
memd_start(struct loop *l)
{
	struct dns_params p = dns_params_shared();
	char *why = NULL;

	memd.loop = l;
	if (memd_read("start_failed") < 0)
		return -EINVAL;
	memd.dns = dns_new(l, &p, &why);
	if (!memd.dns) {
		log_event(LOG_ERROR, "start_failed", "what=dns error=%s", log_str(why));
		free(why);
		return -EINVAL;
	}
	admit_open(shared.rundir, &memd_admit);
	list_init(&memd.sessions);
	list_init(&memd.signons);
	memd.signin = oauth_signin_new(l, memd_signon_settings);
	backend_set_init(&memd.stores, l, &memd_rules);
	http_pool_init(&memd.pool, l, (size_t)config.kept, (uint32_t)config.rest);
	memd.dir = dir_new(l);
	dir_metric(memd.dir, M_DIRECTORY);
	memd.door = login_door_new(l, memd.dir, &config.auth_delay);
	return 0;
}

static void
memd_reload(void)
{
	struct dns_params p = dns_params_shared();
	char *why = NULL;

	if (dns_change(memd.dns, &p, &why) < 0)
		log_event(LOG_ERROR, "reload_failed", "text=%s", log_str(why));
	free(why);
	(void)memd_read("reload_failed");
	dir_reload(memd.dir);
	backend_forget_addresses(&memd.stores);
	http_pool_clear(&memd.pool);
	memd.pool.most = (size_t)config.kept;
	memd.pool.rest_ms = (uint32_t)config.rest;
}

/* "forget USER": the password was changed, the account closed, or the mailbox moved. */
static bool
memd_control(struct slice line, struct buf *out)
{
	struct slice account;

	if (!daemon_forget_parse(line, &account))
		return false;
	dir_forget(memd.dir, account);
	buf_printf(out, "ok sessions=%zu\n", memd_session_end_user(account));
	return true;
}

static void
memd_status(struct buf *b)
{
	buf_printf(b, "sessions=%zu sessions_all=%zu stores_kept=%zu files=%zu keys=%zu\n",
	    memd.nsessions, admit_sessions(), memd.pool.n, web_files_count(memd.files),
	    web_keys_count(memd.keys));
	dir_status(memd.dir, b);
	buf_char(b, '\n');
	backend_status(&memd.stores, b);
}

static void
memd_paths(void)
{
	sandbox_read(config.www);
	sandbox_read_beside(config.keys);
	if (*config.signon.metadata == '/')
		sandbox_read_beside(config.signon.metadata);
}

/* HTTP has no STARTTLS. */
static bool
memd_check_listeners(struct buf *why)
{
	bool good = true;

	for (struct daemon_listen **l = daemon_listeners(); *l; l++) {
		bool web = (*l)->role == MEMD_WEB;

		if ((*l)->tls != TLS_STARTTLS && (web || (*l)->tls == TLS_OFF))
			continue;
		buf_printf(why, "%s: [listen %s] tls: %s\n", conf_where(&(*l)->tls), (*l)->name,
		    web || (*l)->role != MEMD_REDIRECT ? "off or implicit" :
							 "off: it leads to one with TLS");
		good = (*l)->role > MEMD_REDIRECT && good;
	}
	return good;
}

static bool
memd_check(struct buf *why)
{
	bool good = login_door_check(why);
	char *text = NULL;
	struct web_keys *k = web_keys_read(config.keys, &text);

	if (!k && access(config.keys, F_OK) < 0 && errno == ENOENT) {
		buf_printf(why, "warning: %s: session.keys: %s: openssl rand -hex 32 makes one\n",
		    conf_where(&config.keys), text);
	} else if (!k) {
		buf_printf(why, "%s: session.keys: %s\n", conf_where(&config.keys), text);
		good = false;
	}
	web_keys_free(&k);
	free(text);
	for (char **o = config.origins; o && *o; o++)
		if (!slice_starts(slice_str(*o), S("https://")) ||
		    slice_ends(slice_str(*o), S("/"))) {
			buf_printf(why, "%s: cors.origins: %s: not https://HOST\n",
			    conf_where(&config.origins), *o);
			good = false;
		}
	good = memd_signon_check(why) && good;
	good = memd_check_listeners(why) && good;
	good = memd_autoconfig_check(why) && good;
	return memd_store_check(why) && good;
}

static const struct program memd_program = {
	.name = "memd",
	.about = "the web client, and proxy of JMAP",
	.may = "inet",
	.file = "memd.conf",
	.schema = &schema,
	.roles = "web|redirect",
	.listens = true,
	.alpn = "h2,http/1.1",
	.workers = &config.workers,
	.metrics = metrics,
	.paths = memd_paths,
	.start = memd_start,
	.accept = memd_session_new,
	.reload = memd_reload,
	.drain = memd_session_drain_all,
	.status = memd_status,
	.sessions = &memd_session_verbs,
	.control = memd_control,
	.check = memd_check,
};

int
main(int argc, char **argv)
{
	return program_run(&memd_program, argc, argv);
}

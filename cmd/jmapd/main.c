/* jmapd/main.c: JMAP in front of the message store: keys, tables, and one call; see jmapd(8).
 *
 * Owns config and jmapd, what all sessions of a worker share; session.c has the sessions.  Called by
 * lib/daemon.  A start cannot fail: directory and stored may be away and are waited for. */
#include "base/mem.h"
#include "base/random.h"
#include "daemon/program.h"
#include "pab/conf.h"
#include "blob.h"
#include "store/watch.h"

struct jmapd_conf config;
struct jmapd jmapd;

#define MB   (1024 * 1024)
#define HOUR (3600 * 1000)

/* clang-format off */
static const struct conf_key keys[] = {
	{ "workers", CONF_INT, &config.workers, "1", 1, 256, RESTART, NULL,
	    "Number of worker processes." },
	{ "limit.clients", CONF_INT, &config.clients, "10000", 0, 1000000, RELOAD, NULL,
	    "Connections at once over all workers; 0 is no limit." },
	{ "limit.per_client", CONF_INT, &config.per_client, "1000", 0, 65535, RELOAD, NULL,
	    "Connections at once from one address (IPv6: one /64); 0 is no limit." },
	{ "limit.per_user", CONF_INT, &config.per_user, "100", 0, 65535, RELOAD, NULL,
	    "Connections at once of one user; 0 is no limit." },
	{ "limit.requests", CONF_INT, &config.requests, "8", 1, 1000, RELOAD, NULL,
	    "API requests of one user at once, in a worker (maxConcurrentRequests)." },
	{ "limit.request", CONF_SIZE, &config.request, "10M", 65536, 100LL * MB, RELOAD, NULL,
	    "Largest API request (maxSizeRequest)." },
	{ "limit.response", CONF_SIZE, &config.response, "50M", 65536, 1000LL * MB, RELOAD, NULL,
	    "Largest answer to one: what goes beyond it is refused call by call." },
	{ "limit.calls", CONF_INT, &config.calls, "32", 1, 1000, RELOAD, NULL,
	    "Method calls in an API request (maxCallsInRequest)." },
	{ "limit.upload", CONF_SIZE, &config.upload, "50M", 65536, 2047LL * MB, RELOAD, NULL,
	    "Largest upload (maxSizeUpload), and largest message that is made." },
	{ "limit.uploads", CONF_SIZE, &config.uploads, "500M", 65536, 100000LL * MB, RELOAD, NULL,
	    "What one user may have uploaded, of a day." },
	{ "limit.get", CONF_INT, &config.get, "1000", 1, 100000, RELOAD, NULL,
	    "Objects that one /get gives (maxObjectsInGet)." },
	{ "limit.set", CONF_INT, &config.set, "1000", 1, 4096, RELOAD, NULL,
	    "Objects that one /set changes (maxObjectsInSet)." },
	{ "limit.found", CONF_INT, &config.found, "1000000", 1000, 100000000, RELOAD, NULL,
	    "Messages that one query may find." },
	{ "limit.recipients", CONF_INT, &config.recipients, "1000", 1, 100000, RELOAD, NULL,
	    "Most recipients of a message that is sent." },
	{ "timeout.idle", CONF_TIME, &config.idle_time, "5m", 1000, 24 * HOUR, RELOAD, NULL,
	    "Time a connection may rest between two requests." },
	{ "timeout.request", CONF_TIME, &config.head_time, "30s", 1000, HOUR, RELOAD, NULL,
	    "Time for the head of a request, and for the first one to come." },
	{ "submit.relay", CONF_STR, &config.submit_relay, "", 0, 0, RELOAD, NULL,
	    "Where users' mail goes: unix:/path or host:port; empty is smtp-relay on this host." },
	{ "submit.tls", CONF_ENUM, &config.submit_tls, "must", 0, 0, RELOAD, "off|may|must",
	    "TLS to a submit.relay on another host; must checks its certificate." },
	{ "submit.timeout", CONF_TIME, &config.submit_time, "1m", 1000, HOUR, RELOAD, NULL,
	    "Time limit for the submission of a message." },
	{ "submit.hold_max", CONF_TIME, &config.hold_most, "30d", 0, 31536000000, RELOAD, NULL,
	    "How late a message may be sent (maxDelayedSend); 0: none is sent later." },
	{ "auth.delay", CONF_TIME, &config.auth_delay, "2s", 0, 60000, RELOAD, NULL,
	    "How late a wrong password is answered; later after many." },
	{ "auth.failures", CONF_INT, &config.failures, "3", 0, 100, RELOAD, NULL,
	    "Wrong passwords after which a connection ends; 0 is no limit." },
	{ "auth.proxies", CONF_LIST, &config.proxies, "", 0, 0, RELOAD, "domain",
	    "Host names of proxies whose certificates (tls.ca) may act for users." },
	{ "directory.dn", CONF_STR, &config.dn, "", 0, 0, RESTART, "dn",
	    "Who may act for people in the directory; empty is uid=jmap,ou=services below ldap.base." },
	{ "directory.password", CONF_SECRET, &config.password, "", 0, 0, RESTART, NULL,
	    "The password for it; without both there are no VacationResponse and SieveScript." },
	{ "sieve.scripts", CONF_INT, &config.scripts, "64", 1, 200, RELOAD, NULL,
	    "Scripts of a user." },
	{ "sieve.size", CONF_SIZE, &config.script_octets, "64K", 1024, DIR_SCRIPTS_MAX, RELOAD, NULL,
	    "Octets of a script." },
	{ "sieve.total", CONF_SIZE, &config.script_total, "1M", 1024, 3 * MB, RELOAD, NULL,
	    "Octets of all scripts of a user." },
	{ "sieve.programs", CONF_BOOL, &config.programs, "no", 0, 0, RESTART, NULL,
	    "Whether scripts may give messages to programs; as sieve.programs of lmtpd has some." },
	{ "sieve.redirects", CONF_INT, &config.script_redirects, "4", 0, 32, RELOAD, NULL,
	    "What clients are told of the redirects of a script's run; as lmtpd has it." },
	PAB_KEYS,
	{ "hosts", CONF_LIST, &config.hosts, "", 0, 0, RELOAD, "domain",
	    "Values of mailHost that mean this host, besides hostname." },
	{ "any_host", CONF_BOOL, &config.any_host, "no", 0, 0, RELOAD, NULL,
	    "Serve users of every mailHost." },
};

static const struct conf_schema schema = { .keys = keys, .nkeys = NELEM(keys) };

static const struct metric metrics[] = {
	[M_CONNECTIONS] = { "jmap_connections", COUNTER, "Connections accepted." },
	[M_SESSIONS] = { "jmap_sessions", GAUGE, "Connections open." },
	[M_LOGINS] = { "jmap_logins", COUNTER, "Logins that succeeded." },
	[M_LOGIN_FAILED] = { "jmap_logins_failed", COUNTER, "Logins refused." },
	[M_REQUESTS] = { "jmap_requests", COUNTER, "HTTP requests." },
	[M_BAD] = { "jmap_requests_bad", COUNTER, "Requests that were no HTTP, or too large." },
	[M_API] = { "jmap_api_requests", COUNTER, "API requests that were carried out." },
	[M_CALLS] = { "jmap_calls", COUNTER, "Method calls." },
	[M_CALL_ERRORS] = { "jmap_calls_failed", COUNTER, "Method calls answered with an error." },
	[M_BYTES] = { "jmap_bytes", COUNTER, "Octets of answers." },
	[M_LISTENERS] = { "jmap_event_sources", GAUGE, "EventSources that are listening." },
	[M_UPLOADS] = { "jmap_uploads", COUNTER, "Blobs that were uploaded." },
	[M_CREATED] = { "jmap_emails_created", COUNTER, "Emails that were created or imported." },
	[M_SUBMITTED] = { "jmap_submitted", COUNTER, "Messages that were sent." },
	[M_KEPT] = { "jmap_submissions_kept", COUNTER, "Messages to be sent later." },
	[M_UNSENT] = { "jmap_submissions_canceled", COUNTER, "Messages that were taken back." },
	[M_VACATIONS] = { "jmap_vacations_changed", COUNTER, "Vacations that were changed." },
	[M_SCRIPTS_CHANGED] = { "jmap_scripts_changed", COUNTER,
	    "Scripts made, changed, removed, made active or inactive." },
	[M_SCRIPTS_CHECKED] = { "jmap_scripts_checked", COUNTER, "Scripts without errors that were compiled." },
	[M_SCRIPTS_REFUSED] = { "jmap_scripts_refused", COUNTER, "Scripts with errors." },
	[M_CONTACTS] = { "jmap_contacts_changed", COUNTER, "Contacts and address books that were changed." },
	[M_DIRECTORY] = { "jmap_directory_blind", GAUGE, DIR_METRIC_HELP },
	{ NULL, COUNTER, NULL },
};
/* clang-format on */

static void
jmapd_store_events(void *arg UNUSED, const struct store_event *ev, size_t n)
{
	bool lists = false;

	for (size_t i = 0; i < n; i++) {
		if (ev[i].kind == STORE_EV_AWAY || ev[i].kind == STORE_EV_RESYNC)
			store_homes_look(&jmapd.homes);
		lists |= ev[i].kind == STORE_EV_LIST || ev[i].kind == STORE_EV_RESYNC;
	}
	if (lists)
		jmapd_groups();
	events_store(ev, n);
}

static struct submit_params
jmapd_submit_params(void)
{
	static const enum smtp_tls tls[] = { SMTP_TLS_OFF, SMTP_TLS_MAY, SMTP_TLS_MUST };

	return (struct submit_params){ .relay = config.submit_relay,
		.tls = tls[config.submit_tls],
		.time_ms = (uint64_t)config.submit_time };
}

static bool
jmapd_acts(void)
{
	return *config.dn || *config.password;
}

static void
jmapd_limits(void)
{
	jmapd.script_limits = (struct rules_limits){ (size_t)config.scripts,
		(size_t)config.script_octets, (size_t)config.script_total };
}

static void
jmapd_start_acting(void)
{
	char *dn = *config.dn ? mem_str(config.dn) :
				mem_printf("uid=jmap,ou=services,%s", shared.ldap_base);

	if (jmapd_acts()) {
		jmapd.writer = dir_writer_new(jmapd.dir, dn, config.password);
		jmapd.news = rules_news_open();
		jmapd_limits();
		rules_programs(config.programs);
		jmapd.rules = rules_store_new(jmapd.dir, dn, config.password, &jmapd.script_limits,
		    jmapd.news);
	}
	mem_free(&dn);
}

static int
jmapd_start(struct loop *l)
{
	struct submit_params submit = jmapd_submit_params();
	char *socket = mem_printf("%s/stored.sock", shared.rundir);

	jmapd.loop = l;
	random_bytes(&jmapd.key, sizeof(jmapd.key));
	admit_open(shared.rundir, &jmapd_admit);
	list_init(&jmapd.sessions);
	jmapd.dir = dir_new(l);
	dir_metric(jmapd.dir, M_DIRECTORY);
	jmapd_start_acting();
	jmapd.pab = pab_new(l, jmapd.dir);
	jmapd.door = login_door_new(l, jmapd.dir, &config.auth_delay);
	jmapd.submit = submit_new(l, &submit);
	jmapd.store = store_client_new(l, socket, "jmapd");
	store_client_actors(jmapd.store, jmapd_session_actor);
	list_init(&jmapd.listeners);
	list_init(&jmapd.due);
	for (size_t i = 0; i < LISTENING; i++)
		list_init(&jmapd.listening[i]);
	later_init(&jmapd.wakes);
	store_watch(jmapd.store, jmapd_store_events, NULL);
	store_homes_init(&jmapd.homes, l, jmapd.store);
	mem_free(&socket);
	return 0;
}

static void
jmapd_reload(void)
{
	struct submit_params submit = jmapd_submit_params();

	dir_reload(jmapd.dir);
	jmapd_limits();
	submit_change(jmapd.submit, &submit);
}

/* "forget USER": the password was changed, or the account closed. */
static bool
jmapd_control(struct slice line, struct buf *out)
{
	struct slice account;

	if (!daemon_forget_parse(line, &account))
		return false;
	dir_forget(jmapd.dir, account);
	buf_printf(out, "ok sessions=%zu\n", jmapd_session_end_user(account));
	return true;
}

static void
jmapd_status(struct buf *b)
{
	buf_printf(b, "sessions=%zu sessions_all=%zu users=%zu partitions=%zu\n", jmapd.nsessions,
	    admit_sessions(), jmapd.users.n, jmapd.homes.parts.n);
	dir_status(jmapd.dir, b);
	buf_char(b, '\n');
	store_client_status(jmapd.store, b);
	buf_char(b, '\n');
	submit_status(jmapd.submit, b);
	buf_char(b, '\n');
	pab_status(jmapd.pab, b);
}

static void
jmapd_paths(void)
{
	store_homes_reach();
	upload_reach();
	if (jmapd_acts())
		rules_news_reach();
}

/* HTTP has no STARTTLS. */
static bool
jmapd_check(struct buf *why)
{
	bool good = submit_check(config.submit_relay, why);

	for (struct daemon_listen **l = daemon_listeners(); *l; l++) {
		if ((*l)->tls != TLS_STARTTLS)
			continue;
		buf_printf(why, "%s: [listen %s] tls: off or implicit\n", conf_where(&(*l)->tls),
		    (*l)->name);
		good = false;
	}
	good = pab_check(why) && good;
	return login_door_check(why) && good;
}

static const struct program jmapd_program = {
	.name = "jmapd",
	.about = "JMAP server in front of the message store",
	.may = "inet store:read",
	.file = "jmapd.conf",
	.schema = &schema,
	.listens = true,
	.workers = &config.workers,
	.metrics = metrics,
	.start = jmapd_start,
	.accept = jmapd_session_new,
	.reload = jmapd_reload,
	.drain = jmapd_session_drain_all,
	.status = jmapd_status,
	.sessions = &jmapd_session_verbs,
	.control = jmapd_control,
	.paths = jmapd_paths,
	.check = jmapd_check,
};

int
main(int argc, char **argv)
{
	return program_run(&jmapd_program, argc, argv);
}

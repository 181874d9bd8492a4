/* config.c: the keys of admind.conf; see config.h. */
#include "admin/config.h"

#include "base/attr.h"

struct admin_conf admin_conf;

#define HOUR (3600 * 1000)

/* clang-format off */
static const struct conf_key keys[] = {
	{ "audit.file", CONF_PATH, &admin_conf.audit_file, "/var/log/tiermail/admin.audit", 0, 0,
	    RELOAD, NULL,
	    "Where each change is written, a JSON object a line; only ever appended to." },
	{ "purge.after", CONF_TIME, &admin_conf.purge_after, "30d", 0, INT64_MAX, RELOAD, NULL,
	    "How long what was deleted can be brought back." },
	{ "hosts", CONF_LIST, &admin_conf.hosts, "", 0, 0, RELOAD, NULL,
	    "Hosts whose daemons and queues are looked at, by the ports of control.address there." },
	{ "logs", CONF_LIST, &admin_conf.logs, "", 0, 0, RESTART, NULL,
	    "Logs of all daemons, files or folders, in which messages are followed; none: the folder of log_to." },
	{ "job.look", CONF_TIME, &admin_conf.job_look, "5s", 100, HOUR, RELOAD, NULL,
	    "How often admind looks for jobs that wait, or whose host has died." },
	{ "job.lease", CONF_TIME, &admin_conf.job_lease, "1m", 2000, HOUR, RELOAD, NULL,
	    "How long a job is another's after the last sign of who does it." },
	{ "place.policy", CONF_ENUM, &admin_conf.place_policy, "users", 0, 0, RELOAD,
	    "none|users|letter|organisation|attribute",
	    "How a new user's store is chosen among place.hosts, or the organisation's own." },
	{ "place.hosts", CONF_LIST, &admin_conf.place_hosts, "", 0, 0, RELOAD, NULL,
	    "The stores that new users go to; none: users get no mailHost." },
	{ "place.attribute", CONF_STR, &admin_conf.place_attribute, "departmentNumber", 0, 0,
	    RELOAD, NULL,
	    "With the policy attribute: the attribute of the organisation that decides." },
	{ "place.map", CONF_LIST, &admin_conf.place_map, "", 0, 0, RELOAD, NULL,
	    "With the policy attribute: VALUE=HOST, and *=HOST for any other." },
	{ "workers", CONF_INT, &admin_conf.workers, "1", 1, 64, RESTART, NULL,
	    "Number of worker processes; the next page of a list is known to one of them." },
	{ "limit.clients", CONF_INT, &admin_conf.clients, "1000", 0, 100000, RELOAD, NULL,
	    "Connections at once over all workers; 0 is no limit." },
	{ "limit.per_client", CONF_INT, &admin_conf.per_client, "100", 0, 65535, RELOAD, NULL,
	    "Connections at once from one address (IPv6: one /64); 0 is no limit." },
	{ "limit.per_user", CONF_INT, &admin_conf.per_user, "8", 0, 65535, RELOAD, NULL,
	    "Requests at once of one person; 0 is no limit." },
	{ "limit.agents", CONF_INT, &admin_conf.agents, "32", 1, 1000, RELOAD, NULL,
	    "Connections to the directory of a worker: verbs that run, and lists that wait for a next page." },
	{ "www", CONF_PATH, &admin_conf.www, "/usr/share/tiermail/console", 0, 0, RESTART, NULL,
	    "Folder of the console's files, read at start and at a reload." },
	{ "session.keys", CONF_PATH, &admin_conf.keys, "/etc/tiermail/admin.keys", 0, 0, RELOAD, NULL,
	    "File of the keys that seal the console's sessions, the same on all hosts, the newest first." },
	{ "session.idle", CONF_TIME, &admin_conf.session_idle, "30m", 60000, 24 * HOUR, RELOAD, NULL,
	    "Time without a request after which a person must log in again." },
	{ "session.life", CONF_TIME, &admin_conf.session_life, "12h", 60000, 168 * HOUR, RELOAD, NULL,
	    "Time since the login after which that is so in any case." },
	{ "timeout.idle", CONF_TIME, &admin_conf.idle_time, "2m", 1000, HOUR, RELOAD, NULL,
	    "Time a connection may rest between two requests." },
	{ "timeout.page", CONF_TIME, &admin_conf.page_time, "60s", 1000, HOUR, RELOAD, NULL,
	    "How long a list waits for the request of its next page." },
	{ "auth.second_factor", CONF_BOOL, &admin_conf.second_factor, "no", 0, 0, RELOAD, NULL,
	    "Nobody administers without a second factor; yes: who has none can make one, and nothing else." },
	{ "auth.delay", CONF_TIME, &admin_conf.auth_delay, "2s", 0, 60000, RELOAD, NULL,
	    "How late a wrong password is answered; later after many." },
};
/* clang-format on */
const struct conf_schema admin_conf_schema = { keys, NELEM(keys), NULL, 0 };

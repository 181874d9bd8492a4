/* lmtpd/conf.c: the keys of lmtpd.conf. */
#include "lmtpd.h"
#include "pab/conf.h"

struct lmtpd_conf lconf;

#define KEY(name, type, field, dflt, min, max, when, choices, help)                                \
	{                                                                                          \
		name, type, &lconf.field, dflt, min, max, when, choices, help                      \
	}
#define MS(s) ((s)*1000)

/* clang-format off */
static const struct conf_key keys[] = {
	KEY("workers", CONF_INT, workers, "2", 1, 64, RESTART, NULL,
	    "Number of worker processes."),
	KEY("trusted", CONF_LIST, trusted, "", 0, 0, RELOAD, "network",
	    "Networks whose hosts may deliver over TCP; others need a verified client certificate."),
	KEY("trusted_names", CONF_LIST, trusted_names, "", 0, 0, RELOAD, "domain",
	    "Host names whose verified certificates may deliver over TCP."),
	KEY("hosts", CONF_LIST, hosts, "", 0, 0, RELOAD, "domain",
	    "Values of mailHost that mean this host, besides hostname."),
	KEY("any_host", CONF_BOOL, any_host, "no", 0, 0, RELOAD, NULL,
	    "Take mail for users of every mailHost."),
	KEY("limit.clients", CONF_INT, clients, "2000", 0, 1000000, RELOAD, "connections",
	    "Sessions at once over all workers; 0 is no limit."),
	KEY("limit.per_client", CONF_INT, per_client, "100", 0, 65535, RELOAD, NULL,
	    "Sessions at once from one address (IPv6: one /64) that is not trusted; 0 is no limit."),
	KEY("message.size", CONF_SIZE, size_max, "100M", 1024, 4294967295LL - 65536, RELOAD, NULL,
	    "Largest message."),
	KEY("message.recipients", CONF_INT, recipients_max, "1000", 1, STORE_TARGETS_MAX, RELOAD, NULL,
	    "Most recipients of one message."),
	KEY("message.received", CONF_BOOL, received, "yes", 0, 0, RELOAD, NULL,
	    "Add a Received field."),
	KEY("message.keep", CONF_SIZE, keep, "512K", 0, 67108864, RELOAD, NULL,
	    "Messages up to this size stay in memory until they are complete."),
	KEY("subaddress", CONF_BOOL, subaddress, "yes", 0, 0, RELOAD, NULL,
	    "Mail for user+folder goes into the folder when the user has it."),
	KEY("quota.over", CONF_ENUM, over_quota, "temporary", 0, 0, RELOAD, "temporary|permanent|store",
	    "The answer for mail to a mailbox over its quota: 452 4.2.2, 552 5.2.2, or stored's."),
	KEY("sieve.run", CONF_BOOL, sieve, "yes", 0, 0, RESTART, NULL,
	    "Run the Sieve scripts of users, domains and sieve.system."),
	KEY("sieve.system", CONF_PATH, sieve_system, "", 0, 0, RELOAD, "file",
	    "A Sieve script that every message meets behind the user's and the domain's."),
	KEY("sieve.global", CONF_PATH, sieve_global, "", 0, 0, RELOAD, "folder",
	    "A folder of Sieve scripts, NAME.sieve, that all others may include (:global)."),
	KEY("sieve.redirects", CONF_INT, redirects, "4", 0, 32, RESTART, NULL,
	    "Most redirects of a script's run."),
	KEY("sieve.cpu", CONF_TIME, sieve_cpu, "2s", 10, MS(60), RESTART, NULL,
	    "Most of the processor's time for a script's run."),
	KEY("sieve.time", CONF_TIME, sieve_time, "2m", 10, MS(600), RELOAD, NULL,
	    "Time for the scripts of all recipients of a message; those behind are asked for again."),
	KEY("submit.relay", CONF_STR, submit_relay, "", 0, 0, RELOAD, NULL,
	    "Where redirected mail and answers go: unix:/path or host:port; empty is smtp-relay on this host."),
	KEY("submit.tls", CONF_ENUM, submit_tls, "must", 0, 0, RELOAD, "off|may|must",
	    "TLS to a submit.relay on another host; must checks its certificate."),
	KEY("submit.timeout", CONF_TIME, submit_time, "1m", MS(1), MS(600), RELOAD, NULL,
	    "Time limit for the submission of a message."),
	KEY("timeout.command", CONF_TIME, t_command, "10m", MS(1), MS(86400), RELOAD, NULL,
	    "Time limit for the next command."),
	KEY("timeout.data", CONF_TIME, t_data, "5m", MS(1), MS(86400), RELOAD, NULL,
	    "Time limit between two pieces of a message."),
	PAB_KEYS,
};
/* clang-format on */

const struct conf_schema lmtpd_schema = { keys, NELEM(keys), NULL, 0 };

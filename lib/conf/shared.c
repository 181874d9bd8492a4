/* conf/shared.c: the table of tiermail.conf(5). */
#include <unistd.h>
#include "conf/shared.h"
#include "conf/hostname.h"

struct conf_shared shared;

static char hostname[256] = "localhost";

void
conf_hostname_default(void)
{
	if (gethostname(hostname, sizeof(hostname) - 1) < 0 || !hostname[0])
		strcpy(hostname, "localhost");
}

#define DAY_MS  ((int64_t)86400000)
#define HOUR_MS ((int64_t)3600000)

static const struct conf_key keys[] = {
	{ "prefix", CONF_STR, &shared.prefix, "", 0, 0, RESTART, NULL,
	    "Moves all default paths below this directory." },
	{ "hostname", CONF_STR, &shared.hostname, hostname, 0, 0, RESTART, NULL,
	    "This host's name in greetings, Received fields and as mailHost." },
	{ "rundir", CONF_PATH, &shared.rundir, "/run/tiermail", 0, 0, RESTART, NULL,
	    "Where sockets and process id files are." },
	{ "queue", CONF_PATH, &shared.queue, "/var/spool/tiermail", 0, 0, RESTART, NULL,
	    "Where queued messages are." },
	{ "store", CONF_PATH, &shared.store, "/var/lib/tiermail", 0, 0, RESTART, NULL,
	    "Where the message store is." },
	{ "libexec", CONF_PATH, &shared.libexec, "/usr/lib/tiermail", 0, 0, RELOAD, NULL,
	    "Where programs are that other programs start." },
	{ "user", CONF_STR, &shared.user, "", 0, 0, RESTART, NULL,
	    "The user to become after a start as root." },
	{ "group", CONF_STR, &shared.group, "", 0, 0, RESTART, NULL,
	    "The group to become after a start as root; empty means the user's own." },
	{ "log_to", CONF_ENUM, &shared.log_to, "stderr", 0, 0, RESTART, "stderr|syslog",
	    "Where log events go." },
	{ "log_level", CONF_ENUM, &shared.log_level, "info", 0, 0, RELOAD, "error|warn|info|debug",
	    "The least important events that are logged." },
	{ "default_domain", CONF_STR, &shared.default_domain, "", 0, 0, RELOAD, NULL,
	    "Completes a login name or address without a domain." },
	{ "postmaster", CONF_STR, &shared.postmaster, "", 0, 0, RELOAD, NULL,
	    "The address of last resort for notices; empty means postmaster at hostname." },

	{ "ldap.url", CONF_LIST, &shared.ldap_urls, "ldapi:///", 0, 0, RELOAD, NULL,
	    "Directory servers in order of preference." },
	{ "ldap.base", CONF_STR, &shared.ldap_base, "", 0, 0, RELOAD, NULL,
	    "The entry below which all domains and users are." },
	{ "ldap.bind_dn", CONF_STR, &shared.ldap_bind_dn, "", 0, 0, RELOAD, NULL,
	    "Who to bind as for lookups; empty means anonymous." },
	{ "ldap.password", CONF_SECRET, &shared.ldap_password, "", 0, 0, RELOAD, NULL,
	    "The password for ldap.bind_dn." },
	{ "ldap.starttls", CONF_BOOL, &shared.ldap_starttls, "no", 0, 0, RELOAD, NULL,
	    "Demand TLS on connections to ldap: servers." },
	{ "ldap.timeout", CONF_TIME, &shared.ldap_timeout, "5s", 100, 600000, RELOAD, NULL,
	    "How long one directory request may take." },
	{ "ldap.binders", CONF_INT, &shared.ldap_binders, "4", 1, 256, RESTART, NULL,
	    "Connections that check passwords by binding." },
	{ "ldap.cache_size", CONF_INT, &shared.ldap_cache_size, "10000", 0, 10000000, RELOAD, NULL,
	    "Directory answers remembered by each process." },
	{ "ldap.cache_age", CONF_TIME, &shared.ldap_cache_age, "60s", 0, DAY_MS, RELOAD, NULL,
	    "How long a directory answer is remembered." },
	{ "ldap.negative_age", CONF_TIME, &shared.ldap_negative_age, "10s", 0, DAY_MS, RELOAD, NULL,
	    "How long it is remembered that an address does not exist." },
	{ "ldap.auth_age", CONF_TIME, &shared.ldap_auth_age, "5m", 0, HOUR_MS, RELOAD, NULL,
	    "How long a verified password is remembered." },

	{ "tls.certificate", CONF_PATH, &shared.tls_cert, "", 0, 0, RELOAD, NULL,
	    "PEM file of the certificate and its chain." },
	{ "tls.key", CONF_PATH, &shared.tls_key, "", 0, 0, RELOAD, NULL,
	    "PEM file of the private key." },
	{ "tls.ca", CONF_PATH, &shared.tls_ca, "", 0, 0, RELOAD, NULL,
	    "PEM file of the authorities that are trusted; empty means the system's." },
	{ "tls.protocols", CONF_ENUM, &shared.tls_protocols, "tlsv1.2", 0, 0, RELOAD,
	    "tlsv1.3|tlsv1.2", "The oldest TLS version that is accepted." },
	{ "tls.ciphers", CONF_STR, &shared.tls_ciphers, "secure", 0, 0, RELOAD, NULL,
	    "Cipher suites: secure, compat, legacy, or an OpenSSL cipher list." },
	{ "login.insecure_loopback", CONF_BOOL, &shared.insecure_loopback, "no", 0, 0, RELOAD, NULL,
	    "Accept passwords without TLS from this host itself." },

	{ "quota.bytes", CONF_SIZE, &shared.quota_bytes, "0", 0, INT64_MAX, RELOAD, NULL,
	    "Quota of users who have none in the directory; 0 is no limit." },
	{ "quota.messages", CONF_INT, &shared.quota_messages, "0", 0, INT64_MAX, RELOAD, NULL,
	    "The same in messages; 0 is no limit." },
};

const struct conf_schema conf_shared_schema = { keys, NELEM(keys), NULL, 0 };

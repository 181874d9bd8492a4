/* conf/shared.c: the table of tiermail.conf(5). */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "conf/shared.h"
#include "conf/form.h"
#include "conf/hostname.h"
#include "conf/paths.h"

struct conf_shared shared;

static char hostname[256] = "localhost";

/* What Debian's programs complete names by, if the administrator has said: one line.  Read once: who is confined later
 * must not find another default at a reload. */
static char mailname[256];

static void
shared_mailname(void)
{
	static const char *const path = "/etc/mailname";
	static bool done;
	FILE *f = done ? NULL : fopen(path, "re");
	char *end;

	done = true;
	if (!f)
		return;
	if (!fgets(mailname, sizeof(mailname), f))
		mailname[0] = '\0';
	(void)fclose(f);
	end = mailname + strcspn(mailname, " \t\r\n");
	*end = '\0';
	/* It is another program's file: what is no domain is no mistake of ours. */
	if (!strchr(mailname, '.') || conf_form_check("domain", slice_str(mailname)))
		mailname[0] = '\0';
}

void
conf_hostname_default(void)
{
	shared_mailname();
	if (gethostname(hostname, sizeof(hostname) - 1) < 0 || !hostname[0])
		strcpy(hostname, "localhost");
}

#define DAY_MS  ((int64_t)86400000)
#define HOUR_MS ((int64_t)3600000)

static const struct conf_key keys[] = {
	{ "prefix", CONF_STR, &shared.prefix, "", 0, 0, RESTART, NULL,
	    "Moves all default paths below this directory." },
	{ "hostname", CONF_STR, &shared.hostname, hostname, 0, 0, RESTART, "domain",
	    "This host's name in greetings, Received fields and as mailHost." },
	{ "rundir", CONF_PATH, &shared.rundir, conf_path_run, 0, 0, RESTART, NULL,
	    "Where sockets and process id files are." },
	{ "queue", CONF_PATH, &shared.queue, conf_path_queue, 0, 0, RESTART, NULL,
	    "Where queued messages are." },
	{ "store", CONF_PATH, &shared.store, conf_path_store, 0, 0, RESTART, NULL,
	    "Where the message store is." },
	{ "libexec", CONF_PATH, &shared.libexec, conf_path_libexec, 0, 0, RELOAD, NULL,
	    "Where programs are that other programs start." },
	{ "user", CONF_STR, &shared.user, "", 0, 0, RESTART, NULL,
	    "The user to become after a start as root." },
	{ "group", CONF_STR, &shared.group, "", 0, 0, RESTART, NULL,
	    "The group to become after a start as root; empty means the user's own." },
	{ "log_to", CONF_STR, &shared.log_to, "stderr", 0, 0, RESTART, "log",
	    "Where log events go: stderr, syslog, or dir:PATH with a file for each daemon." },
	{ "log_size", CONF_SIZE, &shared.log_size, "100M", 0, INT64_MAX, RELOAD, NULL,
	    "A log file that is longer is turned over; 0 is never." },
	{ "log_age", CONF_TIME, &shared.log_age, "1d", 0, 366 * 86400000LL, RELOAD, NULL,
	    "A log file is turned over at each multiple of this, in UTC; 0 is never." },
	{ "log_keep", CONF_INT, &shared.log_keep, "14", 0, 1000, RELOAD, NULL,
	    "Log files that were turned over and are kept, for each daemon." },
	{ "log_level", CONF_ENUM, &shared.log_level, "info", 0, 0, RELOAD, "error|warn|info|debug",
	    "The least important events that are logged." },
	{ "log_trace", CONF_STR, &shared.log_trace, "", 0, 0, RELOAD, NULL,
	    "Protocols whose lines are logged, without passwords: smtp lmtp imap pop3." },
	{ "default_domain", CONF_STR, &shared.default_domain, mailname, 0, 0, RELOAD, "domain",
	    "Completes a login name or address without a domain." },
	{ "postmaster", CONF_STR, &shared.postmaster, "", 0, 0, RELOAD, "address",
	    "The address of last resort for notices; empty means postmaster at hostname." },

	{ "ldap.url", CONF_LIST, &shared.ldap_urls, "ldapi:///", 0, 0, RELOAD, NULL,
	    "Directory servers in order of preference." },
	{ "ldap.provider", CONF_LIST, &shared.ldap_providers, "", 0, 0, RESTART, NULL,
	    "Directory servers that take changes; empty means those of ldap.url." },
	{ "ldap.base", CONF_STR, &shared.ldap_base, "", 0, 0, RELOAD, "dn",
	    "The entry below which all domains and users are." },
	{ "ldap.schema", CONF_ENUM, &shared.ldap_schema, "2", 0, 0, RELOAD, "2|1",
	    "How domains lie in the directory: 2 as organisations, 1 in a DC tree below "
	    "ldap.base." },
	{ "ldap.bind_dn", CONF_STR, &shared.ldap_bind_dn, "", 0, 0, RELOAD, "dn",
	    "Who to bind as for lookups; empty means anonymous." },
	{ "ldap.password", CONF_SECRET, &shared.ldap_password, "", 0, 0, RELOAD, NULL,
	    "The password for ldap.bind_dn." },
	{ "ldap.certificate", CONF_BOOL, &shared.ldap_certificate, "no", 0, 0, RELOAD, NULL,
	    "Show tls.certificate to directory servers, too." },
	{ "ldap.bind", CONF_ENUM, &shared.ldap_bind, "simple", 0, 0, RELOAD, "simple|external",
	    "How to bind for lookups: as ldap.bind_dn, or by SASL EXTERNAL as whom the certificate "
	    "names." },
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

	{ "dns.resolvers", CONF_STR, &shared.dns_resolvers, "", 0, 0, RELOAD, "resolvers",
	    "Name servers, as \"address[@port] ...\"; empty takes those of /etc/resolv.conf." },
	{ "dns.hosts", CONF_PATH, &shared.dns_hosts, "", 0, 0, RELOAD, "file",
	    "A hosts file to look into first; empty is /etc/hosts." },
	{ "dns.stubs", CONF_STR, &shared.dns_stubs, "", 0, 0, RELOAD, "stubs",
	    "Zones with name servers of their own, as \"zone=address@port ...\"." },
	{ "dns.trust_anchor", CONF_PATH, &shared.dns_anchor, "", 0, 0, RELOAD, "file",
	    "File with the trust anchor for DNSSEC; empty does not validate." },
	{ "dns.timeout", CONF_TIME, &shared.dns_timeout, "20s", 100, 600000, RELOAD, NULL,
	    "How long one question to DNS may take." },

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
	{ "tls.resume", CONF_TIME, &shared.tls_resume, "1h", 0, HOUR_MS, RELOAD, NULL,
	    "For how long a TLS session may be taken up again; 0 for never." },
	{ "roles.proxy", CONF_LIST, &shared.role_proxies, "", 0, 0, RELOAD, "domain",
	    "Host names whose certificates may act for users." },
	{ "roles.relay", CONF_LIST, &shared.role_relays, "", 0, 0, RELOAD, "domain",
	    "Host names whose certificates may deliver." },
	{ "roles.store", CONF_LIST, &shared.role_stores, "", 0, 0, RELOAD, "domain",
	    "Host names whose certificates may send mail of their users on." },
	{ "roles.operator", CONF_LIST, &shared.role_operators, "", 0, 0, RELOAD, "domain",
	    "Names whose certificates may look at daemons and tell them." },
	{ "roles.admin", CONF_LIST, &shared.role_admins, "", 0, 0, RELOAD, "domain",
	    "Names whose certificates may do all that operators may, and change what stays." },
	{ "roles.move", CONF_LIST, &shared.role_movers, "", 0, 0, RELOAD, "domain",
	    "Names whose certificates may move mailboxes." },
	{ "control.address", CONF_STR, &shared.control_address, "", 0, 0, RESTART, NULL,
	    "Address (or *) at which operators of other hosts reach the daemons; empty: nowhere." },
	{ "control.port", CONF_INT, &shared.control_port, "4890", 1, 65500, RESTART, NULL,
	    "Port of the first daemon there; the others follow, each in its place." },
	{ "login.insecure_loopback", CONF_BOOL, &shared.insecure_loopback, "no", 0, 0, RELOAD, NULL,
	    "Accept passwords without TLS from this host itself." },
	{ "login.scram", CONF_ENUM, &shared.login_scram, "no", 0, 0, RELOAD, "no|learn|offer",
	    "Keep what SCRAM-SHA-256 needs of passwords that were right, and offer it." },
	{ "login.scram_key", CONF_SECRET, &shared.login_scram_key, "", 0, 0, RELOAD, NULL,
	    "What the salts of names are made of, the same on all hosts; empty takes "
	    "ldap.password." },
	{ "login.scram_rounds", CONF_INT, &shared.login_scram_rounds, "100000", 4096, 1000000,
	    RELOAD, NULL, "How much work one guess is for who has stolen a verifier." },
	{ "login.oauth", CONF_ENUM, &shared.login_oauth, "no", 0, 0, RELOAD, "no|jwt|introspect",
	    "Take access tokens of an authorization server: by their signature, or by asking it." },
	{ "login.oauth_issuer", CONF_STR, &shared.login_oauth_issuer, "", 0, 0, RELOAD, NULL,
	    "Who issues the tokens, as they and its metadata say it, to the letter." },
	{ "login.oauth_metadata", CONF_STR, &shared.login_oauth_metadata, "", 0, 0, RELOAD, NULL,
	    "URL or file of the server's metadata; empty: below the issuer, by discovery." },
	{ "login.oauth_keys", CONF_STR, &shared.login_oauth_keys, "", 0, 0, RELOAD, NULL,
	    "URL or file of the keys that sign tokens; empty: as the metadata say." },
	{ "login.oauth_introspection", CONF_STR, &shared.login_oauth_introspection, "", 0, 0,
	    RELOAD, NULL, "URL that is asked about tokens; empty: as the metadata say." },
	{ "login.oauth_client", CONF_STR, &shared.login_oauth_client, "", 0, 0, RELOAD, NULL,
	    "As which client that is asked." },
	{ "login.oauth_secret", CONF_SECRET, &shared.login_oauth_secret, "", 0, 0, RELOAD, NULL,
	    "The secret of that client." },
	{ "login.oauth_ca", CONF_PATH, &shared.login_oauth_ca, "", 0, 0, RELOAD, "file",
	    "PEM file of the authorities that the server's certificate is of; empty: the "
	    "system's." },
	{ "login.oauth_audience", CONF_LIST, &shared.login_oauth_audience, "", 0, 0, RELOAD, NULL,
	    "For whom tokens must be: one of these must be in their aud." },
	{ "login.oauth_scope", CONF_LIST, &shared.login_oauth_scope, "", 0, 0, RELOAD, NULL,
	    "Scopes that tokens must have: for all services, or as service=scope for one." },
	{ "login.oauth_claim", CONF_STR, &shared.login_oauth_claim, "email", 0, 0, RELOAD, NULL,
	    "The claim that names the user." },
	{ "login.oauth_domains", CONF_LIST, &shared.login_oauth_domains, "", 0, 0, RELOAD, "domain",
	    "Domains whose users tokens may name, the first for names without one; empty: all." },
	{ "login.oauth_skew", CONF_TIME, &shared.login_oauth_skew, "60s", 0, 600000, RELOAD, NULL,
	    "By how much the clocks of this host and of the server may differ." },
	{ "login.oauth_end", CONF_BOOL, &shared.login_oauth_end, "no", 0, 0, RELOAD, NULL,
	    "End sessions when the token that they began with expires." },

	{ "tlsrpt.organisation", CONF_STR, &shared.tlsrpt_organisation, "", 0, 0, RESTART, NULL,
	    "Who sends domains the reports of TLS that they ask for (RFC 8460); empty sends "
	    "none." },
	{ "tlsrpt.contact", CONF_STR, &shared.tlsrpt_contact, "", 0, 0, RESTART, "address",
	    "The address that these reports come from; empty sends none." },
	{ "tlsrpt.delay", CONF_TIME, &shared.tlsrpt_delay, "4h", 0, DAY_MS / 2, RESTART, NULL,
	    "They go within this time after the end of the day in UTC, nobody knows when." },

	{ "quota.bytes", CONF_SIZE, &shared.quota_bytes, "0", 0, INT64_MAX, RELOAD, NULL,
	    "Quota of users who have none in the directory; 0 is no limit." },
	{ "quota.messages", CONF_INT, &shared.quota_messages, "0", 0, INT64_MAX, RELOAD, NULL,
	    "The same in messages; 0 is no limit." },
};

const struct conf_schema conf_shared_schema = { keys, NELEM(keys), NULL, 0 };
